"""The one console, on stderr: stdout is for JSON and Markdown alone. And numbers as it shows them."""

from __future__ import annotations

from rich.console import Console

from milkreport.evaluation.part_record import Estimate

console = Console(stderr=True, highlight=False)


def number(value: float | None, digits: int = 4) -> str:
    """A value for a table; undefined is a dash."""
    return "—" if value is None else f"{value:.{digits}f}"


def bounds(estimate: Estimate, digits: int = 3) -> str:
    """An interval for a table."""
    if estimate.low is None or estimate.high is None:
        return "—"
    return f"{estimate.low:.{digits}f} to {estimate.high:.{digits}f}"
