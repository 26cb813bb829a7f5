"""What a reviewer would point out: the three worst findings for page one, and all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from milkreport.evaluation.records.findings import SEVERITIES, Finding
from milkreport.evaluation.records.results import Results
from milkreport.evaluation.review.review import review, worst
from milkreport.reporting.blocks import Badge
from milkreport.reporting.wording.text import numeral, shorten, whole, without_paths
from milkreport.tables import plural

TITLE = "What a reviewer would point out"
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
    brief: str
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
    others.sort(key=lambda f: SEVERITIES.index(f.severity))
    rest = len(found) - len(shown)
    return ReviewView(
        lead=_lead(findings, len(found)),
        more=f"the worst three; {numeral(rest)} more in the section of this name" if rest else "",
        counts=_counts(findings),
        worst=tuple(map(_view, shown)),
        open=tuple(map(_view, found)),
        rest=tuple(map(_view, others)),
    )


def _lead(findings: Sequence[Finding], n_open: int) -> str:
    rules = plural(len(findings), "rule", "rules")
    left = "nothing stays" if not n_open else plural(n_open, "point stays", "points stay")
    return (
        f"{rules} of a fixed list were applied to the numbers of this report; {left} open. The rules "
        "cannot judge whether the question is the right one, or whether labels are correct. "
        "docs/findings.md explains each rule and states its false-alarm rate."
    )


def _counts(findings: Sequence[Finding]) -> tuple[Badge, ...]:
    states = [_state(f) for f in findings]
    return tuple(
        Badge(symbol, state, kind, whole(states.count(state)))
        for state, (symbol, kind) in _BADGES.items()
        if state in states
    )


def _state(finding: Finding) -> str:
    """A finding is muted only where there is one."""
    found = finding.severity in ("error", "warning", "note")
    return "muted" if finding.muted and found else finding.severity


def _view(finding: Finding) -> FindingView:
    state = _state(finding)
    symbol, kind = _BADGES[state]
    return FindingView(
        key=finding.code.lower(),
        code=finding.code,
        title=finding.title,
        badge=Badge(symbol, state, kind),
        text=shorten(without_paths(finding.text), 700),
        brief=shorten(without_paths(finding.brief), 160),
        advice=finding.advice,
        reason=shorten(without_paths(finding.muted), 300),
        docs=finding.docs,
    )
