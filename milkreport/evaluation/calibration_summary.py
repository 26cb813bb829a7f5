"""What is said of one arm beside its metrics: calibration, and some classes against the others."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.intervals.bounds import ModelBounds
from milkreport.evaluation.intervals.estimates import estimate
from milkreport.evaluation.intervals.inner_folds import inner_folds
from milkreport.evaluation.metrics.calibration import (
    N_BINS,
    case_log_loss,
    find_reliability,
    nested_temperature,
)
from milkreport.evaluation.metrics.measures import Measured, Plan, shared
from milkreport.evaluation.metrics.positive import SPECIFICITIES, THRESHOLDS
from milkreport.evaluation.metrics.rank_curves import positive_curve
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.parts import (
    Calibration,
    Estimate,
    NetBenefit,
    Operating,
    PositiveResult,
    ReliabilityBin,
)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def calibrate(
    seeds: Sequence[Predictions],
    groups: Ints | None,
    plan: Plan,
    calibrated: tuple[Mapping[int, Predictions], float] | None = None,
) -> Calibration:
    """Reliability bins, means over seeds; and what one temperature would make of it.

    Args:
        cooled: the predictions at temperatures of a validation part, and their mean; else nested ones
            are fitted.
    """
    found = [find_reliability(p.truth, p.predicted, p.probabilities) for p in seeds]
    counts = np.stack([np.bincount(r.bins, minlength=N_BINS) for r in found])
    sure = np.stack([np.bincount(r.bins, r.confidence, minlength=N_BINS) for r in found])
    gap = np.stack([np.bincount(r.bins, r.gap, minlength=N_BINS) for r in found])
    bins = []
    for i in range(N_BINS):
        n = float(counts[:, i].mean())
        confidence = float(sure[:, i].sum() / counts[:, i].sum()) if n else None
        right = float((sure - gap)[:, i].sum() / counts[:, i].sum()) if n else None
        # Rounding leaves -1e-17 where none is right.
        right = None if right is None else min(max(right, 0.0), 1.0)
        bins.append(
            ReliabilityBin(
                low=i / N_BINS, high=(i + 1) / N_BINS, n=n, confidence=confidence, accuracy=right
            )
        )
    if not plan.intervals:
        return Calibration(bins=bins)
    if calibrated is not None:
        after, temperature, fitted_on = (
            [*calibrated[0].values()],
            calibrated[1],
            "the validation part",
        )
    else:
        folds = inner_folds(seeds[0].truth, groups)
        if len(folds) < 2:
            return Calibration(bins=bins)  # one case or one group: nothing else to fit on
        nested = [nested_temperature(p.truth, p.probabilities, folds) for p in seeds]
        temperature = statistics.fmean(found for found, _ in nested)
        after = [replace(p, probabilities=q) for p, (_, q) in zip(seeds, nested, strict=True)]
        fitted_on = f"the other {len(folds) - 1} of {len(folds)} inner folds"
    eces = [find_reliability(p.truth, p.predicted, p.probabilities).error() for p in after]
    losses = [float(case_log_loss(p.truth, p.probabilities).mean()) for p in after]
    return Calibration(
        bins=bins,
        temperature=temperature,
        fitted_on=fitted_on,
        ece_after=statistics.fmean(eces),
        log_loss_after=statistics.fmean(losses),
    )


def describe_positive(
    seeds: Sequence[Predictions],
    points: Sequence[Measured],
    bounds: Sequence[ModelBounds],
    draws: Sequence[Measured],
    plan: Plan,
) -> PositiveResult | None:
    """The positive grouping, means over seeds; ``None`` where none was declared."""
    if not plan.positive:
        return None

    def over(name: str, place: int | None = None) -> Estimate:
        values = [m.positive[name] if place is None else m.positive[name][place] for m in points]
        ends = [b.positive[name] for b in bounds if name in b.positive]
        drawn = [d.positive[name] for d in draws if name in d.positive]
        if place is not None:
            ends = [(low[place], high[place]) for low, high in ends]
            drawn = [d[:, place] for d in drawn]
        limits = (-math.inf, 1.0) if name == "net_benefit" else (0.0, 1.0)
        pairs = [(float(low), float(high)) for low, high in ends]
        return estimate([float(v) for v in values], pairs, drawn, limits)

    names = shared([m.positive for m in points])
    places = [seeds[0].classes.index(name) for name in plan.positive]
    benefit = []
    if "net_benefit" in names:
        for place, threshold in enumerate(THRESHOLDS):
            found = over("net_benefit", place)
            treat_all = float(points[0].positive["treat_all"][place])
            if found.value is not None:
                benefit.append(
                    NetBenefit(
                        threshold=float(threshold),
                        value=found.value,
                        low=found.low,
                        high=found.high,
                        treat_all=treat_all,
                    )
                )
    return PositiveResult(
        classes=list(plan.positive),
        n_positive=int(np.isin(seeds[0].truth, places).sum()),
        sensitivity=over("sensitivity"),
        specificity=over("specificity"),
        auc=over("auc") if "auc" in names else None,
        average_precision=over("average_precision") if "auc" in names else None,
        operating=[
            Operating(specificity=s, sensitivity=over("at_specificity", i))
            for i, s in enumerate(SPECIFICITIES)
        ]
        if "at_specificity" in names
        else [],
        net_benefit=benefit,
        curve=positive_curve(seeds, plan.positive) if "auc" in names else None,
    )
