"""Predictions of one part with their folds joined, what is known of the cases, and the resamples of both."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from milkreport.evaluation.beyond.conformal import Sets, find_sets
from milkreport.evaluation.binary.answers import Answers, answer_cells
from milkreport.evaluation.metrics.calibration import apply_temperature, fit_temperature
from milkreport.evaluation.metrics.measures import Measured, Plan, draw
from milkreport.evaluation.metrics.slices import FEWEST, Slice, make_slices
from milkreport.evaluation.reading.copies import count_copies, find_copies
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.data import Part

#: Predictions of one part of one arm: (seed, fold) to predictions.
Cells = Mapping[tuple[int, int], Predictions]
Ints = npt.NDArray[np.int64]
Draws = Mapping[int, Measured]


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

    def with_copies(self, case_ids: npt.NDArray[np.str_], roots: Ints) -> CaseFacts:
        """The same with copies in the group of the case that they are copies of.

        Args:
            roots: int64 (n,), see :func:`milkreport.evaluation.reading.copies.find_copies`.
        """
        ids = [str(case) for case in case_ids]
        named = [self.groups.get(case, f"\0{case}") for case in ids]
        moved = {case: named[root] for case, root in zip(ids, roots.tolist(), strict=True)}
        return replace(self, groups={**self.groups, **moved})

    def slices(self, case_ids: npt.NDArray[np.str_]) -> list[Slice]:
        """Slices of these cases, small ones too."""
        if self.subgroups is None:
            return []
        return make_slices(self.subgroups, case_ids, self.columns)


def notice_groups(facts: CaseFacts, case_ids: npt.NDArray[np.str_]) -> list[str]:
    """A notice of cases without a group where groups are named: nothing then says what they belong to."""
    alone = [str(case) for case in case_ids if str(case) not in facts.groups]
    if not facts.groups or not alone:
        return []
    return [
        f"{len(alone):,} of {len(case_ids):,} cases have no group in the metadata and count as independent, "
        "which makes intervals and nested values too optimistic if they are not"
    ]


@dataclass(frozen=True)
class PooledPredictions:
    """One arm's predictions on one part, folds joined: seed to predictions of the same cases.

    ``draws``: their resamples, seed by seed; empty where none were made. ``cooled``: their probabilities at
    temperatures that the validation part chose, seed by seed, with the mean temperature; where there is one.
    ``answers``: of the test part, seed by seed, what is called positive at the operating point.
    ``sets``: of the test part, seed by seed, prediction sets.
    """

    part: Part
    seeds: Mapping[int, Predictions]
    n_folds: int
    draws: Draws = field(default_factory=dict)
    calibrated: tuple[Mapping[int, Predictions], float] | None = None
    answers: Mapping[int, Answers] = field(default_factory=dict)
    sets: Mapping[int, Sets] = field(default_factory=dict)

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


def count_copied_cases(arms: Mapping[str, Cells]) -> int | None:
    """Cases to which every arm and seed gives the label and probabilities of another one, to the bit.

    ``None`` where arms have different cases.
    """
    pooled = [p for cells in arms.values() for p in pool_folds(cells).values()]
    if not pooled or not all(np.array_equal(p.case_ids, pooled[0].case_ids) for p in pooled):
        return None
    rows = np.concatenate([p.probabilities for p in pooled], axis=1)
    roots = find_copies(pooled[0].truth, rows)
    return 0 if roots is None else count_copies(roots)


def pool_arms(
    arms: Mapping[str, Cells],
    part: Part,
    plan: Plan,
    facts: CaseFacts,
    validation: Mapping[str, Cells] | None = None,
) -> dict[str, PooledPredictions]:
    """Pools of all arms on one part; arms on the same cases share their resamples.

    Training parts are not resampled: their cases were not drawn independently of the model.

    Args:
        validation: predictions of the validation parts, which choose temperatures and the operating point.
    """
    pools = {}
    for name, cells in arms.items():
        calibrated = _calibrate(cells, (validation or {}).get(name, {})) if plan.intervals else None
        n_folds, seeds = len({fold for _, fold in cells}), pool_folds(cells)
        answers: dict[int, Answers] = {}
        sets: dict[int, Sets] = {}
        if part == "test":
            groups = facts.group_positions(next(iter(seeds.values())).case_ids)
            chosen_on = (validation or {}).get(name, {})
            sets = find_sets(cells, seeds, chosen_on, groups)
            if plan.positive:
                rule = plan.operating
                answers = answer_cells(cells, seeds, plan.positive, rule, groups, chosen_on)
        pools[name] = PooledPredictions(
            part, seeds, n_folds, calibrated=calibrated, answers=answers, sets=sets
        )
    if part == "train" or not plan.intervals:
        return pools
    alike: dict[bytes, list[str]] = {}
    for name, pool in pools.items():
        alike.setdefault(pool.first.case_ids.tobytes(), []).append(name)
    drawn: dict[str, PooledPredictions] = {}
    for names in alike.values():
        ids = pools[names[0]].first.case_ids
        slices = shown_slices(facts, ids) if part == "test" else []
        draws = draw(
            {name: pools[name].seeds for name in names}, plan, facts.group_positions(ids), slices
        )
        for name in names:
            drawn[name] = replace(pools[name], draws=draws[name])
    return {name: drawn[name] for name in pools}


def _calibrate(cells: Cells, validation: Cells) -> tuple[Mapping[int, Predictions], float] | None:
    """Every cell's probabilities at the temperature that its own validation part chooses, folds joined."""
    chosen = {key: validation[key] for key in cells if key in validation}
    known = [*cells.values(), *chosen.values()]
    if len(chosen) < len(cells) or any(p.kind != "probabilities" for p in known):
        return None
    found = {key: fit_temperature(p.truth, p.probabilities) for key, p in chosen.items()}
    calibrated = {
        key: replace(p, probabilities=apply_temperature(p.probabilities, found[key]))
        for key, p in cells.items()
    }
    return pool_folds(calibrated), statistics.fmean(found.values())


def shown_slices(facts: CaseFacts, case_ids: npt.NDArray[np.str_]) -> list[Slice]:
    """Slices that are large enough to be shown."""
    return [piece for piece in facts.slices(case_ids) if piece.n >= FEWEST]
