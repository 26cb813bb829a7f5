"""A run against published figures: statistically, and only what is comparable.

With D = ours - reported and a margin fixed beforehand, :func:`milkreport.checks.verdict.decide` has the rule.
The interval includes both sampling errors, the rounding of the print, and from two seeds on the spread over
trainings: ours, and theirs, who trained once, as if it were like ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from milkreport.checks.audit.matrices_check import audit_matrices
from milkreport.checks.class_mix import FREE_OF_MIX, other_mix
from milkreport.checks.evidence import NO_MARGIN, needed_cases
from milkreport.checks.expand import difference_bounds, read_estimate, summarise_counts
from milkreport.checks.lookup import FigureMatch, find_value
from milkreport.checks.reference import Reference
from milkreport.checks.statements import Figure
from milkreport.checks.verdict import (
    CheckRow,
    Status,
    Verdict,
    decide,
    overall_status,
    primary_of,
    warn_of_gains,
)
from milkreport.evaluation.intervals.closed_form import wilson_bounds
from milkreport.evaluation.records.data import Part
from milkreport.evaluation.records.parts import Estimate, PartResult
from milkreport.evaluation.records.results import Results

KIND = "published figures"


def check_published(results: Results, settings: Mapping[str, Any], reference: Reference) -> Verdict:
    """Compare *results* with the figures of *reference*.

    Args:
        settings: the run's resolved suite, dotted keys.
    """
    published = {
        key: summarise_counts(found.counts, reference.classes)
        for key, found in audit_matrices(reference)[0].items()
    }
    rows = [_check(figure, results, settings, reference, published) for figure in reference.figures]
    decided = [row for row in rows if row.status is not Status.NOT_CHECKED]
    seeds = {part.n_seeds for arm in results.arms for part in arm.parts}
    remarks = []
    if decided and min(seeds, default=0) < 2:
        remarks.append(
            "one training per arm: the intervals do not include the spread over trainings"
        )
    if any(row.metric not in FREE_OF_MIX for row in decided) and not (
        reference.support or published
    ):
        remarks.append(
            "the reference states no class counts: the same class mix was assumed, not checked"
        )
    primary = primary_of(rows, reference.primary)
    return Verdict(
        reference=reference.name,
        title=reference.title,
        source=reference.source,
        kind=KIND,
        status=overall_status(rows, primary),
        arms={arm.name: arm.title for arm in reference.arms},
        primary=primary,
        rows=rows,
        warnings=warn_of_gains(rows),
        remarks=remarks,
    )


def _check(
    figure: Figure,
    results: Results,
    settings: Mapping[str, Any],
    reference: Reference,
    published: Mapping[tuple[str, Part], PartResult],
) -> CheckRow:
    found = find_value(results, reference, figure)
    estimate = found.estimate
    # On synthetic data not even the bare difference means anything.
    ours = None if estimate is None or results.data.synthetic else estimate.value
    margin, why = reference.margin_of(figure)
    better = reference.rule(figure.metric).better
    row = CheckRow(
        arm=figure.arm,
        part=figure.part,
        metric=figure.metric,
        class_name=figure.class_name,
        printed=figure.printed,
        reference=figure.value,
        ours=ours,
        difference=None if ours is None else ours - figure.value,
        margin=margin,
        margin_reason=why,
        better=better,
        status=Status.NOT_CHECKED,
        reason="",
    )
    unlike = _differences_in_protocol(results, settings, reference, figure)
    first, second = (unlike, found.reason) if results.data.synthetic else (found.reason, unlike)
    if reason := first or second or _not_judged(found):
        return row.model_copy(update={"reason": reason, "refused": found.refused})
    assert estimate is not None
    arm = results.arm(figure.arm)
    part = arm.part(figure.part) if arm else None
    assert part is not None
    if figure.metric not in FREE_OF_MIX:
        matrix = published.get((figure.arm, figure.part))
        if mix := other_mix(reference, figure, part, matrix):
            reason = f"{mix}; {figure.metric} depends on it"
            return row.model_copy(update={"reason": reason})
    low, high = _interval(figure, estimate, found.n_seeds, reference, published)
    status, reason = decide(low, high, margin, better)
    if status is Status.PASS and (lack := _lacking(part, figure, margin)):
        status, reason = Status.INCONCLUSIVE, lack
    if found.n_seeds < reference.min_seeds:
        status = Status.INCONCLUSIVE
        reason = f"{found.n_seeds} of {reference.min_seeds} seeds that the reference asks for"
    return row.model_copy(update={"low": low, "high": high, "status": status, "reason": reason})


def _lacking(part: PartResult, figure: Figure, margin: float) -> str:
    """Why a run's cases cannot carry a PASS. Macro averages need no more: nothing is paired, and rare classes
    widen the interval itself.
    """
    n = part.n_groups or part.n_cases
    if figure.class_name:
        n = next(row.support for row in part.classes if row.name == figure.class_name)
    if margin > 0 and n >= needed_cases(margin):
        return ""
    if margin <= 0:
        return NO_MARGIN
    return f"too few cases to pass: {n:,}, {needed_cases(margin):,} would do"


def _not_judged(found: FigureMatch) -> str:
    if found.estimate is None or found.estimate.low is None or found.estimate.high is None:
        return (
            "shown, not judged: it has no interval, as on training cases, which are no fresh sample"
        )
    return ""


def _interval(
    figure: Figure,
    estimate: Estimate,
    n_seeds: int,
    reference: Reference,
    published: Mapping[tuple[str, Part], PartResult],
) -> tuple[float, float]:
    """95% interval of ours minus reported."""
    theirs = _reported(figure, estimate, reference, published)
    low, high = difference_bounds(estimate, theirs)
    gap = (estimate.value or 0) - (theirs.value or 0)
    trainings = 0.0
    if n_seeds > 1 and estimate.seed_sd is not None:
        from scipy.special import stdtrit  # here: slow to load, and one training needs none of it

        # Our interval includes our own share (evaluation.readers); one training of theirs remains.
        trainings = float(stdtrit(n_seeds - 1, 0.975)) * estimate.seed_sd
    least, greatest = figure.bounds(reference.rounding)
    return (
        gap - (greatest - figure.value) - math.hypot(gap - low, trainings),
        gap + (figure.value - least) + math.hypot(high - gap, trainings),
    )


def _reported(
    figure: Figure,
    ours: Estimate,
    reference: Reference,
    published: Mapping[tuple[str, Part], PartResult],
) -> Estimate:
    """The printed value with an interval: from its matrix, as a proportion, else as wide as ours."""
    value = figure.value
    part = published.get((figure.arm, figure.part))
    found = read_estimate(part, figure) if part else Estimate(value=None)
    if found.value is not None and found.low is not None and found.high is not None:
        below, above = found.value - found.low, found.high - found.value
    elif figure.metric == "accuracy" and figure.part in reference.n:
        n = reference.n[figure.part]
        least, greatest = wilson_bounds(value * n, n)
        below, above = value - float(least), float(greatest) - value
    else:
        assert ours.value is not None
        assert ours.low is not None
        assert ours.high is not None
        below, above = ours.value - ours.low, ours.high - ours.value
    return Estimate(value=value, low=value - below, high=value + above)


def _differences_in_protocol(
    results: Results, settings: Mapping[str, Any], reference: Reference, figure: Figure
) -> str:
    """Why a run can't be compared with a figure, or nothing."""
    if results.data.synthetic:
        return "the data is synthetic"
    unlike = []
    if results.data.name != reference.data:
        unlike.append(f"the data is {results.data.name}, not {reference.data}")
    if set(results.classes) != set(reference.classes):
        unlike.append("other classes")
    comparable = figure.comparable or reference.comparable
    if comparable == "other data":
        unlike.append("the figure is of other data")
    if comparable == "same split rule":
        for key, wanted in reference.protocol.items():
            have = settings.get(key)
            if have != wanted:
                unlike.append(f"{key} is {have}, not {wanted}")
    return "unlike the reported protocol: " + "; ".join(unlike) if unlike else ""
