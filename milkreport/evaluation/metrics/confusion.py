"""Metrics of hard answers, from confusion counts: one form for points and for many resamples at once.

Undefined is ``None`` (points) or nan (arrays): never 0, never 1. Macro averages run over the classes
that have support. Tests hold every value against scikit-learn.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """Point metrics of one set of answers.

    ``metrics``: by name, ``None`` where undefined. ``classes``: ``precision``, ``recall``, ``specificity``
    and ``f1``, float64 (n_classes,), nan where undefined. ``confusion``: int64 (n_classes, n_classes),
    rows true.
    """

    metrics: dict[str, float | None]
    classes: dict[str, Floats]
    confusion: Ints

    @property
    def support(self) -> Ints:
        """True cases by class."""
        return np.asarray(self.confusion.sum(axis=1), np.int64)

    @property
    def predicted(self) -> Ints:
        """Predictions by class."""
        return np.asarray(self.confusion.sum(axis=0), np.int64)


def score_labels(truth: Ints, predicted: Ints, n_classes: int) -> Scores:
    """Score hard answers (class positions, int64 of shape (n,)).

    Raises:
        ValueError: no case, or a position outside 0 to n_classes - 1.
    """
    if len(truth) == 0 or min(truth.min(), predicted.min()) < 0:
        raise ValueError("no case to score, or a negative class position")
    if max(truth.max(), predicted.max()) >= n_classes:
        raise ValueError(f"a class position is not below {n_classes}")
    counts = confusion_counts(truth, predicted, n_classes)
    metrics = {name: defined(float(value)) for name, value in score_confusion(counts).items()}
    return Scores(metrics, score_classes(counts), counts)


def score_classes(confusion: npt.NDArray[np.generic]) -> dict[str, Floats]:
    """Each class against the others, from counts of shape (..., n_classes, n_classes).

    Returns:
        ``precision``, ``recall``, ``specificity``, ``f1``: float64 (..., n_classes), nan where undefined.
    """
    counts = confusion.astype(np.float64)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    support, predicted = _sum(counts, -1), _sum(counts, -2)
    others = _sum(support)[..., None] - support
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "precision": hits / predicted,
            "recall": hits / support,
            "specificity": (others - (predicted - hits)) / others,
            "f1": 2 * hits / (support + predicted),
        }


def score_confusion(
    confusion: npt.NDArray[np.generic],
    present: npt.NDArray[np.bool_] | None = None,
    only: str = "",
) -> dict[str, Floats]:
    """All metrics of hard answers from counts of shape (..., n_classes, n_classes), rows true.

    Macro averages run over the classes with support, or over those of *present*, bool (n_classes,): a
    resample that lost a class is still averaged over the classes of the cases that it was drawn from.

    Correlation: R_K of Gorodkin (2004). Kappa: Cohen (1960). The others are averages of
    :func:`score_classes`, defined in :mod:`milkreport.evaluation.metrics.definitions`.

    Args:
        only: the one metric that is wanted, which saves the work of the others; empty: all.

    Returns:
        float64 arrays of shape (...), nan where undefined.
    """
    counts = confusion.astype(np.float64)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    support, predicted = _sum(counts, -1), _sum(counts, -2)
    total, right = _sum(support), _sum(hits)
    classes = score_classes(counts)
    # A class never predicted has no precision; in an average it counts 0, or silence would be rewarded.
    classes["precision"] = np.where(predicted > 0, classes["precision"], 0)
    counted = support > 0 if present is None else present

    def macro(name: str) -> Floats:
        usable = counted & np.isfinite(classes[name])
        return np.asarray(_sum(np.where(usable, classes[name], 0)) / usable.sum(axis=-1))

    def weighted(name: str) -> Floats:
        usable = counted & np.isfinite(classes[name])
        weight = np.where(usable, support, 0)
        known = np.where(usable, classes[name], 0)
        return np.asarray(_sum(known * weight) / _sum(weight))

    def beyond_chance() -> Floats:
        return np.asarray(right * total - _sum(support * predicted))

    def correlation() -> Floats:
        spread = (total**2 - _sum(support**2)) * (total**2 - _sum(predicted**2))
        return beyond_chance() / np.sqrt(np.where(spread > 0, spread, np.nan))

    ways: dict[str, Callable[[], Floats]] = {
        "accuracy": lambda: right / total,
        "balanced_accuracy": lambda: macro("recall"),
    }
    for name in classes:
        ways |= {f"macro_{name}": partial(macro, name), f"weighted_{name}": partial(weighted, name)}
    ways["mcc"] = correlation
    ways["kappa"] = lambda: beyond_chance() / (total**2 - _sum(support * predicted))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = {name: ways[name]() for name in ((only,) if only else ways)}
    return {name: np.where(np.isfinite(value), value, np.nan) for name, value in found.items()}


def _sum(values: Floats, axis: int = -1) -> Floats:
    """The sum along a short axis, where einsum takes a third of the time of ``sum``."""
    return np.asarray(np.einsum("...ij->...j" if axis == -2 else "...i->...", values))


def confusion_counts(truth: Ints, predicted: Ints, n_classes: int) -> Ints:
    """Confusion matrix, int64 (n_classes, n_classes), rows true; both of shape (n,)."""
    codes = truth * n_classes + predicted
    return np.bincount(codes, minlength=n_classes**2).reshape(n_classes, n_classes)


def defined(value: float) -> float | None:
    """*value*, or ``None`` where it is no number."""
    return value if math.isfinite(value) else None
