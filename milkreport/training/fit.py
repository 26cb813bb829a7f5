"""The training loop. Receives training labels alone; what is scored is scored by its caller."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

from milkreport.models import host
from milkreport.models.build import log_probabilities
from milkreport.streams import stream_seed
from milkreport.suite.arms import Correction
from milkreport.suite.suite import Precision, Training
from milkreport.training.augment import augmented
from milkreport.training.batches import ModelInputs, Pass
from milkreport.training.checkpoint import Position
from milkreport.training.device import autocast
from milkreport.training.failures import TrainingFailed, refuse_undetermined
from milkreport.training.imbalance import Loss, epoch_order, make_loss

#: Cases a pass where nothing is learned, at most.
SCORED_AT_ONCE = 256

Observe = Callable[[int, nn.Module, Tensor], None]


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
    build: Callable[[], nn.Module],
    inputs: ModelInputs,
    part: TrainingPart,
    settings: Training,
    correction: Correction,
    seed: int,
    observe: Observe,
    journal: Journal,
    *,
    amount: float | None = None,
    frozen: Callable[[nn.Module], Sequence[nn.Module]] = lambda network: (),
    is_over: Callable[[], bool] = lambda: False,
) -> nn.Module:
    """Train a network for ``settings.epochs`` epochs, from where *journal* stands, and return it.

    Args:
        build: makes the network; called with the seed's "init" stream set.
        observe: called after each epoch with the epoch (from 1), the network in evaluation mode, and
            the number of times each class was drawn, int64 (n_classes,). It may keep weights and curves.
        journal: gives the state to go on from, and is informed of every state that one can go on from.
        amount: the correction's strength; by default the usual one. frozen: those of the network's modules
        that stay as they are. is_over: asked before each epoch; ends the training early.

    Raises:
        TrainingFailed: the loss was not finite, or an operation is not deterministic and must be.
    """
    device = inputs.device
    network = initialise(build, seed).to(device)
    network.to(memory_format=torch.channels_last)
    resting = frozen(network)
    for module in resting:
        module.requires_grad_(False)
    loss = make_loss(correction, part.labels, part.n_classes, amount).to(device)
    optimizer = _make_optimizer(network, settings)
    chunk = inputs.chunk(settings.chunk, settings.batch_size)
    if whole := has_batch_statistics(network):
        chunk = settings.batch_size + 1  # in one piece, a single last case among them
    take = partial(step, network, optimizer, loss, chunk, settings.precision)
    at = journal.restore(network, optimizer)
    for epoch in range(at.epoch + 1, settings.epochs + 1):
        if is_over():
            break
        network.train()
        for module in resting:
            module.eval()  # batch statistics rest, too
        order = epoch_order(correction, part.labels, part.n_classes, seed, epoch, amount)
        done = at.step if epoch == at.epoch + 1 else 0  # before the training was interrupted
        size = settings.batch_size
        batches = split_batches(part.positions[order], size, whole)[done:]
        targets = split_batches(part.labels[order].to(device), size, whole)[done:]
        passes = inputs.passes([some for batch in batches for some in torch.split(batch, chunk)])
        if settings.augmentation != "none":
            kind = settings.augmentation
            passes = augmented(passes, kind, batches, chunk, seed, epoch, done + 1)
        total = torch.zeros((), device=device)
        for number, (batch, truth) in enumerate(zip(batches, targets, strict=True), done + 1):
            # Of the position alone: a network that drops units goes on as if it had never stopped.
            torch.manual_seed(stream_seed(seed, "dropout", epoch, number))
            _set_rate(optimizer, settings, epoch - 1, number, done + len(batches))
            try:
                total += take(passes, truth)
            except RuntimeError as error:
                again = inputs.passes(torch.split(batch, chunk))
                refuse_undetermined(error, network, partial(take, again, truth))
                raise
            journal.reached(Position(epoch - 1, number), network, optimizer)
        # The only moment of an epoch at which the host waits for a GPU.
        if not math.isfinite(mean := float(host.to_host(total))):
            raise TrainingFailed(f"the loss is {mean} at epoch {epoch}: lower the learning rate")
        network.eval()
        drawn = torch.bincount(part.labels[order], minlength=part.n_classes)
        observe(epoch, network, drawn)
        journal.reached(Position(epoch), network, optimizer)
    return network


def split_batches(values: Tensor, size: int, join_single: bool) -> Sequence[Tensor]:
    """Batches of *size*, the last of what is left; a single case that is left joins the batch before.

    Args:
        join_single: only then: a batch of one case has no statistics.
    """
    batches = torch.split(values, size)
    if join_single and len(batches) > 1 and len(batches[-1]) == 1:
        return [*batches[:-2], torch.cat(batches[-2:])]
    return batches


def _make_optimizer(network: nn.Module, settings: Training) -> torch.optim.Optimizer:
    kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return kind(learned, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)


def _set_rate(
    optimizer: torch.optim.Optimizer, settings: Training, epochs: int, number: int, n_steps: int
) -> None:
    """Set the rate of step *number* (from 1) of *n_steps* after *epochs* epochs; a warm-up starts above 0."""
    if settings.schedule == "constant" and not settings.warmup_epochs:
        return
    warming = epochs < settings.warmup_epochs
    rate = learning_rate(settings, epochs + (number if warming else number - 1) / n_steps)
    for group in optimizer.param_groups:
        group["lr"] = rate


def initialise(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Build the network on the CPU from the seed's own stream: the same start on every device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(seed, "init"))
        return build()


def step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Loss,
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
        loss: on the device.
        passes: gives the inputs of the batch's chunks, *chunk* cases each, in turn.
        truth: int64 (n,), the batch's class positions, on the device.
    """
    optimizer.zero_grad(set_to_none=True)
    weight = loss.weigh(truth)
    mean = torch.zeros((), device=truth.device)
    for labels in torch.split(truth, chunk):
        with autocast(precision, truth.device):
            scores = network(*next(passes)).to(loss.weights.dtype)
        share = loss.total(scores, labels) / weight
        share.backward()  # type: ignore[no-untyped-call]
        mean += share.detach()
    optimizer.step()
    return mean


@torch.inference_mode()
def score(
    network: nn.Module,
    inputs: ModelInputs,
    positions: Tensor,
    precision: Precision,
    pause: Callable[[], None] = lambda: None,
) -> Tensor:
    """Log probabilities of the cases at *positions*: float32 (n, n_classes), on the CPU.

    Args:
        pause: called now and then; what it raises ends the scoring.
    """
    chunk = inputs.chunk(0, SCORED_AT_ONCE)
    found, done = torch.empty(0), 0
    for images, features in inputs.passes(torch.split(positions, chunk)):
        pause()
        with autocast(precision, inputs.device):
            scores = network(images, features)
        logs = log_probabilities(network, scores.float())
        if not done:
            # In one piece from the start: small results kept between large blocks would split the heap.
            found = logs.new_empty(len(positions), logs.shape[1])
        found[done : done + len(logs)] = logs
        done += len(logs)
    return host.to_host(found)


def has_batch_statistics(network: nn.Module) -> bool:
    """Whether a module's result depends on its batch, so that chunks would change the step."""
    return any(_batch_modules(network))


def _batch_modules(network: nn.Module) -> Iterator[bool]:
    for module in network.modules():
        yield isinstance(module, nn.modules.batchnorm._BatchNorm)


#: The ``step`` schedule divides by 10 after these shares of the training.
STEPS = (0.6, 0.8)


def learning_rate(settings: Training, epochs_done: float) -> float:
    """The rate of the step that begins after *epochs_done* epochs, 0 to ``settings.epochs``.

    Linear from 0 over the warm-up (its first step has one step's share, see the caller); then constant,
    half a cosine from the full rate to 0 (Loshchilov and Hutter, 2017, SGDR, without restarts), or steps.
    """
    rate = settings.learning_rate
    if epochs_done < settings.warmup_epochs:
        return rate * epochs_done / settings.warmup_epochs
    if settings.schedule == "cosine":
        share = (epochs_done - settings.warmup_epochs) / (settings.epochs - settings.warmup_epochs)
        return rate * 0.5 * (1 + math.cos(math.pi * share))
    if settings.schedule == "step":
        return rate * 0.1 ** sum(epochs_done >= share * settings.epochs for share in STEPS)
    return rate
