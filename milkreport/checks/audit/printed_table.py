"""A pasted results table (CSV, Markdown, LaTeX, scikit-learn's classification report) as cells."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass

from milkreport.errors import DataError

_COMMANDS = re.compile(r"\\(?:textbf|textit|emph|mathbf|underline|text|bm|bf)\b\s*")
_SPANS = re.compile(r"\\multi(?:column|row)\s*\{[^}]*\}\s*\{[^}]*\}\s*\{([^}]*)\}")
_COLUMNS = re.compile(r"\\multicolumn\s*\{\s*(\d{1,2})\s*\}")
_RULES = re.compile(
    r"\\(?:hline|toprule|midrule|bottomrule|cline\{[^}]*\}|cmidrule(?:\([^)]*\))?\{[^}]*\})"
)
_SPREAD = re.compile(r"\s*(?:±|\\pm|\+/-|\+-)\s*[\d.]+\s*%?|\s*\([\d.]+\)$")


@dataclass(frozen=True)
class PrintedTable:
    """``head``: of each column; ``rows``: as long as the head, text as printed, marks of style left out."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def turned(self) -> PrintedTable:
        """Rows as columns."""
        columns = list(zip(self.head, *self.rows, strict=True))
        return PrintedTable(columns[0], tuple(columns[1:]))


def read_printed_table(text: str, where: str) -> PrintedTable:
    """Read a pasted table; how it is marked up is seen from the text.

    Args:
        where: the file's name, for errors.

    Raises:
        DataError: no table, or a row that is longer or shorter than the head; which row.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise DataError("is empty", "paste a table with a row of column names", where)
    if "\\\\" in text and "&" in text:
        cells = _latex(text)
    elif sum(line.count("|") >= 1 for line in lines) >= 2:
        cells = _markdown(lines)
    elif re.match(r"\s+precision\s+recall\s+f1-score\s+support\s*$", lines[0]):
        cells = _report(lines)
    else:
        cells = _separated(text)
    return _even([[_plain(cell) for cell in row] for row in cells], where)


def _latex(text: str) -> list[list[str]]:
    body = re.sub(r"(?<!\\)%.*", "", text)
    body = re.sub(r"\\begin\{tabular[x*]?\}(?:\{[^}]*\})?\{(?:[^{}]|\{[^}]*\})*\}", "", body)
    body = re.sub(r"\\(?:begin|end|caption|label)\{[^}]*\}|\\centering", "", body)
    rows = [_RULES.sub("", row) for row in body.split("\\\\")]
    cells = [_spread_out(row.split("&")) for row in rows if "&" in row or "multicolumn" in row]
    # A row of groups above the names of the columns.
    is_group = len(cells) > 2 and "multicolumn" in "".join(cells[0])
    return cells[1:] if is_group else cells


def _spread_out(cells: list[str]) -> list[str]:
    """A cell over several columns, and empty ones beside it."""
    found = []
    for cell in cells:
        span = _COLUMNS.search(cell)
        found += [cell, *[""] * (int(span[1]) - 1 if span else 0)]
    return found


def _markdown(lines: list[str]) -> list[list[str]]:
    rows = []
    for line in lines:
        if "|" not in line or re.fullmatch(r"[\s|:\-]+", line):
            continue
        inner = line.strip()
        inner = inner.removeprefix("|").removesuffix("|")
        rows.append(inner.split("|"))
    return [row for row in rows if any(cell.strip() for cell in row)]


def _report(lines: list[str]) -> list[list[str]]:
    """scikit-learn's text: names may hold spaces; the row of the accuracy has two numbers."""
    rows = [["class", "precision", "recall", "f1-score", "support"]]
    for line in lines[1:]:
        numbers = line.split()
        if numbers[0] in ("accuracy", "micro") and len(numbers) == 3:
            rows.append([numbers[0], "", "", numbers[1], numbers[2]])
        elif len(numbers) >= 5:
            rows.append([" ".join(numbers[:-4]), *numbers[-4:]])
        else:
            rows.append(numbers)
    return rows


def _separated(text: str) -> list[list[str]]:
    first = text.lstrip("\ufeff").splitlines()[0]
    mark = max(",;\t", key=first.count)
    rows = csv.reader(io.StringIO(text.lstrip("\ufeff")), delimiter=mark)
    return [row for row in rows if any(cell.strip() for cell in row)]


def _plain(cell: str) -> str:
    """A cell without marks of style, and a mean without its spread."""
    text = _SPANS.sub(r"\1", cell)
    text = _COMMANDS.sub("", text).replace("\\%", "%").replace("\\_", "_")
    text = re.sub(r"[*`${}]|<br\s*/?>|\\,|~", " ", text).strip()
    text = text.strip("_") if text.startswith("_") and text.endswith("_") else text
    number = _SPREAD.sub("", text) if re.match(r"\s*[-+]?[\d.]", text) else text
    return " ".join(number.split())


def _even(rows: list[list[str]], where: str) -> PrintedTable:
    if len(rows) < 2 or len(rows[0]) < 2:
        what = "no table was found: a row of column names and at least one row of numbers"
        raise DataError(what, "paste CSV, Markdown, LaTeX or a classification report", where)
    width = len(rows[0])
    for i, row in enumerate(rows[1:], 2):
        if len(row) != width:
            what = f"row {i} of the table has {len(row)} cells, the column names are {width}"
            raise DataError(what, "fill it up with empty cells", where)
    return PrintedTable(tuple(rows[0]), tuple(tuple(row) for row in rows[1:]))
