"""The image files that cases name: found, hashed and decoded into rows of a pixel store."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from milkreport.data.cases import Cases
from milkreport.data.pixels.decode import BadImage, Decoded, Decoder, Pixels, decode, open_image
from milkreport.data.pixels.perceptual_hash import perceptual_hash
from milkreport.data.pixels.store_files import Record, hash_row
from milkreport.errors import DataError

#: What a record says, in its order: of the row, of the file's header, of the picture, of a problem.
RECORD = (
    *("pixel_hash", "format", "mode", "width", "height", "phash", "image_hash"),
    *("problem", "what", "do"),
)

_CHUNK = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Source:
    """An image file as it was found. ``path``: None if the case has no such view. ``time``: in ns."""

    case_id: str
    view: str
    path: str | None
    file: str
    n_bytes: int = 0
    time: int = 0
    sha256: str = ""
    problem: str = ""
    what: str = ""
    do: str = ""


def list_sources(cases: Cases) -> Iterator[Source]:
    """The image files that the table names, all views of a case together."""
    root = os.path.abspath(cases.root) + os.sep
    columns = [cases.image_paths(view) for view in cases.views]
    for case_id, *paths in zip(cases.table["case_id"], *columns, strict=True):
        for view, path in zip(cases.views, paths, strict=True):
            if pd.isna(path):
                yield Source(str(case_id), view, None, "")
                continue
            path = str(path)
            file = path.removeprefix(root) if path.startswith(root) else os.path.basename(path)
            yield Source(str(case_id), view, path, file.replace(os.sep, "/"))


def find_source(source: Source, root: str, real_folder: Callable[[str], str]) -> Source:
    """Look for an image file and hash its bytes.

    Args:
        root: the data's folder without links, ending in a slash.
        real_folder: a folder's path without links; remembers, because most files share theirs.
    """
    if source.path is None:
        return source
    folder, name = os.path.split(source.path)
    real = os.path.join(real_folder(folder), name)
    if os.path.islink(real):
        real = os.path.realpath(real)
    if not real.startswith(root):
        what = f"the {source.view} image lies outside the data's folder"
        return replace(source, problem="outside", what=what, do="copy it into the folder")
    digest = hashlib.sha256()
    try:
        # Unbuffered: threads take turns at every call to the system, and each turn costs.
        with open_image(Path(source.path), buffering=0) as file:
            stat = os.fstat(file.fileno())
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except BadImage as error:
        return replace(source, problem=error.kind, what=error.what, do=error.do)
    return replace(source, n_bytes=stat.st_size, time=stat.st_mtime_ns, sha256=digest.hexdigest())


def decode_row(source: Source, size: int, decoder: Decoder) -> tuple[Pixels, Record]:
    """One image's row and what decoding says of it; zeros for none and for a bad one."""
    problem = [source.problem, source.what, source.do]
    if source.path is not None and not source.problem:
        try:
            image = decode(Path(source.path), size, decoder)
        except BadImage as error:
            _refuse_changed(source, error)
            problem = [error.kind, error.what, error.do]
        else:
            _refuse_changed(source)
            said = [image.format, image.mode, image.width, image.height, perceptual_hash(image.rgb)]
            row = [hash_row(image.pixels.data), *said, hash_image(image), *problem]
            return image.pixels, row
    nothing = np.zeros((size, size, 3), np.uint8)
    return nothing, [hash_row(nothing.data), "", "", 0, 0, "", "", *problem]


def hash_image(image: Decoded) -> str:
    """What makes two images identical: SHA-256 (32 hex digits) of size and pixels before resizing.

    That is the image's own size, but for a JPEG that the fast decoder reduced: then the pixels as reduced.
    """
    # Sides in ascending order: the file's are those before its orientation was applied.
    sides = sorted((image.width, image.height))
    digest = hashlib.sha256(f"{sides} {image.rgb.size}".encode())
    width, height = image.rgb.size
    rows = max(_CHUNK // (3 * width), 1)
    for top in range(0, height, rows):  # a copy of all pixels would double the memory
        digest.update(image.rgb.crop((0, top, width, min(top + rows, height))).tobytes())
    return digest.hexdigest()[:32]


def _refuse_changed(source: Source, error: BadImage | None = None) -> None:
    """Raise a DataError where the file is not the one that was hashed, or the disk failed."""
    assert source.path is not None
    try:
        stat = os.stat(source.path)
        same = (stat.st_size, stat.st_mtime_ns) == (source.n_bytes, source.time)
    except OSError:
        same = False
    if not same:
        what = "the file changed while images were decoded"
        raise DataError(what, "run the same command again when nothing writes to it", source.file)
    if error and isinstance(error.__cause__, OSError) and error.__cause__.errno:
        raise DataError(error.what, "run the same command again", source.file) from error
