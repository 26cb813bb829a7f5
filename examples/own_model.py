"""A network of one's own as an arm: the function that docs/your_own_model.md walks through.

A suite names it: ``model = "own_model:build"``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from milkreport.models.shape import Shape


class SharedBranch(nn.Module):
    """One small image branch that all views share, and the metadata beside it."""

    def __init__(self, shape: Shape, channels: int) -> None:
        super().__init__()
        self.images = nn.Sequential(
            nn.Conv2d(3, channels, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        n_inputs = 2 * channels * len(shape.views) + sum(shape.n_features)
        self.answer = nn.Linear(n_inputs, shape.n_classes)

    def forward(self, images: Sequence[Tensor], features: Sequence[Tensor]) -> Tensor:
        """Logits (n, n_classes).

        Args:
            images: one float32 (n, 3, size, size) a view, values 0 to 1.
            features: one float32 (n, n_features) a view.
        """
        seen = [self.images(view).mean(dim=(2, 3)) for view in images]
        scores: Tensor = self.answer(torch.cat([*seen, *features], dim=1))
        return scores


def build(shape: Shape, channels: int = 8) -> nn.Module:
    """Called once for each training, with the suite's ``options`` as keywords."""
    return SharedBranch(shape, channels)
