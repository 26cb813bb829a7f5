"""Where pixels lie while networks are trained: every place gives the same values in the same order."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")

from milkreport.data.pixels.store import PixelStore  # noqa: E402
from milkreport.training import pixels as module  # noqa: E402
from milkreport.training.batches import ImageInputs  # noqa: E402
from milkreport.training.pixels import (  # noqa: E402
    MappedPixels,
    ResidentPixels,
    StreamedPixels,
    choose_pixel_source,
)

CPU = torch.device("cpu")
PLACES = {
    "mapped": MappedPixels,
    "resident": lambda store: ResidentPixels(store, CPU),
    "streamed": lambda store: StreamedPixels(store, CPU),
}


@pytest.fixture(scope="module")
def store() -> PixelStore:
    """170 of 200 packed cases, in another order than they were packed in."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (200, 2, 8, 8, 3), dtype=np.uint8)
    return PixelStore(pixels, pd.DataFrame(), rng.permutation(200)[:170], "", "")


def batches() -> list[torch.Tensor]:
    """Uneven ones, with cases that come twice, as a sampler draws them."""
    rng = np.random.default_rng(1)
    return [torch.from_numpy(rng.integers(0, 170, n)) for n in (32, 32, 7, 1, 32, 32, 5)]


@pytest.mark.parametrize("place", PLACES)
def test_every_place_gives_the_stores_pixels(store: PixelStore, place: str) -> None:
    wanted = batches()
    found = list(PLACES[place](store).stream(wanted))
    assert len(found) == len(wanted)
    for block, positions in zip(found, wanted, strict=True):
        assert block.dtype == torch.uint8
        assert np.array_equal(block.numpy(), store.pixels[store.rows[positions.numpy()]])
    assert len({block.data_ptr() for block in found}) == len(found)  # none was overwritten


@pytest.mark.parametrize("place", PLACES)
def test_no_batches_are_no_pixels(store: PixelStore, place: str) -> None:
    pixels = PLACES[place](store)
    assert list(pixels.stream([])) == []
    assert list(ImageInputs(pixels, [0, 1], []).passes([])) == []


def test_inputs_are_floats_from_0_to_1_channels_last_with_their_features(store: PixelStore) -> None:
    features = [torch.arange(170.0)[:, None] + view for view in (0, 1000)]
    for place in PLACES.values():
        inputs = ImageInputs(place(store), [0, 1], features)
        for (images, tables), positions in zip(inputs.passes(batches()), batches(), strict=True):
            raw = store.pixels[store.rows[positions.numpy()]]
            for view, (image, table) in enumerate(zip(images, tables, strict=True)):
                expected = raw[:, view].transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
                assert np.array_equal(image.numpy(), expected)
                assert image.is_contiguous(memory_format=torch.channels_last)
                assert torch.equal(table[:, 0], positions + 1000.0 * view)


def test_streaming_reads_no_further_ahead_than_its_buffers(store: PixelStore) -> None:
    read = []
    watched = SimpleNamespace(pixels=store.pixels, rows=store.rows, size=store.size)

    def batch(positions, out):
        read.append(len(positions))
        return store.batch(positions, out)

    watched.batch = batch
    stream = StreamedPixels(watched, CPU).stream([torch.arange(4)] * 20)
    for taken in range(1, 21):
        next(stream)
        assert len(read) <= taken + 2


def test_an_error_while_reading_ahead_reaches_the_training(store: PixelStore) -> None:
    stream = StreamedPixels(store, CPU).stream([torch.arange(3), torch.tensor([170])])
    assert next(stream).shape == (3, 2, 8, 8, 3)
    with pytest.raises(IndexError):
        next(stream)


@pytest.mark.parametrize(("free", "expected"), [(2.0, "resident"), (1.99, "streamed")])
def test_a_gpus_memory_is_used_if_half_of_it_holds_them(
    store: PixelStore, monkeypatch, free: float, expected: str
) -> None:
    needed = 170 * 2 * 8 * 8 * 3
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(free * needed), 10**12))
    monkeypatch.setattr(module, "ResidentPixels", lambda store, device: "resident")
    monkeypatch.setattr(module, "StreamedPixels", lambda store, device: "streamed")
    assert choose_pixel_source(store, torch.device("cuda")) == expected


def test_on_the_cpu_they_stay_mapped(store: PixelStore) -> None:
    assert isinstance(choose_pixel_source(store, CPU), MappedPixels)
