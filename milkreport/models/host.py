"""The only place where the host reads what a device has computed, and so waits for it.

Any other read (``.item()``, ``float()``, ``.cpu()``) would stop the host in the middle of its work. The tests
of the GPU path replace this one function and refuse every other read.
"""

from __future__ import annotations

from torch import Tensor


def to_host(tensor: Tensor, *, copy: bool = False) -> Tensor:
    """*tensor* on the CPU, without its gradient; it may share memory with a tensor that is there already.

    Args:
        copy: give it memory of its own in any case.
    """
    return tensor.detach().to("cpu", copy=copy)
