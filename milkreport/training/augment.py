"""Training images turned, mirrored, lit otherwise: drawn from the position alone, as all else is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from milkreport.streams import stream_seed
from milkreport.training.batches import Pass

#: Brightness and contrast change by so much at most.
LIGHT = 0.2
_WAYS = 8  # a square's symmetries


def augmented(
    passes: Iterator[Pass],
    kind: str,
    batches: Sequence[Tensor],
    chunk: int,
    seed: int,
    epoch: int,
    first: int,
) -> Iterator[Pass]:
    """The *passes* of an epoch's *batches*, each image changed at random.

    Args:
        kind: ``flips`` or ``flips_and_light``.
        chunk: cases a pass. first: number of the first of *batches* in its epoch, from 1.
    """
    for number, batch in enumerate(batches, first):
        generator = torch.Generator().manual_seed(stream_seed(seed, "augmentation", epoch, number))
        draws: list[tuple[Tensor, Tensor]] = []
        for start in range(0, len(batch), chunk):
            images, features = next(passes)
            # Drawn for the whole batch at once: chunks of another size change nothing.
            draws = draws or [_draw(len(batch), generator) for _ in images]
            rows = slice(start, start + chunk)
            changed = []
            for view, (ways, light) in zip(images, draws, strict=True):
                turned = turn(view, ways[rows])
                lit = kind == "flips_and_light"
                changed.append(relight(turned, light[rows]) if lit else turned)
            yield changed, features


def _draw(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Ways to turn, int64 (n,), and brightness and contrast, float32 (n, 2)."""
    ways = torch.randint(_WAYS, (n,), generator=generator)
    light = 1 + LIGHT * (2 * torch.rand(n, 2, generator=generator) - 1)
    return ways, light


def turn(images: Tensor, ways: Tensor) -> Tensor:
    """Each image by one of the eight symmetries of a square: no pixel is lost or made up.

    Args:
        images: (n, 3, size, size). ways: int64 (n,) from 0 to 7: quarter turns, and from 4 on mirrored first.
    """
    turned = torch.empty_like(images)
    for way in range(_WAYS):
        chosen = torch.nonzero(ways == way)[:, 0].to(images.device)
        if len(chosen):
            some = images[chosen]
            some = some.flip(3) if way >= 4 else some
            turned[chosen] = torch.rot90(some, way % 4, (2, 3))
    return turned


def relight(images: Tensor, light: Tensor) -> Tensor:
    """Brightness and contrast times *light*, float32 (n, 2); values stay within 0 to 1."""
    brightness, contrast = light.to(images.device).T[:, :, None, None, None]
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    lit: Tensor = (images - mean) * contrast + mean * brightness
    return lit.clamp_(0, 1)
