"""Inputs of the network: a gather from the store, to float on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from milkreport.data.store import PixelStore

#: Images of one forward and backward pass that fit the CPU's caches, in pixels of one view.
CHUNK_PIXELS = 8 * 256 * 256


@dataclass(frozen=True)
class Inputs:
    """All cases' inputs, without any label.

    ``store``: the cases' pixels. ``features``: float32 (n_cases, n_features) a view, on ``device``.
    """

    store: PixelStore
    features: Sequence[Tensor]
    device: torch.device

    def batch(self, positions: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """For each view: images as float32 0 to 1, (n, 3, size, size) channels last; and features.

        Args:
            positions: int64 of shape (n,), on the CPU.
        """
        # uint8 crosses to the device; a float copy would be four times as large.
        raw = torch.from_numpy(self.store.batch(positions.numpy())).to(self.device)
        images = [
            view.permute(0, 3, 1, 2).to(torch.float32).div_(255) for view in raw.unbind(dim=1)
        ]
        on_device = positions.to(self.device)
        return images, [table[on_device] for table in self.features]


def chunk_size(wanted: int, image_size: int, batch_size: int, device: torch.device) -> int:
    """Cases a pass: *wanted*, or by image size on a CPU, or the whole batch on a GPU."""
    if wanted:
        return min(wanted, batch_size)
    if device.type != "cpu":
        return batch_size
    return max(1, min(batch_size, CHUNK_PIXELS // image_size**2))
