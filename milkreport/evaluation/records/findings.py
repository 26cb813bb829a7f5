"""What a careful reviewer would say of results, as records."""

from __future__ import annotations

from typing import Literal

from milkreport.evaluation.records.data import Record

#: From worst to best. ``not applicable``: the rule has nothing to look at.
Severity = Literal["error", "warning", "note", "passed", "not applicable"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note", "passed", "not applicable")


class Finding(Record):
    """What one rule found; each rule gives one.

    ``code``: stable, ``MR001``. ``title``: what the rule looks for. ``text``: one sentence with its numbers.
    ``advice``: what to do; empty if nothing is to be done. ``muted``: the reason why it is not counted;
    empty if it is. Rule, advice and false-alarm rate of each code: ``docs``.
    """

    code: str
    title: str
    severity: Severity
    text: str
    advice: str = ""
    muted: str = ""

    @property
    def docs(self) -> str:
        """The section of the documentation that explains the code."""
        return f"docs/findings.md#{self.code.lower()}"

    @property
    def brief(self) -> str:
        """The sentence up to its first semicolon: the worst of several arms or pairs."""
        first, more, _ = self.text.partition("; ")
        return f"{first} …" if more else first

    @property
    def is_open(self) -> bool:
        """Whether something was found that is not muted."""
        return self.severity in ("error", "warning", "note") and not self.muted
