"""The run beside reported figures, or beside an earlier run."""

from __future__ import annotations

from dataclasses import dataclass

from milkreport.checks.verdict import CheckRow, Status, Verdict
from milkreport.evaluation.metrics.named import title_of
from milkreport.evaluation.records.results import Results
from milkreport.reporting.blocks import Badge, Cell, Column, Figure, Footnote, Group, Row, Table
from milkreport.reporting.figures import interval_plot
from milkreport.reporting.wording.text import (
    capital,
    decimal,
    numeral,
    sentence,
    shorten,
    signed,
    signed_interval,
    whole,
    without_paths,
)
from milkreport.reporting.wording.titles import arm_title

MOST_CHART_ROWS = 24
PUBLISHED = "published figures"
SYMBOLS = {
    Status.PASS: ("✓", "pass"),
    Status.FAIL: ("✗", "fail"),
    Status.INCONCLUSIVE: ("≈", "open"),
    Status.NOT_CHECKED: ("○", "none"),
}


@dataclass(frozen=True)
class ReferenceView:
    """The run beside a reference."""

    title: str
    source: str
    kind: str
    badge: Badge
    explanation: str
    table: Table
    chart: Figure | None
    warnings: tuple[str, ...]
    remarks: tuple[str, ...]


def status_badge(status: Status, text: str = "") -> Badge:
    """A status as symbol and word."""
    symbol, kind = SYMBOLS[status]
    return Badge(symbol, str(status), kind, text)


def count_badges(verdict: Verdict) -> tuple[Badge, ...]:
    """Number of checks by status."""
    return tuple(status_badge(s, whole(verdict.counts[str(s)])) for s in Status)


def build_reference(results: Results, verdict: Verdict) -> ReferenceView:
    """The table against the reference, reasons as footnotes."""
    reasons: dict[str, str] = {}
    for row in verdict.rows:
        if row.reason:
            reasons.setdefault(row.reason, _letter(len(reasons)))
    arms = dict.fromkeys(row.arm for row in verdict.rows)
    groups = tuple(
        Group(
            arm_title(results, arm)
            if results.arm(arm)
            else shorten(verdict.arms.get(arm, arm), 60),
            tuple(_check_row(row, reasons) for row in verdict.rows if row.arm == arm),
        )
        for arm in arms
    )
    columns = (
        Column("Metric", text=True),
        Column("Part", text=True),
        Column("Reported" if verdict.kind == PUBLISHED else "Earlier"),
        Column("This run"),
        Column("Difference"),
        Column("95% interval"),
        Column("Status", text=True),
    )
    notes = tuple(
        Footnote(mark, shorten(without_paths(reason), 600)) for reason, mark in reasons.items()
    )
    margins = sorted({row.margin for row in verdict.rows if row.margin is not None})
    published = verdict.kind == PUBLISHED
    explanation = (
        "The difference is this run minus the reported figure; its interval includes the sampling errors of "
        "both and the rounding of the printed figure. "
        if published
        else "The difference is this run minus the earlier one, on the same cases. "
    )
    explanation += (
        "PASS: the whole interval is above minus the margin. FAIL: the whole interval is below it. "
        "INCONCLUSIVE: the interval includes it. NOT CHECKED: not comparable; the reason is given."
    )
    if margins:
        said = numeral(len(margins)) + " margins: " if len(margins) > 1 else "margin: "
        explanation += f" Declared beforehand, {said}{', '.join(decimal(m) for m in margins)}."
    return ReferenceView(
        title=shorten(verdict.title, 160),
        source=sentence(shorten(without_paths(verdict.source), 300)),
        kind=verdict.kind,
        badge=status_badge(verdict.status),
        explanation=explanation,
        table=Table(
            "reference", "This run beside the reference.", columns, groups, notes, dense=True
        ),
        chart=_chart(results, verdict),
        warnings=tuple(sentence(capital(without_paths(w))) for w in verdict.warnings),
        remarks=tuple(sentence(capital(without_paths(r))) for r in verdict.remarks),
    )


def _letter(index: int) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return letters[index] if index < 26 else letters[index // 26 - 1] + letters[index % 26]


def _check_row(row: CheckRow, reasons: dict[str, str]) -> Row:
    symbol, kind = SYMBOLS[row.status]
    return Row(
        (
            Cell(_row_name(row)),
            Cell(row.part, kind="text"),
            Cell(shorten(row.printed, 20)),
            Cell(decimal(row.ours, 4)),
            Cell(signed(row.difference, 4)),
            Cell(signed_interval(row.low, row.high), kind="soft"),
            Cell(f"{symbol} {row.status}", mark=reasons.get(row.reason, ""), kind=f"status {kind}"),
        )
    )


def _row_name(row: CheckRow) -> str:
    name = _metric_name(row.metric)
    return f"{name}, {shorten(row.class_name, 24)}" if row.class_name else name


def _metric_name(metric: str) -> str:
    return shorten(title_of(metric))


def _chart(results: Results, verdict: Verdict) -> Figure | None:
    both = [
        row
        for row in verdict.rows
        if row.reference is not None and row.ours is not None and not row.class_name
    ]
    if not both:
        return None
    names = list(dict.fromkeys((row.arm, row.part) for row in both))[:MOST_CHART_ROWS]
    metrics = list(dict.fromkeys(row.metric for row in both))[:4]
    several = len({part for _, part in names}) > 1
    labels = [arm_title(results, arm, 17 if several else 26) for arm, _ in names]
    if several:
        labels = [f"{label}, {part}" for label, (_, part) in zip(labels, names, strict=True)]
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
    theirs = "reported" if verdict.kind == PUBLISHED else "earlier run"
    caption = (
        f"This run (dot) and {theirs} (diamond); the 95% interval of the difference is drawn around "
        "this run's value. Where it reaches the diamond, no difference is shown."
    )
    svg = interval_plot.against_reference("reference-figure", labels, panels, theirs)
    return Figure("reference-figure", caption, svg)
