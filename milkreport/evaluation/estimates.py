"""A value over seeds with its interval over resamples."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.part_record import Estimate
from milkreport.evaluation.resampling import over_seeds, percentile_interval
from milkreport.streams import stream

Floats = npt.NDArray[np.float64]


def estimate(values: Sequence[float], draws: Sequence[Floats] = ()) -> Estimate:
    """Mean over seeds with its interval.

    Args:
        values: one a seed. draws: the same in each resample, float64 (n_resamples,), one array a seed.

    Returns:
        undefined if the value of any seed is.
    """
    if not values or not np.isfinite(values).all():
        return Estimate(value=None)
    bounds = error = None
    if len(draws) > 0:
        stacked = np.stack(draws, axis=1)
        bounds = percentile_interval(over_seeds(stacked, stream(0, "seeds")))
        error = spread(stacked.mean(axis=1))
    low, high = bounds or (None, None)
    return Estimate(
        value=statistics.fmean(values),
        low=low,
        high=high,
        seed_sd=statistics.stdev(values) if len(values) > 1 else None,
        sampling_error=error,
    )


def spread(draws: Floats) -> float | None:
    """Standard deviation of the draws that are defined: the bootstrap's standard error."""
    known = draws[np.isfinite(draws)]
    return float(known.std(ddof=1)) if len(known) > 1 else None
