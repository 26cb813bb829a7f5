"""The pixel store: every image decoded once, for all runs that use the same image files.

Its key is over case ids, views, the files' bytes and suffixes, the size and the rule of
:mod:`milkreport.data.pixels.decode`; :mod:`milkreport.data.pixels.store_files` says how it is kept.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import platformdirs
from filelock import Timeout

from milkreport.atomic import disk_problem
from milkreport.data.cases import Cases
from milkreport.data.pixels.decode import RULES, Decoder, Pixels, require_decoder
from milkreport.data.pixels.sources import RECORD, Source, decode_row, find_source, list_sources
from milkreport.data.pixels.store_files import (
    Record,
    StoreFiles,
    StoreInfo,
    clear_stores,
    list_stores,
    map_in_order,
)
from milkreport.errors import DataError, EnvironmentProblem

__all__ = [
    "Notice",
    "PixelStore",
    "Progress",
    "StoreInfo",
    "cache_folder",
    "clear_stores",
    "list_stores",
    "open_store",
]

Progress = Callable[[int, int], None]
Notice = Callable[[str], None]

_SCHEMA = 2
_MAPPED = 256_000_000  # bytes
_FOUND = ["case_id", "view", "file", "n_bytes", "sha256"]


@dataclass(frozen=True)
class _Mapped:
    """Where the pixels of a store lie."""

    path: str
    shape: tuple[int, ...]

    def open(self) -> Pixels:
        what = "the decoded images are not on this machine"
        do = "put the cache on a folder that all machines share (--cache-dir)"
        if not Path(self.path).with_suffix(".jsonl").is_file():
            raise EnvironmentProblem(what, do, self.path)  # none, or not all of them
        try:
            return np.memmap(self.path, np.uint8, "r", shape=self.shape)
        except (OSError, ValueError) as error:
            raise EnvironmentProblem(f"{what}: {error}", do, self.path) from error


@dataclass(frozen=True, eq=False)
class PixelStore:
    """All images of some cases at one size.

    ``pixels``: uint8 of shape (n_packed, n_views, size, size, 3), 0 to 255, read-only memory map of
    everything that was packed. ``rows``: int64 of shape (n_cases,), where in it each case stands; a store
    that was taken from another shares its pixels. ``images``: one row a (case, view), all views of a
    case together, in the order of the cases: ``case_id``, ``view``, ``file`` (from the data's folder; ""
    if the case has no such view), ``n_bytes``, ``sha256`` (of the file), ``format``, ``mode``, ``width``,
    ``height``, ``pixel_hash`` (of the row), ``phash`` (:func:`perceptual_hash`), ``image_hash`` (equal for
    identical images, :func:`milkreport.data.pixels.sources.hash_image`), ``problem`` (kind of
    :class:`BadImage`, "outside", or ""), ``what``, ``do``. The pixels of an image with a problem are 0.
    ``fingerprint``: SHA-256 over case ids, views and the image files' bytes. ``key``: names the store.
    """

    pixels: Pixels
    images: pd.DataFrame
    rows: npt.NDArray[np.int64]
    fingerprint: str
    key: str
    _gathered: list[int] = field(default_factory=lambda: [0], repr=False)

    @property
    def size(self) -> int:
        """Side of an image in pixels."""
        return int(self.pixels.shape[2])

    def __getstate__(self) -> dict[str, Any]:
        """Pixels that are mapped from a file travel to other processes as the file's name."""
        state = dict(self.__dict__, _gathered=[0])
        if isinstance(self.pixels, np.memmap):
            state["pixels"] = _Mapped(str(self.pixels.filename), self.pixels.shape)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if isinstance(mapped := state["pixels"], _Mapped):
            state = state | {"pixels": mapped.open()}
        self.__dict__.update(state)

    def take(self, positions: npt.ArrayLike) -> PixelStore:
        """The cases at *positions*, in that order; copies no pixels."""
        wanted = np.asarray(positions, np.int64)
        records = np.arange(len(self.images)).reshape(-1, self.pixels.shape[1])[wanted].ravel()
        images = self.images.iloc[records].reset_index(drop=True)
        fingerprint = _fingerprint(images, images["problem"])
        return replace(self, images=images, rows=self.rows[wanted], fingerprint=fingerprint)

    def rows_at(self, positions: npt.ArrayLike) -> PixelStore:
        """The pixels of the cases at *positions*, in that order, without the records of their files."""
        wanted = np.asarray(positions, np.int64)
        text = f"{self.fingerprint}/{hashlib.sha256(wanted.tobytes()).hexdigest()}"
        fingerprint = hashlib.sha256(text.encode()).hexdigest()
        none = self.images.iloc[:0]
        return replace(self, images=none, rows=self.rows[wanted], fingerprint=fingerprint)

    def batch(
        self,
        positions: npt.ArrayLike,
        out: npt.NDArray[Any] | None = None,
        dtype: npt.DTypeLike = np.uint8,
    ) -> npt.NDArray[Any]:
        """Gather the images of the cases at *positions*.

        Args:
            out: a C-contiguous array of the result's shape and dtype to fill; reusing one saves the
                time that fresh memory takes.
            dtype: uint8 for 0 to 255, or float32 for 0 to 1 exactly as ``ToTensor`` scales.

        Returns:
            Shape (n, n_views, size, size, 3); *out* if it was given.
        """
        rows = self.rows[np.asarray(positions, np.int64)]
        shape, kind = (len(rows), *self.pixels.shape[1:]), np.dtype(dtype)
        if kind not in (np.uint8, np.float32):
            raise ValueError(f"dtype is {kind}, not uint8 or float32")
        if out is None:
            out = np.empty(shape, kind)
        if out.shape != shape or out.dtype != kind or not out.flags.c_contiguous:
            raise ValueError(f"out is {out.dtype} {out.shape}, not {kind} {shape} in one piece")
        packed = np.asarray(self.pixels)
        for target, row in zip(out, rows, strict=True):
            for view, image in zip(target, packed[row], strict=True):
                # View by view: the floats are divided while the processor's cache has them.
                np.copyto(view, image)
                if kind == np.float32:
                    np.divide(view, np.float32(255), out=view)
        self._forget(out.size)
        return out

    def _forget(self, n_bytes: int) -> None:
        """Unmap what was read, now and then: else all that was ever read counts as this process's memory.

        The system keeps the pages as long as it has room; reading them again costs a mapping, not the disk.
        """
        self._gathered[0] += n_bytes
        if self._gathered[0] >= _MAPPED:
            self._gathered[0] = 0
            mapping: object = self.pixels.base
            if isinstance(mapping, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
                mapping.madvise(mmap.MADV_DONTNEED)


def cache_folder() -> Path:
    """Where stores are kept: ``$MILKREPORT_CACHE``, else the user's cache folder."""
    named = os.environ.get("MILKREPORT_CACHE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("milkreport"))


def open_store(
    cases: Cases,
    size: int,
    folder: Path,
    *,
    decoder: Decoder = "exact",
    progress: Progress | None = None,
    notice: Notice | None = None,
    workers: int | None = None,
) -> PixelStore:
    """Open the store of *cases* at *size* pixels below *folder*, packing it where it is missing.

    An image that is missing or bad raises nothing: its record says what is wrong with it. Processes
    that ask at once pack once; one that was killed is continued.

    Args:
        progress: called with the images done and all images after each one that is decoded.
        notice: called with a line where a damaged store is made again or another process is waited for.
        workers: threads; by default one for each processor, at most 16.

    Raises:
        DataError: there is no case or no view; an image file changed, or could no longer be read, while
            it was packed.
        EnvironmentProblem: the folder cannot be written, the disk is full, or what the decoder needs is
            not installed.
    """
    require_decoder(decoder)
    workers = workers or min(os.cpu_count() or 1, 16)
    notice = notice or (lambda line: None)
    find = partial(
        find_source,
        root=os.path.join(os.path.realpath(cases.root), ""),
        real_folder=lru_cache(maxsize=1024)(os.path.realpath),
    )
    sources = list(map_in_order(find, list_sources(cases), workers))
    if not sources:
        raise DataError("no case has an image", "name the images", str(cases.root))
    found = pd.DataFrame({name: [getattr(source, name) for source in sources] for name in _FOUND})
    fingerprint = _fingerprint(found, (source.problem for source in sources))
    shape = (len(cases.table), len(cases.views), size, size, 3)
    suffixes = "/".join(Path(source.file).suffix.lower() for source in sources)
    whole = f"{_SCHEMA}/{fingerprint}/{size}/{RULES[decoder]}/{suffixes}"
    header = {
        "name": cases.card.name,
        "n_images": sum(bool(source.file) for source in sources),
        "size": size,
        "rule": RULES[decoder],
    }
    key = hashlib.sha256(whole.encode()).hexdigest()[:24]
    files = StoreFiles(folder, key, header, len(sources), size * size * 3, workers)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _hold(files, notice):
            decoded = _load_or_pack(files, sources, size, decoder, progress, notice)
            os.utime(files.records)  # when it was last used
            pixels = np.memmap(files.pixels, np.uint8, "r", shape=shape)
    except OSError as error:
        raise disk_problem(error, folder, files.n_rows * files.row_bytes) from error
    images = pd.concat([found, pd.DataFrame(decoded, columns=list(RECORD))], axis=1)
    return PixelStore(pixels, images, np.arange(shape[0]), fingerprint, key)


def _fingerprint(images: pd.DataFrame, problems: Iterable[str]) -> str:
    digest = hashlib.sha256()
    columns = (images[name] for name in ("case_id", "view", "sha256"))
    for case_id, view, sha256, problem in zip(*columns, problems, strict=True):
        digest.update(f"{case_id}\0{view}\0{sha256 or problem}\n".encode())
    return digest.hexdigest()


def _hold(files: StoreFiles, notice: Notice) -> AbstractContextManager[object]:
    """The store's lock, held."""
    lock = files.lock
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        notice("waiting for another process that packs the same images")
        return lock.acquire()


def _load_or_pack(
    files: StoreFiles,
    sources: Sequence[Source],
    size: int,
    decoder: Decoder,
    progress: Progress | None,
    notice: Notice,
) -> list[Record]:
    """The records of a store that is whole; damaged or lacking, it is made first."""
    if files.records.exists():
        try:
            return files.load()
        except ValueError as damage:
            notice(f"the decoded images in store {files.key} are damaged: {damage}; decoding again")
            files.remove()

    def rows_from(start: int) -> Iterator[tuple[Pixels, Record]]:
        work = partial(decode_row, size=size, decoder=decoder)
        rows = map_in_order(work, sources[start:], files.workers)
        for done, row in enumerate(rows, start + 1):
            yield row
            if progress:
                progress(done, len(sources))

    with warnings.catch_warnings():
        # Pillow warns of broken EXIF and the like; what makes an image unusable is in its record.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        return files.pack(rows_from)
