"""What files a data folder holds, whatever its layout: tables, images, and zips that hold what is missing."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import posixpath
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from milkreport.atomic import write_bytes
from milkreport.data.files.unpack import (
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
    ".csv": "tables", ".zip": "zips", ".json": "settings", ".toml": "settings",
    ".npz": "arrays", ".npy": "arrays", ".h5": "arrays", ".hdf5": "arrays",
}  # fmt: skip
_HEADER_BYTES = 65_536


@dataclass(frozen=True)
class Tree:
    """The files below ``root``, each kind sorted by its path from there.

    ``links``: symbolic links that lead out of ``root``; they are not followed. ``notes``: what a reader
    should know of how the files were found, a line each. ``arrays``: files of arrays, which are not read.
    """

    root: Path
    tables: tuple[Path, ...]
    images: tuple[Path, ...]
    links: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    arrays: tuple[Path, ...] = ()

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
        if _KINDS.get(source.suffix.lower()) == "arrays":
            raise arrays_unread(source)
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


def unreadable(error: OSError, path: Path) -> DataError:
    """What to raise where a file or folder cannot be read."""
    reason = (error.strerror or str(error)).lower()
    where = Path(os.fsdecode(error.filename or path)).name
    return DataError(f"cannot be read: {reason}", "check its permissions", where)


def arrays_unread(path: Path) -> DataError:
    """What to raise for images that are arrays of one file, as MedMNIST's."""
    do = "save the images as PNG files, in one folder per class or with a table of their labels"
    if "mnist" in path.stem.lower():
        flag = path.stem.lower().partition("_")[0]
        do += f" (python -m medmnist save --flag={flag} --folder=DIR --postfix=png)"
    return DataError(f"{path.suffix} files of arrays are not read", do, one_line(path.name))


def one_line(text: str) -> str:
    """*text* as one line that can be printed, whatever a file is called."""
    return "".join(c if c.isprintable() else "�" for c in text)


class _Files:
    """What was found below ``root`` so far: paths from there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.found: dict[str, list[str]] = defaultdict(list)
        self.zips: dict[str, Path] = {}
        self.notes: list[str] = []

    def as_tree(self) -> Tree:
        """The files as paths."""
        tables, images, links, arrays = (
            tuple(self.root / name for name in sorted(self.found[kind]))
            for kind in ("tables", "images", "links", "arrays")
        )
        packed = [f"{name} is left packed" for name in sorted(self.zips)]
        notes = tuple(map(one_line, [*self.notes, *packed]))
        return Tree(self.root, tables, images, links, notes, arrays)

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
            raise unreadable(error, self.root) from error

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
                raise unreadable(error, self.root / name) from error
            write_bytes(copy / name, raw)
        self.root = copy
        self.notes.append("the folder cannot be written: its zips are unpacked in the cache")
