"""Uncertainty over cases: stratified bootstrap, paired permutation, Wilson.

Stratified by class: unstratified resamples of rare classes lose a class altogether. All arms see the
same resamples, so differences are paired.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from milkreport.evaluation.metrics import score_confusion
from milkreport.evaluation.results import SEEDS_TO_RANK

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def bootstrap_weights(
    truth: Ints, n_resamples: int, rng: np.random.Generator
) -> npt.NDArray[np.int32]:
    """How often each case is drawn in each resample, within its class: int32 (n_resamples, n)."""
    weights = np.zeros((n_resamples, len(truth)), np.int32)
    for c in np.unique(truth):
        members = np.flatnonzero(truth == c)
        picks = rng.integers(0, len(members), (n_resamples, len(members)))
        for row, pick in zip(weights, picks, strict=True):
            row[members] = np.bincount(pick, minlength=len(members))
    return weights


def resampled_metric(
    truth: Ints,
    predicted_by_seed: Sequence[Ints],
    n_classes: int,
    weights: npt.NDArray[np.int32],
    metric_names: Sequence[str],
) -> dict[str, Floats]:
    """Each metric of each seed's predictions in each resample: float64 (n_resamples, n_seeds)."""
    columns: dict[str, list[Floats]] = {name: [] for name in metric_names}
    for predicted in predicted_by_seed:
        codes = truth * n_classes + predicted
        counts = np.stack([np.bincount(codes, row, n_classes**2) for row in weights])
        scores = score_confusion(counts.reshape(-1, n_classes, n_classes))
        for name in metric_names:
            columns[name].append(scores[name])
    return {name: np.stack(values, axis=1) for name, values in columns.items()}


def over_seeds(values: Floats, rng: np.random.Generator) -> Floats:
    """Mean over seeds in each resample, float64 (n_resamples,).

    From five seeds on the seeds are resampled too (hierarchical bootstrap).
    """
    n_resamples, n_seeds = values.shape
    if n_seeds < SEEDS_TO_RANK:
        return np.asarray(values.mean(axis=1))
    picks = rng.integers(0, n_seeds, (n_resamples, n_seeds))
    return np.asarray(np.take_along_axis(values, picks, axis=1).mean(axis=1))


def percentile_interval(draws: Floats) -> tuple[float, float]:
    """Central 95% of the draws."""
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def permutation_p(
    truth: Ints,
    one: Sequence[Ints],
    other: Sequence[Ints],
    n_classes: int,
    metric: str,
    n_permutations: int,
    rng: np.random.Generator,
) -> float:
    """Two-sided p that two arms' predictions are exchangeable case by case.

    In each permutation a case's predictions (of all seeds together) change sides with probability 1/2;
    the statistic is the difference of the metric's means over seeds. p = (1 + hits) / (1 + n): never 0
    (Phipson and Smyth, 2010).
    """

    def mean_metric(predictions: Sequence[Ints]) -> float:
        codes = [truth * n_classes + p for p in predictions]
        counts = np.stack([np.bincount(c, minlength=n_classes**2) for c in codes])
        shaped = counts.reshape(-1, n_classes, n_classes)
        return float(score_confusion(shaped)[metric].mean())

    observed = abs(mean_metric(one) - mean_metric(other))
    hits = 0
    for _ in range(n_permutations):
        swap = rng.random(len(truth)) < 0.5
        first = [np.where(swap, b, a) for a, b in zip(one, other, strict=True)]
        second = [np.where(swap, a, b) for a, b in zip(one, other, strict=True)]
        # The tolerance counts permutations that equal the observed one up to rounding.
        hits += abs(mean_metric(first) - mean_metric(second)) >= observed - 1e-12
    return (1 + hits) / (1 + n_permutations)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values, in the given order (Holm, 1979)."""
    order = np.argsort(p_values, kind="stable")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, position in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[position]))
        adjusted[position] = largest
    return adjusted


def wilson_interval(hits: int, n: int) -> tuple[float, float]:
    """95% Wilson score interval of a proportion (Wilson, 1927). n must be positive."""
    interval = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)
