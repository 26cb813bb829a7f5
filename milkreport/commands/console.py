"""The one console, on stderr (stdout is for JSON and Markdown alone), and what all commands say on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from milkreport.errors import printable
from milkreport.evaluation.records.parts import Estimate


class _Console(Console):
    """Prints nothing that a terminal or a CI log would obey: every string passes ``printable``."""

    def render_str(self, text: str, **settings: Any) -> Text:
        """Text of one line of markup."""
        # A long name is wrapped, so that any word of it may begin a line, where a CI log looks for commands.
        plain = printable(text).replace("::", ": :").replace("##[", "## [")
        return super().render_str(plain, **settings)


console = _Console(stderr=True, highlight=False)


def number(value: float | None, digits: int = 4) -> str:
    """A value for a table; undefined is a dash."""
    return "—" if value is None else f"{value:.{digits}f}"


def bounds(estimate: Estimate, digits: int = 3) -> str:
    """An interval for a table."""
    if estimate.low is None or estimate.high is None:
        return "—"
    return f"{estimate.low:.{digits}f} to {estimate.high:.{digits}f}"


def say(line: str) -> None:
    """Say one plain line."""
    console.print(escape(line), soft_wrap=True)


def note(line: str) -> None:
    """Say something that the user should know."""
    console.print(f"[yellow]note:[/yellow] {escape(line)}", soft_wrap=True)


def warn(line: str) -> None:
    """Say one line that the user should not miss."""
    console.print(f"[yellow]warning:[/yellow] {escape(line)}", soft_wrap=True)


def duration(seconds: float) -> str:
    """Time as a reader says it."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def show_files(paths: Sequence[Path], seconds: float | None = None) -> None:
    """Paths of what was written, and in what time; drawings by their folder."""
    drawings = Counter(path.parent for path in paths if path.suffix == ".svg")
    for path in (path for path in paths if path.suffix != ".svg"):
        console.print(f"[green]wrote[/green] {escape(str(path))}", soft_wrap=True)
    for folder, n in drawings.items():
        where = f"{folder}: {n} drawing{'s' if n > 1 else ''}"
        console.print(f"[green]wrote[/green] {escape(where)}", soft_wrap=True)
    if seconds is not None:
        console.print(f"[dim]in {seconds:.0f} s[/dim]")
