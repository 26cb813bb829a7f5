"""The one way a file is written: whole or not at all.

Temporary file beside the target, fsync, ``os.replace``, fsync of the folder: after a crash at any
moment the target is the old file or the new one. What a crash leaves of temporaries, :func:`sweep` deletes.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

from milkreport.errors import EnvironmentProblem

_TEMPORARY = ".milkreport-tmp"


def write_bytes(path: Path, data: bytes) -> None:
    """Replace *path* by *data* atomically; its folder is made if need be.

    Raises:
        EnvironmentProblem: no space, no permission, or the folder is not one. Nothing is left behind.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(_TEMPORARY, f".{path.name}.", path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        temporary = None
        sync_folder(path.parent)
    except OSError as error:
        raise disk_problem(error, path.parent, len(data)) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace *path* by *text* in UTF-8, atomically; see :func:`write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def is_temporary(path: Path) -> bool:
    """Whether *path* is what a write that was killed left behind."""
    return path.name.endswith(_TEMPORARY)


def sweep(folder: Path) -> None:
    """Delete what killed writes left below *folder*, which this process must hold alone."""
    for path in folder.rglob(f".*{_TEMPORARY}"):
        path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a rename in *folder* durable, where the system lets folders be opened."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def disk_problem(error: OSError, folder: Path, needed: int = 0) -> EnvironmentProblem:
    """Put an operating system's refusal into one line that says what to do."""
    if error.errno == errno.ENOSPC:
        # The folder itself may be what there was no space for.
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        free = shutil.disk_usage(there).free
        what = f"no space left: need {needed / 1e6:.1f} MB, {free / 1e6:.1f} MB free"
        return EnvironmentProblem(
            what, "free some space and run the same command again", str(folder)
        )
    reason = (error.strerror or str(error)).lower()
    return EnvironmentProblem(f"cannot write: {reason}", "choose another folder", str(folder))
