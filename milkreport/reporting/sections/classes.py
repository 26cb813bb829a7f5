"""Class by class: all metrics at a glance, and what a review of the highest scores finds of rare classes."""

from __future__ import annotations

from milkreport.evaluation.metrics.top_share import SHARES, count_reviewed
from milkreport.evaluation.records.parts import ClassRow, TopShare
from milkreport.evaluation.records.results import Results
from milkreport.reporting.blocks import Cell, Chapter, Column, Figure, Group, Row, Table
from milkreport.reporting.figures.class_heat_map import MOST_CLASSES, class_heat_map
from milkreport.reporting.wording.order import by_primary, reference_name
from milkreport.reporting.wording.text import MISSING, decimal, numeral, percent, shorten, whole
from milkreport.reporting.wording.titles import arm_title, first_part, headline_part
from milkreport.tables import plural

#: Arms whose values stay readable side by side in the figure, and in the table.
MOST_PANELS, MOST_ARMS = 3, 4
MOST_RARE = 4


def heat_map(results: Results) -> Figure | None:
    """Metrics of each class: of all arms, or of the first and the best where they are many."""
    part = headline_part(results)
    found = [(arm, r) for arm in results.arms if (r := arm.part(part)) is not None]
    if not found:
        return None
    caption = f"Metrics of each class on the {part} part, support in brackets; darker: nearer to 1"
    if len(found) > MOST_PANELS:
        scored = {arm.name: (arm, r) for arm, r in found}
        best = next(arm.name for arm in by_primary(results) if arm.name in scored)
        reference = reference_name(results)
        found = [scored[name] for name in dict.fromkeys((best, reference)) if name in scored]
        # Synthetic data ranks no arm.
        which = (
            "first arm"
            if results.data.synthetic
            else "arm with the best value of the primary metric"
        )
        caption += f"; the {which}" + (
            ", and the reference arm" if len(found) > 1 else ", which is the reference arm"
        )
    n = len(found[0][1].classes)
    caption += f"; the {MOST_CLASSES} most frequent classes" if n > MOST_CLASSES else ""
    panels = [(arm_title(results, arm.name), r.classes) for arm, r in found]
    svg = class_heat_map("class-metrics", panels, part)
    return Figure("class-metrics", f"{caption}. A dash: undefined.", svg)


def rare_classes(results: Results) -> Chapter:
    """What a review of the cases with the highest score finds of each rare class."""
    return Chapter("comparison-rare", "Rare classes", tables=_tables(results))


def _tables(results: Results) -> tuple[Table, ...]:
    arms = [
        (arm, {row.name: row for row in part.classes if row.top})
        for arm in results.arms
        if (part := arm.part("test")) is not None
    ]
    arms = [(arm, rows) for arm, rows in arms if rows]
    first = first_part(results)
    if not arms or first is None:
        return ()
    rare = sorted(arms[0][1].values(), key=lambda row: row.support)
    n, units = sum(row.support for row in first.classes), results.data.units
    groups = []
    for row in rare[:MOST_RARE]:
        found = [_by_share(rows.get(row.name)) for _, rows in arms[:MOST_ARMS]]
        lines = [
            Row((_reviewed(share, n, results), *(_cell(tops.get(share), row) for tops in found)))
            for share in SHARES
        ]
        groups.append(Group(f"{shorten(row.name)}, {whole(row.support)} {units}", tuple(lines)))
    caption = (
        f"If the {units} with the top scores for a rare class are reviewed: how many of its {units} are "
        "among them, the false alarms, and the lowest score that is reviewed. Test part, no intervals."
    )
    if len(rare) > MOST_RARE:
        caption += f" The {numeral(MOST_RARE)} rarest classes."
    if len(arms) > MOST_ARMS:
        caption += f" The first {numeral(MOST_ARMS)} arms."
    columns = [Column("Reviewed", text=True)]
    columns += [Column(arm_title(results, arm.name)) for arm, _ in arms[:MOST_ARMS]]
    return (Table("top-share", caption, tuple(columns), tuple(groups), dense=True),)


def _reviewed(share: float, n: int, results: Results) -> Cell:
    unit, units = results.data.unit, results.data.units
    return Cell(percent(share), plural(count_reviewed(share, n), unit, units))


def _by_share(row: ClassRow | None) -> dict[float, TopShare]:
    return {top.share: top for top in row.top} if row is not None else {}


def _cell(top: TopShare | None, row: ClassRow) -> Cell:
    if top is None:
        return Cell(MISSING)
    wrong = f"{whole(top.false_alarms)} false, score ≥ {decimal(top.threshold)}"
    return Cell(f"{whole(top.hits)} of {whole(row.support)}", wrong)
