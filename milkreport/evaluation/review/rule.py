"""What all rules share: the outcome, arms as a sentence names them, intervals widened for many looks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from milkreport.evaluation.intervals.closed_form import t_quantile
from milkreport.evaluation.records.findings import Severity
from milkreport.evaluation.records.parts import PartResult
from milkreport.evaluation.records.results import Results

ALPHA = 0.05
#: So many arms, classes or columns are named in a sentence.
MOST_NAMED = 4


@dataclass(frozen=True)
class Outcome:
    """What a rule found: one sentence with its numbers, and what to do."""

    severity: Severity
    text: str
    advice: str = ""


def passed(text: str) -> Outcome:
    """The rule was applied and found nothing."""
    return Outcome("passed", text)


def absent(text: str) -> Outcome:
    """The rule has nothing to look at; *text* says what is missing."""
    return Outcome("not applicable", text)


def tested(results: Results) -> Iterator[tuple[str, PartResult]]:
    """Every arm that was tested: what a sentence calls it, and its test part."""
    for arm in results.arms:
        part = arm.part("test")
        if part is not None:
            yield arm_words(results, arm.name), part


def arm_words(results: Results, name: str) -> str:
    """An arm's title; of arms that share one, with the name behind it."""
    titles = {arm.name: arm.title or arm.name for arm in results.arms}
    title = titles.get(name, name)
    twins = Counter(titles.values())[title] > 1 and title != name
    return short(f"{title} ({name})" if twins else title)


def short(name: str, most: int = 40) -> str:
    """A name of data or an arm, cut to *most* characters: it may have thousands."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def named(items: Sequence[str], joined: str = ", ") -> str:
    """The first items, and how many more there are."""
    rest = len(items) - MOST_NAMED
    shown = joined.join(items[:MOST_NAMED])
    return f"{shown} and {rest} more" if rest > 0 else shown


def signed(value: float) -> str:
    """A difference with its sign and three decimals."""
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def metric_words(results: Results, metric: str) -> str:
    """A metric as it stands in a sentence."""
    known = results.definitions.get(metric)
    title = known.title if known else metric.replace("_", " ")
    return title[:1].lower() + title[1:] if title[1:2].islower() else title


def excludes(
    value: float, low: float, high: float, null: float, tests: int, df: float | None = None
) -> bool:
    """Whether a symmetric 95% interval excludes *null* once it is widened for *tests* looks (Bonferroni).

    Args:
        low, high: ends of the 95% interval of *value*; the one nearer to *null* counts.
        df: degrees of freedom of Student's t; ``None``: normal.
    """
    free = float("inf") if df is None else df
    wider = float(t_quantile(free, 1 - ALPHA / (2 * tests))) / float(t_quantile(free))
    half = value - low if value > null else high - value
    return abs(value - null) > wider * half
