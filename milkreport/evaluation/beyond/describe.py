"""One arm's test predictions beyond the test part, as a record."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.beyond.abstention import describe_abstention
from milkreport.evaluation.beyond.conformal import describe_sets
from milkreport.evaluation.beyond.forecast import describe_forecast
from milkreport.evaluation.metrics.measures import Plan, weakest
from milkreport.evaluation.pooled_predictions import PooledPredictions
from milkreport.evaluation.records.beyond import Beyond, Forecast

Ints = npt.NDArray[np.int64]


def describe_beyond(pool: PooledPredictions, plan: Plan, groups: Ints | None) -> Beyond | None:
    """Abstention, prediction sets and the forecast that the plan asks for; ``None`` if there is none of them.

    Args:
        pool: of the test part. groups: int64 (n,), cases that are drawn together.

    Raises:
        ConfigError: the plan's class shares name an unknown class, or do not sum to 1.
    """
    seeds, bounded = [*pool.seeds.values()], bool(pool.draws)
    abstention = sets = None
    if weakest([p.kind for p in seeds]) != "labels":
        abstention = describe_abstention(seeds, groups, bounded=bounded)
    if pool.sets:
        sets = describe_sets(seeds, [*pool.sets.values()], groups, bounded=bounded)
    forecast = _forecast(pool, plan, groups, bounded=bounded)
    if abstention is None and sets is None and forecast is None:
        return None
    return Beyond(abstention=abstention, sets=sets, forecast=forecast)


def _forecast(
    pool: PooledPredictions, plan: Plan, groups: Ints | None, *, bounded: bool
) -> Forecast | None:
    if plan.shares is None:
        return None
    classes = pool.first.classes
    counts = np.bincount(pool.first.truth, minlength=len(classes))
    shares = plan.shares.complete(classes, counts.tolist())
    return describe_forecast(
        pool.seeds,
        {seed: answers.called for seed, answers in pool.answers.items()},
        shares,
        groups,
        plan,
        plan.shares.draw(shares),
        plan.shares.counted,
        bounded=bounded,
    )
