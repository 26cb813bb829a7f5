"""95% intervals of calibration: intercept, slope, Brier scores, and the groups of the curve, of one model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.intervals.bounds import bound_share
from milkreport.evaluation.intervals.closed_form import t_quantile
from milkreport.evaluation.intervals.clusters import count_units
from milkreport.evaluation.metrics.risk import Moved

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Pair = tuple[float, float]

#: With fewer cases (or groups) of either side, no interval: none was shown to cover.
FEWEST = {"intercept": 20, "scaled_brier": 50, "slope": 100}
NO_PAIR = (float("nan"), float("nan"))


def bound_moved(name: str, found: Moved, true: Bools, groups: Ints | None) -> Pair:
    """The value plus and minus Student's t robust standard errors; nan with too few cases.

    Groups' influences are added before they are squared. The scaled Brier score's is made on the log scale
    of 1 - value.

    Args:
        name: one of ``FEWEST``. found: the value, and how far each case moves it.
    """
    value, moves = found
    units = count_units(np.stack([true, ~true], axis=1), groups)
    if not np.isfinite(value) or units.min() < FEWEST[name]:
        return NO_PAIR
    totals = moves if groups is None else np.bincount(groups, moves)
    n = len(totals)
    error = float(np.sqrt((totals**2).sum() * n / max(n - 1, 1)))
    half = float(t_quantile(units.min() - 1)) * error
    if name == "scaled_brier":
        rest = 1 - value
        return 1 - rest * float(np.exp(half / rest)), 1 - rest * float(np.exp(-half / rest))
    return value - half, value + half


def bound_groups(true: Bools, places: Ints, groups: Ints | None) -> list[Pair]:
    """The interval of the share of positive cases in each group of the curve."""
    found = []
    for place in range(int(places.max()) + 1):
        low, high = bound_share(true, places == place, groups)
        found.append((float(low), float(high)))
    return found
