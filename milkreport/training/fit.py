"""The training loop. Receives training labels alone; what is scored is scored by its caller."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from milkreport.models.lesion_net import MultiModalLesionNet
from milkreport.streams import stream_seed
from milkreport.suite import Correction, Training
from milkreport.training.batches import Inputs, chunk_size
from milkreport.training.checkpoint import Position
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


class TrainingFailed(Exception):
    """This training cannot go on; others can. The message says why and what to do."""


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
        TrainingFailed: a batch's loss was not finite.
    """
    network = initialise(build, seed).to(inputs.device)
    network.to(memory_format=torch.channels_last)
    weights = loss_weights(correction, part.labels, part.n_classes).to(inputs.device)
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, fused=True)
    size = inputs.store.size
    chunk = chunk_size(settings.chunk, size, settings.batch_size, inputs.device)
    if has_batch_statistics(network):
        chunk = settings.batch_size
    at = journal.restore(network, optimizer)
    for epoch in range(at.epoch + 1, settings.epochs + 1):
        network.train()
        order = epoch_order(correction, part.labels, part.n_classes, seed, epoch)
        for number, batch in enumerate(torch.split(order, settings.batch_size), 1):
            if epoch == at.epoch + 1 and number <= at.step:
                continue  # done before the training was interrupted
            # Of the position alone: a network that drops units goes on as if it had never stopped.
            torch.manual_seed(stream_seed(seed, "dropout", epoch, number))
            loss = step(network, optimizer, inputs, part, batch, weights, chunk)
            if not math.isfinite(loss):
                raise TrainingFailed(
                    f"the loss is {loss} at epoch {epoch}: lower the learning rate"
                )
            journal.reached(Position(epoch - 1, number), network, optimizer)
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
    inputs: Inputs,
    part: TrainingPart,
    batch: Tensor,
    weights: Tensor,
    chunk: int,
) -> float:
    """One optimizer step on *batch* (positions into the part); returns the batch's loss.

    The batch is passed in chunks that fit the caches and the gradients add up to those of one pass:
    each chunk's *summed* loss is divided by the whole batch's weight sum, as
    ``CrossEntropyLoss(weight=w)`` does. Averaging the chunks' means would change the weighted arm alone.
    """
    optimizer.zero_grad(set_to_none=True)
    labels = part.labels[batch]
    total_weight = weights[labels.to(weights.device)].sum()
    loss = torch.zeros((), device=weights.device)
    for positions, targets in zip(
        torch.split(part.positions[batch], chunk), torch.split(labels, chunk), strict=True
    ):
        images, features = inputs.batch(positions)
        scores = network(images, features)
        targets = targets.to(scores.device)
        share = cross_entropy(scores, targets, weight=weights, reduction="sum") / total_weight
        share.backward()  # type: ignore[no-untyped-call]
        loss += share.detach()
    optimizer.step()
    return float(loss)


@torch.inference_mode()
def score(network: MultiModalLesionNet, inputs: Inputs, positions: Tensor) -> Tensor:
    """Log probabilities of the cases at *positions*: float32 (n, n_classes), on the CPU."""
    size = inputs.store.size
    chunk = chunk_size(0, size, 256, inputs.device)
    parts = [
        network.log_probabilities(network(*inputs.batch(some))).to("cpu")
        for some in torch.split(positions, chunk)
    ]
    return torch.cat(parts)


def has_batch_statistics(network: nn.Module) -> bool:
    """Whether a module's result depends on its batch, so that chunks would change the step."""
    return any(_batch_modules(network))


def _batch_modules(network: nn.Module) -> Iterator[bool]:
    for module in network.modules():
        yield isinstance(module, nn.modules.batchnorm._BatchNorm)
