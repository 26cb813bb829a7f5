"""What runs on a Ray cluster's nodes: the board that news come over, and the training of one cell."""

from __future__ import annotations

import pickle
import tempfile
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from milkreport.errors import EnvironmentProblem, MilkreportError, Stopped
from milkreport.execution.tasks import Study, Task
from milkreport.execution.trainer import Machine, Trainer, survey
from milkreport.suite.suite import Training
from milkreport.training.checkpoint import Checkpoint, Checkpoints
from milkreport.training.failures import TrainingFailed
from milkreport.trust import Trust, adopt

_ASK_STOP = 1.0  # seconds between a worker's questions whether to stop


class Board:
    """An actor: what workers tell, until it is taken; and each cell's last checkpoint."""

    def __init__(self) -> None:
        self.news: list[tuple[str, Task, Any]] = []
        self.kept: dict[Task, tuple[str, bytes]] = {}
        self.signum = 0

    def tell(self, kind: str, task: Task, content: Any) -> None:
        """Put up one piece of news."""
        self.news.append((kind, task, content))

    def take(self) -> list[tuple[str, Task, Any]]:
        """All news since the last time."""
        news, self.news = self.news, []
        return news

    def keep(self, task: Task, name: str, data: bytes, new: bool = False) -> None:
        """Keep a checkpoint file; a new one is news."""
        self.kept[task] = name, data
        if new:
            self.tell("checkpoint", task, (name, data))

    def last(self, task: Task) -> tuple[str, bytes] | None:
        """The last checkpoint file of a cell."""
        return self.kept.get(task)

    def forget(self, task: Task) -> None:
        """The cell is over."""
        self.kept.pop(task, None)

    def stop(self, signum: int) -> None:
        """Ask all trainings to keep their state and end."""
        self.signum = signum

    def asked(self) -> int:
        """What they were asked."""
        return self.signum


@dataclass
class _Mirrored(Checkpoints):
    """Checkpoints whose every file is also kept by the board before the training goes on."""

    mirror: Callable[[str, bytes], None] = lambda name, data: None

    def save(self, checkpoint: Checkpoint) -> None:
        super().save(checkpoint)
        latest = self.latest()
        assert latest is not None
        self.mirror(*latest)


# Of a worker process: the study that it last trained a cell of, and what holds its pixels.
_STUDY: dict[str, Study] = {}
_TRAINER: dict[str, Trainer] = {}
_WAITING: list[ThreadPoolExecutor] = []


def survey_here(device: str, training: Training) -> Machine | MilkreportError:
    """What this worker is, or why it cannot be one: returned, as an error raised here would come wrapped."""
    try:
        return survey(device, training)
    except MilkreportError as error:
        return error


def train_here(
    board: Any, study_in: list[Any], task: Task, device: str, every: float, allowed: Trust
) -> Any:
    """Train one cell: what came of it, and what belongs to that.

    Args:
        board: handle of the :class:`Board`. study_in: the study's reference, in a list, so that Ray leaves it
            one. every: seconds between two checkpoints. allowed: by the user, for this run.

    Returns:
        ``done`` and the trained cell, ``failed`` and why, ``error`` and the exception, ``stopped``, or
        ``lacking`` where the decoded images are not on this machine.
    """
    adopt(allowed)
    asked = _Question(lambda: _get(board.asked.remote()))
    if asked.again():
        return "stopped", None
    try:
        study = _at_hand(study_in[0])
    except EnvironmentProblem:
        return "lacking", None
    board.tell.remote("begin", task, None)

    def notice(line: str) -> None:
        board.tell.remote("notice", task, line)

    with tempfile.TemporaryDirectory(prefix="milkreport-") as place:
        checkpoints = _Mirrored(
            Path(place) / "checkpoints",
            every=every,
            stop_asked=asked,
            notice=notice,
            mirror=lambda name, data: _get(board.keep.remote(task, name, data, True)),
        )
        kept = _get(board.last.remote(task))
        if kept is not None:
            checkpoints.adopt(*kept)
        try:
            trained = _trainer(device, notice).do(
                study,
                task,
                lambda epoch, row: board.tell.remote("epoch", task, (epoch, row)),
                checkpoints,
            )
        except TrainingFailed as error:
            return "failed", str(error)
        except Stopped:
            return "stopped", None
        except Exception as error:
            error.add_note(f"in a worker process:\n{traceback.format_exc()}")
            return "error", error
    return "done", trained


def _at_hand(reference: Any) -> Study:
    """The study, fetched once a process.

    Raises:
        EnvironmentProblem: its pixels are not on this machine.
    """
    key = reference.hex()
    if key not in _STUDY:
        found = _get(reference)
        study = pickle.loads(found) if isinstance(found, bytes) else found
        _STUDY.clear()
        _STUDY[key] = study
    return _STUDY[key]


def _get(reference: Any) -> Any:
    """What *reference* stands for, waited for in another thread.

    A task that waits in its own gives up its CPUs meanwhile, and Ray starts one training too many.
    """
    import ray

    if not _WAITING:
        _WAITING.append(ThreadPoolExecutor(1))
    return _WAITING[0].submit(ray.get, reference).result()


def _trainer(device: str, notice: Callable[[str], None]) -> Trainer:
    """This process's trainer, with whom to tell now."""
    if device not in _TRAINER:
        _TRAINER[device] = Trainer(device, notice)
    _TRAINER[device].notice = notice
    return _TRAINER[device]


class _Question:
    """Asks the board now and then, so that a step does not wait for the network."""

    def __init__(self, ask: Callable[[], int]) -> None:
        self._ask, self._answer, self._asked = ask, 0, 0.0

    def __call__(self) -> int:
        if time.monotonic() - self._asked >= _ASK_STOP:
            self.again()
        return self._answer

    def again(self) -> int:
        """The answer now."""
        self._answer, self._asked = self._ask(), time.monotonic()
        return self._answer
