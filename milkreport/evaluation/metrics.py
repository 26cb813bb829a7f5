"""Metrics with their definitions. Points by scikit-learn; many resamples at once from confusion counts.

Undefined is ``None`` (points) or nan (arrays): never 0, never 1. Macro averages run over the classes
that have support.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from milkreport.evaluation.results import Definition

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: What tables and curves show; a suite's primary metric is one of them.
HEADLINE = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1")

_MACRO = "macro over the classes with support"
_UNDEFINED = "undefined, left out of the average"

DEFINITIONS: dict[str, Definition] = {
    d.metric: d
    for d in (
        Definition(
            metric="accuracy",
            title="Accuracy",
            decision="argmax",
            averaging="none",
            zero_division="none",
        ),
        Definition(
            metric="balanced_accuracy",
            title="Balanced accuracy",
            decision="argmax",
            averaging=f"recall, {_MACRO}",
            zero_division=_UNDEFINED,
        ),
        Definition(
            metric="macro_f1",
            title="Macro F1",
            decision="argmax",
            averaging=f"F1, {_MACRO}",
            zero_division="F1 = 2TP/(2TP+FP+FN); a class never predicted has F1 0",
        ),
        Definition(
            metric="weighted_f1",
            title="Weighted F1",
            decision="argmax",
            averaging="F1, weighted by support",
            zero_division="F1 = 2TP/(2TP+FP+FN); a class never predicted has F1 0",
        ),
    )
}


@dataclass(frozen=True)
class Scores:
    """Point metrics of one set of predictions.

    ``metrics``: by name, ``None`` where undefined. ``precision``, ``recall``, ``f1``: float64
    (n_classes,), nan where undefined. ``confusion``: int64 (n_classes, n_classes), rows true.
    """

    metrics: dict[str, float | None]
    precision: Floats
    recall: Floats
    f1: Floats
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
    """Score hard labels (class positions, int64 of shape (n,)) with scikit-learn.

    Raises:
        ValueError: no case, or a position outside 0 to n_classes - 1.
    """
    if len(truth) == 0 or min(truth.min(), predicted.min()) < 0:
        raise ValueError("no case to score, or a negative class position")
    if max(truth.max(), predicted.max()) >= n_classes:
        raise ValueError(f"a class position is not below {n_classes}")
    labels = np.arange(n_classes)
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=labels, zero_division=np.nan
    )
    # zero_division acts on F1 too where a class has neither case nor prediction: undefined, as here.
    weights = support / support.sum()
    present = support > 0
    metrics = {
        "accuracy": float(accuracy_score(truth, predicted)),
        "balanced_accuracy": float(recall[present].mean()),
        "macro_f1": float(f1[present].mean()),
        "weighted_f1": float((f1[present] * weights[present]).sum()),
    }
    counts = confusion_matrix(truth, predicted, labels=labels).astype(np.int64)
    return Scores({k: _defined(v) for k, v in metrics.items()}, precision, recall, f1, counts)


def score_confusion(confusion: npt.NDArray[np.generic]) -> dict[str, Floats]:
    """The same metrics from confusion counts of shape (..., n_classes, n_classes), vectorised.

    Returns:
        float64 arrays of shape (...), nan where undefined.
    """
    counts = confusion.astype(np.float64)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    support, predicted = counts.sum(axis=-1), counts.sum(axis=-2)
    total = support.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        present = np.where(support > 0, 1.0, np.nan)
        recall = hits / support
        f1 = 2 * hits / (support + predicted) * present
        n_present = (support > 0).sum(axis=-1)
        return {
            "accuracy": hits.sum(axis=-1) / total,
            "balanced_accuracy": np.nansum(recall, axis=-1) / n_present,
            "macro_f1": np.nansum(f1, axis=-1) / n_present,
            "weighted_f1": np.nansum(f1 * support, axis=-1) / total,
        }


def confusion_counts(truth: Ints, predicted: Ints, n_classes: int) -> Ints:
    """Confusion matrix, int64 (n_classes, n_classes), rows true; both of shape (n,)."""
    codes = truth * n_classes + predicted
    return np.bincount(codes, minlength=n_classes**2).reshape(n_classes, n_classes)


def _defined(value: float) -> float | None:
    return value if math.isfinite(value) else None
