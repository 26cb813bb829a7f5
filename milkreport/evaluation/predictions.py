"""Predictions of any model, whoever made them: read strictly, matched by name, never renormalised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from milkreport.errors import DataError
from milkreport.tables import (
    first_few,
    guard,
    load_table,
    one_hot_labels,
    read_numbers,
    refuse_duplicates,
    unguard,
)

ID_COLUMNS = ("case_id", "lesion_id", "image", "id")
RESERVED = ("case_id", "split", "label")
SUM_TOLERANCE = 1e-3

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """Predictions of one part, sorted by case.

    ``truth``: int64 (n,), class positions. ``probabilities``: float64 (n, n_classes), each 0 to 1.
    ``sums_to_one``: whether every row does, up to 1e-3; if not, only argmax and ranks mean anything.
    """

    case_ids: npt.NDArray[np.str_]
    truth: npt.NDArray[np.int64]
    probabilities: Floats
    classes: tuple[str, ...]

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """Class of the largest probability, the first of equals; int64 (n,)."""
        return np.asarray(self.probabilities.argmax(axis=1), np.int64)

    @property
    def sums_to_one(self) -> bool:
        """Whether every row sums to 1 within 1e-3."""
        return bool((np.abs(self.probabilities.sum(axis=1) - 1) <= SUM_TOLERANCE).all())


def load_predictions(path: Path, classes: Sequence[str]) -> dict[str, Predictions]:
    """Read one of our ``predictions.csv``: part name to predictions.

    Raises:
        DataError: columns, ids or probabilities are not what they should be.
    """
    frame = load_table(path, [*RESERVED, *(str(guard(name)) for name in classes)])
    frame = frame.rename(columns=unguard)
    for column in ("case_id", "label"):
        frame[column] = frame[column].map(unguard)
    refuse_duplicates(frame, ["case_id", "split"], str(path))
    probabilities = read_probabilities(frame, classes, str(path))
    truth = _positions(frame["label"], classes, str(path))
    parts = {}
    for part in dict.fromkeys(frame["split"]):
        rows = np.flatnonzero((frame["split"] == part).to_numpy())
        ids = frame["case_id"].to_numpy(dtype=np.str_)[rows]
        rows = rows[np.argsort(ids, kind="stable")]
        parts[str(part)] = Predictions(
            frame["case_id"].to_numpy(dtype=np.str_)[rows],
            truth[rows],
            probabilities[rows],
            tuple(classes),
        )
    return parts


def join_truth(predictions_file: Path, truth_file: Path) -> Predictions:
    """Anybody's predictions beside a table of truths, matched by id and by class name.

    Predictions: an id column and one probability column a class. Truth: an id column and either a
    ``label`` column or one-hot columns. Predictions with a ``split`` column, as ours, are scored on
    their ``test`` rows alone; the truth may then hold other cases too.

    Raises:
        DataError: ids or classes differ, or values are no probabilities.
    """
    truth = load_table(truth_file)
    truth_id = _id_column(truth, truth_file)
    refuse_duplicates(truth, [truth_id], str(truth_file))
    frame = load_table(predictions_file)
    tested = "split" in frame.columns and bool((frame["split"] == "test").any())
    if tested:
        frame = frame[frame["split"] == "test"]
    frame_id = _id_column(frame, predictions_file)
    refuse_duplicates(frame, [frame_id], str(predictions_file))

    named = [c for c in frame.columns if c not in (frame_id, *RESERVED)]
    labels, classes = _read_truth(truth, truth_id, named, str(truth_file))
    lacking, foreign = set(classes) - set(named), set(named) - set(classes)
    if lacking:
        what = f"no probability column for class {first_few(sorted(lacking), 30)}"
        raise DataError(
            what, "give one column a class, named as in the truth", f"{predictions_file}:1"
        )
    if foreign:
        what = f"column {first_few(sorted(foreign), 30)} is no class of the truth"
        do = "drop it; if it is a class without a case, give the truth as one-hot columns"
        raise DataError(what, do, f"{predictions_file}:1")
    labels = pd.Series(labels.to_numpy(), index=truth[truth_id].astype(str))
    predicted, known = set(frame[frame_id].astype(str)), set(labels.index)
    # A file that says which rows are its test part is scored on those alone.
    _check_ids(predicted, known & predicted if tested else known, predictions_file)
    probabilities = read_probabilities(frame, classes, str(predictions_file))
    ids = frame[frame_id].to_numpy(dtype=np.str_)
    order = np.argsort(ids, kind="stable")
    positions = _positions(labels.loc[ids[order]], classes, str(truth_file))
    return Predictions(ids[order], positions, probabilities[order], tuple(classes))


def _read_truth(
    truth: pd.DataFrame, id_column: str, named: Sequence[str], name: str
) -> tuple[pd.Series, list[str]]:
    """Labels and classes of a truth table; *named* are the predictions' columns."""
    others = [c for c in truth.columns if c not in (id_column, *RESERVED)]
    if "label" not in truth.columns:
        return one_hot_labels(truth, others, name), others
    present = set(truth["label"].dropna())
    # The order of the predictions' columns; a class of the truth that lacks there is named by the caller.
    classes = [c for c in named if c in present] + sorted(present - set(named))
    if set(others) >= present and truth[others].isin(["0", "1", "0.0", "1.0"]).all(axis=None):
        unlike = truth.index[one_hot_labels(truth, others, name) != truth["label"]]
        if len(unlike):
            what = "the label column and the one-hot columns name different classes"
            raise DataError(what, "keep one of the two", f"{name}:{unlike[0]}")
        return truth["label"], others
    return truth["label"], classes


def read_probabilities(frame: pd.DataFrame, classes: Sequence[str], name: str) -> Floats:
    """The class columns as float64 (n, n_classes).

    Raises:
        DataError: a value is missing or outside 0 to 1; logits are named as such.
    """
    columns = [read_numbers(frame, c, name, -np.inf, np.inf) for c in classes]
    values: Floats = np.stack([np.asarray(c, np.float64) for c in columns], axis=1)
    wrong = ~((values >= 0) & (values <= 1))
    if wrong.any():
        row, column = (int(i) for i in np.argwhere(wrong)[0])
        where = f"{name}:{frame.index[row]}:{classes[column]}"
        finite = values[np.isfinite(values)]
        if wrong.mean() > 0.2 and (finite < 0).any() and (finite > 1).any():
            what, do = "these look like logits, not probabilities", "apply softmax first"
        else:
            what, do = f"{values[row, column]:g} is no probability", "give values from 0 to 1"
        raise DataError(what, do, where)
    return values


def _positions(labels: pd.Series, classes: Sequence[str], name: str) -> npt.NDArray[np.int64]:
    position = {c: index for index, c in enumerate(classes)}
    unknown = sorted({str(label) for label in labels if label not in position})
    if unknown:
        what = f"unknown class {first_few(unknown)}"
        raise DataError(what, f"classes are: {first_few(classes, 30)}", name)
    return np.array([position[label] for label in labels], dtype=np.int64)


def _id_column(frame: pd.DataFrame, path: Path) -> str:
    for column in ID_COLUMNS:
        if column in frame.columns:
            return column
    what = f"no id column ({', '.join(ID_COLUMNS)})"
    raise DataError(what, f"columns are: {first_few(frame.columns, 30)}", f"{path}:1")


def _check_ids(predicted: set[str], known: set[str], path: Path) -> None:
    problems = [
        f"{len(ids)} {what}: {first_few(sorted(ids))}"
        for ids, what in (
            (known - predicted, "cases of the truth have no prediction"),
            (predicted - known, "predictions have no truth"),
        )
        if ids
    ]
    if problems:
        raise DataError("; ".join(problems), "give exactly one row a case", str(path))
