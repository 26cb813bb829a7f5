"""The ledger: a line for each training that was begun on this machine, each with the hash of the line before.

It shows what is left out of a report: more seeds, restarts, abandoned trainings, other settings. A line
that is changed, removed or moved breaks the chain. It holds names, hashes and times, no path and no case.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from milkreport.atomic import disk_problem, sync_folder
from milkreport.errors import EnvironmentProblem
from milkreport.evaluation.records.adherence import Moment, Sha256
from milkreport.evaluation.records.data import Record
from milkreport.parse import parse_json
from milkreport.registration.record import canonical, hash_of
from milkreport.runs.manifest import read_clock

#: Below the cache; a folder of its own, because stores lie in the cache itself.
FOLDER, FILE = "ledger", "trainings.jsonl"
#: Before the first line.
ORIGIN = "0" * 64
#: Bytes of a line (ours have 600), and of the whole file: 400,000 lines, four for each training of the
#: largest run.
MOST_LINE, MOST_BYTES = 4_096, 250_000_000
#: Seconds that another process may hold the ledger; an entry takes milliseconds.
_PATIENCE = 30

#: ``registered``: a registration was written. ``begun``: a training started from its first step;
#: ``resumed``: from a checkpoint. ``stopped``: by a signal; a killed training has no end. ``reused``: a
#: finished training of another run was taken over. ``repeated``: ``check --exact`` trained a finished one
#: again, to compare.
Kind = Literal["registered", "begun", "resumed", "done", "failed", "stopped", "reused", "repeated"]


class Event(Record):
    """What happened, without its place in the chain.

    ``data`` and ``suite``: SHA-256 of the data, and of the settings that all trainings of a suite share
    (:func:`milkreport.registration.declare.suite_key`). ``registration``: its hash; empty: none. ``run``: a
    random id of the run folder.
    """

    kind: Kind
    data: Sha256
    suite: Sha256
    registration: str = ""
    arm: str = ""
    seed: int | None = None
    fold: int | None = None
    run: str = ""


class Entry(Event):
    """A line of the ledger: an event with number (from 1), time, hash of the line before and own hash."""

    n: int
    time: Moment
    previous: Sha256
    hash: str = ""


@dataclass(frozen=True)
class Chain:
    """The ledger as it was read. ``problem``: the first line that does not fit, by number; else empty."""

    entries: tuple[Entry, ...]
    problem: str = ""

    @property
    def head(self) -> str:
        """Hash of the last line."""
        return self.entries[-1].hash if self.entries else ORIGIN

    def holds(self, n: int, head: str) -> bool:
        """Whether the first *n* lines are those whose last had the hash *head*."""
        return n == 0 or (n <= len(self.entries) and self.entries[n - 1].hash == head)


class Ledger:
    """The ledger of a cache folder, which need not be there."""

    def __init__(self, cache: Path) -> None:
        self.path = cache / FOLDER / FILE

    def append(self, event: Event) -> Entry:
        """Add a line, whole and durable; processes that add at once take turns.

        What a crash left of a last line is cut off: its event was never recorded.

        Raises:
            EnvironmentProblem: it cannot be written, is full or a link, or its last line is damaged.
        """
        folder = self.path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / ".lock", timeout=_PATIENCE), _opened(self.path) as handle:
                size = os.fstat(handle).st_size
                last, end = _last_entry(handle, size, self.path)
                os.ftruncate(handle, end)
                entry = _follow(last, event)
                _write_line(handle, end, canonical(entry.model_dump(mode="json")) + b"\n")
            if last is None:
                sync_folder(folder)
        except Timeout as error:
            what = "the ledger is held by another process"
            raise EnvironmentProblem(what, "see what hangs", str(self.path)) from error
        except OSError as error:
            raise disk_problem(error, folder) from error
        return entry

    def load(self) -> Chain:
        """Read all lines and follow the chain; an unfinished last line is left out.

        Raises:
            EnvironmentProblem: it cannot be read, is a link, or too large.
        """
        if not os.path.lexists(self.path):
            return Chain(())
        try:
            with (
                _opened(self.path, os.O_RDONLY) as handle,
                open(handle, "rb", closefd=False) as file,
            ):
                data = file.read(MOST_BYTES + 1)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise EnvironmentProblem(f"cannot be read: {reason}", "", str(self.path)) from error
        if len(data) > MOST_BYTES:
            what = f"more than {MOST_BYTES:,} bytes"
            raise EnvironmentProblem(what, "move it elsewhere and keep it", str(self.path))
        return read_chain(data)


def read_chain(data: bytes) -> Chain:
    """Follow the chain through the bytes of a ledger; lines that fit no entry are left out and named."""
    entries: list[Entry] = []
    problem = ""
    whole = data[: data.rfind(b"\n") + 1]
    for number, line in enumerate(whole.split(b"\n")[:-1], 1):
        try:
            entry, wrong = _read_line(line), ""
        except ValueError as error:
            entry, wrong = None, str(error).splitlines()[0][:120]
        if entry is not None:
            previous = entries[-1] if entries else None
            wrong = _misfit(entry, previous)
            entries.append(entry)
        if wrong and not problem:
            problem = f"line {number:,}: {wrong}"
    return Chain(tuple(entries), problem)


def _misfit(entry: Entry, previous: Entry | None) -> str:
    """Why *entry* is not the line after *previous*; empty if it is."""
    if entry.hash != hash_of(entry.model_dump(mode="json")):
        return "changed since it was written"
    expected = (previous.n + 1, previous.hash) if previous else (1, ORIGIN)
    if (entry.n, entry.previous) != expected:
        return f"does not follow the line before it: entry {entry.n:,} after {expected[0] - 1:,}"
    return ""


def _read_line(line: bytes) -> Entry:
    if len(line) > MOST_LINE:
        raise ValueError(f"{len(line):,} bytes, at most {MOST_LINE:,} are read")
    value = parse_json(line)
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    try:
        return Entry.model_validate(value)
    except ValueError as error:
        raise ValueError("not an entry of a ledger") from error


def _follow(last: Entry | None, event: Event) -> Entry:
    entry = Entry(
        **event.model_dump(),
        n=last.n + 1 if last else 1,
        time=read_clock(),
        previous=last.hash if last else ORIGIN,
    )
    return entry.model_copy(update={"hash": hash_of(entry.model_dump(mode="json"))})


@contextlib.contextmanager
def _opened(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> Iterator[int]:
    """A handle of a regular file that is no link; nothing that is opened can block."""
    safe = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    handle = os.open(path, flags | safe, 0o644)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            what = "a folder, pipe or device, no ledger"
            raise EnvironmentProblem(what, "remove it", str(path))
        yield handle
    finally:
        os.close(handle)


def _last_entry(handle: int, size: int, path: Path) -> tuple[Entry | None, int]:
    """The last whole line's entry, ``None`` in an empty ledger, and where it ends, in bytes."""
    do = "keep it, and move it elsewhere: milkreport ledger names the line"
    if size > MOST_BYTES:
        raise EnvironmentProblem("the ledger is full", do, str(path))
    start = max(size - 2 * MOST_LINE, 0)
    os.lseek(handle, start, os.SEEK_SET)
    tail = os.read(handle, size - start)
    end = tail.rfind(b"\n") + 1
    if end == 0:
        if start:
            raise EnvironmentProblem("the last line of the ledger is damaged", do, str(path))
        return None, 0
    line = tail[: end - 1].rsplit(b"\n", 1)[-1]
    try:
        return _read_line(line), start + end
    except ValueError as error:
        raise EnvironmentProblem("the last line of the ledger is damaged", do, str(path)) from error


def _write_line(handle: int, end: int, line: bytes) -> None:
    """Write *line* at *end* and make it durable; what fits only in part is taken back."""
    try:
        os.lseek(handle, end, os.SEEK_SET)
        if os.write(handle, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(handle)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(handle, end)
        raise
