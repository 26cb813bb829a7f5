"""Some classes against the others, "is it one of these?": sensitivity, AUC, decision curve.

The score of a case is the sum of the probabilities of the positive classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.metrics.ranking import binary_influence, score_binary
from milkreport.evaluation.reading.predictions import Predictions

Floats = npt.NDArray[np.float64]
Weights = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

SPECIFICITIES = (0.8, 0.9, 0.95)
THRESHOLDS = np.arange(2, 100, 2) / 100


def split_positive(p: Predictions, positive: tuple[str, ...]) -> tuple[Bools, Bools, Floats]:
    """Whether each case is, and is answered, positive, bool (n,); and its score, float64 (n,)."""
    places = [p.classes.index(name) for name in positive]
    score = p.probabilities[:, places].sum(axis=1)
    return np.isin(p.truth, places), np.isin(p.predicted, places), score


def score_positive(p: Predictions, positive: tuple[str, ...]) -> dict[str, Floats]:
    """Point metrics: scalars, ``at_specificity`` (3,), ``net_benefit`` and ``treat_all`` (n_thresholds,).

    Only what the predictions' kind allows; nan where a side is empty.
    """
    true, answered, score = split_positive(p, positive)
    with np.errstate(invalid="ignore"):
        found = {
            "sensitivity": (answered & true).sum() / np.float64(true.sum()),
            "specificity": (~answered & ~true).sum() / np.float64((~true).sum()),
        }
    if p.kind != "labels":
        found["auc"], found["average_precision"] = map(np.float64, score_binary(true, score))
        found["at_specificity"] = sensitivities_at(true, score, np.ones((1, len(true))))[0]
    if p.kind == "probabilities":
        n, called = len(true), score[:, None] >= THRESHOLDS
        tp, fp = (called & true[:, None]).sum(axis=0), (called & ~true[:, None]).sum(axis=0)
        found["net_benefit"] = tp / n - fp / n * _odds()
        found["treat_all"] = true.mean() - (~true).mean() * _odds()
    return {name: np.asarray(value, np.float64) for name, value in found.items()}


def resample_positive(
    p: Predictions, positive: tuple[str, ...], weights: Weights
) -> dict[str, Floats]:
    """The same in each resample, weights (n_resamples, n): first axis the resamples."""
    true, answered, score = split_positive(p, positive)
    sides = np.stack([true, ~true, true & answered, ~true & ~answered], 1).astype("f4")
    drawn = (weights @ sides).astype(np.float64)  # counts, exact as float32: their ratios are not
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {"sensitivity": drawn[:, 2] / drawn[:, 0], "specificity": drawn[:, 3] / drawn[:, 1]}
    if p.kind != "labels":
        points = score_binary(true, score)
        known = np.isfinite(points[0])
        moves = binary_influence(true, score) if known else (np.zeros(len(true)),) * 2
        for name, point, of_case in zip(("auc", "average_precision"), points, moves, strict=True):
            found[name] = point + weights @ of_case.astype(np.float32)
        found["at_specificity"] = sensitivities_at(true, score, weights)
    if p.kind == "probabilities":
        called = score[:, None] >= THRESHOLDS
        worth = np.where(true[:, None], called * 1.0, called * -_odds()).astype(np.float32)
        found["net_benefit"] = weights @ worth / weights.sum(axis=1, keepdims=True)
    return {name: np.asarray(value, np.float64) for name, value in found.items()}


def _odds() -> Floats:
    return np.asarray(THRESHOLDS / (1 - THRESHOLDS))


def sensitivities_at(
    true: Bools,
    score: Floats,
    weights: npt.NDArray[np.floating],
    specificities: Sequence[float] = SPECIFICITIES,
) -> Floats:
    """Largest sensitivity with at least each specificity: weights (r, n) to (r, n_specificities).

    Thresholds lie between distinct scores; none called positive is allowed.
    """
    order = np.argsort(-score)
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    sorted_weights = weights[:, order]
    tp = np.cumsum(sorted_weights * true[order], axis=1)[:, ends]
    fp = np.cumsum(sorted_weights * ~true[order], axis=1)[:, ends]
    found = []
    with np.errstate(invalid="ignore"):
        for specificity in specificities:
            allowed = (fp <= (1 - specificity) * fp[:, -1:] * (1 + 1e-6)).sum(axis=1)
            best = np.take_along_axis(tp, np.maximum(allowed - 1, 0)[:, None], axis=1)[:, 0]
            found.append(np.where(allowed > 0, best, 0) / tp[:, -1].astype(np.float64))
    known = (tp[:, -1] > 0) & (fp[:, -1] > 0)
    return np.where(known[:, None], np.stack(found, axis=1), np.nan)
