"""Decision rules beside argmax: each class decided by itself, so that a case may get several or none.

``isic``: the ISIC Archive's scorer (isic-challenge-scoring 5.6 and 5.8): a class is predicted where its value
is above 0.5; empty denominators count 1. Thresholds: the same with a threshold per class.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.metrics.ranking import score_binary
from milkreport.evaluation.reading.predictions import Predictions

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Weights = npt.NDArray[np.float32]

RULES = ("isic",)
ARCHIVE_THRESHOLD = 0.5
_SENSITIVE = 0.8


def count_answers(truth: Ints, answers: Bools, weights: Weights | None = None) -> Floats:
    """True positives, false positives, false negatives and true negatives of each class.

    Args:
        answers: bool (n, n_classes). weights: float32 (n_resamples, n); ``None``: each case once.

    Returns:
        float64 (..., 4, n_classes), led by n_resamples where weights are given.
    """
    true = truth[:, None] == np.arange(answers.shape[1])
    if weights is None:
        weights = np.ones((1, len(truth)), np.float32)
        return np.asarray(count_answers(truth, answers, weights)[0])
    cells = [true & answers, answers, true]
    hits, answered, own = (weights @ cell.astype(np.float32) for cell in cells)
    n = weights.sum(axis=1, keepdims=True)
    rest = n - answered - own + hits
    return np.stack([hits, answered - hits, own - hits, rest], axis=1).astype("f8")


def f1_of_answers(counts: Floats, empty: float) -> Floats:
    """F1 of each class from :func:`count_answers`; *empty* where there is neither case nor answer."""
    tp, fp, fn = (counts[..., i, :] for i in range(3))
    return _ratio(2 * tp, 2 * tp + fp + fn, empty)


def score_archive(p: Predictions) -> tuple[dict[str, float], dict[str, Floats]]:
    """The archive's metrics: aggregate by name, and by class, float64 (n_classes,) each.

    Macro averages run over all classes. ``balanced_accuracy`` is by argmax, a tie for the largest value
    counts as wrong, and runs over the classes with cases. Curves are nan for hard labels and for classes
    without cases or non-cases.
    """
    answers = p.probabilities > ARCHIVE_THRESHOLD
    tp, fp, fn, tn = count_answers(p.truth, answers)
    with np.errstate(invalid="ignore"):
        classes = {
            "accuracy": (tp + tn) / len(p.truth),
            "sensitivity": _ratio(tp, tp + fn, 1),
            "specificity": _ratio(tn, tn + fp, 1),
            "f1": _ratio(2 * tp, 2 * tp + fp + fn, 1),
            "precision": _ratio(tp, tp + fp, 1),
            "npv": _ratio(tn, tn + fn, 1),
        }
        curves = np.full((3, len(p.classes)), np.nan)
        if p.kind != "labels":
            for c in range(len(p.classes)):
                positive, score = p.truth == c, p.probabilities[:, c]
                auc, precision = score_binary(positive, score)
                curves[:, c] = auc, _area_above(positive, score), precision
        names = ("auc", "auc_sens_80", "average_precision")
        classes |= dict(zip(names, curves, strict=True))
        overall = {f"macro_{name}": float(values.mean()) for name, values in classes.items()}
        right = decided_right(p)
        support = tp + fn
        hits = np.bincount(p.truth, right, minlength=len(p.classes))
        overall["balanced_accuracy"] = float((hits / support)[support > 0].mean())
    return overall, classes


def decided_right(p: Predictions) -> Bools:
    """Whether the largest value is the true class's, and no other class's: bool (n,)."""
    own = p.probabilities[np.arange(len(p.truth)), p.truth][:, None]
    return np.asarray((p.probabilities >= own).sum(axis=1) == 1)


def _ratio(above: Floats, below: Floats, empty: float) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(below > 0, above / below, empty)


def _area_above(positive: Bools, score: Floats) -> float:
    """Area under the ROC curve where sensitivity is at least 0.8, 0 to 0.2; nan where a side is empty."""
    n_positive = int(positive.sum())
    if n_positive in (0, len(positive)):
        return np.nan
    order = np.argsort(-score)
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    hits = np.cumsum(positive[order])[ends]
    tpr = np.concatenate([[0], hits / n_positive])
    fpr = np.concatenate([[0], (ends + 1 - hits) / (len(positive) - n_positive)])
    start = int(tpr.searchsorted(_SENSITIVE))
    part = (_SENSITIVE - tpr[start - 1]) / (tpr[start] - tpr[start - 1])
    entry = fpr[start - 1] + part * (fpr[start] - fpr[start - 1])
    y, x = np.append(_SENSITIVE, tpr[start:]), np.append(entry, fpr[start:])
    # Their curve is a function of the false alarms: the area lies below it, down to 0.
    return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum())
