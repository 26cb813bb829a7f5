"""Trains a run's cells again and compares: equal to the bit, or from which epoch on they differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from milkreport.data.prepare import prepare
from milkreport.data.splits import make_folds
from milkreport.errors import DataError
from milkreport.execution.executors import InProcess
from milkreport.execution.runner import Watcher
from milkreport.execution.tasks import Study, Task
from milkreport.registration.declare import suite_key
from milkreport.registration.keeper import Keeper
from milkreport.registration.ledger import Event, Ledger
from milkreport.runs.cells import HISTORY, Cell
from milkreport.runs.collect import plan_cells
from milkreport.runs.folder import RunFolder
from milkreport.runs.manifest import Manifest, read_versions
from milkreport.suite.suite import Suite
from milkreport.tables import load_table
from milkreport.training.cell import TrainedCell
from milkreport.training.device import Device, cpu_capability, describe_device, resolve_device
from milkreport.training.failures import TrainingFailed
from milkreport.training.files import CARD_FILE
from milkreport.training.model_selector import Row
from milkreport.training.saved import load_card
from milkreport.trust import require_trusted


@dataclass(frozen=True)
class Repeat:
    """How a cell came out when it was trained again.

    ``epoch``: the first whose curves differ; 0 where all agree. ``what``: one line.
    """

    cell: Cell
    equal: bool
    epoch: int
    what: str


@dataclass(frozen=True)
class Repeats:
    """All cells of a run that were trained again. ``environment``: what differs from then, in lines."""

    cells: tuple[Repeat, ...]
    environment: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether every cell ended with the same weights."""
        return all(repeat.equal for repeat in self.cells)


class _Differs(TrainingFailed):
    """Stops a training whose curves have left those on file."""

    def __init__(self, epoch: int, what: str) -> None:
        super().__init__(f"differs from epoch {epoch} on: {what}")


class _Comparison:
    """A recorder that compares what is trained with what is on file, and writes nothing but the ledger."""

    checkpoint_every = math.inf

    def __init__(
        self,
        folder: RunFolder,
        watcher: Watcher,
        epochs: Callable[[Cell], int],
        keeper: Keeper,
    ) -> None:
        self.folder, self.watcher, self.epochs = folder, watcher, epochs
        self.keeper = keeper
        self.repeats: list[Repeat] = []
        self._history = pd.DataFrame()
        self._differs = 0

    def begin(self, task: Task) -> None:
        self.keeper.note("repeated", task.cell)
        self.watcher.begin(task)
        self._history = load_table(self.folder.cell(task.cell).path / HISTORY, ["epoch"])
        self._differs = 0

    def epoch(self, task: Task, epoch: int, row: Row) -> None:
        self.watcher.epoch(task, epoch, self.epochs(task.cell), row)
        history = self._history
        before = history.iloc[epoch - 1] if epoch <= len(history) else pd.Series(dtype=object)
        for name, value in row.items():
            if name not in before or float(before[name]) != float(f"{value:.9g}"):
                self._differs = epoch
                raise _Differs(epoch, f"{name} is {value:.9g}, was {before.get(name, 'nothing')}")

    def done(self, task: Task, trained: TrainedCell) -> None:
        record = self.folder.cell(task.cell).load_record()
        if record is not None and trained.weights_sha256 == record.weights_sha256:
            self._add(Repeat(task.cell, True, 0, f"equal: weights {trained.weights_sha256[:16]}"))
        else:
            self._add(Repeat(task.cell, False, 0, "the curves agree, the weights do not"))

    def failed(self, task: Task, message: str) -> None:
        what = message if self._differs else f"failed: {message}"
        self._add(Repeat(task.cell, False, self._differs, what))

    def notice(self, line: str) -> None:
        self.watcher.notice(line)

    def stop_asked(self) -> int:
        return 0

    def _add(self, repeat: Repeat) -> None:
        self.repeats.append(repeat)
        self.watcher.notice(f"{repeat.cell}: {repeat.what}")


def repeat_run(folder: RunFolder, data: Path, cache: Path, watcher: Watcher) -> Repeats:
    """Train every finished cell of a run again, in memory, and compare curves and weights.

    The same bits are promised for the same machine type, torch build, threads, settings and data; what of
    these is not the same is named. Nothing is written to the run; the ledger below *cache* gets an entry for
    each training.

    Raises:
        DataError: no cell is finished, or the data are not those of the run; or the stored suite asks for
            what the user did not allow.
        EnvironmentProblem: the run's device is not here.
    """
    suite, manifest = folder.load_suite(), folder.load_manifest()
    cells = [
        cell
        for cell in plan_cells(suite)
        if (record := folder.cell(cell).load_record()) is not None and record.status == "complete"
    ]
    if not cells:
        do = "run run-all to its end first"
        raise DataError("no training is finished here", do, str(folder.path))
    _refuse_untrusted(folder, suite, cells)
    executor = InProcess(manifest.device)
    executor.survey(suite.training)
    prepared = prepare(data, suite.data, cache, watcher.images, watcher.notice)
    if prepared.fingerprint != manifest.data_sha256:
        what = f"not the data of this run: {folder.first_change(prepared)}"
        raise DataError(what, "give the same data by --data", str(data))
    folds = make_folds(prepared.cases, suite.split)
    study = Study("", suite, prepared, tuple(folds), folder.path)
    watcher.plan(len(cells))
    keeper = _keeper(folder, study, cache, watcher)
    recorder = _Comparison(folder, watcher, study.epochs, keeper)
    executor.run({"": study}, [Task("", cell) for cell in cells], recorder)
    device = resolve_device(manifest.device)
    return Repeats(tuple(recorder.repeats), _differences(manifest, suite, device))


def _keeper(folder: RunFolder, study: Study, cache: Path, watcher: Watcher) -> Keeper:
    adherence = folder.load_adherence()
    registration = adherence.registration if adherence else None
    common = Event(
        kind="repeated",
        data=study.prepared.fingerprint,
        suite=suite_key(study.suite),
        registration=registration.hash if registration else "",
        run=adherence.run_id if adherence else "",
    )
    return Keeper(Ledger(cache), common, watcher.notice)


def _refuse_untrusted(folder: RunFolder, suite: Suite, cells: Sequence[Cell]) -> None:
    """A stored suite may come from anybody, as a card may; the cards say what was trained with."""
    for cell in cells:
        path = folder.cell(cell).path / CARD_FILE
        require_trusted(suite.model_of(suite.arm(cell.arm)), load_card(path).sources, str(path))


def _differences(manifest: Manifest, suite: Suite, device: Device) -> tuple[str, ...]:
    """What the same bits need and is not so."""
    here = {
        "packages": read_versions(),
        "device_name": describe_device(device),
        "cpu_capability": cpu_capability(),
    }
    then, now = manifest.environment(), manifest.model_copy(update=here).environment()
    lines = [f"{key}: {then[key]}, now {now[key]}" for key in then if then[key] != now[key]]
    if device.type == "cuda" and suite.training.determinism != "strict":
        lines.append(f"determinism: {suite.training.determinism}, which promises no equal bits")
    return tuple(lines)
