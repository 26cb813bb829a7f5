"""The one verdict object that feeds console, JSON, report and exit code."""

from __future__ import annotations

from enum import StrEnum

from milkreport.evaluation.data_record import Record


class Status(StrEnum):
    """Outcome of one check. Only PASS is green."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_CHECKED = "NOT CHECKED"


class CheckRow(Record):
    """One figure of the reference beside ours.

    ``difference`` is ours minus the reference, ``low`` and ``high`` its 95% interval with both sampling
    errors and the reference's rounding; ``margin`` the loss that was declared tolerable beforehand.
    """

    arm: str
    part: str
    metric: str
    printed: str  # the reference's figure as printed
    reference: float | None
    ours: float | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    margin: float | None = None
    status: Status
    reason: str


class Verdict(Record):
    """All checks of one run against one reference."""

    reference: str
    title: str
    source: str
    kind: str  # "published figures" or "earlier run"
    status: Status
    rows: list[CheckRow]
    warnings: list[str] = []

    @property
    def counts(self) -> dict[str, int]:
        """Number of rows by status, in the order of :class:`Status`."""
        return {str(s): sum(row.status is s for row in self.rows) for s in Status}


def overall_status(rows: list[CheckRow]) -> Status:
    """FAIL if any failed; NOT CHECKED if nothing could be compared; PASS only where something passed.

    An inconclusive row beside a passing one leaves the whole inconclusive.
    """
    found = {row.status for row in rows}
    for status in (Status.FAIL, Status.INCONCLUSIVE, Status.PASS):
        if status in found:
            return status
    return Status.NOT_CHECKED


def exit_code(verdict: Verdict, strict: bool = False) -> int:
    """0 all compared rows pass or are inconclusive beside a pass; 1 a FAIL; 5 nothing could be told.

    Zero passing checks never give 0.
    """
    counts = verdict.counts
    if counts[Status.FAIL]:
        return 1
    if not counts[Status.PASS] or (strict and counts[Status.INCONCLUSIVE]):
        return 5
    return 0
