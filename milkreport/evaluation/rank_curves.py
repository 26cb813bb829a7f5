"""ROC and precision-recall curves on fixed grids, so that seeds average and files stay small."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.part_record import RankCurve
from milkreport.evaluation.positive import split_positive
from milkreport.evaluation.predictions import Predictions

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: False positive rates, and recalls, at which curves are read: 0, 0.02, ..., 1.
GRID = np.arange(51) / 50
DIGITS = 6


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
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    tp = np.cumsum(positive[order])[ends].astype(np.float64)
    seen = ends + 1.0
    tpr, fpr = tp / tp[-1], (seen - tp) / (seen[-1] - tp[-1])
    sensitivity = _join(np.append(0, fpr), np.append(0, tpr))
    reached = np.searchsorted(tpr, GRID - 1e-12)
    return sensitivity, (tp / seen)[np.minimum(reached, len(tp) - 1)]


def _join(fpr: Floats, tpr: Floats) -> Floats:
    """The curve at the grid; where it is upright, its upper end."""
    left = np.searchsorted(fpr, GRID + 1e-12, side="right") - 1
    right = np.minimum(left + 1, len(fpr) - 1)
    width = fpr[right] - fpr[left]
    share = np.where(width > 0, (GRID - fpr[left]) / np.where(width > 0, width, 1), 0)
    return np.asarray(tpr[left] + np.clip(share, 0, 1) * (tpr[right] - tpr[left]))


def _mean_curve(sides: Sequence[tuple[Bools, Floats]]) -> RankCurve | None:
    if any(positive.all() or not positive.any() for positive, _ in sides):
        return None
    read = [read_curve(positive, score) for positive, score in sides]
    sensitivity, precision = (np.mean(values, axis=0) for values in zip(*read, strict=True))
    return RankCurve(
        sensitivity=sensitivity.round(DIGITS).tolist(), precision=precision.round(DIGITS).tolist()
    )
