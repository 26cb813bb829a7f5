"""The corrections that tell the arms apart: what the loss weighs, and what the sampling draws.

An arm has one correction. The loss and the order of cases are decided here and nowhere else:

- ``none``: cross-entropy, every training case once an epoch.
- ``weighted_loss``: classes weighted by their inverse frequency (scikit-learn's "balanced"; the paper's
  Model 1).
- ``sampler``: cases drawn so that each class is equally likely (PyTorch's WeightedRandomSampler; the paper's
  Model 2). ``weighted_loss_and_sampler``: both at once, which corrects twice.
- ``effective_number_loss``: classes weighted by (1 - beta) / (1 - beta^n), the inverse effective number of
  their n cases (Cui et al., 2019, Class-balanced loss based on effective number of samples).
- ``sqrt_sampler``: a class is drawn in proportion to the square root of its cases (Mahajan et al., 2018,
  Exploring the limits of weakly supervised pretraining).
- ``capped_sampler``: like ``sampler``, but no case is drawn more than so many times as often as one of the
  most frequent class, so that a handful of cases is not learned by heart.
- ``focal_loss``: each case's cross-entropy times (1 - p)^gamma, p the probability of its class (Lin et al.,
  2017, Focal loss for dense object detection).
- ``logit_adjustment``: cross-entropy of the logits plus tau times the log class frequencies; answers come
  from the logits alone (Menon et al., 2021, Long-tail learning via logit adjustment).
- ``label_smoothing``: a share epsilon of each target is spread over all classes (Szegedy et al., 2016,
  Rethinking the Inception architecture).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from milkreport.streams import stream_seed
from milkreport.suite.arms import Correction, usual_strength

WEIGHTS_LOSS: frozenset[Correction] = frozenset({"weighted_loss", "weighted_loss_and_sampler"})
WEIGHTS_SAMPLING: frozenset[Correction] = frozenset(
    {"sampler", "weighted_loss_and_sampler", "sqrt_sampler", "capped_sampler"}
)


@dataclass(frozen=True)
class Loss:
    """The loss of a batch; its mean is the sum over the cases divided by the sum of their weights.

    ``weights``: of each class, float32 (n_classes,). ``shift``: what is added to the scores, likewise, or
    None. ``gamma``: of the focal loss, 0 for none. ``smoothing``: share of the target that is spread.
    """

    weights: Tensor
    shift: Tensor | None = None
    gamma: float = 0.0
    smoothing: float = 0.0

    def to(self, device: torch.device) -> Loss:
        """The same on another device."""
        shift = None if self.shift is None else self.shift.to(device)
        return replace(self, weights=self.weights.to(device), shift=shift)

    def weigh(self, labels: Tensor) -> Tensor:
        """Sum of the weights of cases with these *labels*, int64 (n,): a scalar."""
        return self.weights[labels].sum()

    def total(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Weighted sum of the cases' losses, a scalar; *scores* (n, n_classes), *labels* int64 (n,)."""
        if self.shift is not None:
            scores = scores + self.shift
        if self.gamma:
            log_p = log_softmax(scores, dim=1).gather(1, labels[:, None])[:, 0]
            return -((1 - log_p.exp()) ** self.gamma * log_p).sum()
        return cross_entropy(
            scores, labels, weight=self.weights, reduction="sum", label_smoothing=self.smoothing
        )


def make_loss(
    correction: Correction, labels: Tensor, n_classes: int, amount: float | None = None
) -> Loss:
    """The loss of a correction, for training *labels*, int64 (n_train,); *amount*: its strength."""
    amount = usual_strength(correction) if amount is None else amount
    ones = torch.ones(n_classes)
    if correction in WEIGHTS_LOSS:
        return Loss(inverse_frequencies(labels, n_classes))
    if correction == "effective_number_loss":
        return Loss(effective_number_weights(labels, n_classes, amount))
    if correction == "focal_loss":
        return Loss(ones, gamma=amount)
    if correction == "label_smoothing":
        return Loss(ones, smoothing=amount)
    if correction == "logit_adjustment":
        counts = torch.bincount(labels, minlength=n_classes).clamp(min=1).to(torch.float64)
        return Loss(ones, shift=(amount * (counts / counts.sum()).log()).to(torch.float32))
    return Loss(ones)


def inverse_frequencies(labels: Tensor, n_classes: int) -> Tensor:
    """Weight of each class: n / (n_classes x count), 0 for a class without training cases.

    scikit-learn's ``class_weight="balanced"``. Its scale cancels in the weighted mean loss and in the
    sampling, so only the ratios matter. float32 of shape (n_classes,).
    """
    counts = torch.bincount(labels, minlength=n_classes).to(torch.float64)
    weights = len(labels) / (n_classes * counts)
    return torch.where(counts > 0, weights, torch.zeros_like(weights)).to(torch.float32)


def effective_number_weights(labels: Tensor, n_classes: int, beta: float) -> Tensor:
    """(1 - beta) / (1 - beta^count) of each class, scaled to a sum of n_classes as Cui et al. do.

    0 for a class without training cases. float32 of shape (n_classes,).
    """
    counts = torch.bincount(labels, minlength=n_classes).to(torch.float64)
    weights = torch.where(counts > 0, (1 - beta) / (1 - beta**counts), torch.zeros_like(counts))
    return (weights * n_classes / weights.sum()).to(torch.float32)


def class_chances(correction: Correction, labels: Tensor, n_classes: int, amount: float) -> Tensor:
    """How likely each case of a class is drawn, up to a factor; 0 for a class without any: (n_classes,)."""
    weights = inverse_frequencies(labels, n_classes)
    if correction == "sqrt_sampler":
        weights = weights.sqrt()
    if correction == "capped_sampler":
        weights = weights.clamp(max=amount * float(weights[weights > 0].min()))
    return weights


def class_weights(correction: Correction, labels: Tensor, n_classes: int, amount: float) -> Tensor:
    """What a correction makes of the cases of each class: their weight in the loss, or, of one that samples,
    how likely each is drawn up to a factor. float32 (n_classes,).
    """
    if correction in WEIGHTS_SAMPLING:
        return class_chances(correction, labels, n_classes, amount)
    return make_loss(correction, labels, n_classes, amount).weights


def case_weights(
    correction: Correction, labels: Tensor, n_classes: int, amount: float
) -> npt.NDArray[np.float64]:
    """What each training case weighs for a model that takes weights and no order: (n_train,), mean 1."""
    weights = class_weights(correction, labels, n_classes, amount)[labels]
    found = weights.numpy().astype(np.float64)
    return np.asarray(found / found.mean(), np.float64)


def epoch_order(
    correction: Correction,
    labels: Tensor,
    n_classes: int,
    seed: int,
    epoch: int,
    amount: float | None = None,
) -> Tensor:
    """Positions into the training part in the order of one epoch: int64 of shape (n_train,).

    A permutation, or with a sampler n_train draws with replacement, as likely as :func:`class_chances`. Drawn
    on the CPU from a stream of (seed, epoch) alone: the same on every device, and after any interruption.
    """
    generator = torch.Generator()
    if correction in WEIGHTS_SAMPLING:
        generator.manual_seed(stream_seed(seed, "sampler", epoch))
        strength = usual_strength(correction) if amount is None else amount
        chances = class_chances(correction, labels, n_classes, strength)[labels]
        return torch.multinomial(chances, len(labels), replacement=True, generator=generator)
    generator.manual_seed(stream_seed(seed, "shuffle", epoch))
    return torch.randperm(len(labels), generator=generator)
