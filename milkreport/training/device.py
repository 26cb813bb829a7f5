"""The device and its settings: everything that changes a training's bits is chosen and pinned here."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import AbstractContextManager

import torch

from milkreport.errors import ConfigError, EnvironmentProblem
from milkreport.suite.suite import Precision, Training

Device = torch.device

#: Where cuBLAS keeps its work: without one of its two fixed places, a sum's order may change.
_CUBLAS = ":4096:8"
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_KEPT = 32 * 1024 * 1024  # bytes; the most that glibc takes


def resolve_device(name: str) -> torch.device:
    """``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        ConfigError: another name. EnvironmentProblem: no such GPU; never a silent fall back to the CPU.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"unknown device {name!r}", "use auto, cpu or cuda") from error
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device {name!r} is not supported", "use auto, cpu or cuda")
    if device.type == "cuda":
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= found:
            what = f"device {name} was asked for, {found} GPUs are available"
            raise EnvironmentProblem(what, "use --device cpu or auto")
    return device


def pin(training: Training, device: torch.device) -> None:
    """Fix what changes results: threads, determinism, precision; and how freed memory is kept.

    ``determinism``: ``strict`` refuses an operation that has no deterministic implementation, ``warn``
    tells of it, ``off`` lets the libraries choose the fastest.

    Raises:
        ConfigError: the precision is none of this device. EnvironmentProblem: this GPU does not have it.
    """
    _refuse_precision(training.precision, device)
    torch.set_num_threads(training.threads)
    exact = training.determinism != "off"
    if exact:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = _CUBLAS  # read when the first handle is made
    torch.use_deterministic_algorithms(exact, warn_only=training.determinism == "warn")
    # Filling fresh memory only shows up programs that read it before they write; it costs a tenth.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = exact
    torch.backends.cudnn.benchmark = not exact
    # Both by name: convolutions would use TF32 by default, matrix products would not. Through the older of
    # PyTorch's two interfaces: after the newer, whoever reads the older (as Lightning does) gets an error.
    torch.backends.cuda.matmul.allow_tf32 = training.precision == "tf32"
    torch.backends.cudnn.allow_tf32 = training.precision == "tf32"
    _keep_freed_memory()


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Where the network is applied: in ``bf16`` its products are made in bfloat16, all sums in float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def describe_device(device: torch.device) -> str:
    """Name of the GPU, or the instruction set that the CPU's kernels use."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"CPU, {cpu_capability()}"


def describe_memory(device: torch.device) -> str:
    """The device with its memory, as far as that is known."""
    if device.type == "cuda":
        _, total = torch.cuda.mem_get_info(device)
        return f"{torch.cuda.get_device_name(device)} ({total / 1e9:.0f} GB)"
    return "this computer"


def reset_peak_memory(device: torch.device) -> None:
    """Let :func:`peak_memory` of a GPU begin with what is held there now; the CPU's cannot be reset."""
    if device.type == "cuda":
        # Its counters do not exist before.
        torch.cuda.init()  # type: ignore[no-untyped-call]
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> int | None:
    """Most bytes that tensors held on a GPU since :func:`reset_peak_memory`, or that this process held so
    far; ``None`` if not known.
    """
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def free_memory(device: torch.device) -> int | None:
    """Bytes that are free on a GPU, beside what this process keeps; ``None`` on a CPU."""
    return int(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else None


def list_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them for another."""
    n = torch.cuda.device_count() if torch.cuda.is_available() else 0
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    return named[:n] if n and len(named) >= n and all(named) else [str(i) for i in range(n)]


def cpu_capability() -> str:
    """Instruction set that the CPU's kernels use: weights depend on it."""
    return str(torch.backends.cpu.get_cpu_capability())


def _refuse_precision(precision: Precision, device: torch.device) -> None:
    if precision == "tf32" and device.type == "cpu":
        what = "training.precision is tf32, which is a mode of GPUs, and this run is on the CPU"
        raise ConfigError(what, "use float32 or bf16, or --device cuda")
    if precision == "float32" or device.type == "cpu":
        return
    if torch.cuda.get_device_capability(device) < (8, 0):
        what = f"{torch.cuda.get_device_name(device)} has no {precision}"
        raise EnvironmentProblem(what, "use training.precision=float32")


def _keep_freed_memory() -> None:
    """Let glibc reuse freed blocks instead of giving them back to the system after each operation.

    A chunk's activations are up to 21 MB each. Given back and asked for again, every one of their pages is
    a fault and is zeroed: 30,000 faults a step. Other C libraries are left as they are.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
            mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT)
