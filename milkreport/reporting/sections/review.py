"""What a reviewer would ask: the three worst findings for page one, and all of them with those that passed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from milkreport.evaluation.records.findings import SEVERITIES, Finding
from milkreport.evaluation.records.results import Results
from milkreport.evaluation.review.review import review, worst
from milkreport.reporting.blocks import Badge
from milkreport.reporting.wording.text import numeral, shorten, whole, without_paths
from milkreport.tables import plural

TITLE = "What a reviewer would ask"
_BADGES = {
    "error": ("✗", "fail"),
    "warning": ("!", "open"),
    "note": ("·", "none"),
    "passed": ("✓", "pass"),
    "not applicable": ("○", "none"),
    "muted": ("–", "none"),
}


@dataclass(frozen=True)
class FindingView:
    """One finding: ``key`` is its anchor, ``docs`` where its rule is explained."""

    key: str
    code: str
    title: str
    badge: Badge
    text: str
    advice: str
    reason: str
    docs: str


@dataclass(frozen=True)
class ReviewView:
    """``worst``: for page one. ``open``: what was found, the worst first; ``rest``: everything else."""

    lead: str
    more: str
    counts: tuple[Badge, ...]
    worst: tuple[FindingView, ...]
    open: tuple[FindingView, ...]
    rest: tuple[FindingView, ...]


def build_review(results: Results) -> ReviewView:
    """All findings; of results without any, as older versions left them, they are made here."""
    findings = results.findings or review(results).findings
    found = worst(findings, len(findings))
    shown = worst(findings)
    others = [f for f in findings if not f.is_open]
    others.sort(key=lambda f: (SEVERITIES.index(f.severity), bool(f.muted)))
    rest = len(found) - len(shown)
    return ReviewView(
        lead=_lead(findings, len(found)),
        more=f"{numeral(rest).capitalize()} more below." if rest else "",
        counts=_counts(findings),
        worst=tuple(map(_view, shown)),
        open=tuple(map(_view, found)),
        rest=tuple(map(_view, others)),
    )


def _lead(findings: Sequence[Finding], n_open: int) -> str:
    rules = plural(len(findings), "rule", "rules")
    found = "nothing" if not n_open else plural(n_open, "question", "questions")
    return (
        f"The {rules} of a fixed list were applied to the numbers of this report; they leave {found} open. "
        "What "
        "they can't see: whether the question is the right one, and whether the labels are. "
        "docs/findings.md has "
        "each rule and how often it is a false alarm."
    )


def _counts(findings: Sequence[Finding]) -> tuple[Badge, ...]:
    states = [_state(f) for f in findings]
    return tuple(
        Badge(symbol, state, kind, whole(states.count(state)))
        for state, (symbol, kind) in _BADGES.items()
        if state in states
    )


def _state(finding: Finding) -> str:
    return "muted" if finding.muted else finding.severity


def _view(finding: Finding) -> FindingView:
    state = _state(finding)
    symbol, kind = _BADGES[state]
    return FindingView(
        key=finding.code.lower(),
        code=finding.code,
        title=finding.title,
        badge=Badge(symbol, state, kind),
        text=shorten(without_paths(finding.text), 700),
        advice=finding.advice,
        reason=shorten(without_paths(finding.muted), 300),
        docs=finding.docs,
    )
