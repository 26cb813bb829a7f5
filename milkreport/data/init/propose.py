"""A first ``milkreport.toml`` for data that nobody described yet: guesses, each with its reason."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from milkreport.atomic import write_text
from milkreport.data.adapters.folder import is_folder_of_classes
from milkreport.data.adapters.milk10k_tables import is_milk10k
from milkreport.data.adapters.spec import SPEC_NAME, load_spec
from milkreport.data.files.discovery import Tree, arrays_unread, load_any_header, survey
from milkreport.data.files.image_index import ImageIndex
from milkreport.data.init.columns import MAX_TEXT, guess_label
from milkreport.data.init.features import guess_features
from milkreport.data.init.folder import describe_folder, describe_unlabelled
from milkreport.data.init.images import find_image_columns, refuse_rows_of_boxes
from milkreport.data.init.table import FoundTable, describe_table
from milkreport.data.init.toml_text import Proposal, render
from milkreport.errors import ConfigError, DataError
from milkreport.tables import first_few, load_table

#: Tables with more columns hold pixels or embeddings, and may be huge.
MOST_COLUMNS = 1000


def write_proposal(folder: Path, table: str | None, out: Path | None, cache: Path) -> Path:
    """Look at the tables and images of *folder* and write a description with comments.

    Args:
        folder: a folder or a zip.
        table: which CSV file describes the cases, relative to *folder*; None: found by content.
        out: where to write; None: ``milkreport.toml`` in the folder, or beside the zip.
        cache: where a zip is unpacked that lies in a folder that cannot be written.

    Returns:
        The file that was written.

    Raises:
        DataError: it exists already; nothing there could be described; several tables are equally good.
        ConfigError: *out* is no TOML file. EnvironmentProblem: it cannot be written.
    """
    target = out or (folder.parent if os.path.isfile(folder) else folder) / SPEC_NAME
    if target.suffix != ".toml":
        raise ConfigError("not a .toml file", "name one that ends in .toml", f"--out {target}")
    if os.path.lexists(target):
        do = "edit it, or move it away, or write elsewhere: --out FILE.toml"
        raise DataError("exists already", do, str(target))
    tree = survey(folder, cache)
    if table is None and is_milk10k(tree):
        do = f"look at it: milkreport data check {folder}"
        raise DataError("this is MILK10k, which needs no description", do, str(folder))
    root = Path(os.path.relpath(folder.resolve(), target.resolve().parent)).as_posix()
    name = folder.resolve().name.removesuffix(".zip")[:MAX_TEXT] or "data"
    text = render(_propose(tree, table), name, root)
    with tempfile.TemporaryDirectory() as scratch:
        draft = Path(scratch) / SPEC_NAME
        write_text(draft, text)
        load_spec(draft)  # nothing is put in place that could not be read
    write_text(target, text)
    return target


def _propose(tree: Tree, wanted: str | None) -> Proposal:
    if wanted is None:
        tables = _load_tables(tree)
        found = [table for table in tables if table.images]
        if found:
            return describe_table(_choose(found), tables)
        if is_folder_of_classes(tree):
            return describe_folder(tree)
        if tables:
            for table in tables:
                refuse_rows_of_boxes(table.frame, ImageIndex(tree), table.name)
            what = f"no column of {first_few(t.name for t in tables)} names images"
            raise DataError(what, _example(tree), str(tree.root))
        do = "put the table below this folder, too, or the images of each class into a folder"
        if tree.arrays:
            raise arrays_unread(tree.arrays[0])
        if tree.images:
            return describe_unlabelled(tree)
        what = f"{len(tree.images):,} images, no CSV file, and no folder per class"
        raise DataError(what, do, str(tree.root))
    path = (tree.root / wanted).resolve()
    if not path.is_relative_to(tree.root):
        what, do = "a table outside the data's folder", "copy it into the folder"
        raise DataError(what, do, f"--table {wanted}")
    chosen = _load(path, tree, ImageIndex(tree))
    if not chosen.images:
        refuse_rows_of_boxes(chosen.frame, ImageIndex(tree), wanted)
        raise DataError("no column names images", _example(tree), wanted)
    return describe_table(chosen, _load_tables(tree))


def _load_tables(tree: Tree) -> list[FoundTable]:
    """Every readable table; where none is, what is wrong with the first is raised."""
    index = ImageIndex(tree)
    tables, unreadable = [], []
    for path in tree.tables:
        if len(load_any_header(path)) > MOST_COLUMNS:
            continue
        try:
            tables.append(_load(path, tree, index))
        except DataError as error:
            unreadable.append(error)
    if unreadable and not tables and not is_folder_of_classes(tree):
        raise unreadable[0]
    return tables


def _load(path: Path, tree: Tree, index: ImageIndex) -> FoundTable:
    frame = load_table(path)
    images = find_image_columns(frame, tree, index)
    label = guess_label(frame, {image.column for image in images})
    return FoundTable(path.relative_to(tree.root).as_posix(), frame, images, label)


def _choose(found: Sequence[FoundTable]) -> FoundTable:
    """The table of the cases: labelled if one is, and that which names most images.

    Where it holds labels alone, another table of the same images describes the cases.
    """
    pool = [table for table in found if table.label.columns] or found
    most = max(len(table.files) for table in pool)
    best = [table for table in pool if len(table.files) == most]
    if len(best) > 1:
        what = f"{best[0].name} and {best[1].name} name equally many images ({most:,})"
        raise DataError(what, "say which one describes the cases: --table FILE")
    labels, key = best[0], best[0].images[0].column
    if not guess_features(labels.frame, labels.labels, labels.taken).kinds:
        for other in found:
            shared = len(other.files & labels.files)
            if not other.label.columns and key in other.frame and 2 * shared >= most:
                return other
    return labels


def _example(tree: Tree) -> str:
    if not tree.images:
        return "there are no images below this folder"
    seen = tree.images[0].relative_to(tree.root).as_posix()
    return f"a cell must be a path, a file name or a part of one, as of {seen[:80]}"
