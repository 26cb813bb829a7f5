"""What a network is built for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """Sizes of a network's inputs and output.

    ``image_size``: side of the square images in pixels. ``views``: names of the images of a case, in the
    order of the network's inputs. ``n_features``: metadata columns of each view, in the same order.
    ``images``: whether the network gets images at all.
    """

    image_size: int
    views: tuple[str, ...]
    n_features: tuple[int, ...]
    n_classes: int
    images: bool = True
