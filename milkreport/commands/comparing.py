"""Two or more sets of predictions beside one another, on the terminal or as Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from rich.markup import escape
from rich.table import Table

from milkreport.commands.console import console, note, number, warn
from milkreport.evaluation.compare import find
from milkreport.evaluation.metrics.definitions import REPEATED
from milkreport.evaluation.records.results import Difference, Results
from milkreport.markdown import head, line, plain
from milkreport.reporting.wording.order import page_one_pairs
from milkreport.reporting.wording.pairs import superiority_sentences
from milkreport.reporting.wording.sentences import result_statement
from milkreport.reporting.wording.text import p_cell

_MOST_SHOWN, _MOST_NOTICES = 60, 12


def show(results: Results, title: str = "") -> None:
    """Differences of every pair, with intervals; p and a finding for the primary metric alone.

    Args:
        title: what is compared, where there are several comparisons: an arm's name.
    """
    comparison = results.comparison
    if comparison is None:
        console.print("[dim]nothing was compared[/dim]")
        return
    pairs = {(d.arm, d.against) for d in comparison.differences}
    table = Table(box=None, pad_edge=False)
    for name in ("metric", "pair", "difference", "95%", "p (Holm)", ""):
        if name != "pair" or len(pairs) > 1:
            table.add_column(name, no_wrap=name in ("difference", "95%", "p (Holm)", ""))
    once = [d for d in comparison.differences if d.metric not in REPEATED]
    if len(pairs) > 1:  # the others are in the report and in differences.csv
        once = page_one_pairs(results)
    for d in once[:_MOST_SHOWN]:
        metric, pair, *others = _row(results, d, "\n")
        table.add_row(*map(escape, [metric, *([pair] if len(pairs) > 1 else []), *others]))
    if len(pairs) == 1:
        named = f"{title}: " if title else ""
        console.print(f"[bold]{escape(named + ' minus '.join(next(iter(pairs))))}[/bold]")
    console.print(table)
    if any(results.definitions[d.metric].better == "lower" for d in once[:_MOST_SHOWN]):
        console.print("[dim]* primary metric; ↓ lower is better[/dim]")
    statement = result_statement(results)
    for said in (statement.headline, *superiority_sentences(results)):
        console.print(escape(said), soft_wrap=True)
    console.print(f"[dim]{escape(statement.reach)}[/dim]", soft_wrap=True)


def show_remarks(notes: Iterable[str], notices: Iterable[str]) -> None:
    """What was taken for what in tables, and what a reader of the values should know; each once."""
    for line_ in dict.fromkeys(notes):
        note(line_)
    told = list(dict.fromkeys(notices))
    for line_ in told[:_MOST_NOTICES]:
        warn(line_)
    if len(told) > _MOST_NOTICES:
        warn(f"{len(told) - _MOST_NOTICES} more notices: in the report, and in --json")


def as_markdown(results: Results) -> str:
    """The same as a Markdown table, led by the values of both sides."""
    comparison = results.comparison
    if comparison is None:
        return "Nothing was compared."
    arms = [arm.name for arm in results.arms]
    lines = [head(["Metric", *arms, "Pair", "Difference", "95% interval", "p (Holm)", ""])]
    for d in comparison.differences:
        values = [_value(results, arm, d.metric) for arm in arms]
        metric, *others = _row(results, d)
        lines.append(line([metric, *values, *others]))
    statement = result_statement(results)
    told = [statement.headline, *superiority_sentences(results), statement.reach]
    lines += ["", "\\* primary metric; ↓ lower is better"]
    said = [text for line_ in told for text in (plain(line_), "")]
    return "\n".join([f"### {plain(results.title)}", "", *lines, "", *said])


def _finding(results: Results, d: Difference) -> str:
    """What may be said of one difference: nothing but of the primary metric."""
    if d.metric != results.primary_metric:
        return "described"
    return "synthetic" if results.data.synthetic else find(d)


def _row(results: Results, d: Difference, end: str = " ") -> list[str]:
    """A difference as cells; *end*: between the intervals of one cell."""
    definition = results.definitions[d.metric]
    mark = " *" if d.metric == results.primary_metric else ""
    if definition.better == "lower":
        mark += " ↓"
    return [
        definition.title + mark,
        f"{d.arm} − {d.against}",
        f"{d.value:+.4f}",
        _intervals(d, end),
        "" if d.p_holm is None else p_cell(d.p_holm),
        _finding(results, d),
    ]


def _intervals(d: Difference, end: str) -> str:
    """The 95% interval, and where a margin was declared the 90% interval that decides on equivalence."""
    text = f"{d.low:+.4f} to {d.high:+.4f}"
    if d.margin is None or d.low90 is None or d.high90 is None:
        return text
    return f"{text}{end}90%: {d.low90:+.4f} to {d.high90:+.4f}"


def _value(results: Results, arm: str, metric: str) -> str:
    found = results.arm(arm)
    part = found.part("test") if found else None
    estimate = part.estimate(metric) if part else None
    return number(estimate.value if estimate else None)
