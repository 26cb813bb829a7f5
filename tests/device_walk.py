"""A GPU that computes nothing: PyTorch's ``meta`` device, made to refuse all that a GPU refuses.

``meta`` has no values to read back, but it accepts tensors of the host as indices, images, kernels and
factors of matrix products, which a GPU refuses or waits for. :class:`Walk` sees every operation and refuses
those, too.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from milkreport.data.prepare import Prepared
from milkreport.data.splits import Fold
from milkreport.models import host
from milkreport.models.backbone import load_embedder
from milkreport.suite.arms import Arm, Correction
from milkreport.suite.suite import Suite
from milkreport.training import embeddings
from milkreport.training.cell import TrainedCell, train_cell
from milkreport.training.device import pin
from milkreport.training.pixels import Pixels, ResidentPixels

META = torch.device("meta")

_ATEN = torch.ops.aten
#: What may bring values of the host to the device: a GPU accepts it, and a test counts it.
_UPLOADS = {_ATEN._to_copy.default, _ATEN.copy_.default}
#: In-place kernels that ``meta`` does not have: once the devices are compared, nothing is left to do.
_FUSED = {_ATEN._fused_adam_.default, _ATEN._fused_adamw_.default}


_PRODUCTS = {
    _ATEN.convolution.default,
    _ATEN.addmm.default,
    _ATEN.mm.default,
    _ATEN.conv2d.default,  # these two where no gradient is wanted
    _ATEN.linear.default,
}
#: Compares the kinds of two tensors and touches neither's values: a module asks it when it moves.
_HARMLESS = {_ATEN._has_compatible_shallow_copy_type.default}


class HostTouched(AssertionError):
    """An operation mixed tensors of the host and of the device."""


@dataclass
class Walk(TorchDispatchMode):
    """What happened on the device while this was entered.

    ``uploads``: shapes of what came from the host, outside inference mode. ``reads``: shapes of what
    :func:`milkreport.models.host.to_host` read back. ``steps``: steps of the optimizer. ``backwards``:
    backward passes of convolutions. ``products``: dtypes of the products' weights or inputs.
    """

    uploads: list[tuple[int, ...]] = field(default_factory=list)
    reads: list[tuple[int, ...]] = field(default_factory=list)
    products: set[torch.dtype] = field(default_factory=set)
    steps: int = 0
    backwards: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        there = [tensor for tensor in tensors if tensor.is_meta]
        # A GPU's kernel accepts a tensor of one number, without dimensions, and does not wait for it.
        # A fused optimizer does not even accept that: its count of steps must be on the device.
        single = operation not in _FUSED
        here = [t for t in tensors if not t.is_meta and not (single and t.dim() == 0)]
        if operation in _UPLOADS:
            self._note_upload(operation, args, kwargs)
        elif there and here and operation not in _HARMLESS:
            raise HostTouched(f"{operation} of {_describe(there)} and {_describe(here)}")
        if operation in _PRODUCTS and there:
            self.products.add(there[-1].dtype)
        if operation is _ATEN.convolution_backward.default:
            self.backwards += 1
        if operation in _FUSED:
            assert there, "the network is not on the device"
            self.steps += 1
            return None
        return operation(*args, **kwargs)

    def _note_upload(self, operation: Any, args: Sequence[Any], kwargs: Any) -> None:
        if operation is _ATEN.copy_.default:
            target, source = args[:2]
            arrives = target.is_meta
        else:
            source = args[0]
            arrives = torch.device(kwargs.get("device") or source.device).type == "meta"
        if arrives and not source.is_meta:
            self.uploads.append(tuple(source.shape))


class _Bfloat16Products(TorchFunctionMode):
    """What autocast does to products; PyTorch has no autocast for ``meta``."""

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        if function in (functional.linear, functional.conv2d, torch.conv2d):
            args = [a.bfloat16() if isinstance(a, Tensor) else a for a in args]
        return function(*args, **(kwargs or {}))


def _autocast(
    kind: str, dtype: torch.dtype, enabled: bool = True
) -> AbstractContextManager[object]:
    assert (kind, dtype) == ("meta", torch.bfloat16)
    return _Bfloat16Products() if enabled else nullcontext()


@contextmanager
def walking(patch: pytest.MonkeyPatch) -> Iterator[Walk]:
    """Inside, the package's own code runs on ``meta``. What only a real device has is replaced.

    Values that :func:`milkreport.models.host.to_host` reads back are zeros.
    """
    walk = Walk()

    def to_host(tensor: Tensor, *, copy: bool = False) -> Tensor:
        if not tensor.is_meta:
            return tensor.detach().to("cpu", copy=copy)
        walk.reads.append(tuple(tensor.shape))
        return torch.zeros(tensor.shape, dtype=tensor.dtype)

    patch.setattr(host, "to_host", to_host)
    patch.setattr(torch, "autocast", _autocast)
    adam = importlib.import_module("torch.optim.adam")
    patch.setattr(adam, "_device_dtype_check_for_fused", lambda *args, **named: None)
    # A GPU of the kind that has all precisions, with room for every store.
    patch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    patch.setattr(torch.cuda, "mem_get_info", lambda device: (10**12, 10**12))
    # A frozen backbone that went there, and the features that it made, are of no use to anybody else.
    patch.setattr(embeddings, "_embedder", lru_cache(maxsize=1)(load_embedder))
    patch.setattr(embeddings, "_place", lambda store, key: None)
    patch.setattr(embeddings._Kept, "key", "")
    patch.setattr(embeddings._Kept, "tensor", torch.empty(0))
    try:
        with walk:
            yield walk
    finally:
        embeddings.backbone_sha256.cache_clear()


def _describe(tensors: Sequence[Tensor]) -> str:
    return ", ".join(f"{tuple(tensor.shape)} on {tensor.device}" for tensor in tensors)


def set_training(suite: Suite, **changes: Any) -> Suite:
    """*suite* with some of its training settings changed."""
    return suite.model_copy(update={"training": suite.training.model_copy(update=changes)})


def train(
    prepared: Prepared,
    suite: Suite,
    fold: Fold,
    pixels: Pixels | None = None,
    correction: Correction = "none",
    **arm: Any,
) -> TrainedCell:
    """One cell with seed 0, as a run trains it."""
    pin(suite.training, META)
    chosen = Arm(name="arm", correction=correction, **arm)
    return train_cell(
        prepared, suite, chosen, 0, fold, pixels or ResidentPixels(prepared.store, META)
    )
