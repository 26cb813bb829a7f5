"""Strict CSV reading: what is wrong is said with file, row and column, all of it at once.

A row is named by the line of the file on which it starts: the header's is 1, and a quoted cell with line
breaks moves the rows below it, as in a text editor.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from milkreport.errors import DataError, DataProblems, Problem
from milkreport.inside import refuse_special
from milkreport.limits import (
    MOST_CLASSES,
    MOST_COLUMNS,
    MOST_NAME,
    MOST_TABLE_BYTES,
    most_rows,
)

# How a formula starts.
_ACTIVE = ("=", "+", "-", "@", "\t", "\r")
# From pandas 3.1 on every float is read exactly, and the argument that asks for it is deprecated.
_EXACT: dict[str, Any] = (
    {}
    if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1)
    else {"float_precision": "round_trip"}
)
#: Name of a first column that has none.
ROW_NUMBERS = "(row numbers)"
_NAMELESS = "Unnamed: 0"  # as pandas calls it
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
_CSV_ERRORS = {
    "unexpected end of data": "a quote is opened and never closed",
    "',' expected after '\"'": "text follows a closing quote",
    "field larger than field limit (131072)": "a cell of more than 131,072 characters; an open quote?",
}


def load_table(
    path: Path, required: Sequence[str] = (), keep_nameless: bool = False
) -> pd.DataFrame:
    """Read a comma-separated UTF-8 table (BOM accepted) as text; empty cells are missing.

    A first column without a name is dropped, for pandas writes its row numbers so; *keep_nameless* keeps it,
    called :data:`ROW_NUMBERS`.

    The index holds each row's line number in the file, for later messages.

    Raises:
        DataError: missing, empty, too large, a pipe or device, another encoding or separator, quotes that do
            not match.
        DataProblems: every ragged row, every nameless, repeated or missing column.
    """
    refuse_special(path)
    try:
        if (size := path.stat().st_size) > MOST_TABLE_BYTES:
            what = f"{size:,} bytes: a table has {MOST_TABLE_BYTES:,} at most"
            raise DataError(what, "leave out columns, or split it", str(path))
        raw = path.read_bytes()
    except (FileNotFoundError, ValueError) as error:  # ValueError: a NUL in the path
        raise DataError("no such file", "check the path", str(path)) from error
    except OSError as error:
        if path.is_dir():
            raise DataError("a folder, not a table", "name a CSV file", str(path)) from error
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"cannot be read: {reason}", "check its permissions", str(path)) from error
    return read_table(raw, str(path), required, keep_nameless)


def load_plain(path: Path, text: Sequence[str], keep_nameless: bool = False) -> pd.DataFrame:
    """Like :func:`load_table` for large plain tables: by pandas's parser, columns of numbers as float64.

    *text*: columns that stay text, whatever they hold. *keep_nameless*: as there; else not plain.

    Takes nothing that :func:`load_table` refuses; whoever gets an error reads again with that, which says
    where. Empty cells, quoted line breaks and unusual numbers are left to it too.

    Raises:
        DataError: not plain.
    """
    refuse_special(path)
    odd = DataError("not a plain table", "", str(path))
    try:
        if path.stat().st_size > MOST_TABLE_BYTES:
            raise odd
        with path.open(encoding="utf-8-sig", newline="") as stream:
            first = next(csv.reader([stream.readline()]), [])
            second = next((row for row in csv.reader(stream) if row), [])
        # Of rows that all have a field too many, pandas makes the first an index.
        if len(first) > MOST_COLUMNS or len(second) > len(first):
            raise odd
        frame: pd.DataFrame = pd.read_csv(
            path,
            dtype=dict.fromkeys([*text, *([_NAMELESS] if keep_nameless else [])], str),
            na_values=[""],
            keep_default_na=False,
            **_EXACT,
            low_memory=False,
        )
    except (OSError, ValueError, csv.Error) as error:
        raise odd from error
    plain = isinstance(frame.index, pd.RangeIndex) and len(frame) > 0
    if keep_nameless and first and not first[0].strip():
        first[0] = ROW_NUMBERS
        frame = frame.rename(columns={_NAMELESS: ROW_NUMBERS})
    # Fewer fields than the header's give missing cells; other names mean repeated or empty ones.
    if (
        not plain
        or frame.isna().any(axis=None)
        or [c.strip() for c in first] != list(frame.columns)
    ):
        raise odd
    numbers = [c for c in frame.columns if frame[c].dtype.kind in "fiu"]
    for column in frame.columns:
        if column not in numbers:
            # True and false are no words of ours, and blanks are an empty cell.
            cells = frame[column]
            # So are integers beyond 64 bits, which come as objects.
            is_text = pd.api.types.infer_dtype(cells) == "string"
            if not is_text or not cells.str.strip().astype(bool).all():
                raise odd
    frame = frame.astype(dict.fromkeys(numbers, "float64"))
    return frame.set_axis(range(2, len(frame) + 2), axis=0)


def read_table(
    raw: bytes, name: str, required: Sequence[str] = (), keep_nameless: bool = False
) -> pd.DataFrame:
    """Parse the bytes of a table; see :func:`load_table`. *name* stands in errors."""
    text = _decode(raw, name)
    if (mark := separator(_first_line(text))) != ",":
        raise DataError(f"looks {_SEPARATORS[mark]} separated", "save it with commas", name)
    read = _rows(text, name)
    line, header = next(read, (0, []))
    if not header:
        raise DataError("the file is empty", "", name)
    if len(header) > MOST_COLUMNS:
        what = f"{len(header):,} columns: a table has {MOST_COLUMNS:,} at most"
        raise DataError(what, "leave out columns", f"{name}:{line}")
    most = most_rows(len(header))
    body = list(islice(read, most + 1))
    if len(body) > most:
        what = f"more than {most:,} rows of {len(header):,} columns"
        raise DataError(what, "leave out columns, or split it", name)
    header = [column.strip() for column in header]
    if len(header) > 1 and not header[0]:
        header[0] = ROW_NUMBERS
    problems = _header_problems(header, f"{name}:{line}", required)
    for line, row in body:
        if len(row) != len(header):
            what = f"{len(row)} fields where the header has {len(header)}"
            problems.append(Problem("ragged row", f"{name}:{line}", what, "mend the row"))
    if problems:
        raise DataProblems(problems)
    if not body:
        raise DataError("has no data rows", "", name)
    frame = pd.DataFrame(
        [[cell if cell.strip() else None for cell in row] for _, row in body],
        columns=header,
        index=[line for line, _ in body],
        dtype=object,
    )
    return frame if keep_nameless else frame.drop(columns=ROW_NUMBERS, errors="ignore")


def require_columns(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    """Raise a DataProblems with every one of *columns* that is missing, and the nearest that is there."""
    if problems := _header_problems(list(frame.columns), f"{name}:1", columns):
        raise DataProblems(problems)


def refuse_many_classes(n: int, name: str) -> None:
    """Raise a DataError for more classes than can be told apart in a confusion matrix."""
    if n > MOST_CLASSES:
        do = "are these ids, or free text? Name the column of labels, or merge classes"
        raise DataError(f"{n:,} classes: {MOST_CLASSES:,} at most", do, name)


def first_few(ids: Iterable[str], n: int = 5) -> str:
    """The first *n* ids as text, with how many more there are."""
    listed = list(ids)
    more = f" and {len(listed) - n} more" if len(listed) > n else ""
    return ", ".join(str(item)[:80] for item in listed[:n]) + more


def plural(n: int, one: str, many: str) -> str:
    """*n*, thousands separated, with its noun."""
    return f"{n:,} {one if n == 1 else many}"


def shown(cell: object) -> str:
    """A cell as it stands in a message: quoted, and cut where it is long."""
    return repr(cell if len(str(cell)) <= 80 else f"{str(cell)[:80]}…")


def guard(text: object) -> object:
    """Text that a spreadsheet would run as a formula, with an apostrophe before it; else as it is."""
    return f"'{text}" if isinstance(text, str) and _is_active(text) else text


def unguard(text: object) -> object:
    """What :func:`guard` was given."""
    return text[1:] if isinstance(text, str) and text[:1] == "'" and _is_active(text) else text


def _is_active(text: str) -> bool:
    # Behind apostrophes too, so that guarding can be undone without loss.
    return text.lstrip("'").startswith(_ACTIVE)


def separator(line: str) -> str:
    """What separates the cells of a header line: comma, semicolon or tab; marks in quotes do not count."""
    unquoted = re.sub(r'"[^"]*"?', "", line)
    return max(_SEPARATORS, key=unquoted.count)


def _decode(raw: bytes, name: str) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError("UTF-16 text (byte 0)", "save it as UTF-8", name)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = _line_after(raw[: error.start].decode("latin-1"))
        what = f"not UTF-8 at byte {error.start}"
        raise DataError(what, "save it as UTF-8", f"{name}:{line}") from error
    before, nul, _ = text.partition("\0")
    if nul:
        what, do = "a NUL character", "not a text table; save it again"
        raise DataError(what, do, f"{name}:{_line_after(before)}")
    return text.removeprefix("\ufeff")


def _line_after(text: str) -> int:
    """The number of the line on which *text* ends; lines end in LF, CR or both."""
    return text.count("\n") + text.count("\r") - text.count("\r\n") + 1


def _first_line(text: str) -> str:
    return next((line for line in io.StringIO(text, newline="") if line.strip()), "")


def _rows(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with the line on which it starts."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            what = f"not a CSV table: {_CSV_ERRORS.get(str(error), error)}"
            raise DataError(what, "save it as CSV again", f"{name}:{line}") from error
        if row is None:
            return
        if len(row) > 1 or "".join(row).strip():
            yield line, row


def _header_problems(header: list[str], where: str, required: Sequence[str]) -> list[Problem]:
    problems = []
    first: dict[str, int] = {}
    for position, column in enumerate(header, start=1):
        if not column:
            what, do = f"column {position} has no name", "name it or drop it"
            problems.append(Problem("nameless column", where, what, do))
        elif len(column) > MOST_NAME:
            what = f"the name of column {position} has {len(column):,} characters"
            do = f"{MOST_NAME:,} at most: shorten it"
            problems.append(Problem("long name", where, what, do))
        elif first.setdefault(column, position) != position:
            what = f"columns {first[column]} and {position} are both {shown(column)}"
            problems.append(Problem("repeated column", where, what, "rename or drop one"))
    # Spellings that differ in case, blanks and underscores alone are nearer than any other.
    spelt = {_letters(column): column for column in reversed(header)}
    for column in required:
        if column not in first:
            near = [spelt[_letters(column)]] if _letters(column) in spelt else []
            near = near or difflib.get_close_matches(column, header, n=1)
            hint = f"did you mean {shown(near[0])}? " if near else ""
            do = f"{hint}columns are: {first_few(header, 30)}"
            problems.append(Problem("missing column", where, f"no column {column!r}", do))
    return problems


def _letters(column: str) -> str:
    return re.sub(r"[\W_]", "", column).casefold()
