"""How trainings are carried out: where, how many at a time, and what is kept of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from milkreport.registration.binding import Binding


@dataclass(frozen=True)
class RunOptions:
    """What was asked for beside the suite and the data; the defaults of all who carry suites out.

    Attributes:
        device: auto, cpu, cuda, or cuda:N.
        gate: a reference or run to check against.
        images: keep thumbnails of the most confident mistakes.
        cases: say something of single cases beside the predictions themselves.
        evidence: what the reports carry: full, numbers or none; empty: full where predictions are small.
        checkpoint_every: seconds between two checkpoints of a training: far more than writing one takes, far
            less than anyone minds to lose.
        restart: forget what the folder holds.
        workers: trainings at a time on this machine: a number, or ``auto``.
        reuse: folder with runs, whose finished trainings are taken over where they are the same.
        executor: local or ray.
        ray_address: of a running Ray cluster; empty: one of its own.
        cells_per_gpu: trainings that share a GPU.
        tensorboard: write event files.
        mlflow: address of the server to log to; empty: none.
        fail_fast: let the first failure end it; what was under way is kept, results are partial.
        registration: file of a registration that the run is bound to.
        robustness: corruptions under which each cell's test part is scored; empty: none.
        prevalence: shares of positive cases or of classes elsewhere, for which a forecast is made.
        deviate: the reason why it deviates from it.
        timestamp: a time-stamp token or git commit of the registration.
        timestamp_ca: certificates that a token is verified with.
    """

    device: str = "auto"
    gate: str | None = None
    images: bool = True
    cases: bool = True
    evidence: str = ""
    checkpoint_every: float = 30
    restart: bool = False
    workers: str = "auto"
    reuse: Path | None = None
    executor: str = "local"
    ray_address: str = ""
    cells_per_gpu: int = 1
    tensorboard: bool = False
    mlflow: str = ""
    fail_fast: bool = False
    registration: Path | None = None
    deviate: str = ""
    timestamp: Path | None = None
    timestamp_ca: Path | None = None
    robustness: str = ""
    prevalence: str = ""

    @property
    def network(self) -> tuple[str, ...]:
        """What goes over a network by the user's wish, a phrase each."""
        used = {
            "trainings and their images went to a Ray cluster": self.executor == "ray",
            "metrics and report were offered to an MLflow server": bool(self.mlflow),
        }
        return tuple(phrase for phrase, is_used in used.items() if is_used)

    @property
    def binding(self) -> Binding:
        """What the run is bound to."""
        return Binding(self.registration, self.deviate, self.timestamp, self.timestamp_ca)


#: What holds where nothing was asked for.
DEFAULTS = RunOptions()
