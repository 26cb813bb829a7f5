"""95% intervals of the difference of two runs on the same cases that hold at the margin of a gate.

What a gate must not miss is a loss that few cases show. So these intervals are wider than those that describe
a difference (:mod:`milkreport.evaluation.paired_difference`) where the discordant cases are few and favour
one side:

- accuracy of one model each: on each side the wider of Bonett and Price's (2012) adjusted Wald interval and
  Tango's (1998) score interval, which is exact here if no case is discordant;
- everything else: Student's t on the cases' influence (:mod:`milkreport.evaluation.intervals.influence`),
  with seeds as readers, one more case as influential as the most influential one on each side, and Johnson's
  (1978) correction for skewness, on the side where it widens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.intervals.closed_form import Z, t_quantile, welch_freedom
from milkreport.evaluation.intervals.clusters import count_all, effective_sizes, sum_groups
from milkreport.evaluation.intervals.hidden_variance import hidden_variance
from milkreport.evaluation.intervals.influence import case_influence
from milkreport.evaluation.intervals.readers import difference_spread
from milkreport.evaluation.reading.predictions import Predictions

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def difference_bounds(
    metric: str,
    sides: tuple[Sequence[Predictions], Sequence[Predictions]],
    values: tuple[Floats, Floats],
    support: Ints,
    groups: Ints | None = None,
) -> tuple[float, float] | None:
    """Interval of a metric's mean over the seeds of the first run minus that of the second.

    Args:
        metric: a name of :mod:`milkreport.evaluation.metrics.named`.
        sides: each run's seeds, on the same cases. values: the metric of each seed, float64 (n_seeds,).
        support: cases, or groups, of each class, int64 (n_classes,).
        groups: int64 (n,), cases that were drawn together.

    Returns:
        ``None`` for a metric that has no interval, or is undefined.
    """
    moves = [[case_influence(p, metric) for p in side] for side in sides]
    if any(m is None for side in moves for m in side):
        return None
    truth = sides[0][0].truth
    n = count_all(len(truth), groups)
    one, other = (np.stack([m for m in side if m is not None], axis=1) for side in moves)
    if groups is not None:
        one, other = (sum_groups(side, groups) for side in (one, other))
    # As many rows as units, each scaled so that its variance is that of the metric.
    scale = math.sqrt(n)
    spread = difference_spread(*values, one * scale, other * scale)
    gaps = one.mean(axis=1) - other.mean(axis=1)
    largest = 2 * float(np.max(gaps**2))
    cases = spread.cases + max(largest, hidden_variance(metric, support))
    total = cases + spread.seeds
    df = min(_freedom(gaps, truth, support, groups), n - 1)
    # Welch and Satterthwaite's, of both shares.
    parts = cases**2 / max(df, 1)
    if np.isfinite(spread.df) and spread.seeds > 0:
        parts += spread.seeds**2 / (2 * (len(values[0]) - 1))
    quantile = float(t_quantile(total**2 / parts if parts > 0 else np.inf))
    half = quantile * math.sqrt(total)
    shift = _skewness(gaps) * math.sqrt(spread.cases / n) * (1 + 2 * quantile**2) / 6
    value = float(values[0].mean() - values[1].mean())
    return value - half + min(shift, 0.0), value + half + max(shift, 0.0)


def _freedom(gaps: Floats, truth: Ints, support: Ints, groups: Ints | None) -> float:
    """Degrees of freedom of the variance over cases: a class of few cases brings few (Welch, Satterthwaite).

    With groups each group's share goes to its classes evenly.
    """
    k = len(support)
    if groups is None:
        shares = np.bincount(truth, gaps**2, k).astype(np.float64)
    else:
        held = sum_groups((truth[:, None] == np.arange(k)).astype(np.float64), groups)
        shares = (gaps**2 / held.sum(axis=1)) @ held
    return welch_freedom(shares, support)


def _skewness(values: Floats) -> float:
    centred = values - values.mean()
    variance = float((centred**2).mean())
    return float((centred**3).mean()) / variance**1.5 if variance > 0 else 0.0


def accuracy_difference_bounds(
    right: Bools, rival: Bools, groups: Ints | None = None
) -> tuple[float, float]:
    """Interval of the share of cases that the first model gets right minus that of the second.

    Args:
        right, rival: bool (n,), which cases each model gets right.
        groups: int64 (n,), cases that were drawn together: counts are divided by the design effect of the
            case-wise differences.
    """
    gaps = right.astype(np.float64) - rival
    size = float(effective_sizes(np.ones((len(gaps), 1), bool), gaps[:, None], groups)[0])
    gained = float((right & ~rival).mean()) * size
    lost = float((rival & ~right).mean()) * size
    adjusted, score = _bonett_price(gained, lost, size), _tango(gained, lost, size)
    return min(adjusted[0], score[0]), max(adjusted[1], score[1])


def _bonett_price(gained: float, lost: float, n: float) -> tuple[float, float]:
    """Wald's interval with one more discordant case on each side."""
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = Z * math.sqrt(max(up + down - (up - down) ** 2, 0) / (n + 2))
    return max(up - down - half, -1.0), min(up - down + half, 1.0)


def _tango(gained: float, lost: float, n: float) -> tuple[float, float]:
    """All differences from which the observed one is 1.96 standard errors or less, by bisection."""
    if gained + lost == 0:
        half = 1 - 0.025 ** (1 / n)
        return -half, half

    def is_near(d: float) -> bool:
        # The share lost that is likeliest if the true difference is d.
        b = -gained - lost + (2 * n - gained + lost) * d
        share = (math.sqrt(max(b * b + 8 * n * lost * d * (1 - d), 0)) - b) / (4 * n)
        variance = n * (2 * share + d * (1 - d))
        return abs(gained - lost - n * d) <= Z * math.sqrt(max(variance, 0))

    def edge(near: float, far: float) -> float:
        for _ in range(50):
            middle = (near + far) / 2
            near, far = (middle, far) if is_near(middle) else (near, middle)
        return near

    value = (gained - lost) / n
    return edge(value, -1.0), edge(value, 1.0)
