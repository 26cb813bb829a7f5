"""How intervals were made, and why some reach further to one side: said below the tables that hold them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from milkreport.evaluation.metrics.definitions import CLASS_DEFINITIONS
from milkreport.evaluation.metrics.named import define
from milkreport.evaluation.records.parts import Estimate
from milkreport.reporting.blocks import Footnote, Row
from milkreport.reporting.wording.text import capital, listing, mid_sentence

#: Marks an interval that reaches much further to one side.
LOPSIDED = "§"
#: So much longer is its longer arm, and by at least so much that two digits show it.
_RATIO, _VISIBLE = 2.0, 0.01

_WIDEST = "the widest of resampling, a posterior and formulas"
_METHODS = {
    "accuracy": "Wilson's formula",
    "top_2_accuracy": "Wilson's formula",
    "top_3_accuracy": "Wilson's formula",
    "macro_auc": "DeLong's formula",
    "macro_average_precision": "the formula of its influence function",
    "log_loss": "the widest of Student's t and resampling",
    "brier": "the widest of Student's t and resampling",
    "ece": "",
    "recall": "Wilson's formula",
    "specificity": "Wilson's formula",
    "precision": "the widest of formulas, resampling and a posterior",
    "f1": "the widest of formulas, resampling and a posterior",
    "auc": "the wider of Newcombe's and DeLong's formulas",
}


def interval_methods(metrics: Iterable[str]) -> str:
    """By which method the 95% intervals of these metrics were made, a sentence; empty without any."""
    by_method: dict[str, list[str]] = {}
    for metric in metrics:
        if method := _METHODS.get(metric, _WIDEST):
            by_method.setdefault(method, []).append(mid_sentence(define_title(metric)))
    said = [f"{listing(names)} by {method}" for method, names in by_method.items()]
    return f"95% intervals: {'; '.join(said)}." if said else ""


def define_title(metric: str) -> str:
    """The title of a metric, or of the one that is taken of each class."""
    if metric == "auc":
        return "AUC"  # as the head of the table of classes has it
    return (CLASS_DEFINITIONS.get(metric) or define(metric)).title


def is_lopsided(estimate: Estimate | None) -> bool:
    """Whether an interval reaches at least twice as far to one side, by what two digits show."""
    if estimate is None or None in (estimate.value, estimate.low, estimate.high):
        return False
    value, low, high = (float(v or 0) for v in (estimate.value, estimate.low, estimate.high))
    short, long = sorted((value - low, high - value))
    return long >= _RATIO * short and long - short >= _VISIBLE


def interval_notes(rows: Sequence[Row], metrics: Iterable[str]) -> tuple[Footnote, ...]:
    """How the intervals of a table were made, and what the mark of lopsided ones means."""
    notes = []
    if said := interval_methods(metrics):
        notes.append(Footnote("95%", capital(said.removeprefix("95% intervals: "))))
    if any(LOPSIDED in cell.mark for row in rows for cell in row.cells):
        text = (
            "The interval extends at least twice as far to one side: with few cases, a kind of error or of "
            "correct prediction that did not occur here may still occur in new ones."
        )
        notes.append(Footnote(LOPSIDED, text))
    return tuple(notes)
