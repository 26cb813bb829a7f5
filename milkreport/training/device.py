"""The device and its settings: chosen and pinned in one place."""

from __future__ import annotations

import torch

from milkreport.errors import ConfigError, EnvironmentProblem

Device = torch.device


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


def pin(threads: int) -> None:
    """Fix what changes results: thread count, deterministic algorithms, float32 precision."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def describe_device(device: torch.device) -> str:
    """Name of the GPU, or the instruction set that the CPU's kernels use."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"CPU, {cpu_capability()}"


def cpu_capability() -> str:
    """Instruction set that the CPU's kernels use: weights depend on it."""
    return str(torch.backends.cpu.get_cpu_capability())
