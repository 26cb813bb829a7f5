"""The sentences that claim something, made from the numbers by fixed rules.

Rules: the primary metric alone; every finding (:func:`milkreport.evaluation.compare.find`) gets a sentence
of its own; with one training seed per arm the sentence speaks of these trained models and ranks no
method; synthetic data is never ranked.
"""

from __future__ import annotations

from dataclasses import dataclass

from milkreport.evaluation.compare import find, is_better
from milkreport.evaluation.intervals.coverage import Range, simulated
from milkreport.evaluation.records.results import SEEDS_TO_RANK, Comparison, Difference, Results
from milkreport.reporting.wording.leading import choice_sentence, lead_sentences
from milkreport.reporting.wording.order import is_many
from milkreport.reporting.wording.pairs import better_word, between, tell_rest, trained
from milkreport.reporting.wording.text import (
    capital,
    decimal,
    interval,
    listing,
    numeral,
    percent,
    shorten,
    whole,
)
from milkreport.reporting.wording.titles import (
    arm_title,
    first_part,
    headline_part,
    metric_words,
    primary_pairs,
)
from milkreport.tables import plural

SYNTHETIC_BANNER = "SYNTHETIC DATA - NOT A RESULT"
SYNTHETIC_HEADLINE = "No result: images and tables were drawn by a program."
SYNTHETIC_RESULT = (
    "The numbers below show that the chain from data to report works, and nothing else. No arm is "
    "set above another, and nothing is compared with reported figures."
)
#: So many sentences say which arm scored above which, and one names so many arms.
MOST_SENTENCES, MOST_NAMED = 2, 6


@dataclass(frozen=True)
class Statement:
    """The result: the sentences that carry it, and how far it reaches."""

    headline: str
    reach: str


def result_statement(results: Results) -> Statement:
    """What the run found on its primary metric."""
    if results.data.synthetic:
        return Statement(SYNTHETIC_HEADLINE, SYNTHETIC_RESULT)
    pairs = primary_pairs(results)
    comparison = results.comparison
    if comparison is None or not pairs:
        return Statement(_values(results) or "No arm has a result.", _alone(results))
    shown = [d for d in pairs if find(d) in ("better", "worse")]
    reach = [_reach(results, comparison)]
    if is_many(results):
        headline = lead_sentences(results, comparison)
        reach.append(choice_sentence(results))
    else:
        headline = [*_found(results, comparison, shown), *_best(results, shown)]
        headline += tell_rest(results, [d for d in pairs if d not in shown])
    return Statement(" ".join(headline), " ".join(reach))


def _alone(results: Results) -> str:
    if sum(bool(arm.parts) for arm in results.arms) == 1:
        return "Only one arm has a result, so nothing was compared."
    if results.comparison is not None:
        return "The other metrics are described, not tested."
    return "Nothing was compared."


def _values(results: Results) -> str:
    part = headline_part(results)
    found = [(arm, r) for arm in results.arms if (r := arm.part(part)) is not None]
    if not found:
        return ""
    values = []
    for arm, result in found:
        estimate = result.estimate(results.primary_metric)
        bounds = interval(estimate.low, estimate.high) if estimate else ""
        text = decimal(estimate.value if estimate else None)
        within = f" (95% interval {bounds})" if bounds else ""
        values.append(f"{text}{within} for {arm_title(results, arm.name)}")
    metric = metric_words(results, results.primary_metric)
    if all((e := r.estimate(results.primary_metric)) is None or e.value is None for _, r in found):
        units = results.data.units
        return f"The primary metric, {metric}, is undefined on these {units}; choose another one."
    n = plural(found[0][1].n_cases, f"{part} {results.data.unit}", f"{part} {results.data.units}")
    return f"On the {n} {metric} was {listing(values)}."


def _found(results: Results, comparison: Comparison, shown: list[Difference]) -> list[str]:
    """A sentence for each arm that scored above others, the best first; arms above the same share one."""
    metric = metric_words(results, results.primary_metric)
    n_arms = len({name for d in primary_pairs(results) for name in (d.arm, d.against)})
    ranks = comparison.n_seeds >= SEEDS_TO_RANK
    one = comparison.n_seeds * comparison.n_folds == 1
    own, many = ("", "") if ranks else ("that of " if one else "those of ", "those of ")
    beaten = _beaten(shown)
    alike: dict[frozenset[str], list[str]] = {}
    word = better_word(results.primary_metric)
    sign = -1 if word == "higher" else 1
    for better in sorted(beaten, key=lambda name: sign * _value(results, name)):
        alike.setdefault(frozenset(beaten[better]), []).append(better)
    sentences: list[str] = []
    for betters in [*alike.values()][:MOST_SENTENCES]:
        worse = beaten[betters[0]]
        others = listing(arm_title(results, name) for name in worse)
        others = f"{own if len(worse) == 1 else many}{others}"
        if len(worse) == n_arms - 1 > 1:
            others = "all others"
        elif len(worse) > MOST_NAMED:
            others = f"{numeral(len(worse))} of the others"
        who = listing(own + arm_title(results, name) for name in betters)
        if len(betters) > MOST_NAMED:
            who = f"{many}{numeral(len(betters))} arms"
        who += " each" if len(betters) > 1 else ""
        end = f" ({between(shown[0])})" if len(shown) == 1 else ""
        if sentences:
            sentences.append(f"{who if ranks else capital(who)} scored {word} than {others}.")
        else:
            start = "" if ranks else "Of these trained models, "
            sentences.append(f"{start}{who} scored a {word} {metric} than {others}{end}.")
    if len(alike) > MOST_SENTENCES:
        n, of = whole(len(shown)), whole(len(primary_pairs(results)))
        sentences.append(f"In all, a difference was shown for {n} of the {of} pairs.")
    return sentences


def _value(results: Results, name: str) -> float:
    """An arm's primary metric, by which arms are ordered."""
    arm = results.arm(name)
    part = arm.part(headline_part(results)) if arm else None
    found = part.estimate(results.primary_metric) if part else None
    return found.value if found and found.value is not None else 0.0


def _beaten(shown: list[Difference]) -> dict[str, list[str]]:
    """Arm to the arms that it was shown to score above."""
    beaten: dict[str, list[str]] = {}
    for d in shown:
        better, worse = (d.arm, d.against) if is_better(d) else (d.against, d.arm)
        beaten.setdefault(better, []).append(worse)
    return beaten


def _best(results: Results, shown: list[Difference]) -> list[str]:
    """One arm above all others, said only of arms that were trained often enough."""
    comparison = results.comparison
    if comparison is None or comparison.n_seeds < SEEDS_TO_RANK:
        return []
    names = {name for d in primary_pairs(results) for name in (d.arm, d.against)}
    first = [name for name, worse in _beaten(shown).items() if len(worse) == len(names) - 1]
    if len(names) < 3 or not first:
        return []
    metric = metric_words(results, results.primary_metric)
    best = f"{better_word(results.primary_metric)[:-2]}est {metric}"
    return [
        f"{arm_title(results, first[0])} thus had the {best} of the {numeral(len(names))} arms."
    ]


def _reach(results: Results, comparison: Comparison) -> str:
    """How far the result reaches: over which cases, and over which training runs."""
    part = comparison.part
    cases = plural(
        comparison.n_cases, f"{part} {results.data.unit}", f"{part} {results.data.units}"
    )
    where = f"All on the same {cases}"
    if comparison.n_folds > 1:
        where += f", pooled out of fold over {numeral(comparison.n_folds)} folds"
    if comparison.n_seeds < SEEDS_TO_RANK:
        return (
            f"{where}. With one training seed per arm, this applies to {trained(comparison)} only; "
            "methods are not ranked."
        )
    return (
        f"{where}, {numeral(comparison.n_seeds)} training seeds per arm; the intervals include both new "
        f"{results.data.units} and new training seeds."
    )


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
        f"A classifier that always answers {shorten(found[0], 24)} would reach a {metric} of "
        f"{decimal(found[1])}."
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
        f"These classes have fewer than {too_few} {result.part} {results.data.units} each, too few to judge: "
        f"{names}. They are {share} of the part, but {numeral(terms)} of the "
        f"{numeral(sum(row.support > 0 for row in result.classes))} classes that every macro average counts "
        "equally."
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
