"""Runs of different data, as the blocks of a ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from milkreport.errors import ConfigError
from milkreport.evaluation.data_sets import DataSet, DataSetRanking, Floats, rank_data_sets
from milkreport.evaluation.metrics.measures import Plan, draw, measure
from milkreport.evaluation.metrics.named import check_name, define, pick
from milkreport.evaluation.pooled_predictions import pool_folds
from milkreport.evaluation.records.results import Results
from milkreport.runs.collect import load_scored
from milkreport.runs.evaluated import declared_plan
from milkreport.runs.folder import RunFolder
from milkreport.tables import plural

N_RESAMPLES = 1000

#: Folders and results by label, of :func:`milkreport.runs.combined.load_runs`.
Runs = Mapping[str, tuple[RunFolder, Results]]


def are_of_different_data(runs: Runs) -> bool:
    """Whether no two of these runs were made from the same data.

    Raises:
        ConfigError: some of them were, and others not.
    """
    prints = [results.data.fingerprint for _, results in runs.values()]
    if len(set(prints)) == 1 or not all(prints):
        return False
    if len(set(prints)) < len(prints):
        what = "some of these runs are of the same data, others of other data"
        raise ConfigError(
            what, "rank one run per data set, or report those of one data set together"
        )
    return True


def rank_runs(runs: Runs, arms: Sequence[str], primary: str) -> DataSetRanking:
    """The arms that all runs have, ranked over the runs' data sets by their test parts.

    Args:
        arms: names of those to take; empty: all that every run has. primary: the metric; empty: the one that
            all runs declared.

    Raises:
        ConfigError: fewer than two arms in common; several metrics declared; synthetic
            data.
    """
    drawn = [label for label, (_, results) in runs.items() if results.data.synthetic]
    if drawn:
        what = f"{drawn[0]} is of synthetic data, which gives no result"
        raise ConfigError(what, "rank runs of real data")
    metric, _ = declared_plan([results for _, results in runs.values()], primary)
    scored = [
        [arm.name for arm in results.arms if arm.part("test") is not None]
        for _, results in runs.values()
    ]
    shared = [name for name in scored[0] if all(name in names for names in scored[1:])]
    unknown = [name for name in arms if name not in shared]
    if unknown:
        what = f"{unknown[0]} is not an arm of every run; in all: {', '.join(shared) or 'none'}"
        raise ConfigError(what, "choose by --arm NAME")
    chosen = [name for name in shared if not arms or name in arms]
    if len(chosen) < 2:
        shares = plural(len(chosen), "arm name", "arm names")
        what = f"these runs share {shares} with a result, a ranking takes two"
        raise ConfigError(what, "give the same methods the same names, as in evaluate NAME=FILE")
    blocks = [
        _block(label, folder, results, chosen, metric) for label, (folder, results) in runs.items()
    ]
    ranking = rank_data_sets(chosen, blocks, metric, define(metric).better)
    every = dict.fromkeys(name for names in scored for name in names)
    left_out = [] if arms else [name for name in every if name not in shared]
    return ranking.model_copy(update={"left_out": left_out})


def _block(
    label: str, folder: RunFolder, results: Results, arms: Sequence[str], metric: str
) -> DataSet:
    """One run's values and their resamples, means over its seeds."""
    positive = tuple(results.data.positive)
    try:
        check_name(metric, results.classes, positive)
    except ConfigError as error:
        do = "choose a metric that every run has by --primary"
        raise ConfigError(f"{label}: {error.what}", do) from error
    pools = {}
    for name in arms:
        arm = next(arm for arm in results.arms if arm.name == name)
        pools[name] = pool_folds(load_scored(folder, arm, results.classes)["test"])
    first = next(iter(pools[arms[0]].values()))
    for name in arms:
        p = next(iter(pools[name].values()))
        if not np.array_equal(p.case_ids, first.case_ids):
            raise ConfigError(
                f"{name} was tested on other cases in {label}", "leave it out by --arm"
            )
    plan = Plan(metric, positive, n_resamples=N_RESAMPLES)
    drawn = draw(pools, plan, folder.load_case_facts().group_positions(first.case_ids))

    def mean(found: list[Floats | None]) -> Floats:
        # Hard labels have no ranking metric: undefined, which the ranking refuses by name.
        known = [np.asarray(np.nan if value is None else value, np.float64) for value in found]
        return np.asarray(np.mean(known, axis=0), np.float64)

    classes = results.classes
    values = [
        mean([pick(measure(p, positive), metric, classes) for p in pools[name].values()])
        for name in arms
    ]
    moved = [
        mean([pick(found, metric, classes) for found in drawn[name].values()]) for name in arms
    ]
    return DataSet(
        name=f"{results.data.name} ({label})" if results.data.name != label else label,
        n_cases=len(first.truth),
        n_classes=len(classes),
        n_seeds=tuple(len(pools[name]) for name in arms),
        values=np.array(values, np.float64),
        drawn=np.stack(np.broadcast_arrays(*[np.atleast_1d(m) for m in moved]), axis=1).astype(
            np.float64
        ),
    )
