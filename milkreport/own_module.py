"""Modules of the user's: found without importing anything, and run from the very bytes that were hashed.

Only :mod:`milkreport.trust` calls these; it knows which ones the user allowed.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import SOURCE_SUFFIXES, ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from milkreport.errors import ConfigError


def find_file(module: str, folders: Sequence[str]) -> Path:
    """The file of *module*: what is installed and PYTHONPATH come first, then *folders*.

    Nothing is imported for it. ``importlib.util.find_spec("a.b")`` would import ``a``, so packages are
    followed by their folders.

    Raises:
        ConfigError: there is none.
    """
    top, *inner = module.split(".")
    spec = _find_top(top, folders) if all(part.isidentifier() for part in (top, *inner)) else None
    for part in inner:
        places = spec.submodule_search_locations if spec else None
        # By its last name alone: a package without __init__ would be looked for among what is imported.
        spec = PathFinder.find_spec(part, list(places)) if places is not None else None
    if spec is None or not spec.has_location or not spec.origin:
        do = f"name the folder that holds {top[:80]} by --module-dir, or install it, or set PYTHONPATH"
        raise ConfigError(f"no module {module[:200]} is found", do)
    return Path(spec.origin)


def import_file(module: str, file: Path, content: bytes) -> ModuleType:
    """Import *module* from *content*, what *file* holds, and its packages as Python does.

    Raises:
        ConfigError: another file is imported under that name.
        Exception: whatever the module raises.
    """
    known = sys.modules.get(module)
    if known is not None:
        if Path(getattr(known, "__file__", None) or "").resolve() != file.resolve():
            what = f"another module is imported as {module} already"
            raise ConfigError(what, "give yours another name", str(file))
        return known
    finder = _Finder(module, file, content)
    sys.meta_path.insert(0, finder)
    try:
        return importlib.import_module(module)
    finally:
        sys.meta_path.remove(finder)


def _find_top(name: str, folders: Sequence[str]) -> ModuleSpec | None:
    found = PathFinder.find_spec(name, [*sys.path, *folders])
    if found is not None:
        return found
    try:
        return importlib.util.find_spec(name)  # of packages that are installed in place
    except ValueError:  # imported by something that left no trace
        return None


class _Finder(MetaPathFinder):
    """Answers for one module."""

    def __init__(self, module: str, file: Path, content: bytes) -> None:
        self.module, self.file, self.content = module, str(file), content

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> ModuleSpec | None:
        if fullname != self.module:
            return None
        if not self.file.endswith(tuple(SOURCE_SUFFIXES)):  # compiled
            return importlib.util.spec_from_file_location(fullname, self.file)
        loader = _Loader(fullname, self.file, self.content)
        return importlib.util.spec_from_file_location(fullname, self.file, loader=loader)


class _Loader(SourceFileLoader):
    """Never reads ``__pycache__``: what lies there need not be made of the file that was hashed."""

    def __init__(self, fullname: str, path: str, content: bytes) -> None:
        super().__init__(fullname, path)
        self._content = content

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self._content, self.path)
        return code
