"""How far each case moves a metric, to first order (the infinitesimal jackknife): for any metric by its name.

Variances and covariances of metrics follow from it without resampling, and so do the skewness of a difference
and the weight of a single case, which resamples of few discordant cases hide.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.metrics.calibration import case_brier, case_log_loss
from milkreport.evaluation.metrics.confusion import confusion_counts, score_classes, score_confusion
from milkreport.evaluation.metrics.ranking import TOP, binary_influence, truth_ranks
from milkreport.evaluation.reading.predictions import Predictions

Floats = npt.NDArray[np.float64]

_STEP, _PIECE = 1e-6, 2_000_000


def case_influence(p: Predictions, metric: str) -> Floats | None:
    """The metric's derivative by the weight of each case: float64 (n,), summing to 0.

    ``None`` for a metric without one (the calibration error), or one that these predictions do not allow.

    Args:
        metric: a name of :mod:`milkreport.evaluation.metrics.named`, of all cases or of one class.
    """
    name, _, class_name = metric.partition(":")
    own = p.truth[:, None] == np.arange(len(p.classes))
    if name.removeprefix("macro_") in ("auc", "average_precision"):
        kept = (
            [p.classes.index(class_name)]
            if class_name
            else np.flatnonzero(own.any(axis=0)).tolist()
        )
        kept = [c for c in kept if own[:, c].any() and not own[:, c].all()]
        if p.kind == "labels" or not kept:
            return None
        which = 0 if name.endswith("auc") else 1
        moves = [binary_influence(own[:, c], p.probabilities[:, c])[which] for c in kept]
        return np.asarray(np.mean(moves, axis=0))
    values = _case_values(p, name)
    if values is not None:
        return np.asarray((values - values.mean()) / len(values))
    return _label_influence(p, name, class_name)


def _case_values(p: Predictions, name: str) -> Floats | None:
    """What a mean over cases averages, where the metric is one."""
    if name in ("log_loss", "brier"):
        score = case_log_loss if name == "log_loss" else case_brier
        return score(p.truth, p.probabilities) if p.kind == "probabilities" else None
    for k in TOP:
        if name == f"top_{k}_accuracy" and p.kind != "labels":
            return np.asarray(truth_ranks(p.truth, p.probabilities) <= k, np.float64)
    return None


def _label_influence(p: Predictions, name: str, class_name: str) -> Floats | None:
    """Of a metric of hard answers: its derivative by the share of each cell of the confusion matrix."""
    k = len(p.classes)
    shares = confusion_counts(p.truth, p.predicted, k) / len(p.truth)

    def score(tables: Floats) -> Floats | None:
        if not class_name:
            return score_confusion(tables, shares.sum(axis=1) > 0).get(name)
        found = score_classes(tables).get(name)
        return None if found is None else found[:, p.classes.index(class_name)]

    value = score(shares[None])
    if value is None or not np.isfinite(value[0]):
        return None
    # Cells that hold cases alone, in pieces that fit the memory where classes are many.
    cells, position = np.unique(p.truth * k + p.predicted, return_inverse=True)
    slopes = np.zeros(len(cells))
    rows = max(1, _PIECE // k**2)
    for start in range(0, len(cells), rows):
        piece = cells[start : start + rows]
        tables = np.repeat(shares.reshape(1, -1), len(piece), axis=0)
        tables[np.arange(len(piece)), piece] += _STEP
        moved = score(tables.reshape(-1, k, k))
        assert moved is not None
        slopes[start : start + rows] = np.nan_to_num((moved - value[0]) / _STEP)
    moves = slopes[position]
    return np.asarray((moves - moves.mean()) / len(p.truth))
