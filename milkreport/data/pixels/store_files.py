"""The files of pixel stores: rows of equal length, a record for each, and when they are whole.

A store is two files in the cache, named by its key. ``KEY.u8`` holds the rows, ``KEY.jsonl`` a header and
the rows' records. While it is packed the records are in ``KEY.partial``, which is renamed last: rows
without ``KEY.jsonl`` are a partial store, and packing goes on after the last row whose hash is right.
Each line has a checksum and each row a hash that is verified whenever a store is opened, so nothing
here waits for the disk: what a power cut took is noticed and made again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from filelock import BaseFileLock, FileLock, Timeout

from milkreport.atomic import disk_problem
from milkreport.data.pixels.decode import Pixels
from milkreport.parse import parse_json

Header = dict[str, Any]
Record = list[Any]
T = TypeVar("T")
R = TypeVar("R")

_KEY = re.compile(r"[0-9a-f]{24}")
#: Folder beside the stores for the features that frozen backbones made of their images.
EMBEDDINGS = "embeddings"
# The last is the index of version 0.1.
_SUFFIXES = (".jsonl", ".partial", ".u8", ".json")
_BLOCK = 4  # items that a thread is given at a time
_SPAN = 8_000_000  # bytes of rows that a thread verifies at a time


@dataclass(frozen=True)
class StoreInfo:
    """A store in the cache. ``size``: pixels. ``created`` and ``used``: seconds since 1970, from the files.

    ``name``: of the data set; "" where the store's header cannot be read. ``n_images``: of the whole
    store, packed or not.
    """

    key: str
    name: str
    n_images: int
    size: int
    rule: str
    n_bytes: int
    created: float
    used: float
    complete: bool


@dataclass(frozen=True)
class StoreFiles:
    """The files of one store, and what they must hold. A record's first value is its row's hash.

    ``header``: for :func:`list_stores`; what the rows are is in the key.
    """

    folder: Path
    key: str
    header: Header
    n_rows: int
    row_bytes: int
    workers: int

    @property
    def pixels(self) -> Path:
        """The rows, one after another."""
        return self.folder / f"{self.key}.u8"

    @property
    def records(self) -> Path:
        """Header and records; its presence says that the store is whole."""
        return self.folder / f"{self.key}.jsonl"

    @property
    def partial(self) -> Path:
        """Header and records of the rows packed so far."""
        return self.folder / f"{self.key}.partial"

    @property
    def lock(self) -> BaseFileLock:
        """To be held while the files are read as a whole or written."""
        return FileLock(self.folder / f"{self.key}.lock")

    def load(self) -> list[Record]:
        """The rows' records, all rows verified.

        Raises:
            ValueError: what is damaged.
        """
        header, records, ends = _load_lines(self.records)
        if not header or len(records) != self.n_rows:
            raise ValueError(f"its index is damaged at line {len(ends) + 1}")
        if ends[-1] != self.records.stat().st_size:
            raise ValueError("its index has lines too many")
        length = self.pixels.stat().st_size if self.pixels.is_file() else 0
        if length != self.n_rows * self.row_bytes:
            raise ValueError(f"{length:,} bytes where {self.n_rows * self.row_bytes:,} belong")
        good = self._count_good(records)
        if good < self.n_rows:
            raise ValueError(f"row {good + 1} of {self.n_rows:,} has changed")
        return records

    def pack(self, rows_from: Callable[[int], Iterable[tuple[Pixels, Record]]]) -> list[Record]:
        """Write the missing rows: *rows_from* gives rows and their records from a position on.

        Returns:
            The records of all rows.

        Raises:
            OSError: the disk is full or refuses; then nothing of the store is left.
        """
        header, records, ends = _load_lines(self.partial)
        done = 0
        if header and self.pixels.is_file():
            done = self._count_good(records[: self.pixels.stat().st_size // self.row_bytes])
        del records[done:]
        needed = (self.n_rows - done) * self.row_bytes
        if shutil.disk_usage(self.folder).free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        try:
            if done:
                os.truncate(self.pixels, done * self.row_bytes)
                os.truncate(self.partial, ends[done])
            else:
                # Not emptied but removed: another process may still have the old rows mapped.
                self.remove()
            with self.pixels.open("ab") as pixels, self.partial.open("ab") as journal:
                if not done:
                    journal.write(_as_line(self.header))
                for row, record in rows_from(done):
                    # The row is with the system before its record is: a kill in between costs the row.
                    pixels.write(row.data)
                    pixels.flush()
                    journal.write(_as_line(record))
                    journal.flush()
                    records.append(record)
            os.replace(self.partial, self.records)
        except OSError:
            self.remove()
            raise
        return records

    def remove(self) -> int:
        """Delete the store's files, those that say it is whole first; the bytes that were freed."""
        freed = 0
        for suffix in _SUFFIXES:
            path = self.folder / f"{self.key}{suffix}"
            with suppress(FileNotFoundError):
                freed += path.stat().st_size
                path.unlink()
        for path in (self.folder / EMBEDDINGS).glob(f"{self.key}-*"):
            freed += path.stat().st_size
            path.unlink()
        return freed

    def _count_good(self, records: Sequence[Record]) -> int:
        """How many rows, from the first on, have the hash that their record says."""
        n_span = max(1, _SPAN // self.row_bytes)

        def check(start: int) -> int:
            # Read through a small buffer: verified by the memory map, all rows would count as memory used.
            buffer = bytearray(self.row_bytes)
            with self.pixels.open("rb", buffering=0) as file:
                file.seek(start * self.row_bytes)
                for row, record in enumerate(records[start : start + n_span], start):
                    n_read = file.readinto(buffer)
                    if n_read != self.row_bytes or hash_row(buffer) != record[0]:
                        return row
            return min(start + n_span, len(records))

        starts = range(0, len(records), n_span)
        ends = map_in_order(check, starts, self.workers)
        for start, end in zip(starts, ends, strict=True):
            if end < min(start + n_span, len(records)):
                return end
        return len(records)


def list_stores(folder: Path) -> list[StoreInfo]:
    """What stores *folder* holds, whole ones and partial ones, by key."""
    return [info for key in _list_keys(folder) if (info := _describe(folder, key))]


def clear_stores(folder: Path, keys: Sequence[str] | None = None) -> int:
    """Delete stores, whole ones and partial ones: those of *keys*, else all.

    A store that is being packed or opened stays, and so does every file that belongs to no store.

    Returns:
        The bytes that were freed.

    Raises:
        EnvironmentProblem: a file cannot be deleted.
    """
    freed = 0
    for key in _list_keys(folder):
        if keys is not None and key not in keys:
            continue
        files = StoreFiles(folder, key, {}, 0, 1, 1)
        try:
            with files.lock.acquire(timeout=0) as lock:
                freed += files.remove()
                Path(lock.lock_file).unlink(missing_ok=True)
        except Timeout:
            continue
        except OSError as error:
            raise disk_problem(error, folder) from error
    return freed


def map_in_order(work: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """``map`` in threads, in order, with few results waiting, however many items there are."""
    source = iter(items)
    # A few items at a time: handing over a task costs as much as a small one.
    blocks = iter(lambda: list(islice(source, _BLOCK)), [])
    waiting = deque[Future[list[R]]]()
    with ThreadPoolExecutor(workers) as pool:
        for block in blocks:
            waiting.append(pool.submit(lambda some: [work(item) for item in some], block))
            if len(waiting) > workers + 2:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def hash_row(row: memoryview | bytearray) -> str:
    """SHA-256 of a row's bytes, 32 hex digits of it."""
    return hashlib.sha256(row).hexdigest()[:32]


def _list_keys(folder: Path) -> list[str]:
    ours = {*_SUFFIXES, ".lock"}
    files = [path for path in folder.glob("*") if path.suffix in ours and path.is_file()]
    return sorted({path.stem for path in files if _KEY.fullmatch(path.stem)})


def _describe(folder: Path, key: str) -> StoreInfo | None:
    files = StoreFiles(folder, key, {}, 0, 1, 1)
    stats = {}
    for suffix in _SUFFIXES:
        with suppress(FileNotFoundError):  # another process may clear it at this moment
            stats[suffix] = (folder / f"{key}{suffix}").stat()
    if not stats:
        return None
    complete = ".jsonl" in stats
    header, _, _ = _load_lines(files.records if complete else files.partial, only_header=True)
    return StoreInfo(
        key=key,
        name=str(header.get("name", "")),
        n_images=int(header.get("n_images", 0)),
        size=int(header.get("size", 0)),
        rule=str(header.get("rule", "")),
        n_bytes=sum(stat.st_size for stat in stats.values()),
        created=min(stat.st_mtime for stat in stats.values()),
        used=max(stat.st_mtime for stat in stats.values()),
        complete=complete,
    )


def _as_line(record: Header | Record) -> bytes:
    text = json.dumps(record).encode() + b"\n"
    return b"%08x " % zlib.crc32(text) + text


def _load_lines(path: Path, only_header: bool = False) -> tuple[Header, list[Record], list[int]]:
    """The header and the records before the first damaged line, and where all these lines end."""
    lines: list[Any] = []
    ends: list[int] = []
    with suppress(FileNotFoundError), path.open("rb") as file:
        for line in file:
            mark, _, text = line.partition(b" ")
            if mark != b"%08x" % zlib.crc32(text):
                break
            lines.append(parse_json(text))
            ends.append(len(line) + (ends[-1] if ends else 0))
            if only_header:
                break
    return lines[0] if lines else {}, lines[1:], ends
