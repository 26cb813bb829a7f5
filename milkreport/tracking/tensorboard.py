"""TensorBoard: event files of every training below the run folder; the run's results at its top."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from milkreport.errors import EnvironmentProblem
from milkreport.evaluation.records.results import CellRecord, Results
from milkreport.execution.tasks import Study, Task
from milkreport.runs.folder import TENSORBOARD
from milkreport.runs.manifest import Manifest
from milkreport.tracking.names import cell_settings, curve_points, final_metrics, history


class TensorBoard:
    """Writes event files; see :class:`milkreport.tracking.tracker.Tracker`."""

    name = "TensorBoard"

    def __init__(self) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the libraries' own imports
                from torch.utils.tensorboard import SummaryWriter
                from torch.utils.tensorboard.summary import hparams
        except ImportError as error:
            what = "--tensorboard needs tensorboard"
            raise EnvironmentProblem(what, 'pip install "milkreport[tensorboard]"') from error
        self._open, self._hparams = SummaryWriter, hparams
        self._studies: dict[str, Study] = {}
        self._writers: dict[Task, Any] = {}

    def study(self, study: Study, manifest: Manifest) -> None:
        """Know where the study's files go."""
        self._studies[study.name] = study

    def epoch(self, task: Task, epoch: int, row: dict[str, float]) -> None:
        """A point on every curve; what an attempt that was cut off wrote from here on is void."""
        if task not in self._writers:
            place = self._place(task)
            purge = epoch if list(place.glob("events.*")) else None
            self._writers[task] = self._open(str(place), purge_step=purge)
        for tag, value in curve_points(row):
            self._writers[task].add_scalar(tag, value, epoch)

    def end(self, task: Task, record: CellRecord, skipped: bool) -> None:
        """Settings beside the last values, for the table of hyperparameters."""
        study = self._studies[task.study]
        if record.status != "complete":
            self._close(task)
            return
        if skipped and list(self._place(task).glob("events.*")):
            return
        rows = list(history(study, task))
        if task not in self._writers:  # it was trained without TensorBoard
            for epoch, row in rows:
                self.epoch(task, epoch, row)
        used = rows[(record.epoch_used or len(rows)) - 1][1]
        last = {f"used/{tag}": value for tag, value in curve_points(used)}
        writer = self._writers[task]
        hparams: Any = self._hparams
        for summary in hparams(cell_settings(study, task), last):
            writer.file_writer.add_summary(summary)
        for tag, value in last.items():
            writer.add_scalar(tag, value, record.epoch_used)
        self._close(task)

    def finish(self, study: str, results: Results, files: Sequence[Path]) -> None:
        """The results of all seeds and folds together."""
        with self._open(str(self._studies[study].out / TENSORBOARD)) as writer:
            for tag, value in final_metrics(results):
                writer.add_scalar(f"results/{tag}", value, 0)

    def close(self) -> None:
        """Close what is open."""
        for task in list(self._writers):
            self._close(task)

    def _place(self, task: Task) -> Path:
        cell = task.cell
        top = self._studies[task.study].out / TENSORBOARD
        return top / cell.arm / f"seed-{cell.seed}" / f"fold-{cell.fold}"

    def _close(self, task: Task) -> None:
        writer = self._writers.pop(task, None)
        if writer is not None:
            writer.close()
