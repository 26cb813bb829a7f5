"""Predictions of one model on one part, and the file in which a run keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from milkreport.columns import read_numbers, refuse_duplicates
from milkreport.errors import DataError
from milkreport.evaluation.records.data import Part
from milkreport.evaluation.records.parts import Needs
from milkreport.tables import first_few, guard, load_plain, load_table, require_columns, unguard

ID_COLUMNS = ("case_id", "lesion_id", "image", "id")
RESERVED = ("case_id", "split", "label")
SUM_TOLERANCE = 1e-3

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """Predictions of one part, sorted by case.

    ``truth``: int64 (n,), class positions. ``probabilities``: float64 (n, n_classes), each 0 to 1.
    """

    case_ids: npt.NDArray[np.str_]
    truth: npt.NDArray[np.int64]
    probabilities: Floats
    classes: tuple[str, ...]

    @cached_property
    def predicted(self) -> npt.NDArray[np.int64]:
        """Class of the largest probability, the first of equals; int64 (n,)."""
        return np.asarray(self.probabilities.argmax(axis=1), np.int64)

    @cached_property
    def kind(self) -> Needs:
        """What the values are: ``labels`` (every row a single 1 and zeros: hard answers), ``probabilities``
        (every row sums to 1 within 1e-3), else ``scores``, of which only argmax and ranks mean anything.
        """
        values = self.probabilities
        sums = values.sum(axis=1)
        if ((values == 0) | (values == 1)).all() and (sums == 1).all():
            return "labels"
        return "probabilities" if (np.abs(sums - 1) <= SUM_TOLERANCE).all() else "scores"

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Predictions:
        """These rows alone."""
        values = self.case_ids[rows], self.truth[rows], self.probabilities[rows]
        return Predictions(*values, self.classes)

    def ordered(self, classes: Sequence[str]) -> Predictions:
        """The same with its classes in another order.

        Raises:
            ValueError: *classes* are not the same names.
        """
        if tuple(classes) == self.classes:
            return self
        if sorted(classes) != sorted(self.classes):
            raise ValueError("not the same classes")
        places = [self.classes.index(name) for name in classes]
        return Predictions(
            self.case_ids,
            np.argsort(places)[self.truth],
            self.probabilities[:, places],
            tuple(classes),
        )


def load_predictions(path: Path, classes: Sequence[str]) -> dict[Part, Predictions]:
    """Read one of our ``predictions.csv``: part name to predictions.

    Raises:
        DataError: columns, ids, parts or probabilities are not what they should be.
    """
    columns = [*RESERVED, *(str(guard(name)) for name in classes)]
    try:
        frame = load_plain(path, RESERVED)
        require_columns(frame, columns, str(path))
    except DataError:  # whose line the strict reader says
        frame = load_table(path, columns)
    frame = frame.rename(columns=unguard)
    for column in ("case_id", "label"):
        frame[column] = frame[column].map(unguard)
    refuse_duplicates(frame, ["case_id", "split"], str(path))
    probabilities = read_probabilities(frame, classes, str(path))
    truth = label_positions(frame["label"], classes, str(path))
    parts: dict[Part, Predictions] = {}
    for part in dict.fromkeys(frame["split"]):
        if part not in get_args(Part):
            raise DataError(f"unknown part {part!r}", "train, validation or test", f"{path}:split")
        rows = np.flatnonzero((frame["split"] == part).to_numpy())
        ids = frame["case_id"].to_numpy(dtype=np.str_)[rows]
        rows = rows[np.argsort(ids, kind="stable")]
        parts[part] = Predictions(
            frame["case_id"].to_numpy(dtype=np.str_)[rows],
            truth[rows],
            probabilities[rows],
            tuple(classes),
        )
    return parts


def as_frame(parts: Mapping[Part, Predictions]) -> pd.DataFrame:
    """Predictions as :func:`load_predictions` reads them: case_id, split, label, a column per class."""
    frames = []
    for part, p in parts.items():
        labels = np.array(p.classes, dtype=object)[p.truth]
        frame = pd.DataFrame({"case_id": p.case_ids, "split": part, "label": labels})
        frames.append(frame.join(pd.DataFrame(p.probabilities, columns=list(p.classes))))
    return pd.concat(frames, ignore_index=True)


def read_probabilities(frame: pd.DataFrame, classes: Sequence[str], name: str) -> Floats:
    """The class columns as float64 (n, n_classes).

    Raises:
        DataError: a value is missing or outside 0 to 1; logits are named as such.
    """
    do = "give a number from 0 to 1"
    columns = [read_numbers(frame, c, name, -np.inf, np.inf, do) for c in classes]
    values: Floats = np.stack([np.asarray(c, np.float64) for c in columns], axis=1)
    wrong = ~((values >= 0) & (values <= 1))
    if wrong.any():
        row, column = (int(i) for i in np.argwhere(wrong)[0])
        where = f"{name}:{frame.index[row]}:{classes[column]}"
        finite = values[np.isfinite(values)]
        if wrong.mean() > 0.2 and (finite < -0.5).any() and (finite > 1.5).any():
            what, do = "these look like logits, not probabilities", "apply softmax first"
        elif len(finite) and (finite >= 0).all() and 50 < finite.max() <= 100:
            what = f"{values[row, column]:g} is no probability: these look like percent"
            do = "divide by 100"
        else:
            empty = np.isnan(values[row, column])
            shown = "an empty cell" if empty else f"{values[row, column]:g}"
            what, do = f"{shown} is no probability", "give values from 0 to 1"
        raise DataError(what, do, where)
    return values


def label_positions(labels: pd.Series, classes: Sequence[str], name: str) -> npt.NDArray[np.int64]:
    """Class names as positions, int64 (n,).

    Raises:
        DataError: a name that is no class.
    """
    places = pd.Index(classes).get_indexer(pd.Index(labels))
    if (places < 0).any():
        unknown = sorted({str(label) for label in labels[places < 0]})
        what = f"unknown class {first_few(unknown)}"
        raise DataError(what, f"classes are: {first_few(classes, 30)}", name)
    return places.astype(np.int64)
