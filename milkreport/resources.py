"""Finds ``templates/`` and ``experiments/``, in a wheel and in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource_folder(name: str) -> Path:
    """Return the folder of shipped files called *name* (``templates`` or ``experiments``).

    In a wheel it lies inside the package, in a checkout beside ``pyproject.toml``.
    """
    for folder in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"the installation has no {name}/ folder; install milkreport again")
