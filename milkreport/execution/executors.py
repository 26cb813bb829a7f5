"""The interface of all executors, and the simplest: this process, one training after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from milkreport.errors import Stopped
from milkreport.execution.tasks import Study, Task
from milkreport.execution.trainer import Machine, Trainer, survey
from milkreport.runs.cells import cell_folder
from milkreport.suite.suite import Training
from milkreport.training.checkpoint import Checkpoints
from milkreport.training.failures import TrainingFailed
from milkreport.training.model_selector import Row


class Recorder(Protocol):
    """Where an executor reports to; writes what comes in. ``checkpoint_every``: seconds."""

    checkpoint_every: float

    def begin(self, task: Task) -> None:
        """A training starts, or starts again after its worker was lost."""

    def epoch(self, task: Task, epoch: int, row: Row) -> None:
        """An epoch is over; *row* is its line of history."""

    def done(self, task: Task, trained: Any) -> None:
        """A training is over: its :class:`TrainedCell`; or a scoring: its :class:`CorruptedScores`."""

    def failed(self, task: Task, message: str) -> None:
        """A training cannot be done."""

    def notice(self, line: str) -> None:
        """Something that the user should know."""

    def stop_asked(self) -> int:
        """Not 0 when every training shall keep its state and end: a signal's number, or -1."""


class Executor(Protocol):
    """Has trainings done somewhere. What they are, and their bits, do not depend on which executor it is.

    ``workers``: trainings at a time. ``place``: where, in words.
    """

    workers: int
    place: str

    def survey(self, training: Training) -> Machine:
        """What trainings will run on; see :func:`milkreport.execution.trainer.survey`."""

    def run(self, studies: Mapping[str, Study], tasks: Sequence[Task], recorder: Recorder) -> None:
        """Do all *tasks*, in any order; return when each is done or failed, or *desk* asked to stop.

        Raises:
            MilkreportError: nothing can be done on (no space, say).
        """


class InProcess:
    """This process, on one device."""

    workers = 1

    def __init__(self, device: str) -> None:
        self.device, self.place = device, "in this process"

    def survey(self, training: Training) -> Machine:
        """See :class:`Executor`."""
        return survey(self.device, training)

    def run(self, studies: Mapping[str, Study], tasks: Sequence[Task], recorder: Recorder) -> None:
        """See :class:`Executor`."""
        trainer = Trainer(self.device, recorder.notice)
        for task in tasks:
            if recorder.stop_asked():
                return
            recorder.begin(task)
            study = studies[task.study]
            checkpoints = Checkpoints(
                cell_folder(study.out, task.cell).checkpoints,
                every=recorder.checkpoint_every,
                stop_asked=recorder.stop_asked,
                notice=recorder.notice,
            )

            def on_epoch(epoch: int, row: Row, task: Task = task) -> None:
                recorder.epoch(task, epoch, row)

            try:
                trained = trainer.do(study, task, on_epoch, checkpoints)
            except TrainingFailed as error:
                recorder.failed(task, str(error))
            except Stopped:
                return
            else:
                recorder.done(task, trained)
