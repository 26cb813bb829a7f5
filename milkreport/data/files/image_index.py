"""Which image of a folder a table's cell names."""

from __future__ import annotations

import filecmp
import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from milkreport.data.files.discovery import Tree, one_line, unreadable
from milkreport.data.files.unpack import IMAGE_SUFFIXES
from milkreport.errors import DataError
from milkreport.tables import plural

_MOST_LISTED = 5


class ImageIndex:
    """Finds the image that a table's cell names, among those of a tree; ``root`` is the tree's."""

    def __init__(self, tree: Tree) -> None:
        self.root = tree.root
        self._names = {path: path.relative_to(tree.root).as_posix() for path in tree.images}
        self._parts = {path: _composed(name).split("/") for path, name in self._names.items()}
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        self._by_path: dict[tuple[str, ...], list[Path]] = defaultdict(list)
        for path, parts in self._parts.items():
            self._by_name[parts[-1]].append(path)
            self._by_stem[_stem(parts[-1])].append(path)
            self._by_path[tuple(parts)].append(path)
        self._links = {_stem(_composed(path.name)): path for path in tree.links}
        self._folders = {folder for parts in self._parts.values() for folder in parts[:-1]}

    def place(self, cell: str) -> Path:
        """Where an image that was not found should be: a link that leads out, if one has its name."""
        link = self._links.get(_stem(_cell_parts(cell)[-1]))
        return link or self.root / cell

    def find(self, cell: str, near: str = "") -> Path | None:
        """The image that *cell* names: a path below the root, else a file's name, else its stem.

        Folders in *cell* count as far as the tree has folders of these names. Of several files, one in
        a folder called *near* is meant, else the first of identical copies.

        Raises:
            DataError: *cell* is no file name, or names files that differ; without a ``where``.
        """
        parts = _cell_parts(cell)
        found = self._by_path.get(tuple(parts)) or self._in_folders(
            self._by_name.get(parts[-1], ()), parts
        )
        found = found or self._in_folders(self._by_stem.get(_stem(parts[-1]), ()), parts)
        if not found:
            return None
        beside = [path for path in found if self._parts[path][-2:-1] == [_composed(near)]]
        first, *others = beside or found
        for other in others:
            if not _is_same(first, other):
                names = f"{self._names[first]} and {self._names[other]}"
                do = "give its path below the data's folder, or remove one"
                raise DataError(f"{cell[:80]!r} may be {names}, which differ", do)
        return first

    def unused(self, used: Iterable[Path]) -> tuple[Path, ...]:
        """The images that are not among *used*."""
        taken = set(used)
        return tuple(path for path in self._names if path not in taken)

    def layout(self, used: Iterable[Path]) -> str:
        """How the images among *used* lie, one line: ``10,480 images in images/``."""
        names = [self._names[path] for path in set(used) if path in self._names]
        folders = sorted({posixpath.dirname(name) for name in names})
        text = plural(len(names), "image", "images")
        if len(folders) <= 1:
            return one_line(f"{text} in {folders[0]}/" if any(folders) else text)
        if len(folders) <= _MOST_LISTED:
            listed = ", ".join(f"{folder or '.'}/" for folder in folders)
            return one_line(f"{text} in {len(folders)} folders: {listed}")
        common = posixpath.commonpath(folders)
        below = {posixpath.relpath(folder or ".", common or ".").count("/") for folder in folders}
        stars = "/".join("*" * (min(below) + 1)) if len(below) == 1 else "**"
        return one_line(f"{text} in {posixpath.join(common, stars)}/")

    def _in_folders(self, paths: Sequence[Path], parts: Sequence[str]) -> Sequence[Path]:
        """Those of *paths* whose folders agree longest with those of a cell, from the file upwards."""
        for depth, folder in enumerate(reversed(parts[:-1]), start=2):
            agree = [p for p in paths if self._parts[p][-depth : 1 - depth] == [folder]]
            if not agree:
                # The file of this name in another folder is another image; but if the tree has no such
                # folder at all, it was renamed.
                return () if folder in self._folders else paths
            paths = agree
        return paths


def _is_same(first: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(first, other, shallow=False)
    except OSError as error:
        raise unreadable(error, other) from error


def _cell_parts(cell: str) -> list[str]:
    text = _composed(cell.strip()).replace("\\", "/")
    parts = text.split("/")
    is_absolute = text.startswith("/") or re.match(r"[A-Za-z]:", text)
    if is_absolute or ".." in parts or len(cell) > 1000 or re.search(r"[\0-\x1f\x7f-\x9f]", cell):
        raise DataError(f"{cell[:80]!r} is no file name", "name a file below the data's folder")
    return [part for part in parts if part not in ("", ".")] or [""]


def _stem(name: str) -> str:
    stem, suffix = posixpath.splitext(name)
    return stem if suffix.lower() in IMAGE_SUFFIXES else name


def _composed(text: str) -> str:
    """The form of *text* in which an accent is no character of its own, as some systems write it."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)
