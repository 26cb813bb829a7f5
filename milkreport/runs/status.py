"""How far a run is, read from its folder while it is trained or after; without torch."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Literal

from milkreport.evaluation.records.data import Record
from milkreport.parse import parse_json
from milkreport.runs.cells import Cell
from milkreport.runs.collect import plan_cells
from milkreport.runs.folder import RunFolder
from milkreport.runs.lock import load_holder
from milkreport.runs.progress import CellProgress, Progress, load_progress

State = Literal["done", "failed", "running", "interrupted", "waiting"]


class CellStatus(Record):
    """One training. ``epoch``: epochs that are over; of an interrupted one, as its last checkpoint tells."""

    arm: str
    seed: int
    fold: int
    state: State
    epoch: int
    epochs: int
    seconds: float | None = None
    message: str = ""


class RunStatus(Record):
    """A run. ``held_by``: who trains it now, if anybody. ``seconds_left``: by so many ``workers``."""

    suite: str
    title: str
    held_by: str
    workers: int
    cells: list[CellStatus]
    seconds_left: float | None

    @property
    def counts(self) -> dict[str, int]:
        """Number of trainings by state, those that there are."""
        states = [cell.state for cell in self.cells]
        return {state: states.count(state) for state in dict.fromkeys(states)}


def load_status(folder: RunFolder) -> RunStatus:
    """The state of every training of a run.

    Raises:
        DataError: not the run of a suite.
    """
    suite = folder.load_suite()
    holder = load_holder(folder.path)
    progress = load_progress(folder.path) if holder else Progress()
    running = {Cell(c.arm, c.seed, c.fold): c for c in progress.running}
    epochs = {arm.name: suite.epochs(arm) for arm in suite.arms}
    cells = [
        _read_cell(folder, cell, epochs[cell.arm], running.get(cell)) for cell in plan_cells(suite)
    ]
    return RunStatus(
        suite=suite.name,
        title=suite.title,
        held_by=holder,
        workers=progress.workers,
        cells=cells,
        seconds_left=_left(cells, progress),
    )


def _read_cell(
    folder: RunFolder, cell: Cell, epochs: int, running: CellProgress | None
) -> CellStatus:
    found = CellStatus(
        arm=cell.arm, seed=cell.seed, fold=cell.fold, state="waiting", epoch=0, epochs=epochs
    )
    if running is not None:
        update = {"state": "running", "epoch": running.epoch, "seconds": running.seconds}
        return found.model_copy(update=update)
    record = folder.cell(cell).load_record()
    if record is not None:
        done = record.status == "complete"
        update = {
            "state": "done" if done else "failed",
            "epoch": (record.epochs or epochs) if done else 0,
            "seconds": record.seconds,
            "message": record.message,
        }
        return found.model_copy(update=update)
    epoch, seconds = _checkpointed(folder.cell(cell).checkpoints)
    if seconds is None:
        return found
    return found.model_copy(update={"state": "interrupted", "epoch": epoch, "seconds": seconds})


def _left(cells: list[CellStatus], progress: Progress) -> float | None:
    """Seconds for the epochs that are not done, at the pace of those that are, by all workers together."""
    paces = [
        c.seconds / c.epoch
        for c in cells
        if c.seconds and c.state in ("done", "interrupted") and c.epoch
    ]
    paces += [c.seconds / c.epochs_here for c in progress.running if c.epochs_here]
    open_cells = [c for c in cells if c.state in ("running", "interrupted", "waiting")]
    if not open_cells:
        return 0.0
    open_epochs = sum(c.epochs - c.epoch for c in open_cells)
    at_a_time = min(progress.workers, len(open_cells))
    return fmean(paces) * open_epochs / at_a_time if paces else None


def _checkpointed(place: Path) -> tuple[int, float | None]:
    """Epochs and seconds of the furthest checkpoint, from its first lines alone."""
    for path in sorted(place.glob("*.checkpoint"), reverse=True):
        try:
            with path.open("rb") as file:
                file.readline()
                facts = parse_json(file.readline())
            return int(facts["epoch"]), float(facts["seconds"])
        except (OSError, ValueError, KeyError):
            continue
    return 0, None
