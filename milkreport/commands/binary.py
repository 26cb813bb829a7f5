"""What ``evaluate`` shows of the positive classes on the terminal."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from milkreport.commands.console import bounds, console, number
from milkreport.evaluation.records.binary import BinaryResult
from milkreport.evaluation.records.results import Results
from milkreport.reporting.sections.binary import read
from milkreport.reporting.wording.binary import TITLES, positive_name, threshold_words


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
