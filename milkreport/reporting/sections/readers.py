"""Human readers of the scored cases, beside the arms."""

from __future__ import annotations

from milkreport.evaluation.binary.reading_study import FEWEST_READERS
from milkreport.evaluation.records.results import Results
from milkreport.reporting.blocks import Cell, Chapter, Column, Footnote, Row, table
from milkreport.reporting.figures.binary_roc import RocPoint
from milkreport.reporting.tables import estimate_cell
from milkreport.reporting.wording.binary import TITLES
from milkreport.reporting.wording.intervals import interval_notes
from milkreport.reporting.wording.text import numeral, shorten, whole

SHARES = ("sensitivity", "specificity", "ppv", "npv")


def reader_points(results: Results) -> list[RocPoint]:
    """The readers as points of the ROC figure."""
    found = results.readers.readers if results.readers else []
    return [RocPoint(r.name, r.values["sensitivity"], r.values["specificity"]) for r in found]


def readers_chapter(results: Results) -> Chapter:
    """A table of the readers and their mean; empty without readers."""
    study = results.readers
    if study is None:
        return Chapter("binary-readers", "Human readers")
    rows = []
    for reader in study.readers:
        cells = [Cell(shorten(reader.name)), *(estimate_cell(reader.values[m]) for m in SHARES)]
        rows.append(Row(tuple(cells)))
    said = f"Hard answers of {numeral(len(study.readers))} human reader"
    if study.mean:
        means = [estimate_cell(study.mean.get(m)) if m in study.mean else Cell("") for m in SHARES]
        rows.append(Row((Cell("mean over readers"), *means), "total"))
    said += "s" if len(study.readers) != 1 else ""
    caption = (
        f"{said}, {whole(study.n_positive)} positive and {whole(study.n_negative)} negative cases, "
        f"with 95% intervals: "
        "of one reader over new cases"
    )
    caption += (
        ", of the mean over new cases and new readers, with its SD over readers."
        if study.mean
        else "."
    )
    columns = (Column("Reader", text=True), *(Column(TITLES[m]) for m in SHARES))
    remarks = (
        "Readers are not arms: nothing is tested against them, and they take no part in the "
        "comparison. A curve "
        "above a reader's point does not by itself show that the model is better on new cases.",
    )
    notes = interval_notes(rows, ())
    if 0 < len(study.readers) < FEWEST_READERS and study.mean:
        text = f"Mean: no interval with fewer than {numeral(FEWEST_READERS)} readers (docs/statistics.md)."
        notes = (Footnote("95%", text), *notes)
    shown = table("readers", caption, columns, rows, notes, dense=True)
    return Chapter("binary-readers", "Human readers", tables=(shown,), remarks=remarks)
