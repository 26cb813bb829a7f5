"""The arms beside one another."""

from __future__ import annotations

from dataclasses import dataclass

from milkreport.evaluation.compare import find
from milkreport.evaluation.metrics.definitions import REPEATED
from milkreport.evaluation.records.results import Difference, Results
from milkreport.reporting.blocks import (
    Cell,
    Chapter,
    Column,
    Figure,
    Row,
    Table,
    table,
)
from milkreport.reporting.figures import class_figures, roc_pr
from milkreport.reporting.sections.agreement import (
    agreement_table,
    mcnemar_table,
    rank_sentence,
    spread_table,
)
from milkreport.reporting.sections.arms import TOO_FEW
from milkreport.reporting.sections.classes import heat_map, rare_classes
from milkreport.reporting.sections.measures import decision_figure, metric_tables, positive_table
from milkreport.reporting.wording.method import method_texts
from milkreport.reporting.wording.order import (
    detailed_names,
    drawn_arms,
    drawn_words,
    left_out,
    reference_name,
    shown_pairs,
)
from milkreport.reporting.wording.pairs import better_word, superiority_sentences
from milkreport.reporting.wording.sentences import (
    coverage_sentence,
    imbalance_note,
    yardstick_sentence,
)
from milkreport.reporting.wording.text import (
    MISSING,
    decimal,
    numeral,
    p_cell,
    signed,
    signed_interval,
)
from milkreport.reporting.wording.titles import (
    arm_title,
    full_titles,
    headline_part,
    metric_title,
)


@dataclass(frozen=True)
class ComparisonView:
    """The arms beside one another."""

    chapters: tuple[Chapter, ...]

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All drawings, in reading order."""
        return tuple(figure for chapter in self.chapters for figure in chapter.figures)


def build_comparison(results: Results) -> ComparisonView:
    """Pairwise differences on the primary metric; the other metrics are described."""
    chapters = (
        _primary(results),
        _others(results),
        _differing(results),
        _scores(results),
        rare_classes(results),
    )
    return ComparisonView(tuple(chapter for chapter in chapters if not chapter.is_empty))


def _tables(*found: Table | None) -> tuple[Table, ...]:
    return tuple(table for table in found if table is not None)


def _primary(results: Results) -> Chapter:
    comparison = results.comparison
    primary = _primary_table(results)
    remarks = [
        rank_sentence(results),
        *superiority_sentences(results),
        coverage_sentence(results),
        yardstick_sentence(results),
        imbalance_note(results, TOO_FEW),
    ]
    none = "No two arms have a result, so there is nothing to compare."
    return Chapter(
        "comparison-primary",
        "The primary metric",
        texts=(method_texts(results, comparison) if comparison else ()) if primary else (none,),
        tables=_tables(primary, spread_table(results)),
        remarks=tuple(r for r in remarks if r),
    )


def _others(results: Results) -> Chapter:
    comparison, names = results.comparison, detailed_names(results)
    others = [
        d
        for d in (comparison.differences if comparison else [])
        if d.metric not in (results.primary_metric, *REPEATED)
        and d.against == reference_name(results)
        and d.arm in names
    ]
    described = _other_table(results, others) if others else None
    return Chapter(
        "comparison-metrics",
        "Other metrics and decision rules",
        tables=_tables(described, *metric_tables(results), mcnemar_table(results)),
    )


def _differing(results: Results) -> Chapter:
    """By case, by class, by rank."""
    part = headline_part(results)
    drawn = []
    if (map_ := heat_map(results)) is not None:
        drawn.append(map_)
        caption = (
            f"F1 and recall of each class on the {part} part, support in brackets. A class without "
            f"predictions has no F1 mark where its F1 is undefined.{drawn_words(results)}"
        )
        svg = class_figures.per_class("per-class", drawn_arms(results), part)
        drawn.append(Figure("per-class", caption, svg))
    chosen = drawn_arms(results)
    arms = [
        (i, title, found.classes)
        for i, (arm, title) in enumerate(zip(chosen, full_titles(chosen), strict=True))
        if (found := arm.part(part)) is not None and any(row.curve for row in found.classes)
    ]
    if arms:
        seeds = (
            ", means over seeds" if results.comparison and results.comparison.n_seeds > 1 else ""
        )
        few = _cut(results, len(roc_pr.shown_classes(arms)))
        caption = (
            f"ROC curve of each class against the others on the {part} part{seeds}; support in brackets. "
            f"Dotted: chance.{few}"
        )
        drawn.append(Figure("roc", caption, roc_pr.roc("roc", arms, part)))
        caption = (
            "Precision over recall of the same arms and classes; dotted: the class's share, which chance "
            f"reaches. Where a class is rare, this tells more than the ROC curve.{few}"
        )
        svg = roc_pr.precision_recall("precision-recall", arms, part)
        drawn.append(Figure("precision-recall", caption, svg))
    return Chapter(
        "comparison-differing",
        "Where the arms differ" if len(results.arms) > 1 else "Class by class",
        tables=_tables(agreement_table(results)),
        figures=tuple(drawn),
    )


def _cut(results: Results, n_classes: int) -> str:
    """What a figure leaves out."""
    said = drawn_words(results)
    if n_classes < len(results.classes) and n_classes == roc_pr.MOST_PANELS:
        said += f" The {numeral(n_classes)} most frequent classes."
    return said


def _scores(results: Results) -> Chapter:
    """Whether probabilities can be taken at their word, and what decisions by them are worth."""
    part = headline_part(results)
    chosen = drawn_arms(results)
    titles = zip(chosen, full_titles(chosen), strict=True)
    found = [(i, title, r) for i, (arm, title) in enumerate(titles) if (r := arm.part(part))]
    calibrated = [
        (i, name, r.calibration, r.metrics["ece"].value)
        for i, name, r in found
        if r.calibration is not None and "ece" in r.metrics
    ]
    drawn = []
    if calibrated:
        caption = (
            "Reliability: share of right answers over the largest probability, 15 bins, dots as large as "
            "their bins; below the dotted line an arm is overconfident. Number: expected calibration error."
            f"{drawn_words(results)}"
        )
        svg = roc_pr.reliability("reliability", calibrated)
        drawn.append(Figure("reliability", caption, svg))
    if any(r.binary for _, _, r in found):  # a section of its own has what follows
        return Chapter("comparison-scores", "Probabilities", figures=tuple(drawn))
    if curve := decision_figure(results):
        drawn.append(curve)
    return Chapter(
        "comparison-scores",
        "Probabilities and decisions",
        tables=_tables(positive_table(results)),
        figures=tuple(drawn),
    )


def _primary_table(results: Results) -> Table | None:
    pairs = shown_pairs(results)
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
        Column("Finding", text=True),
    )
    rows = [
        Row(
            (
                Cell(arm_title(results, d.arm)),
                Cell(arm_title(results, d.against), kind="text"),
                Cell(signed(d.value)),
                Cell(signed_interval(d.low, d.high), _within(d)),
                Cell(p_cell(d.p)),
                Cell(p_cell(d.p_holm)),
                Cell(decimal(d.detectable)),
                Cell(finding(results, d), kind="word"),
            )
        )
        for d in pairs
    ]
    metric = metric_title(results, results.primary_metric)
    lower = ", lower is better" if better_word(results.primary_metric) == "lower" else ""
    caption = f"{metric}, the primary metric{lower}: differences between the arms"
    if results.margin is not None:
        caption += f"; margin {results.margin:g}, 90% intervals below the 95% intervals"
    caption += f".{left_out(results)}"
    return table("differences", caption, columns, rows)


def finding(results: Results, d: Difference) -> str:
    """What may be said of a difference on the primary metric."""
    if results.data.synthetic:
        return "synthetic"
    return find(d)


def _within(d: Difference) -> str:
    """The 90% interval, which decides on equivalence where a margin was declared."""
    return f"90%: {signed_interval(d.low90, d.high90)}" if d.margin is not None else ""


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
