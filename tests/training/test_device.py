"""What pins a training's bits, and what is said where they cannot be pinned."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from milkreport.errors import ConfigError, EnvironmentProblem  # noqa: E402
from milkreport.suite.suite import Training, load_suite  # noqa: E402
from milkreport.training.device import autocast, pin  # noqa: E402
from milkreport.training.failures import (  # noqa: E402
    TrainingFailed,
    is_out_of_memory,
    refuse_undetermined,
    telling_undetermined,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def _as_before():
    yield
    pin(Training(), CPU)


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("determinism", "enabled", "warn_only"),
    [("strict", True, False), ("warn", True, True), ("off", False, False)],
)
def test_determinism_is_pinned_in_one_place(
    monkeypatch, determinism: str, enabled: bool, warn_only: bool
) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    pin(Training(determinism=determinism, threads=1), CPU)
    assert torch.are_deterministic_algorithms_enabled() is enabled
    assert torch.is_deterministic_algorithms_warn_only_enabled() is warn_only
    assert torch.backends.cudnn.deterministic is enabled
    assert torch.backends.cudnn.benchmark is not enabled
    assert os.environ.get("CUBLAS_WORKSPACE_CONFIG") == (":4096:8" if enabled else None)
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("precision", ["tf32", "bf16", "float32"])
def test_precision_is_pinned_by_name(monkeypatch, precision: str) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    pin(Training(precision=precision), GPU)
    tf32 = precision == "tf32"
    # By both interfaces: mixed use of them would raise here.
    assert torch.backends.cuda.matmul.allow_tf32 is tf32
    assert torch.backends.cudnn.allow_tf32 is tf32
    assert torch.get_float32_matmul_precision() == ("high" if tf32 else "highest")
    matrix = [torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision]
    assert [name == "tf32" for name in matrix] == [tf32, tf32]


def test_both_are_part_of_the_settings_hash() -> None:
    suite = load_suite("quick")
    assert suite.training.determinism == "strict"
    assert suite.training.precision == "float32"
    for change in ("training.determinism=warn", "training.precision=bf16"):
        assert load_suite("quick", [change]).fingerprint() != suite.fingerprint()


def test_a_precision_that_the_device_lacks_is_refused(monkeypatch) -> None:
    with pytest.raises(ConfigError, match=r"tf32, which is a mode of GPUs"):
        pin(Training(precision="tf32"), CPU)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Old GPU")
    for precision in ("tf32", "bf16"):
        with pytest.raises(EnvironmentProblem, match=f"Old GPU has no {precision}"):
            pin(Training(precision=precision), GPU)


def test_bf16_makes_products_in_bfloat16_and_keeps_weights_in_float32() -> None:
    layer, x = nn.Linear(8, 8), torch.rand(4, 8)
    with autocast("bf16", CPU):
        assert layer(x).dtype == torch.bfloat16
    for precision in ("float32", "tf32"):
        with autocast(precision, CPU):
            assert layer(x).dtype == torch.float32
    assert layer.weight.dtype == torch.float32


# --- operations without a deterministic implementation --------------------------------------------


def put(values: torch.Tensor) -> torch.Tensor:
    """``put_`` without accumulation has none, on the CPU too."""
    where = torch.zeros(values.numel(), dtype=torch.int64)
    return torch.zeros_like(values).put_(where, values.detach())


class PutForwards(nn.Module):
    def forward(self, x):
        return x + put(x)


class _PutBackwards(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return put(gradient)


class PutBackwards(nn.Module):
    def forward(self, x):
        return _PutBackwards.apply(x)


class Functional(nn.Module):
    """Uses the operation in its own forward, between two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return self.after(_PutBackwards.apply(self.before(x)))


def network(bad: nn.Module) -> nn.Sequential:
    layers = {"head": nn.Linear(4, 4), "body": nn.Sequential(nn.ReLU(inplace=True), bad)}
    net = nn.Sequential()
    for name, layer in {**layers, "tail": nn.Linear(4, 2)}.items():
        net.add_module(name, layer)
    return net


@pytest.mark.parametrize(
    ("bad", "where"),
    [
        (PutForwards(), r"layer body\.1 \(PutForwards\)"),
        (PutBackwards(), r"layer body\.1 \(PutBackwards\)"),
        (Functional(), r"layer body\.1 \(Functional\)"),
        (nn.Sequential(nn.ReLU(), PutBackwards()), r"layer body\.1\.1 \(PutBackwards\)"),
    ],
)
def test_the_operation_and_the_layer_are_named(bad: nn.Module, where: str) -> None:
    pin(Training(), CPU)
    net, x = network(bad), torch.rand(3, 4)

    def step() -> None:
        net(x).sum().backward()

    with pytest.raises(RuntimeError) as caught:
        step()
    with pytest.raises(TrainingFailed, match=rf"put_ in {where} has no deterministic.*determinism"):
        refuse_undetermined(caught.value, net, step)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_other_errors_are_left_as_they_are() -> None:
    def never() -> None:
        raise AssertionError("what failed is not to be done again")

    refuse_undetermined(RuntimeError("CUDA error: unspecified"), nn.Linear(1, 1), never)


def test_warn_tells_each_operation_once_and_goes_on() -> None:
    pin(Training(determinism="warn"), CPU)
    net, lines = network(PutForwards()), []
    with warnings.catch_warnings(record=True) as others, telling_undetermined(lines.append):
        warnings.simplefilter("always")
        for _ in range(3):
            net(torch.rand(3, 4)).sum().backward()
        warnings.warn("something else", UserWarning, stacklevel=1)
    assert len(lines) == 1
    assert lines[0].startswith("put_ has no deterministic implementation")
    assert [str(w.message) for w in others] == ["something else"]


def test_off_allows_them() -> None:
    pin(Training(determinism="off"), CPU)
    network(PutForwards())(torch.rand(3, 4)).sum().backward()


# --- memory ---------------------------------------------------------------------------------------


def test_out_of_memory_is_known_on_either_device() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes differ"))


FAULTS = """
import resource
import sys

import torch

from milkreport.suite.suite import Training
from milkreport.training.device import pin

if "pinned" in sys.argv:
    pin(Training(), torch.device("cpu"))
for _ in range(8):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.ones(20 * 2**20, dtype=torch.uint8) for _ in range(4)]
    del blocks
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.slow
def test_the_largest_blocks_are_kept_between_steps() -> None:
    """What was freed comes back without page faults; a training's activations are as large as this."""
    if sys.platform != "linux" or "glibc" not in (os.confstr("CS_GNU_LIBC_VERSION") or ""):
        pytest.skip("only glibc is told")

    def faults(*arguments: str) -> int:
        # In a process of its own: this one's heap has been through other tests.
        command = [sys.executable, "-c", FAULTS, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return sum(int(line) for line in done.stdout.splitlines()[1:])  # the first time is new

    pages = 4 * 20 * 2**20 // 4096
    assert faults("pinned") < pages < faults()  # in seven rounds
