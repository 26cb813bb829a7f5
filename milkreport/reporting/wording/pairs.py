"""What is said of a pair of arms that are equivalent, not worse or undecided, and of new trainings."""

from __future__ import annotations

from collections.abc import Sequence

from milkreport.evaluation.compare import ALPHA, find, is_better
from milkreport.evaluation.metrics.named import define, widest_difference
from milkreport.evaluation.records.results import SEEDS_TO_RANK, Comparison, Difference, Results
from milkreport.reporting.wording.order import page_one_pairs
from milkreport.reporting.wording.text import (
    capital,
    decimal,
    numeral,
    p_value,
    signed,
    signed_interval,
)
from milkreport.reporting.wording.titles import arm_title, metric_words, primary_pairs

#: Of up to three pairs each gets a sentence. Of more, the number of pairs with one finding is told.
FEW_PAIRS = 3
#: Pairs of which new trainings are told.
_MOST_TRAININGS = 4


def better_word(metric: str) -> str:
    """Which of two values is the better one: the higher, or of a loss the lower."""
    return define(metric).better


def trained(comparison: Comparison) -> str:
    """What a comparison of one seed per arm speaks of."""
    return (
        "these trained models" if comparison.n_folds == 1 else "these trained models, one per fold,"
    )


def between(d: Difference) -> str:
    """A shown difference, the better arm minus the worse one, with its 95% interval."""
    value, low, high = (d.value, d.low, d.high) if is_better(d) else (-d.value, -d.high, -d.low)
    return f"difference {signed(value)}, 95% interval {signed_interval(low, high)}"


def tell_rest(results: Results, pairs: Sequence[Difference]) -> list[str]:
    """The sentences of the pairs that are equivalent, not worse or undecided; of many pairs, one sentence."""
    said = []
    few = len(primary_pairs(results)) <= FEW_PAIRS
    tells = {"equivalent": _equivalent, "not worse": _not_worse, "undecided": _undecided}
    for finding, tell in tells.items():
        found = [d for d in pairs if find(d) == finding]
        if few or len(found) == 1:
            said += [tell(results, d) for d in found]
        elif found:
            said.append(_many(results, finding, found))
    return said


def superiority_sentences(results: Results) -> list[str]:
    """How often a new training of one arm scores better than one of another; from ten seeds on."""
    if results.data.synthetic:
        return []
    metric, word = (
        metric_words(results, results.primary_metric),
        better_word(results.primary_metric),
    )
    return [
        f"On these {results.data.units}, a new training of {arm_title(results, d.arm)} scores a {word} "
        f"{metric} than a new training of {arm_title(results, d.against)} with a probability of "
        f"{decimal(s.value, 2)} (95% interval {decimal(s.low, 2)} to {decimal(s.high, 2)})."
        for d in page_one_pairs(results)[:_MOST_TRAININGS]
        if (s := d.superiority) is not None
    ]


def _names(results: Results, d: Difference) -> tuple[str, str]:
    """Both arms; with one seed per arm as what was trained, so that no sentence reads as one of methods."""
    one, other = arm_title(results, d.arm), arm_title(results, d.against)
    comparison = results.comparison
    if comparison is None or comparison.n_seeds >= SEEDS_TO_RANK:
        return one, other
    many = "s" if comparison.n_folds > 1 else ""
    return f"the trained model{many} of {one}", f"{'those' if many else 'that'} of {other}"


def _start(who: str) -> str:
    """At the beginning of a sentence; an arm keeps its name as it is written."""
    return capital(who) if who.startswith("the trained model") else who


def _equivalent(results: Results, d: Difference) -> str:
    one, other = _names(results, d)
    metric, within = metric_words(results, d.metric), signed_interval(d.low90, d.high90)
    return (
        f"{_start(one)} and {other} are equivalent within {d.margin:g} in {metric} (90% interval of the "
        f"difference {within})."
    )


def _not_worse(results: Results, d: Difference) -> str:
    one, other = _names(results, d)
    many = "are" if one.startswith("the trained models") else "is"
    metric, within = metric_words(results, d.metric), signed_interval(d.low, d.high)
    return (
        f"{_start(one)} {many} not worse than {other} by {d.margin:g} or more in {metric} (95% interval of "
        f"the difference {within})."
    )


def _undecided(results: Results, d: Difference) -> str:
    one, other = _names(results, d)
    metric = metric_words(results, d.metric)
    if _is_alike(results, d):
        return (
            f"{_start(one)} and {other} give the same answer for every {results.data.unit}; the 95% "
            f"interval of their difference in {metric} is {signed_interval(d.low, d.high)}."
        )
    found = "includes 0" if d.low <= 0 <= d.high else "excludes 0"
    if found == "includes 0" and d.margin is not None:
        found += f" and differences beyond the margin of {d.margin:g}"
    if found == "excludes 0":
        found += f", but p {p_value(d.p_holm)} after Holm's correction is not below {ALPHA:g}"
    return (
        f"Undecided between {one} and {other} in {metric}: the 95% interval of the difference, "
        f"{signed_interval(d.low, d.high)}, {found}; {_power([d])}."
    )


def _many(results: Results, finding: str, pairs: Sequence[Difference]) -> str:
    n, of = numeral(len(pairs)), numeral(len(primary_pairs(results)))
    metric = metric_words(results, results.primary_metric)
    comparison = results.comparison
    one = comparison is not None and comparison.n_seeds < SEEDS_TO_RANK
    who = f"{capital(n)} of the {of} pairs" + (" of trained models" if one else "")
    margin = f"{pairs[0].margin:g}" if pairs[0].margin is not None else ""
    if finding == "equivalent":
        return (
            f"{who} are equivalent within {margin} in {metric}; the table has their 90% intervals."
        )
    if finding == "not worse":
        what = f"the first is not worse than the second by {margin} or more in {metric}"
        return f"In {n} of the {of} pairs {what}."
    low, high = min(d.low for d in pairs), max(d.high for d in pairs)
    return (
        f"{who} are undecided in {metric}: the 95% intervals of their differences lie within "
        f"{signed_interval(low, high)}; {_power(pairs)}."
    )


def _power(pairs: Sequence[Difference]) -> str:
    largest = max(d.detectable for d in pairs)
    if largest == 0:
        return "resampling changes nothing here, so these cases cannot show a difference"
    if largest > widest_difference(pairs[0].metric):
        return "no difference, however large, would have been found with 80% power"
    return f"a difference of {decimal(largest)} would have been found with 80% power"


def _is_alike(results: Results, d: Difference) -> bool:
    """Whether both arms give the very same answers, and the metric is one of answers."""
    comparison = results.comparison
    found = comparison.agreement if comparison else []
    same = {(a.arm, a.against) for a in found if comparison and a.same == comparison.n_cases}
    return define(d.metric).needs == "labels" and (d.arm, d.against) in same
