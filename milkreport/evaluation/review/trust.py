"""Rules about whether figures can be believed: calibration, subgroups, signs of a leak."""

from __future__ import annotations

import math
from collections.abc import Sequence

from milkreport.evaluation.intervals.resampling import holm
from milkreport.evaluation.records.parts import PartResult, ReliabilityBin, SliceGap
from milkreport.evaluation.records.results import Results
from milkreport.evaluation.review.rule import (
    ALPHA,
    Outcome,
    absent,
    excludes,
    metric_words,
    named,
    passed,
    short,
    tested,
)
from milkreport.tables import plural

#: Mean gap between probability and share from which it matters to whoever reads a probability.
MATTERS = 0.05
#: Expected right and wrong answers that a bin must have for a chi-square statistic.
FEWEST_EXPECTED = 5
#: Lower end of the accuracy's interval above which results look too good.
TOO_GOOD = 0.98
#: Share of the most frequent class above which a high accuracy is nothing special.
MOST_OF_ONE_CLASS = 0.95
#: Cases per value from which a column's values say something of the class.
CASES_A_VALUE = 10


def calibration(results: Results) -> Outcome:
    """MR004: arms whose probabilities are shown to differ from what happens."""
    arms = [(a, p) for a, p in tested(results) if p.calibration is not None and p.calibration.bins]
    if not arms:
        return absent("No arm has probabilities that sum to 1.")
    # Of two classes P(positive) says all; of more the largest probability is what a reader is shown.
    binary = [(a, p) for a, p in arms if len(results.classes) == 2 and _has_risk(p)]
    found = _risks(binary)
    rest = [(a, p) for a, p in arms if a not in {arm for arm, _ in binary}]
    tests = [(a, p, reliability_p(p)) for a, p in rest]
    off = [(a, p, q) for a, p, q in tests if q * len(tests) < ALPHA]
    off.sort(key=lambda one: -_ece(one[1]))
    matters = bool(found)
    for arm, part, p in off:
        stated, right = _means(part)
        ece = _ece(part)
        matters |= ece >= MATTERS
        size = f", calibration error {ece:.3f}" if ece else ""
        p_text = "< 0.001" if p < 0.001 else f"= {p:.3f}"
        found.append(
            f"{arm}, mean confidence {stated:.3f} and accuracy {right:.3f}{size} (p {p_text})"
        )
    if not found:
        n = plural(len(arms), "arm", "arms")
        return passed(f"No departure from calibration is shown ({n}, corrected for their number).")
    return Outcome(
        "warning" if matters else "note",
        f"Probabilities do not match what happened: {named(found, '; ')}.",
        "Show no probability to a reader as it is: recalibrate on the validation part (a temperature, or "
        "Platt's two parameters), and report calibration on the test part again.",
    )


def _has_risk(part: PartResult) -> bool:
    risk = part.binary.risk if part.binary is not None else None
    return risk is not None and risk.intercept.low is not None


def _risks(arms: Sequence[tuple[str, PartResult]]) -> list[str]:
    """Calibration intercepts that exclude 0 and slopes that exclude 1, widened for their number."""
    looks = []
    for arm, part in arms:
        risk = part.binary.risk if part.binary is not None else None
        if risk is not None:
            looks += [(arm, "intercept", risk.intercept, 0.0), (arm, "slope", risk.slope, 1.0)]
    known = [
        (arm, what, e.value, e.low, e.high, null)
        for arm, what, e, null in looks
        if e.value is not None and e.low is not None and e.high is not None
    ]
    known.sort(key=lambda one: -abs(one[2] - one[5]))
    return [
        f"{arm} has a calibration {what} of {value:.2f} (95% interval {low:.2f} to {high:.2f}; {null:g} is "
        "ideal)"
        for arm, what, value, low, high, null in known
        if excludes(value, low, high, null, len(known))
    ]


def _ece(part: PartResult) -> float:
    """Expected calibration error; 0 where it is not known."""
    found = part.metrics.get("ece")
    return (found.value or 0.0) if found is not None else 0.0


def _means(part: PartResult) -> tuple[float, float]:
    """Mean of the largest probability, and share of right answers."""
    assert part.calibration is not None
    bins = [b for b in part.calibration.bins if b.n and b.confidence is not None]
    n = sum(b.n for b in bins)
    stated = sum(b.n * (b.confidence or 0) for b in bins) / n
    return stated, sum(b.n * (b.accuracy or 0) for b in bins) / n


def reliability_p(part: PartResult) -> float:
    """p of calibration of the largest probability: chi-square over the reliability bins.

    The statistic of Hosmer and Lemeshow (1980) with as many degrees of freedom as bins, for
    nothing was fitted to these cases. Bins are joined until at least five right and five wrong answers are
    expected of each; within a bin probabilities vary, which makes the test conservative. Where fewer
    wrong answers are expected altogether, their number is Poisson's. Groups divide the
    statistic by the design effect of the accuracy.
    """
    from scipy.special import chdtrc, pdtrc  # here: slow to load

    assert part.calibration is not None
    groups = _join_bins([b for b in part.calibration.bins if b.n and b.confidence is not None])
    effect = _design_effect(part)
    if not groups:
        bins = part.calibration.bins
        expected = sum(b.n * (1 - b.confidence) for b in bins if b.confidence is not None)
        wrong = sum(b.n * (1 - b.accuracy) for b in bins if b.accuracy is not None)
        return float(
            pdtrc(max(math.ceil(wrong / effect - 1e-9) - 1, 0), max(expected / effect, 1e-9))
        )
    statistic = sum(
        (right - expected) ** 2 / (expected * (1 - expected / n)) for n, expected, right in groups
    )
    return float(chdtrc(len(groups), statistic / effect))


def _join_bins(bins: Sequence[ReliabilityBin]) -> list[tuple[float, float, float]]:
    """Bins joined to neighbours: cases, expected and observed right answers; a rest goes to the last one."""
    groups: list[tuple[float, float, float]] = []
    n = expected = right = 0.0
    for b in bins:
        n += b.n
        expected += b.n * (b.confidence or 0)
        right += b.n * (b.accuracy or 0)
        if min(expected, n - expected) >= FEWEST_EXPECTED:
            groups.append((n, expected, right))
            n = expected = right = 0.0
    if n and groups:
        last = groups.pop()
        groups.append((last[0] + n, last[1] + expected, last[2] + right))
    return groups


def _design_effect(part: PartResult) -> float:
    """By how much groups multiply the variance of the accuracy; 1 without groups."""
    accuracy = part.metrics.get("accuracy")
    if part.n_groups is None or accuracy is None or accuracy.value is None:
        return 1.0
    independent = accuracy.value * (1 - accuracy.value) / part.n_cases
    error = accuracy.sampling_error
    return max(1.0, error**2 / independent) if error is not None and independent > 0 else 1.0


def subgroups(results: Results) -> Outcome:
    """MR008: columns whose gap between subgroups exceeds chance, after Holm over all columns and arms."""
    if results.data.synthetic:
        return absent("Synthetic data has no subgroups that mean anything.")
    looks: list[tuple[str, PartResult, SliceGap, float]] = []
    for arm, part in tested(results):
        known = {gap.metric for gap in part.gaps}
        metric = results.primary_metric if results.primary_metric in known else "accuracy"
        looks += [(arm, part, g, g.p) for g in part.gaps if g.metric == metric and g.p is not None]
    if not looks:
        return absent("No column has subgroups that could be compared with chance.")
    adjusted = holm([p for *_, p in looks])
    found = []
    for (arm, part, gap, _), p in sorted(zip(looks, adjusted, strict=True), key=lambda one: one[1]):
        slices = [
            (s, value)
            for s in part.slices
            if s.column == gap.column
            and gap.metric in s.metrics
            and (value := s.metrics[gap.metric].value) is not None
        ]
        if p >= ALPHA or len(slices) < 2:
            continue
        worst, best = min(slices, key=lambda s: s[1]), max(slices, key=lambda s: s[1])
        found.append(
            f"{arm}: {metric_words(results, gap.metric)} {worst[1]:.3f} where {short(gap.column)} = "
            f"{short(worst[0].value)} and {best[1]:.3f} where it is {short(best[0].value)} (p = {p:.3f} "
            "after Holm's correction)"
        )
    n = plural(len(looks), "gap", "gaps")
    if not found:
        return passed(
            f"No gap between subgroups exceeds chance after Holm's correction ({n} looked at)."
        )
    return Outcome(
        "warning",
        f"Subgroups differ beyond chance: {named(found, '; ')}.",
        "Report the figure of each subgroup beside the overall one, look at how many training cases it "
        "has, and say for whom the model is not shown to work.",
    )


def leak(results: Results) -> Outcome:
    """MR009: shared cases, a column that does as well as the best arm, results that are too good."""
    proof = results.data.proof
    if proof is not None and (proof.shared_cases or proof.shared_groups or proof.shared_images):
        return Outcome(
            "error",
            f"Parts share {proof.shared_cases:,} cases, {proof.shared_groups:,} groups and "
            f"{proof.shared_images:,} images.",
            "Split again so that all of a group is in one part; no figure of these results can be used.",
        )
    found = [(a, p.metrics.get("accuracy")) for a, p in tested(results)]
    known = {a: e for a, e in found if e is not None and e.value is not None}
    if not known:
        return absent("No arm was tested.")
    best = max(known, key=lambda a: known[a].value or 0)
    top, low = known[best].value or 0.0, known[best].low
    telling = _telling_columns(results, top)
    if telling:
        return Outcome(
            "warning",
            f"A single column names the class about as well as the best arm ({best}, accuracy {top:.3f}): "
            f"{named(telling)}.",
            "Ask whether it was known before the diagnosis. If not, leave it out; if so, report an arm "
            "that reads this column alone.",
        )
    counts = [*results.data.class_counts.values()]
    share = max(counts) / sum(counts) if counts and sum(counts) else 1.0
    if low is not None and low > TOO_GOOD and share < MOST_OF_ONE_CLASS:
        return Outcome(
            "warning",
            f"{best} is right in {top:.1%} of the test {results.data.units} (95% interval from {low:.1%}), "
            "which is rare in practice.",
            "Look for what gives the answer away before believing it: rulers, borders, file names, one "
            "source per class, patients in two parts.",
        )
    shared = "parts share no case, group or image; " if proof is not None else ""
    text = f"{shared}no column does as well as the best arm ({best}, accuracy {top:.3f})"
    if not results.data.categorical:
        text = f"{shared}the best accuracy, {top:.3f} ({best}), is not suspiciously high"
    return passed(f"{text[:1].upper()}{text[1:]}.")


def _telling_columns(results: Results, accuracy: float) -> list[str]:
    """Columns whose most frequent class per value names at least as many cases as the best arm.

    Only where values have ten cases on average and a column halves the errors of the most frequent class.
    """
    said = []
    for column in results.data.categorical:
        by_value: dict[str, list[int]] = {}
        for counts in column.by_class.values():
            for value, n in counts.items():
                by_value.setdefault(value, []).append(n)
        total = sum(map(sum, by_value.values()))
        if not total or total < CASES_A_VALUE * len(by_value):
            continue
        share = sum(map(max, by_value.values())) / total
        most = max(sum(counts.values()) for counts in column.by_class.values()) / total
        if share >= accuracy and share - most > (1 - most) / 2:
            said.append(
                f"{short(column.title or column.column)} ({share:.1%} of all {results.data.units})"
            )
    return said
