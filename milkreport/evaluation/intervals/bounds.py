"""95% intervals of all that is measured of one trained model; ``readers`` joins those of seeds."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.intervals.closed_form import (
    Z,
    auc_bounds,
    average_precision_bounds,
    logit_bounds,
    mean_bounds,
    share_bounds,
    t_quantile,
)
from milkreport.evaluation.intervals.clusters import count_all, count_units, effective_sizes
from milkreport.evaluation.intervals.label_bounds import bound_labels
from milkreport.evaluation.metrics.calibration import case_brier, case_log_loss
from milkreport.evaluation.metrics.measures import Measured
from milkreport.evaluation.metrics.positive import SPECIFICITIES, split_positive
from milkreport.evaluation.metrics.ranking import TOP, truth_ranks
from milkreport.evaluation.reading.predictions import Predictions

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
#: Both ends in the shape of the points: arrays, or single numbers.
Bounds = tuple[Floats, Floats]

#: Average precision of few cases is too high on average, and a mean over classes adds that up: with fewer,
#: no interval of a class, and none of the mean over classes.
_FEW_FOR_PRECISION, _FEW_FOR_AVERAGE = 20, 100
#: A mean of losses that is carried by fewer cases, or comes from fewer groups, has no interval.
_FEW_FOR_MEAN, _FEW_GROUPS = 10, 30
#: Of fewer cases (or groups), no class's error is taken to cancel another's.
_FEW_TO_CANCEL = 10
_MEANS = {"log_loss": case_log_loss, "brier": case_brier}


@dataclass(frozen=True)
class ModelBounds:
    """Metric to lower and upper bounds, in the shapes of the points of :class:`Measured`; nan where there are
    none. What is not named has no interval that was shown to cover.
    """

    overall: dict[str, Bounds] = field(default_factory=dict)
    classes: dict[str, Bounds] = field(default_factory=dict)
    positive: dict[str, Bounds] = field(default_factory=dict)


def bound_model(
    p: Predictions,
    points: Measured,
    draws: Measured,
    groups: Ints | None = None,
    positive: tuple[str, ...] = (),
) -> ModelBounds:
    """Intervals of one model's metrics on the cases of *p*.

    Args:
        points, draws: what was measured, on the cases and on their resamples.
        groups: int64 (n,), cases that were drawn together.
    """
    n_classes = len(p.classes)
    few_units = count_all(len(p.truth), groups) < _FEW_TO_CANCEL
    labels = bound_labels(p.truth, p.predicted, n_classes, draws.overall, draws.classes, groups)
    overall: dict[str, Bounds] = {
        name: (np.asarray(low), np.asarray(high)) for name, (low, high) in labels.overall.items()
    }
    classes = dict(labels.classes)
    if p.kind != "labels":
        own = p.truth[:, None] == np.arange(n_classes)
        ranked = _bound_ranking(points.classes, draws.classes, own, groups)
        classes |= ranked
        for name, bounds in ranked.items():
            known = np.isfinite(points.classes[name])
            few = count_units(own, groups)[known].min(initial=_FEW_FOR_AVERAGE)
            if known.any() and (name == "auc" or few >= _FEW_FOR_AVERAGE):
                low, high = mean_bounds(
                    points.classes[name][known],
                    bounds[0][known],
                    bounds[1][known],
                    _correlation(draws.classes[name][:, known], few_units),
                )
                if n_classes > 2:
                    # A sum of many lopsided errors is less lopsided than they are.
                    high = max(high, float(points.classes[name][known].mean()) + (high - low) / 2)
                overall[f"macro_{name}"] = (np.asarray(max(low, 0.0)), np.asarray(min(high, 1.0)))
        ranks = truth_ranks(p.truth, p.probabilities)
        for k in TOP:
            if f"top_{k}_accuracy" in points.overall:
                overall[f"top_{k}_accuracy"] = bound_share(ranks <= k, None, groups)
    if p.kind == "probabilities":
        wrong = p.predicted != p.truth
        for name, score in _MEANS.items():
            values = score(p.truth, p.probabilities)
            overall[name] = _bound_mean(values, wrong, draws.overall[name], groups)
    return ModelBounds(overall, classes, _bound_positive(p, points, draws, groups, positive))


def _bound_ranking(
    points: dict[str, Floats],
    draws: dict[str, Floats],
    own: npt.NDArray[np.bool_],
    groups: Ints | None,
) -> dict[str, Bounds]:
    """AUC and average precision of classes, or of one score; *own*, bool (n, k): which cases are in each."""
    n = len(own)
    members, others = count_units(own, groups), count_units(~own, groups)
    known = np.isfinite(points["auc"])
    m, rest = np.maximum(members, 1), np.maximum(others, 1)
    value = np.where(known, points["auc"], 0.5)
    fewer = np.minimum(m, rest)  # the side that the error is mostly of
    correction = np.sqrt(fewer / np.maximum(fewer - 1, 1))
    error = np.where(known, draws["auc"].std(axis=0), 0) * correction
    # Newcombe's keeps its width where the classes are fully apart; the logit's allows for groups and unequal
    # spreads. With groups Newcombe's counts groups, the least that there may be.
    bounds = (
        auc_bounds(value, m, rest),
        logit_bounds(np.clip(value, 1 / (4 * n), 1 - 1 / (4 * n)), error),
    )
    low, high = np.minimum(bounds[0][0], bounds[1][0]), np.maximum(bounds[0][1], bounds[1][1])
    found = {"auc": (np.where(known, low, np.nan), np.where(known, high, np.nan))}
    if "average_precision" in draws:
        value = np.where(known, points["average_precision"], 0.5)
        error = np.where(known, draws["average_precision"].std(axis=0), 0)
        low, high = average_precision_bounds(value, error * correction, m)
        many = known & (m >= _FEW_FOR_PRECISION)
        found["average_precision"] = (np.where(many, low, np.nan), np.where(many, high, np.nan))
    return found


def bound_share(
    hits: npt.NDArray[np.bool_], members: npt.NDArray[np.bool_] | None, groups: Ints | None
) -> Bounds:
    """The interval of the share of *members* (by default all cases) that are hits: bool (n,) both."""
    among = np.ones_like(hits) if members is None else members
    size = effective_sizes(among[:, None], (hits & among)[:, None], groups)[0]
    share = (hits & among).sum() / max(int(among.sum()), 1)
    return share_bounds(share * size, size)


def _bound_mean(
    values: Floats, wrong: npt.NDArray[np.bool_], draws: Floats, groups: Ints | None
) -> Bounds:
    """A mean loss over cases: percentiles and Student's t; above also t on the log scale, and as many more
    wrong answers as Wilson's interval of their share allows, each with the mean loss of one.

    A wrong answer costs so much more than a right one that a sample with few of them has too small a mean
    and too small a spread. Nothing where hardly any case (or group) carries the mean: the squared sum over
    the sum of squares.

    Args:
        values: float64 (n,), losses. wrong: bool (n,). draws: the mean in each resample.
    """
    totals = values if groups is None else np.bincount(groups, values)
    mean, error = float(values.mean()), float(draws.std())
    carried = float(totals.sum() ** 2 / max(float((totals**2).sum()), 1e-300))
    if carried < _FEW_FOR_MEAN or (groups is not None and len(totals) < _FEW_GROUPS):
        return np.asarray(np.nan), np.asarray(np.nan)
    quantile = float(t_quantile(carried - 1))
    low, high = np.percentile(draws, [2.5, 97.5])
    stretched = mean * float(np.exp(quantile * error / mean))
    # One more wrong answer at a loss of 1 where hardly any is known.
    cost = float((values[wrong].sum() + 1) / (wrong.sum() + 1))
    more = float(bound_share(wrong, None, groups)[1] - wrong.mean())
    return (
        np.asarray(max(min(low, mean - quantile * error), 0.0)),
        np.asarray(max(high, mean + quantile * error, stretched, mean + more * cost)),
    )


def _bound_positive(
    p: Predictions,
    points: Measured,
    draws: Measured,
    groups: Ints | None,
    positive: tuple[str, ...],
) -> dict[str, Bounds]:
    if not positive:
        return {}
    true, answered, _ = split_positive(p, positive)
    found = {
        "sensitivity": bound_share(answered, true, groups),
        "specificity": bound_share(~answered, ~true, groups),
    }
    if "auc" in points.positive and np.isfinite(points.positive["auc"]):
        ranked = ("auc", "average_precision")
        one = {name: points.positive[name][None] for name in ranked}
        drawn = {name: draws.positive[name][:, None] for name in ranked}
        for name, (low, high) in _bound_ranking(one, drawn, true[:, None], groups).items():
            found[name] = (low[0], high[0])
        # The threshold is chosen on these cases; the count's own interval is a floor, not the whole.
        size = effective_sizes(true[:, None], (true & answered)[:, None], groups)[0]
        value = points.positive["at_specificity"]
        percentiles = np.nanpercentile(draws.positive["at_specificity"], [2.5, 97.5], axis=0)
        counted = share_bounds(value * size, np.full(len(SPECIFICITIES), size))
        found["at_specificity"] = (
            np.minimum(percentiles[0], counted[0]),
            np.maximum(percentiles[1], counted[1]),
        )
    if "net_benefit" in points.positive:
        value, drawn_benefit = points.positive["net_benefit"], draws.positive["net_benefit"]
        # Where no case is called positive there is nothing to draw: no interval.
        error = drawn_benefit.std(axis=0)
        half = Z * np.where(error > 0, error, np.nan)
        found["net_benefit"] = (value - half, value + half)
    return found


def _correlation(draws: Floats, few: bool = False) -> Floats:
    """Correlations of columns; those that never move are uncorrelated with all others.

    Few groups move all columns together or against one another: none may then cancel another's errors.
    """
    moved = draws - draws.mean(axis=0)
    scale = moved.std(axis=0)
    scaled = np.divide(moved, scale, out=np.zeros_like(moved), where=scale > 1e-12)
    found = scaled.T @ scaled / len(draws)
    np.fill_diagonal(found, 1.0)
    return np.asarray(np.maximum(found, 0) if few else found)
