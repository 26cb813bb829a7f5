"""The life of a worker process: a task comes through the pipe, its news go back."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

from milkreport.errors import Stopped
from milkreport.runs.folder import RunFolder
from milkreport.runs.tasks import Study, Task
from milkreport.runs.trainer import Trainer
from milkreport.training.checkpoint import Checkpoints
from milkreport.training.failures import TrainingFailed
from milkreport.trust import Trust, adopt


def work(
    pipe: Connection,
    device: str,
    every: float,
    stopping: Any,
    parent: int,
) -> None:
    """Say that it is ready, take what the user allowed and the studies, then train what is asked for.

    It ends when None is.

    Args:
        every: seconds between two checkpoints.
        stopping: shared; its value is not 0 when trainings shall keep their state and end.
        parent: the process id that owns the run.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to answer
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def stop_asked() -> int:
        if os.getppid() != parent:
            os._exit(1)  # whoever takes the run up again does this cell too
        return int(stopping.value)

    def notice(line: str) -> None:
        pipe.send(("notice", line))

    trainer: Trainer | None = None
    try:
        pipe.send(("ready", None))
        allowed: Trust
        studies: Mapping[str, Study]
        allowed, studies = pipe.recv()
        adopt(allowed)
        while task := pipe.recv():
            study = studies[task.study]
            place = RunFolder(study.out).cell(task.cell).checkpoints
            checkpoints = Checkpoints(place, every=every, stop_asked=stop_asked, notice=notice)
            try:
                trainer = trainer or Trainer(device, notice)
                pipe.send(_train(trainer, study, task, checkpoints, pipe))
            except BrokenPipeError:
                raise
            except Exception as error:
                error.add_note(f"in a worker process:\n{traceback.format_exc()}")
                pipe.send(("error", error))
    except (EOFError, BrokenPipeError):
        return  # the parent is gone


def _train(
    trainer: Trainer, study: Study, task: Task, checkpoints: Checkpoints, pipe: Connection
) -> tuple[str, object]:
    """Train one; what came of it, and what belongs to that."""
    try:
        trained = trainer.train(
            study,
            task.cell,
            lambda epoch, row: pipe.send(("epoch", (epoch, row))),
            checkpoints,
        )
    except TrainingFailed as error:
        return "failed", str(error)
    except Stopped:
        return "stopped", None
    return "done", (trained, trainer.free_memory())
