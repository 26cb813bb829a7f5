"""The training engine on a GPU: time an epoch, time for the paper's suite, and what stands beside them.

Random pixels in a store of the real set's size (4,151 training and 1,038 test cases, two views); an epoch is
one pass over the training part and the scoring of both parts, as in a run. Compared with

- a plain loop: ``DataLoader`` with workers, float images, contiguous tensors, ``loss.item()`` each step,
- pytorch-lightning's Trainer on a ResNet-18 for each view, at equal settings (``ratio_backbone``),
- the same epoch without strict determinism, in TF32 and bfloat16, and with pixels streamed from the host,
- the bandwidth of a plain copy on the device: the bytes that a training step's operations read and write,
  by the time that they take.

``--data DIR`` times ``milkreport run-all paper`` on packed data from start to finished report as well.
Without a GPU it runs on the CPU with little work, where only the code is tried.
Prints a table and, as its last line, one JSON object. Needs pytorch-lightning (in the extra ``dev``).

    python benchmarks/gpu.py [--epochs 3] [--data DIR]
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader, Dataset
from torchvision.models import resnet18

from milkreport.data.pixels.store import PixelStore
from milkreport.models.lesion_net import MultiModalLesionNet
from milkreport.models.shape import Shape
from milkreport.suite.suite import Model, Training
from milkreport.training.batches import ImageInputs
from milkreport.training.checkpoint import Position
from milkreport.training.device import describe_device, pin, resolve_device
from milkreport.training.fit import TrainingPart, fit, initialise, score
from milkreport.training.pixels import Pixels, ResidentPixels, StreamedPixels, choose_pixel_source

BATCH, CLASSES, FEATURES, RATE, SEED = 32, 11, 18, 0.001, 0
VIEWS = ["clinical", "dermoscopic"]
SUITE_EPOCHS = 3 * 50


class Cases:
    """Random cases in a store on disk: ``train`` of them to learn from, ``test`` to score."""

    def __init__(self, folder: Path, train: int, test: int, size: int) -> None:
        self.n_train, n = train, train + test
        rng = np.random.default_rng(0)
        pixels = np.memmap(folder / "pixels", np.uint8, "w+", shape=(n, 2, size, size, 3))
        for block in np.array_split(pixels, max(1, n // 256)):
            block[:] = rng.integers(0, 256, block.shape, dtype=np.uint8)
        pixels.flush()
        pixels = np.memmap(folder / "pixels", np.uint8, "r", shape=pixels.shape)
        self.store = PixelStore(pixels, pd.DataFrame(), np.arange(n), "", "")
        self.features = [
            torch.from_numpy(rng.normal(size=(n, FEATURES)).astype("f4")) for _ in VIEWS
        ]
        self.labels = torch.from_numpy(rng.integers(0, CLASSES, n))
        self.train, self.test = torch.arange(train), torch.arange(train, n)


class Backbone(nn.Module):
    """A ResNet-18 for each view, their features and the metadata to one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList(resnet18(weights=None) for _ in VIEWS)
        for branch in self.branches:
            branch.fc = nn.Identity()
        self.head = nn.Linear(2 * (512 + FEATURES), CLASSES)

    def forward(self, images: list[Tensor], features: list[Tensor]) -> Tensor:
        """Logits of shape (n, CLASSES)."""
        found = [branch(view) for branch, view in zip(self.branches, images, strict=True)]
        scores: Tensor = self.head(torch.cat([*found, *features], dim=1))
        return scores

    def log_probabilities(self, scores: Tensor) -> Tensor:
        """As the paper's network has it."""
        return scores.log_softmax(dim=1)


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all that was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def our_epochs(
    cases: Cases,
    pixels: Pixels,
    settings: Training,
    build: Callable[[], Any],
    evaluate: bool = True,
) -> list[float]:
    """Seconds of each epoch of the product's loop, the first left out."""
    device = pixels.device
    pin(settings, device)
    inputs = ImageInputs(pixels, [0, 1], [table.to(device) for table in cases.features])
    part = TrainingPart(cases.train, cases.labels[cases.train], CLASSES)
    seconds: list[float] = []
    started = 0.0

    def start() -> None:
        nonlocal started
        synchronise(device)
        started = time.perf_counter()

    def observe(epoch: int, network: Any, drawn: Tensor) -> None:
        if evaluate:
            for positions in (cases.train, cases.test):
                score(network, inputs, positions, settings.precision)
        synchronise(device)
        seconds.append(time.perf_counter() - started)

    class NoJournal:
        def restore(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> Position:
            start()
            return Position()

        def reached(self, position: Position, *state: Any) -> None:
            if not position.step:
                start()

    fit(build, inputs, part, settings, "none", SEED, observe, NoJournal())
    return seconds[1:]


class Lesions(Dataset[Any]):
    """One case at a time, as a user's dataset gives it: float images, features, label."""

    def __init__(self, cases: Cases, positions: Tensor) -> None:
        self.cases, self.positions = cases, positions

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, item: int) -> Any:
        row = int(self.positions[item])
        views = torch.from_numpy(np.array(self.cases.store.pixels[row]))
        images = [view.permute(2, 0, 1).contiguous().float() / 255 for view in views]
        features = [table[row] for table in self.cases.features]
        return images, features, self.cases.labels[row]


def loader(cases: Cases, positions: Tensor, shuffle: bool) -> DataLoader[Any]:
    """A loader as tutorials write it."""
    workers = min(8, (os.cpu_count() or 1))
    return DataLoader(
        Lesions(cases, positions), BATCH, shuffle, num_workers=workers,
        pin_memory=torch.cuda.is_available(), persistent_workers=True,
    )  # fmt: skip


def plain_epochs(cases: Cases, device: torch.device, epochs: int, build: Any) -> list[float]:
    """Seconds of each epoch of the usual loop, the first left out."""
    network = initialise(build, SEED).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    train = loader(cases, cases.train, shuffle=True)
    scored = [loader(cases, positions, shuffle=False) for positions in (cases.train, cases.test)]

    def move(batch: Any) -> Any:
        images, features, labels = batch
        return [x.to(device) for x in images], [x.to(device) for x in features], labels.to(device)

    seconds = []
    for _ in range(epochs):
        started = time.perf_counter()
        network.train()
        for images, features, labels in map(move, train):
            optimizer.zero_grad()
            loss = cross_entropy(network(images, features), labels)
            loss.backward()
            optimizer.step()
            loss.item()
        network.eval()
        with torch.no_grad():
            for part in scored:
                for images, features, _ in map(move, part):
                    network(images, features).softmax(dim=1).cpu()
        seconds.append(time.perf_counter() - started)
    return seconds[1:]


def lightning_epochs(cases: Cases, pixels: Pixels, settings: Training) -> list[float]:
    """Seconds of each training epoch of Lightning's Trainer on the backbone, the first left out.

    It is given our batches, on the device: only the loops differ.
    """
    import pytorch_lightning as lightning

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    device, seconds = pixels.device, []
    inputs = ImageInputs(pixels, [0, 1], [table.to(device) for table in cases.features])
    labels = cases.labels.to(device)

    class Batches:
        def __len__(self) -> int:
            return -(-cases.n_train // BATCH)

        def __iter__(self) -> Iterator[Any]:
            batches = torch.split(cases.train[torch.randperm(cases.n_train)], BATCH)
            for batch, (images, features) in zip(batches, inputs.passes(batches), strict=True):
                yield images, features, labels[batch.to(device)]

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = initialise(Backbone, SEED).to(memory_format=torch.channels_last)

        def training_step(self, batch: Any, position: int) -> Tensor:
            images, features, truth = batch
            return cross_entropy(self.network(images, features), truth)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=RATE, fused=True)

        def on_train_epoch_start(self) -> None:
            synchronise(device)
            self.started = time.perf_counter()

        def on_train_epoch_end(self) -> None:
            synchronise(device)
            seconds.append(time.perf_counter() - self.started)

    lightning.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu", devices=1,
        max_epochs=settings.epochs, deterministic=True, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    ).fit(Module(), Batches())  # fmt: skip
    return seconds[1:]


class Traffic(TorchDispatchMode):
    """Adds up the bytes that operations read and write; views move nothing."""

    n_bytes = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        found = function(*args, **(kwargs or {}))
        if not function.is_view:
            for value in [*args, *(found if isinstance(found, tuple) else (found,))]:
                for tensor in value if isinstance(value, (list, tuple)) else (value,):
                    if isinstance(tensor, Tensor):
                        self.n_bytes += tensor.numel() * tensor.element_size()
        return found


def bytes_a_case(size: int) -> float:
    """Bytes that a forward and backward pass moves for a case, each operation by itself."""
    network = build_paper(size)
    images = [torch.zeros(BATCH, 3, size, size) for _ in VIEWS]
    with Traffic() as traffic:
        network(images, [torch.zeros(BATCH, FEATURES) for _ in VIEWS]).sum().backward()
    return traffic.n_bytes / BATCH


def copy_bandwidth(device: torch.device) -> float:
    """Bytes a second that a copy within the device's memory reads and writes."""
    source = torch.zeros(2**28 if device.type == "cuda" else 2**24, device=device)
    target, best = torch.empty_like(source), float("inf")
    for _ in range(10):
        synchronise(device)
        started = time.perf_counter()
        target.copy_(source)
        synchronise(device)
        best = min(best, time.perf_counter() - started)
    return 2 * source.nbytes / best


def build_paper(size: int) -> MultiModalLesionNet:
    """The paper's network."""
    return MultiModalLesionNet(Model(), Shape(size, tuple(VIEWS), (FEATURES,) * 2, CLASSES))


def time_suite(data: Path, device: torch.device) -> float:
    """Seconds of ``run-all paper`` on *data*, packed before, to the finished report."""
    tool = [sys.executable, "-m", "milkreport"]
    subprocess.run([*tool, "data", "pack", str(data)], check=True, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as out:
        started = time.perf_counter()
        command = [*tool, "run-all", "paper", "--data", str(data), "--out", f"{out}/run"]
        subprocess.run([*command, "--device", str(device)], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--train", type=int, help="(default: 4151, without a GPU 64)")
    parser.add_argument("--test", type=int, help="(default: 1038, without a GPU 32)")
    parser.add_argument("--size", type=int, help="(default: 256, without a GPU 32)")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", type=Path)
    asked = parser.parse_args()
    device = resolve_device(asked.device)
    whole = {"train": 4151, "test": 1038, "size": 256}
    least = {"train": 64, "test": 32, "size": 32}
    for name, value in (whole if device.type == "cuda" else least).items():
        if getattr(asked, name) is None:
            setattr(asked, name, value)
    if device.type == "cpu":
        print("no GPU: these are figures of the CPU, and tell nothing of a GPU")
    figures: dict[str, Any] = {"benchmark": "gpu", "device": describe_device(device)}
    figures |= {"size": asked.size, "train": asked.train, "test": asked.test}

    def settings(**changes: Any) -> Training:
        given = {"batch_size": BATCH, "learning_rate": RATE, "threads": asked.threads}
        return Training(epochs=asked.epochs + 1, **given, **changes)

    def note(name: str, value: float) -> None:
        figures[name] = round(value, 4)
        print(f"{name:<28}{value:>12.3f}")

    def paper() -> MultiModalLesionNet:
        return build_paper(asked.size)

    with tempfile.TemporaryDirectory() as folder:
        cases = Cases(Path(folder), asked.train, asked.test, asked.size)
        started = time.perf_counter()
        pixels = choose_pixel_source(cases.store, device)
        synchronise(device)
        note("place_pixels_s", time.perf_counter() - started)
        ours = min(our_epochs(cases, pixels, settings(), paper))
        note("epoch_s", ours)
        note("suite_epochs_s", ours * SUITE_EPOCHS)  # 150 of these epochs, no report
        alone = min(our_epochs(cases, pixels, settings(), paper, evaluate=False))
        note("train_only_s", alone)
        moved = bytes_a_case(asked.size) * asked.train / alone
        note("moved_GB_a_second", moved / 1e9)
        note("copy_GB_a_second", copy_bandwidth(device) / 1e9)
        free = min(our_epochs(cases, pixels, settings(determinism="off"), paper))
        note("ratio_strict", ours / free)  # what strict determinism costs
        for precision in ("tf32", "bf16") if device.type == "cuda" else ("bf16",):
            took = min(our_epochs(cases, pixels, settings(precision=precision), paper))
            note(f"epoch_{precision}_s", took)
        resident = ResidentPixels(cases.store, device) if device.type == "cpu" else pixels
        took = min(our_epochs(cases, StreamedPixels(cases.store, device), settings(), paper))
        note("epoch_streamed_s", took)
        plain = min(plain_epochs(cases, device, asked.epochs + 1, paper))
        note("epoch_plain_s", plain)
        note("ratio_plain", plain / ours)
        backbone = min(our_epochs(cases, resident, settings(), Backbone, evaluate=False))
        note("backbone_s", backbone)
        note("ratio_backbone", min(lightning_epochs(cases, resident, settings())) / backbone)
    if asked.data:
        note("suite_s", time_suite(asked.data, device))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
