"""Two runs' predictions of the same cases, metric by metric: what a gate decides on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from milkreport.errors import DataError
from milkreport.evaluation.intervals.clusters import count_all
from milkreport.evaluation.intervals.gate_bounds import (
    accuracy_difference_bounds,
    difference_bounds,
)
from milkreport.evaluation.metrics.confusion import defined
from milkreport.evaluation.metrics.measures import Plan, measure
from milkreport.evaluation.paired_difference import count_support, refuse_unpaired, stack_seeds
from milkreport.evaluation.pooled_predictions import CaseFacts, Cells, pool_arms
from milkreport.evaluation.reading.copies import count_copies, find_copies, is_telling

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
) -> PairedRuns:
    """Two sets of test predictions on the seeds that both have, metric by metric; nothing is tested.

    Copies of a case are drawn together with it, as a group.

    Args:
        wanted: metric and class name, which is empty for a metric of all classes.

    Raises:
        DataError: not the same cases, labels or folds, or no seed in common.
    """
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
    sides = [[plain[name].seeds[s] for s in seeds] for name in _PAIR]
    points = [[measure(p) for p in side] for side in sides]
    support = count_support(first, groups)
    found = []
    for metric, class_name in wanted:
        name = f"{metric}:{class_name}" if class_name else metric
        values = [stack_seeds(name, side, first.classes) for side in points]
        mine, theirs = values
        means = [None if v is None else defined(float(v.mean())) for v in values]
        bounds = None
        if mine is not None and theirs is not None and None not in means:
            if metric in _ACCURACY and len(seeds) == 1:
                right, rival = (side[0].predicted == first.truth for side in sides)
                bounds = accuracy_difference_bounds(right, rival, groups)
            else:
                pair = (sides[0], sides[1])
                bounds = difference_bounds(name, pair, (mine, theirs), support, groups)
        found.append(PairedValue(means[0], means[1], bounds))
    return PairedRuns(
        values=found,
        n_units=count_all(len(first.truth), groups),
        supports=dict(zip(first.classes, support.tolist(), strict=True)),
        grouped=groups is not None,
        n_copies=0 if roots is None else count_copies(roots),
        identical=all(np.array_equal(a, b) and is_telling(a) for a, b in zip(*rows, strict=True)),
    )
