"""Tables in which a case has several labels: told apart from those with one, and made one yes/no problem."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from milkreport.columns import one_hot_labels, read_number
from milkreport.errors import DataProblems, Problem
from milkreport.tables import first_few

#: Share of rows with several labels from which on it is no slip of single rows.
SHARE = 0.05


def split_labels(cell: str) -> list[str]:
    """The names in a cell such as ``Atelectasis|Effusion`` or ``['effusion', 'mass']``."""
    inner = cell.strip()
    if inner.startswith("[") and inner.endswith("]"):
        inner = inner[1:-1]
    return [part for text in re.split(r"[|;,]", inner) if (part := text.strip(" \t'\""))]


def several_names(cells: pd.Series[Any]) -> Counter[str]:
    """How many cells name each label, if the cells of a column name several; else empty.

    That ``melanoma, in situ`` is one name shows in its parts, which most other cells do not share; with
    ``|`` or brackets there is no such doubt.
    """
    known = cells.dropna().astype(str)
    found = {cell: split_labels(cell) for cell in known.unique()}
    several = {cell for cell, names in found.items() if len(names) > 1}
    if known.isin(several).sum() < max(SHARE * len(known), 2):
        return Counter()
    in_cells = Counter(name for names in found.values() for name in set(names))
    joined = {name for cell in several for name in found[cell]}
    plain = known[known.isin(several)].str.contains(r"[|\[]", regex=True).mean() > 0.5
    if not plain and sum(in_cells[name] > 1 for name in joined) < 0.8 * len(joined):
        return Counter()
    return Counter(name for cell in known for name in set(found[cell]))


def several_ones(frame: pd.DataFrame, columns: Sequence[str]) -> str:
    """One line, if many rows hold a 1 in several of *columns*, or these know -1; else empty."""
    values = frame[list(columns)].map(read_number)
    n = int(((values == 1).sum(axis=1) > 1).sum())
    n_unsure = int((values == -1).any(axis=1).sum())
    if max(n, n_unsure) < max(SHARE * len(frame), 2):
        return ""
    also = f", {n_unsure:,} a -1" if n_unsure else ""
    named = first_few(columns)
    return f"multi-label: {n:,} of {len(frame):,} rows have a 1 in several of {named}{also}"


def combinations_remark(labels: pd.Series[Any], column: str) -> tuple[str, ...]:
    """A line on labels that are combinations of several: each is a class of its own."""
    names = several_names(labels)
    if not names:
        return ()
    some = next(cell for cell in labels.dropna() if len(split_labels(cell)) > 1)
    what = f"multi-label: cells of {column} name several labels ({some!r}), and each combination is a class"
    likely = names.most_common(1)[0][0]
    return (
        f'{what} of its own: contains = "{likely}" below [table] makes one yes/no problem of it',
    )


def read_one_hot(frame: pd.DataFrame, columns: Sequence[str], name: str) -> pd.Series[Any]:
    """:func:`milkreport.columns.one_hot_labels`, which says in one line if the table is multi-label.

    Raises:
        DataProblems: that, or every row that is not one-hot.
    """
    if what := several_ones(frame, columns):
        do = f'a case has one class: choose a column, label = "{columns[0]}", instead of one_hot'
        raise DataProblems([Problem("multi-label", name, what, do)])
    return one_hot_labels(frame, columns, name)


def as_yes_no(cells: pd.Series[Any], name: str, where: str = "") -> pd.Series[Any]:
    """Whether each cell names *name*: that, or ``no`` and that; missing stays missing.

    Raises:
        DataProblems: no cell names it; *where* stands in the error.
    """
    known = {part for cell in cells.dropna().unique() for part in split_labels(cell)}
    if name not in known:
        do = f"cells name: {first_few(sorted(known), 30)}"
        raise DataProblems([Problem("bad label", where, f"no cell names {name!r}", do)])
    return cells.map(
        lambda c: name if name in split_labels(c) else f"no {name}", na_action="ignore"
    )
