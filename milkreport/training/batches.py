"""Inputs of the network: pixels to float on the device, or features of images, and the columns beside
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from milkreport.training.pixels import Pixels

#: Images of one forward and backward pass that fit the CPU's caches, in pixels of one view.
CHUNK_PIXELS = 8 * 256 * 256

#: For each view: images float32 0 to 1, (n, 3, size, size) channels last; and features (n, n_features).
Pass = tuple[list[Tensor], list[Tensor]]


class ModelInputs(Protocol):
    """All cases' inputs, without any label. ``device``: where they come out."""

    @property
    def device(self) -> torch.device: ...

    def passes(self, batches: Sequence[Tensor]) -> Iterator[Pass]:
        """The inputs of each of *batches* in turn, made when they are asked for.

        Args:
            batches: int64 of shape (n,) each, positions of cases, on the CPU.
        """

    def chunk(self, wanted: int, batch_size: int) -> int:
        """Cases a pass: *wanted*, or what suits the device, *batch_size* at most."""


@dataclass(frozen=True)
class ImageInputs:
    """Images and columns.

    ``pixels``: the cases' images. ``views``: positions of the views that are seen. ``features``: float32
    (n_cases, n_features) a view that is seen, on the same device.
    """

    pixels: Pixels
    views: Sequence[int]
    features: Sequence[Tensor]

    @property
    def device(self) -> torch.device:
        """See :class:`ModelInputs`."""
        return self.pixels.device

    def passes(self, batches: Sequence[Tensor]) -> Iterator[Pass]:
        """See :class:`ModelInputs`."""
        if not batches:
            return
        order = torch.cat(list(batches)).to(self.device)
        lengths = [len(batch) for batch in batches]
        for positions, raw in zip(
            torch.split(order, lengths), self.pixels.stream(batches), strict=True
        ):
            # uint8 came to the device; a float copy would have been four times as large.
            images = [
                raw[:, view]
                .permute(0, 3, 1, 2)
                .to(torch.float32, memory_format=torch.channels_last)
                .div_(255)
                for view in self.views
            ]
            yield images, [table[positions] for table in self.features]

    def chunk(self, wanted: int, batch_size: int) -> int:
        """See :class:`ModelInputs`."""
        return chunk_size(wanted, self.pixels.size, batch_size, self.device)


@dataclass(frozen=True)
class ColumnInputs:
    """Columns, and features of images that a frozen backbone made, where there are any.

    ``embedded``: float32 (n_cases, n_features) a view that is seen, or none. ``features``: as in
    :class:`ImageInputs`, all on one device.
    """

    embedded: Sequence[Tensor]
    features: Sequence[Tensor]

    @property
    def device(self) -> torch.device:
        """See :class:`ModelInputs`."""
        return [*self.embedded, *self.features][0].device

    def passes(self, batches: Sequence[Tensor]) -> Iterator[Pass]:
        """See :class:`ModelInputs`; features of images stand where images would."""
        for positions in (batch.to(self.device) for batch in batches):
            yield (
                [view[positions] for view in self.embedded],
                [table[positions] for table in self.features],
            )

    def chunk(self, wanted: int, batch_size: int) -> int:
        """See :class:`ModelInputs`: one pass a batch."""
        return min(wanted, batch_size) if wanted else batch_size


def chunk_size(wanted: int, image_size: int, batch_size: int, device: torch.device) -> int:
    """Cases a pass: *wanted*, or by image size on a CPU, or the whole batch on a GPU."""
    if wanted:
        return min(wanted, batch_size)
    if device.type != "cpu":
        return batch_size
    return max(1, min(batch_size, CHUNK_PIXELS // image_size**2))
