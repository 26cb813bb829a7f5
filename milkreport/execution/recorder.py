"""The desk of a run: takes what executors tell, writes every finished cell, passes the news on."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from milkreport.evaluation.records.results import CellRecord
from milkreport.execution.options import RunOptions
from milkreport.execution.reuse import Finished
from milkreport.execution.stopping import StopSign
from milkreport.execution.tasks import Study, Task
from milkreport.registration.keeper import Keeper
from milkreport.runs.cells import CellFolder, cell_folder
from milkreport.runs.progress import ProgressFile
from milkreport.training.cell import TrainedCell
from milkreport.training.checkpoint import Checkpoints
from milkreport.training.model_selector import Row

if TYPE_CHECKING:
    from milkreport.execution.runner import Watcher

#: What stops the others after a failure, where a signal's number would stand.
FAILURE = -1


class RunRecorder:
    """The only writer of cells, whoever trains them; see :class:`milkreport.execution.executors.Recorder`."""

    def __init__(
        self,
        studies: Mapping[str, Study],
        watcher: Watcher,
        stop: StopSign,
        options: RunOptions,
        workers: int,
        reuse: Mapping[str, Finished],
        keepers: Mapping[str, Keeper],
    ) -> None:
        self.reuse, self.keepers = reuse, keepers
        self.studies, self.watcher, self.stop = studies, watcher, stop
        self.checkpoint_every, self.fail_fast = options.checkpoint_every, options.fail_fast
        self._failed = False
        self._progress = {name: ProgressFile(study.out, workers) for name, study in studies.items()}

    def __enter__(self) -> RunRecorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        for progress in self._progress.values():
            progress.clear()
        for keeper in self.keepers.values():
            keeper.stop()

    def is_done(self, task: Task) -> bool:
        """Whether the training was done before and its files are what was written; tells the watcher."""
        folder = self._folder(task)
        known = folder.load_record()
        if known is None or known.status != "complete":
            return self._is_taken_over(task)
        if not folder.is_sound(known):
            self.watcher.damaged(task)
            return False
        self._checkpoints(task).clear()  # killed between the record and this
        self.watcher.end(task, known, skipped=True)
        return True

    def _is_taken_over(self, task: Task) -> bool:
        """Whether another run has the same training; it is copied, and counts as done before."""
        finished = self.reuse.get(task.study)
        if finished is None:
            return False
        key = self.studies[task.study].key(task.cell)
        record = finished.take(key, self._folder(task))
        if record is None:
            return False
        self.keepers[task.study].note("reused", task.cell)
        self.watcher.end(task, record, skipped=True)
        return True

    def begin(self, task: Task) -> None:
        """A training starts, or starts again."""
        # Before the training, so that one that is killed at once is in the ledger.
        resumed = any(self._folder(task).checkpoints.glob("*.checkpoint"))
        self.keepers[task.study].begin(task.cell, resumed)
        self._progress[task.study].begin(task.cell)
        self.watcher.begin(task)

    def epoch(self, task: Task, epoch: int, row: Row) -> None:
        """An epoch is over."""
        self._progress[task.study].epoch(task.cell, epoch)
        self.watcher.epoch(task, epoch, self.studies[task.study].epochs(task.cell), row)

    def done(self, task: Task, trained: TrainedCell) -> None:
        """Write a finished cell."""
        key = self.studies[task.study].key(task.cell)
        record = self._folder(task).write(trained, key)
        self._checkpoints(task).clear()
        self._end(task, record)

    def failed(self, task: Task, message: str) -> None:
        """Write why a cell failed."""
        self._failed = True
        record = CellRecord(
            seed=task.cell.seed, fold=task.cell.fold, status="failed", message=message
        )
        self._folder(task).write_record(record)
        self._end(task, record)

    def notice(self, line: str) -> None:
        """Something that the user should know."""
        self.watcher.notice(line)

    def stop_asked(self) -> int:
        """A signal's number, or :data:`FAILURE` after a failure that shall end the run, or 0."""
        return self.stop() or (FAILURE if self._failed and self.fail_fast else 0)

    def _end(self, task: Task, record: CellRecord) -> None:
        self.keepers[task.study].end(task.cell, "done" if record.status == "complete" else "failed")
        self._progress[task.study].end(task.cell)
        self.watcher.end(task, record, skipped=False)

    def _folder(self, task: Task) -> CellFolder:
        return cell_folder(self.studies[task.study].out, task.cell)

    def _checkpoints(self, task: Task) -> Checkpoints:
        return Checkpoints(self._folder(task).checkpoints)
