"""One training of a run and its folder: curves, predictions, weights, card; ``cell.json`` commits them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from milkreport.atomic import write_bytes, write_text
from milkreport.columns import read_numbers
from milkreport.evaluation.reading.predictions import Predictions, as_frame, load_predictions
from milkreport.evaluation.records.data import Part
from milkreport.evaluation.records.results import CellRecord
from milkreport.inside import within
from milkreport.parse import parse_json
from milkreport.runs.csv_files import write_csv
from milkreport.tables import load_table
from milkreport.training.files import CARD_FILE

if TYPE_CHECKING:
    from milkreport.training.cell import TrainedCell

HISTORY, PREDICTIONS, RECORD = "history.csv", "predictions.csv", "cell.json"


@dataclass(frozen=True)
class Cell:
    """One training of a run: arm x seed x fold."""

    arm: str
    seed: int
    fold: int

    def __str__(self) -> str:
        return f"{self.arm}, seed {self.seed}, fold {self.fold}"


@dataclass(frozen=True)
class CellFolder:
    """What a cell leaves on disk. Every file is written whole or not at all."""

    path: Path
    cell: Cell

    @property
    def checkpoints(self) -> Path:
        """Where the training keeps its progress while it lasts."""
        return self.path / "checkpoints"

    def write(self, trained: TrainedCell, key: str) -> CellRecord:
        """Write a finished cell; its ``cell.json`` comes last and is the commit.

        Args:
            key: of :func:`milkreport.execution.tasks.cell_key`.
        """
        write_files(self.path, trained)
        record = CellRecord(
            seed=self.cell.seed,
            fold=self.cell.fold,
            status="complete",
            key=key,
            device=trained.device,
            seconds=trained.seconds,
            epoch_used=trained.epoch_used,
            epochs=len(trained.history),
            weights_file=trained.card.weights_file,
            card_sha256=hash_file(self.path / CARD_FILE),
            weights_sha256=trained.weights_sha256,
            predictions_sha256=hash_file(self.path / PREDICTIONS),
            parameters=trained.parameters,
            scalars=trained.scalars,
            exposure=trained.exposure,
            peak_memory_bytes=trained.peak_memory_bytes,
        )
        self.write_record(record)
        return record

    def write_record(self, record: CellRecord) -> None:
        """Write the cell's record alone (a failed one has nothing else)."""
        write_text(self.path / RECORD, record.model_dump_json(indent=1))

    def write_predictions(self, parts: Mapping[Part, Predictions], digits: int = 17) -> CellRecord:
        """Write predictions that were made elsewhere as a cell without weights.

        Args:
            digits: 9 keep what a training of ours wrote, 17 whatever anybody did.
        """
        path = self.path / PREDICTIONS
        write_csv(path, as_frame(parts), digits=digits)
        record = CellRecord(
            seed=self.cell.seed,
            fold=self.cell.fold,
            status="complete",
            predictions_sha256=hash_file(path),
        )
        self.write_record(record)
        return record

    def load_record(self) -> CellRecord | None:
        """The cell's record; ``None`` if it was not finished."""
        path = self.path / RECORD
        if not path.is_file():
            return None
        try:
            return CellRecord.model_validate(parse_json(path.read_bytes()))
        except ValueError:
            return None  # not ours or damaged: the cell counts as not done

    def is_sound(self, record: CellRecord) -> bool:
        """Whether a finished cell's card, weights and predictions are still what was written."""
        return (
            (self.path / HISTORY).is_file()
            and record.card_sha256 in ("", hash_file(self.path / CARD_FILE))
            and hash_file(self.path / record.weights_file) == record.weights_sha256
            and hash_file(self.path / PREDICTIONS) == record.predictions_sha256
        )

    def load_predictions(self, classes: Sequence[str]) -> dict[Part, Predictions]:
        """Predictions of a finished cell by part, classes in the order of *classes*."""
        return load_predictions(self.path / PREDICTIONS, classes)

    def load_history(self) -> dict[str, list[float | None]]:
        """Curves of a finished cell: column to values by epoch."""
        return load_history(self.path)


def cell_folder(run: Path, cell: Cell) -> CellFolder:
    """The folder of one cell in the folder *run*, which is not opened.

    Raises:
        DataError: the arm's name leads out of the run, or a link is on the way.
    """
    names = "cells", cell.arm, f"seed-{cell.seed}", f"fold-{cell.fold}"
    return CellFolder(within(run, *names), cell)


def write_files(folder: Path, trained: TrainedCell) -> None:
    """Write curves, predictions, weights and, last, the card into *folder*."""
    write_csv(folder / HISTORY, trained.history)
    write_csv(folder / PREDICTIONS, trained.predictions)
    write_bytes(folder / trained.card.weights_file, trained.weights)
    write_text(folder / CARD_FILE, trained.card.model_dump_json(indent=1))


def load_history(folder: Path) -> dict[str, list[float | None]]:
    """Curves of the training in *folder*: column to values by epoch."""
    path = folder / HISTORY
    table = load_table(path, ["epoch"])
    columns = {str(c): read_numbers(table, str(c), str(path), -1e30, 1e30) for c in table.columns}
    return {
        name: [None if pd.isna(v) else float(v) for v in values] for name, values in columns.items()
    }


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes; empty where it is missing."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
