"""A run's own value for a figure of a reference: same arm, part, class, definition; or why there is none."""

from __future__ import annotations

from dataclasses import dataclass, replace

from milkreport.checks.reference import Reference
from milkreport.checks.statements import Figure
from milkreport.errors import did_you_mean
from milkreport.evaluation.records.parts import Definition, Estimate, PartResult, RuleResult
from milkreport.evaluation.records.results import Results
from milkreport.tables import first_few, plural


@dataclass(frozen=True)
class FigureMatch:
    """A run's value, or ``reason``: why there is none to be judged.

    ``estimate`` may be shown even then. ``refused``: the run defines the metric otherwise. ``ruled``:
    the value is by a decision rule beside argmax, as the reference asks.
    """

    estimate: Estimate | None = None
    reason: str = ""
    refused: bool = False
    ruled: bool = False
    n_seeds: int = 0


def find_value(results: Results, reference: Reference, figure: Figure) -> FigureMatch:
    """What *results* hold for *figure*; by another decision rule, where the reference asks for one."""
    arm = results.arm(figure.arm)
    part = arm.part(figure.part) if arm else None
    if arm is None:
        names = [arm.name for arm in results.arms]
        hint = did_you_mean(figure.arm, names, f"it has {first_few(names, 5)}")
        return FigureMatch(reason=f"this run has no arm {figure.arm}; {hint}")
    if part is None:
        return FigureMatch(reason=f"this run has no {figure.part} part of it")
    definition = results.definitions.get(figure.metric)
    rule = reference.rule(figure.metric)
    if definition is None:
        return FigureMatch(reason=f"this run has no {figure.metric}")
    if unlike := rule.unlike(definition):
        for other in part.rules:
            if other.decision == rule.decision and other.zero_division == rule.zero_division:
                found = _judged(_ruled(other, figure), part, reference, figure)
                return replace(found, ruled=True)
        return FigureMatch(reason=f"{figure.metric} is defined otherwise: {unlike}", refused=True)
    return _judged(_plain(part, figure, definition), part, reference, figure)


def _judged(
    estimate: Estimate | None, part: PartResult, reference: Reference, figure: Figure
) -> FigureMatch:
    if estimate is None or estimate.value is None:
        return FigureMatch(reason=f"this run has no {figure.metric} here")
    if figure.class_name:
        n = next((row.support for row in part.classes if row.name == figure.class_name), 0)
        if n < reference.min_support:
            cases = f"{plural(n, 'case', 'cases')} of {figure.class_name}"
            reason = f"no verdict on {cases}: fewer than {reference.min_support}"
            return FigureMatch(estimate, reason)
    return FigureMatch(estimate, n_seeds=part.n_seeds)


def _plain(part: PartResult, figure: Figure, definition: Definition) -> Estimate | None:
    if not definition.per_class:
        return part.metrics.get(figure.metric)
    row = next((row for row in part.classes if row.name == figure.class_name), None)
    return row.estimate(figure.metric) if row else None


def _ruled(rule: RuleResult, figure: Figure) -> Estimate | None:
    if not figure.class_name:
        return rule.values.get(figure.metric)
    value = rule.classes.get(figure.class_name, {}).get(figure.metric)
    return Estimate(value=value)
