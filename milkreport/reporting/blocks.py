"""What a report is made of: frozen, and already text. Knows neither records nor markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """One value of a table: its text, a smaller second line, a mark that points to a footnote."""

    text: str
    note: str = ""
    mark: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Column:
    """Head of a column. ``text`` columns stand left, numbers right."""

    title: str
    note: str = ""
    text: bool = False


@dataclass(frozen=True)
class Row:
    """One row; its first cell names it. ``kind``: "", "total" or "failed".

    ``opens``: the cases that its name lists on the page, see :func:`milkreport.reporting.cases.opens`.
    """

    cells: tuple[Cell, ...]
    kind: str = ""
    opens: str = ""


@dataclass(frozen=True)
class Group:
    """Rows under a common heading, which may be empty."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Footnote:
    """What a mark in a table means."""

    mark: str
    text: str


@dataclass(frozen=True)
class Table:
    """A table with its caption and footnotes."""

    key: str
    caption: str
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    footnotes: tuple[Footnote, ...] = ()
    sortable: bool = False
    dense: bool = False

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.columns)

    @property
    def rows(self) -> int:
        """Number of rows; a short table stays on one page."""
        return sum(len(group.rows) for group in self.groups)


@dataclass(frozen=True)
class Figure:
    """A drawing with its caption. ``svg``: from :func:`milkreport.reporting.figures.svg.to_svg` alone."""

    key: str
    caption: str
    svg: str
    wide: bool = False


@dataclass(frozen=True)
class Fact:
    """A name and what it is."""

    name: str
    text: str


@dataclass(frozen=True)
class Badge:
    """A status as a reader sees it: a symbol and a word, never colour alone."""

    symbol: str
    word: str
    kind: str
    text: str = ""
    note: str = ""


@dataclass(frozen=True)
class Chapter:
    """A titled part of a section; what it holds is printed in the order of the fields."""

    key: str
    title: str
    texts: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    badge: Badge | None = None
    facts: tuple[Fact, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to print."""
        return not (self.texts or self.tables or self.figures or self.facts or self.remarks)


@dataclass(frozen=True)
class Entry:
    """A line of the contents."""

    key: str
    number: str
    title: str
    children: tuple[Entry, ...] = ()


def in_columns(entries: Sequence[Entry]) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    """The contents in two columns of about as many lines; no entry is parted from its children."""
    lines = [1 + len(entry.children) for entry in entries]
    cuts = range(len(entries) + 1)
    cut = min(cuts, key=lambda n: abs(sum(lines[:n]) - sum(lines[n:])))
    return tuple(entries[:cut]), tuple(entries[cut:])


@dataclass(frozen=True)
class PageView:
    """What a page of one record prints around its own content."""

    title: str
    date: str
    created: str
    generator: str
    banner: str
    contents: tuple[Entry, ...]


def number_entries(named: Iterable[tuple[str, str]]) -> tuple[Entry, ...]:
    """The contents of keys and titles, numbered from 1."""
    return tuple(Entry(key, str(i), title) for i, (key, title) in enumerate(named, 1))


def table(
    key: str,
    caption: str,
    columns: tuple[Column, ...],
    rows: list[Row],
    footnotes: tuple[Footnote, ...] = (),
    sortable: bool = False,
    dense: bool = False,
) -> Table:
    """A table of one group of rows."""
    return Table(key, caption, columns, (Group("", tuple(rows)),), footnotes, sortable, dense)
