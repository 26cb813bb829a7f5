"""Published figures that lie outside what a run allows: the reviewer's rule MR013."""

from __future__ import annotations

from milkreport.checks.published import KIND
from milkreport.checks.verdict import Verdict
from milkreport.evaluation.metrics.named import title_of
from milkreport.evaluation.review.rule import Outcome, absent, excludes, named, passed, signed
from milkreport.tables import plural


def outside_interval(verdict: Verdict | None) -> Outcome | None:
    """MR013: figures whose difference from the run is shown not to be 0; ``None`` without published figures.

    The interval of each difference has both sampling errors and the rounding of the print; it is
    widened for the number of figures.
    """
    if verdict is None or verdict.kind != KIND:
        return None
    rows = [
        (row, row.difference, row.low, row.high)
        for row in verdict.rows
        if row.difference is not None and row.low is not None and row.high is not None
    ]
    if not rows:
        return absent(f"No figure of {verdict.title} could be compared.")
    apart = [
        (row, difference)
        for row, difference, low, high in rows
        if excludes(difference, low, high, 0, len(rows))
    ]
    n = plural(len(rows), "figure", "figures")
    if not apart:
        return passed(
            f"No figure of {verdict.title} is shown to differ from this run ({n} compared)."
        )
    said = [
        f"{verdict.arms.get(row.arm, row.arm)}, "
        f"{title_of(row.metric)}{f' of {row.class_name}' if row.class_name else ''}: {row.printed} (this "
        f"run {signed(difference)})"
        for row, difference in apart
    ]
    return Outcome(
        "warning",
        f"{len(apart)} of {n} of {verdict.title} lie outside the interval of this run: {named(said, '; ')}.",
        "Find what differs (split, epoch, preprocessing, definition of the metric) before either figure "
        "is quoted; the section on the reference has all of them.",
    )
