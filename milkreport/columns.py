"""Columns of text tables as numbers, keys and labels: every bad cell is named, all of them at once."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from milkreport.errors import DataError, DataProblems, Problem
from milkreport.tables import first_few, shown

# Narrower than float(), which also takes 1_000, inf, nan and the digits of every script. No part can match
# what the next one matches: a cell of 100,000 digits and a letter costs one pass, not its square.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


# Ages as DICOM writes them (value representation AS), and in words; in years.
_AGE = re.compile(r"([0-9]{3})([YMWD])")
_YEARS_OLD = re.compile(r"([0-9]{1,3}) ?(?:y|yo|y/o|yrs?|years?)(?: old)?", re.IGNORECASE)
_YEARS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}


def plain_ages(cells: pd.Series[Any]) -> pd.Series[Any]:
    """Text cells with each age (DICOM's ``077Y`` and ``018M``, ``45 years``, ``45yo``) as its years."""

    def plain(cell: object) -> object:
        match = _AGE.fullmatch(cell) if isinstance(cell, str) else None
        if match:
            return f"{int(match[1]) * _YEARS[match[2]]:.9g}"
        words = _YEARS_OLD.fullmatch(cell) if isinstance(cell, str) else None
        return words[1] if words else cell

    return cells.map(plain)


def read_numbers(
    frame: pd.DataFrame,
    column: str,
    name: str,
    low: float,
    high: float,
    do: str = "mend or empty the cell",
) -> pd.Series[float]:
    """A text column as float64; missing stays nan. *do*: what an error says is to be done.

    A number is written with ASCII digits, a decimal point and perhaps an exponent; blanks around it
    do not matter.

    Raises:
        DataProblems: every value that is no finite number, or outside [low, high].
    """
    numbers, problems = _numbers(frame, column, name, low, high, do)
    if problems:
        raise DataProblems(problems)
    return numbers


def refuse_duplicates(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    """Raise a DataProblems with both rows wherever *columns* together name something again."""
    if not frame.duplicated(list(columns)).any():
        return
    first: dict[tuple[Any, ...], Any] = {}
    problems = []
    keys = zip(*(frame[column] for column in columns), strict=True)
    for line, key in zip(frame.index, keys, strict=True):
        if first.setdefault(key, line) != line:
            text = " / ".join("" if cell is None else str(cell) for cell in key)
            what = f"{shown(text)} stands in row {first[key]} already"
            where = f"{name}:{line}:{','.join(columns)}"
            problems.append(Problem("duplicate", where, what, "keep one of the two rows"))
    if problems:
        raise DataProblems(problems)


def refuse_blanks(cells: pd.Series[Any], name: str) -> None:
    """Raise a DataProblems wherever ids differ in the blanks around them alone: they would be two."""
    first: dict[str, tuple[Any, str]] = {}
    problems = []
    for line, cell in cells.dropna().items():
        row, other = first.setdefault(cell.strip(), (line, cell))
        if cell != other:
            what = f"{shown(cell)} and {shown(other)} of row {row} differ in blanks alone"
            where = f"{name}:{line}:{cells.name}"
            problems.append(Problem("bad id", where, what, "write both alike"))
    if problems:
        raise DataProblems(problems)


def one_hot_labels(frame: pd.DataFrame, classes: Sequence[str], name: str) -> pd.Series:
    """One-hot columns as one column of class names, indexed like *frame*; an empty cell counts as 0.

    Raises:
        DataError: there is no class, or no cell of any is a number.
        DataProblems: every cell that is no number from 0 to 1, every other row that does not hold
            a single 1 and zeros.
    """
    if not classes:
        columns = first_few(frame.columns, 30)
        do = f"give a column 'label', or one column per class; columns are: {columns}"
        raise DataError("no class columns", do, f"{name}:1")
    read = [_numbers(frame, c, name, 0.0, 1.0, "mend the cell") for c in classes]
    problems = [problem for _, found in read for problem in found]
    values = np.stack([numbers.to_numpy() for numbers, _ in read], axis=1)
    if len(values) and np.isnan(values).all():
        what = f"no column 'label', and no 0 or 1 in {first_few(classes)}"
        raise DataError(
            what, "name the column of labels 'label', or give one column per class", f"{name}:1"
        )
    named, filled = values == 1, (values != 0) & ~np.isnan(values)
    is_label = (named.sum(axis=1) == 1) & (filled.sum(axis=1) == 1)
    is_listed = (np.isnan(values) & frame[list(classes)].notna().to_numpy()).any(axis=1)
    for row in np.flatnonzero(~is_label & ~is_listed).tolist():
        ones = [c for c, is_one in zip(classes, named[row], strict=True) if is_one]
        what = f"one-hot row names {len(ones)} {'class' if len(ones) == 1 else 'classes'}"
        what += f" ({first_few(ones, 30) or 'none'})"
        others = [c for c, odd in zip(classes, filled[row] & ~named[row], strict=True) if odd]
        what += f", and {first_few(others)} is neither 0 nor 1" if others else ""
        do = "exactly one column must be 1, the others 0"
        problems.append(Problem("bad label", f"{name}:{frame.index[row]}", what, do))
    if problems:
        raise DataProblems(problems)
    labels = [classes[position] for position in named.argmax(axis=1).tolist()]
    return pd.Series(labels, index=frame.index, dtype=object, name="label")


def _numbers(
    frame: pd.DataFrame, column: str, name: str, low: float, high: float, do: str
) -> tuple[pd.Series[float], list[Problem]]:
    """The column as float64, nan also where a cell is a problem; and these problems."""
    cells = frame[column]
    if cells.dtype.kind in "fiu":
        numbers = cells.astype("float64")
    else:
        parsed = [read_number(cell) for cell in cells]
        numbers = pd.Series(parsed, index=frame.index, dtype="float64", name=column)
    bad = cells.notna() & ~numbers.between(low, high)
    bounds = "" if math.isinf(low) and math.isinf(high) else f" from {low:g} to {high:g}"
    problems = [
        Problem(
            "bad value",
            f"{name}:{line}:{column}",
            f"{shown(cell)} is not a number{bounds}",
            do,
        )
        for line, cell in cells[bad].items()
    ]
    return numbers.mask(bad), problems


def read_number(cell: object) -> float:
    """A cell as a finite float, nan where it is none."""
    text = str(cell).strip()
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    return number if math.isfinite(number) else math.nan
