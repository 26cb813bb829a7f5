"""The primary metric under graded corruptions: a curve an arm, losses and paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from milkreport.evaluation.metrics.measures import Measured, Plan, draw, measure
from milkreport.evaluation.metrics.named import define, pick
from milkreport.evaluation.paired_difference import count_support, paired_difference
from milkreport.evaluation.pooled_predictions import CaseFacts, Cells, pool_folds
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.estimate import Estimate
from milkreport.evaluation.records.robustness import Robustness, UnderCorruption
from milkreport.suite.corruptions import CORRUPTIONS, SEVERITIES, TABLE_SEVERITY

#: Predictions of the same cases by seed.
Seeds = Mapping[int, Predictions]


def describe_robustness(
    tested: Mapping[str, Cells],
    corrupted: Mapping[str, Mapping[tuple[str, int], Cells]],
    plan: Plan,
    facts: CaseFacts,
) -> Robustness | None:
    """The plan's primary metric of each arm under each corruption that all of them were scored under.

    Losses and differences are those of two sets of predictions of the same cases, with the interval that
    two arms have (:mod:`milkreport.evaluation.paired_difference`); seeds pair.

    Args:
        tested: arm to its ordinary test predictions.
        corrupted: arm to (corruption, severity) to its predictions of the same cases; at least one arm.
    """
    arms = [arm for arm in tested if arm in corrupted]
    names = [
        name
        for name in CORRUPTIONS
        if arms and all((name, s) in corrupted[arm] for arm in arms for s in SEVERITIES)
    ]
    if not names:
        return None
    hard = define(plan.primary).needs == "labels"

    def pool(cells: Cells) -> dict[int, Predictions]:
        pooled = pool_folds(cells)
        return {seed: _harden(p) for seed, p in pooled.items()} if hard else pooled

    plain = {arm: pool(tested[arm]) for arm in arms}
    seeds = sorted(set.intersection(*(set(mine) for mine in plain.values())))
    if not seeds or not _are_alike(plain, seeds):
        return None
    first = plain[arms[0]][seeds[0]]
    comparison = _Comparison(plan, facts, arms, seeds, first)
    found = []
    before = comparison.side(plain)
    for name in names:
        sides = {s: {arm: pool(corrupted[arm][name, s]) for arm in arms} for s in SEVERITIES}
        values = {
            arm: [comparison.value(side[arm]) for side in (plain, *sides.values())] for arm in arms
        }
        row = UnderCorruption(name=name, values=values)
        if before is not None:
            after = comparison.side(sides[TABLE_SEVERITY])
            assert after is not None
            row = row.model_copy(update=comparison.describe(before, after))
        found.append(row)
    return Robustness(
        metric=plan.primary,
        severity=TABLE_SEVERITY,
        arms=arms,
        n_cases=len(first.truth),
        n_seeds=len(seeds),
        corruptions=found,
    )


#: Points and resamples of each arm, seed by seed.
_Side = Mapping[str, tuple[Sequence[Measured], Sequence[Measured]]]


#: Primary metrics of which the interval of a loss included the true one often enough (docs/beyond.md).
HELD = ("accuracy", "macro_f1")


class _Comparison:
    """Measures predictions of the same cases and subtracts them, all by the same resamples."""

    def __init__(
        self,
        plan: Plan,
        facts: CaseFacts,
        arms: Sequence[str],
        seeds: Sequence[int],
        first: Predictions,
    ) -> None:
        self.plan, self.arms, self.seeds, self.classes = plan, arms, seeds, first.classes
        self.groups = facts.group_positions(first.case_ids)
        self.n_groups = None if self.groups is None else int(self.groups.max()) + 1
        self.support = count_support(first, self.groups)

    def value(self, seeds: Seeds) -> float | None:
        """The metric, mean over seeds; ``None`` where it is undefined for one."""
        found = [
            pick(measure(seeds[s], self.plan.positive), self.plan.primary, self.classes)
            for s in self.seeds
        ]
        values = [float("nan") if v is None else float(v) for v in found]
        return float(np.mean(values)) if np.isfinite(values).all() else None

    def side(self, pools: Mapping[str, Seeds]) -> _Side | None:
        """Points and resamples; ``None`` where nothing is to be resampled."""
        if not self.plan.intervals:
            return None
        chosen = {arm: {s: pools[arm][s] for s in self.seeds} for arm in self.arms}
        draws = draw(chosen, replace(self.plan, rules=()), self.groups)
        return {
            arm: (
                [measure(p, self.plan.positive) for p in mine.values()],
                [draws[arm][s] for s in self.seeds],
            )
            for arm, mine in chosen.items()
        }

    def describe(self, before: _Side, after: _Side) -> dict[str, dict[str, Estimate]]:
        """Losses, and differences to the first arm."""
        higher = define(self.plan.primary).better == "higher"
        loss, against = {}, {}
        for arm in self.arms:
            sides = (before[arm], after[arm]) if higher else (after[arm], before[arm])
            if (found := self._subtract(*sides)) is not None:
                held = self.plan.primary in HELD
                loss[arm] = found if held else Estimate(value=found.value, seed_sd=found.seed_sd)
        for arm in self.arms[1:]:
            if (found := self._subtract(after[arm], after[self.arms[0]])) is not None:
                against[arm] = found
        return {"loss": loss, "against_first": against}

    def _subtract(
        self,
        one: tuple[Sequence[Measured], Sequence[Measured]],
        other: tuple[Sequence[Measured], Sequence[Measured]],
    ) -> Estimate | None:
        found = paired_difference(
            self.plan.primary,
            ("", ""),
            (one[0], other[0]),
            (one[1], other[1]),
            self.support,
            self.classes,
            None,
            self.plan.positive,
            self.n_groups,
        )
        if found is None:
            return None
        return Estimate(
            value=found.value,
            low=found.low,
            high=found.high,
            seed_sd=found.seed_sd,
            sampling_error=found.sampling_error,
        )


def _harden(p: Predictions) -> Predictions:
    """The predicted classes alone: of a metric of hard answers nothing else need be resampled."""
    return replace(p, probabilities=np.eye(len(p.classes))[p.predicted])


def _are_alike(pools: Mapping[str, Seeds], seeds: Sequence[int]) -> bool:
    """Whether all arms and seeds have the same cases."""
    ids = [mine[s].case_ids for mine in pools.values() for s in seeds]
    return all(np.array_equal(other, ids[0]) for other in ids[1:])
