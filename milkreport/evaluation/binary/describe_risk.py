"""Calibration of P(positive) as a record: means over seeds, each value with its interval."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.binary.risk_bounds import NO_PAIR, bound_groups, bound_moved
from milkreport.evaluation.intervals.estimates import estimate
from milkreport.evaluation.intervals.resampling import bootstrap_weights
from milkreport.evaluation.metrics.measures import Plan
from milkreport.evaluation.metrics.risk import (
    Moved,
    binary_brier,
    calibration_intercept,
    calibration_slope,
    log_odds,
    risk_groups,
    scaled_brier,
)
from milkreport.evaluation.records.binary import RiskCalibration, RiskGroup, RisksOf

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

N_BINS = 20
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def describe_risk(
    trained: Sequence[tuple[Bools, Floats, Floats]],
    groups: Ints | None,
    plan: Plan,
    *,
    resampled: bool,
) -> RiskCalibration:
    """The record of one arm.

    Args:
        trained: of each training whether cases are positive, bool (n,), and the probability of the positive
            and of the other classes, float64 (n,).
    """
    # A sum of classes may pass 1 by its rounding.
    seeds = [(true, np.clip(risk, 0, 1)) for true, risk, _ in trained]
    true = seeds[0][0]
    odds = [(true, log_odds(risk, rest)) for true, risk, rest in trained]
    certain = max(int((~np.isfinite(logit)).sum()) for _, logit in odds)
    found = {
        "intercept": [calibration_intercept(*seed) for seed in odds],
        "slope": [calibration_slope(*seed) for seed in odds],
        "scaled_brier": [scaled_brier(*seed) for seed in seeds],
    }
    places = [risk_groups(risk) for _, risk in seeds]
    n_groups = min(int(p.max()) + 1 for p in places)
    drawn = _resample(found, seeds, places, groups, plan) if resampled else {}
    estimates = {}
    for name, moved in found.items():
        pairs = [bound_moved(name, m, true, groups) for m in moved] if resampled else []
        pairs = (
            [] if any(pair == NO_PAIR or not np.isfinite(pair).all() for pair in pairs) else pairs
        )
        limits = (-math.inf, 1.0 if name == "scaled_brier" else math.inf)
        estimates[name] = estimate([v for v, _ in moved], pairs, drawn.get(name, []), limits)
    reason = ""
    if certain:
        reason = f"{certain:,} of {len(true):,} risks are exactly 0 or 1 and have no log odds"
    elif estimates["slope"].value is None:
        reason = "the risk separates the two sides, or one of them is empty"
    return RiskCalibration(
        **estimates,
        brier=statistics.fmean(binary_brier(t, risk)[0] for t, risk in seeds),
        reason=reason,
        curve=_curve(seeds, places, groups, drawn.get("curve", [])) if n_groups > 1 else [],
        positive=_risks([risk[t] for t, risk in seeds]),
        negative=_risks([risk[~t] for t, risk in seeds]),
    )


def _resample(
    found: dict[str, list[Moved]],
    seeds: Sequence[tuple[Bools, Floats]],
    places: Sequence[Ints],
    groups: Ints | None,
    plan: Plan,
) -> dict[str, list[Floats]]:
    """Each seed's measures in the shared resamples, to first order; and the curve's shares (r, k)."""
    n = len(seeds[0][0])
    drawn: dict[str, list[list[Floats]]] = {name: [[] for _ in seeds] for name in (*found, "curve")}
    for weights in bootstrap_weights(n, plan.resamples(n), groups):
        for s, (true, _) in enumerate(seeds):
            for name, moved in found.items():
                value, moves = moved[s]
                drawn[name][s].append(value + (weights @ moves.astype(np.float32)).astype("f8"))
            member = (places[s][:, None] == np.arange(places[s].max() + 1)).astype(np.float32)
            with np.errstate(invalid="ignore"):
                shares = (weights @ (member * true[:, None])) / (weights @ member)
            drawn["curve"][s].append(shares.astype(np.float64))
    return {name: [np.concatenate(piece) for piece in by] for name, by in drawn.items()}


def _curve(
    seeds: Sequence[tuple[Bools, Floats]],
    places: Sequence[Ints],
    groups: Ints | None,
    drawn: Sequence[Floats],
) -> list[RiskGroup]:
    """One point a group of cases; of several seeds the mean of those of the same place, if as many."""
    if len({int(p.max()) for p in places}) > 1:
        seeds, places, drawn = seeds[:1], places[:1], drawn[:1]  # ties part the seeds differently
    bounds = [
        bound_groups(true, p, groups) if drawn else []
        for (true, _), p in zip(seeds, places, strict=True)
    ]
    points = []
    for place in range(int(places[0].max()) + 1):
        members = [p == place for p in places]
        pairs = [b[place] for b in bounds if b]
        share = estimate(
            [float(t[m].mean()) for (t, _), m in zip(seeds, members, strict=True)],
            pairs,
            [d[:, place] for d in drawn],
        )
        points.append(
            RiskGroup(
                n=statistics.fmean(int(m.sum()) for m in members),
                risk=statistics.fmean(
                    float(risk[m].mean()) for (_, risk), m in zip(seeds, members, strict=True)
                ),
                share=share,
            )
        )
    return points


def _risks(found: Sequence[Floats]) -> RisksOf:
    """Histogram and quantiles of the risks of one outcome."""
    if not len(found[0]):
        return RisksOf(counts=[0.0] * N_BINS, quantiles=[])
    counts = [np.histogram(risk, N_BINS, (0, 1))[0] for risk in found]
    quantiles = [np.quantile(risk, QUANTILES) for risk in found]
    return RisksOf(
        counts=np.mean(counts, axis=0).tolist(),
        quantiles=np.mean(quantiles, axis=0).tolist(),
    )
