"""The little Markdown that is written: table lines of text that opens no markup of its own."""

from __future__ import annotations

from collections.abc import Sequence

from milkreport.errors import printable


def plain(text: str) -> str:
    """*text* on one line, with Markdown's and HTML's marks escaped, and what a CI log takes for a command."""
    text = " ".join(printable(text).split())
    marked = "".join(f"\\{c}" if c in "|*_`<>[]#\\&@~" else c for c in text)
    return marked.replace("::", ":\\:")


def line(cells: Sequence[str]) -> str:
    """One line of a table."""
    return "| " + " | ".join(plain(cell) for cell in cells) + " |"


def head(cells: Sequence[str]) -> str:
    """The first two lines of a table."""
    return f"{line(cells)}\n{'|' + ' --- |' * len(cells)}"
