"""One arm's positive classes against the others as a record: means over seeds, with intervals."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.binary.answers import Answers
from milkreport.evaluation.binary.describe_risk import describe_risk
from milkreport.evaluation.binary.measures import (
    RATIOS,
    SHARES,
    Pair,
    bound_at,
    count_cells,
    score_counts,
)
from milkreport.evaluation.binary.roc_band import describe_band
from milkreport.evaluation.binary.rules import OperatingRule
from milkreport.evaluation.intervals.bounds import ModelBounds
from milkreport.evaluation.intervals.estimates import estimate
from milkreport.evaluation.intervals.resampling import bootstrap_weights
from milkreport.evaluation.metrics.measures import Measured, Plan, shared
from milkreport.evaluation.metrics.positive import split_positive
from milkreport.evaluation.metrics.slices import FEWEST, Slice
from milkreport.evaluation.pooled_predictions import PooledPredictions
from milkreport.evaluation.records.binary import (
    AtPrevalence,
    BinaryResult,
    BinarySlice,
    InSample,
    OperatingPoint,
)
from milkreport.evaluation.records.estimate import Estimate

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Seed:
    """One training: whether cases are positive, bool (n,); the probability of the positive and of the other
    classes, float64 (n,); its answers.
    """

    true: Bools
    score: Floats
    rest: Floats
    answers: Answers
    odds: float | None

    def within(self, member: Bools) -> _Seed:
        """These cases alone, called as before."""
        answers = replace(self.answers, called=self.answers.called[member])
        return _Seed(self.true[member], self.score[member], self.rest[member], answers, self.odds)


def describe_binary(
    pool: PooledPredictions,
    points: Sequence[Measured],
    bounds: Sequence[ModelBounds],
    groups: Ints | None,
    plan: Plan,
    slices: Sequence[Slice] = (),
) -> BinaryResult | None:
    """The record of one arm; ``None`` where no class counts as positive.

    Args:
        slices: subgroups, small ones too. points, bounds: of the seeds in order; *bounds* is empty where
        nothing was resampled. groups: int64 (n,), cases that were drawn together.
    """
    if not plan.positive or not pool.answers:
        return None
    seeds = []
    for number, p in pool.seeds.items():
        true, _, score = split_positive(p, plan.positive)
        answers = pool.answers[number]
        others = [place for place, name in enumerate(p.classes) if name not in plan.positive]
        rest = p.probabilities[:, others].sum(axis=1)
        seeds.append(_Seed(true, score, rest, answers, _odds(plan.operating, answers)))
    true = seeds[0].true
    draws = [*pool.draws.values()]

    def ranked(name: str) -> Estimate | None:
        if name not in shared([m.positive for m in points]):
            return None
        pairs = [b.positive[name] for b in bounds if name in b.positive]
        ends = [(float(low), float(high)) for low, high in pairs]
        values = [float(m.positive[name]) for m in points]
        return estimate(values, ends, [d.positive[name] for d in draws if name in d.positive])

    return BinaryResult(
        classes=list(plan.positive),
        by_default=plan.positive_by_default,
        n_positive=int(true.sum()),
        n_negative=int((~true).sum()),
        auc=ranked("auc"),
        average_precision=ranked("average_precision"),
        operating=_describe_point(seeds, groups, plan, resampled=bool(draws)),
        risk=describe_risk(
            [(s.true, s.score, s.rest) for s in seeds], groups, plan, resampled=bool(draws)
        )
        if all(p.kind == "probabilities" for p in pool.seeds.values())
        else None,
        band=describe_band([(s.true, s.score) for s in seeds], groups, plan)
        if draws and all(p.kind != "labels" for p in pool.seeds.values())
        else [],
        slices=_slices(seeds, groups, plan, slices, resampled=bool(draws)),
    )


def _slices(
    seeds: Sequence[_Seed],
    groups: Ints | None,
    plan: Plan,
    slices: Sequence[Slice],
    *,
    resampled: bool,
) -> list[BinarySlice]:
    """Sensitivity and specificity of every subgroup that is large enough to be shown."""
    shown = [piece for piece in slices if piece.n >= FEWEST]
    if not shown:
        return []
    drawn = _resample(seeds, groups, plan, [piece.member for piece in shown]) if resampled else []
    found = []
    for i, piece in enumerate(shown):
        mine = piece.member
        own = None if groups is None else np.unique(groups[mine], return_inverse=True)[1]
        inside = [s.within(mine) for s in seeds]
        points = [score_counts(count_cells(s.true, s.answers.called).sum(axis=0)) for s in inside]
        bounds = [bound_at(s.true, s.score, s.answers, own) for s in inside] if resampled else []
        sides = {
            name: estimate(
                [float(p[name]) for p in points],
                [b[name] for b in bounds if name in b],
                [d[name][:, i] for d in drawn],
            )
            for name in ("sensitivity", "specificity")
        }
        true = inside[0].true
        found.append(
            BinarySlice(
                column=piece.column,
                value=piece.value,
                n_positive=int(true.sum()),
                n_negative=int((~true).sum()),
                sensitivity=sides["sensitivity"],
                specificity=sides["specificity"],
            )
        )
    return found


def _odds(rule: OperatingRule, answers: Answers) -> float | None:
    """What a false positive costs in true positives: as declared, or as the threshold implies."""
    if rule.kind == "cost":
        return 1 / rule.value
    t = answers.threshold
    return t / (1 - t) if t is not None and 0 < t < 1 else None


def _describe_point(
    seeds: Sequence[_Seed], groups: Ints | None, plan: Plan, *, resampled: bool
) -> OperatingPoint:
    counts = [count_cells(s.true, s.answers.called).sum(axis=0) for s in seeds]
    points = [score_counts(c, s.odds, plan.prevalences) for c, s in zip(counts, seeds, strict=True)]
    bounds: list[Mapping[str, Pair]] = []
    drawn: list[dict[str, Floats]] = []
    if resampled:
        bounds = [
            bound_at(s.true, s.score, s.answers, groups, s.odds, plan.prevalences) for s in seeds
        ]
        everyone = np.ones_like(seeds[0].true)
        drawn = [
            {name: values[:, 0] for name, values in d.items()}
            for d in _resample(seeds, groups, plan, [everyone])
        ]

    def over(name: str) -> Estimate:
        values = [float(p[name]) for p in points]
        ends = [b[name] for b in bounds if name in b]
        limits = (0.0, math.inf) if name in RATIOS else (0.0, 1.0)
        limits = (-math.inf, 1.0) if name == "net_benefit" else limits
        return estimate(values, ends, [d[name] for d in drawn], limits)

    known = [name for name in (*SHARES, *RATIOS, "net_benefit") if all(name in p for p in points)]
    first = seeds[0].answers
    used = np.concatenate([s.answers.used for s in seeds])
    thresholds = [s.answers.threshold for s in seeds if s.answers.threshold is not None]
    threshold = statistics.fmean(thresholds) if len(thresholds) == len(seeds) else None
    odds = [s.odds for s in seeds if s.odds is not None]
    mean = np.mean(counts, axis=0)
    return OperatingPoint(
        rule=plan.operating.text,
        source=first.source,
        threshold=threshold,
        lowest=float(used.min()) if len(used) else None,
        highest=float(used.max()) if len(used) else None,
        tp=float(mean[0]),
        fp=float(mean[1]),
        fn=float(mean[2]),
        tn=float(mean[3]),
        values={name: over(name) for name in known},
        net_benefit_at=statistics.fmean(o / (1 + o) for o in odds)
        if len(odds) == len(seeds)
        else None,
        prevalences=[
            AtPrevalence(prevalence=q, ppv=over(f"ppv@{q:g}"), npv=over(f"npv@{q:g}"))
            for q in plan.prevalences
        ],
        in_sample=_in_sample(seeds) if first.source == "nested" else None,
    )


def _resample(
    seeds: Sequence[_Seed], groups: Ints | None, plan: Plan, members: Sequence[Bools]
) -> list[dict[str, Floats]]:
    """Each seed's measures among *members* in the shared resamples: (n_resamples, n_members)."""
    n = len(seeds[0].true)
    cells = []
    for s in seeds:
        every = count_cells(s.true, s.answers.called)
        cells.append(np.concatenate([every & m[:, None] for m in members], 1).astype(np.float32))
    counts: list[list[Floats]] = [[] for _ in seeds]
    for weights in bootstrap_weights(n, plan.resamples(n), groups):
        for mine, cell in zip(counts, cells, strict=True):
            mine.append((weights @ cell).astype(np.float64))
    found = []
    for mine, seed in zip(counts, seeds, strict=True):
        shaped = np.concatenate(mine).reshape(-1, len(members), 4)
        drawn = score_counts(shaped, seed.odds, plan.prevalences)
        # A resample without a false positive has no ratio.
        found.append({k: np.where(np.isfinite(v), v, np.nan) for k, v in drawn.items()})
    return found


def _in_sample(seeds: Sequence[_Seed]) -> InSample | None:
    found = []
    for s in seeds:
        if s.answers.threshold is None:
            return None
        called = s.score >= s.answers.threshold
        found.append(score_counts(count_cells(s.true, called).sum(axis=0)))
    return InSample(
        sensitivity=statistics.fmean(float(f["sensitivity"]) for f in found),
        specificity=statistics.fmean(float(f["specificity"]) for f in found),
    )
