"""Inputs of the network: pixels to float on the device, and the features beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from milkreport.training.pixels import Pixels

#: Images of one forward and backward pass that fit the CPU's caches, in pixels of one view.
CHUNK_PIXELS = 8 * 256 * 256

#: For each view: images float32 0 to 1, (n, 3, size, size) channels last; and features (n, n_features).
Pass = tuple[list[Tensor], list[Tensor]]


@dataclass(frozen=True)
class Inputs:
    """All cases' inputs, without any label.

    ``pixels``: the cases' images. ``features``: float32 (n_cases, n_features) a view, on the same device.
    """

    pixels: Pixels
    features: Sequence[Tensor]

    @property
    def device(self) -> torch.device:
        """Where the inputs come out."""
        return self.pixels.device

    def passes(self, batches: Sequence[Tensor]) -> Iterator[Pass]:
        """The inputs of each of *batches* in turn, made when they are asked for.

        Args:
            batches: int64 of shape (n,) each, positions of cases, on the CPU.
        """
        if not batches:
            return
        order = torch.cat(list(batches)).to(self.device)
        lengths = [len(batch) for batch in batches]
        for positions, raw in zip(
            torch.split(order, lengths), self.pixels.stream(batches), strict=True
        ):
            # uint8 came to the device; a float copy would have been four times as large.
            images = [
                view.permute(0, 3, 1, 2)
                .to(torch.float32, memory_format=torch.channels_last)
                .div_(255)
                for view in raw.unbind(dim=1)
            ]
            yield images, [table[positions] for table in self.features]


def chunk_size(wanted: int, image_size: int, batch_size: int, device: torch.device) -> int:
    """Cases a pass: *wanted*, or by image size on a CPU, or the whole batch on a GPU."""
    if wanted:
        return min(wanted, batch_size)
    if device.type != "cpu":
        return batch_size
    return max(1, min(batch_size, CHUNK_PIXELS // image_size**2))
