"""The archive's submission file: ids and one value a class, checked before and after it is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from milkreport.atomic import write_bytes
from milkreport.columns import refuse_duplicates
from milkreport.errors import DataError, EnvironmentProblem
from milkreport.evaluation.metrics.thresholds import AWAY, PLAIN
from milkreport.evaluation.reading.predictions import ID_COLUMNS, read_probabilities
from milkreport.runs.csv_files import csv_text
from milkreport.tables import guard, read_table, unguard

#: What rounding of a decimal may take from the distance to 0.5.
_ROUNDING = 1e-12


def id_column(named: str) -> str:
    """The data's own name of a case's id where ``milkreport evaluate`` knows it, else ``case_id``."""
    return named if named in ID_COLUMNS else "case_id"


def write_submission(
    path: Path,
    named: str,
    ids: Sequence[str],
    classes: Sequence[str],
    values: npt.NDArray[np.float64],
) -> None:
    """Write *values*, float64 (n, n_classes), as ``ID, CLASS, ...``; what is on disk has been checked.

    Raises:
        DataError: an id twice, a value outside 0 to 1 or within 1e-6 of 0.5. Nothing is written then.
        EnvironmentProblem: it cannot be written, or is not on disk what was written.
    """
    frame = pd.DataFrame(values, columns=list(classes))
    frame.insert(0, named, list(ids))
    data = csv_text(frame, digits=17).encode()
    check_submission(data, str(path), named, ids, classes)
    write_bytes(path, data)
    if path.read_bytes() != data:
        what = "is not on disk what was written"
        raise EnvironmentProblem(what, "look after the disk, and run it again", str(path))


def check_submission(
    data: bytes, name: str, named: str, ids: Sequence[str], classes: Sequence[str]
) -> None:
    """Read a submission back, and raise a DataError if it is none of these ids and classes."""
    table = read_table(data, name, [named, *(str(guard(c)) for c in classes)])
    table = table.rename(columns=unguard)
    if list(table.columns) != [named, *classes]:
        raise DataError("its columns are not the id and the classes", "", f"{name}:1")
    refuse_duplicates(table, [named], name)
    if table[named].map(unguard).tolist() != list(ids):
        raise DataError("its ids are not the cases that were asked for", "", name)
    values = read_probabilities(table, classes, name)
    near = np.abs(values - PLAIN) < AWAY * (1 - 1e-6) - _ROUNDING
    if near.any():
        row, column = (int(i) for i in np.argwhere(near)[0])
        what = f"{values[row, column]!r} is within 1e-6 of 0.5, where a rounding would turn it"
        raise DataError(what, "", f"{name}:{row + 2}:{classes[column]}")
