"""What a cell reports of a GPU's memory is its own, and what it held is free when it is over."""

from __future__ import annotations

import gc
import weakref

import pytest

torch = pytest.importorskip("torch")

from milkreport.suite.suite import Arm  # noqa: E402
from milkreport.training import cell as module  # noqa: E402
from milkreport.training.cell import TrainedCell, train_cell  # noqa: E402
from milkreport.training.device import peak_memory, reset_peak_memory  # noqa: E402
from milkreport.training.pixels import MappedPixels  # noqa: E402

GPU = torch.device("cuda", 1)
MB = 1_000_000


class Counters:
    """A GPU's memory as CUDA counts it; ``log``: what was asked, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.held = self.peak = 0
        self.log: list[str] = []
        monkeypatch.setattr(torch.cuda, "init", lambda: self.log.append("init"))
        monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", self.reset)
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", self.most)

    def use(self, n: int) -> None:
        self.peak = max(self.peak, self.held + n)

    def reset(self, device: object) -> None:
        assert device == GPU
        self.log.append("reset")
        self.peak = self.held

    def most(self, device: object) -> int:
        assert device == GPU
        return self.peak


def train(prepared, suite, fold, monkeypatch, needs: int, counters: Counters) -> TrainedCell:
    """A training on the CPU for which the GPU is asked, and that needs so many bytes there."""

    def fit(*arguments: object, **named: object):
        counters.use(needs)
        return whole(*arguments, **named)

    whole = module.fit
    with monkeypatch.context() as patch:
        patch.setattr(module, "fit", fit)
        patch.setattr(module, "peak_memory", lambda device: peak_memory(GPU))
        patch.setattr(module, "reset_peak_memory", lambda device: reset_peak_memory(GPU))
        return train_cell(prepared, suite, Arm(name="arm"), 0, fold, MappedPixels(prepared.store))


def test_each_cell_reports_its_own_peak(monkeypatch, prepared, suite, fold) -> None:
    """The second needs less than the first; what both share is counted for both."""
    counters = Counters(monkeypatch)
    counters.held = 3 * MB  # the pixels
    peaks = [
        train(prepared, suite, fold, monkeypatch, needs, counters).peak_memory_bytes
        for needs in (9 * MB, 2 * MB)
    ]
    assert peaks == [12 * MB, 5 * MB]
    assert counters.log == ["init", "reset"] * 2


def test_the_counters_of_a_gpu_alone_are_reset(monkeypatch) -> None:
    counters = Counters(monkeypatch)
    reset_peak_memory(torch.device("cpu"))
    assert counters.log == []
    counters.use(7 * MB)
    assert peak_memory(GPU) == 7 * MB
    reset_peak_memory(GPU)
    assert peak_memory(GPU) == 0


def test_the_network_is_free_when_its_cell_is_over(monkeypatch, prepared, suite, fold) -> None:
    """Without waiting for the garbage collector: the next cell would find its memory taken."""
    built: list[weakref.ref[torch.nn.Module]] = []

    def build(*arguments: object) -> torch.nn.Module:
        network = whole(*arguments)
        built.append(weakref.ref(network))
        return network

    whole = module.build_network
    monkeypatch.setattr(module, "build_network", build)
    gc.collect()
    gc.disable()
    try:
        train_cell(prepared, suite, Arm(name="arm"), 0, fold, MappedPixels(prepared.store))
        assert len(built) == 1
        assert built[0]() is None
    finally:
        gc.enable()
