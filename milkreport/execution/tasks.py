"""What is trained: studies, their cells, and the key that tells whether two cells are the same training."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from milkreport.data.prepare import Prepared
from milkreport.data.splits import Fold
from milkreport.runs.cells import Cell
from milkreport.suite.suite import Suite
from milkreport.trust import hash_sources

if TYPE_CHECKING:
    from milkreport.training.cell import Start


@dataclass(frozen=True)
class Study:
    """What all trainings of one run share; travels to other processes.

    ``name``: tells the runs of a grid apart; empty for a run alone. ``start``: what they go on from
    (fine-tuning); None: nothing. ``origin``: all that makes that what it is.
    """

    name: str
    suite: Suite
    prepared: Prepared
    folds: tuple[Fold, ...]
    out: Path
    start: Start | None = None
    origin: str = ""

    def for_workers(self) -> Study:
        """Without the records of image files, which no training reads and which grow with the data."""
        prepared = self.prepared
        none = prepared.images.iloc[:0]
        store = replace(prepared.store, images=none)
        lean = replace(prepared, store=store, images=none, duplicates=prepared.duplicates.iloc[:0])
        return replace(self, prepared=lean)

    def epochs(self, cell: Cell) -> int:
        """Epochs of a cell's training, at most."""
        return self.suite.epochs(self.suite.arm(cell.arm))

    def key(self, cell: Cell) -> str:
        """See :func:`cell_key`."""
        return cell_key(self.suite, cell, self.prepared.fingerprint)


@dataclass(frozen=True)
class Task:
    """One training to do: a cell of a study; with *corruptions*, its test part to be scored under them."""

    study: str
    cell: Cell
    corruptions: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.study}: {self.cell}" if self.study else str(self.cell)


def cell_key(suite: Suite, cell: Cell, data_sha256: str) -> str:
    """SHA-256 of all that a cell's weights depend on but the machine: equal keys, equal trainings.

    Names, titles and the other arms and seeds of the suite are none of it.
    """
    arm = suite.arm(cell.arm)
    model = suite.model_of(arm)
    settings = {
        "data": suite.data.model_dump(exclude={"synthetic"}),
        "split": suite.split.model_dump(),
        **suite.recipe(arm),
        "sources": hash_sources(model),
        "seed": cell.seed,
        "fold": cell.fold,
        "data_sha256": data_sha256,
    }
    if suite.training_of(arm).select == "best_validation":
        settings["selected by"] = suite.primary_metric
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
