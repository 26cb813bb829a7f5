"""Corruptions of stored images: their values against Pillow, SciPy and by hand; the same whoever asks."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from milkreport.data.corruptions import chance, optics
from milkreport.data.corruptions.corrupt import corrupt, corrupt_cases
from milkreport.errors import ConfigError
from milkreport.streams import stream
from milkreport.suite.corruptions import CORRUPTIONS, SEVERITIES, parse_corruptions

VIEWS = ("one", "two")


def picture(size: int = 64, seed: int = 0) -> np.ndarray:
    """A smooth picture with some grain."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(70, 200, (6, 6, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), np.int16)
    return (smooth + rng.integers(-8, 9, smooth.shape)).clip(0, 255).astype(np.uint8)


def test_light_by_hand() -> None:
    image = np.array([[[10, 100, 250], [0, 60, 200]]] * 2, np.uint8)
    brighter = optics.brightness(image, 1.5)
    assert brighter[0].tolist() == [[15, 150, 255], [0, 90, 255]]
    # Grey by ITU-R 601, as Pillow rounds it; the mean grey is what contrast turns about.
    grey = [(19595 * r + 38470 * g + 7471 * b + 32768) >> 16 for r, g, b in image[0].tolist()]
    mean = int(np.mean(grey) + 0.5)
    less = optics.contrast(image, 0.5)
    assert np.abs(less[0] - (mean + 0.5 * (image[0].astype(float) - mean))).max() <= 1


def test_defocus_is_the_mean_over_a_disk() -> None:
    image = picture(112)
    disk, total = optics._disk(6 * 112 / 224)
    assert disk.sum() == total
    assert (disk == disk[::-1, ::-1]).all()
    assert (disk == disk.T).all()
    # Its area is that of a circle of radius 3.
    assert total / 64 == pytest.approx(np.pi * 9, rel=0.01)
    kernel = disk[..., None] / total
    expected = ndimage.convolve(image.astype(float), kernel, mode="mirror")
    found = optics.defocus(image, 6)
    assert (np.abs(found - expected) <= 0.5 + 1e-6).all()
    assert (optics.defocus(np.full((32, 32, 3), 77, np.uint8), 8) == 77).all()


def test_jpeg_and_resolution_are_pillows() -> None:
    image = picture()
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=15)
    assert (corrupt(image, "jpeg", 3, "a", "one") == np.asarray(Image.open(file))).all()
    halves = corrupt(image, "resolution", 2, "a", "one")
    blocks = image.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(halves[::2, ::2] - blocks).max() <= 1  # rounded by rows, then by columns
    assert (halves[::2, ::2] == halves[1::2, 1::2]).all()


def test_noise_has_the_deviation_that_is_said() -> None:
    image = np.full((200, 200, 3), 128, np.uint8)
    found = corrupt(image, "gaussian_noise", 2, "a", "one").astype(float)
    assert found.mean() == pytest.approx(128, abs=0.3)
    assert found.std() == pytest.approx(0.08 * 255, rel=0.02)
    drawn = stream(0, "corruption/gaussian_noise/one/a").standard_normal(image.shape, np.float32)
    assert (found == np.rint((128 + drawn * np.float32(20.4)).clip(0, 255))).mean() > 0.999


def test_hair_is_dark_and_gel_is_bright_and_more_of_both_is_more() -> None:
    image = np.full((224, 224, 3), 150, np.uint8)
    hair = corrupt(image, "hair", 3, "a", "one").astype(int)
    gel = corrupt(image, "gel", 3, "a", "one").astype(int)
    assert (hair <= 150).all()
    assert hair.min() < 80
    assert (gel >= 150).all()
    # A bubble lets 155/255 of the ground through, its edge 125/255.
    most = np.rint(150 + 130 / 255 * 105)
    assert gel.max() == most
    assert (gel == np.rint(150 + 100 / 255 * 105)).any()
    covered = [
        [(corrupt(image, name, s, "a", "one") != image).mean() for s in SEVERITIES]
        for name in ("hair", "gel")
    ]
    for shares in covered:
        assert sorted(shares) == shares
        assert 0 < shares[0] < shares[-1] < 1
    # The draws are nested: what severity 1 covers, severity 5 covers.
    few, many = (corrupt(image, "hair", s, "a", "one")[..., 0] < 60 for s in (1, 5))
    assert few.any()
    assert many[few].all()
    assert chance.hair(image, 0, stream(0, "x")).tolist() == image.tolist()


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("size", [48, 128])
def test_a_higher_severity_is_further_from_the_image(name: str, size: int) -> None:
    distances = np.mean(
        [
            [
                np.abs(corrupt(image, name, s, str(seed), "one").astype(int) - image).mean()
                for s in (0, *SEVERITIES)
            ]
            for seed in range(4)
            for image in [picture(size, seed)]
        ],
        axis=0,
    )
    assert distances[0] == 0
    assert (np.diff(distances) > 0).all(), distances


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_case_gets_the_same_pixels_in_whatever_batch(name: str) -> None:
    ids = [f"c{i}" for i in range(5)]
    pixels = np.stack([[picture(32, 2 * i), picture(32, 2 * i + 1)] for i in range(5)])
    before = pixels.copy()
    together = corrupt_cases(pixels, name, 3, ids, VIEWS)
    assert (pixels == before).all()
    assert together.dtype == np.uint8
    order = [3, 0, 4]
    apart = corrupt_cases(pixels[order], name, 3, [ids[i] for i in order], VIEWS)
    assert (apart == together[order]).all()
    turned = corrupt_cases(pixels[:, ::-1], name, 3, ids, VIEWS[::-1])
    assert (turned[:, ::-1] == together).all()
    assert (corrupt_cases(pixels, name, 0, ids, VIEWS) == pixels).all()


@pytest.mark.parametrize("name", ["gaussian_noise", "hair", "gel"])
def test_what_is_drawn_differs_between_cases_views_and_never_between_runs(name: str) -> None:
    image = picture(64)
    found = corrupt(image, name, 3, "a", "one")
    assert (corrupt(image, name, 3, "b", "one") != found).any()
    assert (corrupt(image, name, 3, "a", "two") != found).any()
    assert (corrupt(image, name, 3, "a", "one") == found).all()


def test_another_process_draws_the_same() -> None:
    code = (
        "import numpy as np; from milkreport.data.corruptions.corrupt import corrupt; import hashlib;"
        "x = np.full((32, 32, 3), 99, np.uint8);"
        "print(hashlib.sha256(b''.join(corrupt(x, n, 4, 'a', 'v').tobytes()"
        " for n in ('gaussian_noise', 'hair', 'gel', 'defocus_blur'))).hexdigest())"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(said) == 1


def test_a_missing_image_stays_missing() -> None:
    nothing = np.zeros((32, 32, 3), np.uint8)
    for name in CORRUPTIONS:
        assert not corrupt(nothing, name, 5, "a", "one").any()


def test_names_and_groups() -> None:
    assert parse_corruptions("") == ()
    assert parse_corruptions("all") == tuple(CORRUPTIONS)
    assert parse_corruptions(" Noise, blur") == ("defocus_blur", "gaussian_noise")
    assert parse_corruptions("brightness_up,jpeg") == ("brightness_up", "jpeg")
    with pytest.raises(ConfigError, match="unknown corruption 'blurr'.*did you mean blur"):
        parse_corruptions("blurr")
    with pytest.raises(ConfigError, match="names nothing"):
        parse_corruptions(" ,")
