"""Zips that are the same bytes for the same files, and read back only as far as was expected."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Collection, Mapping

from milkreport.errors import DataError
from milkreport.limits import HARMLESS, MAX_RATIO, MOST_EVIDENCE

_BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError,
    ValueError, OverflowError,
)  # fmt: skip
_DISTRUST = "get the report again from whoever made it"


def pack_zip(files: Mapping[str, bytes]) -> bytes:
    """A zip of *files* by name, dated 1980: nothing in it depends on when or where it is made."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o644 << 16
            packed = name.endswith(".zip")
            info.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
            archive.writestr(info, data, compresslevel=9)
    return out.getvalue()


def unpack_zip(data: bytes, expected: Collection[str], where: str) -> dict[str, bytes]:
    """The members of a zip by name. Their names are compared, never used as paths.

    Args:
        expected: names that a member may have.
        where: for errors.

    Raises:
        DataError: damaged, or a member that is not expected, encrypted, there twice or too large.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            names = [info.orig_filename for info in members]
            if strange := [name for name in names if name not in expected]:
                raise DataError(
                    f"holds {strange[0][:80]!r}, which no report carries", _DISTRUST, where
                )
            if len(set(names)) < len(names):
                raise DataError("holds one name twice", _DISTRUST, where)
            size = sum(info.file_size for info in members)
            if size > min(MOST_EVIDENCE, max(HARMLESS, MAX_RATIO * len(data))):
                what = f"a zip bomb: {len(data) / 1e6:,.1f} MB would become {size / 1e6:,.1f} MB"
                raise DataError(what, _DISTRUST, where)
            # zipfile gives no more than the declared size, and compares the checksum at its end.
            return {info.orig_filename: archive.read(info) for info in members}
    except _BROKEN as error:
        raise DataError(f"a damaged zip: {error}", _DISTRUST, where) from error
