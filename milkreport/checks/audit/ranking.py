"""Does what differs change which model is ahead? The printed order beside that of the matrices."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from decimal import Decimal

from milkreport.checks.audit.findings import Audit, Finding


def describe_ranking(audit: Audit) -> str:
    """For which metrics the order of the models changes if they are recomputed, in one or two sentences.

    Two models are compared where both have a confusion matrix. Printed values that could be rounded from the
    same number have no order.

    Returns:
        empty where no metric was recomputed for two models.
    """
    by_metric: dict[str, list[Finding]] = {}
    for f in audit.findings:
        if f.topic == "metric" and f.recomputed and not f.class_name:
            words = f.metric.replace("_", " ").replace("f1", "F1")
            by_metric.setdefault(f"{f.part} {words}", []).append(f)
    by_metric = {metric: found for metric, found in by_metric.items() if len(found) > 1}
    changed = {metric: [*_reversed(found)] for metric, found in by_metric.items()}
    same = [metric for metric, pairs in changed.items() if not pairs]
    lead = "Recomputed from the confusion matrices, the order of the models"
    said = [
        f"{lead} changes in {metric}: {_one_pair(audit, *pairs[0])}"
        + (f", and {len(pairs) - 1} more" if len(pairs) > 1 else "")
        + "."
        for metric, pairs in changed.items()
        if pairs
    ]
    if same:
        start = "It stays the same in" if said else f"{lead} stays as printed in"
        said.append(f"{start} {_listed(same)}.")
    return " ".join(said)


def _reversed(found: Sequence[Finding]) -> Iterator[tuple[Finding, Finding]]:
    """Pairs that are printed one way and recomputed the other, the first ahead as recomputed."""
    for one, two in itertools.combinations(found, 2):
        first, second = (one, two) if (one.value or 0) > (two.value or 0) else (two, one)
        gap = float(second.printed) - float(first.printed)
        if first.value != second.value and gap > (_unit(first) + _unit(second)) / 2:
            yield first, second


def _unit(finding: Finding) -> float:
    return 10.0 ** int(Decimal(finding.printed).as_tuple().exponent)


def _one_pair(audit: Audit, first: Finding, second: Finding) -> str:
    sides = [f"{audit.arms.get(f.arm, f.arm)} ({f.recomputed})" for f in (first, second)]
    printed = f"{first.printed} and {second.printed}"
    return f"{sides[0]} is above {sides[1]}, but {printed} are printed"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
