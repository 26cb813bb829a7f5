"""The test part under graded corruptions of its images: what it assumes, a figure, a table."""

from __future__ import annotations

from milkreport.evaluation.metrics.named import define
from milkreport.evaluation.records.estimate import Estimate
from milkreport.evaluation.records.results import Results
from milkreport.evaluation.records.robustness import Robustness
from milkreport.reporting.blocks import Cell, Chapter, Column, Figure, Row, Table, table
from milkreport.reporting.figures.robustness import severity_curves
from milkreport.reporting.wording.order import drawn_arms, drawn_words, places
from milkreport.reporting.wording.text import (
    MISSING,
    mid_sentence,
    numeral,
    signed,
    signed_interval,
    whole,
)
from milkreport.reporting.wording.titles import arm_title, metric_title
from milkreport.suite.corruptions import CORRUPTIONS, SEVERITIES

#: Arms that stand side by side: each has a loss, and all but the first a difference.
MOST_ARMS = 3


def build_robustness(results: Results) -> Chapter | None:
    """The chapter; ``None`` where no arm was scored under corruptions."""
    found = results.robustness
    if found is None or not found.corruptions:
        return None
    metric = metric_title(results, found.metric)
    drawn = [arm.name for arm in drawn_arms(results) if arm.name in found.arms]
    place = places(results)
    panels = [
        (
            CORRUPTIONS[row.name].title,
            [(place[arm], arm_title(results, arm, 26), row.values[arm]) for arm in drawn],
        )
        for row in found.corruptions
    ]
    lower = " (lower is better)" if define(found.metric).better == "lower" else ""
    seeds = f", mean over {whole(found.n_seeds)} seeds" if found.n_seeds > 1 else ""
    caption = (
        f"{metric}{lower} of the test part under corruptions of its images, severity 0 (none) to "
        f"{SEVERITIES[-1]}{seeds}. Without intervals.{drawn_words(results)}"
    )
    svg = severity_curves("robustness-figure", panels, metric)
    return Chapter(
        "robustness",
        "Corrupted images",
        texts=(_assumption(results, found),),
        figures=(Figure("robustness-figure", caption, svg),),
        tables=(_losses(results, found, metric),),
    )


def _assumption(results: Results, found: Robustness) -> str:
    units = results.data.units
    return (
        f"Corrupted images: the {whole(found.n_cases)} test {units} were scored again with their stored "
        "images made worse in graded steps; nothing was trained or chosen on them. This assumes that poorer "
        "images elsewhere are like these corruptions. Strengths are those of MedMNIST-C for DermaMNIST; "
        "those of hair and gel are this software's own."
    )


def _signed(estimate: Estimate | None) -> Cell:
    if estimate is None:
        return Cell(MISSING)
    return Cell(signed(estimate.value), signed_interval(estimate.low, estimate.high))


def _losses(results: Results, found: Robustness, metric: str) -> Table:
    first = found.arms[0]
    ordered = [first, *(a.name for a in drawn_arms(results) if a.name in found.arms[1:])]
    shown = ordered[:MOST_ARMS]
    rows = []
    for row in found.corruptions:
        corruption = CORRUPTIONS[row.name]
        cells = [Cell(corruption.title, corruption.said(found.severity))]
        for arm in shown:
            cells.append(_signed(row.loss.get(arm)))
            if arm != first:
                cells.append(_signed(row.against_first.get(arm)))
        rows.append(Row(tuple(cells)))
    columns = [Column("Corruption", text=True)]
    for arm in shown:
        title = arm_title(results, arm, 26)
        columns.append(Column("Loss", title))
        if arm != first:
            columns.append(Column("Difference", title))
    caption = f"At severity {found.severity}. Loss: how much worse {mid_sentence(metric)} is than without."
    if len(shown) > 1:
        caption += (
            f" Difference: the arm less {arm_title(results, first)}, both under the corruption. Both "
            "are paired, with 95% intervals for each by itself; nothing is tested."
        )
    else:
        caption += " Paired, with 95% intervals for each by itself; nothing is tested."
    if len(ordered) > len(shown):
        caption += f" The first {numeral(len(shown))} of {whole(len(ordered))} arms; all are in results.json."
    return table("robustness", caption, tuple(columns), rows, dense=True)
