"""The ROC curve's pointwise band: 95% intervals of the sensitivity at fixed false positive rates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.intervals.closed_form import share_bounds
from milkreport.evaluation.intervals.clusters import effective_sizes
from milkreport.evaluation.intervals.estimates import estimate
from milkreport.evaluation.intervals.resampling import bootstrap_weights
from milkreport.evaluation.metrics.measures import Plan
from milkreport.evaluation.metrics.positive import sensitivities_at
from milkreport.evaluation.records.binary import BandPoint

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: False positive rates of the band: closer where good curves bend.
RATES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
#: Fewer negative cases above a rate's threshold, or positive cases, and there is no interval.
FEWEST_ABOVE, FEWEST_POSITIVE = 5, 10


def describe_band(
    seeds: Sequence[tuple[Bools, Floats]], groups: Ints | None, plan: Plan
) -> list[BandPoint]:
    """The sensitivity at each of ``RATES``, means over seeds.

    Args:
        seeds: of each training whether cases are positive, bool (n,), and their score, float64 (n,).
    """
    true = seeds[0][0]
    if true.all() or not true.any():
        return []
    n = len(true)
    specificities = [1 - rate for rate in RATES]
    drawn: list[list[Floats]] = [[] for _ in seeds]
    for weights in bootstrap_weights(n, plan.resamples(n), groups):
        for mine, (_, score) in zip(drawn, seeds, strict=True):
            mine.append(sensitivities_at(true, score, weights, specificities))
    draws = [np.concatenate(mine) for mine in drawn]
    points = [sensitivities_at(true, s, np.ones((1, n)), specificities)[0] for _, s in seeds]
    bounds = [bound_band(true, v, d, groups) for v, d in zip(points, draws, strict=True)]
    return [
        BandPoint(
            false_positive_rate=rate,
            sensitivity=estimate(
                [float(v[i]) for v in points],
                [(float(low[i]), float(high[i])) for low, high in bounds],
                [d[:, i] for d in draws],
            ),
        )
        for i, rate in enumerate(RATES)
    ]


def bound_band(
    true: Bools, values: Floats, draws: Floats, groups: Ints | None
) -> tuple[Floats, Floats]:
    """The wider of the resamples' percentiles and the share's own interval, at each rate: two float64 (k,).

    The first has the error of the threshold, the second keeps its width where no resample moves.

    Args:
        values: sensitivity at each of ``RATES``. draws: the same in each resample, (n_resamples, k).
    """
    size = effective_sizes(true[:, None], true[:, None], groups)[0]
    percentiles = np.nanpercentile(draws, [2.5, 97.5], axis=0)
    counted = share_bounds(values * size, np.full(len(values), size))
    enough = np.array(RATES) * (~true).sum() >= FEWEST_ABOVE
    enough &= true.sum() >= FEWEST_POSITIVE
    low = np.minimum(percentiles[0], counted[0])
    high = np.maximum(percentiles[1], counted[1])
    return np.where(enough, low, np.nan), np.where(enough, high, np.nan)
