"""The truth: labels by id, and the classes, where the table or an option names all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from milkreport.columns import one_hot_labels, refuse_duplicates
from milkreport.errors import ConfigError, DataError, DataProblems, NeedsOption, did_you_mean
from milkreport.evaluation.reading.any_table import LONG, Table
from milkreport.evaluation.reading.class_names import (
    equations,
    in_order,
    match_names,
    readings,
    tidy_labels,
)
from milkreport.evaluation.reading.options import TableOptions, join_names
from milkreport.evaluation.reading.predictions import RESERVED
from milkreport.limits import MOST_CLASSES
from milkreport.tables import first_few

#: What columns of labels are often called; proposed, never taken.
_LIKELY = (
    *("diagnosis", "dx", "target", "class", "y", "y_true", "truth", "true_label", "labels"),
    *("ground_truth", "gt", "category", "outcome"),
)


@dataclass(frozen=True)
class Truth:
    """Labels by id, and the classes in the report's order, if the truth or an option tells it.

    ``notes``: how labels were understood that are not the names of classes.
    """

    labels: pd.Series[str]
    classes: tuple[str, ...] | None
    name: str
    notes: tuple[str, ...] = ()

    @property
    def present(self) -> list[str]:
        """Classes that have a case, in order."""
        return in_order(set(self.labels))


def read_truth(table: Table, options: TableOptions) -> Truth:
    """Labels, and the classes where one-hot columns or an option name them.

    Raises:
        DataError: ids twice, no labels, a label that is no class. NeedsOption: a column looks like them.
    """
    frame, name = table.frame, table.name
    refuse_duplicates(frame, [table.id_column], name)
    label = options.label or "label"
    if options.label and label not in frame.columns:
        hint = did_you_mean(label, frame.columns)
        do = f"{hint} columns are: {first_few(frame.columns, 30)}".strip()
        raise ConfigError(f"no column {label!r}", do, f"{name}:1")
    others = [c for c in frame.columns if c not in (table.id_column, label, *RESERVED)]
    classes = options.classes or None
    notes: tuple[str, ...] = ()
    if label not in frame.columns:
        # Parts of the cases may stand beside one-hot columns.
        flags = [c for c in others if c.casefold() not in LONG or c in options.classes]
        labels, classes = _one_hot(table, flags, options)
    else:
        labels = frame[label]
        if options.missing == "drop" and labels.notna().any():
            table = table.keep(labels.notna().to_numpy())
            frame, labels = table.frame, labels.dropna()
        if labels.isna().any():
            row = frame.index[labels.isna()][0]
            what, do = (
                "a case without a label",
                "label it, or leave it out; to leave out all such cases,",
            )
            raise NeedsOption(what, ["--missing", "drop"], f"{name}:{row}:{label}", do)
        labels, notes = _as_classes(labels.astype(str), label, table, options)
        if classes is None and set(others) >= set(labels) and _are_flags(frame[others]):
            unlike = frame.index[one_hot_labels(frame, others, name) != labels]
            if len(unlike):
                what = "the label column and the one-hot columns name different classes"
                raise DataError(what, "keep one of the two", f"{name}:{unlike[0]}")
            classes = tuple(others)
    labels = pd.Series(labels.to_numpy(), index=table.ids.to_numpy(), dtype=object)
    return Truth(labels, classes, name, notes)


def _as_classes(
    labels: pd.Series[str], column: str, table: Table, options: TableOptions
) -> tuple[pd.Series[str], tuple[str, ...]]:
    """Labels as names of classes, and a note where they were written otherwise."""
    if options.classes:
        found = match_names(labels.unique(), options.classes, numbered=True)
        if found is None:
            foreign = in_order(set(labels) - set(options.classes))
            what = f"{first_few(foreign)} is no class"
            if all(text.isdigit() for text in foreign):
                what += f", and positions are 0 to {len(options.classes) - 1}"
            every = join_names([*options.classes, *foreign])
            do = f"classes are: {first_few(options.classes, 30)}; to add it: --classes {every!r}"
            raise DataError(what, do, f"{table.name}:{_row_of(labels, foreign)}:{column}")
        labels, told = labels.map(found), equations(found)
    else:
        plain = tidy_labels(labels)
        told = equations(dict(zip(labels.unique(), plain.unique(), strict=False)))
        labels = plain
    return labels, (f"labels {told}",) if told else ()


def _row_of(labels: pd.Series[str], names: Sequence[str]) -> object:
    return labels.index[labels.isin(list(names))][0]


def _one_hot(
    table: Table, others: list[str], options: TableOptions
) -> tuple[pd.Series[str], tuple[str, ...]]:
    """Labels of one-hot columns, which are all other columns, or those of the classes that were named."""
    columns = {name: name for name in others}
    if options.classes:
        for read in readings(options.classes, numbered=True):
            columns = {meant: c for c in others if (meant := read(c)) is not None}
            if len(columns) == len(options.classes):
                break
        else:
            raise _without_labels(table, others, f"columns {first_few(options.classes, 30)}")
        columns = {name: columns[name] for name in options.classes}
    frame = table.frame.rename(columns={column: name for name, column in columns.items()})
    try:
        labels = one_hot_labels(frame, list(columns), table.name)
    except DataError as error:
        flags = [c for c in others if _are_flags(frame[[c]])] if not options.classes else []
        if 2 <= len(flags) < len(others) and (frame[flags].astype(float).sum(axis=1) == 1).all():
            what = f"columns {first_few([c for c in others if c not in flags])} are not 0 and 1"
            do = "if the others are the classes,"
            words = ["--classes", join_names(flags)]
            raise NeedsOption(what, words, f"{table.name}:1", do) from error
        if not (likely := _likely_labels(table.frame, others)):
            raise
        where = f"{table.name}:1"
        if isinstance(error, DataProblems):
            raise _without_labels(table, others, "one column of 0 and 1 per class") from error
        do = "name the column of labels 'label', or"
        raise NeedsOption(error.what, ["--label", likely], where, do) from error
    return labels, tuple(columns)


def _without_labels(table: Table, others: list[str], what: str) -> DataError:
    what, where = f"no column 'label', and not {what}", f"{table.name}:1"
    if likely := _likely_labels(table.frame, others):
        return NeedsOption(what, ["--label", likely], where)
    return DataError(what, f"columns are: {first_few(table.frame.columns, 30)}", where)


def _likely_labels(frame: pd.DataFrame, others: list[str]) -> str:
    """The column that could be the labels; empty if none or several could."""
    few = [c for c in others if 2 <= frame[c].nunique() <= min(MOST_CLASSES, len(frame))]
    known = [c for c in few if c.casefold() in _LIKELY]
    words = [c for c in few if pd.to_numeric(frame[c], errors="coerce").isna().any()]
    for found in (known, words, few):
        if len(found) == 1:
            return found[0]
    return ""


def _are_flags(frame: pd.DataFrame) -> bool:
    return bool(frame.isin(["0", "1", "0.0", "1.0", 0, 1]).all(axis=None))
