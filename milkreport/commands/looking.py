"""Runs on the terminal: how far one is, and which there are."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from milkreport.commands.console import console, duration, number
from milkreport.runs.finding import RunEntry
from milkreport.runs.status import RunStatus

_STYLES = {
    "done": "green", "failed": "red", "running": "cyan", "interrupted": "yellow", "waiting": "dim",
}  # fmt: skip
MOST_SHOWN = 60
MOST_ARMS = 6


def show_status(status: RunStatus) -> None:
    """Every training with its state, then the sums."""
    console.print(f"[bold]{escape(status.title)}[/bold]", soft_wrap=True)
    table = Table("arm", "seed", "fold", "state", "epoch", "time", box=None, pad_edge=False)
    for cell in status.cells[:MOST_SHOWN]:
        style = _STYLES[cell.state]
        table.add_row(
            escape(cell.arm),
            str(cell.seed),
            str(cell.fold),
            f"[{style}]{cell.state}[/{style}]",
            f"{cell.epoch} of {cell.epochs}" if cell.epoch else "",
            "" if cell.seconds is None else duration(cell.seconds),
        )
        if cell.message:
            table.add_row("", "", "", f"[red]{escape(cell.message)}[/red]")
    console.print(table)
    if len(status.cells) > MOST_SHOWN:
        console.print(f"... and {len(status.cells) - MOST_SHOWN:,} more: --json has all")
    counts = ", ".join(f"{n:,} {state}" for state, n in status.counts.items())
    left = ""
    if status.seconds_left:
        how = f"{status.workers} at a time" if status.workers > 1 else "one after the other"
        left = f"; about {duration(status.seconds_left)} left, {how}"
    console.print(f"{counts}{left}")
    if status.held_by:
        console.print(f"[dim]in use by {escape(status.held_by)}[/dim]", soft_wrap=True)


def show_entries(entries: Sequence[RunEntry]) -> None:
    """Each run: where, when, how far, on which data; then what its arms reached on the test part."""
    for entry in entries:
        console.print(f"[bold]{escape(entry.path)}[/bold]", soft_wrap=True)
        if entry.problem:
            console.print(f"  [red]{escape(entry.problem)}[/red]", soft_wrap=True)
            continue
        data = f"{entry.data} (no result)" if entry.synthetic else entry.data
        facts = [
            entry.started[:10],
            entry.suite,
            data,
            f"{entry.done} of {entry.cells} done",
            f"check: {entry.verdict}" if entry.verdict else "",
        ]
        console.print("  " + escape("  ".join(fact for fact in facts if fact)), soft_wrap=True)
        values = [f"{arm} {number(entry.values.get(arm), 3)}" for arm in entry.arms[:MOST_ARMS]]
        more = [f"{len(entry.arms) - MOST_ARMS} more arms"] if len(entry.arms) > MOST_ARMS else []
        line = f"  {entry.primary_metric}: {', '.join(values + more)}"
        console.print(f"[dim]{escape(line)}[/dim]", soft_wrap=True)
    console.print(f"{len(entries)} {'run' if len(entries) == 1 else 'runs'}")
