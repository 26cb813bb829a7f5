"""All metrics, other decision rules and the positive classes: a row each, the arms side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from milkreport.evaluation.metrics.definitions import HEADLINE, REPEATED
from milkreport.evaluation.metrics.named import define
from milkreport.evaluation.records.parts import Calibration, Estimate, PartResult, PositiveResult
from milkreport.evaluation.records.results import Results
from milkreport.reporting.blocks import Cell, Column, Figure, Footnote, Row, Table, table
from milkreport.reporting.figures import roc_pr
from milkreport.reporting.tables import estimate_cell
from milkreport.reporting.wording.intervals import interval_notes
from milkreport.reporting.wording.order import (
    MOST_COLUMNS,
    column_words,
    drawn_arms,
    drawn_words,
)
from milkreport.reporting.wording.text import (
    MISSING,
    capital,
    decimal,
    listing,
    shorten,
    signed,
    signed_interval,
    whole,
)
from milkreport.reporting.wording.titles import arm_title, headline_part, metric_title, metric_words
from milkreport.tables import plural

#: Why some values stand alone.
NO_INTERVAL = (
    "no interval, because no method that was tried on such data included the true value often enough "
    "(docs/statistics.md)"
)
#: What the Brier score of all classes is; that of one class's probability goes from 0 to 1.
BRIER_SUM = "sum over classes, 0 to 2"
#: Threshold probabilities at which the decision curve is printed.
_SHOWN_THRESHOLDS = (0.1, 0.3, 0.5)

Arms = Sequence[tuple[str, PartResult]]


def metric_tables(results: Results) -> tuple[Table, ...]:
    """All metrics, and the same predictions under other decision rules, over the first five arms."""
    arms, note = _arms(results)
    tables = (_metrics(results, arms, note), _rules(results, arms, note)) if arms else ()
    return tuple(t for t in tables if t is not None)


def positive_table(results: Results) -> Table | None:
    """The positive classes against the others, where they are declared."""
    arms, note = _arms(results)
    return _positive(arms, note) if arms else None


def decision_figure(results: Results) -> Figure | None:
    """The decision curves of the arms that have one."""
    part = headline_part(results)
    decided = [
        (i, arm.title or arm.name, found.positive)
        for i, arm in enumerate(drawn_arms(results))
        if (found := arm.part(part)) and found.positive and found.positive.net_benefit
    ]
    if not decided:
        return None
    classes = ", ".join(shorten(name, 20) for name in decided[0][2].classes)
    caption = (
        f"Decision curve: net benefit of acting on the summed probability of {classes}, with 95% "
        "intervals. At a threshold of t, one true positive counts as much as (1 − t)/t false positives."
        f"{drawn_words(results)}"
    )
    return Figure("decision-curve", caption, roc_pr.decision_curve("decision-curve", decided))


def _arms(results: Results) -> tuple[Arms, str]:
    """The first five arms, and the sentence that says so."""
    part = headline_part(results)
    arms = [
        (arm_title(results, arm.name), found)
        for arm in results.arms
        if (found := arm.part(part)) is not None
    ]
    return arms[:MOST_COLUMNS], column_words(results, MOST_COLUMNS, len(arms))


def calibration_sentence(part: PartResult) -> str:
    """Whether the largest probability says how often the answer is right, and what a temperature mends."""
    found, ece = part.calibration, part.metrics.get("ece")
    if found is None or ece is None or ece.value is None:
        return ""
    text = (
        f"Calibration: the largest probability is {_side(found)} on average; the expected calibration error "
        f"is {decimal(ece.value)}"
    )
    if found.temperature is None or found.ece_after is None:
        return text + "."
    return (
        f"{text}. With one temperature of {decimal(found.temperature, 2)}, fitted on "
        f"{found.fitted_on}, it would be {decimal(found.ece_after)}, and log loss "
        f"{decimal(found.log_loss_after)}."
    )


def _side(found: Calibration) -> str:
    known = [b for b in found.bins if b.confidence is not None and b.accuracy is not None]
    gap = sum(b.n * ((b.confidence or 0) - (b.accuracy or 0)) for b in known)
    return "too high" if gap > 0 else "too low"


def without_interval(parts: Sequence[PartResult], names: Sequence[str]) -> list[str]:
    """Those metrics that have a value and no interval, where others of the part have one."""
    bounded = [p for p in parts if any(e.low is not None for e in p.metrics.values())]
    return [
        name
        for name in names
        if any(
            (e := part.metrics.get(name)) is not None and e.value is not None and e.low is None
            for part in bounded
        )
    ]


def _columns(first: str, arms: Arms) -> tuple[Column, ...]:
    return (Column(first, text=True), *(Column(title) for title, _ in arms))


def _metrics(results: Results, arms: Arms, note: str) -> Table | None:
    shown = [
        name
        for name in results.definitions
        if name not in (*HEADLINE, *REPEATED) and any(name in part.metrics for _, part in arms)
    ]
    if not shown:
        return None
    rows = []
    for name in shown:
        found = _estimates(arms, lambda p: p.metrics.get(name))  # noqa: B023
        rows.append(Row((_named(results, name), *found)))
        if name == "brier" and any(binary_brier(part) for _, part in arms):
            halves = _estimates(arms, binary_brier)
            rows.append(Row((Cell("Brier score, binary", "0 to 1, lower is better"), *halves)))
    lost = {name: reason for _, part in arms for name, reason in part.not_computed.items()}
    notes: tuple[Footnote, ...] = ()
    if lost:
        names = listing(metric_title(results, name) for name in lost)
        notes = (Footnote(MISSING, f"{names}: {next(iter(lost.values()))}."),)
    bare = without_interval([part for _, part in arms], shown)
    if any(e.low is not None for _, part in arms for e in part.metrics.values()):
        notes += interval_notes(rows, [name for name in shown if name not in bare])
    if bare:
        names = capital(listing(metric_words(results, name) for name in bare))
        notes += (Footnote("95%", f"{names}: {NO_INTERVAL}."),)
    caption = f"The other metrics and their 95% intervals, {arms[0][1].part}, described, not tested.{note}"
    return table("metrics", caption, _columns("Metric", arms), rows, notes, dense=True)


def _named(results: Results, metric: str) -> Cell:
    note = "lower is better" if define(metric).better == "lower" else ""
    if metric == "brier":
        note = f"{BRIER_SUM}, {note}"
    return Cell(metric_title(results, metric), note)


def binary_brier(part: PartResult) -> Estimate | None:
    """The Brier score of two classes as libraries state it: of one class, half of the sum."""
    found = part.metrics.get("brier")
    if found is None or len(part.classes) != 2:
        return None
    values = found.model_dump()
    return Estimate(**{k: None if v is None else v / 2 for k, v in values.items()})


def _rules(results: Results, arms: Arms, note: str) -> Table | None:
    kinds = {rule.rule: rule for _, part in arms for rule in part.rules}
    if not kinds:
        return None
    rows = [Row((Cell("argmax"), *_estimates(arms, lambda p: p.metrics.get("macro_f1"))))]
    for kind, rule in kinds.items():
        cells = [Cell(rule.title, rule.decision, "‡" if rule.in_sample else "")]
        for _, part in arms:
            found = next((r for r in part.rules if r.rule == kind), None)
            cell = estimate_cell(found.values.get("macro_f1")) if found else Cell(MISSING)
            cells.append(cell)
        rows.append(Row(tuple(cells)))
        if any(r.against_argmax for _, part in arms for r in part.rules if r.rule == kind):
            rows.append(
                Row((Cell("minus argmax, paired", kind="soft"), *_minus_argmax(arms, kind)))
            )
        without = [next((r for r in part.rules if r.rule == kind), None) for _, part in arms]
        counts = [
            Cell(f"{whole(r.n_without_class)} / {whole(r.n_several)}" if r else MISSING)
            for r in without
        ]
        name = f"{results.data.units} without a class / with several"
        rows.append(Row((Cell(name, kind="soft"), *counts)))
    notes = []
    if any(rule.in_sample for rule in kinds.values()):
        text = (
            "In-sample: the thresholds were fitted on the cases that they are scored on, so the value is too "
            "high. It has no interval. Do not compare it."
        )
        notes.append(Footnote("‡", text))
    if "isic" in kinds:
        text = "The archive's scorer counts 1 where a denominator is empty, and averages over all classes."
        notes.append(Footnote("isic", text))
    caption = (
        f"Macro F1 of the same predictions under other decision rules, {arms[0][1].part}.{note}"
    )
    notes += interval_notes(rows, ())
    return table("rules", caption, _columns("Decision rule", arms), rows, tuple(notes), dense=True)


def _minus_argmax(arms: Arms, kind: str) -> list[Cell]:
    """The rule's macro F1 minus that of argmax on the same resamples."""
    found = [next((r for r in part.rules if r.rule == kind), None) for _, part in arms]
    return [_signed_cell(r.against_argmax if r else None) for r in found]


def _positive(arms: Arms, note: str) -> Table | None:
    first = arms[0][1].positive
    if first is None:
        return None

    def line(
        name: str, read: Callable[[PositiveResult], Estimate | None], *, sign: bool = False
    ) -> Row:
        found = [read(part.positive) if part.positive else None for _, part in arms]
        cells = [estimate_cell(e) if not sign else _signed_cell(e) for e in found]
        return Row((Cell(name), *cells))

    rows = [
        line("Sensitivity, by the predicted class", lambda p: p.sensitivity),
        line("Specificity, by the predicted class", lambda p: p.specificity),
    ]
    if first.auc is not None:
        rows.append(line("ROC AUC of the summed probability", lambda p: p.auc))
    for i, point in enumerate(first.operating):
        name = f"Sensitivity at a specificity of {decimal(point.specificity, 2)}"
        rows.append(line(name, lambda p, i=i: p.operating[i].sensitivity if p.operating else None))  # type: ignore[misc]
    for i, benefit in enumerate(first.net_benefit):
        if any(abs(benefit.threshold - shown) < 1e-9 for shown in _SHOWN_THRESHOLDS):
            name = f"Net benefit at a threshold of {decimal(benefit.threshold, 1)}"
            name += f" (treat all: {signed(benefit.treat_all)})"
            rows.append(line(name, lambda p, i=i: _benefit(p, i), sign=True))  # type: ignore[misc]
    classes = listing(shorten(name, 24) for name in first.classes)
    n = plural(first.n_positive, "case", "cases")
    caption = f"{classes} against the others, {arms[0][1].part} ({n} of {whole(arms[0][1].n_cases)}).{note}"
    notes = interval_notes(rows, ())
    return table("positive", caption, _columns("Measure", arms), rows, notes, dense=True)


def _benefit(found: PositiveResult, place: int) -> Estimate | None:
    if place >= len(found.net_benefit):
        return None
    point = found.net_benefit[place]
    return Estimate(value=point.value, low=point.low, high=point.high)


def _estimates(arms: Arms, read: Callable[[PartResult], Estimate | None]) -> list[Cell]:
    return [estimate_cell(read(part)) for _, part in arms]


def _signed_cell(found: Estimate | None) -> Cell:
    if found is None:
        return Cell(MISSING)
    note = signed_interval(found.low, found.high) if found.low is not None else ""
    return Cell(signed(found.value), note)
