"""Calibration of P(positive): whether a predicted risk is what happens."""

from __future__ import annotations

from collections.abc import Sequence

from milkreport.evaluation.records.binary import BinaryResult, RiskCalibration
from milkreport.evaluation.records.estimate import Estimate
from milkreport.evaluation.records.results import Results
from milkreport.reporting.blocks import Cell, Chapter, Column, Figure, Footnote, Row, table
from milkreport.reporting.figures import risk
from milkreport.reporting.wording.binary import positive_name
from milkreport.reporting.wording.text import MISSING, decimal, signed, signed_interval
from milkreport.reporting.wording.titles import arm_title, headline_part

KEY = "binary-risk"


def risk_chapter(
    results: Results, arms: Sequence[tuple[int, str, BinaryResult]], decisions: Figure | None
) -> Chapter:
    """Curve, intercept, slope, scaled Brier score and the risks of both outcomes; empty without
    probabilities.

    Args:
        decisions: the decision curve, which is drawn last.
    """
    found = [
        (index, arm_title(results, name), record.risk)
        for index, name, record in arms
        if record.risk is not None
    ]
    figures = [decisions] if decisions else []
    if not found:
        return Chapter(KEY, "Predicted risk", figures=tuple(figures))
    name, part = positive_name(arms[0][2]), headline_part(results)
    rows = [
        _row("Calibration intercept", "0 is ideal; above 0 risks are too low", found, "intercept"),
        _row("Calibration slope", "1 is ideal; below 1 risks are too extreme", found, "slope"),
        _row(
            "Scaled Brier score", "1 is perfect, 0 no better than the share", found, "scaled_brier"
        ),
    ]
    briers = (Cell(decimal(record.brier)) for _, _, record in found)
    rows.append(Row((Cell("Brier score of P(positive)", "0 is perfect"), *briers)))
    notes = []
    reasons = {record.reason for _, _, record in found if record.reason}
    if reasons:
        notes.append(
            Footnote(MISSING, f"Intercept and slope undefined: {'; '.join(sorted(reasons))}.")
        )
    bare = [
        word
        for word, field in (
            ("intercept", "intercept"),
            ("slope", "slope"),
            ("scaled Brier score", "scaled_brier"),
        )
        if any((e := getattr(r, field)).value is not None and e.low is None for _, _, r in found)
    ]
    if bare and any(r.curve and r.curve[0].share.low is not None for _, _, r in found):
        text = f"{', '.join(bare).capitalize()}: no interval, too few cases of a side (docs/statistics.md)."
        notes.append(Footnote("95%", text))
    columns = (Column("Measure", text=True), *(Column(title) for _, title, _ in found))
    caption = f"Calibration of the probability of {name}, {part}, with 95% intervals."
    measures = table("risk", caption, columns, rows, tuple(notes), dense=True)
    drawn = [
        Figure(
            "calibration",
            f"Calibration of P({name}): share of positive cases over the predicted risk, in groups of "
            f"equal size; "
            "bars and band: 95% intervals of each group. On the dotted line risks are right; below "
            "it they are too "
            "high. Underneath, how risks are distributed: positive cases upwards, negative ones downwards.",
            risk.calibration("calibration", found),
        ),
        Figure(
            "risk-by-outcome",
            "Predicted risk by outcome: shapes are distributions, thick lines hold the middle half, "
            "thin lines 90% "
            "of the cases, dots are medians. The less the shapes overlap, the better the two are told apart.",
            risk.by_outcome("risk-by-outcome", found, ("positive", "negative")),
        ),
    ]
    return Chapter(KEY, "Predicted risk", tables=(measures,), figures=(*drawn, *figures))


def _row(
    title: str, note: str, found: Sequence[tuple[int, str, RiskCalibration]], field: str
) -> Row:
    return Row((Cell(title, note), *(_cell(getattr(record, field)) for _, _, record in found)))


def _cell(found: Estimate) -> Cell:
    note = signed_interval(found.low, found.high) if found.low is not None else ""
    return Cell(signed(found.value), note)
