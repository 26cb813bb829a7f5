"""Two sets of test predictions, described metric by metric: what a check against an earlier run rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from milkreport.errors import DataError
from milkreport.evaluation.compare import (
    has_value,
    paired_difference,
    pick_value,
    refuse_unpaired,
)
from milkreport.evaluation.definitions import CLASS_DEFINITIONS, DEFINITIONS
from milkreport.evaluation.measures import Plan, measure
from milkreport.evaluation.metrics import defined
from milkreport.evaluation.pools import CaseFacts, Cells, pool_arms
from milkreport.evaluation.predictions import Predictions
from milkreport.evaluation.results import Difference


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
            defined(float(np.mean([pick_value(m, metric, place) for m in side])))
            if all(has_value(m, metric, place) for m in side)
            else None
            for side in points
        ]
        difference = paired_difference(metric, pair, (points[0], points[1]), draws, place)
        found.append((means[0], means[1], difference))
    return found
