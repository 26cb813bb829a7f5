"""A description of a table and its images, put together from the guesses about its columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from milkreport.data.guess_columns import (
    MAX_TEXT,
    LabelGuess,
    guess_case,
    guess_group,
    guess_label_loosely,
    guess_views,
)
from milkreport.data.guess_features import guess_features
from milkreport.data.guess_images import ImageColumn, slugs, view_names
from milkreport.data.propose_text import Proposal
from milkreport.data.spec import FeatureSpec, TableSpec, ViewSpec
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


def describe_table(table: FoundTable, tables: Sequence[FoundTable]) -> Proposal:
    """Guess what each column of *table* is for; where it has no label, look in the other *tables*.

    Raises:
        DataError: no column could be the cases' id.
    """
    frame, why = table.frame, {}
    n_images = sum(len(image.files) for image in table.images)
    why["table.file"] = f"{len(frame):,} rows, whose cells name {n_images:,} image files."
    case, view = "", ""
    if len(table.images) == 1:
        case, view = guess_views(frame, table.labels, table.taken)
    if view:
        why["table.rows"] = f"Each {case} has several rows, told apart by {view}."
        views = _views_by_value(frame[view], table.images[0].column, table.images[0].path)
    else:
        case = guess_case(frame, table.images[0].column, table.label.columns)
        why["table.rows"] = (
            'Each row is a case. "image": each row is one of several images of a case.'
        )
        names = view_names(table.images)
        pairs = zip(names, table.images, strict=True)
        views = {name: ViewSpec(column=i.column, path=i.path) for name, i in pairs}
    if not case:
        do = "add a column case_id, with an id of its own in every row"
        raise DataError("no column tells the rows apart", do, table.name)
    for name, image in zip(views, table.images, strict=False):
        hits = int(image.found.notna().sum())
        why[f"views.{name}"] = f"{hits:,} of {len(frame):,} cells of {image.column} name a file."

    label, labels, truth = _labels(table, case, view, tables)
    lacking = labels.isna().groupby(frame[case]).all().sum() if label.columns else 0
    known = label.why + (f" {lacking:,} cases have none." if lacking else "")
    why["table.one_hot" if label.one_hot else "table.label"] = known
    group = guess_group(frame, case, {*table.taken, *label.columns, view})
    why["table.group"] = group.why

    taken = {*table.taken, *label.columns, case, group.column, view}
    guessed = guess_features(frame, labels, taken)
    specs = []
    for column, kind in guessed.kinds.items():
        differs = bool(view) and bool((frame.groupby(case)[column].nunique() > 1).any())
        places = list(views) if differs else ["case"]
        specs += [FeatureSpec(column=column, kind=kind, view=place) for place in places]
    lacks = frame[list(guessed.kinds)].isna().any(axis=1).groupby(frame[case]).any()
    counts = labels.groupby(frame[case]).first().value_counts().sort_index()
    return Proposal(
        why=why,
        counts={str(name): int(n) for name, n in counts.items() if _can_be_class(name)},
        settings=TableSpec(
            file=table.name,
            rows="image" if view else "case",
            case=case,
            group=group.column,
            view=view,
            label=label.column,
            one_hot=list(label.one_hot),
            truth=truth,
        ),
        views=views,
        features=specs,
        guessed=guessed,
        n_cases=len(lacks),
        n_incomplete=int(lacks.sum()),
    )


def _views_by_value(cells: pd.Series[Any], column: str, path: str) -> dict[str, ViewSpec]:
    values = sorted(set(cells))
    names = slugs(values)
    return {
        name: ViewSpec(column=column, path=path, value=value)
        for name, value in zip(names, values, strict=True)
    }


def _labels(
    table: FoundTable, case: str, view: str, tables: Sequence[FoundTable]
) -> tuple[LabelGuess, pd.Series[Any], str]:
    """Where the labels stand, the label of each row, and the name of the second table, if they are there."""
    if table.label.columns:
        return table.label, table.labels, ""
    ids = table.frame[case]
    for other in tables:
        if other.label.columns and case in other.frame and other.name != table.name:
            keys = other.frame[case]
            if keys.is_unique and 2 * keys.isin(ids).sum() >= len(keys):
                by_case = other.labels.set_axis(pd.Index(keys))
                return other.label, ids.map(by_case), other.name
    label = guess_label_loosely(table.frame, {*table.taken, case, view})
    return label, label.read(table.frame), ""


def _can_be_class(name: object) -> bool:
    return isinstance(name, str) and len(name) <= MAX_TEXT and name.isprintable()
