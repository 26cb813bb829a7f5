"""What the trainings of a finished run tell of noise, for the planning of another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from milkreport.errors import DataError
from milkreport.evaluation.metrics.measures import Measured, Plan, measure
from milkreport.evaluation.metrics.named import check_name, pick
from milkreport.evaluation.paired_difference import count_support, refuse_unpaired
from milkreport.evaluation.planning.noise import Components, estimate_components
from milkreport.evaluation.pooled_predictions import pool_arms
from milkreport.runs.collect import load_test_predictions
from milkreport.runs.folder import RunFolder

Floats = npt.NDArray[np.float64]


def load_components(run: Path, metric: str = "") -> Components:
    """Variances over trainings and cases, from the test predictions of a run's arms on the seeds they share.

    Args:
        metric: a name of :mod:`milkreport.evaluation.metrics.named`; empty: the run's primary metric.

    Raises:
        ConfigError: an unknown metric. DataError: not a finished run, fewer than two arms or two seeds, or a
            metric that the predictions do not have.
    """
    folder = RunFolder(run)
    results = folder.load_results()
    positive = tuple(results.data.positive)
    metric = check_name(metric or results.primary_metric, results.classes, positive)
    cells = {arm: c for arm, c in load_test_predictions(folder, results).items() if c}
    if len(cells) < 2:
        what = "one arm cannot show how far two arms differ from case to case"
        raise DataError(what, "use a run of two arms, or --classes", str(run))
    facts = folder.load_case_facts()
    pools = pool_arms(cells, "test", Plan(metric, positive), facts)
    seeds = sorted(set.intersection(*(set(pool.seeds) for pool in pools.values())))
    if len(seeds) < 2:
        what = f"its arms share {len(seeds)} training seeds: two are needed to see training noise"
        raise DataError(what, "train two seeds or more, or use --classes", str(run))
    refuse_unpaired(pools, seeds)
    first = next(iter(pools.values())).seeds[seeds[0]]

    def known(m: Measured) -> Floats:
        found = pick(m, metric, first.classes)
        if found is None:
            do = "choose another --metric: predictions of labels have no ranks and no probabilities"
            raise DataError(f"its predictions do not have {metric}", do, str(run))
        return found

    values = [[known(measure(p.seeds[s], positive)) for s in seeds] for p in pools.values()]
    draws = [[known(p.draws[s]) for s in seeds] for p in pools.values()]
    return estimate_components(
        metric,
        np.array(values, np.float64),
        np.moveaxis(np.array(draws), 2, 0),
        len(first.truth),
        count_support(first, facts.group_positions(first.case_ids)).tolist(),
        max(pool.n_folds for pool in pools.values()),
    )
