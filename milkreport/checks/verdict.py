"""The one verdict object that feeds console, JSON, JUnit, step summary, report and exit code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from html import escape
from typing import TYPE_CHECKING

from milkreport.evaluation.records.data import Record

if TYPE_CHECKING:
    from pandas import DataFrame

SCHEMA_VERSION = 2
#: The row that asks for the same bits.
PREDICTIONS = "predictions"


class Status(StrEnum):
    """Outcome of one check. Only PASS is green."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_CHECKED = "NOT CHECKED"


_JUDGED = (Status.PASS, Status.FAIL, Status.INCONCLUSIVE)


class CheckRow(Record):
    """One figure of the reference beside ours.

    ``difference`` is ours minus the reference, ``low`` and ``high`` its 95% interval: with both sampling
    errors and the reference's rounding, or paired over the cases of both. ``margin``: the loss that was
    declared tolerable beforehand; ``better``: which way the metric improves. ``refused``: both sides define
    the metric otherwise. ``metric`` "predictions" asks whether all predictions are the same to the bit.
    """

    arm: str
    part: str
    metric: str
    class_name: str = ""
    printed: str  # the reference's figure as printed
    reference: float | None
    ours: float | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    margin: float | None = None
    margin_reason: str = ""
    better: str = "higher"
    status: Status
    reason: str
    refused: bool = False

    @property
    def name(self) -> str:
        """The metric, with its class where it is of one."""
        return f"{self.metric} ({self.class_name})" if self.class_name else self.metric


class Verdict(Record):
    """All checks of one run against one reference.

    ``arms``: the reference's titles of its arms. ``primary``: the metric that the status and the exit code
    follow. ``remarks``: how the checks were made.
    """

    schema_version: int = SCHEMA_VERSION
    reference: str
    title: str
    source: str
    kind: str  # "published figures" or "earlier run"
    status: Status
    arms: dict[str, str] = {}
    primary: str = ""
    rows: list[CheckRow]
    warnings: list[str] = []
    remarks: list[str] = []

    @property
    def counts(self) -> dict[str, int]:
        """Number of rows by status, in the order of :class:`Status`."""
        return {str(s): sum(row.status is s for row in self.rows) for s in Status}

    def to_frame(self) -> DataFrame:
        """A row per figure: what was reported, ours, the difference with its interval, and the outcome."""
        from pandas import DataFrame

        columns = ["arm", "part", "metric", "class_name", "reference", "ours", "difference"]
        columns += ["low", "high", "margin", "status", "reason"]
        return DataFrame([row.model_dump(mode="json") for row in self.rows], columns=columns)

    def _repr_html_(self) -> str:
        """The verdict and its rows, as notebooks show them."""
        return f"<p>{escape(repr(self))}</p>" + self.to_frame().to_html(index=False, na_rep="")

    def __repr__(self) -> str:
        """The status and how many rows have each."""
        counted = ", ".join(f"{n} {status}" for status, n in self.counts.items() if n)
        return f"<Verdict: {self.status} against {self.title}; {counted}>"

    __str__ = __repr__


def decide(low: float, high: float, margin: float, better: str = "higher") -> tuple[Status, str]:
    """Outcome for a 95% interval of ours - reference.

    With D the improvement: PASS where its lower bound is at least -*margin*, FAIL where its upper bound is
    below -*margin*, else INCONCLUSIVE. A bound that is no number decides nothing.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return Status.NOT_CHECKED, "the interval is not finite"
    least, greatest = (low, high) if better == "higher" else (-high, -low)
    if least >= -margin:
        return Status.PASS, f"not worse by more than {margin:g}"
    if greatest < -margin:
        return Status.FAIL, f"worse by more than {margin:g}"
    return Status.INCONCLUSIVE, f"the interval includes a loss of {margin:g}"


def warn_of_gains(rows: Sequence[CheckRow]) -> list[str]:
    """Figures that are better than the reference's by more than their margin, surely: perhaps a leak."""
    warnings = []
    for row in rows:
        if row.low is None or row.high is None or row.margin is None:
            continue
        least = row.low if row.better == "higher" else -row.high
        if least > row.margin:
            warnings.append(
                f"{row.arm}, {row.name}: better than the reference by more than {row.margin:g}; "
                "if nothing was changed to improve it, look for a leak"
            )
    return warnings


def primary_of(rows: Sequence[CheckRow], declared: str = "") -> str:
    """The name of the rows that decide: those of the declared metric, else of the first that was judged.

    Args:
        declared: ``metric``, or ``metric:class``.
    """
    if declared:
        metric, _, class_name = declared.partition(":")
        return f"{metric} ({class_name})" if class_name else metric
    judged = (row.name for row in rows if row.status in _JUDGED and row.metric != PREDICTIONS)
    return next(judged, "")


def overall_status(rows: Sequence[CheckRow], primary: str = "") -> Status:
    """FAIL if any row failed; else the status of the primary metric's rows, of all arms.

    One inconclusive row makes it inconclusive; NOT CHECKED if none could be compared.

    Args:
        primary: see :func:`primary_of`.
    """
    if any(row.status is Status.FAIL for row in rows):
        return Status.FAIL
    decisive = primary or primary_of(rows)
    found = {row.status for row in rows if row.name == decisive}
    return next((s for s in (Status.INCONCLUSIVE, Status.PASS) if s in found), Status.NOT_CHECKED)


def exit_code(verdict: Verdict, strict: bool = False, allow_inconclusive: bool = False) -> int:
    """0: the primary metric passes and nothing fails; 1: a FAIL; 2: a metric was refused for its definition.

    5: the primary metric is inconclusive or was not checked. *strict*: any inconclusive row gives 5.
    *allow_inconclusive*: an inconclusive primary metric gives 0.
    """
    if verdict.counts[Status.FAIL]:
        return 1
    if any(row.refused for row in verdict.rows):
        return 2
    status = overall_status(verdict.rows, verdict.primary)
    allowed = {Status.PASS, Status.INCONCLUSIVE} if allow_inconclusive else {Status.PASS}
    if status not in allowed or (strict and verdict.counts[Status.INCONCLUSIVE]):
        return 5
    return 0
