"""A threshold per class: found by one sorted sweep, judged on other cases, folded back into a submission.

The archive answers a class where its value is above 0.5, each class by itself; so the best threshold of
a class depends on that class alone, and is found exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

PLAIN = 0.5
#: How far a folded value stays from 0.5: a rounding on the way must not turn it.
AWAY = 1e-6


def find_threshold(positive: Bools, score: Floats) -> float:
    """The threshold t with the best F1 of ``score > t``; float64 score (n,) from 0 to 1.

    Every threshold lies in the middle between two neighbouring scores, or between the least and 0; of
    equally good ones the nearest to 0.5. A class without cases, or whose best F1 is 0, keeps 0.5.
    """
    if not positive.any():
        return PLAIN
    order = np.argsort(-score)
    ordered = score[order]
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(score) - 1)
    tp = np.cumsum(positive[order])[ends]
    f1 = 2 * tp / (ends + 1 + positive.sum())
    below = np.append(ordered[ends[:-1] + 1], 0.0)
    middles = (ordered[ends] + below) / 2
    # Two neighbours may have no number between them: the lower one separates as well, by ">".
    middles = np.where(middles < ordered[ends], middles, below)
    f1[middles >= ordered[ends]] = 0  # a score of 0 is never above a threshold
    best = f1 >= f1.max() - 1e-12
    if f1.max() <= 0:
        return PLAIN
    return float(min(middles[best], key=lambda t: abs(t - PLAIN)))


def find_thresholds(truth: Ints, scores: Floats) -> Floats:
    """:func:`find_threshold` of every class: scores (n, n_classes) to float64 (n_classes,)."""
    return np.array([find_threshold(truth == c, scores[:, c]) for c in range(scores.shape[1])])


def nested_answers(truth: Ints, scores: Floats, folds: Sequence[Ints]) -> Bools:
    """Each fold's answers at the thresholds of the other folds: bool (n, n_classes)."""
    answers = np.zeros(scores.shape, bool)
    everyone = np.arange(len(truth))
    for fold in folds:
        rest = np.setdiff1d(everyone, fold, assume_unique=True)
        answers[fold] = scores[fold] > find_thresholds(truth[rest], scores[rest])
    return answers


def fold_thresholds(scores: Floats, thresholds: Floats) -> Floats:
    """Values that a reader with the threshold 0.5 decides as *thresholds* would: (n, n_classes), 0 to 1.

    Each class is stretched by itself, [0, t] to [0, 0.5] and [t, 1] to [0.5, 1], so ranks stay; nothing
    lies within 1e-6 of 0.5. Rows do not sum to 1 any more.
    """
    t = np.broadcast_to(thresholds, scores.shape)
    above = scores > t
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = PLAIN * scores / t, PLAIN + PLAIN * (scores - t) / (1 - t)
    low = np.where(t > 0, low, 0)
    high = np.where(t < 1, high, 1)
    return np.where(above, np.maximum(high, PLAIN + AWAY), np.minimum(low, PLAIN - AWAY))


def keep_away(scores: Floats) -> Floats:
    """The same values, none within 1e-6 of 0.5; each stays on its side, and their order stays.

    Only values within 2e-6 of 0.5 move, 1e-6 at most: the two ends of that stretch are squeezed outwards.
    """
    off = scores - PLAIN
    # Halving keeps the order strictly: moving all to one value would make ties of two near classes.
    squeezed = np.where(off > 0, AWAY + off / 2, off / 2 - AWAY)
    return np.where(np.abs(off) < 2 * AWAY, PLAIN + squeezed, scores)
