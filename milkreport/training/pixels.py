"""Where the pixels lie while networks are trained, and how batches of them are gathered from there.

Three places, one rule: the uint8 values of the store, in the order that was asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from milkreport.data.pixels.store import PixelStore

#: Cases copied to the device at a time.
_BLOCK = 64
#: Batches under way to the device while one is computed.
_AHEAD = 2


class Pixels(Protocol):
    """The pixels of all cases. ``size``: side of an image in pixels. ``device``: where batches come out."""

    @property
    def size(self) -> int: ...

    @property
    def device(self) -> torch.device: ...

    def stream(self, batches: Sequence[Tensor]) -> Iterator[Tensor]:
        """The pixels of each of *batches* in turn: uint8 (n, n_views, size, size, 3) on the device.

        Args:
            batches: int64 of shape (n,) each, positions of cases, on the CPU.
        """


class MappedPixels:
    """On the CPU: read from the store's memory map, batch by batch."""

    def __init__(self, store: PixelStore) -> None:
        self.store, self.size, self.device = store, store.size, torch.device("cpu")

    def stream(self, batches: Sequence[Tensor]) -> Iterator[Tensor]:
        for positions in batches:
            yield torch.from_numpy(self.store.batch(positions.numpy()))


class ResidentPixels:
    """In the device's memory, copied there once; gathered there, so that nothing waits for the host."""

    def __init__(self, store: PixelStore, device: torch.device) -> None:
        self.size, self.device = store.size, device
        self.pixels = torch.empty(_shape(store, len(store.rows)), dtype=torch.uint8, device=device)
        for start in range(0, len(store.rows), _BLOCK):
            block = torch.from_numpy(
                store.batch(np.arange(len(store.rows))[start : start + _BLOCK])
            )
            self.pixels[start : start + len(block)] = block

    def stream(self, batches: Sequence[Tensor]) -> Iterator[Tensor]:
        if batches:
            order = torch.cat(list(batches)).to(self.device)  # one copy an epoch
            for positions in torch.split(order, [len(batch) for batch in batches]):
                yield self.pixels.index_select(0, positions)


class StreamedPixels:
    """For stores larger than the device's memory: a thread gathers ahead into page-locked memory.

    The copy to the device runs beside the computation; a buffer is used again only when its copy is done.
    """

    def __init__(self, store: PixelStore, device: torch.device) -> None:
        self.store, self.size, self.device = store, store.size, device

    def stream(self, batches: Sequence[Tensor]) -> Iterator[Tensor]:
        largest = max((len(batch) for batch in batches), default=0)
        slots = [_Slot(self.store, self.device, largest) for _ in range(_AHEAD + 1)]
        with ThreadPoolExecutor(1) as thread:
            coming: deque[tuple[_Slot, Future[Tensor]]] = deque()
            for number, positions in enumerate(batches):
                slot = slots[number % len(slots)]
                coming.append((slot, thread.submit(slot.load, positions)))
                if len(coming) > _AHEAD:
                    yield _take(*coming.popleft())
            while coming:
                yield _take(*coming.popleft())


class _Slot:
    """One batch on its way: a page-locked buffer, and on a GPU the stream and event of its copy."""

    def __init__(self, store: PixelStore, device: torch.device, n: int) -> None:
        self.store, self.device = store, device
        gpu = device.type == "cuda"
        self.buffer = torch.empty(_shape(store, n), dtype=torch.uint8, pin_memory=gpu)
        self.copying = torch.cuda.Stream(device) if gpu else None  # type: ignore[no-untyped-call]
        self.copied = torch.cuda.Event() if gpu else None  # type: ignore[no-untyped-call]

    def load(self, positions: Tensor) -> Tensor:
        """Gather into the buffer and start the copy; runs in the thread."""
        if self.copied is not None:
            self.copied.synchronize()  # at once for an event that was never recorded
        filled = self.buffer[: len(positions)]
        self.store.batch(positions.numpy(), out=filled.numpy())
        if self.copying is None or self.copied is None:
            return filled.to(self.device, copy=True)
        with torch.cuda.stream(self.copying):
            block = filled.to(self.device, non_blocking=True)
            self.copied.record(self.copying)
        return block


def _take(slot: _Slot, coming: Future[Tensor]) -> Tensor:
    """The batch, once its copy is done as the computation sees it; the host does not wait for that."""
    block = coming.result()
    if slot.copied is not None:
        stream = torch.cuda.current_stream(slot.device)
        stream.wait_event(slot.copied)
        block.record_stream(stream)  # its memory is not reused before the computation is past it
    return block


@dataclass(frozen=True)
class NoPixels:
    """For a model that sees no images: nothing but the device."""

    device: torch.device
    size: int = 0

    def stream(self, batches: Sequence[Tensor]) -> Iterator[Tensor]:
        raise AssertionError("a model without images asked for some")


def choose_pixel_source(store: PixelStore, device: torch.device) -> Pixels:
    """Choose the place: mapped on a CPU; on a GPU in its memory, if half of what is free holds them all."""
    if device.type == "cpu":
        return MappedPixels(store)
    n_bytes = len(store.rows) * store.pixels[:1].nbytes
    free, _ = torch.cuda.mem_get_info(device)
    if 2 * n_bytes <= free:  # the other half is for the network and its batches
        return ResidentPixels(store, device)
    return StreamedPixels(store, device)


def _shape(store: PixelStore, n: int) -> tuple[int, ...]:
    return (n, *store.pixels.shape[1:])
