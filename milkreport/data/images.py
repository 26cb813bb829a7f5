"""Images decoded once: a uint8 store that all cells share, memory-mapped.

Pixels equal Pillow's decode and bilinear resize (``torchvision.transforms.Resize`` on a PIL image).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import platformdirs
from filelock import FileLock
from PIL import Image, UnidentifiedImageError

from milkreport.atomic import disk_problem, sync_folder, write_text
from milkreport.data.cases import Cases
from milkreport.errors import DataError
from milkreport.tables import first_few

RULE = "pillow-rgb-bilinear-1"
MAX_PIXELS = 64_000_000
FORMATS = ("JPEG", "PNG")

Progress = Callable[[int, int], None]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class PixelStore:
    """All images of some cases at one size.

    ``pixels``: uint8 of shape (n_cases, n_views, size, size, 3), read-only memory map, 0 to 255.
    ``content``: hash of each image as decoded at its own size, shape (n_cases, n_views), text.
    """

    pixels: Pixels
    content: npt.NDArray[np.str_]
    fingerprint: str

    @property
    def size(self) -> int:
        """Side of an image in pixels."""
        return int(self.pixels.shape[2])


def cache_folder() -> Path:
    """Where stores are kept: ``$MILKREPORT_CACHE``, else the user's cache folder."""
    named = os.environ.get("MILKREPORT_CACHE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("milkreport"))


def image_fingerprint(cases: Cases) -> str:
    """SHA-256 over case ids, views and the bytes of every image file."""
    digest = hashlib.sha256()
    for view in cases.views:
        paths = [Path(path) for path in cases.image_paths(view)]
        with ThreadPoolExecutor(_workers()) as pool:
            for case, file_hash in zip(
                cases.table["case_id"], pool.map(_hash_file, paths), strict=True
            ):
                digest.update(f"{view}\0{case}\0{file_hash}\n".encode())
    return digest.hexdigest()


def open_store(
    cases: Cases, size: int, folder: Path, progress: Progress | None = None
) -> PixelStore:
    """Open the store of *cases* at *size* pixels below *folder*, building it where it lacks.

    Raises:
        DataError: an image is missing, damaged, not what its name says, or outside the data's folder.
        EnvironmentProblem: the folder cannot be written, or the disk is full.
    """
    refuse_outside(cases)
    refuse_missing(cases)
    fingerprint = image_fingerprint(cases)
    key = hashlib.sha256(f"{fingerprint}/{size}/{RULE}".encode()).hexdigest()[:24]
    target, index = folder / f"{key}.u8", folder / f"{key}.json"
    shape = (len(cases.table), len(cases.views), size, size, 3)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{key}.lock"):
            if not (index.is_file() and target.is_file() and target.stat().st_size == _n(shape)):
                built = _build(cases, target, shape, progress)
                # The index is written last: its presence says that the pixels are whole.
                write_text(index, json.dumps(built))
    except OSError as error:
        raise disk_problem(error, folder, _n(shape)) from error
    pixels = np.memmap(target, np.uint8, "r", shape=shape)
    content = np.array(json.loads(index.read_text(encoding="utf-8")), dtype=np.str_)
    return PixelStore(pixels, content, fingerprint)


def decode(path: Path, size: int) -> tuple[Pixels, str]:
    """Decode one image: uint8 of shape (size, size, 3), and the hash of its pixels as decoded.

    Raises:
        DataError: truncated, not a JPEG or PNG, or larger than 64 million pixels.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                what = f"{image.width} x {image.height} pixels, more than {MAX_PIXELS:,}"
                raise DataError(what, "shrink the image", str(path))
            rgb = image.convert("RGB")
    except UnidentifiedImageError as error:
        raise DataError("not a JPEG or PNG image", "get the file again", str(path)) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"damaged image: {error}", "get the file again", str(path)) from error
    content = hashlib.blake2b(
        f"{rgb.width}x{rgb.height}".encode() + rgb.tobytes(), digest_size=16
    ).hexdigest()
    if rgb.size != (size, size):
        rgb = rgb.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(rgb), content


def duplicate_groups(cases: Cases, store: PixelStore) -> tuple[list[str], int]:
    """Group ids under which cases that share a pixel-identical image stay together.

    Returns:
        A group id for each case (groups that are linked become one, named by their first), and the
        number of groups that were joined this way.
    """
    parent = {group: group for group in cases.table["group_id"]}

    def root(group: str) -> str:
        while parent[group] != group:
            group = parent[group]
        return group

    first: dict[str, str] = {}
    for group, contents in zip(cases.table["group_id"], store.content, strict=True):
        for content in contents:
            one, other = sorted((root(first.setdefault(str(content), group)), root(group)))
            parent[other] = one
    groups = [root(group) for group in cases.table["group_id"]]
    joined = {root(group) for group in parent if root(group) != group}
    return groups, len(joined)


def refuse_outside(cases: Cases) -> None:
    """Raise a DataError if an image path leads out of the data's folder, by a link too."""
    root = cases.root.resolve()
    for view in cases.views:
        for case, path in zip(cases.table["case_id"], cases.image_paths(view), strict=True):
            if not Path(path).resolve().is_relative_to(root):
                what = f"the {view} image lies outside the data's folder"
                raise DataError(what, "copy it into the folder", str(case))


def refuse_missing(cases: Cases) -> None:
    """Raise a DataError that counts the missing image files."""
    paths = [Path(path) for view in cases.views for path in cases.image_paths(view)]
    missing = [str(path.relative_to(cases.root)) for path in paths if not path.is_file()]
    if missing:
        what = f"{len(missing)} of {len(paths)} image files are missing: {first_few(missing)}"
        raise DataError(what, "complete the download", str(cases.root))


def _build(
    cases: Cases, target: Path, shape: tuple[int, ...], progress: Progress | None
) -> list[list[str]]:
    n_cases, n_views, size = shape[:3]
    jobs = [
        (Path(path), row, column)
        for column, view in enumerate(cases.views)
        for row, path in enumerate(cases.image_paths(view))
    ]
    content = [[""] * n_views for _ in range(n_cases)]
    bad: list[DataError] = []
    partial = target.with_suffix(f".{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            # Reserving the space first turns a full disk into an error here, not a bus error later.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, _n(shape))
            else:
                file.truncate(_n(shape))
        pixels = np.memmap(partial, np.uint8, "r+", shape=shape)

        def work(job: tuple[Path, int, int]) -> None:
            path, row, column = job
            try:
                pixels[row, column], content[row][column] = decode(path, size)
            except DataError as error:
                bad.append(error)

        with ThreadPoolExecutor(_workers()) as pool:
            for done, _ in enumerate(pool.map(work, jobs), 1):
                if progress:
                    progress(done, len(jobs))
        if bad:
            first = min(bad, key=str)
            what = f"{first.what} ({len(bad)} bad of {len(jobs)} images)"
            raise DataError(what, first.do, first.where)
        pixels.flush()
        os.replace(partial, target)
        sync_folder(target.parent)
    finally:
        partial.unlink(missing_ok=True)
    return content


def _hash_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _workers() -> int:
    return min(os.cpu_count() or 1, 16)


def _n(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64))
