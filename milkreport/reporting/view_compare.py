"""Section 5 of the report: the arms beside one another; section 7: beside reported figures."""

from __future__ import annotations

from dataclasses import dataclass

from milkreport.checks.verdict import CheckRow, Status, Verdict
from milkreport.evaluation.results import Comparison, Difference, Results
from milkreport.reporting import figures
from milkreport.reporting.blocks import (
    Badge,
    Cell,
    Column,
    Figure,
    Footnote,
    Group,
    Row,
    Table,
    table,
)
from milkreport.reporting.sentences import (
    SEEDS_FOR_METHODS,
    arm_title,
    headline_part,
    imbalance_note,
    is_shown,
    metric_title,
    primary_pairs,
    yardstick_sentence,
)
from milkreport.reporting.text import (
    MISSING,
    decimal,
    numeral,
    p_cell,
    shorten,
    signed,
    signed_interval,
    whole,
    without_paths,
)
from milkreport.reporting.view_arms import TOO_FEW

MOST_CHART_ROWS = 24
SYMBOLS = {
    Status.PASS: ("✓", "pass"),
    Status.FAIL: ("✗", "fail"),
    Status.INCONCLUSIVE: ("≈", "open"),
    Status.NOT_CHECKED: ("○", "none"),
}


@dataclass(frozen=True)
class ComparisonView:
    """The arms beside one another."""

    method: tuple[str, ...]
    primary: Table | None
    others: Table | None
    per_class: Figure | None
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class ReferenceView:
    """The run beside a reference."""

    title: str
    source: str
    kind: str
    badge: Badge
    counts: tuple[Badge, ...]
    explanation: str
    table: Table
    chart: Figure | None
    warnings: tuple[str, ...]


def status_badge(status: Status, text: str = "") -> Badge:
    """A status as symbol and word."""
    symbol, kind = SYMBOLS[status]
    return Badge(symbol, str(status), kind, text)


def count_badges(verdict: Verdict) -> tuple[Badge, ...]:
    """Number of checks by status."""
    return tuple(status_badge(s, whole(verdict.counts[str(s)])) for s in Status)


def build_comparison(results: Results) -> ComparisonView:
    """Pairwise differences on the primary metric; the other metrics are described."""
    comparison = results.comparison
    remarks = [yardstick_sentence(results), imbalance_note(results, TOO_FEW)]
    part = headline_part(results)
    chart = None
    if any(arm.part(part) for arm in results.arms):
        caption = (
            f"F1 and recall of each class on the {part} part, support in brackets. A class without "
            "predictions has no F1 mark where its F1 is undefined."
        )
        svg = figures.per_class("per-class", results.arms, part)
        chart = Figure("per-class", caption, svg)
    others = [
        d
        for d in (comparison.differences if comparison else [])
        if d.metric != results.primary_metric
    ]
    return ComparisonView(
        method=_method(results, comparison) if comparison else (),
        primary=_primary_table(results),
        others=_other_table(results, others) if others else None,
        per_class=chart,
        remarks=tuple(r for r in remarks if r),
    )


def build_reference(results: Results, verdict: Verdict) -> ReferenceView:
    """The table against the reference, reasons as footnotes."""
    reasons: dict[str, str] = {}
    for row in verdict.rows:
        if row.reason:
            reasons.setdefault(row.reason, _letter(len(reasons)))
    arms = dict.fromkeys(row.arm for row in verdict.rows)
    groups = tuple(
        Group(
            arm_title(results, arm),
            tuple(_check_row(row, reasons) for row in verdict.rows if row.arm == arm),
        )
        for arm in arms
    )
    columns = (
        Column("Metric", text=True),
        Column("Part", text=True),
        Column("Reported"),
        Column("This run"),
        Column("Difference"),
        Column("95% interval"),
        Column("Status", text=True),
    )
    notes = tuple(
        Footnote(mark, shorten(without_paths(reason), 600)) for reason, mark in reasons.items()
    )
    margins = sorted({row.margin for row in verdict.rows if row.margin is not None})
    explanation = (
        "Difference is this run minus the reported figure; its interval holds both sampling errors "
        "and the rounding of the print. PASS: the whole interval lies above minus the margin; FAIL: "
        "below; INCONCLUSIVE: it holds minus the margin; NOT CHECKED: not like with like."
    )
    if margins:
        said = numeral(len(margins)) + " margins: " if len(margins) > 1 else "margin: "
        explanation += f" Declared beforehand, {said}{', '.join(decimal(m) for m in margins)}."
    return ReferenceView(
        title=shorten(verdict.title, 160),
        source=shorten(without_paths(verdict.source), 300),
        kind=verdict.kind,
        badge=status_badge(verdict.status),
        counts=count_badges(verdict),
        explanation=explanation,
        table=Table(
            "reference", "This run beside the reference.", columns, groups, notes, dense=True
        ),
        chart=_chart(results, verdict),
        warnings=tuple(without_paths(w) for w in verdict.warnings),
    )


def _method(results: Results, comparison: Comparison) -> tuple[str, ...]:
    least = 1 / (comparison.resamples + 1)
    text = [
        f"Differences are paired over the same {whole(comparison.n_cases)} {comparison.part} "
        f"{results.data.units}. Intervals: {whole(comparison.resamples)} stratified bootstrap "
        f"resamples; p: two-sided permutation over {results.data.units}, not below {least:.2g} with "
        "as many resamples; Holm's correction over the pairs. Detectable: the difference found with "
        "80% power."
    ]
    if comparison.n_folds > 1:
        text.append(
            f"Predictions are pooled out of fold over {numeral(comparison.n_folds)} folds: the "
            "intervals describe these predictions, not a newly drawn training set."
        )
    if comparison.n_seeds < SEEDS_FOR_METHODS:
        text.append(
            f"Fewer than {numeral(SEEDS_FOR_METHODS)} training seeds an arm: the table speaks of "
            "these trained models, and ranks no method."
        )
    return tuple(text)


def _primary_table(results: Results) -> Table | None:
    pairs = primary_pairs(results)
    if not pairs:
        return None
    columns = (
        Column("Arm", text=True),
        Column("against", text=True),
        Column("Difference"),
        Column("95% interval"),
        Column("p"),
        Column("p (Holm)"),
        Column("Detectable"),
        Column("", text=True),
    )
    rows = [
        Row(
            (
                Cell(arm_title(results, d.arm)),
                Cell(arm_title(results, d.against), kind="text"),
                Cell(signed(d.value)),
                Cell(signed_interval(d.low, d.high)),
                Cell(p_cell(d.p)),
                Cell(p_cell(d.p_holm)),
                Cell(decimal(d.detectable)),
                Cell(_finding(results, d), kind="text"),
            )
        )
        for d in pairs
    ]
    metric = metric_title(results, results.primary_metric)
    caption = f"{metric}, the primary metric: differences between the arms."
    return table("differences", caption, columns, rows)


def _finding(results: Results, d: Difference) -> str:
    if results.data.synthetic:
        return "synthetic"
    return "shown" if is_shown(d) else "not shown"


def _other_table(results: Results, differences: list[Difference]) -> Table:
    metrics = list(dict.fromkeys(d.metric for d in differences))[:6]
    pairs = list(dict.fromkeys((d.arm, d.against) for d in differences))
    found = {(d.arm, d.against, d.metric): d for d in differences}
    rows = []
    for arm, against in pairs:
        cells = [Cell(arm_title(results, arm)), Cell(arm_title(results, against), kind="text")]
        for metric in metrics:
            d = found.get((arm, against, metric))
            value = signed(d.value) if d else MISSING
            cells.append(Cell(value, signed_interval(d.low, d.high) if d else ""))
        rows.append(Row(tuple(cells)))
    columns = [Column("Arm", text=True), Column("against", text=True)]
    columns += [Column(metric_title(results, metric)) for metric in metrics]
    caption = "Other metrics, described and not tested: differences with their 95% intervals."
    return table("other-differences", caption, tuple(columns), rows)


def _letter(index: int) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return letters[index] if index < 26 else letters[index // 26 - 1] + letters[index % 26]


def _check_row(row: CheckRow, reasons: dict[str, str]) -> Row:
    symbol, kind = SYMBOLS[row.status]
    return Row(
        (
            Cell(_metric_name(row.metric)),
            Cell(row.part, kind="text"),
            Cell(shorten(row.printed, 20)),
            Cell(decimal(row.ours, 4)),
            Cell(signed(row.difference, 4)),
            Cell(signed_interval(row.low, row.high), kind="soft"),
            Cell(f"{symbol} {row.status}", mark=reasons.get(row.reason, ""), kind=f"status {kind}"),
        )
    )


def _metric_name(metric: str) -> str:
    return shorten(metric.replace("_", " ").replace("f1", "F1").capitalize().replace("f1", "F1"))


def _chart(results: Results, verdict: Verdict) -> Figure | None:
    both = [row for row in verdict.rows if row.reference is not None and row.ours is not None]
    if not both:
        return None
    names = list(dict.fromkeys((row.arm, row.part) for row in both))[:MOST_CHART_ROWS]
    metrics = list(dict.fromkeys(row.metric for row in both))[:4]
    labels = [f"{arm_title(results, arm, 22)}, {part}" for arm, part in names]
    panels = [
        (
            _metric_name(metric),
            [
                next((r for r in both if (r.arm, r.part, r.metric) == (*n, metric)), None)
                for n in names
            ],
        )
        for metric in metrics
    ]
    caption = (
        "Reported and measured values; the 95% interval of their difference is drawn around this "
        "run's value. Where it reaches the diamond, no difference is shown."
    )
    svg = figures.against_reference("reference-figure", labels, panels)
    return Figure("reference-figure", caption, svg)
