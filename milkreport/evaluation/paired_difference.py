"""Two arms over the same cases, folds and seeds: whether they pair, and their difference metric by metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from milkreport.errors import DataError
from milkreport.evaluation.intervals.closed_form import auc_bounds, t_quantile, welch_freedom
from milkreport.evaluation.intervals.clusters import count_units
from milkreport.evaluation.intervals.estimates import spread
from milkreport.evaluation.intervals.hidden_variance import count_sides, reveal
from milkreport.evaluation.intervals.readers import Spread, difference_spread, with_freedom
from milkreport.evaluation.metrics.measures import Measured
from milkreport.evaluation.metrics.named import define, pick, widest_difference
from milkreport.evaluation.planning.power import detectable
from milkreport.evaluation.pooled_predictions import PooledPredictions
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.results import Difference, Superiority

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Training seeds per arm from which the chance of the better one is estimated (Bouthillier et al., 2021).
SEEDS_FOR_SUPERIORITY = 10


def refuse_unpaired(pools: Mapping[str, PooledPredictions], seeds: Sequence[int]) -> None:
    """Refuse arms that can't be paired on these seeds.

    Raises:
        DataError: other cases, labels or folds.
    """
    names = list(pools)
    reference = pools[names[0]].seeds[seeds[0]]
    for name, pool in pools.items():
        for seed in seeds:
            p = pool.seeds[seed]
            mine, theirs = set(p.case_ids.tolist()), set(reference.case_ids.tolist())
            what = f"{name} and {names[0]} can't be compared"
            if mine != theirs or len(p.case_ids) != len(reference.case_ids):
                what += f": other cases ({len(mine - theirs):,} and {len(theirs - mine):,} alone)"
                raise DataError(what, "score both on the same cases")
            if not np.array_equal(p.truth, reference.truth):
                n = int((p.truth != reference.truth).sum())
                raise DataError(f"{what}: other labels of {n:,} cases", "use one truth")
        if pool.n_folds != pools[names[0]].n_folds:
            what = f"{name} and {names[0]} can't be compared: {pool.n_folds} and "
            what += f"{pools[names[0]].n_folds} folds"
            raise DataError(what, "pool both over the same folds")


def paired_difference(
    metric: str,
    pair: tuple[str, str],
    points: tuple[Sequence[Measured], Sequence[Measured]],
    draws: tuple[Sequence[Measured], Sequence[Measured]],
    support: Ints,
    classes: Sequence[str],
    margin: float | None = None,
    positive: Sequence[str] = (),
    n_groups: int | None = None,
) -> Difference | None:
    """One metric of two arms, by its name; ``None`` where it is undefined for either.

    With one seed each it is that of two trained models, with two and more that of two methods
    (:mod:`milkreport.evaluation.intervals.readers`).

    Args:
        support: cases, or groups, of each class, int64 (n_classes,).
        n_groups: groups that the cases come in; ``None``: each by itself.
    """
    sides = [stack_seeds(metric, side, classes) for side in (*points, *draws)]
    if any(side is None for side in sides):
        return None
    one, other, one_draws, other_draws = (side for side in sides if side is not None)
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return None
    # What is undefined in a resample (a class that it lost) says nothing.
    one_draws, other_draws = one_draws.T, other_draws.T
    known = np.isfinite(one_draws).all(axis=1) & np.isfinite(other_draws).all(axis=1)
    if known.sum() < 2:
        return None
    one_draws, other_draws = one_draws[known], other_draws[known]
    found = difference_spread(one, other, one_draws, other_draws)
    cases = reveal(metric, found.cases, support, classes, positive)
    if len(one) < 2:
        n_free = _freedom(metric, draws, support, classes, positive)
        # However many cases they hold, few groups tell little of their own variance.
        n_free = n_free if n_groups is None else min(n_free, max(n_groups - 1, 1))
        found = (
            with_freedom(cases, 0.0, n_free) if np.isfinite(n_free) else Spread(0.0, cases, n_free)
        )
    else:
        found = with_freedom(found.seeds, cases, 2 * (len(one) - 1))
    df, most = found.df, widest_difference(metric)
    value = float(one.mean() - other.mean())
    half = [float(t_quantile(df, level)) * found.error for level in (0.975, 0.95)]
    gaps = one - other
    return Difference(
        arm=pair[0],
        against=pair[1],
        metric=metric,
        value=value,
        low=max(value - half[0], -most),
        high=min(value + half[0], most),
        low90=max(value - half[1], -most),
        high90=min(value + half[1], most),
        standard_error=found.error,
        p=two_sided_p(value, found.error, df) if len(one) > 1 else None,
        p_holm=None,
        detectable=detectable(found),
        sampling_error=spread((one_draws - other_draws).mean(axis=1)),
        seed_sd=float(gaps.std(ddof=1)) if len(gaps) > 1 else None,
        by_seed=gaps.tolist() if len(gaps) > 1 else [],
        df=df if np.isfinite(df) else None,
        margin=margin,
        superiority=_superiority(one, other, define(metric).better),
    )


def two_sided_p(value: float, error: float, df: float) -> float:
    """Two-sided p of Student's t; 1 where there is no error at all."""
    from scipy.special import stdtr

    if error <= 0:
        return 1.0
    return float(2 * stdtr(min(df, 1e9), -abs(value) / error))


def _freedom(
    metric: str,
    draws: tuple[Sequence[Measured], Sequence[Measured]],
    support: Ints,
    classes: Sequence[str],
    positive: Sequence[str],
) -> float:
    """Degrees of freedom of one model's difference from another: of an average, by its classes.

    Infinite for counts, whose variance is that of their values.
    """
    by = {
        "macro_f1": "f1",
        "balanced_accuracy": "recall",
        "macro_auc": "auc",
        "macro_average_precision": "average_precision",
    }.get(metric)
    first, second = draws[0][0].classes, draws[1][0].classes
    if by is None or by not in first or by not in second:
        if define(metric).needs == "labels":
            return float("inf")
        own, others = count_sides(metric, support, classes, positive)
        fewest = int(support.sum()) if own is None or others is None else min(own, others)
        return float(max(fewest - 1, 1))
    moved = first[by] - second[by]
    kept = np.isfinite(moved).any(axis=0) & (support > 0)
    variances = np.nanvar(moved[:, kept], axis=0)
    return welch_freedom(variances, support[kept])


def _superiority(one: Floats, other: Floats, better: str) -> Superiority | None:
    """How often a new training of the first arm scores better than one of the other, from ten seeds on."""
    if len(one) < SEEDS_FOR_SUPERIORITY:
        return None
    wins = (one[:, None] > other[None, :]) + 0.5 * (one[:, None] == other[None, :])
    value = float(wins.mean()) if better == "higher" else float(1 - wins.mean())
    low, high = auc_bounds(value, len(one), len(other))
    return Superiority(value=value, low=float(low), high=float(high))


def stack_seeds(metric: str, side: Sequence[Measured], classes: Sequence[str]) -> Floats | None:
    """The metric of all seeds, seeds first; ``None`` where one has it not."""
    found = [pick(m, metric, classes) for m in side]
    return None if any(v is None for v in found) else np.stack([v for v in found if v is not None])


def count_support(p: Predictions, groups: Ints | None) -> Ints:
    """Cases, or groups of cases, of each class: int64 (n_classes,)."""
    return count_units(p.truth[:, None] == np.arange(len(p.classes)), groups)
