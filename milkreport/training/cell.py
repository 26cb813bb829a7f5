"""One cell: an arm, a seed and a fold, trained once."""

from __future__ import annotations

import hashlib
import importlib.metadata
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import safetensors.torch
import torch
from threadpoolctl import threadpool_limits
from torch import nn

from milkreport import __version__
from milkreport.data.prepare import Prepared
from milkreport.data.splits import Fold
from milkreport.models.build import build_network, stages
from milkreport.suite.arms import Arm
from milkreport.suite.models import AnyModel, Classifier
from milkreport.suite.suite import Suite, Training
from milkreport.training.batches import ModelInputs
from milkreport.training.card import (
    InputSpec,
    ModelCard,
    as_columns,
    fit_reads,
    frozen_backbone,
    make_inputs,
)
from milkreport.training.checkpoint import Checkpoints
from milkreport.training.device import (
    describe_device,
    describe_memory,
    peak_memory,
    reset_peak_memory,
)
from milkreport.training.embeddings import backbone_sha256
from milkreport.training.failures import TrainingFailed, is_out_of_memory
from milkreport.training.files import CLASSIFIER_FILE, NETWORK_FILE
from milkreport.training.fit import TrainingPart, fit
from milkreport.training.imbalance import case_weights
from milkreport.training.model_selector import ModelSelector, OnEpoch, TrainingCheckpoint
from milkreport.training.pixels import Pixels
from milkreport.trust import hash_sources


@dataclass(frozen=True)
class TrainedCell:
    """What a training leaves: curves, predictions of every part, weights and the model's card.

    ``history``: one row per epoch. ``predictions``: case_id, split, label and a probability column a
    class. ``weights``: bytes of a file that depend on the weights alone. ``device``: what trained it.
    """

    history: pd.DataFrame
    predictions: pd.DataFrame
    weights: bytes
    weights_sha256: str
    card: ModelCard
    epoch_used: int
    seconds: float
    parameters: int
    scalars: dict[str, float]
    exposure: dict[str, int]
    peak_memory_bytes: int | None
    device: str


@dataclass(frozen=True)
class Start:
    """A trained model to go on from: what it reads, its weights, the stages that stay as they are."""

    reads: InputSpec
    weights: dict[str, torch.Tensor]
    frozen: tuple[str, ...] = ()


def train_cell(
    prepared: Prepared,
    suite: Suite,
    arm: Arm,
    seed: int,
    fold: Fold,
    pixels: Pixels,
    on_epoch: OnEpoch = lambda epoch, row: None,
    checkpoints: Checkpoints | None = None,
    start: Start | None = None,
) -> TrainedCell:
    """Train one cell. Training receives the training labels alone; selection reads validation alone.

    Args:
        pixels: those of all cases, on the device to train on.
        on_epoch: called after each epoch with its row of the history.
        checkpoints: where the training goes on from and keeps its progress; by default nowhere.
        start: of a network, where it begins; by default fresh weights.

    Raises:
        TrainingFailed: the loss is not finite any more, or memory ran out.
        Stopped: a signal asked for it.
        ConfigError: the arm's model cannot be built for these data.
    """
    started = time.perf_counter()
    reset_peak_memory(pixels.device)  # else a cell would report an earlier one's
    cases, parts = prepared.cases, fold.parts()
    model, training = suite.model_of(arm), suite.training_of(arm)
    reads = (
        start.reads
        if start
        else fit_reads(cases, arm.inputs, fold.train, pixels.size, suite.data.decoder)
    )
    inputs = make_inputs(reads, model, cases.table, prepared.store, pixels)
    labels = np.asarray(cases.labels(), np.int64)
    part = TrainingPart(
        torch.from_numpy(fold.train), torch.from_numpy(labels[fold.train]), len(cases.classes)
    )
    labelled = {name: (positions, labels[positions]) for name, positions in parts.items()}
    positive = tuple(name for name in cases.card.positive if name in cases.classes)
    selector = ModelSelector(suite, training, labelled, inputs, on_epoch, cases.classes, positive)
    journal = TrainingCheckpoint(selector, checkpoints or Checkpoints(), started)
    selector.pause = journal.pause
    try:
        if isinstance(model, Classifier):
            columns = as_columns(inputs, reads, cases.table)
            groups = pd.factorize(cases.table["group_id"])[0].astype(np.int64)
            # scikit-learn's libraries take all cores otherwise: other sums, and cores that wait.
            with threadpool_limits(training.threads):
                weights, parameters = _fit_classifier(
                    model, arm, columns, groups, part, selector, seed
                )
        else:
            _fit_network(model, training, arm, reads, inputs, part, selector, journal, seed, start)
            weights = safetensors.torch.save(selector.state)
            parameters = sum(tensor.numel() for tensor in selector.state.values())
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        size = training.batch_size
        what = f"out of memory on {describe_memory(pixels.device)} at training.batch_size {size}"
        raise TrainingFailed(f"{what}: halve it") from error
    finally:
        # ModelSelector and journal hold one another: the network would stay in memory beside the next cell's.
        journal.last = None
    weights_sha256 = hashlib.sha256(weights).hexdigest()
    frames = [
        _frame(cases.table.iloc[positions], name, selector.probabilities[name], cases.classes)
        for name, positions in parts.items()
    ]
    device = describe_device(pixels.device)
    card = ModelCard(
        milkreport=__version__,
        architecture=model.name,
        model=model,
        reads=reads,
        classes=list(cases.classes),
        suite=suite.name,
        arm=arm.name,
        correction=arm.correction,
        strength=arm.amount,
        training=training.model_dump(),
        seed=seed,
        fold=fold.index,
        epoch_used=selector.epoch,
        device=device,
        data=cases.card.name,
        data_sha256=prepared.fingerprint,
        class_counts=_count(cases.classes, labels[fold.train]),
        metrics=selector.metrics(),
        sources=hash_sources(model) | _backbone_source(model, reads),
        packages=_versions(),
        weights_file=CLASSIFIER_FILE if isinstance(model, Classifier) else NETWORK_FILE,
        weights_sha256=weights_sha256,
    )
    return TrainedCell(
        history=pd.DataFrame(selector.rows),
        predictions=pd.concat(frames, ignore_index=True),
        weights=weights,
        weights_sha256=weights_sha256,
        card=card,
        epoch_used=selector.epoch,
        seconds=journal.seconds(),
        parameters=parameters,
        scalars=selector.scalars,
        exposure=dict(zip(cases.classes, map(int, selector.drawn.tolist()), strict=True)),
        peak_memory_bytes=peak_memory(pixels.device),
        device=device,
    )


def _fit_network(
    model: AnyModel,
    training: Training,
    arm: Arm,
    reads: InputSpec,
    inputs: ModelInputs,
    part: TrainingPart,
    selector: ModelSelector,
    journal: TrainingCheckpoint,
    seed: int,
    start: Start | None,
) -> None:
    def build() -> nn.Module:
        network = build_network(model, reads.shape(part.n_classes))
        if start is not None:
            network.load_state_dict(start.weights)
        return network

    def frozen(network: nn.Module) -> list[nn.Module]:
        named = stages(network)
        return [module for name in (start.frozen if start else ()) for module in named[name]]

    fit(
        build,
        inputs,
        part,
        training,
        arm.correction,
        seed,
        selector.observe,
        journal,
        amount=arm.amount,
        frozen=frozen,
        is_over=selector.is_over,
    )


def _fit_classifier(
    model: Classifier,
    arm: Arm,
    columns: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
    groups: npt.NDArray[np.int64],
    part: TrainingPart,
    selector: ModelSelector,
    seed: int,
) -> tuple[bytes, int]:
    """The classifier's bytes and the count of its numbers; its scores go to the selector as one epoch."""
    # Not above: scikit-learn and skops cost each process of a network two seconds.
    from milkreport.models.classifier import (
        count_numbers,
        dump_classifier,
        fit_classifier,
        score_classifier,
    )

    train = part.positions.numpy()
    plain, embedded = columns
    fitted = fit_classifier(
        model,
        plain[train],
        embedded[train],
        part.labels.numpy(),
        groups[train],
        case_weights(arm.correction, part.labels, part.n_classes, arm.amount),
        seed,
    )
    selector.scalars = fitted.chosen
    drawn = torch.bincount(part.labels, minlength=part.n_classes)
    selector.observe_only(
        lambda p: score_classifier(fitted.pipeline, plain[p], embedded[p], part.n_classes), drawn
    )
    return dump_classifier(fitted.pipeline), count_numbers(fitted.pipeline)


def _count(classes: Sequence[str], labels: npt.NDArray[np.int64]) -> dict[str, int]:
    return dict(zip(classes, np.bincount(labels, minlength=len(classes)).tolist(), strict=True))


def _backbone_source(model: AnyModel, reads: InputSpec) -> dict[str, str]:
    frozen = frozen_backbone(model)
    return {"backbone": backbone_sha256(frozen)} if frozen and reads.images else {}


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("torch", "scikit-learn", "numpy")}


def _frame(
    table: pd.DataFrame,
    part: str,
    probabilities: npt.NDArray[np.float32],
    classes: tuple[str, ...],
) -> pd.DataFrame:
    named = pd.DataFrame(probabilities, columns=list(classes), index=table.index)
    return pd.concat([table[["case_id"]].assign(split=part, label=table["label"]), named], axis=1)
