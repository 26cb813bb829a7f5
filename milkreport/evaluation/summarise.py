"""From predictions to one arm's numbers on one part: points, intervals, class by class."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from milkreport.evaluation.calibration import apply_temperature, fit_temperature
from milkreport.evaluation.closed_form import (
    FEW_COUNTS,
    auc_bounds,
    f1_bounds,
    mean_bounds,
    wilson_bounds,
    with_seeds,
)
from milkreport.evaluation.data_record import Part
from milkreport.evaluation.definitions import DEFINITIONS, NOT_COMPUTED, computable
from milkreport.evaluation.described import calibrate, describe_positive
from milkreport.evaluation.estimates import estimate
from milkreport.evaluation.measures import Measured, Plan, draw, measure, weakest
from milkreport.evaluation.metrics import confusion_counts, score_classes
from milkreport.evaluation.part_record import ClassRow, Estimate, PartResult
from milkreport.evaluation.predictions import Predictions
from milkreport.evaluation.rank_curves import class_curves
from milkreport.evaluation.ruled import describe_rules
from milkreport.evaluation.slices import FEWEST, Slice, make_slices
from milkreport.evaluation.subgroups import describe_slices

#: Predictions of one part of one arm: (seed, fold) to predictions.
Cells = Mapping[tuple[int, int], Predictions]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Draws = Mapping[int, Measured]

#: A class's metrics whose interval follows from counts.
_BY_FORMULA = ("precision", "recall", "specificity", "f1", "auc")


@dataclass(frozen=True)
class CaseFacts:
    """What is known of cases beside their predictions, by case id.

    ``groups``: which cases belong together; ``subgroups``: columns that slices are made of.
    """

    groups: Mapping[str, str] = field(default_factory=dict)
    subgroups: pd.DataFrame | None = None
    columns: tuple[str, ...] = ()

    def group_positions(self, case_ids: npt.NDArray[np.str_]) -> Ints | None:
        """Groups as positions, int64 (n,); ``None`` where no two of these cases share one."""
        if not self.groups:
            return None
        named = [self.groups.get(str(case), f"\0{case}") for case in case_ids]
        distinct, position = np.unique(named, return_inverse=True)
        return position.astype(np.int64) if len(distinct) < len(named) else None

    def slices(self, case_ids: npt.NDArray[np.str_]) -> list[Slice]:
        """Slices of these cases, small ones too."""
        if self.subgroups is None:
            return []
        return make_slices(self.subgroups, case_ids, self.columns)


@dataclass(frozen=True)
class Pool:
    """One arm's predictions on one part, folds joined: seed to predictions of the same cases.

    ``draws``: their resamples, seed by seed; empty where none were made. ``cooled``: their probabilities at
    temperatures that the validation part chose, seed by seed, with the mean temperature; where there is one.
    """

    part: Part
    seeds: Mapping[int, Predictions]
    n_folds: int
    draws: Draws = field(default_factory=dict)
    cooled: tuple[Mapping[int, Predictions], float] | None = None

    @property
    def first(self) -> Predictions:
        """The predictions of the first seed."""
        return next(iter(self.seeds.values()))


def pool_folds(cells: Cells) -> dict[int, Predictions]:
    """Join the folds of each seed, sorted by case: seed to predictions."""
    pooled = {}
    for seed in dict.fromkeys(seed for seed, _ in cells):
        folds = [cells[key] for key in sorted(cells) if key[0] == seed]
        ids = np.concatenate([fold.case_ids for fold in folds])
        order = np.argsort(ids, kind="stable")
        pooled[seed] = Predictions(
            ids[order],
            np.concatenate([fold.truth for fold in folds])[order],
            np.concatenate([fold.probabilities for fold in folds])[order],
            folds[0].classes,
        )
    return pooled


def pool_arms(
    arms: Mapping[str, Cells],
    part: Part,
    plan: Plan,
    facts: CaseFacts,
    validation: Mapping[str, Cells] | None = None,
) -> dict[str, Pool]:
    """Pools of all arms on one part; arms on the same cases share their resamples.

    Training parts are not resampled: their cases were not drawn independently of the model.

    Args:
        validation: predictions of the validation parts, which choose temperatures.
    """
    pools = {}
    for name, cells in arms.items():
        cooled = _cool(cells, (validation or {}).get(name, {})) if plan.intervals else None
        n_folds = len({fold for _, fold in cells})
        pools[name] = Pool(part, pool_folds(cells), n_folds, cooled=cooled)
    if part == "train" or not plan.intervals:
        return pools
    alike: dict[bytes, list[str]] = {}
    for name, pool in pools.items():
        alike.setdefault(pool.first.case_ids.tobytes(), []).append(name)
    drawn: dict[str, Pool] = {}
    for names in alike.values():
        ids = pools[names[0]].first.case_ids
        slices = shown_slices(facts, ids) if part == "test" else []
        draws = draw(
            {name: pools[name].seeds for name in names}, plan, facts.group_positions(ids), slices
        )
        for name in names:
            drawn[name] = replace(pools[name], draws=draws[name])
    return {name: drawn[name] for name in pools}


def _cool(cells: Cells, validation: Cells) -> tuple[Mapping[int, Predictions], float] | None:
    """Every cell's probabilities at the temperature that its own validation part chooses, folds joined."""
    chosen = {key: validation[key] for key in cells if key in validation}
    known = [*cells.values(), *chosen.values()]
    if len(chosen) < len(cells) or any(p.kind != "probabilities" for p in known):
        return None
    found = {key: fit_temperature(p.truth, p.probabilities) for key, p in chosen.items()}
    cooled = {
        key: replace(p, probabilities=apply_temperature(p.probabilities, found[key]))
        for key, p in cells.items()
    }
    return pool_folds(cooled), statistics.fmean(found.values())


def shown_slices(facts: CaseFacts, case_ids: npt.NDArray[np.str_]) -> list[Slice]:
    """Slices that are large enough to be shown."""
    return [piece for piece in facts.slices(case_ids) if piece.n >= FEWEST]


def summarise_pool(pool: Pool, plan: Plan, facts: CaseFacts) -> PartResult:
    """Metrics of one arm on one part: means over seeds, folds pooled."""
    first, seeds = pool.first, [*pool.seeds.values()]
    kind = weakest([p.kind for p in seeds])
    points = [measure(p, plan.positive) for p in seeds]
    draws = [*pool.draws.values()]
    groups = facts.group_positions(first.case_ids) if draws else None
    confusions = [confusion_counts(p.truth, p.predicted, len(p.classes)) for p in seeds]
    names = computable(kind)
    tested = pool.part == "test"
    metrics = {
        name: estimate(
            [float(m.overall[name]) for m in points],
            [d.overall[name] for d in draws if name in d.overall],
        )
        for name in names
        if name in points[0].overall
    }
    rows = _class_rows(first.classes, points, draws, confusions, groups is not None)
    if tested and kind != "labels":
        curves = class_curves(seeds)
        rows = [row.model_copy(update={"curve": c}) for row, c in zip(rows, curves, strict=True)]
    if draws and groups is None:
        metrics = _with_macro_bounds(metrics, rows)
    slices = describe_slices(pool.seeds, pool.draws, plan, facts.slices(first.case_ids))
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
        calibration=calibrate(seeds, groups, plan, pool.cooled)
        if kind == "probabilities"
        else None,
        positive=describe_positive(seeds, points, draws, plan),
        rules=describe_rules(seeds, groups, plan) if tested else [],
        slices=slices.rows if tested else [],
        gaps=slices.gaps if tested else [],
        withheld=slices.withheld if tested else [],
    )


def summarise_part(part: Part, cells: Cells) -> PartResult:
    """One arm's predictions on one part by themselves."""
    plan, facts = Plan(), CaseFacts()
    return summarise_pool(pool_arms({"": cells}, part, plan, facts)[""], plan, facts)


def _class_rows(
    classes: Sequence[str],
    points: Sequence[Measured],
    draws: Sequence[Measured],
    confusions: Sequence[Ints],
    grouped: bool,
) -> list[ClassRow]:
    bounds = _closed_bounds(points, confusions) if draws and not grouped else {}
    rows = []
    for c, name in enumerate(classes):
        values: dict[str, float | None] = {}
        intervals: dict[str, tuple[float, float]] = {}
        for metric in points[0].classes:
            known = [float(m.classes[metric][c]) for m in points]
            # Undefined for some seeds: the mean over the others.
            known = [v for v in known if np.isfinite(v)]
            values[metric] = value = statistics.fmean(known) if known else None
            if value is None:
                continue
            if metric in bounds and (by_formula := bounds[metric][c]) is not None:
                intervals[metric] = _around(value, known, *by_formula)
                continue
            drawn = [d.classes[metric][:, c] for d in draws if metric in d.classes]
            found = estimate(known, drawn)
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


def _closed_bounds(
    points: Sequence[Measured], confusions: Sequence[Ints]
) -> dict[str, list[tuple[float, float, float] | None]]:
    """Class metrics by formula from the seeds' means: the pooled value, lower and upper bound.

    ``None`` where the bootstrap serves better: F1 and precision with at least ten hits and ten misses.
    """
    mean = np.mean(confusions, axis=0)
    hits, support, predicted = np.diag(mean), mean.sum(axis=1), mean.sum(axis=0)
    others, involved = mean.sum() - support, support + predicted - hits
    pooled = score_classes(mean)
    found: dict[str, list[tuple[float, float, float] | None]] = {}
    for name, above, below, bounds in (
        ("recall", hits, support, wilson_bounds),
        ("specificity", others - predicted + hits, others, wilson_bounds),
        ("precision", hits, predicted, wilson_bounds),
        ("f1", hits, involved, f1_bounds),
    ):
        low, high = bounds(above, below)
        few = np.minimum(above, below - above) < FEW_COUNTS
        always = name in ("recall", "specificity")
        found[name] = [
            (float(pooled[name][c]), float(low[c]), float(high[c])) if always or few[c] else None
            for c in range(len(mean))
        ]
    if "auc" in points[0].classes:  # the same cases for all seeds: defined for all or for none
        auc = np.mean([m.classes["auc"] for m in points], axis=0)
        known = np.where(np.isfinite(auc), auc, 0.5)
        low, high = auc_bounds(known, np.maximum(support, 1), np.maximum(others, 1))
        found["auc"] = [*zip(known.tolist(), low.tolist(), high.tolist(), strict=True)]
    return found


def _around(
    value: float, known: list[float], pooled: float, low: float, high: float
) -> tuple[float, float]:
    """Bounds as far from the mean over seeds as the formula's are from the pooled value, within 0 to 1."""
    shifted = with_seeds(value, value - (pooled - low), value + (high - pooled), known)
    return max(0.0, shifted[0]), min(1.0, shifted[1])


def _with_macro_bounds(
    metrics: dict[str, Estimate], rows: Sequence[ClassRow]
) -> dict[str, Estimate]:
    """Macro averages with the interval that follows from their classes'."""
    of_macro = {"balanced_accuracy": "recall"} | {f"macro_{name}": name for name in _BY_FORMULA}
    supported = [row for row in rows if row.support > 0]
    found = dict(metrics)
    for name, metric in of_macro.items():
        if name not in metrics:
            continue
        classes = [row.estimate(metric) for row in supported]
        if metric in (
            "auc",
            "specificity",
        ):  # a class that all cases are of has none, and no part in it
            classes = [e for e in classes if e.value is not None]
        if (
            metric == "precision"
        ):  # a class never predicted counts 0, and might count anything up to 1
            classes = [
                e if e.value is not None else Estimate(value=0, low=0, high=1) for e in classes
            ]
        if metrics[name].value is None or any(e.low is None or e.high is None for e in classes):
            continue
        triples = np.array([(e.value, e.low, e.high) for e in classes], np.float64)
        low, high = mean_bounds(*triples.T)
        found[name] = metrics[name].model_copy(
            update={"low": max(0.0, low), "high": min(1.0, high)}
        )
    return found
