"""Features of all images by a frozen backbone: computed once, kept beside the store that they come from."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from milkreport.atomic import write_bytes
from milkreport.data.pixels.store import PixelStore
from milkreport.data.pixels.store_files import EMBEDDINGS
from milkreport.errors import MilkreportError
from milkreport.models import host
from milkreport.models.backbone import Embedder, load_embedder, weights_sha256
from milkreport.suite.models import Pretrained
from milkreport.training.batches import ImageInputs
from milkreport.training.device import describe_device
from milkreport.training.pixels import Pixels

#: Images a pass.
_BATCH = 32


def embed_cases(store: PixelStore, pixels: Pixels, settings: Pretrained) -> Tensor:
    """Features of every image: float32 (n_cases, n_views, n_features), on the CPU.

    Kept in memory for the next training of this process, and in the cache for the next run. What another
    device, PyTorch, thread count or weights made is another file: the bits need not be the same.
    """
    embedder = _embedder(settings)
    parts = [settings.backbone, backbone_sha256(settings), store.fingerprint, str(pixels.size)]
    parts += [torch.__version__, describe_device(pixels.device), str(torch.get_num_threads())]
    key = hashlib.sha256("\0".join(parts).encode())
    key.update(np.ascontiguousarray(store.rows).tobytes())
    return _Kept.get(key.hexdigest(), store, pixels, embedder)


@lru_cache(maxsize=1)
def backbone_sha256(settings: Pretrained) -> str:
    """SHA-256 over the weights of a frozen backbone: what is trained on its features depends on them."""
    return weights_sha256(_embedder(settings))


class _Kept:
    """The last features that this process used."""

    key: str = ""
    tensor: Tensor = torch.empty(0)

    @classmethod
    def get(cls, key: str, store: PixelStore, pixels: Pixels, embedder: Embedder) -> Tensor:
        if cls.key != key:
            path = _place(store, key)
            found = _load(path, len(store.rows)) if path else None
            if found is None:
                found = _embed(len(store.rows), pixels, embedder)
                if path:
                    _save(path, found)
            cls.key, cls.tensor = key, found
        return cls.tensor


@lru_cache(maxsize=1)
def _embedder(settings: Pretrained) -> Embedder:
    return load_embedder(settings)


@torch.inference_mode()
def embed(embedder: Embedder, inputs: ImageInputs, n_cases: int) -> Tensor:
    """Features of the images of *inputs*: float32 (n_cases, n_views, n_features), on the CPU."""
    embedder = embedder.to(inputs.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    batches = torch.split(torch.arange(n_cases), _BATCH)
    rows = [
        host.to_host(torch.stack([embedder(view) for view in images], dim=1))
        for images, _ in inputs.passes(batches)
    ]
    return torch.cat(rows)


def _embed(n_cases: int, pixels: Pixels, embedder: Embedder) -> Tensor:
    first = next(iter(pixels.stream([torch.zeros(1, dtype=torch.int64)])))
    return embed(embedder, ImageInputs(pixels, range(first.shape[1]), []), n_cases)


def _place(store: PixelStore, key: str) -> Path | None:
    """Beside the store's file, so that clearing the one clears the other; nowhere if it has none."""
    name = getattr(store.pixels, "filename", None)
    return Path(name).parent / EMBEDDINGS / f"{store.key}-{key[:24]}.safetensors" if name else None


def _load(path: Path, n_cases: int) -> Tensor | None:
    """The features on file; ``None`` where there are none, or not what was written."""
    try:
        head, _, body = path.read_bytes().partition(b"\n")
        if head != hashlib.sha256(body).hexdigest().encode():
            return None
        found = safetensors.torch.load(body)["embedded"]
    except (OSError, KeyError, SafetensorError):
        return None
    return found if len(found) == n_cases else None


def _save(path: Path, found: Tensor) -> None:
    body = safetensors.torch.save({"embedded": found.contiguous()})
    try:
        write_bytes(path, hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    except MilkreportError:
        return  # a full or read-only cache costs time, no more
