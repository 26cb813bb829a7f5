"""Arms on an external test set beside the test part: the same metrics, and how far apart both are.

Both sets are independent samples, answered by the same trained models, so the interval of a difference is
made of the intervals of both (MOVER; Zou and Donner, 2008): each keeps its lopsidedness, and none has zero
width where a count is 0 or all. Over several seeds the difference is taken seed by seed, since the same
training answers both sets, and seeds are readers of it (``intervals.readers``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.intervals.bounds import ModelBounds, bound_model
from milkreport.evaluation.intervals.estimates import estimate
from milkreport.evaluation.metrics.definitions import limits_of
from milkreport.evaluation.metrics.measures import Measured, Plan, draw, measure
from milkreport.evaluation.pooled_predictions import CaseFacts, Cells, pool_arms, pool_folds
from milkreport.evaluation.reading.external import ExternalPredictions
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.estimate import Estimate
from milkreport.evaluation.records.external import ExternalArm, ExternalSet, ExternalValue
from milkreport.evaluation.records.parts import POSITIVE, PartResult
from milkreport.evaluation.summarise import summarise_pool

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

#: What is compared beside the primary metric, the positive classes and each class's recall.
COMPARED = ("accuracy", "balanced_accuracy", "macro_f1", "macro_auc")
#: Metrics whose intervals of differences held in simulations (docs/beyond.md); recall of each class as well.
BOUNDED = frozenset({*COMPARED, *POSITIVE})
#: Fewer external cases than in any simulation: differences have no interval then, but those of recall.
FEWEST_CASES = 100


def compare_external(
    given: ExternalPredictions,
    tested: Mapping[str, Cells],
    parts: Mapping[str, PartResult],
    plan: Plan,
    facts: CaseFacts,
) -> ExternalSet:
    """The record of one labelled external set.

    Args:
        tested: the test predictions of every arm. parts: what was found of them. facts: of their cases.
    """
    first = next(iter(next(iter(given.arms.values())).values()))
    classes = first.classes
    counts = np.bincount(first.truth, minlength=len(classes))
    inside = np.zeros(len(classes), bool)
    for name in given.arms:
        for p in tested[name].values():
            inside |= np.bincount(p.truth, minlength=len(classes)) > 0
    common = inside & (counts > 0)
    enough = bool(counts[common].sum() >= FEWEST_CASES)
    whole = bool((common == inside).all() and (common == (counts > 0)).all())
    found = []
    for name, cells in given.arms.items():
        ours = parts[name] if whole else _summarise(_take(tested[name], common), plan, facts)
        models = _as_models(cells)
        theirs = _summarise(models if whole else _take(models, common), plan, given.facts)
        # Models of several folds share most of their training cases: no simulation speaks of them.
        simulated = plan.intervals and ours.n_folds == 1
        seeds = None
        if simulated and len(models) > 1:
            mine = tested[name] if whole else _take(tested[name], common)
            also = models if whole else _take(models, common)
            seeds = _Seeds(mine, also, plan, facts, given.facts)
        names = [*dict.fromkeys((*COMPARED, plan.primary, *POSITIVE))]
        names += [f"recall:{c}" for i, c in enumerate(classes) if common[i]]
        found.append(
            ExternalArm(
                arm=name,
                source=given.sources.get(name, ""),
                n_models=len(models),
                predictions_sha256=dict(given.hashes.get(name, {})),
                values=[
                    value
                    for metric in names
                    if (value := _value(metric, ours, theirs, simulated, enough, seeds)) is not None
                ],
            )
        )
    ours_first = next(iter(pool_folds(tested[next(iter(given.arms))]).values()))
    groups = given.facts.group_positions(first.case_ids)
    return ExternalSet(
        name=given.name,
        source=given.source,
        sha256=given.sha256,
        n=len(first.truth),
        n_groups=None if groups is None else int(groups.max()) + 1,
        class_counts=dict(zip(classes, counts.tolist(), strict=True)),
        compared=[c for i, c in enumerate(classes) if common[i]],
        restricted=not whole,
        n_internal=int(common[ours_first.truth].sum()),
        n_external=int(counts[common].sum()),
        arms=found,
        missing=[name for name in tested if name not in given.arms],
        remarks=list(given.remarks),
    )


def _value(
    metric: str,
    ours: PartResult,
    theirs: PartResult,
    simulated: bool,
    enough: bool,
    seeds: _Seeds | None,
) -> ExternalValue | None:
    """One metric in both; ``None`` if the predictions do not hold it.

    Args:
        simulated: whether simulations speak of such models. enough: whether they do of so few cases.
    """
    internal, external = ours.estimate(metric), theirs.estimate(metric)
    if internal is None or external is None:
        return None
    simulated = simulated and (enough or metric.startswith("recall:"))
    if not simulated:
        external = Estimate(value=external.value, seed_sd=external.seed_sd)
    bounded = simulated and (metric in BOUNDED or metric.startswith("recall:"))
    if seeds is not None and bounded:
        difference = seeds.subtract(metric, _range(metric))
    else:
        difference = subtract(internal, external, bounded, _range(metric))
    return ExternalValue(
        metric=metric,
        internal=internal,
        external=external,
        difference=difference,
    )


def subtract(a: Estimate, b: Estimate, bounded: bool, span: float = 1.0) -> Estimate:
    """*a* minus *b*, of independent samples; the interval by MOVER.

    Args:
        bounded: whether there is an interval. span: the largest difference that there can be.
    """
    if a.value is None or b.value is None:
        return Estimate(value=None)
    value = a.value - b.value
    ends = (a.low, a.high, b.low, b.high)
    if not bounded or any(end is None for end in ends):
        return Estimate(value=value)
    a_low, a_high, b_low, b_high = (float(end) for end in ends if end is not None)
    low = value - math.hypot(a.value - a_low, b_high - b.value)
    high = value + math.hypot(a_high - a.value, b.value - b_low)
    return Estimate(value=value, low=max(low, -span), high=min(high, span))


class _Seeds:
    """Both sets measured and resampled model by model, for differences over seeds."""

    def __init__(
        self, ours: Cells, theirs: Cells, plan: Plan, facts: CaseFacts, others: CaseFacts
    ) -> None:
        self.classes = next(iter(ours.values())).classes
        self.sides = [
            _measure_models(cells, plan, known)
            for cells, known in ((ours, facts), (theirs, others))
        ]

    def subtract(self, metric: str, span: float) -> Estimate:
        """The mean difference over seeds with its interval, by a name of ``evaluation.metrics.named``."""
        (ours, theirs) = ([self._pick(metric, *model) for model in side] for side in self.sides)
        values, bounds, draws = [], [], []
        for a, b in zip(ours, theirs, strict=True):
            if a is None or b is None:
                return Estimate(value=None)
            found = subtract(a[0], b[0], True, span)
            if found.value is None:
                return Estimate(value=None)
            values.append(found.value)
            if found.low is not None and found.high is not None:
                bounds.append((found.low, found.high))
            n = min(len(a[1]), len(b[1]))
            draws.append(a[1][:n] - b[1][:n])
        return estimate(values, bounds, draws, (-span, span))

    def _pick(
        self, metric: str, points: Measured, bounds: ModelBounds, draws: Measured
    ) -> tuple[Estimate, Floats] | None:
        """One model's value with its interval, and the value in each resample."""
        kind, name, place = "overall", metric, None
        if metric in POSITIVE:
            kind, name = "positive", metric.removeprefix("positive_")
        elif metric.startswith("recall:"):
            kind, name = "classes", "recall"
            place = self.classes.index(metric.removeprefix("recall:"))
        value, resampled = getattr(points, kind).get(name), getattr(draws, kind).get(name)
        if value is None or resampled is None:
            return None
        low, high = getattr(bounds, kind).get(name, (np.nan, np.nan))
        if place is not None:
            value, resampled, low, high = value[place], resampled[:, place], low[place], high[place]
        if not np.isfinite(value):
            return None
        found = Estimate(value=float(value))
        if np.isfinite([low, high]).all():
            found = Estimate(value=float(value), low=float(low), high=float(high))
        return found, resampled


def _measure_models(
    cells: Cells, plan: Plan, facts: CaseFacts
) -> list[tuple[Measured, ModelBounds, Measured]]:
    """Points, intervals and resamples of each model, in the order of the seeds."""
    pooled = pool_folds({key: cells[key] for key in sorted(cells)})
    groups = facts.group_positions(next(iter(pooled.values())).case_ids)
    drawn = draw({"": pooled}, plan, groups)[""]
    found = []
    for seed, p in pooled.items():
        points = measure(p, plan.positive)
        bounds = bound_model(p, points, drawn[seed], groups, plan.positive)
        found.append((points, bounds, drawn[seed]))
    return found


def _range(metric: str) -> float:
    if metric in POSITIVE or ":" in metric:
        return 1.0
    low, high = limits_of(metric)
    return high - low


def _as_models(cells: Cells) -> dict[tuple[int, int], Predictions]:
    """Every training as one of as many seeds: each answered all cases, whichever fold it was trained on."""
    return {(i, 0): p for i, (_, p) in enumerate(sorted(cells.items()))}


def _take(cells: Cells, common: Bools) -> dict[tuple[int, int], Predictions]:
    """The cases of these classes, bool (k,)."""
    return {key: p.take(common[p.truth]) for key, p in cells.items()}


def _summarise(cells: Cells, plan: Plan, facts: CaseFacts) -> PartResult:
    # As a validation part: without prediction sets, operating points and subgroups, which say nothing here.
    (pool,) = pool_arms({"": cells}, "validation", plan, facts).values()
    return summarise_pool(pool, plan, facts)


def compare_all(
    external: Sequence[ExternalPredictions],
    arms: Mapping[str, Cells],
    parts: Mapping[str, Sequence[PartResult]],
    plan: Plan,
    facts: CaseFacts,
) -> list[ExternalSet]:
    """The records of all external sets, of the arms that have a test part."""
    tested = {name: part for name, mine in parts.items() for part in mine if part.part == "test"}
    found = []
    for given in external:
        known = {name: cells for name, cells in given.arms.items() if name in tested and cells}
        if known:
            mine = {name: arms[name] for name in tested}
            found.append(compare_external(replace(given, arms=known), mine, tested, plan, facts))
    return found
