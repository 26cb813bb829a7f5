"""The corrections that tell the arms apart: class weights in the loss, weights in the sampling.

An arm has one correction. The loss weights and the order of cases are decided here and nowhere else.
"""

from __future__ import annotations

import torch
from torch import Tensor

from milkreport.streams import stream_seed
from milkreport.suite import Correction

WEIGHTS_LOSS: frozenset[Correction] = frozenset({"weighted_loss", "weighted_loss_and_sampler"})
WEIGHTS_SAMPLING: frozenset[Correction] = frozenset({"sampler", "weighted_loss_and_sampler"})


def inverse_frequencies(labels: Tensor, n_classes: int) -> Tensor:
    """Weight of each class: n / (n_classes x count), 0 for a class without training cases.

    scikit-learn's ``class_weight="balanced"``. Its scale cancels in the weighted mean loss and in the
    sampling, so only the ratios matter. float32 of shape (n_classes,).
    """
    counts = torch.bincount(labels, minlength=n_classes).to(torch.float64)
    weights = len(labels) / (n_classes * counts)
    return torch.where(counts > 0, weights, torch.zeros_like(weights)).to(torch.float32)


def loss_weights(correction: Correction, labels: Tensor, n_classes: int) -> Tensor:
    """Weight of each class in the loss; all ones unless the correction weights the loss."""
    if correction in WEIGHTS_LOSS:
        return inverse_frequencies(labels, n_classes)
    return torch.ones(n_classes)


def epoch_order(
    correction: Correction, labels: Tensor, n_classes: int, seed: int, epoch: int
) -> Tensor:
    """Positions into the training part in the order of one epoch: int64 of shape (n_train,).

    A permutation, or with a sampler n_train draws with replacement, each class equally likely. Drawn on
    the CPU from a stream of (seed, epoch) alone: the same on every device, and after any interruption.
    """
    generator = torch.Generator()
    if correction in WEIGHTS_SAMPLING:
        generator.manual_seed(stream_seed(seed, "sampler", epoch))
        chances = inverse_frequencies(labels, n_classes)[labels]
        return torch.multinomial(chances, len(labels), replacement=True, generator=generator)
    generator.manual_seed(stream_seed(seed, "shuffle", epoch))
    return torch.randperm(len(labels), generator=generator)
