"""Two arms over the same cases, folds and seeds: whether they pair, and their difference metric by metric."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from milkreport.errors import DataError
from milkreport.evaluation.definitions import CLASS_DEFINITIONS, DEFINITIONS
from milkreport.evaluation.estimates import spread
from milkreport.evaluation.measures import Measured, Plan, measure
from milkreport.evaluation.metrics import defined
from milkreport.evaluation.pools import CaseFacts, Cells, Pool, pool_arms
from milkreport.evaluation.predictions import Predictions
from milkreport.evaluation.resampling import over_seeds, percentile_interval
from milkreport.evaluation.results import Difference
from milkreport.streams import stream

Floats = npt.NDArray[np.float64]

#: 1.96 + 0.84 standard errors: the difference that a two-sided 5% test finds with 80% power.
_POWER = 1.96 + 0.84


def refuse_unpaired(pools: Mapping[str, Pool], seeds: Sequence[int]) -> None:
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
    draws: Sequence[Sequence[Measured]],
    place: int | None = None,
) -> Difference | None:
    """One metric of two arms, of the class at *place* or overall.

    ``None`` where it is undefined or was not resampled for either.
    """
    if not all(_has_value(m, metric, place) for side in (*points, *draws) for m in side):
        return None
    gaps = [
        float(_pick_value(a, metric, place) - _pick_value(b, metric, place))
        for a, b in zip(*points, strict=True)
    ]
    if not np.isfinite(gaps).all():
        return None
    one, other = (np.stack([_pick_value(m, metric, place) for m in side], axis=1) for side in draws)
    # Seeds are drawn after differencing, so both sides always have the same ones.
    drawn = over_seeds(one - other, stream(0, "seeds"))
    bounds, error = percentile_interval(drawn), spread(drawn)
    if bounds is None or error is None:
        return None
    return Difference(
        arm=pair[0],
        against=pair[1],
        metric=metric,
        value=statistics.fmean(gaps),
        low=bounds[0],
        high=bounds[1],
        standard_error=error,
        p=None,
        p_holm=None,
        detectable=_POWER * error,
        sampling_error=spread((one - other).mean(axis=1)),
        seed_sd=statistics.stdev(gaps) if len(gaps) > 1 else None,
    )


def _has_value(m: Measured, metric: str, place: int | None) -> bool:
    """Whether a metric was measured: overall, or by class where a place is asked for."""
    return metric in (m.overall if place is None else m.classes)


def _pick_value(m: Measured, metric: str, place: int | None) -> Floats:
    """A metric, or one class's; resamples first where there are any."""
    return m.overall[metric] if place is None else m.classes[metric][..., place]


def _harden(p: Predictions) -> Predictions:
    """The answers alone."""
    return replace(p, probabilities=np.eye(len(p.classes))[p.predicted])


def describe_pair(
    one: Cells, other: Cells, wanted: Sequence[tuple[str, str]], facts: CaseFacts
) -> list[tuple[float | None, float | None, Difference | None]]:
    """Two sets of test predictions on the seeds that both have, metric by metric; nothing is tested.

    Args:
        wanted: metric and class name, which is empty for a metric of all classes.

    Returns:
        for each: the first's value, the second's (means over seeds, ``None`` where undefined), and the paired
        difference first - second.

    Raises:
        DataError: not the same cases, labels or folds, or no seed in common.
    """
    pair = ("this", "the other")
    plan = Plan()
    known = DEFINITIONS | CLASS_DEFINITIONS
    sides = [one, other]
    if all(known[metric].needs == "labels" for metric, _ in wanted):
        # Ranks and probabilities are most of the work, and nobody asked for them.
        sides = [{key: _harden(p) for key, p in side.items()} for side in sides]
    pools = pool_arms(dict(zip(pair, sides, strict=True)), "test", plan, facts)
    seeds = sorted(set.intersection(*(set(pool.seeds) for pool in pools.values())))
    if not seeds:
        raise DataError("no training seed in common", "run the same seeds")
    refuse_unpaired(pools, seeds)
    classes = pools[pair[0]].first.classes
    points = tuple([measure(pools[name].seeds[s]) for s in seeds] for name in pair)
    draws = [[pools[name].draws[s] for s in seeds] for name in pair]
    found = []
    for metric, class_name in wanted:
        place = classes.index(class_name) if class_name else None
        means = [
            defined(float(np.mean([_pick_value(m, metric, place) for m in side])))
            if all(_has_value(m, metric, place) for m in side)
            else None
            for side in points
        ]
        difference = paired_difference(metric, pair, (points[0], points[1]), draws, place)
        found.append((means[0], means[1], difference))
    return found
