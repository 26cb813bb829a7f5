"""What is read of a folder stays inside it: no link is followed, no name leads out, nothing opened can block.

Folders of runs, models and references may come from anybody. The folder that a user names may itself be a
link: that was the user's choice. What lies below it was not.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from milkreport.errors import DataError, MilkreportError

_REPLACE = "remove it, or put the file or folder itself in its place"


def refuse_links(folder: Path) -> None:
    """Walk all that lies below *folder*; a folder that is not there holds nothing.

    Raises:
        DataError: a symbolic link, a pipe, socket or device, or a folder that cannot be listed.
    """
    places = [os.fspath(folder)]
    while places:
        place = places.pop()
        try:
            with os.scandir(place) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            continue  # nothing there, or gone in the meantime
        except OSError as error:
            # Files of known names could be opened in it all the same, links among them.
            reason = (error.strerror or str(error)).lower()
            raise DataError(
                f"cannot be listed: {reason}", "check its permissions", place
            ) from error
        for entry in entries:
            if entry.is_symlink():
                raise DataError("a link, which is not followed here", _REPLACE, entry.path)
            if entry.is_dir(follow_symlinks=False):
                places.append(entry.path)
            elif not entry.is_file(follow_symlinks=False):
                refuse_special(Path(entry.path))  # or a temporary file that is gone


def plain_name(name: str) -> str:
    """*name*, which names a file in a folder and nothing outside of it.

    Raises:
        ValueError: empty, ``.`` or ``..``, with a separator or a NUL, or too long for a file.
    """
    if name in ("", ".", "..") or any(c in name for c in "/\\\0") or len(os.fsencode(name)) > 255:
        raise ValueError(f"{name[:80]!r} names no file of this folder")
    return name


#: The name of a file that a record says lies beside it.
FileName = Annotated[str, AfterValidator(plain_name)]


def within(folder: Path, *names: str) -> Path:
    """The path *folder*/*names*, each of which is a plain name and none a link; nothing need be there.

    Raises:
        DataError: a name that leads out of the folder, or a link on the way.
    """
    path = folder
    for name in names:
        try:
            path = path / plain_name(name)
        except ValueError as error:
            raise DataError(str(error), "get the folder again", str(path)) from error
        if path.is_symlink():
            raise DataError("a link, which is not followed here", _REPLACE, str(path))
    return path


def refuse_special(path: Path, kind: type[MilkreportError] = DataError) -> None:
    """Raise an error of *kind* where *path* is a pipe, socket or device: reading one may never end."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return  # whoever opens it says why it cannot be
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        what = "a pipe, socket or device, no regular file"
        raise kind(what, "save its content as a file first", str(path))
