"""A training step of the paper's network on the CPU: ours against the plain PyTorch loop, in one run.

Plain: contiguous tensors, images to float by ``ToTensor``'s rule beforehand, one forward and backward
pass a batch, Adam. Ours: :func:`milkreport.training.fit.step`, which starts from uint8. Both make the
same step; the loss after the timed steps is compared. Rounds alternate, so that a busy machine slows
both alike. Prints a table and, as its last line, one JSON object.

    python benchmarks/train_step.py [--size 256] [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import cross_entropy

from milkreport.data.store import PixelStore
from milkreport.models.lesion_net import MultiModalLesionNet
from milkreport.suite import Model
from milkreport.training.batches import Inputs, chunk_size
from milkreport.training.device import pin
from milkreport.training.fit import TrainingPart, initialise, step
from milkreport.training.imbalance import loss_weights

BATCH, CLASSES, FEATURES = 32, 11, 18
CPU = torch.device("cpu")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    pin(arguments.threads)
    size = arguments.size

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (BATCH, 2, size, size, 3), dtype=np.uint8)
    features = [torch.from_numpy(rng.normal(size=(BATCH, FEATURES)).astype("f4")) for _ in "cd"]
    labels = torch.from_numpy(rng.integers(0, CLASSES, BATCH))
    ways = {
        "plain": plain_step(pixels, features, labels, size),
        "milkreport": our_step(pixels, features, labels, size),
    }
    for run in ways.values():
        run()  # warm up: allocation, kernel selection
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    losses = dict.fromkeys(ways, 0.0)
    for _ in range(arguments.rounds):
        for name, run in ways.items():
            started = time.perf_counter()
            losses[name] = run()
            seconds[name].append(time.perf_counter() - started)
    per_case = {name: 1000 * statistics.median(s) / BATCH for name, s in seconds.items()}
    ratio = per_case["plain"] / per_case["milkreport"]
    apart = abs(losses["plain"] - losses["milkreport"])
    print(f"{'way':<12}{'ms a lesion':>14}{'loss after the steps':>24}")
    for name, value in per_case.items():
        print(f"{name:<12}{value:>14.2f}{losses[name]:>24.6f}")
    print(
        f"\n{size} px, batch {BATCH}, {arguments.threads} threads, median of {arguments.rounds} rounds"
    )
    print(f"ours is {ratio:.2f} times as fast; the losses differ by {apart:.1e}")
    figures = {
        "benchmark": "train_step",
        "size": size,
        "threads": arguments.threads,
        "ms_plain": round(per_case["plain"], 3),
        "ms_milkreport": round(per_case["milkreport"], 3),
        "ratio_plain": round(ratio, 3),
        "loss_difference": apart,
    }
    print(json.dumps(figures))


def build(size: int) -> MultiModalLesionNet:
    """The paper's network at *size* pixels."""
    return MultiModalLesionNet(Model(), size, ["clinical", "dermoscopic"], [FEATURES] * 2, CLASSES)


def plain_step(
    pixels: np.ndarray, features: list[torch.Tensor], labels: torch.Tensor, size: int
) -> Callable[[], float]:
    """The usual loop: contiguous float images made beforehand, one pass a batch."""
    whole = torch.from_numpy(pixels).permute(1, 0, 4, 2, 3).contiguous().float() / 255
    images = list(whole)
    network = initialise(lambda: build(size), 0)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001)

    def run() -> float:
        optimizer.zero_grad()
        loss = cross_entropy(network(images, features), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return run


def our_step(
    pixels: np.ndarray, features: list[torch.Tensor], labels: torch.Tensor, size: int
) -> Callable[[], float]:
    """Our step, as ``fit`` calls it."""
    network = initialise(lambda: build(size), 0).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001, fused=True)
    store = PixelStore(pixels, pd.DataFrame(), np.arange(BATCH), "", "")
    inputs = Inputs(store, features, CPU)
    part = TrainingPart(torch.arange(BATCH), labels, CLASSES)
    weights = loss_weights("none", labels, CLASSES)
    chunk = chunk_size(0, size, BATCH, CPU)

    def run() -> float:
        return step(network, optimizer, inputs, part, torch.arange(BATCH), weights, chunk)

    return run


if __name__ == "__main__":
    main()
