"""The sentences that claim something, made from the numbers by fixed rules.

Rules: the primary metric alone; a difference is shown only where its interval excludes 0 *and* its
Holm-adjusted p is below 0.05; below five training seeds an arm the sentence speaks of these trained
models and ranks no method; synthetic data is never ranked.
"""

from __future__ import annotations

from milkreport.evaluation.results import Comparison, Difference, PartResult, Results
from milkreport.reporting.text import (
    decimal,
    interval,
    listing,
    mid_sentence,
    numeral,
    p_value,
    percent,
    plural,
    shorten,
    signed_interval,
    whole,
)

ALPHA = 0.05
SEEDS_FOR_METHODS = 5
SYNTHETIC_BANNER = "SYNTHETIC DATA - NOT A RESULT"
SYNTHETIC_RESULT = (
    "These figures come from images and tables drawn by a program. They show that the chain from data "
    "to report works, and nothing else: no arm is set above another, and nothing is compared with "
    "reported figures."
)


def metric_title(results: Results, metric: str) -> str:
    """A metric's name as it stands in a heading."""
    known = results.definitions.get(metric)
    return known.title if known else metric.replace("_", " ").capitalize().replace("f1", "F1")


def metric_words(results: Results, metric: str) -> str:
    """A metric's name as it stands in a sentence."""
    return mid_sentence(metric_title(results, metric))


def arm_title(results: Results, name: str, most: int = 40) -> str:
    """An arm's title, or its name."""
    arm = results.arm(name)
    return shorten(arm.title or arm.name if arm else name, most)


def is_shown(difference: Difference) -> bool:
    """Whether a difference counts as shown: interval and corrected test agree."""
    apart = difference.low > 0 or difference.high < 0
    return apart and difference.p_holm < ALPHA


def primary_pairs(results: Results) -> list[Difference]:
    """All pairs of arms on the primary metric."""
    if results.comparison is None:
        return []
    return [d for d in results.comparison.differences if d.metric == results.primary_metric]


def headline_part(results: Results) -> str:
    """The part the result is about: the test part, or the best that is there."""
    found = [part.part for arm in results.arms for part in arm.parts]
    return next((p for p in ("test", "validation", "train") if p in found), "test")


def result_sentences(results: Results) -> list[str]:
    """The result, in reading order."""
    if results.data.synthetic:
        return [SYNTHETIC_RESULT]
    sentences = _values(results)
    pairs = primary_pairs(results)
    if results.comparison is None or not pairs:
        if sentences:
            sentences.append("There is no second arm with a result, so nothing was compared.")
        return sentences or ["No arm has a result."]
    shown = [d for d in pairs if is_shown(d)]
    unshown = [d for d in pairs if not is_shown(d)]
    sentences += [_difference(results, results.comparison, d) for d in shown]
    sentences += _highest(results, shown)
    if unshown:
        sentences.append(_nothing_shown(results, unshown, everything=not shown))
    sentences.append(_reach(results.comparison))
    return sentences


def _values(results: Results) -> list[str]:
    part = headline_part(results)
    found = [(arm, r) for arm in results.arms if (r := arm.part(part)) is not None]
    if not found:
        return []
    values = []
    for arm, result in found:
        estimate = result.metrics.get(results.primary_metric)
        bounds = interval(estimate.low, estimate.high) if estimate else ""
        text = decimal(estimate.value if estimate else None)
        within = f" (95% interval {bounds})" if bounds else ""
        values.append(f"{text}{within} for {arm_title(results, arm.name)}")
    metric = metric_words(results, results.primary_metric)
    return [f"{_where(results, part, found[0][1])}, {metric} was {listing(values)}."]


def _where(results: Results, part: str, result: PartResult) -> str:
    units = results.data.units if result.n_cases != 1 else results.data.unit
    where = f"On the {whole(result.n_cases)} {part} {units}"
    if result.n_folds > 1:
        where += f", pooled out of fold over {numeral(result.n_folds)} folds"
    return where


def _difference(results: Results, comparison: Comparison, d: Difference) -> str:
    better, worse = (d.arm, d.against) if d.value > 0 else (d.against, d.arm)
    better, worse = arm_title(results, better), arm_title(results, worse)
    low, high = sorted((abs(d.low), abs(d.high)))
    metric = metric_words(results, results.primary_metric)
    if comparison.n_seeds < SEEDS_FOR_METHODS:
        plural_model = "models" if comparison.n_seeds * comparison.n_folds > 1 else "model"
        who = f"The trained {plural_model} of {better} scored a higher {metric} than that of {worse}"
        if plural_model == "models":
            who = who.replace("that of", "those of")
    else:
        who = f"{better} scored a higher {metric} than {worse}"
    return (
        f"{who}, by {decimal(abs(d.value))} (95% interval {interval(low, high)}, "
        f"Holm-adjusted p {p_value(d.p_holm)}; differences from {decimal(d.detectable)} up are found "
        "with 80% power)."
    )


def _highest(results: Results, shown: list[Difference]) -> list[str]:
    """One arm above all others, said only of arms that were trained often enough."""
    comparison = results.comparison
    if comparison is None or comparison.n_seeds < SEEDS_FOR_METHODS:
        return []
    names = {name for d in primary_pairs(results) for name in (d.arm, d.against)}
    beaten: dict[str, set[str]] = {}
    for d in shown:
        better, worse = (d.arm, d.against) if d.value > 0 else (d.against, d.arm)
        beaten.setdefault(better, set()).add(worse)
    first = [name for name in beaten if len(beaten[name]) == len(names) - 1]
    if len(names) < 3 or not first:
        return []
    metric = metric_words(results, results.primary_metric)
    return [f"{arm_title(results, first[0])} had the highest {metric} of the {numeral(len(names))}."]


def _nothing_shown(results: Results, pairs: list[Difference], everything: bool) -> str:
    largest = decimal(max(d.detectable for d in pairs))
    limit = f"differences smaller than {largest} could not have been detected"
    metric = metric_words(results, results.primary_metric)
    if len(pairs) == 1:
        d = pairs[0]
        who = f"{arm_title(results, d.arm)} and {arm_title(results, d.against)}"
        numbers = (
            f"difference {_signed_pair(d)}, 95% interval {signed_interval(d.low, d.high)}, "
            f"Holm-adjusted p {p_value(d.p_holm)}"
        )
        return f"Between {who} no difference in {metric} could be shown ({numbers}); {limit}."
    if everything:
        least = p_value(min(d.p_holm for d in pairs))
        who = f"any two of the {numeral(len({n for d in pairs for n in (d.arm, d.against)}))} arms"
        return (
            f"No difference in {metric} could be shown between {who} "
            f"(smallest Holm-adjusted p {least}); {limit}."
        )
    names = ", or between ".join(
        f"{arm_title(results, d.arm)} and {arm_title(results, d.against)}" for d in pairs
    )
    return f"No difference in {metric} could be shown between {names}; {limit}."


def _signed_pair(d: Difference) -> str:
    return ("+" if d.value > 0 else "−" if d.value < 0 else "") + decimal(abs(d.value))


def _reach(comparison: Comparison) -> str:
    """How far the result reaches: over which training runs, and over which cases."""
    if comparison.n_seeds < SEEDS_FOR_METHODS:
        seeds = plural(comparison.n_seeds, "training seed", "training seeds")
        return (
            f"With {seeds} an arm this speaks of these trained models, not of the methods behind them, "
            "and ranks no method."
        )
    return (
        f"Each arm was trained with {plural(comparison.n_seeds, 'seed', 'seeds')}; the intervals hold "
        "sampling of cases and spread over seeds."
    )


def data_sentence(results: Results) -> str:
    """What the data was, in one or two sentences."""
    data = results.data
    counts = {name: data.class_counts.get(name, 0) for name in results.classes}
    views = ""
    if data.n_images:
        names = listing(shorten(v, 30) for v in data.views)
        kinds = f" ({names})" if names else ""
        views = f" with {plural(data.n_images, 'image', 'images')}{kinds}"
    units = data.units if data.n_used != 1 else data.unit
    text = f"{shorten(data.name, 80)}: {whole(data.n_used)} {units}{views} in "
    text += plural(len(results.classes), "class", "classes")
    present = {name: n for name, n in counts.items() if n > 0}
    if len(present) > 1:
        most, least = max(present, key=present.__getitem__), min(present, key=present.__getitem__)
        ratio = present[most] / present[least]
        text += (
            f", from {whole(present[most])} {shorten(most, 24)} to {whole(present[least])} "
            f"{shorten(least, 24)}: {whole(round(ratio)) if ratio >= 10 else decimal(ratio, 1)} to 1"
        )
    text += "."
    if len(counts) > len(present):
        text += f" {plural(len(counts) - len(present), 'class has', 'classes have')} no {data.unit}."
    return text


def yardstick(results: Results) -> tuple[str, float] | None:
    """What always answering the most frequent class of the scored part would reach.

    Follows from the supports alone: with share s of the most frequent of k classes, accuracy is s,
    its F1 is 2s / (1 + s), every other F1 is 0.
    """
    part = headline_part(results)
    result = next((r for arm in results.arms if (r := arm.part(part)) is not None), None)
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
    return f"Always answering {shorten(found[0], 24)} would reach a {metric} of {decimal(found[1])}."


def imbalance_note(results: Results, too_few: int) -> str:
    """Which classes cannot be judged for want of cases."""
    part = headline_part(results)
    result = next((r for arm in results.arms if (r := arm.part(part)) is not None), None)
    rare = [row for row in result.classes if row.support < too_few] if result else []
    if not rare or result is None:
        return ""
    names = listing(f"{shorten(row.name, 24)} ({whole(row.support)})" for row in rare[:12])
    if len(rare) > 12:
        names += f" and {numeral(len(rare) - 12)} more"
    share = percent(sum(row.support for row in rare) / max(result.n_cases, 1), 1)
    terms = sum(row.support > 0 for row in rare)
    return (
        f"Fewer than {too_few} {part} {results.data.units}, too few to judge: {names}. Together they "
        f"are {share} of the part, yet {numeral(terms)} of the "
        f"{numeral(sum(row.support > 0 for row in result.classes))} terms of every macro average."
    )
