"""Section 5 of the report: the arms beside one another."""

from __future__ import annotations

from dataclasses import dataclass

from milkreport.evaluation.compare import is_shown
from milkreport.evaluation.results import SEEDS_TO_RANK, Comparison, Difference, Results
from milkreport.reporting import figures
from milkreport.reporting.blocks import (
    Cell,
    Column,
    Figure,
    Row,
    Table,
    table,
)
from milkreport.reporting.sentences import (
    arm_title,
    headline_part,
    imbalance_note,
    metric_title,
    primary_pairs,
    yardstick_sentence,
)
from milkreport.reporting.text import (
    MISSING,
    decimal,
    numeral,
    p_cell,
    signed,
    signed_interval,
    whole,
)
from milkreport.reporting.view_agreement import more_tables, rank_sentence
from milkreport.reporting.view_arms import TOO_FEW
from milkreport.reporting.view_measures import measure_tables


@dataclass(frozen=True)
class ComparisonView:
    """The arms beside one another."""

    method: tuple[str, ...]
    primary: Table | None
    others: Table | None
    more: tuple[Table, ...]
    per_class: Figure | None
    remarks: tuple[str, ...]


def build_comparison(results: Results) -> ComparisonView:
    """Pairwise differences on the primary metric; the other metrics are described."""
    comparison = results.comparison
    remarks = [
        rank_sentence(results),
        yardstick_sentence(results),
        imbalance_note(results, TOO_FEW),
    ]
    part = headline_part(results)
    chart = None
    if any(arm.part(part) for arm in results.arms):
        caption = (
            f"F1 and recall of each class on the {part} part, support in brackets. A class without "
            "predictions has no F1 mark where its F1 is undefined."
        )
        svg = figures.per_class("per-class", results.arms, part)
        chart = Figure("per-class", caption, svg)
    others = [
        d
        for d in (comparison.differences if comparison else [])
        if d.metric != results.primary_metric and d.against == results.arms[0].name
    ]
    return ComparisonView(
        method=_method(results, comparison) if comparison else (),
        primary=_primary_table(results),
        others=_other_table(results, others) if others else None,
        more=(*more_tables(results), *measure_tables(results)),
        per_class=chart,
        remarks=tuple(r for r in remarks if r),
    )


def _method(results: Results, comparison: Comparison) -> tuple[str, ...]:
    least = 1 / (comparison.resamples + 1)
    text = [
        f"Differences are paired over the same {whole(comparison.n_cases)} {comparison.part} "
        f"{results.data.units}{_grouped(results, comparison)}. Intervals: "
        f"{whole(comparison.resamples)} stratified bootstrap "
        f"resamples; p: two-sided permutation over {results.data.units}, not below {least:.2g} with "
        "as many resamples; Holm's correction over the pairs. Detectable: the difference found with "
        "80% power, one pair alone.",
        "A difference counts as shown where both agree: Holm-adjusted p below 0.05 and an interval "
        "without 0. They ask different things: p whether the arms' predictions could change sides "
        "case by case, the interval how far the metric is apart. Resamples keep the number of cases "
        "of each class, so chance in the mix of classes is not in the intervals.",
    ]
    if comparison.n_folds > 1:
        text.append(
            f"Predictions are pooled out of fold over {numeral(comparison.n_folds)} folds: the "
            "intervals describe these predictions, not a newly drawn training set."
        )
    if comparison.n_seeds < SEEDS_TO_RANK:
        text.append(
            f"Fewer than {numeral(SEEDS_TO_RANK)} training seeds an arm: the table speaks of "
            "these trained models, and ranks no method."
        )
    return tuple(text)


def _grouped(results: Results, comparison: Comparison) -> str:
    if comparison.n_groups is None:
        return ""
    return f" of {whole(comparison.n_groups)} groups, which are drawn whole"


def _primary_table(results: Results) -> Table | None:
    pairs = primary_pairs(results)
    if not pairs:
        return None
    columns = (
        Column("Arm", text=True),
        Column("against", text=True),
        Column("Difference"),
        Column("95% interval"),
        Column("p"),
        Column("p\u00a0(Holm)"),
        Column("Detectable"),
        Column("", text=True),
    )
    rows = [
        Row(
            (
                Cell(arm_title(results, d.arm)),
                Cell(arm_title(results, d.against), kind="text"),
                Cell(signed(d.value)),
                Cell(signed_interval(d.low, d.high)),
                Cell(p_cell(d.p)),
                Cell(p_cell(d.p_holm)),
                Cell(decimal(d.detectable)),
                Cell(finding(results, d), kind="word"),
            )
        )
        for d in pairs
    ]
    metric = metric_title(results, results.primary_metric)
    caption = f"{metric}, the primary metric: differences between the arms."
    return table("differences", caption, columns, rows)


def finding(results: Results, d: Difference) -> str:
    """What may be said of a difference on the primary metric."""
    if results.data.synthetic:
        return "synthetic"
    return "shown" if is_shown(d) else "not distinguishable"


def _other_table(results: Results, differences: list[Difference]) -> Table:
    metrics = list(dict.fromkeys(d.metric for d in differences))[:6]
    pairs = list(dict.fromkeys((d.arm, d.against) for d in differences))
    found = {(d.arm, d.against, d.metric): d for d in differences}
    rows = []
    for arm, against in pairs:
        cells = [Cell(arm_title(results, arm)), Cell(arm_title(results, against), kind="text")]
        for metric in metrics:
            d = found.get((arm, against, metric))
            value = signed(d.value) if d else MISSING
            cells.append(Cell(value, signed_interval(d.low, d.high) if d else ""))
        rows.append(Row(tuple(cells)))
    columns = [Column("Arm", text=True), Column("against", text=True)]
    columns += [Column(metric_title(results, metric)) for metric in metrics]
    caption = "Other metrics, described and not tested: differences with their 95% intervals."
    return table("other-differences", caption, tuple(columns), rows)
