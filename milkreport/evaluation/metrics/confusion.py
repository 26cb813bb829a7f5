"""Metrics of hard answers, from confusion counts: one form for points and for many resamples at once.

Undefined is ``None`` (points) or nan (arrays): never 0, never 1. Macro averages run over the classes
that have support. Tests hold every value against scikit-learn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

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
    support, predicted = counts.sum(axis=-1), counts.sum(axis=-2)
    others = support.sum(axis=-1, keepdims=True) - support
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "precision": hits / predicted,
            "recall": hits / support,
            "specificity": (others - (predicted - hits)) / others,
            "f1": 2 * hits / (support + predicted),
        }


def score_confusion(
    confusion: npt.NDArray[np.generic], present: npt.NDArray[np.bool_] | None = None
) -> dict[str, Floats]:
    """All metrics of hard answers from counts of shape (..., n_classes, n_classes), rows true.

    Macro averages run over the classes with support, or over those of *present*, bool (n_classes,): a
    resample that lost a class is still averaged over the classes of the cases that it was drawn from.

    Correlation: R_K of Gorodkin (2004). Kappa: Cohen (1960). The others are averages of
    :func:`score_classes`, defined in :mod:`milkreport.evaluation.metrics.definitions`.

    Returns:
        float64 arrays of shape (...), nan where undefined.
    """
    counts = confusion.astype(np.float64)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    support, predicted = counts.sum(axis=-1), counts.sum(axis=-2)
    total, right = support.sum(axis=-1), hits.sum(axis=-1)
    classes = score_classes(counts)
    # A class never predicted has no precision; in an average it counts 0, or silence would be rewarded.
    classes["precision"] = np.where(predicted > 0, classes["precision"], 0)
    counted = support > 0 if present is None else present
    expected = (support * predicted).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        averages = {}
        for name, values in classes.items():
            usable = counted & np.isfinite(values)
            known = np.where(usable, values, 0)
            n, weight = usable.sum(axis=-1), np.where(usable, support, 0)
            averages[f"macro_{name}"] = known.sum(axis=-1) / n
            averages[f"weighted_{name}"] = (known * weight).sum(axis=-1) / weight.sum(axis=-1)
        spread = (total**2 - (support**2).sum(axis=-1)) * (total**2 - (predicted**2).sum(axis=-1))
        found = {
            "accuracy": right / total,
            "balanced_accuracy": averages["macro_recall"],
            **averages,
            "mcc": (right * total - expected) / np.sqrt(np.where(spread > 0, spread, np.nan)),
            "kappa": (right * total - expected) / (total**2 - expected),
        }
    return {name: np.where(np.isfinite(value), value, np.nan) for name, value in found.items()}


def confusion_counts(truth: Ints, predicted: Ints, n_classes: int) -> Ints:
    """Confusion matrix, int64 (n_classes, n_classes), rows true; both of shape (n,)."""
    codes = truth * n_classes + predicted
    return np.bincount(codes, minlength=n_classes**2).reshape(n_classes, n_classes)


def defined(value: float) -> float | None:
    """*value*, or ``None`` where it is no number."""
    return value if math.isfinite(value) else None
