"""From predictions to one arm's record on one part."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.beyond.describe import describe_beyond
from milkreport.evaluation.binary.describe import describe_binary
from milkreport.evaluation.calibration_summary import calibrate, describe_positive
from milkreport.evaluation.decision_rules import describe_rules
from milkreport.evaluation.intervals.bounds import ModelBounds, bound_model
from milkreport.evaluation.intervals.estimates import estimate
from milkreport.evaluation.metrics.confusion import confusion_counts
from milkreport.evaluation.metrics.definitions import (
    DEFINITIONS,
    NOT_COMPUTED,
    computable,
    limits_of,
)
from milkreport.evaluation.metrics.measures import Measured, Plan, measure, shared, weakest
from milkreport.evaluation.metrics.rank_curves import class_curves
from milkreport.evaluation.metrics.top_share import top_shares
from milkreport.evaluation.pooled_predictions import CaseFacts, Cells, PooledPredictions, pool_arms
from milkreport.evaluation.records.data import Part
from milkreport.evaluation.records.parts import ClassRow, PartResult
from milkreport.evaluation.subgroups import describe_slices


def summarise_pool(pool: PooledPredictions, plan: Plan, facts: CaseFacts) -> PartResult:
    """Metrics of one arm on one part: means over seeds, folds pooled."""
    first, seeds = pool.first, [*pool.seeds.values()]
    kind = weakest([p.kind for p in seeds])
    points = [measure(p, plan.positive) for p in seeds]
    draws = [*pool.draws.values()]
    groups = facts.group_positions(first.case_ids) if draws else None
    confusions = [confusion_counts(p.truth, p.predicted, len(p.classes)) for p in seeds]
    names = computable(kind)
    tested = pool.part == "test"
    bounds = (
        [
            bound_model(p, m, d, groups, plan.positive)
            for p, m, d in zip(seeds, points, draws, strict=True)
        ]
        if draws
        else []
    )
    metrics = {
        name: estimate(
            [float(m.overall[name]) for m in points],
            [
                (float(b.overall[name][0]), float(b.overall[name][1]))
                for b in bounds
                if name in b.overall
            ],
            [d.overall[name] for d in draws if name in d.overall],
            limits_of(name),
        )
        for name in names
        if name in points[0].overall
    }
    rows = make_class_rows(first.classes, points, bounds, draws, confusions)
    if tested and kind != "labels":
        found_of = zip(rows, class_curves(seeds), top_shares(seeds), strict=True)
        rows = [row.model_copy(update={"curve": c, "top": top}) for row, c, top in found_of]
    found = facts.slices(first.case_ids) if tested else []  # of other parts no slice is resampled
    slices = describe_slices(pool.seeds, pool.draws, plan, found, groups)
    return PartResult(
        part=pool.part,
        # In k folds a case is trained on several times; it stays one case.
        n_cases=len(np.unique(first.case_ids)),
        n_seeds=len(seeds),
        n_folds=pool.n_folds,
        n_groups=None if groups is None else int(groups.max()) + 1,
        kind=kind,
        metrics=metrics,
        not_computed={
            name: NOT_COMPUTED[d.needs] for name, d in DEFINITIONS.items() if name not in names
        },
        classes=rows,
        confusion=np.sum(confusions, axis=0).tolist(),
        calibration=calibrate(seeds, groups, plan, pool.calibrated)
        if kind == "probabilities"
        else None,
        positive=describe_positive(seeds, points, bounds, draws, plan),
        binary=describe_binary(pool, points, bounds, groups, plan, found) if tested else None,
        beyond=describe_beyond(pool, plan, groups) if tested else None,
        rules=describe_rules(seeds, draws, groups, plan) if tested else [],
        slices=slices.rows,
        gaps=slices.gaps,
        withheld=slices.withheld,
    )


def summarise_part(part: Part, cells: Cells) -> PartResult:
    """One arm's predictions on one part by themselves."""
    plan, facts = Plan(), CaseFacts()
    return summarise_pool(pool_arms({"": cells}, part, plan, facts)[""], plan, facts)


Ints = npt.NDArray[np.int64]


def make_class_rows(
    classes: Sequence[str],
    points: Sequence[Measured],
    bounds: Sequence[ModelBounds],
    draws: Sequence[Measured],
    confusions: Sequence[Ints],
) -> list[ClassRow]:
    """Each class's metrics, means over seeds, with their intervals.

    Args:
        points, bounds, draws, confusions: one per seed; *bounds* and *draws* are empty where nothing was
            resampled.
    """
    rows = []
    for c, name in enumerate(classes):
        values: dict[str, float | None] = {}
        intervals: dict[str, tuple[float, float]] = {}
        for metric in shared([m.classes for m in points]):
            # Undefined for some seeds: the mean over the others.
            seeds = [s for s, m in enumerate(points) if np.isfinite(m.classes[metric][c])]
            known = [float(points[s].classes[metric][c]) for s in seeds]
            values[metric] = statistics.fmean(known) if known else None
            if known and bounds and all(metric in bounds[s].classes for s in seeds):
                ends = [(b[0][c], b[1][c]) for s in seeds for b in [bounds[s].classes[metric]]]
                found = estimate(known, ends, [draws[s].classes[metric][:, c] for s in seeds])
                if found.low is not None and found.high is not None:
                    intervals[metric] = (found.low, found.high)
        rows.append(
            ClassRow(
                name=name,
                support=int(confusions[0][c].sum()),
                predicted=statistics.fmean(float(m[:, c].sum()) for m in confusions),
                intervals=intervals,
                **values,  # type: ignore[arg-type]
            )
        )
    return rows
