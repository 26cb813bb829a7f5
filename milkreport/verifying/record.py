"""What was found of a report: one group for each question, each with its differences."""

from __future__ import annotations

from enum import StrEnum

from milkreport.evaluation.records.data import Record


class Outcome(StrEnum):
    """What is said of a report, and of each group."""

    VERIFIED = "VERIFIED"
    DIFFERENT = "DIFFERENT"
    NOT_VERIFIED = "NOT VERIFIED"


class Fault(Record):
    """One difference. ``page``: of the PDF, 0 where there is none. ``place``: file, field or section."""

    page: int = 0
    place: str
    text: str

    def __str__(self) -> str:
        page = f"page {self.page}, " if self.page else ""
        return f"{page}{self.place}: {self.text}"


class Group(Record):
    """One question. ``equal`` of ``total`` ``what`` are as they must be; ``remarks``: what else is to say."""

    name: str
    outcome: Outcome
    total: int = 0
    equal: int = 0
    what: str = ""
    remarks: list[str] = []
    faults: list[Fault] = []


class Verification(Record):
    """A report or run, and all that was found of it.

    ``milkreport``: the version that wrote it. ``level``: what the report carries, see
    :data:`milkreport.evidence.record.Level`. ``given``: what nothing here follows from.
    """

    schema_version: int = 1
    source: str
    milkreport: str
    level: str
    groups: list[Group]
    given: list[str] = []
    notes: list[str] = []

    @property
    def outcome(self) -> Outcome:
        """DIFFERENT if any group is; VERIFIED if one is and none differs."""
        found = {group.outcome for group in self.groups}
        order = (Outcome.DIFFERENT, Outcome.VERIFIED)
        return next((outcome for outcome in order if outcome in found), Outcome.NOT_VERIFIED)

    def exit_code(self, strict: bool = False) -> int:
        """0: nothing differs; 1: something does; 5: nothing could be verified, or *strict* and not all."""
        if self.outcome is Outcome.DIFFERENT:
            return 1
        is_partial = any(group.outcome is Outcome.NOT_VERIFIED for group in self.groups)
        return 5 if self.outcome is Outcome.NOT_VERIFIED or (strict and is_partial) else 0


def judge(name: str, what: str, total: int, faults: list[Fault], wrong: int | None = None) -> Group:
    """A group of *total* things, of which *wrong* (by default as many as there are faults) differ."""
    n = min(total, len(faults) if wrong is None else wrong)
    outcome = Outcome.DIFFERENT if faults else Outcome.VERIFIED
    return Group(name=name, outcome=outcome, total=total, equal=total - n, what=what, faults=faults)
