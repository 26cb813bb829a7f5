"""A plan on the terminal: the answer, a table by seeds, a curve of bars, and what is assumed."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from milkreport.commands.console import console, say
from milkreport.evaluation.planning.design import PowerPlan
from milkreport.reporting.plan_page import cases, moved_rows
from milkreport.reporting.wording.plan import (
    REACH,
    amount,
    answer_sentences,
    assumption_sentence,
    metric_name,
)
from milkreport.reporting.wording.text import capital, percent
from milkreport.tables import plural

#: Letters of the longest bar, and bars that the curve has at most.
_LONGEST, _BARS = 44, 13


def show(plan: PowerPlan) -> None:
    """Everything that the page says, shorter."""
    at = plan.at_hand
    for line in answer_sentences(plan):
        console.print(f"[bold]{escape(line)}[/bold]", soft_wrap=True)
    wanted = amount(plan, plan.difference)
    table = Table("seeds", "power", "found with 80%", "cases needed", box=None, pad_edge=False)
    for d in plan.designs:
        table.add_row(
            str(d.n_seeds),
            percent(d.power),
            amount(plan, d.detectable),
            cases(d.cases_needed),
            style="bold" if d.n_seeds == at.n_seeds else "",
        )
    say(f"On {at.n_cases:,} cases, by training seeds per arm; power and cases for {wanted}:")
    console.print(table)
    seeds = plural(at.n_seeds, "seed", "seeds")
    say(f"Difference in {metric_name(plan)} found with 80% power, {seeds} per arm, by cases:")
    _show_curve(plan)
    table = Table("noise", "found with 80%", "cases needed", box=None, pad_edge=False)
    for name, found, needed in moved_rows(plan):
        table.add_row(capital(name), found, needed)
    console.print(table)
    console.print(f"[dim]{escape(assumption_sentence(plan))}[/dim]", soft_wrap=True)
    console.print(f"[dim]{escape(REACH)}[/dim]", soft_wrap=True)


def _show_curve(plan: PowerPlan) -> None:
    """A bar per number of cases; those that find the difference asked for are green."""
    at = plan.at_hand
    curve = next(c for c in plan.curves if c.n_seeds == at.n_seeds)
    points = list(zip(curve.n_cases, curve.detectable, strict=True))
    step = -(-len(points) // _BARS)
    shown = [p for i, p in enumerate(points) if i % step == 0 or p[0] == at.n_cases]
    longest = max(found for _, found in shown)
    table = Table("cases", "found", "", box=None, pad_edge=False, show_header=False)
    for n, found in shown:
        bar = "█" * max(round(_LONGEST * found / longest), 1) if longest > 0 else ""
        style = "green" if found <= plan.difference else "blue"
        mark = " at hand" if n == at.n_cases else ""
        table.add_row(f"{n:,}", amount(plan, found), f"[{style}]{bar}[/{style}]{mark}")
    table.columns[0].justify = "right"
    console.print(table)
