"""Progress of one training on disk: whole or not at all, checked before it is used, the last two kept.

A file is a line with the SHA-256 of all that follows, a line of JSON (position, curves, what made it), and
the tensors as safetensors. Nothing here depends on generator state: every random draw has a stream of its
own that the position alone determines (:mod:`milkreport.streams`).
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from milkreport.atomic import write_bytes
from milkreport.errors import Stopped
from milkreport.models import host
from milkreport.parse import parse_json

_KEPT = 2
_MARK = b"milkreport checkpoint 1 "


@dataclass(frozen=True)
class Position:
    """How far a training is: epochs that are over, and steps that are done of the next one."""

    epoch: int = 0
    step: int = 0


@dataclass(frozen=True)
class Checkpoint:
    """All that a training needs to go on.

    ``facts``: what is no tensor, as JSON holds it. ``tensors``: by name, on the CPU.
    """

    position: Position
    facts: dict[str, Any]
    tensors: dict[str, Tensor]


@dataclass
class Checkpoints:
    """The checkpoints of one cell.

    ``made_by``: what the weights depend on; a checkpoint made by anything else is passed over. ``every``:
    seconds between two; without it, one is kept when the user wants to stop. ``stop_asked``: the number of
    the signal that asked to stop, else 0. ``notice``: called with a line for each file that is passed over.
    """

    folder: Path | None = None
    made_by: dict[str, str] = field(default_factory=dict)
    every: float = math.inf
    stop_asked: Callable[[], int] = lambda: 0
    notice: Callable[[str], None] = lambda line: None

    def __post_init__(self) -> None:
        self._last = time.monotonic()

    def reached(self, position: Position, state: Callable[[], Checkpoint]) -> None:
        """Keep *state* if it is time to, or if the user wants to stop.

        Raises:
            Stopped: a signal asked for it; the position is on disk.
            EnvironmentProblem: the disk is full; the checkpoints before stay.
        """
        signum = self.stop_asked()
        if self.folder and (signum or time.monotonic() - self._last >= self.every):
            self.save(state())
            self._last = time.monotonic()
        if signum:
            raise Stopped(signum)

    def save(self, checkpoint: Checkpoint) -> None:
        """Write *checkpoint*; only then the oldest goes."""
        at = checkpoint.position
        facts = {"epoch": at.epoch, "step": at.step, "made_by": self.made_by} | checkpoint.facts
        body = json.dumps(facts).encode() + b"\n" + safetensors.torch.save(checkpoint.tensors)
        head = _MARK + hashlib.sha256(body).hexdigest().encode() + b"\n"
        self.adopt(f"{at.epoch:05d}-{at.step:07d}.checkpoint", head + body)

    def load(self) -> Checkpoint | None:
        """The furthest checkpoint that is whole and made by the same; others are reported and deleted."""
        for path in reversed(self._files()):
            try:
                checkpoint = _read(path)
                made_by = checkpoint.facts.pop("made_by")
                if made_by == self.made_by:
                    return checkpoint
                changed = sorted(
                    f"{key} {made_by.get(key, 'unknown')}, now {self.made_by.get(key, 'unknown')}"
                    for key in made_by.keys() | self.made_by.keys()
                    if made_by.get(key) != self.made_by.get(key)
                )
                reason = f"made elsewhere ({'; '.join(changed)})"
            except (OSError, ValueError, KeyError, AttributeError) as error:
                reason = f"damaged ({error})"
            self.notice(f"checkpoint {path.name} is passed over: {reason}")
            path.unlink(missing_ok=True)
        return None

    def adopt(self, name: str, data: bytes) -> None:
        """Keep a checkpoint that was saved elsewhere; only then the oldest goes."""
        assert self.folder is not None
        write_bytes(self.folder / name, data)
        for old in self._files()[:-_KEPT]:
            old.unlink(missing_ok=True)

    def latest(self) -> tuple[str, bytes] | None:
        """Name and content of the furthest file, to be adopted elsewhere."""
        files = self._files()
        return (files[-1].name, files[-1].read_bytes()) if files else None

    def clear(self) -> None:
        """Delete all: the training is over."""
        if self.folder is not None and self.folder.is_dir():
            for path in self.folder.iterdir():
                path.unlink(missing_ok=True)
            self.folder.rmdir()

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.checkpoint")) if self.folder else []


def network_tensors(network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Weights, buffers and the optimizer's state, by name, on the CPU and in one piece each.

    They may share memory with the network's own: use them before the next step.
    """
    named = {f"network/{name}": tensor for name, tensor in network.state_dict().items()}
    for number, parameter in enumerate(_parameters(optimizer)):
        for name, tensor in optimizer.state[parameter].items():
            named[f"optimizer/{number}/{name}"] = tensor
    return {name: host.to_host(tensor).contiguous() for name, tensor in named.items()}


def restore_network(
    tensors: dict[str, Tensor], network: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Put back what :func:`network_tensors` took."""
    network.load_state_dict(_below("network/", tensors))
    for number, parameter in enumerate(_parameters(optimizer)):
        for name, tensor in _below(f"optimizer/{number}/", tensors).items():
            if tensor.shape == parameter.shape:
                # In the parameter's own memory order: fused optimizers walk both as they lie.
                own = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
            else:
                own = tensor.to(parameter.device, copy=True)  # the number of steps
            optimizer.state[parameter][name] = own


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _read(path: Path) -> Checkpoint:
    head, _, body = path.read_bytes().partition(b"\n")
    if head != _MARK + hashlib.sha256(body).hexdigest().encode():
        raise ValueError("its checksum is wrong")
    line, _, payload = body.partition(b"\n")
    facts = parse_json(line)
    position = Position(facts.pop("epoch"), facts.pop("step"))
    return Checkpoint(position, facts, safetensors.torch.load(payload))
