"""Stored images corrupted: the same case gets the same pixels whoever asks, in whatever batch and order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from milkreport.data.corruptions import chance, optics
from milkreport.streams import stream
from milkreport.suite.corruptions import CORRUPTIONS, SEVERITIES

Pixels = npt.NDArray[np.uint8]

_PLAIN: dict[str, Callable[[Pixels, float], Pixels]] = {
    "brightness_up": optics.brightness,
    "brightness_down": optics.brightness,
    "contrast_up": optics.contrast,
    "contrast_down": optics.contrast,
    "defocus_blur": optics.defocus,
    "jpeg": optics.jpeg,
    "resolution": optics.resolution,
}
_RANDOM: dict[str, Callable[[Pixels, float, np.random.Generator], Pixels]] = {
    "gaussian_noise": chance.gaussian_noise,
    "hair": chance.hair,
    "gel": chance.gel,
}


def corrupt(image: Pixels, name: str, severity: int, case_id: str, view: str) -> Pixels:
    """One image corrupted; the image itself at severity 0, and where it is black all over: there is none.

    What is drawn by chance depends on case, view and corruption alone, and is shared by all severities.

    Args:
        image: uint8 (size, size, 3), 0 to 255; it is not changed.
        severity: 0 to 5.
    """
    if severity == 0 or not image.any():
        return image
    strength = CORRUPTIONS[name].strengths[SEVERITIES.index(severity)]
    if name in _PLAIN:
        return _PLAIN[name](image, strength)
    return _RANDOM[name](image, strength, stream(0, f"corruption/{name}/{view}/{case_id}"))


def corrupt_cases(
    pixels: Pixels, name: str, severity: int, case_ids: Sequence[str], views: Sequence[str]
) -> Pixels:
    """All images of some cases corrupted, in memory of their own.

    Args:
        pixels: uint8 (n, n_views, size, size, 3); *case_ids* and *views* name the first two axes.
    """
    found = np.empty_like(pixels)
    for i, case_id in enumerate(case_ids):
        for j, view in enumerate(views):
            found[i, j] = corrupt(pixels[i, j], name, severity, case_id, view)
    return found
