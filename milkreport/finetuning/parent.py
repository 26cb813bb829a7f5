"""The saved model that a fine-tuning goes on from, and the run that it stands in, where it does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from milkreport.inference.find_model import find_model
from milkreport.inference.trained import load_trained
from milkreport.runs.folder import RunFolder
from milkreport.suite.suite import Suite
from milkreport.training.card import ModelCard
from milkreport.training.saved import SavedModel


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


def load_parent(
    path: Path, arm: str | None = None, seed: int | None = None, fold: int | None = None
) -> Parent:
    """The model that *path* and the options name.

    Raises:
        ConfigError: no such arm, seed or fold. DataError: no model there, or a damaged one.
    """
    found = find_model(path, arm, seed, fold)
    # RUN/cells/ARM/seed-S/fold-F, named directly
    above = found.folder.resolve().parents
    run = found.run or (
        RunFolder(above[3]) if len(above) > 3 and above[2].name == "cells" else None
    )
    return Parent(found.folder, load_trained(found.folder), run if run and run.has_suite else None)
