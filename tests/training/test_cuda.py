"""The same promises on a GPU. Skipped where there is none: nothing here can be told from a CPU."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("no CUDA GPU here", allow_module_level=True)

from milkreport.data.prepare import Prepared, prepare  # noqa: E402
from milkreport.data.splits import Fold, make_folds  # noqa: E402
from milkreport.errors import Stopped  # noqa: E402
from milkreport.suite.suite import Arm, Suite, load_suite  # noqa: E402
from milkreport.training.cell import TrainedCell, train_cell  # noqa: E402
from milkreport.training.checkpoint import Checkpoints  # noqa: E402
from milkreport.training.device import pin  # noqa: E402
from milkreport.training.pixels import (  # noqa: E402
    MappedPixels,
    Pixels,
    ResidentPixels,
    StreamedPixels,
    choose_pixel_source,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(scope="module")
def suite() -> Suite:
    return load_suite("quick", ["data.image_size=32", "training.epochs=3"])


@pytest.fixture(scope="module")
def prepared(synthetic: Path, suite: Suite, tmp_path_factory) -> Prepared:
    return prepare(synthetic, suite.data, tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def fold(prepared: Prepared, suite: Suite) -> Fold:
    return make_folds(prepared.cases, suite.split)[0]


def train(
    prepared: Prepared, suite: Suite, fold: Fold, pixels: Pixels, correction="sampler", **named
) -> TrainedCell:
    pin(suite.training, pixels.device)
    arm = Arm(name=correction, correction=correction)
    return train_cell(prepared, suite, arm, 0, fold, pixels, **named)


@pytest.mark.parametrize("correction", ["none", "weighted_loss", "sampler"])
def test_two_trainings_are_equal_to_the_bit(prepared, suite, fold, correction) -> None:
    pixels = choose_pixel_source(prepared.store, GPU)
    assert isinstance(pixels, ResidentPixels)
    first, second = (train(prepared, suite, fold, pixels, correction) for _ in "12")
    assert first.weights_sha256 == second.weights_sha256


def test_streamed_pixels_train_the_same_network(prepared, suite, fold) -> None:
    resident = train(prepared, suite, fold, ResidentPixels(prepared.store, GPU))
    streamed = train(prepared, suite, fold, StreamedPixels(prepared.store, GPU))
    assert streamed.weights_sha256 == resident.weights_sha256


@pytest.mark.parametrize("place", [ResidentPixels, StreamedPixels])
def test_every_place_gives_the_stores_pixels(prepared, place) -> None:
    batches = list(torch.split(torch.randperm(len(prepared.store.rows)), 17))
    for block, positions in zip(place(prepared.store, GPU).stream(batches), batches, strict=True):
        assert block.device.type == "cuda"
        assert np.array_equal(block.cpu().numpy(), prepared.store.batch(positions.numpy()))


def test_cpu_and_gpu_start_alike_and_stay_near(prepared, suite, fold) -> None:
    """The same weights, split and order: after an epoch only rounding has parted them."""
    training = suite.training.model_copy(update={"epochs": 1})
    suite = suite.model_copy(update={"training": training})
    here = train(prepared, suite, fold, MappedPixels(prepared.store))
    there = train(prepared, suite, fold, ResidentPixels(prepared.store, GPU))
    assert there.exposure == here.exposure
    losses = [cell.history["train_loss"][0] for cell in (here, there)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


def test_stopped_and_resumed_it_ends_the_same(prepared, suite, fold, tmp_path) -> None:
    pixels = ResidentPixels(prepared.store, GPU)
    asked = iter([0] * 9 + [signal.SIGINT])
    stopping = Checkpoints(tmp_path, stop_asked=lambda: next(asked))
    with pytest.raises(Stopped):
        train(prepared, suite, fold, pixels, checkpoints=stopping)
    resumed = train(prepared, suite, fold, pixels, checkpoints=Checkpoints(tmp_path))
    assert resumed.weights_sha256 == train(prepared, suite, fold, pixels).weights_sha256


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_rounded_products_train_nearly_the_same(prepared, suite, fold, precision) -> None:
    pixels = ResidentPixels(prepared.store, GPU)
    exact = train(prepared, suite, fold, pixels)
    training = suite.training.model_copy(update={"precision": precision})
    rounded = train(prepared, suite.model_copy(update={"training": training}), fold, pixels)
    loss = exact.history["train_loss"].iloc[-1]
    assert rounded.history["train_loss"].iloc[-1] == pytest.approx(loss, rel=0.1)


def test_the_host_waits_once_an_epoch(prepared, suite, fold) -> None:
    """PyTorch itself tells of every wait, and would raise; an epoch's first step is given its order."""
    from milkreport.training import fit as module

    pixels, calls = ResidentPixels(prepared.store, GPU), 0
    train(prepared, suite, fold, pixels)  # handles and caches are made
    per_epoch = -(-len(fold.train) // suite.training.batch_size)

    def step(*arguments):
        nonlocal calls
        calls += 1
        torch.cuda.set_sync_debug_mode("default" if calls % per_epoch == 1 else "error")
        try:
            return whole(*arguments)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    whole = module.step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "step", step)
        train(prepared, suite, fold, pixels, "weighted_loss")
    assert calls == per_epoch * suite.training.epochs > suite.training.epochs


def test_memory_that_runs_out_is_told_with_the_gpus_memory(prepared, suite, fold) -> None:
    from milkreport.training import cell as module
    from milkreport.training.failures import TrainingFailed

    def greedy(*settings):
        network = whole(*settings)
        network.register_forward_pre_hook(
            lambda *_: torch.empty(2**50, dtype=torch.uint8, device=GPU)
        )
        return network

    whole = module.build_network
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "build_network", greedy)
        with pytest.raises(TrainingFailed, match=r"out of memory on .* \(\d+ GB\) at .*: halve"):
            train(prepared, suite, fold, ResidentPixels(prepared.store, GPU))


def test_each_cell_reports_its_own_peak_memory(prepared, suite, fold) -> None:
    pixels = ResidentPixels(prepared.store, GPU)
    torch.empty(2**30, dtype=torch.uint8, device=GPU)  # another cell's, given back at once
    assert torch.cuda.max_memory_allocated(GPU) >= 2**30
    peak = train(prepared, suite, fold, pixels).peak_memory_bytes
    assert pixels.pixels.numel() < peak < 2**30
