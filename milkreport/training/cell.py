"""One cell: an arm, a seed and a fold, trained once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import safetensors.torch
import torch
from torch import nn

from milkreport.data.features import FeatureEncoder, fit_encoder
from milkreport.data.prepare import Prepared
from milkreport.data.splits import Fold
from milkreport.evaluation.definitions import HEADLINE
from milkreport.evaluation.metrics import confusion_counts, score_confusion
from milkreport.models.lesion_net import MultiModalLesionNet
from milkreport.suite import Arm, Suite
from milkreport.training.batches import Inputs
from milkreport.training.checkpoint import (
    Checkpoint,
    Checkpoints,
    Position,
    network_tensors,
    restore_network,
)
from milkreport.training.device import describe_device, describe_memory, peak_memory
from milkreport.training.failures import TrainingFailed, is_out_of_memory
from milkreport.training.fit import TrainingPart, fit, score
from milkreport.training.pixels import Pixels

Row = dict[str, float]
OnEpoch = Callable[[int, Row], None]


@dataclass(frozen=True)
class TrainedCell:
    """What a training leaves: curves, predictions of every part, weights and the model's card.

    ``history``: one row an epoch. ``predictions``: case_id, split, label and a probability column a
    class. ``weights``: safetensors bytes, which depend on the weights alone. ``device``: what trained it.
    """

    history: pd.DataFrame
    predictions: pd.DataFrame
    weights: bytes
    weights_sha256: str
    card: dict[str, Any]
    epoch_used: int
    seconds: float
    parameters: int
    scalars: dict[str, float]
    exposure: dict[str, int]
    peak_memory_bytes: int | None
    device: str


def train_cell(
    prepared: Prepared,
    suite: Suite,
    arm: Arm,
    seed: int,
    fold: Fold,
    pixels: Pixels,
    on_epoch: OnEpoch = lambda epoch, row: None,
    checkpoints: Checkpoints | None = None,
) -> TrainedCell:
    """Train one cell. Training receives the training labels alone; selection reads validation alone.

    Args:
        pixels: those of all cases, on the device to train on.
        on_epoch: called after each epoch with its row of the history.
        checkpoints: where the training goes on from and keeps its progress; by default nowhere.

    Raises:
        TrainingFailed: the loss is not finite any more, or memory ran out.
        Stopped: a signal asked for it.
    """
    started = time.perf_counter()
    cases, parts = prepared.cases, fold.parts()
    encoder = fit_encoder(cases.table.iloc[fold.train], cases.features)
    inputs = _inputs(prepared, encoder, pixels)
    labels = np.asarray(cases.labels(), np.int64)
    part = TrainingPart(
        torch.from_numpy(fold.train), torch.from_numpy(labels[fold.train]), len(cases.classes)
    )

    def build() -> MultiModalLesionNet:
        widths = [table.shape[1] for table in inputs.features]
        return MultiModalLesionNet(
            suite.model, pixels.size, cases.views, widths, len(cases.classes)
        )

    keeper = _Keeper(suite, {name: (p, labels[p]) for name, p in parts.items()}, inputs, on_epoch)
    journal = _Journal(keeper, checkpoints or Checkpoints(), started)
    keeper.pause = journal.pause
    try:
        fit(build, inputs, part, suite.training, arm.correction, seed, keeper.observe, journal)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        size = suite.training.batch_size
        what = f"out of memory on {describe_memory(pixels.device)} at training.batch_size {size}"
        raise TrainingFailed(f"{what}: halve it") from error
    weights = safetensors.torch.save(keeper.state)
    weights_sha256 = hashlib.sha256(weights).hexdigest()
    frames = [
        _frame(cases.table.iloc[positions], name, keeper.probabilities[name], cases.classes)
        for name, positions in parts.items()
    ]
    card = {
        "schema_version": 1,
        "architecture": suite.model.name,
        "model": suite.model.model_dump(),
        "image_size": pixels.size,
        "views": list(cases.views),
        "classes": list(cases.classes),
        "encoder": encoder.model_dump(),
        "data_sha256": prepared.fingerprint,
        "weights_sha256": weights_sha256,
    }
    return TrainedCell(
        history=pd.DataFrame(keeper.rows),
        predictions=pd.concat(frames, ignore_index=True),
        weights=weights,
        weights_sha256=weights_sha256,
        card=card,
        epoch_used=keeper.epoch,
        seconds=journal.seconds(),
        parameters=sum(tensor.numel() for tensor in keeper.state.values()),
        scalars=keeper.scalars,
        exposure={
            name: int(n) for name, n in zip(cases.classes, keeper.drawn.tolist(), strict=True)
        },
        peak_memory_bytes=peak_memory(pixels.device),
        device=describe_device(pixels.device),
    )


class _Keeper:
    """Watches the epochs: scores every part, keeps the weights of the epoch that the suite selects."""

    def __init__(
        self,
        suite: Suite,
        parts: dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]],
        inputs: Inputs,
        on_epoch: OnEpoch,
    ) -> None:
        self.suite, self.parts, self.inputs, self.on_epoch = suite, parts, inputs, on_epoch
        self.rows: list[Row] = []
        self.state: dict[str, torch.Tensor] = {}
        self.probabilities: dict[str, npt.NDArray[np.float32]] = {}
        self.scalars: dict[str, float] = {}
        self.drawn = torch.zeros(0, dtype=torch.int64)
        self.epoch, self.best = 0, -1.0
        self.pause: Callable[[], None] = lambda: None

    def observe(self, epoch: int, network: MultiModalLesionNet, drawn: torch.Tensor) -> None:
        """Score the network after *epoch*; keep it if it is the one to use so far."""
        row: Row = {"epoch": epoch}
        probabilities = {}
        for name, (positions, labels) in self.parts.items():
            of_part = torch.from_numpy(positions)
            precision = self.suite.training.precision
            logs = score(network, self.inputs, of_part, precision, self.pause).numpy()
            if np.isnan(logs).any():
                what = f"the network's outputs for the {name} part are not numbers at epoch {epoch}"
                raise TrainingFailed(f"{what}: lower the learning rate")
            probabilities[name] = np.exp(logs)
            row |= {f"{name}_{key}": value for key, value in _curve_point(logs, labels).items()}
        self.rows.append(row)
        self.drawn = drawn if epoch == 1 else self.drawn + drawn
        if self._is_chosen(row):
            self.epoch, self.probabilities = epoch, probabilities
            self.scalars = network.scalars()
            self.state = {
                name: tensor.detach().to("cpu", copy=True).contiguous()
                for name, tensor in sorted(network.state_dict().items())
            }
        self.on_epoch(epoch, row)

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
        if self.suite.training.select == "last":
            return row["epoch"] == self.suite.training.epochs
        reached = row[f"validation_{self.suite.primary_metric}"]
        if reached <= self.best:
            return False
        self.best = reached
        return True


class _Journal:
    """The checkpoints of one training: the network's state and the keeper's, together."""

    def __init__(self, keeper: _Keeper, checkpoints: Checkpoints, started: float) -> None:
        self.keeper, self.checkpoints = keeper, checkpoints
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
        self.keeper.restore(checkpoint)
        self.before = float(checkpoint.facts["seconds"])
        return checkpoint.position

    def reached(
        self, position: Position, network: nn.Module, optimizer: torch.optim.Optimizer
    ) -> None:
        self.last = (position, network, optimizer)

        def state() -> Checkpoint:
            facts = self.keeper.facts() | {"seconds": self.seconds()}
            tensors = network_tensors(network, optimizer) | self.keeper.tensors()
            return Checkpoint(position, facts, tensors)

        self.checkpoints.reached(position, state)

    def pause(self) -> None:
        """A moment of the scoring, at which the network still stands where it was last."""
        if self.last:
            self.reached(*self.last)


def _inputs(prepared: Prepared, encoder: FeatureEncoder, pixels: Pixels) -> Inputs:
    cases = prepared.cases
    tables = [torch.from_numpy(encoder.encode(cases.table, view)) for view in cases.views]
    return Inputs(pixels, [table.to(pixels.device) for table in tables])


def _curve_point(logs: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> Row:
    """Unweighted cross-entropy and the curve metrics of one part after one epoch."""
    of_truth = logs[np.arange(len(labels)), labels].astype(np.float64)
    # A probability that underflowed to 0 counts as the least float32 above 0, as in scikit-learn.
    loss = -np.maximum(of_truth, np.log(np.finfo(np.float32).tiny)).mean()
    counts = confusion_counts(labels, logs.argmax(axis=1).astype(np.int64), logs.shape[1])
    metrics = score_confusion(counts)
    return {"loss": float(loss)} | {name: float(metrics[name]) for name in HEADLINE}


def _frame(
    table: pd.DataFrame,
    part: str,
    probabilities: npt.NDArray[np.float32],
    classes: tuple[str, ...],
) -> pd.DataFrame:
    named = pd.DataFrame(probabilities, columns=list(classes), index=table.index)
    return pd.concat([table[["case_id"]].assign(split=part, label=table["label"]), named], axis=1)
