"""ROC and precision-recall curves on fixed grids, so that seeds average and files stay small."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.metrics.positive import split_positive
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.parts import RankCurve

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: False positive rates, and recalls, at which curves are read: 0, 0.02, ..., 1.
GRID = np.arange(51) / 50
DIGITS = 6
#: How far a point that is left out lies from the curve, in either direction: less than the width of a line.
TOLERANCE = 0.001


def class_curves(seeds: Sequence[Predictions]) -> list[RankCurve | None]:
    """One curve a class, means over seeds; ``None`` for a class without cases or without non-cases."""
    classes = range(len(seeds[0].classes))
    return [_mean_curve([(p.truth == c, p.probabilities[:, c]) for p in seeds]) for c in classes]


def positive_curve(seeds: Sequence[Predictions], positive: tuple[str, ...]) -> RankCurve | None:
    """The curve of the positive grouping; ``None`` where none is declared or a side is empty."""
    if not positive:
        return None
    split = [split_positive(p, positive) for p in seeds]
    return _mean_curve([(true, score) for true, _, score in split])


def read_curve(positive: Bools, score: Floats) -> tuple[Floats, Floats]:
    """Sensitivity at each false positive rate of ``GRID``, and precision at each recall.

    The ROC curve joins its points by lines (ties are a slope). The precision at a recall is that at the
    highest threshold that reaches it, as average precision has it; lines would flatter (Davis and
    Goadrich, 2006).

    Args:
        positive: bool (n,), both values present. score: float64 (n,), higher is likelier.
    """
    tp, fp = _count(positive, score)
    tpr, seen = tp / tp[-1], tp + fp
    sensitivity = _join(np.append(0, fp / fp[-1]), np.append(0, tpr), GRID)
    reached = np.searchsorted(tpr, GRID - 1e-12)
    return sensitivity, (tp / seen)[np.minimum(reached, len(tp) - 1)]


def roc_points(seeds: Sequence[tuple[Bools, Floats]]) -> Floats:
    """The mean ROC curve over seeds, simplified: float64 (n, 2), false positive rate and sensitivity.

    Args:
        seeds: see :func:`read_curve`; at each rate the sensitivities are averaged.
    """
    curves = [_all_points(positive, score) for positive, score in seeds]
    if len(curves) == 1:
        return simplify(curves[0])
    rates = np.unique(np.concatenate([curve[:, 0] for curve in curves]))
    upper = np.mean([_join(curve[:, 0], curve[:, 1], rates) for curve in curves], axis=0)
    # The lower end of an upright piece is the upper end of the curve that is seen from (1, 1).
    turned = [1 - curve[::-1] for curve in curves]
    lower = 1 - np.mean([_join(t[:, 0], t[:, 1], 1 - rates) for t in turned], axis=0)
    both = np.stack([np.repeat(rates, 2), np.stack([lower, upper], axis=1).ravel()], axis=1)
    return simplify(both)


def simplify(points: Floats, tolerance: float = TOLERANCE) -> Floats:
    """A line through some of *points*, float64 (n, 2), from which no other is further than *tolerance*.

    (Ramer, 1972; Douglas and Peucker, 1973.)
    """
    keep = np.zeros(len(points), bool)
    keep[[0, -1]] = True
    todo = [(0, len(points) - 1)]
    while todo:
        first, last = todo.pop()
        if last - first < 2:
            continue
        (dx, dy), between = points[last] - points[first], points[first + 1 : last] - points[first]
        away = np.abs(dx * between[:, 1] - dy * between[:, 0])
        furthest = int(away.argmax())
        if away[furthest] > tolerance * np.hypot(dx, dy):
            middle = first + 1 + furthest
            keep[middle] = True
            todo += [(first, middle), (middle, last)]
    return points[keep]


def _count(positive: Bools, score: Floats) -> tuple[Floats, Floats]:
    """True and false positives above each distinct score, from the highest on."""
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    tp = np.cumsum(positive[order])[ends].astype(np.float64)
    return tp, ends + 1.0 - tp


def _all_points(positive: Bools, score: Floats) -> Floats:
    tp, fp = _count(positive, score)
    return np.vstack([np.zeros((1, 2)), np.stack([fp / fp[-1], tp / tp[-1]], axis=1)])


def _join(fpr: Floats, tpr: Floats, at: Floats) -> Floats:
    """The curve at the rates *at*; where it is upright, its upper end."""
    left = np.searchsorted(fpr, at + 1e-12, side="right") - 1
    right = np.minimum(left + 1, len(fpr) - 1)
    width = fpr[right] - fpr[left]
    share = np.where(width > 0, (at - fpr[left]) / np.where(width > 0, width, 1), 0)
    return np.asarray(tpr[left] + np.clip(share, 0, 1) * (tpr[right] - tpr[left]))


def _mean_curve(sides: Sequence[tuple[Bools, Floats]]) -> RankCurve | None:
    if any(positive.all() or not positive.any() for positive, _ in sides):
        return None
    read = [read_curve(positive, score) for positive, score in sides]
    sensitivity, precision = (np.mean(values, axis=0) for values in zip(*read, strict=True))
    return RankCurve(
        sensitivity=sensitivity.round(DIGITS).tolist(),
        precision=precision.round(DIGITS).tolist(),
        roc=[(float(x), float(y)) for x, y in roc_points(sides).round(DIGITS)],
    )
