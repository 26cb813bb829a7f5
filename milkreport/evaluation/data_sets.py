"""Arms ranked over several data sets, and how stable that order is. Nothing is pooled.

Each data set is a block: the arms are ranked within it, and ranks are averaged over the data sets (Demsar,
2006). How the order moves when cases are drawn anew follows Wiesenfarth et al. (2021, challengeR); whether
arms differ at all over data sets is Friedman's test (1937), by permutation within the blocks, which holds for
few data sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, product
from math import factorial

import numpy as np
import numpy.typing as npt

from milkreport.errors import ConfigError
from milkreport.evaluation.records.data import Record
from milkreport.streams import stream

Floats = npt.NDArray[np.float64]

#: Permutations that are counted out; beyond them as many are drawn.
MOST_PERMUTATIONS = 20_000
#: Two data sets leave the test nothing to say at 0.05.
FEWEST_DATA_SETS = 3


@dataclass(frozen=True)
class DataSet:
    """One block.

    ``values``: the metric of each arm, float64 (n_arms,); ``drawn``: the same in resamples of its cases,
    float64 (n_resamples, n_arms). ``n_seeds``: of each arm.
    """

    name: str
    n_cases: int
    n_classes: int
    n_seeds: tuple[int, ...]
    values: Floats
    drawn: Floats


class RankedDataSet(Record):
    """One data set of a ranking.

    ``values`` and ``ranks`` by arm, rank 1 the best, ties share the mean rank. ``tau``: mean Kendall's tau-b
    of the order in resamples of the cases with the order found, from -1 to 1. ``first_without``: arms with
    the best mean rank if this data set is left out.
    """

    name: str
    n_cases: int
    n_classes: int
    n_seeds: dict[str, int]
    values: dict[str, float]
    ranks: dict[str, float]
    tau: float
    first_without: list[str]


class DataSetRanking(Record):
    """The arms over all data sets, the best mean rank first.

    ``first``: share of the resamples in which the arm has the best mean rank, shared among equals; ``low``
    and ``high``: 2.5th and 97.5th percentile of its mean rank in them. ``p``: of Friedman's test; ``None``
    with fewer than three data sets. ``least_p``: the least that it can be with so many arms and data sets.
    ``left_out``: arms that not every data set has.
    """

    schema_version: int = 1
    metric: str
    better: str
    arms: list[str]
    mean_ranks: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]
    first: dict[str, float]
    p: float | None
    least_p: float
    left_out: list[str] = []
    data_sets: list[RankedDataSet]


def rank_rows(values: Floats) -> Floats:
    """Ranks along the last axis, 1 for the smallest, equal values share the mean of their places."""
    below = (values[..., None, :] < values[..., :, None]).sum(axis=-1)
    equal = (values[..., None, :] == values[..., :, None]).sum(axis=-1)
    return np.asarray(below + (equal + 1) / 2, np.float64)


def kendall_tau(one: Floats, other: Floats) -> Floats:
    """Kendall's tau-b of rankings along the last axis; 0 where one of them is all ties."""
    first = np.sign(one[..., :, None] - one[..., None, :])
    second = np.sign(other[..., :, None] - other[..., None, :])
    untied = np.sqrt((first**2).sum(axis=(-2, -1)) * (second**2).sum(axis=(-2, -1)))
    agreeing = (first * second).sum(axis=(-2, -1))
    return np.asarray(np.where(untied > 0, agreeing / np.maximum(untied, 1e-9), 0.0))


def friedman_statistic(ranks: Floats) -> Floats:
    """Sum of squared mean ranks' distances from their middle, of ranks (..., n_data_sets, n_arms).

    For ranks within blocks Friedman's chi-squared grows with it, so a permutation test may use either.
    """
    means = ranks.mean(axis=-2)
    return np.asarray(((means - means.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1))


def friedman_p(ranks: Floats) -> float:
    """Share of the arrangements of ranks within data sets, float64 (n, k), whose statistic is as large.

    All arrangements where they are few, else drawn ones, with the one found among them (Phipson and Smyth,
    2010).
    """
    n, k = ranks.shape
    found = float(friedman_statistic(ranks)) - 1e-9
    if factorial(k) ** (n - 1) <= MOST_PERMUTATIONS:
        # The first block may stay as it is: exchanging the arms everywhere changes nothing.
        orders = [list(order) for order in permutations(range(k))]
        blocks = [[ranks[i, order] for order in orders] for i in range(1, n)]
        drawn = np.array([[ranks[0], *rows] for rows in product(*blocks)])
        return float((friedman_statistic(drawn) >= found).mean())
    rng = stream(0, "friedman")
    tiled = np.broadcast_to(ranks, (MOST_PERMUTATIONS, n, k))
    drawn = rng.permuted(tiled, axis=-1)
    hits = int((friedman_statistic(drawn) >= found).sum())
    return (1 + hits) / (1 + MOST_PERMUTATIONS)


def rank_data_sets(
    arms: Sequence[str], data_sets: Sequence[DataSet], metric: str, better: str
) -> DataSetRanking:
    """The ranking of *arms* by *metric* over *data_sets*; *better*: "higher" or "lower" values.

    Raises:
        ConfigError: fewer than two arms or data sets, or a value is undefined.
    """
    if len(arms) < 2 or len(data_sets) < 2:
        raise ConfigError("a ranking takes two arms and two data sets", "name more runs or arms")
    for found in data_sets:
        for arm, value in zip(arms, found.values, strict=True):
            if not np.isfinite(value):
                what = f"{metric} of {arm} is undefined in {found.name}"
                raise ConfigError(
                    what, "choose another by --primary, or leave the arm out by --arm"
                )
    sign = -1.0 if better == "higher" else 1.0
    values = np.array([found.values for found in data_sets])
    ranks = rank_rows(sign * values)
    # Cases of different data sets are drawn independently: any resample of one goes with any of another.
    n_drawn = min(len(found.drawn) for found in data_sets)
    moved = np.stack(
        [
            rank_rows(sign * stream(i, "data sets").permutation(found.drawn)[:n_drawn])
            for i, found in enumerate(data_sets)
        ],
        axis=1,
    )
    mean, means = ranks.mean(axis=0), moved.mean(axis=1)
    leads = np.isclose(means, means.min(axis=1, keepdims=True))
    first = (leads / leads.sum(axis=1, keepdims=True)).mean(axis=0)
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    order = sorted(range(len(arms)), key=lambda i: (mean[i], -first[i]))
    n, k = ranks.shape

    def by_arm(row: Floats) -> dict[str, float]:
        return {arms[i]: float(row[i]) for i in order}

    return DataSetRanking(
        metric=metric,
        better=better,
        arms=[arms[i] for i in order],
        mean_ranks=by_arm(mean),
        low=by_arm(low),
        high=by_arm(high),
        first=by_arm(first),
        p=friedman_p(ranks) if n >= FEWEST_DATA_SETS else None,
        least_p=1 / factorial(k) ** (n - 1),
        data_sets=[
            RankedDataSet(
                name=found.name,
                n_cases=found.n_cases,
                n_classes=found.n_classes,
                n_seeds={arms[j]: found.n_seeds[j] for j in order},
                values=by_arm(found.values),
                ranks=by_arm(ranks[i]),
                tau=float(kendall_tau(moved[:, i], ranks[i]).mean()),
                first_without=_first([arms[j] for j in order], np.delete(ranks, i, 0)[:, order]),
            )
            for i, found in enumerate(data_sets)
        ],
    )


def _first(arms: Sequence[str], ranks: Floats) -> list[str]:
    """The arms with the best mean rank."""
    means = ranks.mean(axis=0)
    return [arm for arm, mean in zip(arms, means, strict=True) if np.isclose(mean, means.min())]
