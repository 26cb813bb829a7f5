"""A first ``milkreport.toml`` for data that nobody described yet: guesses, each with its reason."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from milkreport.atomic import write_text
from milkreport.data.adapters.folder import is_folder_of_classes
from milkreport.data.adapters.milk10k_tables import is_milk10k
from milkreport.data.adapters.spec import SPEC_NAME, FeatureSpec, TableSpec, ViewSpec, load_spec
from milkreport.data.files.discovery import Tree, arrays_unread, load_any_header, survey
from milkreport.data.files.image_index import ImageIndex
from milkreport.data.init.columns import (
    MAX_TEXT,
    LabelGuess,
    guess_case,
    guess_group,
    guess_label,
    guess_label_loosely,
    guess_views,
)
from milkreport.data.init.features import FeatureGuess, guess_features
from milkreport.data.init.folder import describe_folder, describe_unlabelled
from milkreport.data.init.images import (
    ImageColumn,
    find_image_columns,
    refuse_repeated,
    refuse_rows_of_boxes,
    slugs,
    view_names,
)
from milkreport.data.init.toml_text import Proposal, render
from milkreport.data.stems import Stem, file_names, shared_stem
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
        if (n := len(load_any_header(path))) > MOST_COLUMNS:
            what = f"{n:,} columns: only tables of at most {MOST_COLUMNS:,} are looked at"
            do = "leave out columns of pixels or embeddings"
            unreadable.append(DataError(what, do, path.relative_to(tree.root).as_posix()))
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


@dataclass(frozen=True)
class FoundTable:
    """A table of the folder, its columns that name images, and its labels, if it has any."""

    name: str
    frame: pd.DataFrame
    images: list[ImageColumn]
    label: LabelGuess

    @property
    def files(self) -> set[Path]:
        """The images of the column that names most."""
        return self.images[0].files if self.images else set()

    @property
    def labels(self) -> pd.Series[Any]:
        """The label of each row; missing where none is known."""
        return self.label.read(self.frame)

    @property
    def taken(self) -> set[str]:
        """Columns of images and labels."""
        return {image.column for image in self.images} | self.label.columns


@dataclass(frozen=True)
class _Layout:
    """How rows and images are cases: their id, the view column (or none), the views."""

    case: str
    view: str
    views: dict[str, ViewSpec]


def describe_table(table: FoundTable, tables: Sequence[FoundTable]) -> Proposal:
    """Guess what each column of *table* is for; where it has no label, look in the other *tables*.

    Raises:
        DataError: no column could be the cases' id.
    """
    frame, layout = table.frame, _layout(table)
    case, view = layout.case, layout.view
    label, labels, truth = _labels(table, layout, tables)
    group = guess_group(frame, case, {*table.taken, *label.columns, view})
    named = {} if group.column or group.why else _named_groups(table, case, labels.nunique())
    taken = {*table.taken, *label.columns, case, group.column, view}
    guessed = guess_features(frame, labels, taken)
    guessed.banned |= dict.fromkeys(label.others, "another label of the same cases")
    lacks = frame[list(guessed.kinds)].isna().any(axis=1).groupby(frame[case]).any()
    unlabelled = int(labels.isna().groupby(frame[case]).all().sum()) if label.columns else 0
    counts = labels.groupby(frame[case]).first().value_counts().sort_index()
    why = _reasons(table, layout)
    why["table.group"] = group.why
    for key, stem in named.items():
        why[f"table.{key}"] = (
            f"{stem.alike[0]} and {stem.alike[1]} may stem from one patient: the bracket is the group, "
            f"{stem.n:,} of them."
        )
    why["table.one_hot" if label.one_hot else "table.label"] = label.why + (
        f" {unlabelled:,} cases have none." if unlabelled else ""
    )
    return Proposal(
        why=why,
        counts={
            str(name): int(n)
            for name, n in counts.items()
            if _can_be_class(name) and name not in label.unsure
        },
        drop=label.unsure,
        settings=TableSpec(
            file=table.name,
            rows="image" if view else "case",
            case=case,
            group=group.column,
            group_pattern=named["group_pattern"].pattern if "group_pattern" in named else "",
            group_path=named["group_path"].pattern if "group_path" in named else "",
            view=view,
            label=label.column,
            contains=label.contains,
            one_hot=list(label.one_hot),
            truth=truth,
        ),
        views=layout.views,
        features=_features(frame, guessed, layout),
        guessed=guessed,
        n_cases=len(lacks),
        n_incomplete=int(lacks.sum()),
    )


def _named_groups(table: FoundTable, case: str, n_classes: int) -> dict[str, Stem]:
    """The key of a pattern and what it finds, if ids or file names share stems: one, or none."""
    ids = sorted(set(table.frame[case].dropna()))
    paths = sorted(str(path) for path in table.files)
    root = Path(os.path.commonpath([os.path.dirname(path) for path in paths]))
    for key, names in (("group_pattern", ids), ("group_path", file_names(paths, root))):
        if stem := shared_stem(names, n_classes):
            return {key: stem}
    return {}


def _layout(table: FoundTable) -> _Layout:
    frame, first = table.frame, table.images[0]
    if len(table.images) == 1:
        case, view = guess_views(frame, table.labels, table.taken)
        if view:
            values = sorted(set(frame[view]))
            pairs = zip(slugs(values), values, strict=True)
            column, path = first.column, first.path
            named = {name: ViewSpec(column=column, path=path, value=text) for name, text in pairs}
            return _Layout(case, view, named)
    case = guess_case(frame, first.column, table.label.columns)
    if not case:
        refuse_repeated(first.found, frame[first.column], table.name)
        do = "add a column case_id, with an id of its own in every row"
        raise DataError("no column tells the rows apart", do, table.name)
    found = zip(view_names(table.images), table.images, strict=True)
    return _Layout(case, "", {name: ViewSpec(column=i.column, path=i.path) for name, i in found})


def _reasons(table: FoundTable, layout: _Layout) -> dict[str, str]:
    n_rows, n_files = len(table.frame), sum(len(image.files) for image in table.images)
    rows = 'Each row is a case. "image": each row is one of several images of a case.'
    if layout.view:
        rows = f"Each {layout.case} has several rows, told apart by {layout.view}."
    why = {
        "table.file": f"{n_rows:,} rows, whose cells name {n_files:,} image files.",
        "table.rows": rows,
    }
    for name, image in zip(layout.views, table.images, strict=False):
        hits = int(image.found.notna().sum())
        why[f"views.{name}"] = f"{hits:,} of {n_rows:,} cells of {image.column} name a file."
    return why


def _features(frame: pd.DataFrame, guessed: FeatureGuess, layout: _Layout) -> list[FeatureSpec]:
    """One a column, or one a view where the rows of a case differ."""
    specs = []
    for column, kind in guessed.kinds.items():
        differs = (frame.groupby(layout.case)[column].nunique() > 1).any()
        places = list(layout.views) if layout.view and differs else ["case"]
        specs += [FeatureSpec(column=column, kind=kind, view=place) for place in places]
    return specs


def _labels(
    table: FoundTable, layout: _Layout, tables: Sequence[FoundTable]
) -> tuple[LabelGuess, pd.Series[Any], str]:
    """Where the labels stand, the label of each row, and the name of the second table, if they are there."""
    if table.label.columns:
        return table.label, table.labels, ""
    case, ids = layout.case, table.frame[layout.case]
    for other in tables:
        if other.label.columns and case in other.frame and other.name != table.name:
            keys = other.frame[case]
            if keys.is_unique and 2 * keys.isin(ids).sum() >= len(keys):
                by_case = other.labels.set_axis(pd.Index(keys))
                return other.label, ids.map(by_case), other.name
    label = guess_label_loosely(table.frame, {*table.taken, case, layout.view})
    return label, label.read(table.frame), ""


def _can_be_class(name: object) -> bool:
    return isinstance(name, str) and len(name) <= MAX_TEXT and name.isprintable()
