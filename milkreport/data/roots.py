"""Which folders the description of a data set may name: its own, and those that the user allows.

A ``milkreport.toml`` may come from elsewhere, together with its folder. What it names is read, and shown in
reports; so no path in it leads out of the folder that holds it, also not through a link.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from milkreport.errors import ConfigError, DataError
from milkreport.tables import shown

#: What the user allowed for this process. A permission and no setting: it is no part of what a run is.
_ALLOWED: list[Path] = []


def allow_roots(folders: Sequence[Path]) -> None:
    """Let descriptions name these folders and what is below them, and no others outside their own.

    Raises:
        ConfigError: one is not a folder.
    """
    for folder in folders:
        if not os.path.isdir(folder):
            raise ConfigError("no such folder", "name a folder", f"--allow-root {folder}")
    _ALLOWED[:] = [folder.resolve() for folder in folders]


def stay_below(name: str | Path, folder: Path, key: str, where: str = "") -> Path:
    """The path *name*, relative to *folder*, without links.

    Args:
        key: what names it, for the error: ``table.file``. where: the file that does.

    Raises:
        DataError: it lies neither below *folder* nor below a folder that the user allowed.
    """
    try:
        base, path = folder.resolve(), (folder / name).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a NUL
        what = f"{key} = {shown(str(name))}: not a path"
        raise DataError(what, "name a file below the folder", where) from error
    if any(path.is_relative_to(root) for root in (base, *_ALLOWED)):
        return path
    what = f"{key} = {shown(str(name))} is {path}, outside the folder {base}"
    nearest = path if path.is_dir() else path.parent
    do = f"copy it into the folder, or, if it may be read: --allow-root {nearest}"
    raise DataError(what, do, where)
