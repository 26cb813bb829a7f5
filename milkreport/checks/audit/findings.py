"""What an audit found, and how it counts."""

from __future__ import annotations

from enum import StrEnum
from html import escape
from typing import TYPE_CHECKING, Literal

from milkreport.evaluation.records.data import Record

if TYPE_CHECKING:
    from pandas import DataFrame

SCHEMA_VERSION = 1
#: Numbers of a model that are listed one by one where they decide nothing.
MOST_SINGLE = 5


class Outcome(StrEnum):
    """How a reported statement stands beside the others. A finding blames nobody: prints have errors too."""

    DIFFERS = "DIFFERS"
    QUESTIONABLE = "QUESTIONABLE"
    CANNOT_TELL = "CAN'T BE TOLD"
    AGREES = "AGREES"


class Verdict(StrEnum):
    """What arithmetic allows of numbers without a matrix."""

    IMPOSSIBLE = "impossible"
    ONLY_IF = "possible only if"
    POSSIBLE = "possible"
    UNDECIDED = "not decided"


Topic = Literal["matrix", "metric", "numbers", "count", "claim", "behaviour"]


class Finding(Record):
    """One statement of the source beside what follows from its others.

    ``printed`` and ``recomputed`` are as shown; ``value`` the recomputed number, unrounded. ``notes``: what
    could explain a difference, what could not, what was assumed. ``verdict``: what arithmetic allows of
    numbers without a matrix. ``arithmetic``: how it was worked out, a line each. ``settle``: what would
    settle it.
    """

    outcome: Outcome
    topic: Topic
    what: str
    arm: str = ""
    part: str = ""
    metric: str = ""
    class_name: str = ""
    printed: str = ""
    recomputed: str = ""
    value: float | None = None
    stands: str = ""
    notes: list[str] = []
    verdict: Verdict | None = None
    arithmetic: list[str] = []
    settle: str = ""


class ReadMatrix(Record):
    """A published matrix as it was read; rows true. ``note``: what was done to the print."""

    arm: str
    part: str
    counts: list[list[int]]
    note: str = ""


class Audit(Record):
    """Everything that was looked at, whatever came of it."""

    schema_version: int = SCHEMA_VERSION
    reference: str
    title: str
    source: str
    classes: list[str]
    arms: dict[str, str]  # name to title
    findings: list[Finding]
    matrices: list[ReadMatrix] = []

    @property
    def counts(self) -> dict[str, int]:
        """Number of findings by outcome, in the order of :class:`Outcome`."""
        return {str(o): sum(f.outcome is o for f in self.findings) for o in Outcome}

    def to_frame(self) -> DataFrame:
        """A row per finding: its outcome, what it is about, printed and recomputed value."""
        from pandas import DataFrame

        columns = [
            "outcome",
            "topic",
            "arm",
            "part",
            "metric",
            "class_name",
            "printed",
            "recomputed",
        ]
        columns += ["value", "what", "stands"]
        return DataFrame(
            [finding.model_dump(mode="json") for finding in self.findings], columns=columns
        )

    def _repr_html_(self) -> str:
        """The findings, as notebooks show them."""
        return f"<p>{escape(repr(self))}</p>" + self.to_frame().to_html(index=False, na_rep="")

    def __repr__(self) -> str:
        """How many findings have each outcome."""
        counted = ", ".join(f"{n} {outcome}" for outcome, n in self.counts.items() if n)
        return f"<Audit of {self.title}: {counted}>"

    __str__ = __repr__

    def of(self, outcome: Outcome) -> list[Finding]:
        """Findings of one outcome, in the order in which they were made."""
        return [f for f in self.findings if f.outcome is outcome]

    def gathered(self, outcome: Outcome) -> list[Finding]:
        """The same for readers: numbers of a model that are possible and decide nothing are one entry."""
        found = self.of(outcome)
        plain = [f for f in found if f.topic == "metric" and not f.recomputed and not f.verdict]
        if outcome is not Outcome.CANNOT_TELL:
            return found
        by_model: dict[tuple[str, str], list[Finding]] = {}
        for finding in plain:
            by_model.setdefault((finding.arm, finding.part), []).append(finding)
        many = {key: these for key, these in by_model.items() if len(these) > MOST_SINGLE}
        shown = []
        for finding in found:
            these = many.get((finding.arm, finding.part), [])
            if not any(finding is f for f in these):
                shown.append(finding)
            elif finding is these[0]:
                what = f"{len(these)} printed numbers without a matrix; each is possible by itself"
                shown.append(
                    Finding(
                        outcome=outcome, topic="metric", what=what, arm=finding.arm, part=finding.part,
                        stands=finding.stands,
                    )
                )  # fmt: skip
        return shown
