"""In which order a report names arms and pairs, and which of many it draws.

Up to six arms stand in their declared order, all of them in every figure. Of more, the arm with the best
primary metric and the reference arm come first, then the others by that metric, and figures draw the best
six. This orders a page and claims nothing, for the arm that leads was chosen by the cases that it is scored
on. Synthetic data is never ranked: its arms keep their order.
"""

from __future__ import annotations

from collections.abc import Collection

from milkreport.evaluation.metrics.named import define
from milkreport.evaluation.records.results import ArmResult, Difference, Results
from milkreport.reporting.wording.text import numeral, whole
from milkreport.reporting.wording.titles import (
    arm_title,
    headline_part,
    metric_words,
    primary_pairs,
)

#: Arms whose lines and marks can be told apart in one figure.
MOST_DRAWN = 6
#: Of many arms, so many of the best are reported class by class, and the reference; of more than a dozen
#: only the best, for each takes a page of the PDF.
MOST_REPORTED = 3
_DOZEN = 12
#: Arms that stand side by side as columns of a table.
MOST_COLUMNS = 5
#: More pairs than these, and page one shows the first arm's alone, or a table those of the drawn arms.
MOST_ON_PAGE_ONE, MOST_PAIRS = 6, 24
#: Pairs of the first arm on page one: the reference arm and the next best.
_FIRST_PAIRS = 4


def is_many(results: Results) -> bool:
    """Whether there are more arms than a figure draws."""
    return len(results.arms) > MOST_DRAWN


def reference_name(results: Results) -> str:
    """The reference arm: the one declared first, from which alone no recorded difference starts."""
    differences = results.comparison.differences if results.comparison else []
    later = {d.arm for d in differences}
    found = (d.against for d in differences if d.against not in later)
    return next(found, results.arms[0].name if results.arms else "")


def by_primary(results: Results) -> list[ArmResult]:
    """The arms by their primary metric, the best first; those without a value last, as they were declared."""
    if results.data.synthetic:
        return list(results.arms)
    part, metric = headline_part(results), results.primary_metric
    sign = -1 if define(metric).better == "higher" else 1

    def place(arm: ArmResult) -> tuple[bool, float]:
        scored = arm.part(part)
        found = scored.estimate(metric) if scored else None
        value = found.value if found else None
        return value is None, 0.0 if value is None else sign * value

    return sorted(results.arms, key=place)


def in_display_order(results: Results) -> Results:
    """The same results with their arms in the order of the page."""
    if not is_many(results) or results.data.synthetic:
        return results
    ordered = by_primary(results)
    leading = {ordered[0].name, reference_name(results)}
    ordered.sort(key=lambda arm: arm.name not in leading)  # stable: the best before the reference
    return results.model_copy(update={"arms": ordered})


def drawn_arms(results: Results) -> list[ArmResult]:
    """The arms that figures draw; the place in this list gives each its colour, marker and dashes."""
    return by_primary(results)[:MOST_DRAWN] if is_many(results) else list(results.arms)


def places(results: Results) -> dict[str, int]:
    """The place of every arm by its name: of those drawn the same as in :func:`drawn_arms`."""
    ordered = by_primary(results) if is_many(results) else results.arms
    return {arm.name: place for place, arm in enumerate(ordered)}


def detailed_names(results: Results) -> Collection[str]:
    """The arms that are reported class by class: those drawn, and the reference; up to six, all of them."""
    return {arm.name for arm in drawn_arms(results)} | {reference_name(results)}


def reported_names(results: Results) -> Collection[str]:
    """The arms that are reported one by one with matrix and classes; up to six arms, all of them."""
    if not is_many(results):
        return {arm.name for arm in results.arms}
    best = drawn_arms(results)[: most_reported(results)]
    return {arm.name for arm in best} | {reference_name(results)}


def most_reported(results: Results) -> int:
    """How many of the best of many arms are reported class by class."""
    return MOST_REPORTED if len(results.arms) <= _DOZEN else 1


def drawn_words(results: Results) -> str:
    """Which arms a figure draws, a sentence; empty where it draws all."""
    if not is_many(results):
        return ""
    n, of = numeral(MOST_DRAWN), whole(len(results.arms))
    if results.data.synthetic:
        return f" Drawn: the first {n} of {of} arms."
    better = "highest" if define(results.primary_metric).better == "higher" else "lowest"
    metric = metric_words(results, results.primary_metric)
    return f" Drawn: of {of} arms the {n} with the {better} {metric}."


def column_words(results: Results, shown: int, scored: int) -> str:
    """Which arms stand side by side in a table of *shown* columns; empty if all *scored* ones do."""
    if scored <= shown:
        return ""
    order = " in the order of page one" if is_many(results) else ""
    return f" The first {numeral(shown)} of {whole(scored)} arms{order}; all are in metrics.csv."


def pair(results: Results, arm: str, against: str) -> Difference | None:
    """The difference *arm* minus *against* on the primary metric, whichever way round it was recorded."""
    for d in primary_pairs(results):
        if (d.arm, d.against) == (arm, against):
            return d
        if (d.arm, d.against) == (against, arm):
            return turned(d)
    return None


def turned(d: Difference) -> Difference:
    """The same difference the other way round."""
    flipped: dict[str, object] = {
        "arm": d.against,
        "against": d.arm,
        "value": -d.value,
        "low": -d.high,
        "high": -d.low,
        "low90": None if d.high90 is None else -d.high90,
        "high90": None if d.low90 is None else -d.low90,
    }
    if (s := d.superiority) is not None:
        update = {"value": 1 - s.value, "low": 1 - s.high, "high": 1 - s.low}
        flipped["superiority"] = s.model_copy(update=update)
    return d.model_copy(update=flipped)


def page_one_pairs(results: Results) -> list[Difference]:
    """All pairs; of many, those of the arm that leads: against the reference arm, then the next best."""
    pairs = primary_pairs(results)
    if len(pairs) <= MOST_ON_PAGE_ONE or results.data.synthetic:
        return pairs[:MOST_ON_PAGE_ONE]
    first, *rest = (arm.name for arm in by_primary(results))
    rest.sort(key=lambda name: name != reference_name(results))
    found = (pair(results, first, name) for name in rest)
    return [d for d in found if d is not None][:_FIRST_PAIRS]


def shown_pairs(results: Results) -> list[Difference]:
    """The pairs that a table holds: all, or those of the arms that are drawn and the reference arm."""
    pairs = primary_pairs(results)
    if len(pairs) <= MOST_PAIRS:
        return pairs
    names = detailed_names(results)
    return [d for d in pairs if d.arm in names and d.against in names]


def left_out(results: Results) -> str:
    """What tables of pairs leave out, a sentence; empty if nothing."""
    n, shown = len(primary_pairs(results)), len(shown_pairs(results))
    if n == shown:
        return ""
    drawn = {arm.name for arm in drawn_arms(results)}
    reference = reference_name(results)
    whose = f"the {numeral(MOST_DRAWN)} arms that are drawn"
    if reference not in drawn:
        whose += f" and of {arm_title(results, reference)}, the reference arm"
    return f" {whole(shown)} of {whole(n)} pairs: those of {whose}; all are in differences.csv."
