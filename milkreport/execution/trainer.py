"""Trains cells in this process, one after another: what every executor does in the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from milkreport.errors import Stopped
from milkreport.execution.scoring.cell import score_cell
from milkreport.execution.tasks import Study, Task
from milkreport.runs.cells import Cell
from milkreport.runs.corrupted import CorruptedScores
from milkreport.runs.manifest import read_versions
from milkreport.suite.suite import Training
from milkreport.training.cell import TrainedCell, train_cell
from milkreport.training.checkpoint import Checkpoints
from milkreport.training.device import (
    cpu_capability,
    describe_device,
    free_memory,
    pin,
    resolve_device,
)
from milkreport.training.failures import telling_undetermined
from milkreport.training.model_selector import OnEpoch
from milkreport.training.pixels import Pixels, choose_pixel_source


@dataclass(frozen=True)
class Machine:
    """What trains: ``device`` is cpu or cuda, ``name`` the GPU's or the CPU's instruction set."""

    device: str
    name: str
    cpu_capability: str


def survey(device: str, training: Training) -> Machine:
    """What *device* is here; this process is set up for *training* on it.

    Raises:
        ConfigError, EnvironmentProblem: no such device, or it lacks the precision.
    """
    found = resolve_device(device)
    pin(training, found)
    return Machine(found.type, describe_device(found), cpu_capability())


class Trainer:
    """Keeps the device, and the pixels of the study that it last trained a cell of."""

    def __init__(self, device: str, notice: Callable[[str], None]) -> None:
        self.device, self.notice = resolve_device(device), notice
        self._placed: tuple[str, Pixels] | None = None
        self._torch = read_versions().get("torch", "")

    def do(
        self, study: Study, task: Task, on_epoch: OnEpoch, checkpoints: Checkpoints
    ) -> TrainedCell | CorruptedScores:
        """Train the task's cell, or score it under the corruptions that the task names.

        Raises:
            TrainingFailed: it cannot be done. Stopped: it was asked to; of a training, its state is on disk.
        """
        if not task.corruptions:
            return self.train(study, task.cell, on_epoch, checkpoints)
        pin(study.suite.training, self.device)

        def pause() -> None:
            if signum := checkpoints.stop_asked():
                raise Stopped(signum)

        return score_cell(study, task.cell, task.corruptions, self.device, pause)

    def train(
        self, study: Study, cell: Cell, on_epoch: OnEpoch, checkpoints: Checkpoints
    ) -> TrainedCell:
        """Train one cell, from its last checkpoint on if it was made by the same.

        Raises:
            TrainingFailed: this training cannot go on. Stopped: it was asked to, and is on disk.
        """
        pin(study.suite.training, self.device)
        checkpoints.made_by = self.made_by(study, cell)
        with telling_undetermined(self.notice):
            return train_cell(
                study.prepared,
                study.suite,
                study.suite.arm(cell.arm),
                cell.seed,
                study.folds[cell.fold],
                self.pixels(study),
                on_epoch,
                checkpoints,
                study.start,
            )

    def made_by(self, study: Study, cell: Cell) -> dict[str, str]:
        """What a cell's weights depend on, to the bit."""
        origin = {"origin": study.origin} if study.origin else {}
        return origin | {
            "cell": str(cell),
            "key": study.key(cell),
            "torch": self._torch,
            "device": describe_device(self.device),
            "instruction set": cpu_capability(),
        }

    def free_memory(self) -> int | None:
        """Bytes that are free on the GPU while this process keeps what it has; ``None`` on a CPU."""
        return free_memory(self.device)

    def pixels(self, study: Study) -> Pixels:
        """Where the study's images are read from on this device."""
        if self._placed is None or self._placed[0] != study.name:
            self._placed = None  # a GPU holds one study's at a time
            self._placed = (study.name, choose_pixel_source(study.prepared.store, self.device))
        return self._placed[1]
