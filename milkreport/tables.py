"""Strict CSV reading: what is wrong is said with file, row and column."""

from __future__ import annotations

import csv
import difflib
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from milkreport.errors import DataError


def load_table(path: Path, required: Sequence[str] = ()) -> pd.DataFrame:
    """Read a comma-separated UTF-8 table (BOM accepted) as text; empty cells are missing.

    The index holds each row's line number in the file, for later messages.

    Raises:
        DataError: missing, empty, another encoding or separator, ragged rows, duplicate or missing
            columns.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError("no such file", "check the path", str(path)) from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(path)) from error
    return read_table(raw, str(path), required)


def read_table(raw: bytes, name: str, required: Sequence[str] = ()) -> pd.DataFrame:
    """Parse the bytes of a table; see :func:`load_table`. *name* stands in errors."""
    text = _decode(raw, name)
    try:
        rows = list(_rows(text))
    except csv.Error as error:
        raise DataError(f"not a CSV table: {error}", "save it as CSV again", name) from error
    if not rows:
        raise DataError("the file is empty", "", name)
    (_, header), body = rows[0], rows[1:]
    header = [column.strip() for column in header]
    _check_header(header, name, required)
    for line, row in body:
        if len(row) != len(header):
            what = f"{len(row)} fields where the header has {len(header)}"
            raise DataError(what, "mend the row", f"{name}:{line}")
    if not body:
        raise DataError("has no data rows", "", name)
    frame = pd.DataFrame(
        [[cell if cell.strip() else None for cell in row] for _, row in body],
        columns=header,
        index=[line for line, _ in body],
        dtype=object,
    )
    return frame


def read_numbers(
    frame: pd.DataFrame, column: str, name: str, low: float, high: float
) -> pd.Series[float]:
    """A text column as float64; missing stays nan.

    Raises:
        DataError: a value that is no finite number, or outside [low, high], with its row.
    """
    values = []
    for line, cell in frame[column].items():
        if cell is None or (isinstance(cell, float) and math.isnan(cell)):
            values.append(math.nan)
            continue
        try:
            number = float(cell)
        except ValueError:
            number = math.nan
        if not (low <= number <= high):
            what = f"{cell!r} is not a number from {low:g} to {high:g}"
            raise DataError(what, "mend or empty the cell", f"{name}:{line}:{column}")
        values.append(number)
    return pd.Series(values, index=frame.index, dtype="float64", name=column)


def refuse_duplicates(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    """Raise a DataError with both rows where *columns* together name something twice."""
    keys = frame[list(columns)].astype(str).agg(" / ".join, axis=1)
    repeated = keys[keys.duplicated()]
    if len(repeated):
        line, key = repeated.index[0], repeated.iloc[0]
        first = keys.index[keys == key][0]
        what = f"{key!r} stands in row {first} already"
        raise DataError(what, "keep one of the two rows", f"{name}:{line}:{','.join(columns)}")


def first_few(ids: Iterable[str], n: int = 5) -> str:
    """The first *n* ids as text, with how many more there are."""
    listed = list(ids)
    more = f" and {len(listed) - n} more" if len(listed) > n else ""
    return ", ".join(str(item)[:80] for item in listed[:n]) + more


def one_hot_labels(frame: pd.DataFrame, classes: Sequence[str], name: str) -> pd.Series:
    """One-hot columns as one column of class names, indexed like *frame*.

    Raises:
        DataError: a cell that is not 0 or 1, or a row that names no class or several.
    """
    values = pd.DataFrame({c: read_numbers(frame, c, name, 0.0, 1.0) for c in classes})
    for line, row in zip(values.index, values.to_numpy(), strict=True):
        named = [c for c, value in zip(classes, row, strict=True) if value == 1]
        if len(named) != 1 or (row[row == row] != 0).sum() != 1:
            what = f"one-hot row names {len(named)} classes ({', '.join(named) or 'none'})"
            raise DataError(what, "exactly one column must be 1, the others 0", f"{name}:{line}")
    return values.idxmax(axis=1).astype(object).rename("label")


def _decode(raw: bytes, name: str) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError("UTF-16 text (byte 0)", "save it as UTF-8", name)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = raw.count(b"\n", 0, error.start) + 1
        what = f"not UTF-8 at byte {error.start}"
        raise DataError(what, "save it as UTF-8", f"{name}:{row}") from error
    if "\0" in text:
        row = text.count("\n", 0, text.index("\0")) + 1
        raise DataError("a NUL character", "not a text table; save it again", f"{name}:{row}")
    return text


def _rows(text: str) -> Iterable[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    for row in reader:
        if row:
            yield reader.line_num, row


def _check_header(header: list[str], name: str, required: Sequence[str]) -> None:
    if len(header) == 1:
        for mark, word in ((";", "semicolon"), ("\t", "tab")):
            if mark in header[0]:
                raise DataError(f"looks {word} separated", "save it with commas", name)
    for position, column in enumerate(header):
        if column in header[:position]:
            what = f"columns {header.index(column) + 1} and {position + 1} are both {column!r}"
            raise DataError(what, "rename or drop one", f"{name}:1")
    for column in required:
        if column not in header:
            near = difflib.get_close_matches(column, header, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            columns = first_few(header, 30)
            raise DataError(f"no column {column!r}", f"{hint}columns are: {columns}", f"{name}:1")
