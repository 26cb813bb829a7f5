"""What an audit found of reported figures: a part of the report, and a page of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from milkreport.checks.audit.findings import Audit, Finding, Outcome
from milkreport.checks.audit.ranking import describe_ranking
from milkreport.evaluation.metrics.named import title_of
from milkreport.reporting.blocks import Badge, Cell, Column, Figure, Group, Row, Table
from milkreport.reporting.figures.confusion import confusion_matrix
from milkreport.reporting.wording.text import (
    capital,
    mid_sentence,
    sentence,
    shorten,
    whole,
    without_paths,
)
from milkreport.tables import plural

_BADGES = {
    Outcome.DIFFERS: ("✗", "fail"),
    Outcome.QUESTIONABLE: ("?", "open"),
    Outcome.CANNOT_TELL: ("○", "none"),
    Outcome.AGREES: ("✓", "pass"),
}
_TOPICS = {
    "count": "Counts and shares",
    "matrix": "Confusion matrices",
    "metric": "Metrics",
    "numbers": "Numbers of a model together",
    "claim": "Statements about the arms",
    "behaviour": "What the arms predict",
}
_MEANINGS = {
    Outcome.DIFFERS: "Two printed statements contradict each other if numbers are computed over all cases "
    "and rounded to the nearest (another way that would explain it is named below the finding); or "
    "numbers without a confusion matrix are impossible in every usual way that was tried. The cause is not "
    "known.",
    Outcome.QUESTIONABLE: "No contradiction of that kind, but numbers are possible only under an "
    "assumption that the publication does not state, an order may be due to chance, or a behaviour "
    "is unexplained.",
    Outcome.CANNOT_TELL: "What is printed does not decide it.",
    Outcome.AGREES: "The statement follows from others, or at least one confusion matrix prints all "
    "the numbers.",
}
#: Findings on the first page.
MOST_FIRST = 3
#: More classes, and a matrix of them is no figure of a page in portrait.
MOST_CLASSES = 14
MOST_NOTES = 8


@dataclass(frozen=True)
class Item:
    """One finding: what it is about, what was found, its arithmetic, what could explain and settle it."""

    badge: Badge
    where: str
    stands: str
    text: str
    notes: tuple[str, ...]
    arithmetic: tuple[str, ...] = ()
    settle: str = ""


@dataclass(frozen=True)
class Items:
    """Findings under a heading."""

    title: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class AuditView:
    """An audit as text: the sentence that sums it up, its counts, and its parts.

    ``ranking``: whether what differs changes the order of the models. ``first``: the gravest findings, for
    page one; ``shown``: how many of all these are. ``key``: what the four words mean, with their counts.
    ``disagreeing``: what does not agree or is questionable, by topic; ``rest``: everything else, by outcome.
    """

    title: str
    source: str
    lead: str
    ranking: str
    counts: tuple[Badge, ...]
    first: tuple[Item, ...]
    shown: str
    key: tuple[tuple[Badge, str], ...]
    disagreeing: tuple[Items, ...]
    metrics: Table | None
    matrices: tuple[Figure, ...]
    rest: tuple[Items, ...]


def build_audit(audit: Audit, with_matrices: bool = False) -> AuditView:
    """Everything that was found, as text and, on a page of its own, drawings."""
    disagreeing = [*audit.of(Outcome.DIFFERS), *audit.of(Outcome.QUESTIONABLE)]
    by_topic = [
        Items(title, tuple(_item(audit, f) for f in disagreeing if f.topic == topic))
        for topic, title in _TOPICS.items()
    ]
    rest = [
        Items(title, tuple(_item(audit, f) for f in audit.gathered(outcome)))
        for outcome, title in (
            (Outcome.CANNOT_TELL, "What cannot be decided from the published figures"),
            (Outcome.AGREES, "What agrees"),
        )
    ]
    return AuditView(
        title=shorten(audit.title, 160),
        source=_source(audit),
        lead=_lead(audit, disagreeing),
        counts=tuple(_badge(o, whole(audit.counts[str(o)])) for o in _BADGES),
        ranking=shorten(describe_ranking(audit), 600),
        first=tuple(_item(audit, f) for f in _gravest(disagreeing)),
        shown=_shown(disagreeing, _gravest(disagreeing)),
        key=tuple((_badge(o, whole(audit.counts[str(o)])), text) for o, text in _MEANINGS.items()),
        disagreeing=tuple(group for group in by_topic if group.items),
        metrics=_metrics(audit),
        matrices=tuple(_matrices(audit)) if with_matrices else (),
        rest=tuple(group for group in rest if group.items),
    )


def _source(audit: Audit) -> str:
    """Where the publication stands; an address keeps its small letter."""
    text = shorten(without_paths(audit.source), 300)
    return text if text.startswith("http") else sentence(text)


def _badge(outcome: Outcome, text: str = "") -> Badge:
    symbol, kind = _BADGES[outcome]
    return Badge(symbol, str(outcome), kind, text)


def _lead(audit: Audit, findings: Sequence[Finding]) -> str:
    n = len(audit.findings)
    said = (
        f"{plural(n, 'statement was', 'statements were')} checked against what else is printed: "
        f"{whole(len(audit.of(Outcome.DIFFERS)))} differ, "
        f"{whole(len(audit.of(Outcome.QUESTIONABLE)))} are questionable, "
        f"{whole(len(audit.of(Outcome.AGREES)))} agree, and for "
        f"{whole(len(audit.of(Outcome.CANNOT_TELL)))} what is printed does not decide. "
    )
    if not findings:
        return said + "No statement contradicts another."
    return said + (
        "Only the publication was read. A difference may be a misprint, a different definition or an "
        "error; the numbers alone do not show which."
    )


def _item(audit: Audit, finding: Finding) -> Item:
    return Item(
        badge=_badge(finding.outcome),
        where=_where(audit, finding),
        stands=shorten(finding.stands, 120),
        text=sentence(shorten(capital(without_paths(finding.what)), 500)),
        notes=tuple(
            sentence(shorten(capital(without_paths(n)), 500)) for n in finding.notes[:MOST_NOTES]
        ),
        arithmetic=tuple(
            sentence(shorten(capital(without_paths(n)), 500))
            for n in finding.arithmetic[:MOST_NOTES]
        ),
        settle=sentence(capital(without_paths(finding.settle))) if finding.settle else "",
    )


def _gravest(findings: Sequence[Finding]) -> list[Finding]:
    """What an editor sees first: a claim that does not hold, what can be settled by asking, the rest."""
    order = [f for f in findings if f.topic == "claim" and f.outcome is Outcome.DIFFERS][:1]
    order += sorted((f for f in findings if f not in order), key=lambda f: not f.settle)
    return order[:MOST_FIRST]


def _shown(findings: Sequence[Finding], first: Sequence[Finding]) -> str:
    """How many of the findings the first page has, and where all are; empty where it has all."""
    if len(first) == len(findings):
        return ""
    counted = " and ".join(
        f"{sum(f.outcome is outcome for f in first)} of {n} {outcome}"
        for outcome in (Outcome.DIFFERS, Outcome.QUESTIONABLE)
        if (n := sum(f.outcome is outcome for f in findings))
    )
    return f"Shown here: {counted}. Section 1 lists all of them."


def _where(audit: Audit, finding: Finding) -> str:
    arm = shorten(audit.arms.get(finding.arm, finding.arm), 40)
    about = [arm, _metric(finding), finding.part]
    return ", ".join(text for text in about if text) or "All arms"


def _metric(finding: Finding) -> str:
    words = mid_sentence(title_of(finding.metric)) if finding.metric else ""
    return f"{words} of {shorten(finding.class_name, 20)}" if finding.class_name else words


def _metrics(audit: Audit) -> Table | None:
    """Printed beside recomputed, arm by arm."""
    shown = [f for f in audit.findings if f.topic == "metric" and f.recomputed]
    groups = tuple(
        Group(
            shorten(audit.arms.get(arm, arm), 80),
            tuple(_metric_row(f) for f in shown if f.arm == arm),
        )
        for arm in dict.fromkeys(f.arm for f in shown)
    )
    columns = (
        Column("Metric", text=True),
        Column("Part", text=True),
        Column("Printed"),
        Column("By the matrix"),
        Column("Finding", text=True),
    )
    caption = "Printed metrics, and the same from the published confusion matrices."
    return Table("audit-metrics", caption, columns, groups, dense=True) if shown else None


def _metric_row(finding: Finding) -> Row:
    symbol, kind = _BADGES[finding.outcome]
    return Row(
        (
            Cell(capital(_metric(finding))),
            Cell(finding.part, kind="text"),
            Cell(finding.printed),
            Cell(finding.recomputed),
            Cell(f"{symbol} {finding.outcome}", kind=f"status {kind}"),
        )
    )


def _matrices(audit: Audit) -> Iterator[Figure]:
    if len(audit.classes) > MOST_CLASSES:
        return
    for index, matrix in enumerate(audit.matrices, 1):
        arm = shorten(audit.arms.get(matrix.arm, matrix.arm), 60)
        key = f"audit-matrix-{index}"
        title = f"Published confusion matrix of {arm}, {matrix.part}"
        svg = confusion_matrix(key, matrix.counts, audit.classes, title)
        note = f" As read: {matrix.note}." if matrix.note else ""
        caption = f"{title}: cases and share of the true class.{shorten(note, 400)}"
        yield Figure(key, caption, svg)
