"""Two runs' predictions of the same cases, metric by metric: what a gate decides on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from milkreport.errors import DataError
from milkreport.evaluation.copies import count_copies, find_copies, is_telling
from milkreport.evaluation.definitions import CLASS_DEFINITIONS, DEFINITIONS
from milkreport.evaluation.discordance import accuracy_difference_bounds
from milkreport.evaluation.measures import Plan, draw, measure
from milkreport.evaluation.metrics import defined
from milkreport.evaluation.pair import (
    count_support,
    paired_difference,
    refuse_unpaired,
    stack_seeds,
)
from milkreport.evaluation.pools import CaseFacts, Cells, pool_arms
from milkreport.evaluation.predictions import Predictions

_PAIR = ("this", "the other")
#: The same by definition.
_ACCURACY = ("accuracy", "weighted_recall")


@dataclass(frozen=True)
class PairedValue:
    """One metric of both runs, means over seeds; ``None`` where undefined; 95% bounds of the difference."""

    ours: float | None
    theirs: float | None
    bounds: tuple[float, float] | None


@dataclass(frozen=True)
class PairedRuns:
    """``values``: one per metric that was asked for.

    ``n_units``: cases, or groups of cases that are no independent ones. ``supports``: the same of each class.
    ``n_copies``: cases that are copies of one another. ``identical``: all probabilities are
    the same to the bit, and say more than labels do.
    """

    values: list[PairedValue]
    n_units: int
    supports: dict[str, int]
    grouped: bool
    n_copies: int
    identical: bool


def describe_runs(
    one: Cells,
    other: Cells,
    wanted: Sequence[tuple[str, str]],
    facts: CaseFacts,
    plan: Plan | None = None,
) -> PairedRuns:
    """Two sets of test predictions on the seeds that both have, metric by metric; nothing is tested.

    Copies of a case are drawn together with it, as a group.

    Args:
        wanted: metric and class name, which is empty for a metric of all classes.

    Raises:
        DataError: not the same cases, labels or folds, or no seed in common.
    """
    plan = plan or Plan()
    cells = dict(zip(_PAIR, (one, other), strict=True))
    plain = pool_arms(cells, "test", Plan(intervals=False), facts)
    seeds = sorted(set.intersection(*(set(pool.seeds) for pool in plain.values())))
    if not seeds:
        raise DataError("no training seed in common", "run the same seeds")
    refuse_unpaired(plain, seeds)
    first = plain[_PAIR[0]].first
    rows = [[plain[name].seeds[s].probabilities for s in seeds] for name in _PAIR]
    roots = find_copies(first.truth, np.concatenate([*rows[0], *rows[1]], axis=1))
    if roots is not None:
        facts = facts.with_copies(first.case_ids, roots)
    groups = facts.group_positions(first.case_ids)
    known = DEFINITIONS | CLASS_DEFINITIONS
    sides = [{s: plain[name].seeds[s] for s in seeds} for name in _PAIR]
    if all(known[metric].needs == "labels" for metric, _ in wanted):
        # Ranks and probabilities are most of the work, and nobody asked for them.
        sides = [{s: _harden(p) for s, p in side.items()} for side in sides]
    points = tuple([measure(side[s], plan.positive) for s in seeds] for side in sides)
    drawn = draw(dict(zip(_PAIR, sides, strict=True)), plan, groups)
    draws = tuple([drawn[name][s] for s in seeds] for name in _PAIR)
    support = count_support(first, groups)
    found = []
    for metric, class_name in wanted:
        name = f"{metric}:{class_name}" if class_name else metric
        values = [stack_seeds(name, side, first.classes) for side in points]
        means = [None if v is None else defined(float(v.mean())) for v in values]
        difference = paired_difference(
            name, _PAIR, (points[0], points[1]), (draws[0], draws[1]), support, first.classes
        )
        bounds = None if difference is None else (difference.low, difference.high)
        if bounds and metric in _ACCURACY and len(seeds) == 1:
            answers = [next(iter(side.values())).predicted for side in sides]
            bounds = accuracy_difference_bounds(
                answers[0] == first.truth, answers[1] == first.truth, groups
            )
        found.append(PairedValue(means[0], means[1], bounds))
    return PairedRuns(
        values=found,
        n_units=len(first.truth) if groups is None else int(groups.max()) + 1,
        supports=dict(zip(first.classes, support.tolist(), strict=True)),
        grouped=groups is not None,
        n_copies=0 if roots is None else count_copies(roots),
        identical=all(np.array_equal(a, b) and is_telling(a) for a, b in zip(*rows, strict=True)),
    )


def _harden(p: Predictions) -> Predictions:
    """The answers alone."""
    return replace(p, probabilities=np.eye(len(p.classes))[p.predicted])
