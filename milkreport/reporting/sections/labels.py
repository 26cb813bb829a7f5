"""Labels to look at again, case by case."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from milkreport.evaluation.records.results import Results
from milkreport.reporting.blocks import Cell, Column, Row, Table, table
from milkreport.reporting.wording.text import decimal, shorten, whole
from milkreport.tables import plural

TITLE = "Labels to look at again"
MOST_CASES = 20


@dataclass(frozen=True)
class LabelsView:
    """The cases whose given label is least believable."""

    lead: str
    table: Table


def build_labels(
    results: Results, found: pd.DataFrame | None, show_cases: bool = True
) -> LabelsView | None:
    """The first of ``label_errors.csv``; ``None`` if it has none, or cases must not be shown.

    Args:
        found: the columns of :mod:`milkreport.evaluation.label_errors`, numbers or text.
        show_cases: whether a report may name cases.
    """
    if found is None or found.empty or not show_cases:
        return None
    units = results.data.units
    n = plural(len(found), f"test {results.data.unit}", f"test {units}")
    lead = (
        f"By the probabilities of all arms, another class is more believable than the given one for {n} "
        "(confident learning, Northcutt et al., 2021). Most are hard cases with a right label: the list "
        "says where to look, not what is wrong. Change no label because a model says so, and none of a "
        "test part after the results are known."
    )
    rows = [_row(record) for record in found.head(MOST_CASES).to_dict("records")]
    columns = (
        Column(results.data.unit.capitalize(), text=True),
        Column("Given label", text=True),
        Column("More believable", text=True),
        Column("Probability of it"),
        Column("of the given one"),
        Column("Arms against", "the given label"),
    )
    caption = "Least believable labels first, by mean probabilities over arms and seeds."
    if len(found) > MOST_CASES:
        caption += f" The first {MOST_CASES} of {whole(len(found))}; all stand in label_errors.csv."
    return LabelsView(lead, table("label-errors", caption, columns, rows, dense=True))


def _row(record: Mapping[Hashable, Any]) -> Row:
    return Row(
        (
            Cell(shorten(str(record["case_id"]), 40)),
            Cell(shorten(str(record["label"]), 30), kind="text"),
            Cell(shorten(str(record["likely_label"]), 30), kind="text"),
            Cell(decimal(float(record["probability_of_likely"]))),
            Cell(decimal(float(record["probability_of_label"]))),
            Cell(f"{record['arms_against']} of {record['n_arms']}"),
        )
    )
