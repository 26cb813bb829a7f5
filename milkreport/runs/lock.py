"""The lock of a folder that a run or a fine-tuning writes: held by one process, whose name lies beside it."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from milkreport.atomic import disk_problem, sweep, write_text
from milkreport.errors import EnvironmentProblem
from milkreport.inside import refuse_links
from milkreport.runs.manifest import read_clock

LOCK, HOLDER = ".lock", ".lock-holder"


@contextlib.contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the folder *path* for this process; made if it is missing, and removed if it stays empty.

    Raises:
        EnvironmentProblem: another process holds it, or the folder cannot be made.
        DataError: a link lies in it, through which something else would be written.
    """
    refuse_links(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_problem(error, path) from error
    holder = path / HOLDER
    lock = FileLock(path / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        who = holder.read_text(encoding="utf-8") if holder.is_file() else "another process"
        do = "wait for it, or use another --out"
        raise EnvironmentProblem(f"in use by {who}", do, str(path)) from error
    except OSError as error:
        raise disk_problem(error, path) from error
    try:
        sweep(path)
        who = f"pid {os.getpid()} on {socket.gethostname()} since {read_clock()}"
        write_text(holder, who)
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()
        if {file.name for file in path.iterdir()} <= {LOCK}:
            # Refused before it began: nothing of it stays.
            (path / LOCK).unlink(missing_ok=True)
            path.rmdir()


def load_holder(path: Path) -> str:
    """Who holds the folder *path*; empty where nobody does."""
    note = path / HOLDER
    if not note.is_file():
        return ""
    try:
        with FileLock(path / LOCK, timeout=0):
            return ""
    except Timeout:
        return note.read_text(encoding="utf-8")
    except OSError:
        return ""  # a folder that cannot be written is trained by nobody here
