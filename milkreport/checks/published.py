"""A run against published figures: statistically, and like with like only.

With D = ours - reported and a margin m fixed beforehand: PASS where the lower bound of D is at least
-m, FAIL where its upper bound is below -m, else INCONCLUSIVE. The interval has both sampling errors and
the rounding of the printed value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from milkreport.checks.reference import Figure, Matrix, Reference
from milkreport.checks.verdict import CheckRow, Status, Verdict, overall_status
from milkreport.evaluation.metrics import score_confusion
from milkreport.evaluation.part_record import Estimate
from milkreport.evaluation.results import Results
from milkreport.streams import stream

Z = 1.96
N_RESAMPLES = 2000


def check_published(results: Results, settings: Mapping[str, Any], reference: Reference) -> Verdict:
    """Compare *results* with the figures of *reference*.

    Args:
        settings: the run's resolved suite, dotted keys.
    """
    unlike = _differences_in_protocol(results, settings, reference)
    rows = [_check(figure, results, reference, unlike) for figure in reference.figures]
    warnings = [
        f"{row.arm}, {row.metric}: better than reported by more than {reference.margin:g}; "
        "if nothing was changed to improve it, look for a leak"
        for row in rows
        if row.low is not None and row.low > reference.margin
    ]
    return Verdict(
        reference=reference.name,
        title=reference.title,
        source=reference.source,
        kind="published figures",
        status=overall_status(rows),
        rows=rows,
        warnings=warnings,
    )


def decide(low: float, high: float, margin: float) -> tuple[Status, str]:
    """Outcome for an interval of D = ours - reference; a bound that is no number decides nothing."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return Status.NOT_CHECKED, "the interval is not finite"
    if low >= -margin:
        return Status.PASS, f"not worse by more than {margin:g}"
    if high < -margin:
        return Status.FAIL, f"worse by more than {margin:g}"
    return Status.INCONCLUSIVE, f"the interval does not tell whether it is worse by {margin:g}"


def _check(figure: Figure, results: Results, reference: Reference, unlike: list[str]) -> CheckRow:
    arm = results.arm(figure.arm)
    part = arm.part(figure.part) if arm else None
    estimate = part.metrics.get(figure.metric) if part else None
    ours = estimate.value if estimate else None
    # On synthetic data not even the bare difference means anything.
    shown = None if results.data.synthetic else ours
    row = CheckRow(
        arm=figure.arm,
        part=figure.part,
        metric=figure.metric,
        printed=figure.printed,
        reference=figure.value,
        ours=shown,
        difference=None if shown is None else shown - figure.value,
        margin=reference.margin,
        status=Status.NOT_CHECKED,
        reason="",
    )
    reason = None
    if unlike:
        reason = "unlike the reported protocol: " + "; ".join(unlike)
    elif estimate is None or ours is None:
        reason = "this run has no such value"
    elif estimate.low is None or estimate.high is None:
        reason = "training values are shown, not gated: their cases are not a fresh sample"
    if reason is not None:
        return row.model_copy(update={"reason": reason})
    assert estimate is not None
    low, high = _difference_interval(figure, estimate, reference)
    status, reason = decide(low, high, reference.margin)
    return row.model_copy(update={"low": low, "high": high, "status": status, "reason": reason})


def _difference_interval(
    figure: Figure, estimate: Estimate, reference: Reference
) -> tuple[float, float]:
    assert estimate.value is not None
    assert estimate.low is not None
    assert estimate.high is not None
    ours = (estimate.high - estimate.low) / (2 * Z)
    theirs = _reported_error(figure, reference, fallback=ours)
    least, greatest = figure.bounds(reference.rounding)
    spread = Z * math.hypot(ours, theirs)
    return estimate.value - greatest - spread, estimate.value - least + spread


def _reported_error(figure: Figure, reference: Reference, fallback: float) -> float:
    """Standard error of a reported value: from its matrix, as a proportion, else like ours."""
    matrix = reference.matrix(figure.arm, figure.part)
    if matrix is not None:
        return _bootstrap_error(matrix, figure.metric)
    if figure.metric == "accuracy" and figure.part in reference.n:
        return math.sqrt(figure.value * (1 - figure.value) / reference.n[figure.part])
    return fallback


def _bootstrap_error(matrix: Matrix, metric: str) -> float:
    """Stratified bootstrap over the cases of a confusion matrix: each row is a multinomial."""
    rng = stream(0, "reference")
    rows = np.array(matrix.rows, dtype=np.int64)
    draws = np.zeros((N_RESAMPLES, *rows.shape), np.int64)
    for index, row in enumerate(rows):
        if row.sum():
            draws[:, index] = rng.multinomial(row.sum(), row / row.sum(), N_RESAMPLES)
    return float(np.nanstd(score_confusion(draws)[metric], ddof=1))


def _differences_in_protocol(
    results: Results, settings: Mapping[str, Any], reference: Reference
) -> list[str]:
    if results.data.synthetic:
        return ["the data is synthetic"]
    unlike = []
    if results.data.name != reference.data:
        unlike.append(f"the data is {results.data.name}, not {reference.data}")
    if results.classes != reference.classes:
        unlike.append("other classes")
    for key, wanted in reference.protocol.items():
        have = settings.get(key)
        if have != wanted:
            unlike.append(f"{key} is {have}, not {wanted}")
    return unlike
