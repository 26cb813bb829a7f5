"""Intervals by formula: proportions, F1, AUC, average precision, and means of values with intervals.

None of them has zero width. Where cases come in groups, counts are divided by the design effect first.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bounds = tuple[Floats, Floats]

Z = 1.959963984540054
#: Fewer hits or misses are few.
_FEW = 10


def t_quantile(df: npt.ArrayLike, level: float = 0.975) -> Floats:
    """Quantile of Student's t, or of the normal where *df* is infinite."""
    from scipy.special import ndtri, stdtrit  # here: slow to load, and points need none of it

    df = np.asarray(df, np.float64)
    finite = np.isfinite(df)
    return np.asarray(np.where(finite, stdtrit(np.where(finite, df, 1), level), ndtri(level)))


def welch_freedom(variances: Floats, units: npt.NDArray[np.generic]) -> float:
    """Degrees of freedom of a sum of estimated variances (Welch, 1947; Satterthwaite, 1946).

    Args:
        variances: float64 (k,), each estimated from as many *units*, (k,). Infinite where all are 0.
    """
    squares = float((variances**2 / np.maximum(units - 1, 1)).sum())
    return float(variances.sum()) ** 2 / squares if squares > 0 else np.inf


def wilson_bounds(hits: npt.ArrayLike, n: npt.ArrayLike) -> Bounds:
    """95% Wilson score intervals of proportions (Wilson, 1927); (0, 1) where n is 0.

    Both of one shape, as are the lower and upper bounds, float64; the same holds for the other formulas.
    Counts may be fractions: of an effective sample size.
    """
    hits, n = np.asarray(hits, np.float64), np.asarray(n, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        p, squared = hits / n, Z * Z / n
        centre = (p + squared / 2) / (1 + squared)
        half = np.sqrt(np.maximum(p * (1 - p), 0) * squared + squared**2 / 4) / (1 + squared)
    low = np.where(n > 0, np.clip(centre - half, 0, 1), 0.0)
    high = np.where(n > 0, np.clip(centre + half, 0, 1), 1.0)
    return low, high


def share_bounds(hits: npt.ArrayLike, n: npt.ArrayLike) -> Bounds:
    """95% intervals of proportions: Wilson's, or Clopper and Pearson's where hits or misses are few.

    Wilson's covers less than it says for a share near 0 or 1 of which one or two cases were seen.
    """
    from scipy.special import betaincinv  # here: slow to load, and points need none of it

    hits, n = np.asarray(hits, np.float64), np.asarray(n, np.float64)
    low, high = wilson_bounds(hits, n)
    misses = np.maximum(n - hits, 0)
    few = (np.minimum(hits, misses) < _FEW) & (n > 0)
    x, rest = np.where(few, hits, 1.0), np.where(few, misses, 1.0)
    least = np.where(x > 0, betaincinv(np.maximum(x, 1e-9), rest + 1, 0.025), 0.0)
    most = np.where(rest > 0, betaincinv(x + 1, np.maximum(rest, 1e-9), 0.975), 1.0)
    return np.where(few, np.minimum(low, least), low), np.where(few, np.maximum(high, most), high)


def jeffreys_bounds(hits: Floats, n: Floats) -> tuple[Floats, Floats]:
    """95% intervals of proportions from Jeffreys' prior (Brown, Cai and DasGupta, 2001), float64 (k,) both.

    They are closest to 95% on average over shares, so that sums of many keep about their nominal coverage.
    """
    from scipy.special import betaincinv  # here: slow to load, and points need none of it

    misses = np.maximum(n - hits, 0)
    low = np.where(hits > 0, betaincinv(hits + 0.5, misses + 0.5, 0.025), 0.0)
    high = np.where(misses > 0, betaincinv(hits + 0.5, misses + 0.5, 0.975), 1.0)
    return np.asarray(low), np.asarray(high)


def f1_bounds(hits: npt.ArrayLike, involved: npt.ArrayLike) -> Bounds:
    """95% intervals of F1 from those of F* = TP / (TP + FP + FN), of which it is 2 F* / (1 + F*).

    F* (Hand, Christen and Kirielle, 2021) is a proportion among the cases that are of the class or answered
    as it, *involved*; the transformed interval is Lam's indirect one (2023).
    """
    low, high = share_bounds(hits, involved)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def auc_bounds(auc: npt.ArrayLike, n_cases: npt.ArrayLike, n_others: npt.ArrayLike) -> Bounds:
    """95% intervals of AUCs (Newcombe, 2006, method 5): all values from which *auc* is 1.96 errors or less.

    The error is Hanley and McNeil's at the value itself, symmetrised, so that the interval neither collapses
    at an AUC of 1 nor leaves 0 to 1. Found by bisection. There is
    one case and one other at least.
    """
    auc, m, n = (np.asarray(a, np.float64) for a in (auc, n_cases, n_others))
    half = np.maximum((m + n) / 2 - 1, 0)

    def is_near(value: Floats) -> npt.NDArray[np.bool_]:
        factor = 1 + half * ((1 - value) / (2 - value) + value / (1 + value))
        return np.asarray(
            np.abs(value - auc) <= Z * np.sqrt(value * (1 - value) * factor / (m * n))
        )

    low = _edge(is_near, auc, np.zeros_like(auc))
    return low, _edge(is_near, auc, np.ones_like(auc))


def _edge(is_near: Callable[[Floats], npt.NDArray[np.bool_]], near: Floats, far: Floats) -> Floats:
    """Where nearness ends between *near* and *far*."""
    for _ in range(50):
        middle = (near + far) / 2
        inside = is_near(middle)
        near, far = np.where(inside, middle, near), np.where(inside, far, middle)
    return near


def logit_bounds(value: npt.ArrayLike, error: npt.ArrayLike, quantile: npt.ArrayLike = Z) -> Bounds:
    """Intervals of values from 0 to 1 that are symmetric on the logit scale, by the delta method.

    Args:
        value: above 0 and below 1. error: standard error of *value*.
    """
    value = np.clip(np.asarray(value, np.float64), 1e-9, 1 - 1e-9)
    half = np.asarray(quantile) * np.asarray(error, np.float64) / (value * (1 - value))
    centre = np.log(value / (1 - value))
    # A tail that overflows is at 0 or 1.
    low, high = (np.clip(centre + sign * half, -50, 50) for sign in (-1, 1))
    return 1 / (1 + np.exp(-low)), 1 / (1 + np.exp(-high))


def average_precision_bounds(
    value: npt.ArrayLike, error: npt.ArrayLike, n_cases: npt.ArrayLike
) -> Bounds:
    """95% intervals of average precisions: the wider of two on the logit scale, on each side.

    One has the error of the binomial of the *n_cases* cases of the class (Boyd, Eng and Page, 2013), the
    other that of the cases' influence, with Student's t for as many cases.
    """
    value, m = np.asarray(value, np.float64), np.asarray(n_cases, np.float64)
    inside = np.clip(value, np.minimum(1e-3, 1 / (4 * m)), 1 - 1 / (4 * m))
    low, high = logit_bounds(inside, np.sqrt(inside * (1 - inside) / m))
    other = logit_bounds(inside, error, t_quantile(np.maximum(m - 1, 1)))
    # So near to 1 that it was moved for the logit: up to 1.
    high = np.where(value > inside, 1.0, np.maximum(high, other[1]))
    return np.minimum(low, other[0]), high


def mean_bounds(
    values: Floats, low: Floats, high: Floats, correlation: Floats
) -> tuple[float, float]:
    """95% interval of the mean of dependent values with intervals of their own, all float64 (n,).

    MOVER (Zou and Donner, 2008; with correlations Zou, 2007): each side's distances are added as the
    standard errors of correlated values would be. *correlation* is float64 (n, n).
    """
    n, mean = len(values), float(values.mean())
    below, above = values - low, high - values
    return (
        mean - float(np.sqrt(max(float(below @ correlation @ below), 0.0))) / n,
        mean + float(np.sqrt(max(float(above @ correlation @ above), 0.0))) / n,
    )


def ratio_bounds(
    one: tuple[float, float, float], other: tuple[float, float, float]
) -> tuple[float, float]:
    """95% interval of the ratio of two independent proportions, each (value, low, high).

    MOVER-R (Donner and Zou, 2012; Newcombe, 2013): solved from the intervals of both, so that no zero breaks
    it. The upper bound is infinite where the denominator may be 0.
    """
    (p, low, high), (q, least, most) = one, other
    product = p * q
    inside = max(product**2 - low * most * (2 * p - low) * (2 * q - most), 0.0)
    below = most * (2 * q - most)
    # With most = 2 q the quadratic is a line.
    lower = (
        (product - inside**0.5) / below
        if abs(below) > 1e-12
        else low * (2 * p - low) / max(2 * product, 1e-300)
    )
    above = least * (2 * q - least)
    if least <= 0:
        return max(lower, 0.0), float("inf")
    inside = max(product**2 - high * least * (2 * p - high) * (2 * q - least), 0.0)
    return max(lower, 0.0), (product + inside**0.5) / above
