"""Zips unpacked once and safely: every member is checked before anything is written.

A folder that bears the name is complete: it is written beside, under another name, and renamed at once.
A stamp in it says which zip it was made from, so that a replaced zip is unpacked again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock

from milkreport.atomic import disk_problem, sync_folder, write_text
from milkreport.errors import DataError, EnvironmentProblem
from milkreport.limits import HARMLESS, MAX_RATIO
from milkreport.parse import parse_json

SUFFIX = ".unpacked"
IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".heic"}
)
WRITTEN = IMAGE_SUFFIXES | {".csv", ".json", ".toml", ".txt", ".md", ".zip"}

_STAMP = ".milkreport-unpacked.json"
_DISTRUST = "get the zip again from where it is published"
_BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError,
    ValueError, OverflowError,
)  # fmt: skip

Notice = Callable[[str], None]


def unpack(zip_path: Path, cache: Path, notice: Notice = lambda line: None) -> Path:
    """Unpack *zip_path* beside itself as ``<stem>.unpacked``, where that was not done before.

    Where its folder cannot be written, or holds something else of that name, the files lie below
    *cache*. Only tables, images, .json, .toml, .txt, .md and zips are written; inner zips stay packed.

    Returns:
        The folder.

    Raises:
        DataError: damaged, or a member that is dangerous, encrypted or there twice; a zip bomb.
        EnvironmentProblem: the disk is full or cannot be written.
    """
    zip_path = zip_path.resolve()
    beside = zip_path.with_name(zip_path.stem + SUFFIX)
    is_free = os.access(zip_path.parent, os.W_OK) and _is_ours(beside, zip_path)
    if is_free or is_current(beside, zip_path):
        return unpack_as(beside, zip_path, notice)
    key = hashlib.sha256(os.fsencode(zip_path)).hexdigest()[:24]
    return unpack_as(cache.resolve() / "unpacked" / key, zip_path, notice)


def unpack_as(target: Path, zip_path: Path, notice: Notice = lambda line: None) -> Path:
    """Unpack *zip_path* as the folder *target*; see :func:`unpack`."""
    if not _is_ours(target, zip_path):
        what = f"stands where {zip_path.name} should be unpacked"
        raise DataError(what, "rename or remove it", target.name)
    with _opened(zip_path) as archive:
        stamp = _stamp_of(archive, zip_path)
        if _read_stamp(target) == stamp:
            return target
        members = _checked_members(archive, zip_path)
        size = sum(info.file_size for info in members)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(target.with_name(f".{target.name}.lock")):
                if _read_stamp(target) != stamp:  # another process may have been here
                    notice(f"unpacking {zip_path.name} ({size / 1e6:,.1f} MB)")
                    _refuse_full_disk(target.parent, size + 4096 * len(members))
                    _write_all(archive, members, target, stamp)
        except OSError as error:
            raise disk_problem(error, target.parent, size) from error
    return target


def is_current(folder: Path, zip_path: Path) -> bool:
    """Whether *folder* holds what *zip_path* holds now."""
    with _opened(zip_path) as archive:
        return _read_stamp(folder) == _stamp_of(archive, zip_path)


def list_suffixes(zip_path: Path) -> set[str]:
    """The suffixes, in lower case, of the files that unpacking would write; DataError if damaged."""
    with _opened(zip_path) as archive:
        return {_path(info).suffix.lower() for info in archive.infolist() if _is_written(info)}


def is_clutter(name: str) -> bool:
    """Whether a file or folder is left by a system or an unfinished write, and is no data."""
    return name.startswith(".") or name == "__MACOSX" or name.endswith(".partial")


def is_of_zip(folder: Path) -> bool:
    """Whether *folder* was unpacked from a zip that still lies beside it."""
    stamp = _read_stamp(folder) if folder.name.endswith(SUFFIX) else {}
    return bool(stamp) and (folder.parent / str(stamp.get("zip"))).is_file()


@contextmanager
def _opened(zip_path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(zip_path) as archive:
            if any(info.header_offset < 0 for info in archive.infolist()):
                raise zipfile.BadZipFile("its start is missing")
            yield archive
    except _BROKEN as error:
        what = f"a damaged zip, or an incomplete download: {error}"
        raise DataError(what, "get it again", zip_path.name) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"cannot be read: {reason}", "check the file", zip_path.name) from error


def _checked_members(archive: zipfile.ZipFile, zip_path: Path) -> list[zipfile.ZipInfo]:
    """The members to write, after all were looked at."""
    names: dict[str, str] = {}
    written = []
    for info in archive.infolist():
        where = f"{zip_path.name}:{info.orig_filename[:200]}"
        if fault := _fault(info):
            raise DataError(f"this member {fault}", _DISTRUST, where)
        if info.is_dir():
            continue
        # Names that only some file systems tell apart would overwrite each other on the others.
        key = unicodedata.normalize("NFC", str(_path(info))).casefold()
        if key in names:
            what = f"this member is there twice, the first as {names[key][:200]!r}"
            raise DataError(what, _DISTRUST, where)
        names[key] = info.filename
        if _is_written(info):
            written.append(info)
            if info.flag_bits & 0x2041:
                raise DataError("this member is encrypted", "unpack the zip by hand", where)
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                what = f"this member is packed by method {info.compress_type}"
                raise DataError(what, "unpack the zip by hand", where)
    for key in names:
        if other := next(
            (names[str(p)] for p in PurePosixPath(key).parents if str(p) in names), ""
        ):
            where = f"{zip_path.name}:{other[:200]}"
            raise DataError("this member is a file and a folder", _DISTRUST, where)
    size, packed = sum(info.file_size for info in written), zip_path.stat().st_size
    if size > max(HARMLESS, MAX_RATIO * packed):
        what = f"a zip bomb: {packed / 1e6:,.1f} MB would become {size / 1e6:,.1f} MB"
        raise DataError(what, _DISTRUST, zip_path.name)
    return written


def _fault(info: zipfile.ZipInfo) -> str:
    """Why nothing of a zip with this member is written; empty where it is harmless."""
    name = info.orig_filename  # zipfile cuts ``filename`` at a NUL
    parts = name.split("/")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if re.search(r"[\x00-\x1f\x7f]", name.removesuffix("Icon\r")):  # Finder writes "Icon\r"
        return "has a control character in its name"
    if not name:
        return "has no name"
    if "\\" in name:
        return "has a backslash in its name"
    if name.startswith("/") or any(re.match(r"[A-Za-z]:", part) for part in parts):
        return "has an absolute name"
    if ".." in parts:
        return "has a name that leads out of the folder"
    if max(len(part.encode()) for part in parts) > 255 or len(name) > 1000:
        return "has a name that is too long"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or another special file"
    return ""


def _path(info: zipfile.ZipInfo) -> PurePosixPath:
    return PurePosixPath(info.filename)


def _is_written(info: zipfile.ZipInfo) -> bool:
    path = _path(info)
    is_data = path.suffix.lower() in WRITTEN and not any(map(is_clutter, path.parts))
    return is_data and not info.is_dir()


def _refuse_full_disk(folder: Path, need: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < need:
        what = f"no space to unpack: need {need / 1e6:,.1f} MB, {free / 1e6:,.1f} MB free"
        do = "free some space and run the same command again"
        raise EnvironmentProblem(what, do, folder.name)


def _write_all(
    archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], target: Path, stamp: dict[str, Any]
) -> None:
    """Replace *target*; the caller holds its lock."""
    prefix = f".{target.name}."
    for left in target.parent.iterdir():
        if left.name.startswith(prefix) and left.name.endswith(".partial"):
            shutil.rmtree(left, ignore_errors=True)  # of a process that was killed
    token = secrets.token_hex(4)
    building, old = (target.with_name(f"{prefix}{token}{n}.partial") for n in ("new", "old"))
    try:
        building.mkdir()
        for info in members:
            _write(archive, info, building / _path(info))
        write_text(building / _STAMP, json.dumps(stamp))
        if target.exists():
            target.rename(old)
        building.rename(target)
        sync_folder(target.parent)
    finally:
        shutil.rmtree(building, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _write(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with archive.open(info) as source, open(path, "xb") as file:
            # zipfile gives no more than the declared size, and compares the checksum at its end.
            shutil.copyfileobj(source, file, 1 << 20)
            if file.tell() != info.file_size:
                raise EOFError(f"{file.tell():,} of {info.file_size:,} bytes")
    except _BROKEN as error:
        where = f"{Path(str(archive.filename)).name}:{info.filename}"
        raise DataError(f"this member is damaged: {error}", "get the zip again", where) from error


def _is_ours(target: Path, zip_path: Path) -> bool:
    """Whether *target* is free or was made from a zip of this name."""
    if not os.path.lexists(target):
        return True
    return (_read_stamp(target) or {}).get("zip") == zip_path.name


def _stamp_of(archive: zipfile.ZipFile, zip_path: Path) -> dict[str, Any]:
    """What tells a zip from another: its directory holds every member's name, size and checksum."""
    assert archive.fp is not None
    archive.fp.seek(archive.start_dir)
    directory = hashlib.file_digest(archive.fp, "sha256").hexdigest()  # type: ignore[arg-type]
    return {"zip": zip_path.name, "size": zip_path.stat().st_size, "directory": directory}


def _read_stamp(folder: Path) -> dict[str, Any]:
    """The stamp of a folder that :func:`unpack` made; empty for any other, and for a link to one."""
    try:
        path = folder / _STAMP
        is_ours = path.is_file() and not path.is_symlink() and not folder.is_symlink()
        stamp = parse_json(path.read_bytes()) if is_ours else {}
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}
