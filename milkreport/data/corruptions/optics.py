"""Corruptions that need no chance: light, focus, compression, resolution.

Written after the definitions of MedMNIST-C (Di Salvo, Doerrich and Ledig, 2024, arXiv:2406.17536), its
``enhance.py``, ``filter.py`` and ``compression.py``, which take most of them from ImageNet-C (Hendrycks and
Dietterich, 2019). Images are uint8 (size, size, 3), 0 to 255, in and out.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance

Pixels = npt.NDArray[np.uint8]
#: MedMNIST-C's strengths are of images of so many pixels a side.
SIDE = 224
#: Parts of a pixel a side, by which the edge of the defocus disk is drawn.
_FINE = 8


def brightness(image: Pixels, factor: float) -> Pixels:
    """Every value times *factor*, cut at 255: Pillow's ``ImageEnhance.Brightness``, as in MedMNIST-C."""
    return np.asarray(ImageEnhance.Brightness(Image.fromarray(image)).enhance(factor))


def contrast(image: Pixels, factor: float) -> Pixels:
    """The distance from the mean grey times *factor*: Pillow's ``ImageEnhance.Contrast``, as there."""
    return np.asarray(ImageEnhance.Contrast(Image.fromarray(image)).enhance(factor))


def defocus(image: Pixels, radius: float) -> Pixels:
    """The mean over a disk of *radius* pixels of an image of 224, mirrored at the border.

    MedMNIST-C smooths the disk's edge with a small Gaussian; here each pixel of the edge has the share that
    the disk covers of it, so that small images get a disk of their scale. Values are rounded. The sums are
    whole numbers, so the result is the same on every machine.
    """
    disk, total = _disk(radius * image.shape[0] / SIDE)
    reach = disk.shape[0] // 2
    if not reach:
        return image
    reach = min(reach, image.shape[0] - 1)
    disk = disk[tuple(slice(n // 2 - reach, n // 2 + reach + 1) for n in disk.shape)]
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    height, width = padded.shape[:2]
    from scipy import fft  # here: it brings SciPy along

    shape = [fft.next_fast_len(n, real=True) for n in (height, width)]
    of_image = fft.rfft2(padded.astype(np.float64), shape, axes=(0, 1))
    of_disk = fft.rfft2(disk.astype(np.float64), shape)
    sums = fft.irfft2(of_image * of_disk[..., None], shape, axes=(0, 1))
    whole = np.rint(sums[2 * reach : height, 2 * reach : width]).astype(np.int64)
    return ((2 * whole + total) // (2 * total)).astype(np.uint8)


@lru_cache(maxsize=16)
def _disk(radius: float) -> tuple[npt.NDArray[np.int64], int]:
    """How many of its 64 parts a disk covers of each pixel, and the sum; symmetric."""
    reach = int(np.ceil(max(radius - 0.5, 0.0)))
    fine = (np.arange((2 * reach + 1) * _FINE) + 0.5) / _FINE - reach - 0.5
    inside = fine[:, None] ** 2 + fine[None] ** 2 <= max(radius, 0.1) ** 2
    n = 2 * reach + 1
    disk = inside.reshape(n, _FINE, n, _FINE).sum(axis=(1, 3)).astype(np.int64)
    return disk, int(disk.sum())


def jpeg(image: Pixels, quality: float) -> Pixels:
    """Saved as JPEG of *quality* and read again, by Pillow, as in MedMNIST-C.

    Another version of libjpeg may round otherwise.
    """
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=int(quality))
    with Image.open(file) as found:
        return np.asarray(found)


def resolution(image: Pixels, share: float) -> Pixels:
    """Made smaller to *share* of its side and large again, by boxes: MedMNIST-C's ``pixelate``."""
    side = image.shape[0]
    small = max(int(side * share), 1)
    whole = Image.fromarray(image)
    shrunk = whole.resize((small, small), Image.Resampling.BOX)
    return np.asarray(shrunk.resize((side, side), Image.Resampling.BOX))
