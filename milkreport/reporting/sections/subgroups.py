"""The arms by subgroup."""

from __future__ import annotations

from dataclasses import dataclass

from milkreport.evaluation.metrics.slices import FEWEST
from milkreport.evaluation.records.parts import Estimate, PartResult, SliceResult
from milkreport.evaluation.records.results import ArmResult, Results
from milkreport.reporting.blocks import Cell, Column, Footnote, Group, Row, Table, table
from milkreport.reporting.cases import opens
from milkreport.reporting.tables import estimate_cell
from milkreport.reporting.wording.intervals import interval_notes
from milkreport.reporting.wording.order import MOST_COLUMNS, column_words
from milkreport.reporting.wording.text import MISSING, decimal, listing, numeral, shorten, whole
from milkreport.reporting.wording.titles import (
    arm_title,
    first_part,
    headline_part,
    metric_title,
    metric_words,
)
from milkreport.tables import plural

#: Arms that fit beside one another with two columns each.
MOST_SIDES = 3


@dataclass(frozen=True)
class SubgroupsView:
    """Where the arms fail: by subgroup."""

    texts: tuple[str, ...]
    tables: tuple[Table, ...]
    remarks: tuple[str, ...]


def build_subgroups(results: Results) -> SubgroupsView | None:
    """The primary metric of every arm on every subgroup, and how far apart they are; ``None`` without any."""
    part = headline_part(results)
    arms = [(arm, r) for arm in results.arms if (r := arm.part(part)) is not None and r.slices]
    if not arms:
        withheld = _withheld(results)
        return SubgroupsView((), (), (withheld,)) if withheld else None
    metric = _metric(results)
    words = metric_words(results, metric)
    texts = [
        f"Each {results.data.unit} is in one subgroup per column. A macro average is over the classes that "
        "occur in the subgroup, so that subgroups with different classes can differ although the model is "
        "equally good; with a single class it is undefined (a dash). With many subgroups some differ by "
        f"chance: the gap is shown beside {_chance(arms[0][1])}. A gap has no interval, because resampling "
        "overestimates a largest difference.",
    ]
    tables = [_values(results, arms, metric)]
    if sides := _sides(results, arms):
        tables.append(sides)
    gaps = _gaps(results, metric)
    if gaps:
        tables.append(gaps)
    remarks = [_gap_sentence(results, metric, words), _withheld(results)]
    return SubgroupsView(tuple(texts), tuple(tables), tuple(r for r in remarks if r))


def _chance(part: PartResult) -> str:
    """What gaps are compared with."""
    if part.n_groups is None:
        return "the gap that 95% of 200 shuffles of the subgroups within each class do not exceed"
    return "the gap that 95% of resamples of whole groups do not exceed if all subgroups are equal"


def _metric(results: Results) -> str:
    """The primary metric, or accuracy where subgroups do not have it."""
    part = headline_part(results)
    known = {
        name
        for arm in results.arms
        if (r := arm.part(part)) is not None
        for piece in r.slices
        for name in piece.metrics
    }
    return results.primary_metric if results.primary_metric in known else "accuracy"


def _values(results: Results, arms: list[tuple[ArmResult, PartResult]], metric: str) -> Table:
    part = headline_part(results)
    shown = [arm for arm, _ in arms[:MOST_COLUMNS]]
    by_arm: list[dict[tuple[str, str], SliceResult]] = []
    for arm in shown:
        found = arm.part(part)
        by_arm.append({(s.column, s.value): s for s in found.slices} if found else {})
    groups: dict[str, list[Row]] = {}
    for (column, value), piece in by_arm[0].items():
        cells = [Cell(shorten(value)), Cell(whole(piece.n)), Cell(whole(piece.n_classes))]
        for slices in by_arm:
            own = slices.get((column, value))
            cells.append(_cell(own, metric))
        listed = opens(column=column, value=value) if part == "test" else ""
        groups.setdefault(column, []).append(Row(tuple(cells), opens=listed))
    columns = [Column("Subgroup", text=True), Column(results.data.units.capitalize())]
    columns.append(Column("Classes"))
    columns += [Column(arm_title(results, arm.name)) for arm in shown]
    note = Footnote(
        "*", "The interval of the difference from all other cases excludes 0, untested."
    )
    caption = f"{metric_title(results, metric)} by subgroup, {part}, with 95% intervals."
    caption += column_words(results, MOST_COLUMNS, len(arms))
    every = [row for rows in groups.values() for row in rows]
    marked = any("*" in c.mark for row in every for c in row.cells)
    return Table(
        "subgroups",
        caption,
        tuple(columns),
        tuple(Group(shorten(column), tuple(rows)) for column, rows in groups.items()),
        (*((note,) if marked else ()), *interval_notes(every, ())),
        dense=True,
    )


def _sides(results: Results, arms: list[tuple[ArmResult, PartResult]]) -> Table | None:
    """Sensitivity and specificity of the subgroups at the operating point, beside the primary metric's."""
    found = [(arm, r.binary) for arm, r in arms[:MOST_SIDES] if r.binary and r.binary.slices]
    if not found:
        return None
    by_arm = [{(s.column, s.value): s for s in binary.slices} for _, binary in found]
    groups: dict[str, list[Row]] = {}
    for (column, value), piece in by_arm[0].items():
        counts = f"{whole(piece.n_positive)} / {whole(piece.n_negative)}"
        cells = [Cell(shorten(value)), Cell(counts)]
        for slices in by_arm:
            own = slices.get((column, value))
            cells += [estimate_cell(own.sensitivity if own else None)]
            cells += [estimate_cell(own.specificity if own else None)]
        groups.setdefault(column, []).append(Row(tuple(cells)))
    columns = [Column("Subgroup", text=True), Column("Positive / negative")]
    for arm, _ in found:
        title = arm_title(results, arm.name) if len(arms) > 1 else ""
        columns += [Column("Sensitivity", title), Column("Specificity", title)]
    caption = (
        "Sensitivity and specificity by subgroup at the operating point of all cases, with 95% "
        "intervals; none where a "
        "side has fewer than five cases."
    )
    caption += column_words(results, MOST_SIDES, len(arms))
    every = [row for rows in groups.values() for row in rows]
    return Table(
        "subgroup-sides",
        caption,
        tuple(columns),
        tuple(Group(shorten(column), tuple(rows)) for column, rows in groups.items()),
        interval_notes(every, ()),
        dense=True,
    )


def _cell(piece: SliceResult | None, metric: str) -> Cell:
    if piece is None or metric not in piece.metrics:
        return Cell(MISSING)
    rest = piece.against_rest.get(metric, Estimate(value=None))
    apart = rest.low is not None and rest.high is not None and (rest.low > 0 or rest.high < 0)
    return estimate_cell(
        piece.metrics[metric].model_copy(update={"seed_sd": None}), "*" if apart else ""
    )


def _gaps(results: Results, metric: str) -> Table | None:
    part = headline_part(results)
    rows = []
    for arm in results.arms:
        found = arm.part(part)
        for gap in found.gaps if found else []:
            if gap.metric == metric:
                rows.append(
                    Row(
                        (
                            Cell(shorten(gap.column)),
                            Cell(arm_title(results, arm.name), kind="text"),
                            Cell(decimal(gap.gap.value)),
                            Cell(decimal(gap.chance)),
                        )
                    )
                )
    if not rows:
        return None
    columns = (
        Column("Subgroups by", text=True),
        Column("Arm", text=True),
        Column("Gap"),
        Column("By chance below"),
    )
    caption = f"Gap in {metric_words(results, metric)}: largest minus smallest subgroup."
    return table("gaps", caption, columns, rows, dense=True)


def _gap_sentence(results: Results, metric: str, words: str) -> str:
    """Which columns' gaps exceed chance, and for which arms."""
    part = headline_part(results)
    beyond: dict[str, list[str]] = {}
    seen = 0
    for arm in results.arms:
        found = arm.part(part)
        for gap in found.gaps if found else []:
            if gap.metric == metric and gap.gap.value is not None and gap.chance is not None:
                seen += 1
                if gap.gap.value > gap.chance:
                    beyond.setdefault(gap.column, []).append(arm_title(results, arm.name))
    if not seen or results.data.synthetic:
        return ""
    if not beyond:
        return f"No gap in {words} is larger than 95% of the gaps that occur by chance."
    named = [f"{shorten(column)} ({listing(arms)})" for column, arms in beyond.items()]
    return (
        f"Larger than 95% of the gaps that occur by chance: the gap in {words} by {listing(named)}. By "
        f"chance about one in twenty gaps is so large; examined: {numeral(seen)}."
    )


def _withheld(results: Results) -> str:
    found = first_part(results)
    if found is None or not found.withheld:
        return ""
    named = [
        f"{shorten(w.column)} = {shorten(w.value)} ({whole(w.n)})" for w in found.withheld[:12]
    ]
    if len(found.withheld) > 12:
        named.append(plural(len(found.withheld) - 12, "other", "others"))
    return f"Withheld, fewer than {FEWEST} {results.data.units}: {listing(named)}."
