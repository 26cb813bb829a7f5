"""Subgroups of one arm as records: every slice, its difference from the others, the gap of a column."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.intervals.bounds import bound_share
from milkreport.evaluation.intervals.closed_form import t_quantile
from milkreport.evaluation.intervals.estimates import estimate, spread
from milkreport.evaluation.intervals.label_bounds import bound_labels
from milkreport.evaluation.metrics.confusion import confusion_counts, defined, score_confusion
from milkreport.evaluation.metrics.measures import Measured, Plan
from milkreport.evaluation.metrics.positive import split_positive
from milkreport.evaluation.metrics.slices import (
    FEWEST,
    Slice,
    chance_gaps,
    reaching,
    score_slices,
    widest,
)
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.parts import Estimate, SliceGap, SliceResult, Withheld

#: Gaps of fewer groups are shown beside no gap by chance.
FEWEST_GROUPS = 30

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Slices:
    """Subgroups of one arm."""

    rows: list[SliceResult]
    gaps: list[SliceGap]
    withheld: list[Withheld]


def describe_slices(
    seeds: Mapping[int, Predictions],
    draws: Mapping[int, Measured],
    plan: Plan,
    found: list[Slice],
    groups: Ints | None = None,
) -> Slices:
    """Metrics of every slice that is large enough, its difference from the others, and the gaps.

    Args:
        seeds, draws: by seed; *draws* is empty where nothing was resampled.
        found: slices of these cases, those that are too small as well.
        groups: int64 (n,), cases that were drawn together.
    """
    shown = [piece for piece in found if piece.n >= FEWEST]
    withheld = [
        Withheld(column=s.column, value=s.value, n=s.n) for s in found if s.n < FEWEST and s.n > 0
    ]
    pooled = [*seeds.values()]
    points = [score_slices(p, shown, plan.positive) for p in pooled]
    names = list(points[0]) if shown else []
    drawn = {name: [d.slices[name] for d in draws.values() if d.slices] for name in names}
    rows = []
    for i, piece in enumerate(shown):
        mine = [{name: drawn[name][s][:, i, 0] for name in names} for s in range(len(draws))]
        bounds = [
            _bound_slice(p, piece, d, plan, groups) for p, d in zip(pooled, mine, strict=False)
        ]
        metrics, against = {}, {}
        for name in names:
            ends = [b[name] for b in bounds if name in b]
            metrics[name] = estimate(
                [float(p[name][i, 0]) for p in points], ends, [d[name] for d in mine]
            )
            gaps = [float(p[name][i, 0] - p[name][i, 1]) for p in points]
            gap_draws = [d[:, i, 0] - d[:, i, 1] for d in drawn[name]]
            spreads = [_gap_error(name, pooled[0], piece, d) for d in gap_draws]
            ends = [(g - e, g + e) for g, e in zip(gaps, spreads, strict=False)]
            against[name] = estimate(gaps, ends, gap_draws, (-1.0, 1.0))
        n_classes = len(np.unique(pooled[0].truth[piece.member]))
        rows.append(
            SliceResult(
                column=piece.column,
                value=piece.value,
                n=piece.n,
                n_classes=n_classes,
                metrics=metrics,
                against_rest=against,
            )
        )
    gaps_found = []
    for column in dict.fromkeys(piece.column for piece in shown):
        places = [i for i, piece in enumerate(shown) if piece.column == column]
        if len(places) < 2:
            continue
        observed = {
            name: float(widest(np.mean([p[name][places, 0] for p in points], axis=0)))
            for name in names
        }
        chance: dict[str, tuple[float, float]] = {}
        if plan.intervals and groups is None:
            chance = chance_gaps(pooled, [shown[i] for i in places], plan.positive, observed)
        elif plan.intervals and draws and groups is not None and enough_groups(groups):
            chance = {name: _chance_of_draws(drawn[name], places, observed[name]) for name in names}
        for name in names:
            below, p_value = chance.get(name, (math.nan, math.nan))
            gaps_found.append(
                SliceGap(
                    column=column,
                    metric=name,
                    # No interval: resampling widens a largest difference.
                    gap=Estimate(value=defined(observed[name])),
                    chance=defined(below),
                    p=defined(p_value) if math.isfinite(observed[name]) else None,
                )
            )
    return Slices(rows, gaps_found, withheld)


def _bound_slice(
    p: Predictions, piece: Slice, draws: Mapping[str, Floats], plan: Plan, groups: Ints | None
) -> dict[str, tuple[float, float]]:
    """One model's intervals on one slice, by metric."""
    mine = piece.member
    own = None if groups is None else np.unique(groups[mine], return_inverse=True)[1]
    truth, predicted = p.truth[mine], p.predicted[mine]
    n_classes = len(p.classes)
    labels = score_confusion(confusion_counts(truth, predicted, n_classes)).keys() & draws.keys()
    found = bound_labels(truth, predicted, n_classes, draws, {}, own, labels).overall
    if plan.positive:
        true, answered, _ = split_positive(p, plan.positive)
        for name, hits, among in (
            ("sensitivity", answered, true),
            ("specificity", ~answered, ~true),
        ):
            low, high = bound_share(hits[mine], among[mine], own)
            found[name] = (float(low), float(high))
    return found


def _gap_error(name: str, p: Predictions, piece: Slice, draws: Floats) -> float:
    """Half of the 95% interval of a slice's value minus the rest's: never 0.

    One case right and one wrong are added on each side (Agresti and Caffo, 2000), for averages in each class.
    """
    added = 0.0
    for member in (piece.member, ~piece.member):
        counts = np.bincount(p.truth[member])
        counts = counts[counts > 0]
        sizes = counts if name in ("balanced_accuracy", "macro_f1") else counts.sum(keepdims=True)
        added += float((1 / (sizes + 2.0) ** 2).sum() / max(len(sizes), 1) ** 2)
    error = spread(draws) or 0.0
    return float(t_quantile(max(piece.n - 1, 1))) * float(np.sqrt(error**2 + added))


def enough_groups(groups: Ints) -> bool:
    """Whether resampled groups tell how far subgroups lie apart by chance: those of few hardly move."""
    return int(groups.max()) + 1 >= FEWEST_GROUPS


def _chance_of_draws(draws: Sequence[Floats], places: list[int], gap: float) -> tuple[float, float]:
    """What the gap stays below in 95% of resamples whose slices are moved to one value, and the p of *gap*:
    groups stay whole.
    """
    inside = np.mean([d[:, places, 0] for d in draws], axis=0)
    gaps = widest(inside - np.nanmean(inside, axis=0))
    known = gaps[np.isfinite(gaps)]
    if not len(known):
        return math.nan, math.nan
    return float(np.quantile(known, 0.95)), reaching(known, gap)
