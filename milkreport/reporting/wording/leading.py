"""What is said of the arm that leads many: its value, the other arms, and what its place means."""

from __future__ import annotations

from collections.abc import Sequence

from milkreport.evaluation.compare import find
from milkreport.evaluation.metrics.named import define
from milkreport.evaluation.records.results import SEEDS_TO_RANK, Comparison, Difference, Results
from milkreport.reporting.wording.order import by_primary, pair, reference_name
from milkreport.reporting.wording.text import (
    decimal,
    interval,
    listing,
    p_value,
    signed,
    signed_interval,
    whole,
)
from milkreport.reporting.wording.titles import (
    arm_title,
    headline_part,
    metric_words,
    primary_pairs,
)

#: So many arms that are not told apart from the leading one are named.
_MOST_NAMED = 4


def lead_sentences(results: Results, comparison: Comparison) -> list[str]:
    """The leading arm's value, its difference from the reference arm, and how the other arms compare."""
    compared = {name for d in primary_pairs(results) for name in (d.arm, d.against)}
    first, *rest = (arm.name for arm in by_primary(results) if arm.name in compared)
    sentences = [_value(results, first, 1 + len(rest), comparison)]
    reference = reference_name(results)
    if reference == first:
        sentences.append("It is the reference arm.")
    elif (d := pair(results, first, reference)) is not None:
        sentences.append(_against_reference(results, d))
    apart = [name for name in rest if _finding(results, first, name) == "better"]
    alike = [name for name in rest if name not in apart]
    named = [arm_title(results, name) for name in alike[:_MOST_NAMED]]
    if len(alike) > len(named):
        named.append(f"{whole(len(alike) - len(named))} more")
    said = (
        f"It was shown to be better than {whole(len(apart))} of the {whole(len(rest))} other arms"
    )
    sentences.append(f"{said}, but not than {listing(named)}." if alike else f"{said}.")
    sentences.append(_all_pairs(primary_pairs(results)))
    return sentences


def choice_sentence(results: Results) -> str:
    """What the first place of many means, and what it does not."""
    first, of = arm_title(results, by_primary(results)[0].name), whole(len(results.arms))
    return (
        f"{first} stands first because its value on these cases is the best of {of}. This orders the page "
        "and is not a finding: on new cases the value is more often less good than better (winner's curse). "
        "The p values are corrected over all pairs; the intervals are not corrected for this choice."
    )


def _value(results: Results, name: str, n_arms: int, comparison: Comparison) -> str:
    arm, metric = results.arm(name), metric_words(results, results.primary_metric)
    part = arm.part(headline_part(results)) if arm else None
    found = part.estimate(results.primary_metric) if part else None
    within = interval(found.low, found.high) if found else ""
    bounds = f" (95% interval {within})" if within else ""
    value = decimal(found.value if found else None)
    end = "highest" if define(results.primary_metric).better == "higher" else "lowest"
    who = f"{arm_title(results, name)} has"
    if comparison.n_seeds < SEEDS_TO_RANK:
        who = f"Of these trained models, that of {arm_title(results, name)} has"
    return f"{who} the {end} {metric} of the {whole(n_arms)} arms here, {value}{bounds}."


def _against_reference(results: Results, d: Difference) -> str:
    finding, reference = find(d), arm_title(results, d.against)
    said = {
        "better": f"It is better than the reference arm, {reference}",
        "equivalent": f"It is equivalent to the reference arm, {reference}, within {d.margin or 0:g}",
        "not worse": f"It is not worse than the reference arm, {reference}, by {d.margin or 0:g} or more",
    }.get(finding, f"Undecided between it and the reference arm, {reference}")
    return (
        f"{said} (difference {signed(d.value)}, 95% interval {signed_interval(d.low, d.high)}, p "
        f"{p_value(d.p_holm)} after Holm's correction over {whole(len(primary_pairs(results)))} pairs)."
    )


def _finding(results: Results, one: str, other: str) -> str:
    d = pair(results, one, other)
    return find(d) if d is not None else "undecided"


def _all_pairs(pairs: Sequence[Difference]) -> str:
    """How many pairs have which finding."""
    found = [find(d) for d in pairs]
    shown = sum(finding in ("better", "worse") for finding in found)
    counts = [f"a difference was shown for {whole(shown)}"]
    counts += [
        f"{whole(n)} are {words}"
        for finding, words in (
            ("equivalent", f"equivalent within {pairs[0].margin or 0:g}"),
            ("not worse", f"not worse by {pairs[0].margin or 0:g} or more"),
            ("undecided", "undecided"),
        )
        if (n := sum(f == finding for f in found))
    ]
    return f"Of all {whole(len(pairs))} pairs, {listing(counts)}."
