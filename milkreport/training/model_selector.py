"""What is kept of a training while it lasts: curves, the weights of the epoch to use, and its checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from milkreport.evaluation.metrics.confusion import confusion_counts, score_confusion
from milkreport.evaluation.metrics.definitions import HEADLINE
from milkreport.evaluation.metrics.measures import measure
from milkreport.evaluation.metrics.named import define, pick
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.models import host
from milkreport.models.build import scalars
from milkreport.suite.suite import Suite, Training
from milkreport.training.batches import ModelInputs
from milkreport.training.checkpoint import (
    Checkpoint,
    Checkpoints,
    Position,
    network_tensors,
    restore_network,
)
from milkreport.training.failures import TrainingFailed
from milkreport.training.fit import score

Row = dict[str, float]
OnEpoch = Callable[[int, Row], None]
#: Positions of cases to their log probabilities, float32 (n, n_classes).
LogScores = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float32]]
#: Part to probabilities of its cases, float32 (n, n_classes).
Probabilities = dict[str, npt.NDArray[np.float32]]


class ModelSelector:
    """Watches the epochs: scores every part, keeps the weights of the epoch that the suite selects.

    ``classes`` and ``positive`` of the data: a primary metric may be of one class or of the positive ones.
    """

    def __init__(
        self,
        suite: Suite,
        training: Training,
        parts: dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]],
        inputs: ModelInputs,
        on_epoch: OnEpoch,
        classes: tuple[str, ...] = (),
        positive: tuple[str, ...] = (),
    ) -> None:
        self.suite, self.training = suite, training
        self.parts, self.inputs, self.on_epoch = parts, inputs, on_epoch
        self.classes, self.positive = classes, positive
        self.rows: list[Row] = []
        self.state: dict[str, torch.Tensor] = {}
        self.probabilities: Probabilities = {}
        self.scalars: dict[str, float] = {}
        self.drawn = torch.zeros(0, dtype=torch.int64)
        self.epoch, self.best = 0, -1.0
        self.pause: Callable[[], None] = lambda: None

    def observe(self, epoch: int, network: nn.Module, drawn: torch.Tensor) -> None:
        """Score the network after *epoch*; keep it if it is the one to use so far."""

        def log_scores(positions: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
            of_part, precision = torch.from_numpy(positions), self.training.precision
            return score(network, self.inputs, of_part, precision, self.pause).numpy()

        probabilities = self._score(epoch, log_scores, drawn)
        if self._is_chosen(self.rows[-1]):
            self.epoch, self.probabilities = epoch, probabilities
            self.scalars = scalars(network)
            self.state = {
                name: host.to_host(tensor, copy=True).contiguous()
                for name, tensor in sorted(network.state_dict().items())
            }
        self.on_epoch(epoch, self.rows[-1])

    def observe_only(self, log_scores: LogScores, drawn: torch.Tensor) -> None:
        """Of a model that is fitted in one go: its scores are the only ones."""
        self.epoch, self.probabilities = 1, self._score(1, log_scores, drawn)
        self.on_epoch(1, self.rows[-1])

    def _score(self, epoch: int, log_scores: LogScores, drawn: torch.Tensor) -> Probabilities:
        """Score every part and write the row; the probabilities of each part."""
        row: Row = {"epoch": epoch}
        probabilities = {}
        for name, (positions, labels) in self.parts.items():
            logs = log_scores(positions)
            if np.isnan(logs).any():
                what = f"the network's outputs for the {name} part are not numbers at epoch {epoch}"
                raise TrainingFailed(f"{what}: lower the learning rate")
            probabilities[name] = np.exp(logs)
            row |= {f"{name}_{key}": value for key, value in _curve_point(logs, labels).items()}
            if name == "validation" and self.training.select != "last" and self._is_rare:
                row["validation_primary"] = self._primary(logs, labels)
        self.rows.append(row)
        self.drawn = drawn if epoch == 1 else self.drawn + drawn
        return probabilities

    @property
    def _is_rare(self) -> bool:
        """Whether the primary metric is not among those of every epoch."""
        return self.suite.primary_metric not in HEADLINE

    def _primary(self, logs: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
        """The primary metric; nan where it is undefined."""
        ids = np.arange(len(labels)).astype(str)
        p = Predictions(ids, labels, np.exp(logs.astype(np.float64)), self.classes)
        found = pick(measure(p, self.positive), self.suite.primary_metric, self.classes)
        return float("nan") if found is None else float(found)

    def is_over(self) -> bool:
        """Whether the validation part was no better for as many epochs as the suite's patience has."""
        patience = self.training.patience
        return bool(patience and self.rows and self.rows[-1]["epoch"] - self.epoch >= patience)

    def metrics(self) -> dict[str, dict[str, float]]:
        """Of each part, at the epoch that was kept."""
        row = self.rows[self.epoch - 1]
        return {
            name: {metric: row[f"{name}_{metric}"] for metric in HEADLINE} for name in self.parts
        }

    def facts(self) -> dict[str, Any]:
        """What it keeps that is no tensor; JSON holds each float exactly."""
        return {
            "rows": self.rows,
            "scalars": self.scalars,
            "epoch_used": self.epoch,
            "best": self.best,
        }

    def tensors(self) -> dict[str, torch.Tensor]:
        """What it keeps as tensors."""
        kept = {f"kept/{name}": tensor for name, tensor in self.state.items()}
        for name, probabilities in self.probabilities.items():
            kept[f"probabilities/{name}"] = torch.from_numpy(probabilities)
        return kept | {"drawn": self.drawn}

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take over what :meth:`facts` and :meth:`tensors` gave."""
        facts, tensors = checkpoint.facts, checkpoint.tensors
        self.rows, self.scalars = facts["rows"], facts["scalars"]
        self.epoch, self.best = facts["epoch_used"], facts["best"]
        self.drawn = tensors["drawn"]
        for name, tensor in tensors.items():
            kind, _, rest = name.partition("/")
            if kind == "kept":
                self.state[rest] = tensor
            elif kind == "probabilities":
                self.probabilities[rest] = tensor.numpy()

    def _is_chosen(self, row: Row) -> bool:
        if self.training.select == "last":
            return row["epoch"] == self.training.epochs
        primary = self.suite.primary_metric
        reached = row["validation_primary" if self._is_rare else f"validation_{primary}"]
        reached = reached if define(primary).better == "higher" else -reached
        # The first epoch is kept in any case, and one where the metric is undefined is never better.
        if self.epoch and not reached > self.best:
            return False
        reached = reached if np.isfinite(reached) else -np.finfo(np.float64).max
        self.best = reached
        return True


class TrainingCheckpoint:
    """The checkpoints of one training: the network's state and the selector's, together."""

    def __init__(self, selector: ModelSelector, checkpoints: Checkpoints, started: float) -> None:
        self.selector, self.checkpoints = selector, checkpoints
        self.started, self.before = started, 0.0
        self.last: tuple[Position, nn.Module, torch.optim.Optimizer] | None = None

    def seconds(self) -> float:
        """Time spent on this training, that of interrupted attempts up to their last checkpoint too."""
        return self.before + time.perf_counter() - self.started

    def restore(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> Position:
        checkpoint = self.checkpoints.load()
        if checkpoint is None:
            return Position()
        restore_network(checkpoint.tensors, network, optimizer)
        self.selector.restore(checkpoint)
        self.before = float(checkpoint.facts["seconds"])
        return checkpoint.position

    def reached(
        self, position: Position, network: nn.Module, optimizer: torch.optim.Optimizer
    ) -> None:
        self.last = (position, network, optimizer)

        def state() -> Checkpoint:
            facts = self.selector.facts() | {"seconds": self.seconds()}
            tensors = network_tensors(network, optimizer) | self.selector.tensors()
            return Checkpoint(position, facts, tensors)

        self.checkpoints.reached(position, state)

    def pause(self) -> None:
        """A moment of the scoring, at which the network still stands where it was last."""
        if self.last:
            self.reached(*self.last)


def _curve_point(logs: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> Row:
    """Unweighted cross-entropy and the curve metrics of one part after one epoch."""
    of_truth = logs[np.arange(len(labels)), labels].astype(np.float64)
    # A probability that underflowed to 0 counts as the least float32 above 0, as in scikit-learn.
    loss = -np.maximum(of_truth, np.log(np.finfo(np.float32).tiny)).mean()
    counts = confusion_counts(labels, logs.argmax(axis=1).astype(np.int64), logs.shape[1])
    metrics = score_confusion(counts)
    return {"loss": float(loss)} | {name: float(metrics[name]) for name in HEADLINE}
