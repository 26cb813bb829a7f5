"""Variances of a metric over trainings and over cases: of a pilot's trainings, or as measured elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from milkreport.errors import ConfigError, DataError
from milkreport.evaluation.records.data import Record

Floats = npt.NDArray[np.float64]

#: Cases that nobody has.
MOST_CASES = 10_000_000

#: Measured variances of one metric: of one training; own and shared, of one case, or for an average over
#: classes of one case per class. docs/planning.md says on what they were measured.
MEASURED: dict[str, tuple[float, float, float]] = {
    "macro_f1": (3.4e-4, 0.0091, 0.0043),
    "macro_auc": (2.4e-4, 0.019, 0.0082),
    "macro_average_precision": (5.4e-5, 0.012, 0.0029),
    "accuracy": (2.3e-3, 0.098, 0.065),
    "weighted_f1": (3.0e-3, 0.13, 0.064),
    "mcc": (7.4e-4, 0.14, 0.045),
    "log_loss": (6.5e-3, 0.31, 0.39),
    "brier": (9.3e-4, 0.031, 0.067),
}


class Components(Record):
    """Variances of one metric of one trained model, with the cases that they hold for.

    ``training``: over trainings, of one model. ``own`` and ``shared``: over cases, on ``n_cases`` cases.
    ``supports``: the cases, or groups of cases, of each class. ``folds``: over which predictions are pooled.
    ``arms`` and ``seeds``: the pilot trainings that this was estimated from; 0: it was measured elsewhere.
    """

    metric: str
    training: float
    own: float
    shared: float
    n_cases: int
    supports: list[int]
    folds: int = 1
    arms: int = 0
    seeds: int = 0


def estimate_components(
    metric: str,
    values: Floats,
    draws: Floats,
    n_cases: int,
    supports: Sequence[int],
    folds: int = 1,
) -> Components:
    """Components from pilot trainings: means over the arms, and over the pairs of arms.

    Args:
        values: the metric of every arm and seed, float64 (n_arms, n_seeds).
        draws: the same in each resample of the cases, float64 (n_resamples, n_arms, n_seeds).
        supports: cases, or groups of cases, of each class.

    Raises:
        DataError: fewer than two arms or two seeds, or the metric is undefined for one of them.
    """
    n_arms, n_seeds = values.shape
    if n_arms < 2:
        what = "one arm cannot show how far two arms differ from case to case"
        raise DataError(what, "use a run of two arms, or --classes")
    if n_seeds < 2:
        what = "one training seed per arm tells nothing of training noise"
        raise DataError(what, "train two seeds or more, or use --classes")
    known = draws[np.isfinite(draws).all(axis=(1, 2))]
    if not np.isfinite(values).all() or len(known) < 2:
        raise DataError(f"{metric} is undefined for an arm", "choose another metric")
    moved = (known - known.mean(axis=0)).reshape(len(known), -1)
    covariance = (moved.T @ moved / (len(moved) - 1)).reshape(n_arms, n_seeds, n_arms, n_seeds)
    arm, seed = np.arange(n_arms), np.arange(n_seeds)
    same_arm = np.broadcast_to((arm[:, None] == arm)[:, None, :, None], covariance.shape)
    same_seed = np.broadcast_to((seed[:, None] == seed)[None, :, None, :], covariance.shape)
    kept = [n for n in supports if n > 0]
    alone, within, between = (
        float(covariance[pairs].mean())
        for pairs in (same_arm & same_seed, same_arm & ~same_seed, ~same_arm)
    )
    # What resamples miss of it would count as training noise, which no number of cases averages out.
    own = max(alone - within, 0.0) * _rare_correction(metric, kept)
    return Components(
        metric=metric,
        training=max(float(values.var(axis=1, ddof=1).mean()) - own, 0.0) * folds,
        own=own,
        shared=max(within - between, 0.0),
        n_cases=n_cases,
        supports=kept,
        folds=folds,
        arms=n_arms,
        seeds=n_seeds,
    )


def _rare_correction(metric: str, supports: Sequence[int]) -> float:
    """By how much resamples understate the variance of an average over classes.

    The resampled variance of a class's value is (n_c - 1) / n_c of what it should be, which is half where a
    class has two cases, and rare classes carry most of the variance of the average. Classes of one case say
    nothing of it. 1 for other metrics.
    """
    sizes = np.asarray([n for n in supports if n > 1], np.float64)
    known = float(((sizes - 1) / sizes**2).sum())
    if not metric.startswith(("macro_", "balanced_")) or known <= 0:
        return 1.0
    return float((1 / sizes).sum()) / known


def assume_components(metric: str, supports: Sequence[int], folds: int = 1) -> Components:
    """Components that were measured elsewhere, scaled to the classes' supports.

    The sampling variance of a macro average is that of the classes' values, sum(v / n_c) / K^2; of
    other metrics v / n.

    Raises:
        ConfigError: nothing was measured of this metric, fewer than two classes, or one without cases.
    """
    if metric not in MEASURED:
        do = f"measured were {', '.join(MEASURED)}; a run (--from) tells of any metric"
        raise ConfigError(f"no measured noise of {metric!r}", do)
    if len(supports) < 2 or min(supports) < 1 or sum(supports) > MOST_CASES:
        what = f"classes {', '.join(map(str, supports[:30]))}"
        raise ConfigError(what, f"give two counts or more, each from 1, {MOST_CASES:,} in all")
    training, own, shared = MEASURED[metric]
    sizes = np.asarray(supports, np.float64)
    unit = (1 / sizes).sum() / len(sizes) ** 2 if metric.startswith("macro_") else 1 / sizes.sum()
    return Components(
        metric=metric,
        training=training,
        own=float(own * unit),
        shared=float(shared * unit),
        n_cases=sum(supports),
        supports=list(supports),
        folds=folds,
    )
