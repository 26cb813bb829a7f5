"""The saved model that a fine-tuning goes on from, and the run that it stands in, where it does."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from milkreport.errors import ConfigError, DataError
from milkreport.runs.collect import plan_cells
from milkreport.runs.finetune_record import MODEL
from milkreport.runs.folder import Cell, RunFolder
from milkreport.suite import Suite
from milkreport.training.card import ModelCard
from milkreport.training.saved import CARD_FILE, SavedModel, load_model


@dataclass(frozen=True)
class Parent:
    """A model to go on from. ``folder``: holds its card. ``run``: the run that it is of, if it is known."""

    folder: Path
    model: SavedModel
    run: RunFolder | None

    @property
    def card(self) -> ModelCard:
        """What the model says of itself."""
        return self.model.card

    @cached_property
    def suite(self) -> Suite | None:
        """The suite of the run."""
        return self.run.load_suite() if self.run else None

    @property
    def name(self) -> str:
        """What it is called, without a path of the machine."""
        place = self.run.path if self.run else self.folder
        return place.resolve().name


def load_parent(path: Path, arm: str, seed: int | None, fold: int | None) -> Parent:
    """The model that *path* and the options name.

    Raises:
        ConfigError: no such arm, seed or fold. DataError: no model there, or a damaged one.
    """
    folder = find_model(path, arm, seed, fold)
    # RUN/cells/ARM/seed-S/fold-F
    above = folder.resolve().parents
    run = RunFolder(above[3]) if len(above) > 3 and above[2].name == "cells" else None
    return Parent(folder, load_model(folder), run if run and run.has_suite else None)


def find_model(path: Path, arm: str, seed: int | None, fold: int | None) -> Path:
    """The folder with ``model.json``: *path* itself, the ``model`` of a fine-tuning, or the cell of a run
    that *arm*, *seed* and *fold* name.

    Where a run has one arm only, it need not be named; seed and fold are the run's first by default.

    Raises:
        ConfigError: a choice that does not exist, or is none of this folder's. DataError: nothing there.
    """
    if (path / MODEL / CARD_FILE).is_file():
        path = path / MODEL
    if (path / CARD_FILE).is_file():
        if arm or seed is not None or fold is not None:
            what = (
                "--arm, --seed and --fold choose a model of a run, and this folder holds one model"
            )
            raise ConfigError(what, "leave them out", str(path))
        return path
    folder = RunFolder(path)
    if not folder.has_suite:
        do = f"name the --out of a run-all, or a folder with {CARD_FILE}"
        raise DataError("no model here", do, str(path))
    suite = folder.load_suite()
    names = [one.name for one in suite.arms]
    if not arm and len(names) > 1:
        raise ConfigError("the run has several arms", f"give --arm: {', '.join(names)}")
    if arm and arm not in names:
        near = difflib.get_close_matches(arm, names, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ConfigError(f"--arm: no arm {arm!r}", f"{hint}arms are: {', '.join(names)}")
    cell = Cell(arm or names[0], suite.seeds[0] if seed is None else seed, fold or 0)
    if cell not in plan_cells(suite):
        seeds = ", ".join(map(str, suite.seeds[:20]))
        do = f"seeds are: {seeds}; folds: 0 to {suite.split.n_folds - 1}"
        raise ConfigError(f"the run has no training {cell}", do, str(path))
    if not (folder.cell_path(cell) / CARD_FILE).is_file():
        what = f"the training {cell} has left no model"
        raise DataError(what, "finish it: the same run-all command again", str(path))
    return folder.cell_path(cell)
