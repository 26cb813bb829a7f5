"""Training seeds as readers of the same cases (Obuchowski and Rockette, 1995; Hillis, 2007).

Seeds are readers nested in arms, crossed with cases. The variance over seeds holds the noise of training
and the noise that a seed makes on its own cases; covariances between seeds hold what all seeds share: the
draw of the cases. So neither is counted twice, whichever of both dominates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.intervals.closed_form import Z, t_quantile

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """Variance of a mean over seeds, or of a difference of two such means.

    ``seeds``: the share of the seeds. ``cases``: the share of the draw of the cases. ``df``: Hillis' degrees
    of freedom; infinite with one seed, which says nothing of training.
    """

    seeds: float
    cases: float
    df: float

    @property
    def error(self) -> float:
        """The standard error."""
        return math.sqrt(self.seeds + self.cases)


def arm_spread(values: Floats, draws: Floats) -> Spread:
    """Variance of one arm's mean over seeds: s^2 / S + cov2.

    Args:
        values: the metric of each seed, float64 (n_seeds,).
        draws: the same in each resample of the cases, float64 (n_resamples, n_seeds).
    """
    shared = _mean_covariance(draws)
    if len(values) < 2:
        return Spread(0.0, _variance(draws), math.inf)
    seeds = float(values.var(ddof=1)) / len(values)
    return with_freedom(seeds, max(shared, 0.0), len(values) - 1)


def difference_spread(one: Floats, other: Floats, one_draws: Floats, other_draws: Floats) -> Spread:
    """Variance of the difference of two arms' means over seeds: 2 (s^2 / S + max(cov2 - cov3, 0)).

    Covariances: cov2 of two seeds of an arm, cov3 of two seeds of different arms. With one seed each the
    variance of the two models' difference over the cases.

    Args:
        one, other: the metric of each seed, float64 (n_seeds,); as many for both.
        one_draws, other_draws: the same in each resample of the cases, float64 (n_resamples, n_seeds).
    """
    n_seeds = len(one)
    if n_seeds < 2:
        return Spread(0.0, _variance(one_draws - other_draws), math.inf)
    pooled = (float(one.var(ddof=1)) + float(other.var(ddof=1))) / 2
    within = (_mean_covariance(one_draws) + _mean_covariance(other_draws)) / 2
    between = _cross_covariance(one_draws, other_draws)
    return with_freedom(2 * pooled / n_seeds, 2 * max(within - between, 0.0), 2 * (n_seeds - 1))


def combine_bounds(values: Floats, low: Floats, high: Floats, draws: Floats) -> tuple[float, float]:
    """95% interval of one arm's mean over seeds, lopsided as those of its models.

    The models' own intervals, which hold the cases' noise, shrink to what the seeds share of it, and are
    widened by the seeds. Few seeds may look alike by luck, so the interval is never narrower than the cases
    alone make that of the mean: with two seeds of independent errors 0.89 were covered without.

    Args:
        values, low, high: of each seed, float64 (n_seeds,), all defined.
        draws: the metric in each resample, float64 (n_resamples, n_seeds).
    """
    value, below, above = (
        float(values.mean()),
        float((values - low).mean()),
        float((high - values).mean()),
    )
    if len(values) < 2:
        return value - below, value + above
    spread = arm_spread(values, draws)
    alone = float(np.nanvar(draws, axis=0, ddof=1).mean())
    # Where no resample moves anything, the models' intervals are by formula, and all that is known.
    share = math.sqrt(min(spread.cases / alone, 1.0)) if alone > 0 else 1.0
    least = math.sqrt(min(_variance_of_mean(draws) / alone, 1.0)) if alone > 0 else 1.0
    stretch = float(t_quantile(spread.df)) / Z
    seeds = Z * math.sqrt(spread.seeds)
    return (
        value - max(stretch * math.hypot(below * share, seeds), below * least),
        value + max(stretch * math.hypot(above * share, seeds), above * least),
    )


def with_freedom(seeds: float, cases: float, n_free: float) -> Spread:
    """A spread with Hillis' degrees of freedom; *n_free*: those of the seeds' share alone."""
    df = (seeds + cases) ** 2 / (seeds**2 / n_free) if seeds > 0 else math.inf
    return Spread(seeds, cases, df)


def _variance(draws: Floats) -> float:
    """Variance of the defined resamples of one model."""
    known = draws[np.isfinite(draws).all(axis=1)]
    return float(known.var(axis=0, ddof=1).mean()) if len(known) > 1 else 0.0


def _variance_of_mean(draws: Floats) -> float:
    """Variance of the mean over seeds, over the cases alone."""
    return _variance(draws.mean(axis=1, keepdims=True))


def _centred(draws: Floats) -> Floats:
    return np.asarray(np.nan_to_num(draws - np.nanmean(draws, axis=0)))


def _mean_covariance(draws: Floats) -> float:
    """Mean covariance of two different seeds of one arm."""
    n = draws.shape[1]
    if n < 2:
        return _variance(draws)
    moved = _centred(draws)
    covariance = moved.T @ moved / (len(moved) - 1)
    return float((covariance.sum() - np.trace(covariance)) / (n * (n - 1)))


def _cross_covariance(one: Floats, other: Floats) -> float:
    """Mean covariance of a seed of one arm and a seed of the other."""
    return float((_centred(one).T @ _centred(other) / (len(one) - 1)).mean())
