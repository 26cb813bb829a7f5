"""A description of a table and its images, put together from the guesses about its columns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from milkreport.data.adapters.spec import FeatureSpec, TableSpec, ViewSpec
from milkreport.data.init.columns import (
    MAX_TEXT,
    LabelGuess,
    guess_case,
    guess_group,
    guess_label_loosely,
    guess_views,
)
from milkreport.data.init.features import FeatureGuess, guess_features
from milkreport.data.init.images import ImageColumn, refuse_repeated, slugs, view_names
from milkreport.data.init.toml_text import Proposal
from milkreport.data.stems import Stem, file_names, shared_stem
from milkreport.errors import DataError


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
        counts={str(name): int(n) for name, n in counts.items() if _can_be_class(name)},
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
