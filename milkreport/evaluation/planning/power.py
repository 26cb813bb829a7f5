"""Power of the comparison's test: Student's t with Hillis' degrees of freedom (``readers``)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.intervals.closed_form import Z, t_quantile
from milkreport.evaluation.intervals.readers import Spread

Floats = npt.NDArray[np.float64]

POWER = 0.8

#: Gauss and Legendre's points between 0 and 1.
_NODES, _WEIGHTS = (half / 2 for half in np.polynomial.legendre.leggauss(48))
_NODES = _NODES + 0.5


def power(difference: float, spread: Spread) -> float:
    """Chance that a two-sided 5% test shows a true *difference*.

    The mean over what the seeds' variance may be estimated as, which sets error and degrees of freedom of
    the test. Without variance over cases it is the power of the noncentral t.
    """
    return float(_power(abs(difference) / spread.error, spread)) if spread.error > 0 else 1.0


def detectable(spread: Spread) -> float:
    """The difference that a two-sided 5% test shows with 80% power."""
    if spread.error <= 0:
        return 0.0
    low, high = 0.0, 1.0
    while _power(high, spread) < POWER:
        high *= 2
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if _power(middle, spread) >= POWER else (middle, high)
    return high * spread.error


@lru_cache(maxsize=4096)
def _limits(seeds: float, n_free: float) -> Floats:
    """What a difference must exceed in the quantiles of the seeds' estimated variance, in true errors.

    Args:
        seeds: the seeds' share of the variance. n_free: degrees of freedom of its estimate.
    """
    from scipy.special import gammaincinv  # here: slow to load

    estimated = seeds * gammaincinv(n_free / 2, _NODES) * 2 / n_free
    total = estimated + (1 - seeds)
    return np.asarray(t_quantile(n_free * (total / estimated) ** 2) * np.sqrt(total))


def _power(shift: float, spread: Spread) -> float:
    """Power where the difference is *shift* standard errors."""
    from scipy.special import ndtr  # here: slow to load

    share = spread.seeds / (spread.seeds + spread.cases)
    if share <= 0:
        return float(ndtr(shift - Z) + ndtr(-shift - Z))
    limits = _limits(share, spread.df * share**2)
    return float(_WEIGHTS @ (ndtr(shift - limits) + ndtr(-shift - limits)))
