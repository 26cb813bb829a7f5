"""Training the paper's network on the CPU: our loop, the plain PyTorch loop and pytorch-lightning's Trainer.

All start from the same uint8 pixels and the same weights and take the same batches in the same order with
Adam. ``plain``: contiguous tensors made by ``ToTensor``'s rule, one pass a batch. ``lightning``: the Trainer
with every extra switched off, network and images channels last. ``milkreport``:
:func:`milkreport.training.fit.fit` as a run calls it. These three run with PyTorch's deterministic
algorithms on, as a comparison of arms needs. ``plain_fast``: the plain loop with them off.

Each has a process of its own with its own settings of PyTorch; rounds alternate, so that a busy machine
slows all alike, and a ratio is the median of the rounds' ratios. The losses after each round are compared.
Prints a table and, as its last line, one JSON object. Needs pytorch-lightning (in the extra ``dev``).

    python benchmarks/train_step.py [--size 256] [--rounds 5] [--batches 3] [--threads 2]
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from milkreport.data.pixels.store import PixelStore
from milkreport.models.lesion_net import MultiModalLesionNet
from milkreport.models.shape import Shape
from milkreport.suite.suite import Model, Training
from milkreport.training.batches import ImageInputs
from milkreport.training.checkpoint import Position
from milkreport.training.device import pin
from milkreport.training.fit import TrainingPart, fit, initialise
from milkreport.training.imbalance import epoch_order
from milkreport.training.pixels import MappedPixels

BATCH, CLASSES, FEATURES, RATE, SEED = 32, 11, 18, 0.001, 0
CPU = torch.device("cpu")

#: Waits for the word to start; to be called with the network when a round is done.
Signal = tuple[Callable[[], None], Callable[[torch.nn.Module], None]]


@dataclass(frozen=True)
class Work:
    """What is trained: random images, features and labels of ``batches`` batches, for ``rounds`` rounds."""

    size: int
    rounds: int
    batches: int
    threads: int

    @cached_property
    def pixels(self) -> np.ndarray:
        """uint8 (n, 2, size, size, 3)."""
        shape = (self.batches * BATCH, 2, self.size, self.size, 3)
        return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)

    @cached_property
    def features(self) -> list[Tensor]:
        """float32 (n, FEATURES) a view."""
        rng = np.random.default_rng(1)
        values = rng.normal(size=(2, self.batches * BATCH, FEATURES)).astype(np.float32)
        return list(torch.from_numpy(values))

    @cached_property
    def labels(self) -> Tensor:
        """int64 (n,)."""
        return torch.from_numpy(np.random.default_rng(2).integers(0, CLASSES, len(self.pixels)))

    def build(self) -> MultiModalLesionNet:
        """The paper's network."""
        views = ["clinical", "dermoscopic"]
        return MultiModalLesionNet(
            Model(), Shape(self.size, tuple(views), (FEATURES,) * 2, CLASSES)
        )

    def epoch(self, number: int, memory_format: torch.memory_format) -> Iterator[Any]:
        """Batches of float images, features and labels, in the order of epoch *number*."""
        order = epoch_order("none", self.labels, CLASSES, SEED, number)
        for rows in torch.split(order, BATCH):
            images = [
                torch.from_numpy(self.pixels[rows, view])
                .permute(0, 3, 1, 2)
                .contiguous(memory_format=memory_format)
                .float()
                .div(255)
                for view in range(2)
            ]
            yield images, [table[rows] for table in self.features], self.labels[rows]


def train_plain(work: Work, signal: Signal, deterministic: bool = True) -> None:
    """The usual loop."""
    torch.set_num_threads(work.threads)
    torch.use_deterministic_algorithms(deterministic)
    start, end = signal
    network = initialise(work.build, SEED)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    for number in range(1, work.rounds + 1):
        start()
        for images, features, labels in work.epoch(number, torch.contiguous_format):
            optimizer.zero_grad()
            loss = cross_entropy(network(images, features), labels)
            loss.backward()
            optimizer.step()
            loss.item()
        end(network)


def train_lightning(work: Work, signal: Signal) -> None:
    """The Trainer, with loggers, checkpoints and bars off."""
    import pytorch_lightning as lightning

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    torch.set_num_threads(work.threads)
    start, end = signal

    class Batches:
        epoch = 0

        def __len__(self) -> int:
            return work.batches

        def __iter__(self) -> Iterator[Any]:
            self.epoch += 1
            yield from work.epoch(self.epoch, torch.channels_last)

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = initialise(work.build, SEED).to(memory_format=torch.channels_last)

        def training_step(self, batch: Any, position: int) -> Tensor:
            images, features, labels = batch
            return cross_entropy(self.network(images, features), labels)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=RATE)

        def on_train_epoch_start(self) -> None:
            start()

        def on_train_epoch_end(self) -> None:
            end(self.network)

    trainer = lightning.Trainer(
        accelerator="cpu",
        deterministic=True,
        max_epochs=work.rounds,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Module(), Batches())


def train_ours(work: Work, signal: Signal) -> None:
    """The loop of a run."""
    settings = Training(
        epochs=work.rounds, batch_size=BATCH, learning_rate=RATE, threads=work.threads
    )
    pin(settings, CPU)
    start, end = signal
    rows = np.arange(len(work.pixels))
    store = PixelStore(work.pixels, pd.DataFrame(), rows, "", "")
    inputs = ImageInputs(MappedPixels(store), [0, 1], work.features)
    part = TrainingPart(torch.from_numpy(rows), work.labels, CLASSES)

    class NoJournal:
        def restore(self, network: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Position:
            start()
            return Position()

        def reached(self, position: Position, *state: Any) -> None:
            if not position.step and position.epoch < work.rounds:
                start()

    def observe(epoch: int, network: torch.nn.Module, drawn: Tensor) -> None:
        end(network)

    fit(work.build, inputs, part, settings, "none", SEED, observe, NoJournal())


WAYS = {
    "plain": train_plain,
    "plain_fast": partial(train_plain, deterministic=False),
    "lightning": train_lightning,
    "milkreport": train_ours,
}


def serve(name: str, work: Work, line: Connection) -> None:
    """Train in this process, a round at a time, as the other end of *line* asks for it."""
    images, features, labels = next(work.epoch(1, torch.contiguous_format))
    started = 0.0

    def start() -> None:
        nonlocal started
        line.recv()
        started = time.perf_counter()

    def end(network: torch.nn.Module) -> None:
        seconds = time.perf_counter() - started
        with torch.inference_mode():
            loss = cross_entropy(network(images, features), labels)
        line.send((seconds, float(loss)))

    WAYS[name](work, (start, end))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    work = Work(asked.size, asked.rounds + 1, asked.batches, asked.threads)
    context = multiprocessing.get_context("spawn")
    lines = {}
    for name in WAYS:
        here, there = context.Pipe()
        context.Process(target=serve, args=(name, work, there), daemon=True).start()
        lines[name] = here
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    losses: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(work.rounds):
        for name, line in lines.items():
            line.send(None)
            took, loss = line.recv()
            seconds[name].append(took)
            losses[name].append(loss)
    # The first round pays for allocation and the choice of kernels.
    timed = {name: took[1:] for name, took in seconds.items()}
    cases = asked.batches * BATCH
    print(f"{'way':<12}{'ms a lesion':>14}{'loss after the last round':>28}")
    for name, took in timed.items():
        print(f"{name:<12}{1000 * statistics.median(took) / cases:>14.2f}{losses[name][-1]:>28.6f}")
    figures: dict[str, Any] = {"benchmark": "train_step", "size": asked.size}
    figures |= {"threads": asked.threads, "rounds": asked.rounds, "cases": cases}
    for name, took in timed.items():
        figures[f"ms_{name}"] = round(1000 * statistics.median(took) / cases, 3)
    for name in ("plain", "plain_fast", "lightning"):
        pairs = zip(timed[name], timed["milkreport"], strict=True)
        figures[f"ratio_{name}"] = round(statistics.median(his / our for his, our in pairs), 3)
        apart = [abs(a - b) for a, b in zip(losses[name], losses["milkreport"], strict=True)]
        figures[f"loss_difference_{name}"] = max(apart)
    print(
        f"\n{asked.size} px, batch {BATCH}, {asked.threads} threads, {asked.rounds} rounds of {cases} "
        f"lesions\nours is {figures['ratio_plain']:.2f} times as fast as the plain loop "
        f"({figures['ratio_plain_fast']:.2f} without determinism) and\n"
        f"{figures['ratio_lightning']:.2f} times as fast as Lightning's; the losses differ by at most "
        f"{figures['loss_difference_plain']:.1e} and {figures['loss_difference_lightning']:.1e}"
    )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
