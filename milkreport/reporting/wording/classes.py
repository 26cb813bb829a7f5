"""The sentences about the classes: what a trivial answer would reach, which are too rare to judge, and how
often intervals like these included the true value in simulations.
"""

from __future__ import annotations

from milkreport.evaluation.intervals.coverage import Range, simulated
from milkreport.evaluation.records.results import Results
from milkreport.reporting.wording.text import decimal, listing, numeral, percent, shorten, whole
from milkreport.reporting.wording.titles import first_part, metric_words


def yardstick(results: Results) -> tuple[str, float] | None:
    """What always answering the most frequent class of the scored part would reach.

    Follows from the supports alone: with share s of the most frequent of k classes, accuracy is s,
    its F1 is 2s / (1 + s), every other F1 is 0.
    """
    result = first_part(results)
    if result is None:
        return None
    support = {row.name: row.support for row in result.classes if row.support > 0}
    if len(support) < 2:
        return None
    most = max(support, key=support.__getitem__)
    share = support[most] / sum(support.values())
    f1 = 2 * share / (1 + share)
    value = {
        "accuracy": share,
        "balanced_accuracy": 1 / len(support),
        "macro_f1": f1 / len(support),
        "weighted_f1": share * f1,
    }.get(results.primary_metric)
    return None if value is None else (most, value)


def yardstick_sentence(results: Results) -> str:
    """The trivial answer's value in words; empty if there is none."""
    found = yardstick(results)
    if found is None:
        return ""
    metric = metric_words(results, results.primary_metric)
    return (
        f"Always answering {shorten(found[0], 24)} would reach a {metric} of {decimal(found[1])}."
    )


def imbalance_note(results: Results, too_few: int) -> str:
    """Which classes cannot be judged for want of cases."""
    result = first_part(results)
    rare = [row for row in result.classes if row.support < too_few] if result else []
    if not rare or result is None:
        return ""
    names = listing(f"{shorten(row.name, 24)} ({whole(row.support)})" for row in rare[:12])
    if len(rare) > 12:
        names += f" and {numeral(len(rare) - 12)} more"
    share = percent(sum(row.support for row in rare) / max(result.n_cases, 1), 1)
    terms = sum(row.support > 0 for row in rare)
    return (
        f"Fewer than {too_few} {result.part} {results.data.units}, too few to judge: {names}. Together "
        f"they are {share} of the part, yet {numeral(terms)} of the "
        f"{numeral(sum(row.support > 0 for row in result.classes))} terms of every macro average."
    )


def coverage_sentence(results: Results) -> str:
    """What simulations said of such intervals of the primary metric; empty where there were none."""
    part = first_part(results)
    found = simulated(part, results.primary_metric) if part else None
    estimate = part.estimate(results.primary_metric) if part else None
    if found is None or estimate is None or estimate.low is None:
        return ""
    metric = metric_words(results, results.primary_metric)
    return f"{coverage_words(f'95% intervals of {metric}', found)} (docs/statistics.md)."


def coverage_words(what: str, found: Range) -> str:
    """A simulated coverage, the beginning of a sentence."""
    low, high = (percent(share) for share in found)
    share = f"{low} to {high}" if low != high else low
    where = "In simulations with about as many classes and cases"
    return f"{where}, {what} included the true value in {share} of the trials"
