"""A run on the terminal: what is about to be done, and what came of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from milkreport.checks.verdict import Verdict
from milkreport.commands.console import bounds, console, duration, number, warn
from milkreport.commands.findings import show_findings
from milkreport.commands.verdicts import show_status
from milkreport.evaluation.metrics.definitions import HEADLINE
from milkreport.evaluation.records.parts import Estimate
from milkreport.evaluation.records.results import Results
from milkreport.reporting.wording.order import in_display_order
from milkreport.reporting.wording.sentences import SYNTHETIC_BANNER
from milkreport.runs.cells import Cell
from milkreport.runs.collect import plan_cells
from milkreport.suite.suite import Suite
from milkreport.tables import plural

if TYPE_CHECKING:
    from milkreport.execution.exact import Repeats
    from milkreport.execution.forecast import Forecast

#: Trainings of a plan that the screen shows.
MOST_CELLS = 60


def show_start(
    suite: Suite, data: Path, out: Path, synthetic: bool, points: int = 1, place: str = ""
) -> None:
    """Say what is about to be done."""
    console.print(f"[bold]{escape(suite.title)}[/bold]")
    if synthetic:
        console.print(f"[yellow]{SYNTHETIC_BANNER}[/yellow] (name real data by --data DIR)")
    else:
        console.print(f"data: {escape(str(data))}", soft_wrap=True)
    cells = points * len(plan_cells(suite))
    sizes = [
        plural(len(suite.arms), "arm", "arms"),
        plural(len(suite.seeds), "seed", "seeds"),
        plural(suite.split.n_folds, "fold", "folds"),
        *([f"{points} points of the grid"] if points > 1 else []),
    ]
    console.print(
        f"{plural(cells, 'training', 'trainings')}: {' x '.join(sizes)}, into {escape(str(out))}"
        + (f", {place}" if place else ""),
        soft_wrap=True,
    )


def show_cells(tasks: Sequence[tuple[str, Cell, str, str]]) -> None:
    """The trainings of a plan: point of the grid, cell, state, key."""
    grid = any(point for point, *_ in tasks)
    columns = (["point"] if grid else []) + ["arm", "seed", "fold", "state", "key"]
    table = Table(*columns, box=None, pad_edge=False)
    for point, cell, state, key in tasks[:MOST_CELLS]:
        row = [escape(cell.arm), str(cell.seed), str(cell.fold), state, key[:12]]
        table.add_row(*([escape(point)] if grid else []), *row)
    console.print(table)
    if len(tasks) > MOST_CELLS:
        console.print(f"... and {len(tasks) - MOST_CELLS:,} more")


def show_forecast(by_point: Sequence[tuple[str, Forecast]]) -> None:
    """Time and space of what is still to be done, by point of the grid (one without a name: no grid)."""
    forecasts = [e for _, e in by_point]
    cells, workers = sum(e.cells for e in forecasts), forecasts[0].workers
    seconds = duration(sum(e.total for e in forecasts))
    size = sum(e.total_bytes for e in forecasts) / 1e6
    at_a_time = f", {workers} at a time" if workers > 1 else ""
    console.print(f"{cells:,} to do: about {seconds}{at_a_time}, {size:,.0f} MB on disk")
    for point, e in by_point[:MOST_CELLS]:
        lead = f"{point}: " if point else ""
        parts = [f"{lead}{duration(e.training)} a training", f"{e.cell_bytes / 1e6:.1f} MB each"]
        if e.store_bytes:
            parts.append(
                f"decoding once {duration(e.decoding)} and {e.store_bytes / 1e6:,.0f} MB of cache"
            )
        if e.external_cases:
            parts.append(
                f"external sets {duration(e.external)} ({e.external_cases:,} cases, answered by every "
                "training)"
            )
        console.print(f"[dim]  {escape(', '.join(parts))}[/dim]", soft_wrap=True)
        if e.corruptions:
            console.print(f"  {escape(lead + e.corruptions)}", soft_wrap=True)
    busy = ""
    if (load := forecasts[0].load) is not None:
        busy = f" (load {load:.1f} on {os.cpu_count()} processors)"
    console.print(
        f"[dim]  measured on a few batches of one training, on this machine as it is now{busy}: busier, or "
        "with several at a time, each takes longer; the report comes on top[/dim]",
        soft_wrap=True,
    )


def show_repeats(repeats: Repeats) -> None:
    """Whether a run came out the same again, and what was not as before."""
    equal = sum(repeat.equal for repeat in repeats.cells)
    style, word = ("green", "EQUAL") if repeats.equal else ("red", "DIFFERENT")
    console.print(
        f"[{style}]{word}[/{style}]: {equal} of {len(repeats.cells)} trainings gave the same weights again"
    )
    for line in repeats.environment:
        warn(f"not as it was: {line}; the same bits are promised for the same environment only")


#: Arms that a table holds.
MOST_ARMS = 30
#: Heads that leave the table 80 columns wide.
_SHORT = {"balanced_accuracy": "Balanced", "weighted_f1": "Weighted"}


def show_results(results: Results, verdict: Verdict | None) -> None:
    """The comparison as a table, and the verdict's line."""
    show_arms(results)
    for notice in results.notices:
        warn(notice)
    show_findings(results)
    for arm in results.arms:
        for cell in arm.cells:
            if cell.status == "failed":
                warn(f"{arm.name}, seed {cell.seed}, fold {cell.fold} failed: {cell.message}")
    if results.data.synthetic:
        console.print(f"[yellow]{SYNTHETIC_BANNER}[/yellow]")
    if verdict is not None:
        show_status(verdict)


def show_arms(results: Results) -> None:
    """The headline metrics, an arm per row, in the order of the report."""
    results = in_display_order(results)
    table = Table(title="Test part", title_justify="left", box=None, pad_edge=False)
    table.add_column("arm", overflow="fold", min_width=18)
    names = list(dict.fromkeys((*HEADLINE, results.primary_metric)))
    for name in names:
        mark = " *" if name == results.primary_metric else ""
        title = _SHORT.get(name, results.definitions[name].title)
        table.add_column(escape(title) + mark, justify="right")
        if mark:
            table.add_column("95%", justify="right", no_wrap=True)
    for arm in results.arms[:MOST_ARMS]:
        part = arm.part("test")
        cells = []
        for name in names:
            estimate = (part.estimate(name) if part else None) or Estimate(value=None)
            cells.append(number(estimate.value, 3))
            if name == results.primary_metric:
                cells.append(bounds(estimate))
        table.add_row(escape(arm.title), *cells)
    console.print(table)
    lower = results.definitions[results.primary_metric].better == "lower"
    if len(results.arms) > MOST_ARMS:
        console.print(f"... and {len(results.arms) - MOST_ARMS:,} more arms: in metrics.csv")
    console.print(f"[dim]* primary metric{', lower is better' if lower else ''}[/dim]")
