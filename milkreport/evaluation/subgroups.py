"""Subgroups of one arm as records: every slice, its difference from the others, the gap of a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.estimates import estimate, spread
from milkreport.evaluation.measures import Measured, Plan
from milkreport.evaluation.metrics import defined
from milkreport.evaluation.part_record import Estimate, SliceGap, SliceResult, Withheld
from milkreport.evaluation.predictions import Predictions
from milkreport.evaluation.resampling import over_seeds, percentile_interval
from milkreport.evaluation.slices import FEWEST, Slice, chance_gaps, score_slices, widest
from milkreport.streams import stream

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Slices:
    """Subgroups of one arm."""

    rows: list[SliceResult]
    gaps: list[SliceGap]
    withheld: list[Withheld]


def describe_slices(
    seeds: Mapping[int, Predictions], draws: Mapping[int, Measured], plan: Plan, found: list[Slice]
) -> Slices:
    """Metrics of every slice that is large enough, its difference from the others, and the gaps.

    Args:
        seeds, draws: by seed; *draws* is empty where nothing was resampled.
        found: slices of these cases, those that are too small as well.
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
        metrics, against = {}, {}
        for name in names:
            metrics[name] = estimate(
                [float(p[name][i, 0]) for p in points], [d[:, i, 0] for d in drawn[name]]
            )
            gaps = [float(p[name][i, 0] - p[name][i, 1]) for p in points]
            against[name] = estimate(gaps, [d[:, i, 0] - d[:, i, 1] for d in drawn[name]])
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
        chance = {}
        if plan.intervals:
            chance = chance_gaps(pooled, [shown[i] for i in places], plan.positive)
        for name in names:
            gap = _describe_gap(
                [p[name][places, 0] for p in points], [d[:, places, 0] for d in drawn[name]]
            )
            gaps_found.append(
                SliceGap(
                    column=column,
                    metric=name,
                    gap=gap,
                    chance=defined(chance[name]) if name in chance else None,
                )
            )
    return Slices(rows, gaps_found, withheld)


def _describe_gap(points: Sequence[Floats], draws: Sequence[Floats]) -> Estimate:
    """The gap of the means over seeds, as the table shows them.

    Args:
        points: (n_slices,), one a seed. draws: the same in each resample, (n_resamples, n_slices).
    """
    value = defined(float(widest(np.mean(points, axis=0))))
    if value is None or not draws:
        return Estimate(value=value)
    stacked = np.stack(draws, axis=1)
    bounds = percentile_interval(widest(over_seeds(stacked, stream(0, "seeds"))))
    low, high = bounds or (None, None)
    return Estimate(
        value=value, low=low, high=high, sampling_error=spread(widest(stacked.mean(axis=1)))
    )
