"""How many cases and training seeds a comparison needs, by the model that analyses it (``readers``).

The variance of a difference of two arms' means over S seeds, on n cases, is::

    V(n, S) = 2 [(training / folds + own n0 / n) / S + shared n0 / n]

``training``: variance over trainings of one model; pooling over folds averages it. ``own`` and ``shared``:
variances over n0 cases, of what a training does on its own cases and of what the trainings of one arm share
and those of the other do not. The test is Student's t with Hillis' degrees of freedom, so its power is that
of the noncentral t.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from milkreport.errors import ConfigError
from milkreport.evaluation.intervals.hidden_variance import hidden_variance
from milkreport.evaluation.intervals.readers import Spread, with_freedom
from milkreport.evaluation.planning.noise import MOST_CASES, Components
from milkreport.evaluation.planning.power import POWER, detectable, power
from milkreport.evaluation.records.data import Record

LEAST_DIFFERENCE = 1e-4
#: Training seeds per arm that are tabulated, and that the curve shows.
TABLED, DRAWN = (2, 3, 5, 10, 20), (2, 5, 10)
#: No search goes further, and nobody pools over more folds.
MOST_SEEDS, MOST_FOLDS = 1000, 100


class Design(Record):
    """What a comparison of two arms can find: on so many cases, with so many seeds per arm.

    ``power``: the chance to find the difference asked for. ``detectable``: the difference found with 80%
    power. ``cases_needed``: to find the difference asked for with 80% power; ``None``: no number of cases.
    """

    n_cases: int
    n_seeds: int
    standard_error: float
    df: float | None
    power: float
    detectable: float
    cases_needed: int | None


class Moved(Record):
    """The answer if one component were *factor* times what was assumed."""

    component: str
    factor: float
    detectable: float
    cases_needed: int | None


class Curve(Record):
    """The difference found with 80% power, against the number of cases."""

    n_seeds: int
    n_cases: list[int]
    detectable: list[float]


class PowerPlan(Record):
    """What was asked, what is assumed, and the answer.

    ``seeds_needed``: on the cases at hand; ``None``: no number of seeds up to 1,000.
    """

    difference: float
    components: Components
    at_hand: Design
    seeds_needed: int | None
    designs: list[Design]
    moved: list[Moved]
    curves: list[Curve]


def plan(components: Components, difference: float, n_seeds: int) -> PowerPlan:
    """What finds *difference* with 80% power in a two-sided 5% test, and what the cases at hand can find.

    Raises:
        ConfigError: a difference out of 0.0001 to 1, or a number of seeds out of 1 to 1,000.
    """
    if not LEAST_DIFFERENCE <= difference <= 1:
        raise ConfigError(f"difference {difference:g}", f"give {LEAST_DIFFERENCE:g} to 1")
    if not 1 <= n_seeds <= MOST_SEEDS:
        raise ConfigError(f"{n_seeds:,} seeds", f"give 1 to {MOST_SEEDS:,}")
    n = components.n_cases
    grid = sorted({n, *np.geomspace(max(n / 4, 2), n * 16, 25).round().astype(int).tolist()})
    by_seeds = [design(components, difference, n, s) for s in sorted({*TABLED, n_seeds})]
    return PowerPlan(
        difference=difference,
        components=components,
        at_hand=next(row for row in by_seeds if row.n_seeds == n_seeds),
        seeds_needed=seeds_needed(components, difference, n),
        designs=by_seeds,
        moved=[
            _move(components, difference, n_seeds, names, factor)
            for names in (("training",), ("own", "shared"))
            for factor in (0.5, 2.0)
        ],
        curves=[
            Curve(
                n_seeds=s,
                n_cases=grid,
                detectable=[detectable(difference_at(components, m, s)) for m in grid],
            )
            for s in sorted({*DRAWN, n_seeds})
        ],
    )


def design(components: Components, difference: float, n_cases: int, n_seeds: int) -> Design:
    """What two arms of *n_seeds* can find on *n_cases*."""
    spread = difference_at(components, n_cases, n_seeds)
    return Design(
        n_cases=n_cases,
        n_seeds=n_seeds,
        standard_error=spread.error,
        df=spread.df if math.isfinite(spread.df) else None,
        power=power(difference, spread),
        detectable=detectable(spread),
        cases_needed=cases_needed(components, difference, n_seeds),
    )


def difference_at(components: Components, n_cases: float, n_seeds: int) -> Spread:
    """Variance of the difference of two arms' means over seeds; with one seed, of two trained models'."""
    c, share = components, components.n_cases / n_cases
    hidden = hidden_variance(c.metric, np.asarray(c.supports) / share)
    if n_seeds < 2:
        return Spread(0.0, 2 * (c.own + c.shared) * share + hidden, math.inf)
    seeds = 2 * (c.training / c.folds + c.own * share) / n_seeds
    return with_freedom(seeds, 2 * c.shared * share + hidden, 2 * (n_seeds - 1))


def cases_needed(components: Components, difference: float, n_seeds: int) -> int | None:
    """The fewest cases that show *difference* with 80% power; ``None`` where training noise hides it.

    With very few seeds more cases can lower the power: the more of the variance is the seeds', the fewer
    are its degrees of freedom. Hence the walk up a grid before the bisection.
    """

    def enough(n: int) -> bool:
        return power(difference, difference_at(components, n, n_seeds)) >= POWER

    grid = np.unique(np.geomspace(len(components.supports), MOST_CASES, 150).astype(int)).tolist()
    first = next((i for i, n in enumerate(grid) if enough(n)), None)
    if not first:
        return None if first is None else grid[0]
    return _least(enough, grid[first - 1], grid[first])


def seeds_needed(components: Components, difference: float, n_cases: int) -> int | None:
    """The fewest seeds per arm, two at least, that show *difference* on *n_cases* with 80% power."""

    def enough(n_seeds: int) -> bool:
        return power(difference, difference_at(components, n_cases, n_seeds)) >= POWER

    return _least(enough, 1, MOST_SEEDS) if enough(MOST_SEEDS) else None


def _least(enough: Callable[[int], bool], low: int, high: int) -> int:
    """The least number from *low* + 1 to *high* that is enough; *high* is."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _move(
    components: Components, difference: float, n_seeds: int, names: Sequence[str], factor: float
) -> Moved:
    changed = {name: getattr(components, name) * factor for name in names}
    moved = components.model_copy(update=changed)
    return Moved(
        component="training" if "training" in names else "cases",
        factor=factor,
        detectable=detectable(difference_at(moved, moved.n_cases, n_seeds)),
        cases_needed=cases_needed(moved, difference, n_seeds),
    )
