"""Anybody's predictions beside the truth: read strictly, matched by name, never renormalised.

Predictions: an id column, and one probability column a class or one column of hard labels. Truth: an id
column, and a ``label`` column or one-hot columns. CSV or Parquet, or data frames.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from milkreport.columns import one_hot_labels, refuse_duplicates
from milkreport.errors import DataError
from milkreport.evaluation.reading.any_table import ANSWERS, Source, Table, read_exactly
from milkreport.evaluation.reading.predictions import (
    RESERVED,
    SUM_TOLERANCE,
    Floats,
    Predictions,
    label_positions,
    read_probabilities,
)
from milkreport.evaluation.records.data import Part
from milkreport.tables import first_few, refuse_many_classes


@dataclass(frozen=True)
class Truth:
    """Labels by id, and the classes in the report's order, if the truth tells it (one-hot columns)."""

    labels: pd.Series[str]
    classes: tuple[str, ...] | None
    name: str

    @property
    def present(self) -> list[str]:
        """Classes that have a case, sorted."""
        return sorted(set(self.labels))


def join_predictions(
    files: Mapping[str, Sequence[Source]], truth: Source
) -> dict[str, list[dict[Part, Predictions]]]:
    """Every source of every arm beside the truth: arm to one entry a source, part to predictions.

    Rows with a ``split`` column, as ours have, are taken by it: ``test`` and, where the truth knows their
    cases, ``validation``; the truth may then hold other cases too. Without: all rows are the test part, and
    must be the truth's cases.

    Raises:
        DataError: no such file, ids or classes differ, or values are no probabilities.
    """
    return read_exactly(lambda load: _join_all(files, truth, load))


def load_values(source: Source, classes: Sequence[str]) -> tuple[str, list[str], Floats]:
    """Predictions without truth: the id column's name, the ids, and values (n, n_classes) of *classes*.

    Raises:
        DataError: a class lacks or is unknown, a value is no probability, an id stands twice.
    """

    def read(load: Callable[[Source], Table]) -> tuple[str, list[str], Floats]:
        table = load(source)
        refuse_duplicates(table.frame, [table.id_column], table.name)
        _check_classes(_value_columns(table), classes, table.name)
        values = read_probabilities(table.frame, classes, table.name)
        return table.id_column, table.ids.tolist(), values

    return read_exactly(read)


def _join_all(
    files: Mapping[str, Sequence[Source]], truth_source: Source, load: Callable[[Source], Table]
) -> dict[str, list[dict[Part, Predictions]]]:
    tables = {arm: [load(source) for source in sources] for arm, sources in files.items()}
    every = [table for sources in tables.values() for table in sources]
    wide = next((table for table in every if _answers(table) is None), None)
    named = _value_columns(wide) if wide else []
    truth = _read_truth(load(truth_source))
    classes = truth.classes
    if classes is None:
        # Columns beyond the truth's labels are classes without a case, if only with them rows sum to 1.
        whole = wide is not None and set(truth.present) <= set(named) and _adds_up(wide, named)
        known = named if whole else [c for c in named if c in set(truth.present)]
        classes = (*known, *(c for c in truth.present if c not in named))
    refuse_many_classes(len(classes), truth.name)
    return {
        arm: [_join(table, truth, tuple(classes)) for table in sources]
        for arm, sources in tables.items()
    }


def _join(table: Table, truth: Truth, classes: tuple[str, ...]) -> dict[Part, Predictions]:
    frame, ids = table.frame, table.ids
    has_split = "split" in frame.columns and bool((frame["split"] == "test").any())
    keys = [table.id_column, "split"] if has_split else [table.id_column]
    refuse_duplicates(frame, keys, table.name)
    if not has_split:
        _check_ids(set(ids), set(truth.labels.index), table.name)
        return {"test": _join_part(table, truth, classes)}
    parts: dict[Part, Predictions] = {}
    known = set(truth.labels.index)
    for part in ("test", "validation"):
        rows = (frame["split"] == part).to_numpy()
        mine = set(ids[rows])
        if part == "test":
            _check_ids(mine, mine & known, table.name)
        elif not mine or not mine <= known:
            continue
        parts[part] = _join_part(Table(frame[rows], table.name), truth, classes)
    return parts


def _join_part(table: Table, truth: Truth, classes: tuple[str, ...]) -> Predictions:
    answers = _answers(table)
    if answers is not None:
        foreign = sorted(set(table.frame[answers].dropna().astype(str)) - set(classes))
        if foreign:
            raise _foreign_class(f"{answers}", foreign, table.name)
        if table.frame[answers].isna().any():
            row = table.frame.index[table.frame[answers].isna()][0]
            where = f"{table.name}:{row}:{answers}"
            raise DataError("a case without an answer", "give every case one", where)
        places = label_positions(table.frame[answers].astype(str), classes, table.name)
        values = np.eye(len(classes))[places]
    else:
        _check_classes(_value_columns(table), classes, table.name)
        values = read_probabilities(table.frame, classes, table.name)
    ids = table.ids.to_numpy(dtype=np.str_)
    order = np.argsort(ids, kind="stable")
    labels = truth.labels.reindex(ids[order])
    return Predictions(
        ids[order], label_positions(labels, classes, truth.name), values[order], tuple(classes)
    )


def _check_classes(named: Sequence[str], classes: Sequence[str], name: str) -> None:
    lacking = sorted(set(classes) - set(named))
    if lacking:
        what = f"no probability column for class {first_few(lacking, 30)}"
        raise DataError(what, "give one column a class, named as in the truth", f"{name}:1")
    foreign = sorted(set(named) - set(classes))
    if foreign:
        raise _foreign_class("column", foreign, name)


def _foreign_class(where: str, foreign: Sequence[str], name: str) -> DataError:
    what = f"{where} {first_few(foreign, 30)} is no class of the truth"
    do = "drop it; if it is a class without a case, give the truth as one-hot columns"
    return DataError(what, do, f"{name}:1")


def _adds_up(table: Table, columns: Sequence[str]) -> bool:
    """Whether these columns are numbers whose rows sum to 1."""
    numbers = table.frame[list(columns)].apply(pd.to_numeric, errors="coerce")
    return bool(((numbers.sum(axis=1, skipna=False) - 1).abs() <= SUM_TOLERANCE).all())


def _read_truth(table: Table) -> Truth:
    """Labels, and the classes where one-hot columns tell them."""
    frame, name = table.frame, table.name
    refuse_duplicates(frame, [table.id_column], name)
    others = [c for c in frame.columns if c not in (table.id_column, *RESERVED)]
    classes: tuple[str, ...] | None = None
    if "label" not in frame.columns:
        labels, classes = one_hot_labels(frame, others, name), tuple(others)
    else:
        labels = frame["label"]
        if labels.isna().any():
            row = frame.index[labels.isna()][0]
            what = "a case without a label"
            raise DataError(what, "label it, or leave it out", f"{name}:{row}:label")
        labels = labels.astype(str)
        present = set(labels)
        if set(others) >= present and frame[others].isin(["0", "1", "0.0", "1.0", 0, 1]).all(
            axis=None
        ):
            unlike = frame.index[one_hot_labels(frame, others, name) != labels]
            if len(unlike):
                what = "the label column and the one-hot columns name different classes"
                raise DataError(what, "keep one of the two", f"{name}:{unlike[0]}")
            classes = tuple(others)
    labels = pd.Series(labels.to_numpy(), index=table.ids.to_numpy(), dtype=object)
    return Truth(labels, classes, name)


def _answers(table: Table) -> str | None:
    """The column of hard labels, where no other column could be a class's."""
    found = [c for c in table.frame.columns if c in ANSWERS]
    return found[0] if len(found) == 1 and len(_value_columns(table)) == 1 else None


def _value_columns(table: Table) -> list[str]:
    return [c for c in table.frame.columns if c not in (table.id_column, *RESERVED)]


def _check_ids(predicted: set[str], known: set[str], name: str) -> None:
    problems = [
        f"{len(ids)} {what}: {first_few(sorted(ids))}"
        for ids, what in (
            (known - predicted, "cases of the truth have no prediction"),
            (predicted - known, "predictions have no truth"),
        )
        if ids
    ]
    if problems:
        do = "give exactly one row a case"
        if {case.lstrip("0") for case in predicted} == {case.lstrip("0") for case in known}:
            do = "the ids differ in leading zeros alone: keep them as text where the file is made"
        raise DataError("; ".join(problems), do, name)
