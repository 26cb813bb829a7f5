"""Intervals by formula, where a bootstrap fails: proportions, F1, AUC, and averages of them over classes.

A class without a hit has F1 0 in every resample, so a bootstrap gives it no width at all, and the macro
average too little (in simulations its 95% interval covered as few as 65%; docs/statistics.md). Wilson's
interval does not collapse.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.results import SEEDS_TO_RANK

Floats = npt.NDArray[np.float64]
Bounds = tuple[Floats, Floats]

Z = 1.959963984540054
#: With fewer hits or misses F1 and precision take these formulas; with more, the bootstrap covers better.
FEW_COUNTS = 10


def wilson_bounds(hits: npt.ArrayLike, n: npt.ArrayLike) -> Bounds:
    """95% Wilson score intervals of proportions (Wilson, 1927); (0, 1) where n is 0.

    Both of one shape, as are the lower and upper bounds, float64; the same holds for the other formulas.
    Counts may be means over seeds: cases that some seeds get right vary less than those that are right or
    wrong for all, so the interval is then a little wide.
    """
    hits, n = np.asarray(hits, np.float64), np.asarray(n, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        p, squared = hits / n, Z * Z / n
        centre = (p + squared / 2) / (1 + squared)
        half = np.sqrt(np.maximum(p * (1 - p), 0) * squared + squared**2 / 4) / (1 + squared)
    low = np.where(n > 0, np.clip(centre - half, 0, 1), 0.0)
    high = np.where(n > 0, np.clip(centre + half, 0, 1), 1.0)
    return low, high


def f1_bounds(hits: npt.ArrayLike, involved: npt.ArrayLike) -> Bounds:
    """95% intervals of F1 from Wilson's of F* = TP / (TP + FP + FN), of which it is 2 F* / (1 + F*).

    F* (Hand, Christen and Kirielle, 2021) is a proportion among the cases that are of the class or answered
    as it, *involved*; the transformed interval is Lam's indirect one (2023).
    """
    low, high = wilson_bounds(hits, involved)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def auc_bounds(auc: npt.ArrayLike, n_cases: npt.ArrayLike, n_others: npt.ArrayLike) -> Bounds:
    """95% intervals of AUCs (Newcombe, 2006, method 5): all values from which *auc* is 1.96 errors or less.

    The error is Hanley and McNeil's at the value itself, symmetrised, so that the interval neither collapses
    at an AUC of 1 nor leaves 0 to 1. Found by bisection. There is
    one case and one other at least.
    """
    auc, m, n = (np.asarray(a, np.float64) for a in (auc, n_cases, n_others))
    half = (m + n) / 2 - 1

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


def with_seeds(value: float, low: float, high: float, values: list[float]) -> tuple[float, float]:
    """An interval over cases widened by the standard error over seeds, from five seeds on.

    The two errors are added as squares on each side.
    """
    if len(values) < SEEDS_TO_RANK:
        return low, high
    error = Z * float(np.std(values, ddof=1)) / np.sqrt(len(values))
    return value - float(np.hypot(value - low, error)), value + float(np.hypot(high - value, error))


def mean_bounds(values: Floats, low: Floats, high: Floats) -> tuple[float, float]:
    """95% interval of the mean of values with intervals of their own, all float64 (n,).

    MOVER (Zou and Donner, 2008): each side's distances are added as squares; the values are taken as
    independent, which classes nearly are.
    """
    n, mean = len(values), float(values.mean())
    below, above = values - low, high - values
    return mean - float(np.sqrt((below**2).sum())) / n, mean + float(np.sqrt((above**2).sum())) / n
