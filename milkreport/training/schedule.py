"""The learning rate as a function of the position alone: a resumed training needs no scheduler's state."""

from __future__ import annotations

import math

from milkreport.suite.suite import Training

#: The ``step`` schedule divides by 10 after these shares of the training.
STEPS = (0.6, 0.8)


def learning_rate(settings: Training, epochs_done: float) -> float:
    """The rate of the step that begins after *epochs_done* epochs, 0 to ``settings.epochs``.

    Linear from 0 over the warm-up (its first step has one step's share, see the caller); then constant,
    half a cosine from the full rate to 0 (Loshchilov and Hutter, 2017, SGDR, without restarts), or steps.
    """
    rate = settings.learning_rate
    if epochs_done < settings.warmup_epochs:
        return rate * epochs_done / settings.warmup_epochs
    if settings.schedule == "cosine":
        share = (epochs_done - settings.warmup_epochs) / (settings.epochs - settings.warmup_epochs)
        return rate * 0.5 * (1 + math.cos(math.pi * share))
    if settings.schedule == "step":
        return rate * 0.1 ** sum(epochs_done >= share * settings.epochs for share in STEPS)
    return rate
