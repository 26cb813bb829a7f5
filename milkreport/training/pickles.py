"""Pickles: reading one without executing anything it says, and writing one that can be read so.

A pickle is a program. Here it may build tensors, arrays, dicts, numbers and strings and nothing else; the
first other thing it asks for ends it. Only :func:`execute_pickle` lets it do what it wants.
"""

from __future__ import annotations

import io
import pickle
import re
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from milkreport.errors import DataError
from milkreport.training.card import ModelCard

#: Names under which checkpoints keep their weights.
STATES = ("weights", "state_dict", "model_state_dict", "model")
FORMAT = "milkreport model"
_OLD_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
#: How PyTorch says what a file asked for.
_NAMED = re.compile(r"(?:GLOBAL|[Ff]unction|class) ([\w.]+\w)")


def _storage(data: bytes) -> Any:
    """What ``pickle.dump`` of a tensor calls, without its full unpickling."""
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _encode(text: str, encoding: str) -> bytes:
    """How the older protocols write bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"bytes as {encoding}")
    return text.encode("latin1")


def _globals() -> dict[tuple[str, str], Any]:
    from numpy._core import multiarray, numeric

    arrays: dict[str, Any] = {
        "_reconstruct": multiarray._reconstruct,
        "scalar": multiarray.scalar,
    }
    allowed: dict[tuple[str, str], Any] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("_codecs", "encode"): _encode,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("torch", "Size"): torch.Size,
        ("torch.storage", "_load_from_bytes"): _storage,
        ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
        ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    }
    for core in ("numpy._core", "numpy.core"):
        allowed |= {(f"{core}.multiarray", name): value for name, value in arrays.items()}
        allowed[f"{core}.numeric", "_frombuffer"] = numeric._frombuffer  # type: ignore[attr-defined]
    return allowed


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = _globals().get((module, name))
        if found is None:
            raise _Wanted(f"{module}.{name}")
        return found


class _Wanted(Exception):
    """A pickle asked for something that is not on the list."""


def read_pickle(data: bytes, where: str) -> Any:
    """What a pickle, or a file of ``torch.save``, holds; nothing in it is executed.

    Raises:
        DataError: it needs more than tensors, arrays, dicts, numbers and strings; or it is damaged.
    """
    try:
        return _read(data)
    except _Wanted as error:
        what = f"asks for {str(error)[:120]}, which is no tensor, array, dict, number or string"
        do = "save a state dict instead; if its source may run programs here: --execute-its-code"
        raise DataError(what, do, where) from error
    except Exception as error:  # a damaged pickle raises anything
        reason = " ".join(str(error).split())[:120]
        what = f"no readable pickle ({type(error).__name__}: {reason})"
        raise DataError(what, "get it again", where) from error


def execute_pickle(data: bytes, where: str) -> Any:
    """What a pickle holds, with everything executed that it says. For files of a trusted source alone.

    Raises:
        DataError: it fails.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of source lines that changed
            if _is_torch(data):
                return torch.load(io.BytesIO(data), map_location="cpu", weights_only=False)
            return pickle.loads(data)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        what = f"cannot be unpickled ({type(error).__name__}: {reason})"
        do = "run in the folder that holds its modules, or save a state dict instead"
        raise DataError(what, do, where) from error


def find_weights(content: Any, where: str) -> tuple[dict[str, Tensor], str | None]:
    """Weights by name, contiguous on the CPU, and the JSON of a card if the file holds one.

    *content*: a state dict, a dict that holds one (:data:`STATES`), or a network.

    Raises:
        DataError: there is none in it.
    """
    card = content.get("card") if isinstance(content, Mapping) else None
    state = content
    if isinstance(content, Mapping):
        state = next(
            (content[k] for k in STATES if isinstance(content.get(k), Mapping | nn.Module)), content
        )
    if isinstance(state, nn.Module):
        state = state.state_dict()
    weights: dict[str, Tensor] = {}
    if isinstance(state, Mapping):
        for name, value in state.items():
            if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
                value = torch.from_numpy(value.copy())
            if not isinstance(name, str) or not isinstance(value, Tensor):
                weights.clear()
                break
            weights[name] = value.detach().cpu().contiguous()
    if not weights:
        what = f"holds no weights by name, but {type(content).__name__}"
        do = f"save network.state_dict(), alone or in a dict as {STATES[1]}"
        raise DataError(what, do, where)
    return weights, card if isinstance(card, str) else None


def write_pickle(card: ModelCard, weights: Mapping[str, Tensor]) -> bytes:
    """A file of ``torch.save``: a dict of plain values and tensors.

    So ``torch.load(file, weights_only=True)`` reads it without executing anything, which no pickle of NumPy
    arrays or of a network allows.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "card": card.model_dump_json(), "weights": dict(weights)}, buffer)
    return buffer.getvalue()


def _read(data: bytes) -> Any:
    if not _is_torch(data):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _Restricted(io.BytesIO(data)).load()
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if named := _NAMED.search(str(error)):
            raise _Wanted(named[1]) from error
        raise


def _is_torch(data: bytes) -> bool:
    """Whether ``torch.save`` wrote it: its zip, or the magic number of its older files."""
    return data[:4] == b"PK\x03\x04" or _OLD_MAGIC in data[:32]
