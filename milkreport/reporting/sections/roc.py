"""The ROC curve of the positive classes, arms at the same specificity, and what they call differently."""

from __future__ import annotations

from collections.abc import Sequence

from milkreport.evaluation.records.binary import BinaryResult
from milkreport.evaluation.records.estimate import Estimate
from milkreport.evaluation.records.results import Results
from milkreport.reporting.blocks import Cell, Chapter, Column, Figure, Row, Table, table
from milkreport.reporting.figures.binary_roc import RocArm, RocPoint, roc
from milkreport.reporting.tables import estimate_cell
from milkreport.reporting.wording.intervals import interval_notes
from milkreport.reporting.wording.order import detailed_names, drawn_words
from milkreport.reporting.wording.text import (
    MISSING,
    decimal,
    signed,
    signed_interval,
    whole,
)
from milkreport.reporting.wording.titles import arm_title, full_titles, headline_part

Arms = Sequence[tuple[int, str, BinaryResult]]


def roc_chapter(
    results: Results, arms: Arms, curves: Arms, readers: Sequence[RocPoint] = ()
) -> Chapter:
    """The curve with its band and points; sensitivity at fixed specificities; empty for hard labels.

    Args:
        arms: those of the table. curves: those of the figure.
    """
    part = headline_part(results)
    titles = dict(zip((a.name for a in results.arms), full_titles(results.arms), strict=True))
    drawn = []
    for index, name, found in curves:
        arm = results.arm(name)
        held = arm.part(part) if arm else None
        positive = held.positive if held else None
        if positive is None or positive.curve is None or not positive.curve.roc:
            continue
        values = found.operating.values
        drawn.append(
            RocArm(
                index,
                titles[name],
                positive.curve.roc,
                found.band,
                values["sensitivity"],
                values["specificity"],
                found.auc.value if found.auc else None,
            )
        )
    figures = []
    if drawn:
        caption = (
            f"ROC curve, {part}, through all points; bands: pointwise 95% intervals of the "
            f"sensitivity. Large marks "
            "are the operating points with both intervals"
        )
        nested = any(f.operating.source == "nested" for _, _, f in curves)
        caption += "; nested ones may lie off their curve." if nested else "."
        if readers:
            caption += " Hollow marks: human readers, with intervals over the cases."
        caption += drawn_words(results)
        figures.append(Figure("binary-roc", caption, roc("binary-roc", drawn, readers)))
    tables = [t for t in (_fixed(results, arms), _same(results)) if t is not None]
    return Chapter("binary-roc", "ROC curve", tables=tuple(tables), figures=tuple(figures))


def _fixed(results: Results, arms: Arms) -> Table | None:
    """Sensitivity at fixed specificities, an arm a column."""
    part = headline_part(results)
    positives = [
        (arm_title(results, name), held.positive)
        for _, name, _ in arms
        if (arm := results.arm(name)) and (held := arm.part(part)) and held.positive
    ]
    if not positives or not positives[0][1].operating:
        return None
    rows = []
    for i, point in enumerate(positives[0][1].operating):
        cells = [
            estimate_cell(p.operating[i].sensitivity) if p.operating else Cell(MISSING)
            for _, p in positives
        ]
        rows.append(Row((Cell(f"at a specificity of {decimal(point.specificity, 2)}"), *cells)))
    columns = (Column("Sensitivity", text=True), *(Column(title) for title, _ in positives))
    caption = (
        f"Sensitivity at fixed specificities, {part}: each threshold is read off the curve of these "
        f"cases, and the "
        "intervals include that choice."
    )
    return table("at-specificity", caption, columns, rows, interval_notes(rows, ()), dense=True)


def _same(results: Results) -> Table | None:
    """Two arms at the same specificity."""
    found = results.comparison.at_specificity if results.comparison else []
    if not found:
        return None
    specificities = list(dict.fromkeys(d.specificity for d in found))
    names = detailed_names(results)
    pairs = list(dict.fromkeys((d.arm, d.against) for d in found if d.arm in names))
    by_key = {(d.arm, d.against, d.specificity): d.difference for d in found}
    rows = []
    for arm, against in pairs:
        cells = [Cell(f"{arm_title(results, arm)} minus {arm_title(results, against)}")]
        cells += [difference_cell(by_key[arm, against, s]) for s in specificities]
        rows.append(Row(tuple(cells)))
    columns = (
        Column("Pair", text=True),
        *(Column(f"at {decimal(s, 2)}", "specificity") for s in specificities),
    )
    caption = (
        "Difference of the sensitivities of two arms at the same specificity, paired, with 95% "
        "intervals; described, "
        "not tested."
    )
    return table("same-specificity", caption, columns, rows, dense=True)


def reclassified_chapter(results: Results) -> Chapter:
    """Who is called otherwise by another arm, by outcome; empty with one arm."""
    key, title = "binary-reclassified", "Who is reclassified"
    found = results.comparison.reclassified if results.comparison else []
    if not found:
        return Chapter(key, title)
    names = detailed_names(results)
    rows = []
    for r in (r for r in found if r.arm in names):
        cells = [
            Cell(f"{arm_title(results, r.arm)} instead of {arm_title(results, r.against)}"),
            Cell(r.outcome, kind="text"),
            *(
                Cell(whole(n))
                for n in (r.n, r.both_right, r.became_right, r.became_wrong, r.both_wrong)
            ),
            difference_cell(r.difference),
        ]
        rows.append(Row(tuple(cells)))
    heads = ("Cases", "Both right", "Wrong to right", "Right to wrong", "Both wrong")
    columns = (
        Column("Arm", text=True),
        Column("Outcome", text=True),
        *map(Column, heads),
        Column("Difference", "sensitivity or specificity"),
    )
    caption = (
        "Cases by how two arms call them at their operating points. Difference: wrong to right minus "
        "right to wrong, as a "
        "share of the outcome's cases: of the positive the gain in sensitivity, of the negative in "
        "specificity; "
        "paired 95% intervals, described and not tested."
    )
    return Chapter(key, title, tables=(table("reclassified", caption, columns, rows, dense=True),))


def difference_cell(found: Estimate) -> Cell:
    """A difference with its interval below."""
    note = signed_interval(found.low, found.high) if found.low is not None else ""
    return Cell(signed(found.value), note)
