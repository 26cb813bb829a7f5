"""What ``evaluate`` shows of the positive classes on the terminal."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from milkreport.commands.console import bounds, console, number
from milkreport.evaluation.records.binary import BinaryResult, ReadingStudy
from milkreport.evaluation.records.results import Results
from milkreport.reporting.sections.binary import read
from milkreport.reporting.wording.binary import TITLES, positive_name, threshold_words

#: More rows than these stay in the report.
_MOST_ROWS = 12


def show(results: Results, found: BinaryResult) -> None:
    """Sensitivity, specificity and what follows from them at the operating point, with AUC."""
    point = found.operating
    table = Table(
        f"{escape(positive_name(found))} against the others",
        "value",
        "95%",
        box=None,
        pad_edge=False,
    )
    for metric, title in TITLES.items():
        estimate = read(found, metric)
        if estimate is not None:
            mark = " *" if f"positive_{metric}" == results.primary_metric else ""
            table.add_row(f"{title}{mark}", number(estimate.value), bounds(estimate, 4))
    for at in point.prevalences:
        for name, estimate in (("PPV", at.ppv), ("NPV", at.npv)):
            table.add_row(
                f"{name} at a prevalence of {at.prevalence:g}",
                number(estimate.value),
                bounds(estimate, 4),
            )
    if found.risk is not None:
        for title, value in (
            ("Calibration intercept", found.risk.intercept),
            ("Calibration slope", found.risk.slope),
            ("Scaled Brier score", found.risk.scaled_brier),
        ):
            table.add_row(title, number(value.value), bounds(value, 4))
    console.print(table)
    where = f"operating point {point.rule}; threshold {threshold_words(point)}"
    console.print(f"[dim]{escape(where)}[/dim]", soft_wrap=True)


def show_comparison(results: Results) -> None:
    """Sensitivities at the same specificity, and who is reclassified, against the first arm."""
    comparison = results.comparison
    if (
        comparison is None
        or not comparison.reclassified
        or len(comparison.reclassified) > _MOST_ROWS
    ):
        return
    if comparison.at_specificity:
        table = Table("sensitivity at", "pair", "difference", "95%", box=None, pad_edge=False)
        for d in comparison.at_specificity:
            pair = escape(f"{d.arm} − {d.against}")
            where = f"specificity {d.specificity:g}"
            table.add_row(where, pair, _signed(d.difference.value), bounds(d.difference, 4))
        console.print(table)
    heads = ("cases", "wrong to right", "right to wrong", "difference", "95%")
    table = Table("reclassified", "outcome", *heads, box=None, pad_edge=False)
    for r in comparison.reclassified:
        counts = [f"{n:g}" for n in (r.n, r.became_right, r.became_wrong)]
        change = [_signed(r.difference.value), bounds(r.difference, 4)]
        table.add_row(escape(f"{r.arm} − {r.against}"), r.outcome, *counts, *change)
    console.print(table)


def show_readers(study: ReadingStudy) -> None:
    """The human readers, and their mean."""
    table = Table("reader", "sensitivity", "95%", "specificity", "95%", box=None, pad_edge=False)
    rows = [(reader.name, reader.values) for reader in study.readers]
    rows += [("mean over readers", study.mean)] if study.mean else []
    for name, values in rows:
        found = [values["sensitivity"], values["specificity"]]
        cells = [text for e in found for text in (number(e.value), bounds(e, 4))]
        table.add_row(escape(name), *cells)
    console.print(table)


def _signed(value: float | None) -> str:
    return "—" if value is None else f"{value:+.4f}"
