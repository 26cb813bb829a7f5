"""What is being trained at this moment, in a small file of the run folder for ``milkreport status``."""

from __future__ import annotations

import time
from pathlib import Path

from milkreport.atomic import write_text
from milkreport.evaluation.records.data import Record
from milkreport.parse import parse_json
from milkreport.runs.cells import Cell

NAME = ".progress.json"
_EVERY = 1.0  # seconds between two writings of epochs


class CellProgress(Record):
    """A training under way. ``seconds``: since it was taken up, at the end of its last epoch.

    ``epoch``: epochs that are over; ``epochs_here``: those of them since it was taken up.
    """

    arm: str
    seed: int
    fold: int
    epoch: int = 0
    epochs_here: int = 0
    seconds: float = 0.0


class Progress(Record):
    """All trainings of a run that are under way. ``workers``: how many there may be."""

    workers: int = 1
    running: list[CellProgress] = []


class ProgressFile:
    """Keeps the file of one run."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.path, self.workers = folder / NAME, workers
        self._running: dict[Cell, tuple[float, CellProgress]] = {}
        self._written = -_EVERY

    def begin(self, cell: Cell) -> None:
        """A training was taken up."""
        progress = CellProgress(arm=cell.arm, seed=cell.seed, fold=cell.fold)
        self._running[cell] = time.monotonic(), progress
        self._write(0)

    def epoch(self, cell: Cell, epoch: int) -> None:
        """An epoch of it is over."""
        started, before = self._running[cell]
        update = {
            "epoch": epoch,
            "epochs_here": before.epochs_here + 1,
            "seconds": time.monotonic() - started,
        }
        self._running[cell] = started, before.model_copy(update=update)
        self._write(_EVERY)

    def end(self, cell: Cell) -> None:
        """It is done or failed."""
        self._running.pop(cell, None)
        self._write(_EVERY)

    def clear(self) -> None:
        """Nothing is trained any more."""
        self.path.unlink(missing_ok=True)

    def _write(self, after: float) -> None:
        if time.monotonic() - self._written >= after:
            running = [progress for _, progress in self._running.values()]
            record = Progress(workers=self.workers, running=running)
            write_text(self.path, record.model_dump_json())
            self._written = time.monotonic()


def load_progress(folder: Path) -> Progress:
    """What the file says; nothing where it is missing or is damaged."""
    try:
        return Progress.model_validate(parse_json((folder / NAME).read_bytes()))
    except (OSError, ValueError):
        return Progress()
