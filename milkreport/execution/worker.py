"""The life of a worker process: a task comes through the pipe, its news go back."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

from milkreport.errors import Stopped
from milkreport.execution.tasks import Study, Task
from milkreport.execution.trainer import Trainer
from milkreport.runs.cells import cell_folder
from milkreport.training.checkpoint import Checkpoints
from milkreport.training.failures import TrainingFailed
from milkreport.trust import Trust, adopt

#: Seconds between two looks at the parent.
_LOOK = 0.2


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
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()

    def stop_asked() -> int:
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
            place = cell_folder(study.out, task.cell).checkpoints
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


def _end_with(parent: int) -> None:
    """End this process as soon as its parent is gone, killed as it may be, whatever is computed meanwhile."""
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os._exit(1)  # whoever takes the run up again does this cell too


def _train(
    trainer: Trainer, study: Study, task: Task, checkpoints: Checkpoints, pipe: Connection
) -> tuple[str, object]:
    """Train one; what came of it, and what belongs to that."""
    try:
        trained = trainer.do(
            study,
            task,
            lambda epoch, row: pipe.send(("epoch", (epoch, row))),
            checkpoints,
        )
    except TrainingFailed as error:
        return "failed", str(error)
    except Stopped:
        return "stopped", None
    return "done", (trained, trainer.free_memory())
