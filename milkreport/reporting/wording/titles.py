"""What arms and metrics are called in text, and which part and pairs of the results it speaks of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from milkreport.evaluation.metrics.named import title_of
from milkreport.evaluation.records.parts import PartResult
from milkreport.evaluation.records.results import ArmResult, Difference, Results
from milkreport.reporting.wording.text import mid_sentence, shorten, shorten_apart


def metric_title(results: Results, metric: str) -> str:
    """A metric's name as it stands in a heading."""
    known = results.definitions.get(metric)
    return known.title if known else title_of(metric)


def metric_words(results: Results, metric: str) -> str:
    """A metric's name as it stands in a sentence."""
    return mid_sentence(metric_title(results, metric))


def full_titles(arms: Sequence[ArmResult]) -> list[str]:
    """The arms' titles, or names; those that share a title have the name behind it."""
    titles = [arm.title or arm.name for arm in arms]
    count = Counter(titles)
    return [
        f"{title} ({arm.name})" if count[title] > 1 and title != arm.name else title
        for arm, title in zip(arms, titles, strict=True)
    ]


def arm_title(results: Results, name: str, most: int = 40) -> str:
    """What an arm is called in at most *most* characters, which tell it from every other arm.

    Tables and sentences use the default, by which the page's filter knows an arm.
    """
    names = [arm.name for arm in results.arms]
    if name not in names:
        return shorten(name, most)
    return shorten_apart(full_titles(results.arms), most)[names.index(name)]


def headline_part(results: Results) -> str:
    """The part the result is about: the test part, or the best that is there."""
    found = [part.part for arm in results.arms for part in arm.parts]
    return next((p for p in ("test", "validation", "train") if p in found), "test")


def first_part(results: Results) -> PartResult | None:
    """The headline part of the first arm that has it: what is the same for all arms can be read from it."""
    part = headline_part(results)
    return next((r for arm in results.arms if (r := arm.part(part)) is not None), None)


def primary_pairs(results: Results) -> list[Difference]:
    """All pairs of arms on the primary metric."""
    if results.comparison is None:
        return []
    return [d for d in results.comparison.differences if d.metric == results.primary_metric]
