"""The training loop. Receives training labels alone; what is scored is scored by its caller."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from milkreport.models.lesion_net import MultiModalLesionNet
from milkreport.streams import stream_seed
from milkreport.suite import Correction, Precision, Training
from milkreport.training.batches import Inputs, Pass, chunk_size
from milkreport.training.checkpoint import Position
from milkreport.training.device import autocast
from milkreport.training.failures import TrainingFailed, refuse_undetermined
from milkreport.training.imbalance import epoch_order, loss_weights

Observe = Callable[[int, MultiModalLesionNet, Tensor], None]


class Journal(Protocol):
    """Keeps how far a training is, so that it can go on after it was stopped or killed."""

    def restore(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> Position:
        """Put the last kept state into both; where it stands."""

    def reached(
        self, position: Position, network: nn.Module, optimizer: torch.optim.Optimizer
    ) -> None:
        """Called after every step and after every epoch; keeps the state when it is time to."""


@dataclass(frozen=True)
class TrainingPart:
    """The cases that are learned from.

    ``positions``: int64 (n_train,), into the inputs. ``labels``: int64 (n_train,), class positions.
    """

    positions: Tensor
    labels: Tensor
    n_classes: int


def fit(
    build: Callable[[], MultiModalLesionNet],
    inputs: Inputs,
    part: TrainingPart,
    settings: Training,
    correction: Correction,
    seed: int,
    observe: Observe,
    journal: Journal,
) -> MultiModalLesionNet:
    """Train a network for ``settings.epochs`` epochs, from where *journal* stands, and return it.

    Args:
        build: makes the network; called with the seed's "init" stream set.
        observe: called after each epoch with the epoch (from 1), the network in evaluation mode, and
            the number of times each class was drawn, int64 (n_classes,). It may keep weights and curves.
        journal: gives the state to go on from, and is told of every state that one can go on from.

    Raises:
        TrainingFailed: the loss was not finite, or an operation is not deterministic and must be.
    """
    device = inputs.device
    network = initialise(build, seed).to(device)
    network.to(memory_format=torch.channels_last)
    weights = loss_weights(correction, part.labels, part.n_classes).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, fused=True)
    chunk = chunk_size(settings.chunk, inputs.pixels.size, settings.batch_size, device)
    if has_batch_statistics(network):
        chunk = settings.batch_size
    take = partial(step, network, optimizer, weights, chunk, settings.precision)
    at = journal.restore(network, optimizer)
    for epoch in range(at.epoch + 1, settings.epochs + 1):
        network.train()
        order = epoch_order(correction, part.labels, part.n_classes, seed, epoch)
        done = at.step if epoch == at.epoch + 1 else 0  # before the training was interrupted
        batches = torch.split(part.positions[order], settings.batch_size)[done:]
        targets = torch.split(part.labels[order].to(device), settings.batch_size)[done:]
        passes = inputs.passes([some for batch in batches for some in torch.split(batch, chunk)])
        total = torch.zeros((), device=device)
        for number, (batch, truth) in enumerate(zip(batches, targets, strict=True), done + 1):
            # Of the position alone: a network that drops units goes on as if it had never stopped.
            torch.manual_seed(stream_seed(seed, "dropout", epoch, number))
            try:
                total += take(passes, truth)
            except RuntimeError as error:
                again = inputs.passes(torch.split(batch, chunk))
                refuse_undetermined(error, network, partial(take, again, truth))
                raise
            journal.reached(Position(epoch - 1, number), network, optimizer)
        # The only moment of an epoch at which the host waits for a GPU.
        if not math.isfinite(loss := float(total)):
            raise TrainingFailed(f"the loss is {loss} at epoch {epoch}: lower the learning rate")
        network.eval()
        drawn = torch.bincount(part.labels[order], minlength=part.n_classes)
        observe(epoch, network, drawn)
        journal.reached(Position(epoch), network, optimizer)
    return network


def initialise(build: Callable[[], MultiModalLesionNet], seed: int) -> MultiModalLesionNet:
    """Build the network on the CPU from the seed's own stream: the same start on every device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(seed, "init"))
        return build()


def step(
    network: MultiModalLesionNet,
    optimizer: torch.optim.Optimizer,
    weights: Tensor,
    chunk: int,
    precision: Precision,
    passes: Iterator[Pass],
    truth: Tensor,
) -> Tensor:
    """One optimizer step on one batch; returns the batch's loss, a float32 scalar on the device.

    The batch is passed in chunks that fit the caches and the gradients add up to those of one pass:
    each chunk's *summed* loss is divided by the whole batch's weight sum, as
    ``CrossEntropyLoss(weight=w)`` does. Averaging the chunks' means would change the weighted arm alone.

    Args:
        weights: of each class in the loss, float32 (n_classes,), on the device.
        passes: gives the inputs of the batch's chunks, *chunk* cases each, in turn.
        truth: int64 (n,), the batch's class positions, on the device.
    """
    optimizer.zero_grad(set_to_none=True)
    total_weight = weights[truth].sum()
    loss = torch.zeros((), device=weights.device)
    for labels in torch.split(truth, chunk):
        with autocast(precision, weights.device):
            scores = network(*next(passes)).to(weights.dtype)
        share = cross_entropy(scores, labels, weight=weights, reduction="sum") / total_weight
        share.backward()  # type: ignore[no-untyped-call]
        loss += share.detach()
    optimizer.step()
    return loss


@torch.inference_mode()
def score(
    network: MultiModalLesionNet,
    inputs: Inputs,
    positions: Tensor,
    precision: Precision,
    pause: Callable[[], None] = lambda: None,
) -> Tensor:
    """Log probabilities of the cases at *positions*: float32 (n, n_classes), on the CPU.

    Args:
        pause: called now and then; what it raises ends the scoring.
    """
    chunk = chunk_size(0, inputs.pixels.size, 256, inputs.device)
    found, done = torch.empty(0), 0
    for images, features in inputs.passes(torch.split(positions, chunk)):
        pause()
        with autocast(precision, inputs.device):
            scores = network(images, features)
        logs = network.log_probabilities(scores.float())
        if not done:
            # In one piece from the start: small results kept between large blocks would split the heap.
            found = logs.new_empty(len(positions), logs.shape[1])
        found[done : done + len(logs)] = logs
        done += len(logs)
    return found.to("cpu")


def has_batch_statistics(network: nn.Module) -> bool:
    """Whether a module's result depends on its batch, so that chunks would change the step."""
    return any(_batch_modules(network))


def _batch_modules(network: nn.Module) -> Iterator[bool]:
    for module in network.modules():
        yield isinstance(module, nn.modules.batchnorm._BatchNorm)
