"""Reads that a GPU refuses or waits for, to be planted into the package: what the walk must find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.device_walk import HostTouched

Read = Callable[[Tensor], object]
ZERO = torch.zeros(1, dtype=torch.int64)

#: Ways to read values of a float32 tensor (n, m) back, or to mix it with the host's. A GPU refuses or waits.
READS: dict[str, Read] = {
    "item": lambda x: x.sum().item(),
    "float": lambda x: float(x.sum()),
    "int": lambda x: int(x.sum()),
    "bool": lambda x: bool(x.sum() > 0),
    "if": lambda x: 1 if torch.isfinite(x).all() else 0,
    "cpu": lambda x: x.cpu(),
    "to cpu": lambda x: x.to("cpu", non_blocking=True),
    "copy to the host": lambda x: torch.zeros(x.shape).copy_(x),
    "numpy": lambda x: x.detach().numpy(),
    "tolist": lambda x: x.tolist(),
    "nonzero": lambda x: x.nonzero(),
    "mask": lambda x: x[x > 0],
    "equal": lambda x: torch.equal(x, x),
    "allclose": lambda x: torch.allclose(x, x),
    "unique": lambda x: x.unique(),
    "host index": lambda x: x[ZERO],
    "host index_select": lambda x: x.index_select(0, ZERO),
    "host gather": lambda x: x.gather(1, ZERO[None]),
    "host tensor indexed": lambda x: torch.zeros(3)[torch.zeros_like(x, dtype=torch.int64)],
    "host addend": lambda x: x + torch.zeros(x.shape),
    "host factor": lambda x: x.mT @ torch.zeros(len(x), 2),
    "host kernel": lambda x: torch.conv1d(x[:, None], torch.zeros(2, 1, 1)),
    "host values set": lambda x: x.clone().index_put_(
        (ZERO.to(x.device),), torch.zeros(x[:1].shape)
    ),
}
FEW = ("item", "cpu", "host index")
REFUSED = (HostTouched, RuntimeError, TypeError)
WHY = "(?i)meta|host|cpu"


def after(owner: Any, name: str, pick: Callable[[Any], Tensor]) -> Callable[..., None]:
    """Plants a read on what *owner*'s function *name* gives, of which *pick* takes a tensor."""

    def plant(patch: pytest.MonkeyPatch, read: Read) -> None:
        whole = getattr(owner, name)

        def planted(*arguments: Any, **named: Any) -> Any:
            found = whole(*arguments, **named)
            read(flat(pick(found)))
            return found

        patch.setattr(owner, name, planted)

    return plant


def flat(tensor: Tensor) -> Tensor:
    return tensor.reshape(len(tensor), -1) if tensor.dim() else tensor.reshape(1, 1)
