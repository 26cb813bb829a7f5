"""A cell's answers to corrupted images of its test part: ``robustness.csv`` beside its predictions.

A row per case; a column ``NAME:SEVERITY`` with the predicted class where the primary metric is of hard
answers, else a column ``NAME:SEVERITY:CLASS`` for each class with its probability. ``cell.json`` has the
file's hash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from milkreport.errors import DataError
from milkreport.evaluation.pooled_predictions import Cells
from milkreport.evaluation.reading.predictions import (
    Predictions,
    label_positions,
    read_probabilities,
)
from milkreport.evaluation.records.results import CellRecord
from milkreport.runs.cells import Cell, CellFolder, hash_file
from milkreport.runs.csv_files import write_csv
from milkreport.runs.folder import RunFolder
from milkreport.suite.corruptions import CORRUPTIONS, SEVERITIES
from milkreport.tables import load_table, unguard

FILE = "robustness.csv"
#: Digits of a probability: a report prints three.
_DIGITS = 6

#: A corruption and its severity.
Condition = tuple[str, int]
CONDITIONS: tuple[Condition, ...] = tuple((name, s) for name in CORRUPTIONS for s in SEVERITIES)


@dataclass(frozen=True)
class CorruptedScores:
    """What one cell answered. ``conditions``: to probabilities, float32 (n, n_classes) in the order of
    ``case_ids``; ``plain``: the same without any corruption. ``seconds``: what it took.
    """

    case_ids: Sequence[str]
    classes: Sequence[str]
    plain: npt.NDArray[np.float32]
    conditions: Mapping[Condition, npt.NDArray[np.float32]]
    seconds: float
    peak_memory_bytes: int | None = None  # as a training has it


def write_corrupted(
    folder: CellFolder, record: CellRecord, scores: CorruptedScores, hard: bool
) -> CellRecord:
    """Write the file, with what a sound one there has beside, and then its hash into ``cell.json``.

    Args:
        hard: keep the predicted classes alone.
    """
    columns: dict[str, object] = {"case_id": [str(case) for case in scores.case_ids]}
    before = _before(folder, record, columns["case_id"], hard)
    names = np.array(scores.classes, dtype=object)
    for name, severity in CONDITIONS:
        key = f"{name}:{severity}"
        found = scores.conditions.get((name, severity))
        if found is None:
            columns |= {c: before[c] for c in before.columns if c == key or c.startswith(f"{key}:")}
        elif hard:
            columns[key] = names[found.argmax(axis=1)]
        else:
            columns |= {f"{key}:{c}": found[:, i].astype(float) for i, c in enumerate(names)}
    write_csv(folder.path / FILE, pd.DataFrame(columns), digits=_DIGITS)
    kept = record.model_copy(update={"robustness_sha256": hash_file(folder.path / FILE)})
    folder.write_record(kept)
    return kept


def scored_conditions(folder: CellFolder, record: CellRecord, hard: bool) -> set[Condition]:
    """Conditions that a sound file of the cell has, in the form that is wanted."""
    if not _is_sound(folder, record):
        return set()
    table = load_table(folder.path / FILE, ["case_id"]).rename(columns=unguard)
    found = {}
    for column in map(str, table.columns[1:]):
        name, severity, rest = _split(column)
        found[name, severity] = not rest
    return {condition for condition, is_hard in found.items() if is_hard == hard}


def load_corrupted(
    folder: RunFolder, tested: Mapping[str, Cells], records: Mapping[Cell, CellRecord]
) -> dict[str, dict[Condition, Cells]]:
    """Answers to corrupted images of the arms all of whose cells have them: arm to condition to cells.

    Args:
        tested: test predictions by arm, of the cells that are scored. records: of these cells.

    Raises:
        DataError: a file that is damaged, or is not of the cell's cases.
    """
    found: dict[str, dict[Condition, Cells]] = {}
    for arm, cells in tested.items():
        by_cell = {}
        for (seed, fold), predictions in cells.items():
            cell = Cell(arm, seed, fold)
            if cell in records and _is_sound(folder.cell(cell), records[cell]):
                path = folder.cell(cell).path / FILE
                by_cell[seed, fold] = _load(path, predictions)
        if not by_cell or len(by_cell) < len(cells):
            continue
        shared = set.intersection(*(set(conditions) for conditions in by_cell.values()))
        if shared:
            found[arm] = {
                condition: {key: mine[condition] for key, mine in by_cell.items()}
                for condition in CONDITIONS
                if condition in shared
            }
    return found


def _load(path: Path, of: Predictions) -> dict[Condition, Predictions]:
    """Condition to predictions of the cases of *of*, in their order."""
    table = load_table(path, ["case_id"]).rename(columns=unguard)
    ids = table["case_id"].map(unguard).to_numpy(dtype=np.str_)
    order = np.argsort(ids, kind="stable")
    if not np.array_equal(ids[order], of.case_ids):
        raise DataError(
            "is not of the cell's test cases", "run run-all --robustness again", str(path)
        )
    table = table.iloc[order]
    grouped: dict[Condition, dict[str, str]] = {}
    for column in map(str, table.columns):
        if column != "case_id":
            name, severity, rest = _split(column)
            if (name, severity) not in CONDITIONS:
                what = f"unknown column {column!r}"
                raise DataError(what, "run run-all --robustness again", str(path))
            grouped.setdefault((name, severity), {})[rest] = column
    found = {}
    for condition, columns in grouped.items():
        if "" in columns:
            answers = label_positions(table[columns[""]].map(unguard), of.classes, str(path))
            values = np.eye(len(of.classes))[answers]
        else:
            if missing := [c for c in of.classes if c not in columns]:
                what = f"no column {condition[0]}:{condition[1]}:{missing[0]}"
                raise DataError(what, "run run-all --robustness again", str(path))
            values = read_probabilities(table, [columns[c] for c in of.classes], str(path))
        found[condition] = Predictions(of.case_ids, of.truth, values, of.classes)
    return found


def _split(column: str) -> tuple[str, int, str]:
    name, _, rest = column.partition(":")
    severity, _, rest = rest.partition(":")
    return name, int(severity) if severity.isdigit() else -1, rest


def _is_sound(folder: CellFolder, record: CellRecord) -> bool:
    known = record.robustness_sha256
    return known != "" and hash_file(folder.path / FILE) == known


def _before(folder: CellFolder, record: CellRecord, ids: object, hard: bool) -> pd.DataFrame:
    """The columns that are there and stay; none where the file is not sound, or of another form."""
    if not scored_conditions(folder, record, hard):
        return pd.DataFrame()
    table = load_table(folder.path / FILE, ["case_id"]).rename(columns=unguard).map(unguard)
    if table["case_id"].tolist() != ids:
        return pd.DataFrame()
    kept = table.drop(columns="case_id").reset_index(drop=True)
    return kept if hard else kept.astype(float)
