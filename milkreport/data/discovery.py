"""What files a data folder holds, whatever its layout: tables, images, and zips that hold what lacks."""

from __future__ import annotations

import csv
import filecmp
import hashlib
import io
import os
import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from milkreport.atomic import write_bytes
from milkreport.data.unpack import (
    IMAGE_SUFFIXES,
    SUFFIX,
    is_clutter,
    is_current,
    is_of_zip,
    list_suffixes,
    unpack,
    unpack_as,
)
from milkreport.errors import DataError, EnvironmentProblem
from milkreport.tables import separator

Notice = Callable[[str], None]

_KINDS = dict.fromkeys(IMAGE_SUFFIXES, "images") | {
    ".csv": "tables", ".zip": "zips", ".json": "settings", ".toml": "settings"
}  # fmt: skip
_HEADER_BYTES = 65_536
_MOST_LISTED = 5


@dataclass(frozen=True)
class Tree:
    """The files below ``root``, each kind sorted by its path from there.

    ``links``: symbolic links that lead out of ``root``; they are not followed. ``notes``: what a reader
    should know of how the files were found, a line each.
    """

    root: Path
    tables: tuple[Path, ...]
    images: tuple[Path, ...]
    links: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    def told(self) -> str:
        """The notes as the end of a line: ``; images unpacked from images.zip``."""
        return "".join(f"; {note}" for note in self.notes)


def survey(source: Path, cache: Path, notice: Notice = lambda line: None) -> Tree:
    """Walk a folder, or unpack a zip and walk that.

    A zip in the folder is unpacked only if there are no images, or no tables, without it and it has
    some; a zip within that zip likewise, but no deeper. Where the folder cannot be written, ``root`` is
    a folder below *cache* with copies of the tables and the unpacked images.

    Raises:
        DataError: no such folder; a file that is no zip; a damaged or dangerous zip.
        EnvironmentProblem: the disk is full, or what must be unpacked cannot be written.
    """
    if os.path.isfile(source):
        if source.suffix.lower() != ".zip":
            raise DataError("neither a folder nor a zip", "name the data's folder", str(source))
        files, levels = _Files(unpack(source, cache, notice).resolve()), 1
        files.walk()
        files.notes.append(f"{files.describe()} unpacked from {source.name}")
    elif os.path.isdir(source):
        files, levels = _Files(source.resolve()), 2
        files.walk()
    else:
        do = (
            "check the path"
            if source.is_absolute()
            else f"looked from {Path.cwd().name}/; check the path"
        )
        raise DataError("no such folder", do, str(source))
    for deeper in reversed(range(levels)):
        files.unpack_what_lacks(cache, notice, look_in_zips=deeper > 0)
    return files.as_tree()


def load_any_header(path: Path) -> list[str]:
    """The first row of what may be a table, whatever its encoding and separator; [] if unreadable."""
    try:
        with open(path, "rb") as file:
            raw = file.read(_HEADER_BYTES)
        encoding = "utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
        text = io.StringIO(raw.decode(encoding, errors="replace"), newline="")
        lines = [line for line in text if line.strip()] or [""]
        row = next(csv.reader(lines, delimiter=separator(lines[0])), [])
        return [cell.strip() for cell in row]
    except (OSError, ValueError, csv.Error):
        return []


class ImageIndex:
    """Finds the image that a table's cell names, among those of a tree; ``root`` is the tree's."""

    def __init__(self, tree: Tree) -> None:
        self.root = tree.root
        self._names = {path: path.relative_to(tree.root).as_posix() for path in tree.images}
        self._parts = {path: _composed(name).split("/") for path, name in self._names.items()}
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        for path, parts in self._parts.items():
            self._by_name[parts[-1]].append(path)
            self._by_stem[_stem(parts[-1])].append(path)
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
        found = self._in_folders(self._by_name.get(parts[-1], ()), parts)
        found = found or self._in_folders(self._by_stem.get(_stem(parts[-1]), ()), parts)
        if not found:
            return None
        exact = [path for path in found if self._parts[path] == parts]
        beside = [path for path in found if self._parts[path][-2:-1] == [_composed(near)]]
        first, *others = exact or beside or found
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
        text = f"{len(names):,} images"
        if len(folders) <= 1:
            return _line(f"{text} in {folders[0]}/" if any(folders) else text)
        if len(folders) <= _MOST_LISTED:
            listed = ", ".join(f"{folder or '.'}/" for folder in folders)
            return _line(f"{text} in {len(folders)} folders: {listed}")
        common = posixpath.commonpath(folders)
        below = {posixpath.relpath(folder or ".", common or ".").count("/") for folder in folders}
        stars = "/".join("*" * (min(below) + 1)) if len(below) == 1 else "**"
        return _line(f"{text} in {posixpath.join(common, stars)}/")

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


class _Files:
    """What was found below ``root`` so far: paths from there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.found: dict[str, list[str]] = defaultdict(list)
        self.zips: dict[str, Path] = {}
        self.notes: list[str] = []

    def as_tree(self) -> Tree:
        """The files as paths."""
        tables, images, links = (
            tuple(self.root / name for name in sorted(self.found[kind]))
            for kind in ("tables", "images", "links")
        )
        packed = [f"{name} is left packed" for name in sorted(self.zips)]
        return Tree(self.root, tables, images, links, tuple(map(_line, [*self.notes, *packed])))

    def describe(self) -> str:
        """Which kinds of files there are."""
        kinds = [kind for kind in ("images", "tables") if self.found[kind]]
        return " and ".join(kinds) or ("zips" if self.zips else "nothing")

    def walk(self, below: str = "") -> None:
        """Add the files of a folder and its sub-folders.

        Raises:
            DataError: a folder cannot be read.
        """
        try:
            self._walk(below)
        except OSError as error:
            raise _unreadable(error, self.root) from error

    def _walk(self, below: str) -> None:
        inside = os.path.join(self.root, "")
        folders, seen = [(below, str(self.root / below))], set()
        links: list[tuple[str, str]] = []
        while folders or links:
            # Links come last: one to a folder that was walked anyway adds nothing, and none can loop.
            name, real = folders.pop() if folders else links.pop(0)
            if real in seen:
                continue
            seen.add(real)
            with os.scandir(real) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
            for entry in entries:
                path = posixpath.join(name, entry.name)
                if is_clutter(entry.name):
                    continue
                if entry.is_symlink():
                    target = os.path.realpath(entry.path)
                    if not os.path.join(target, "").startswith(inside):
                        self.found["links"].append(path)
                    elif os.path.isdir(target):
                        links.append((path, target))
                    elif os.path.isfile(target):
                        self._add(path)
                elif entry.is_dir():
                    if not is_of_zip(Path(entry.path)):
                        folders.append((path, entry.path))
                elif entry.is_file():
                    self._add(path)

    def unpack_what_lacks(self, cache: Path, notice: Notice, look_in_zips: bool) -> None:
        """Unpack the zips that hold images or tables where there are none without them."""
        lacking = {kind for kind in ("images", "tables") if not self.found[kind]}
        if not lacking or not self.zips:
            return
        holds = {
            name: {_KINDS.get(suffix, "") for suffix in list_suffixes(path)}
            for name, path in self.zips.items()
        }
        useful = {name: self.zips[name] for name in sorted(holds) if holds[name] & lacking}
        if look_in_zips and not useful:
            useful = {name: self.zips[name] for name in sorted(holds) if "zips" in holds[name]}
        folders = {name: posixpath.splitext(name)[0] + SUFFIX for name in useful}
        is_done = all(is_current(self.root / folders[name], path) for name, path in useful.items())
        if not is_done and not os.access(self.root, os.W_OK):
            self._move_below(cache)
        for name, path in useful.items():
            unpack_as(self.root / folders[name], path, notice)
            del self.zips[name]
            brought = _Files(self.root)
            brought.walk(folders[name])
            self.notes.append(f"{brought.describe()} unpacked from {name}")
            self.zips |= brought.zips
            for kind, names in brought.found.items():
                self.found[kind] += names

    def _add(self, path: str) -> None:
        kind = _KINDS.get(posixpath.splitext(path)[1].lower())
        if kind == "zips":
            self.zips[path] = self.root / path
        elif kind:
            self.found[kind].append(path)

    def _move_below(self, cache: Path) -> None:
        """Go on in a folder that can be written, with copies of the small files."""
        if self.found["images"]:
            what, do = "the tables are in a zip, and this folder cannot be written", "unpack it"
            raise EnvironmentProblem(what, do, self.root.name)
        key = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:24]
        copy = cache.resolve() / "unpacked" / key
        for name in (*self.found["tables"], *self.found["settings"]):
            try:
                raw = (self.root / name).read_bytes()
            except OSError as error:
                raise _unreadable(error, self.root / name) from error
            write_bytes(copy / name, raw)
        self.root = copy
        self.notes.append("the folder cannot be written: its zips are unpacked in the cache")


def _unreadable(error: OSError, path: Path) -> DataError:
    reason = (error.strerror or str(error)).lower()
    where = Path(os.fsdecode(error.filename or path)).name
    return DataError(f"cannot be read: {reason}", "check its permissions", where)


def _is_same(first: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(first, other, shallow=False)
    except OSError as error:
        raise _unreadable(error, other) from error


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


def _line(text: str) -> str:
    """*text* as one line that can be printed, whatever a file is called."""
    return "".join(c if c.isprintable() else "�" for c in text)
