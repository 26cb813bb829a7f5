"""One random stream for each purpose, derived from its seed by a stable hash.

A stream depends on (seed, purpose, numbers) alone, so resuming needs no generator state and no purpose
can disturb another.
"""

from __future__ import annotations

import hashlib

import numpy as np


def stream_seed(seed: int, purpose: str, *numbers: int) -> int:
    """A 63-bit seed for *purpose* (``"shuffle"``, say) and *numbers* (an epoch, a fold)."""
    key = "/".join([str(seed), purpose, *map(str, numbers)])
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1


def stream(seed: int, purpose: str, *numbers: int) -> np.random.Generator:
    """A NumPy generator for *purpose*; see :func:`stream_seed`."""
    return np.random.default_rng(stream_seed(seed, purpose, *numbers))
