"""The positive classes against the others: page one's table, and the section's chapters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from milkreport.evaluation.records.binary import BinaryResult
from milkreport.evaluation.records.estimate import Estimate
from milkreport.evaluation.records.results import Results
from milkreport.reporting.blocks import (
    Cell,
    Chapter,
    Column,
    Figure,
    Footnote,
    Row,
    Table,
    table,
)
from milkreport.reporting.sections.measures import decision_figure
from milkreport.reporting.sections.readers import reader_points, readers_chapter
from milkreport.reporting.sections.risk import risk_chapter
from milkreport.reporting.sections.roc import reclassified_chapter, roc_chapter
from milkreport.reporting.tables import estimate_cell
from milkreport.reporting.wording.binary import (
    MEANINGS,
    TITLES,
    binary_arms,
    point_sentence,
    positive_name,
    threshold_words,
)
from milkreport.reporting.wording.intervals import interval_notes
from milkreport.reporting.wording.order import (
    MOST_COLUMNS,
    MOST_DRAWN,
    column_words,
    drawn_arms,
    is_many,
)
from milkreport.reporting.wording.text import (
    MISSING,
    decimal,
    signed,
    signed_interval,
    whole,
)
from milkreport.reporting.wording.titles import arm_title, headline_part

PAGE_ONE = ("sensitivity", "specificity", "ppv", "npv", "auc", "average_precision")

Arms = Sequence[tuple[int, str, BinaryResult]]


@dataclass(frozen=True)
class BinaryView:
    """The positive classes against the others; no chapters where there are none."""

    chapters: tuple[Chapter, ...] = ()

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All drawings, in reading order."""
        return tuple(figure for chapter in self.chapters for figure in chapter.figures)


def build_binary(results: Results) -> BinaryView:
    """Operating point, ROC curve, predicted risks, reclassified cases and readers."""
    known = binary_arms(results)
    if not known:
        return BinaryView()
    arms, names = known[:MOST_COLUMNS], {arm.name for arm in drawn_arms(results)}
    drawn = sorted(arm for arm in known if arm[1] in names) if is_many(results) else known
    chapters = (
        _operating(results, arms),
        roc_chapter(results, arms, drawn, reader_points(results)),
        readers_chapter(results),
        reclassified_chapter(results),
        risk_chapter(results, arms, decision_figure(results)),
    )
    return BinaryView(tuple(c for c in chapters if not c.is_empty))


def page_one_table(results: Results) -> Table | None:
    """What a reader of a binary test asks first, an arm per row; ``None`` without positive classes."""
    arms = binary_arms(results)
    if not arms:
        return None
    rows = []
    for _, name, found in arms[:MOST_DRAWN]:
        cells = [Cell(arm_title(results, name), threshold_words(found.operating))]
        cells += [estimate_cell(read(found, metric)) for metric in PAGE_ONE]
        rows.append(Row(tuple(cells)))
    first = arms[0][2]
    columns = [Column("Arm", "threshold", text=True)]
    columns += [Column(TITLES[metric]) for metric in PAGE_ONE]
    caption = (
        f"{positive_name(first)} against the others, {headline_part(results)}: "
        f"{whole(first.n_positive)} positive, "
        f"{whole(first.n_negative)} negative; 95% intervals below the values. PPV and NPV are those of this "
        f"share of positive cases.{column_words(results, MOST_DRAWN, len(arms))}"
    )
    notes = (*_dashes([found for _, _, found in arms], PAGE_ONE), *interval_notes(rows, ()))
    return table("binary", caption, tuple(columns), rows, notes, dense=True)


def read(found: BinaryResult, metric: str) -> Estimate | None:
    """A measure of the record by its name."""
    if metric in ("auc", "average_precision"):
        value: Estimate | None = getattr(found, metric)
        return value
    return found.operating.values.get(metric)


def _dashes(found: Sequence[BinaryResult], metrics: Sequence[str]) -> tuple[Footnote, ...]:
    """Why a value stands without an interval, or there is none."""
    notes = []
    if any((e := read(f, m)) is not None and e.value is None for f in found for m in metrics):
        text = "Undefined: the denominator is 0, for example LR+ without false positives."
        notes.append(Footnote(MISSING, text))
    bounded = any(
        (e := read(f, m)) is not None and e.low is not None for f in found for m in metrics
    )
    bare = [
        m
        for m in metrics
        if any(
            (e := read(f, m)) is not None and e.value is not None and e.low is None for f in found
        )
    ]
    if bounded and bare:
        names = ", ".join(TITLES[m] for m in bare)
        text = f"{names}: no interval, because the value depends on too few cases (docs/statistics.md)."
        notes.append(Footnote("95%", text))
    return tuple(notes)


def _operating(results: Results, arms: Arms) -> Chapter:
    records = [found for _, _, found in arms]

    rows = [Row((Cell("Threshold"), *(_threshold(found) for found in records)))]
    counts = (
        f"{whole(p.tp)} / {whole(p.fp)} / {whole(p.fn)} / {whole(p.tn)}"
        for p in (found.operating for found in records)
    )
    rows.append(Row((Cell("TP / FP / FN / TN"), *map(Cell, counts))))
    measures = ("sensitivity", "specificity", "ppv", "npv", "lr_positive", "lr_negative")
    for metric in measures:
        cells = [estimate_cell(read(found, metric)) for found in records]
        rows.append(Row((Cell(TITLES[metric], MEANINGS[metric]), *cells)))
    if any("net_benefit" in found.operating.values for found in records):
        cells = [_benefit(found) for found in records]
        rows.append(Row((Cell("Net benefit", "at this threshold probability"), *cells)))
    for i, at in enumerate(records[0].operating.prevalences):
        for metric in ("ppv", "npv"):
            title = f"{TITLES[metric]} at a prevalence of {at.prevalence:g}"
            found_there = (getattr(f.operating.prevalences[i], metric) for f in records)
            rows.append(Row((Cell(title, "by Bayes"), *map(estimate_cell, found_there))))
    notes = list(_dashes(records, (*measures, "net_benefit")))
    if any(found.operating.in_sample for found in records):
        cells = [Cell(_in_sample(found)) for found in records]
        rows.append(
            Row((Cell("In-sample sensitivity / specificity", mark="‡", kind="soft"), *cells))
        )
        text = (
            "In-sample: called at the one threshold found on all scored cases, which is the one for "
            "new cases. On "
            "the cases that chose it, it looks too good: no interval, and not to be quoted."
        )
        notes.append(Footnote("‡", text))
    notes += interval_notes(rows, ())
    columns = [Column("Measure", text=True)]
    columns += [Column(arm_title(results, name)) for _, name, _ in arms]
    caption = (
        f"At the operating point, {headline_part(results)}, with 95% intervals."
        f"{column_words(results, MOST_COLUMNS, len(binary_arms(results)))}"
    )
    operating = table("operating", caption, tuple(columns), rows, tuple(notes), dense=True)
    remarks = (
        "A likelihood ratio multiplies the odds of the disease; unlike PPV and NPV it does not "
        "depend on how many "
        "cases are positive. Predictive values at a stated prevalence assume that sensitivity and "
        "specificity are the same there.",
    )
    return Chapter(
        "binary-operating",
        "Operating point",
        (point_sentence(results),),
        (operating,),
        remarks=remarks,
    )


def _threshold(found: BinaryResult) -> Cell:
    point = found.operating
    if point.threshold is None:
        return Cell(MISSING, "predicted class")
    words = threshold_words(point).removeprefix(decimal(point.threshold)).strip(" ,")
    return Cell(decimal(point.threshold), words)


def _benefit(found: BinaryResult) -> Cell:
    point = found.operating
    e = point.values.get("net_benefit")
    if e is None or point.net_benefit_at is None:
        return Cell(MISSING)
    note = signed_interval(e.low, e.high) if e.low is not None else ""
    return Cell(
        signed(e.value), f"{note}, at {decimal(point.net_benefit_at, 2)}".removeprefix(", ")
    )


def _in_sample(found: BinaryResult) -> str:
    inside = found.operating.in_sample
    if inside is None:
        return MISSING
    return f"{decimal(inside.sensitivity)} / {decimal(inside.specificity)}"
