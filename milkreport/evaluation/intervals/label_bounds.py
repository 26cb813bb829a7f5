"""95% intervals of everything that follows from hard answers, for one trained model.

No single method covers rare classes, strong and weak classifiers, few cases and many classes, so the interval
is the envelope of several (docs/statistics.md has what each of them does alone, and together):

1. the bootstrap's percentiles, expanded by Student's t (Hesterberg, 2015), whose degrees of freedom follow
   from the classes' supports;
2. the value less the bootstrap's bias, plus and minus 1.96 bootstrap standard errors;
3. an empirical-Bayes posterior: each class's answers are Dirichlet, one pseudo-case per row, shrunk towards
   the class itself and the overall answers. It keeps width where a class has no hit, or only hits;
4. the tables whose accuracy lies at the ends of its Wilson interval: what 1 to 3 miss where few cases are
   wrong;
5. below, for averages over classes, the classes' own intervals added as independent errors (MOVER): a class
   of few cases that were all right says little, however good the others are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.intervals.closed_form import (
    Z,
    f1_bounds,
    share_bounds,
    t_quantile,
    welch_freedom,
    wilson_bounds,
)
from milkreport.evaluation.intervals.clusters import count_units, effective_sizes
from milkreport.evaluation.metrics.confusion import score_classes, score_confusion
from milkreport.streams import stream

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bounds = tuple[Floats, Floats]

#: Tables drawn from the posterior at most, and numbers in them.
_DRAWS, _NUMBERS = 1000, 8_000_000
#: A class's metrics that follow from hard answers.
CLASS_METRICS = ("precision", "recall", "specificity", "f1")
#: Proportions of all cases: Wilson's interval alone.
_SHARES = ("accuracy", "weighted_recall")
#: The class metric whose spread over classes gives an average its degrees of freedom.
_SPREAD_BY = {
    "balanced_accuracy": "recall",
    "macro_recall": "recall",
    "macro_specificity": "recall",
    "weighted_specificity": "recall",
    "macro_precision": "precision",
    "macro_f1": "f1",
    "mcc": "f1",
    "kappa": "f1",
}


@dataclass(frozen=True)
class LabelBounds:
    """``overall``: metric to bounds, two scalars. ``classes``: metric to bounds, float64 (n_classes,) each;
    nan where a class has no value.
    """

    overall: dict[str, tuple[float, float]]
    classes: dict[str, Bounds]


def bound_labels(
    truth: Ints,
    predicted: Ints,
    n_classes: int,
    overall: Mapping[str, Floats],
    classes: Mapping[str, Floats],
    groups: Ints | None = None,
    wanted: Collection[str] = (),
) -> LabelBounds:
    """Intervals of all metrics of hard answers.

    Args:
        truth, predicted: class positions, int64 (n,).
        overall, classes: the metrics in each resample, float64 (n_resamples,) and (n_resamples, n_classes);
            without *classes* none of their intervals is made.
        groups: int64 (n,), cases that were drawn together.
        wanted: overall metrics; by default all.
    """
    own = truth[:, None] == np.arange(n_classes)
    answered = predicted[:, None] == np.arange(n_classes)
    counts = own.T.astype(np.float64) @ answered.astype(np.float64)
    right = (truth == predicted)[:, None]
    size = float(effective_sizes(np.ones_like(right), right, groups)[0])
    units = count_units(own, groups)
    present = counts.sum(axis=1) > 0
    points, class_points = score_confusion(counts), score_classes(counts)
    # Counts that independent cases would have to be as uncertain.
    thinned = counts * (size / len(truth))
    posterior = _draw_posterior(thinned)
    drawn, drawn_classes = score_confusion(posterior, present), score_classes(posterior)
    extremes = score_confusion(_extreme_tables(thinned), present)
    low_share, high_share = share_bounds(right.mean() * size, size)
    counted = {name: _count_bounds(name, own, answered, groups) for name in CLASS_METRICS}
    found: dict[str, tuple[float, float]] = {}
    for name, value in points.items():
        if not np.isfinite(value) or (wanted and name not in wanted):
            continue
        if name in _SHARES:
            found[name] = (float(low_share), float(high_share))
            continue
        by = _SPREAD_BY.get(name)
        df = float(max(size - 1, 1))
        if by:
            df = _freedom(classes[by] if classes else None, units, present)
        if groups is not None:
            df = min(df, max(int(groups.max()), 1))
        low, high = _envelope(float(value), overall[name], df)
        others = np.concatenate([_quantiles(drawn[name]), extremes[name]])
        weights = _weights(name, counts, present)
        if weights is not None:
            of_class = name.partition("_")[2].replace("accuracy", "recall")
            gaps = np.nan_to_num(class_points[of_class] - counted[of_class][0])
            low = min(low, float(value) - float(np.sqrt(((weights * gaps) ** 2).sum())))
        least = -1.0 if name in ("mcc", "kappa") else 0.0
        low, high = min(low, np.nanmin(others)), max(high, np.nanmax(others))
        found[name] = (max(float(low), least), min(float(high), 1.0))
    by_class = {
        name: _bound_class(counted[name], class_points[name], classes[name], values)
        for name, values in drawn_classes.items()
        if name in classes
    }
    return LabelBounds(found, by_class)


def bound_answers(
    truth: Ints,
    answers: npt.NDArray[np.bool_],
    score: Callable[[Floats], Floats],
    draws: Floats,
    groups: Ints | None = None,
) -> tuple[float, float]:
    """Interval of a metric of answers that may name several classes of a case, or none.

    As :func:`bound_labels`, each class a table of its own: expanded percentiles, bias-corrected standard
    errors, and the posterior.

    Args:
        answers: bool (n, n_classes).
        score: from counts (..., 4, n_classes), see :func:`milkreport.evaluation.metrics.rules.count_answers`,
            to the metric. draws: the metric in each resample, float64 (n_resamples,).
    """
    own = truth[:, None] == np.arange(answers.shape[1])
    right = own & answers
    size = float(effective_sizes(own.any(axis=1)[:, None], right.any(axis=1)[:, None], groups)[0])
    thin = size / len(truth)
    n_own, hits, alarms = (thin * x.sum(axis=0) for x in (own, right, answers & ~own))
    others = size - n_own
    share = thin * answers.sum(axis=0) / size
    weight = np.clip(((hits.sum() + 2) / (size + 4) - n_own / size @ share), 0, 1)
    prior = weight + (1 - weight) * share
    rng = stream(0, "posterior")
    drawn = (_DRAWS, answers.shape[1])
    # No case of a class, or none of the others: its rate is drawn from the prior alone.
    recall = rng.beta(hits + prior + 1e-9, np.maximum(n_own - hits, 0) + 1 - prior + 1e-9, drawn)
    alarm = rng.beta(
        alarms + (1 - weight) * share + 1e-9,
        np.maximum(others - alarms, 0) + 1 - (1 - weight) * share + 1e-9,
        drawn,
    )
    mix = rng.standard_gamma(np.broadcast_to(n_own, drawn))
    mix /= mix.sum(axis=1, keepdims=True)
    tables = [mix * recall, (1 - mix) * alarm, mix * (1 - recall), (1 - mix) * (1 - alarm)]
    ends = _quantiles(score(np.stack(tables, axis=1)))
    value = float(score(np.stack([hits, alarms, n_own - hits, others - alarms])))
    low, high = _envelope(value, draws, float(max(count_units(own, groups).max() - 1, 1)))
    low, high = max(min(low, float(ends[0])), 0.0), min(max(high, float(ends[1])), 1.0)
    # Two or three cases may leave nothing to draw: no interval.
    return (low, high) if low < high else (math.nan, math.nan)


def _weights(name: str, counts: Floats, present: npt.NDArray[np.bool_]) -> Floats | None:
    """What each class counts in an average over classes, float64 (n_classes,); ``None`` for other metrics."""
    kind, _, rest = name.partition("_")
    if kind == "weighted":
        return np.asarray(counts.sum(axis=1) / counts.sum())
    return present / present.sum() if kind in ("macro", "balanced") and rest else None


def _count_bounds(
    name: str,
    own: npt.NDArray[np.bool_],
    answered: npt.NDArray[np.bool_],
    groups: Ints | None,
) -> Bounds:
    """A class metric's intervals by its counts, at their effective sizes: float64 (n_classes,) each."""
    hits, members = own & answered, own
    if name == "precision":
        members = answered
    elif name == "f1":
        members = own | answered
    elif name == "specificity":
        hits, members = ~own & ~answered, ~own
    sizes = effective_sizes(members, hits, groups)
    n = members.sum(axis=0)
    share = np.divide(hits.sum(axis=0), n, out=np.zeros(len(n)), where=n > 0)
    return (f1_bounds if name == "f1" else share_bounds)(share * sizes, sizes)


def _bound_class(counted: Bounds, points: Floats, draws: Floats, posterior: Floats) -> Bounds:
    """A class metric's intervals: by its counts, bootstrap and posterior; the widest."""
    bounds = [counted]
    for values in (draws, posterior):
        known = np.where(np.isfinite(values), values, points)
        low, high = np.percentile(known, [2.5, 97.5], axis=0)
        bounds.append((low, high))
    lows, highs = (np.stack(side) for side in zip(*bounds, strict=True))
    undefined = ~np.isfinite(points)
    return (
        np.where(undefined, np.nan, lows.min(axis=0)),
        np.where(undefined, np.nan, highs.max(axis=0)),
    )


def _envelope(value: float, draws: Floats, df: float) -> tuple[float, float]:
    """Expanded percentiles, and the bias-corrected value with its standard errors: the wider of both."""
    from scipy.special import ndtr  # here: slow to load, and points need none of it

    known = draws[np.isfinite(draws)]
    if not len(known):
        return value, value
    stretch = np.sqrt((df + 1) / df) if np.isfinite(df) else 1.0
    tail = 100 * float(ndtr(-stretch * float(t_quantile(df))))
    low, high = np.percentile(known, [tail, 100 - tail])
    centre, error = 2 * value - known.mean(), known.std()
    return min(float(low), centre - Z * error), max(float(high), centre + Z * error)


def _freedom(draws: Floats | None, units: Ints, present: npt.NDArray[np.bool_]) -> float:
    """Degrees of freedom of an average over classes (Welch and Satterthwaite), each class with its units.

    A class's variance is that of its draws, float64 (n_resamples, n_classes); without them one over its
    units.
    """
    if draws is None:
        kept = present
        variances = 1 / np.maximum(units[kept], 1)
    else:
        known = np.where(np.isfinite(draws), draws, np.nan)
        kept = present & np.isfinite(known).any(axis=0)
        variances = np.nanvar(known[:, kept], axis=0)
    return welch_freedom(variances, units[kept])


def _draw_posterior(counts: Floats) -> Floats:
    """Tables drawn from the empirical-Bayes posterior: float64 (n_draws, n_classes, n_classes).

    A row's prior is one pseudo-case: the class itself with weight lambda, the overall answers with the rest;
    lambda is the accuracy beyond what the answers' and classes' shares give by chance, two right and two
    wrong cases added so that it is never 0 or 1 for few cases.
    """
    k, n = len(counts), counts.sum()
    answers, classes = counts.sum(axis=0) / n, counts.sum(axis=1) / n
    chance = float(answers @ classes)
    accuracy = (np.trace(counts) + 2) / (n + 4)
    weight = max(0.0, (accuracy - chance) / (1 - chance)) if chance < 1 else 0.0
    alpha = counts + weight * np.eye(k) + (1 - weight) * answers
    n_draws = int(np.clip(_NUMBERS // k**2, 200, _DRAWS))
    rng = stream(0, "posterior")
    rows = rng.standard_gamma(np.broadcast_to(alpha, (n_draws, k, k)))
    rows /= np.maximum(rows.sum(axis=2, keepdims=True), 1e-300)
    mix = rng.standard_gamma(np.broadcast_to(counts.sum(axis=1), (n_draws, k)))
    mix /= mix.sum(axis=1, keepdims=True)
    return np.asarray(rows * mix[:, :, None])


def _extreme_tables(counts: Floats) -> Floats:
    """The table with its accuracy at both ends of Wilson's interval: float64 (2, n_classes, n_classes).

    Errors keep their places; one more is spread over all of them, by the shares of classes and answers.
    """
    k, n = len(counts), counts.sum()
    right, classes = np.diag(counts), counts.sum(axis=1) / n
    answers = (counts.sum(axis=0) + 1) / (n + k)
    spread = np.outer(classes, answers) * ~np.eye(k, dtype=bool)
    spread = spread / spread.sum() if spread.sum() > 0 else spread
    hits = (right + classes) / (right.sum() + 1)
    errors = (counts - np.diag(right) + spread) / (n - right.sum() + 1)
    low, high = wilson_bounds(right.sum(), n)
    return np.stack([share * np.diag(hits) + (1 - share) * errors for share in (low, high)])


def _quantiles(draws: Floats) -> Floats:
    known = draws[np.isfinite(draws)]
    return np.percentile(known, [2.5, 97.5]) if len(known) else np.full(2, np.nan)
