"""A value over seeds with its interval."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.intervals.readers import combine_bounds
from milkreport.evaluation.records.parts import Estimate

Floats = npt.NDArray[np.float64]
#: Lower and upper bound of one model's metric.
Pair = tuple[float, float]


def estimate(
    values: Sequence[float],
    bounds: Sequence[Pair] = (),
    draws: Sequence[Floats] = (),
    limits: Pair = (0.0, 1.0),
) -> Estimate:
    """Mean over seeds with its interval.

    Args:
        values: one per seed. bounds: each model's own interval. draws: each model's metric in the same
            resamples, float64 (n_resamples,). Without bounds there is no interval.
        limits: the metric's range.

    Returns:
        undefined if the value of any seed is.
    """
    if not values or not np.isfinite(values).all():
        return Estimate(value=None)
    low = high = error = None
    drawn = np.stack(draws, axis=1) if len(draws) == len(values) else np.zeros((0, len(values)))
    if len(drawn):
        error = spread(drawn.mean(axis=1))
    if len(bounds) == len(values) and len(drawn) and np.isfinite(bounds).all():
        ends = np.asarray(bounds, np.float64).T
        found = combine_bounds(np.asarray(values, np.float64), ends[0], ends[1], drawn)
        low, high = max(found[0], limits[0]), min(found[1], limits[1])
    return Estimate(
        value=statistics.fmean(values),
        low=low,
        high=high,
        seed_sd=statistics.stdev(values) if len(values) > 1 else None,
        sampling_error=error,
    )


def of_one(values: Sequence[float], bounds: Pair) -> Estimate:
    """Mean over seeds of values whose interval is known for one training alone.

    Args:
        values: one per seed. bounds: of the one training; nan: no interval.
    """
    found = estimate(values)
    if len(values) > 1 or found.value is None or not np.isfinite(bounds).all():
        return found
    return found.model_copy(update={"low": bounds[0], "high": bounds[1]})


def spread(draws: Floats) -> float | None:
    """Standard deviation of the draws that are defined: the bootstrap's standard error."""
    known = draws[np.isfinite(draws)]
    return float(known.std(ddof=1)) if len(known) > 1 else None
