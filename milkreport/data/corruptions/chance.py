"""Corruptions that are drawn by chance: noise, hair, gel.

The draws of an image are the same at every severity, which takes more of them or scales them: severity 3
has the hairs of severity 2 and some more. Images are uint8 (size, size, 3), 0 to 255, in and out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from milkreport.data.corruptions.optics import SIDE, Pixels

#: Parts of a pixel a side, by which lines and circles are drawn.
_FINE = 4
#: Points of a hair's curve.
_POINTS = 16
#: Widths of hairs and radii of bubbles, in pixels of an image of 224.
_HAIR_WIDTHS, _BUBBLE_RADII, _BUBBLE_EDGE = (1.0, 2.5), (3.0, 17.0), 2.0
#: How much of the ground a hair covers, of 255; a bubble, and its edge (both as in MedMNIST-C).
_HAIR_COVERS, _BUBBLE_COVERS, _EDGE_COVERS = 230, 100, 130
#: The darkest hair, red, green and blue.
_HAIR_COLOUR = np.array([24.0, 16.0, 12.0])


def gaussian_noise(image: Pixels, deviation: float, random: np.random.Generator) -> Pixels:
    """Normal noise on every value, of *deviation* where white is 1, cut at 0 and 255.

    MedMNIST-C's ``GaussianNoise`` with values rounded instead of cut to whole numbers, so that noise of mean
    0 does not darken.
    """
    drawn = random.standard_normal(image.shape, dtype=np.float32)
    noisy = image + drawn * np.float32(255 * deviation)
    return np.asarray(np.rint(noisy.clip(0, 255)), np.uint8)


def hair(image: Pixels, count: float, random: np.random.Generator) -> Pixels:
    """So many hairs of one dark colour: curves from border to border, 1 to 2.5 pixels of 224 wide."""
    side = image.shape[0]
    colour = _HAIR_COLOUR + 36 * random.uniform(0, 1)
    mask = Image.new("L", (side * _FINE, side * _FINE))
    draw = ImageDraw.Draw(mask)
    for _ in range(int(count)):
        ends = random.uniform(0, 1, 4)  # where on the border, and how far the curve bends
        width = random.uniform(*_HAIR_WIDTHS) * side / SIDE * _FINE
        draw.line(_curve(ends, side * _FINE), fill=_HAIR_COVERS, width=max(round(width), 1))
    return _cover(image, mask, colour)


def gel(image: Pixels, count: float, random: np.random.Generator) -> Pixels:
    """So many bubbles of immersion gel: white disks that let most of the ground through, with a brighter rim.

    MedMNIST-C's ``Bubble``, which it uses for microscopy; number and radii are this project's own.
    """
    side = image.shape[0]
    fine = side / SIDE * _FINE
    mask = Image.new("L", (side * _FINE, side * _FINE))
    draw = ImageDraw.Draw(mask)
    for _ in range(int(count)):
        x, y, size = random.uniform(0, 1, 3)
        low, high = _BUBBLE_RADII
        inner = (low + size * size * (high - low)) * fine  # small ones are more frequent
        for radius, covers in (
            (inner + _BUBBLE_EDGE * fine, _EDGE_COVERS),
            (inner, _BUBBLE_COVERS),
        ):
            box = [c * side * _FINE + sign * radius for sign in (-1, 1) for c in (x, y)]
            draw.ellipse(box, fill=covers)
    return _cover(image, mask, 255.0)


def _cover(image: Pixels, mask: Image.Image, colour: npt.ArrayLike) -> Pixels:
    """*colour* over the image, as far as *mask* (finer than the image, 255: wholly) covers each pixel."""
    covers = np.asarray(mask.reduce(_FINE), np.float64)[..., None] / 255
    return np.rint(image + covers * (np.asarray(colour) - image)).astype(np.uint8)


def _curve(ends: npt.NDArray[np.float64], side: int) -> list[tuple[float, float]]:
    """A quadratic curve between two points of the border, bent by up to a quarter of the side."""
    start, end = _border(ends[0]), _border((ends[0] + 0.25 + 0.5 * ends[1]) % 1)
    middle = (start + end) / 2 + (ends[2:] - 0.5) / 2
    t = np.linspace(0, 1, _POINTS)[:, None]
    points = (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end
    return [(float(x) * side, float(y) * side) for x, y in points]


def _border(at: float) -> npt.NDArray[np.float64]:
    """The point of the unit square's border that lies at a share of its way round."""
    edge, along = divmod(at * 4, 1)
    corners = ((along, 0), (1, along), (1 - along, 1), (0, 1 - along))
    return np.array(corners[int(edge) % 4], np.float64)
