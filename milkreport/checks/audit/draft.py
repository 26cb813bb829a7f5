"""A reference file to be filled in: from a pasted table, or empty with every key explained."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Literal, cast

from milkreport.atomic import write_text
from milkreport.checks.audit.margins import SAME
from milkreport.checks.audit.printed_table import PrintedTable, read_printed_table
from milkreport.errors import ConfigError, DataError, NeedsOption
from milkreport.evaluation.metrics.definitions import CLASS_DEFINITIONS, DEFINITIONS
from milkreport.evaluation.metrics.synonyms import known_metric, near_metric
from milkreport.inside import refuse_special
from milkreport.tables import first_few

Rows = Literal["classes", "models"]

_COUNTS = ("support", "n", "cases", "count", "images", "samples", "number", "#")
_AVERAGES = {
    "macro avg": "macro", "macro average": "macro", "macro": "macro", "mean": "macro", "average": "macro",
    "weighted avg": "weighted", "weighted average": "weighted", "weighted": "weighted",
    "micro avg": "micro", "micro average": "micro",
}  # fmt: skip
_OVERALL = ("accuracy", "overall accuracy")


@dataclass
class Draft:
    """What a table says: figures by model, class and metric; cases; what could not be read."""

    classes: list[str] = field(default_factory=list)
    support: dict[str, int] = field(default_factory=dict)
    n: int | None = None
    figures: list[tuple[str, str, str, str]] = field(
        default_factory=list
    )  # arm, metric, class, printed
    hints: list[str] = field(default_factory=list)


#: Bytes of a pasted table.
MOST_BYTES = 1_000_000


def write_draft(
    path: Path, table: Path | None = None, rows: str | None = None, average: str | None = None
) -> Draft | None:
    """Write a reference file to be filled in; return what was read of *table*, if there is one.

    Args:
        rows, average: see :func:`read_draft`.

    Raises:
        ConfigError: the file's name cannot be a reference's. DataError: see :func:`read_draft`.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", path.stem):
        do = "letters, digits, dots, underscores and hyphens, at most 64, as in my_paper.toml"
        raise ConfigError(f"{path.stem!r} cannot be a reference's name", do)
    draft = None
    if table is not None:
        where = str(table)
        refuse_special(table)
        try:
            with table.open("rb") as file:
                data = file.read(MOST_BYTES + 1)
            if len(data) > MOST_BYTES:
                raise DataError("is larger than 1 MB", "paste the one table", where)
            text = data.decode("utf-8-sig")
        except OSError as error:
            raise DataError("cannot be read", str(error.strerror), where) from error
        except UnicodeDecodeError as error:
            raise DataError("is not UTF-8 text", "save the table as text", where) from error
        draft = read_draft(read_printed_table(text, where), where, cast(Rows | None, rows), average)
    write_text(path, as_reference(path.stem, draft))
    return draft


def read_draft(
    table: PrintedTable, where: str, rows: Rows | None = None, average: str | None = None
) -> Draft:
    """Understand a table: which rows are classes or models, which columns are metrics, what is percent.

    Args:
        rows: what its rows are, where the table does not show it.
        average: what a precision, recall or F1 of a whole model is, where its name does not say.

    Raises:
        DataError: a metric that is misspelt, a cell that is no number, a column of fractions and percentages.
        NeedsOption: it does not show what the rows are of, or what was averaged.
    """
    if not any(_metric(h, True) or _metric(h, False) for h in table.head[1:]) and any(
        _metric(row[0], True) or _metric(row[0], False) for row in table.rows
    ):
        table = table.turned()
    rows = rows or _rows(table)
    draft = Draft()
    if rows == "classes":
        table = _without_metrics(table, draft)
    for column, head in enumerate(table.head[1:], 1):
        name = _bare(head)
        cells = [
            (row[0], row[column]) for row in table.rows if row[column] not in ("", "-", "—", "–")
        ]
        if name in _COUNTS:
            _read_counts(draft, cells, where, head)
            continue
        metric = _metric(name, rows == "classes")
        metric = metric or _of_models(name, rows, average, where, head)
        if not metric:
            draft.hints.append(f"column {head!r} is not a metric that can be audited: left out")
            continue
        printed = _as_fractions(cells, head, where, draft)
        for row_name, text in printed:
            _add(draft, rows, row_name, metric, text)
    if not draft.figures:
        known = first_few([*DEFINITIONS], 8)
        raise DataError("no column names a metric", f"for example {known}", where)
    if rows == "classes":
        named = [row[0] for row in table.rows if not _is_summary(row[0])]
        draft.classes = list(dict.fromkeys(named))
        if len(named) != len(draft.classes):
            raise DataError("a class stands in two rows", "give each its own name", where)
    return draft


def _without_metrics(table: PrintedTable, draft: Draft) -> PrintedTable:
    """A table of classes without rows that are metrics of the whole model."""
    kept = []
    for row in table.rows:
        if not _is_summary(row[0]) and (_metric(row[0], True) or _metric(row[0], False)):
            draft.hints.append(f"row {row[0]!r} is a metric, not a class: left out; add it below")
        else:
            kept.append(row)
    return replace(table, rows=tuple(kept))


def _rows(table: PrintedTable) -> Rows:
    heads = [_bare(h) for h in table.head[1:]]
    summed = any(_is_summary(row[0]) for row in table.rows)
    if summed or any(h in _COUNTS for h in heads) or _bare(table.head[0]) in ("class", "label"):
        return "classes"
    if any(_metric(h, False) for h in heads) or _bare(table.head[0]) in ("model", "method", "arm"):
        return "models"
    raise NeedsOption("does the table have a row per class or per model?", ["--rows", "classes"])


def _is_summary(name: str) -> bool:
    return _bare(name) in (*_AVERAGES, *_OVERALL)


def _bare(name: str) -> str:
    """A head without its unit: "Recall (%)" is recall."""
    return re.sub(r"\s*[\[(]?\s*%\s*[\])]?\s*$", "", name).strip().lower().replace("-", " ")


def _metric(name: str, of_class: bool) -> str:
    """The metric of this name; empty where it is none."""
    found = known_metric(_bare(name), of_class)
    if found in (CLASS_DEFINITIONS if of_class else DEFINITIONS):
        return found
    plain = _bare(name).replace(" ", "_")
    return plain if not of_class and plain in SAME else ""


def _of_models(name: str, rows: Rows, average: str | None, where: str, head: str) -> str:
    """A metric of one class in a table of models, with the average that the user names; else refused."""
    single = _metric(name, True)
    if rows == "models" and single:
        if average is None:
            what = f"column {head!r}: a table of models does not show how it was averaged"
            raise NeedsOption(what, ["--average", "macro"], where)
        return SAME.get(f"{average}_{single}", f"{average}_{single}")
    if rows == "classes" and _metric(name, False):
        return ""
    near = near_metric(name.replace(" ", "_"), rows == "classes")
    if near:
        raise DataError(f"column {head!r} is not a metric", f"did you mean {near}?", where)
    return ""


def _read_counts(draft: Draft, cells: list[tuple[str, str]], where: str, head: str) -> None:
    for name, text in cells:
        plain = text.replace(",", "").replace(" ", "").removesuffix(".0")
        if not plain.isdigit():
            raise DataError(f"row {name!r}, column {head!r}: {text!r} is not a count", "", where)
        if _is_summary(name):
            draft.n = int(plain)
        else:
            draft.support[name] = int(plain)


def _as_fractions(
    cells: list[tuple[str, str]], head: str, where: str, draft: Draft
) -> list[tuple[str, str]]:
    """Cells as fractions with the digits that they were printed with."""
    numbers = []
    for name, text in cells:
        signed = text.endswith("%")
        plain = text.removesuffix("%").strip()
        try:
            value = Decimal(plain)
            if not value.is_finite():
                raise InvalidOperation
        except InvalidOperation:
            do = (
                "write a decimal point" if "," in plain else "leave the cell empty if there is none"
            )
            where_in = f"row {name!r}, column {head!r}: {text!r} is not a number"
            raise DataError(where_in, do, where) from None
        numbers.append((name, value, signed))
    percent = head.rstrip(" )]").endswith("%")
    large = [name for name, value, signed in numbers if not signed and abs(value) > 1]
    if large and not percent:
        small = [n for n, value, signed in numbers if not signed and 0 < abs(value) <= 1]
        if small:
            what = f"column {head!r} mixes fractions ({small[0]}) and percentages ({large[0]})"
            raise DataError(what, 'write percentages with their sign, "87.6%"', where)
        draft.hints.append(f"column {head!r} is read as percentages")
    scaled = percent or bool(large)
    found = []
    for name, value, signed in numbers:
        fraction = value.scaleb(-2) if scaled or signed else value
        if not -1 <= fraction <= 1:
            what = f"row {name!r}, column {head!r}: {value} is neither a fraction nor a percentage"
            raise DataError(what, "", where)
        found.append((name, f"{fraction:f}"))
    return found


def _add(draft: Draft, rows: Rows, name: str, metric: str, text: str) -> None:
    summary = _bare(name)
    if rows == "models":
        found = (name, metric, "", text)
    elif summary in _OVERALL:
        found = ("model", "accuracy", "", text)
    elif summary in _AVERAGES:
        whole = f"{_AVERAGES[summary]}_{metric}"
        # A micro average of precision, recall or F1 is the accuracy, where each case has one label.
        whole = SAME.get(whole, whole) if summary.startswith("micro") else whole
        if whole not in DEFINITIONS:
            draft.hints.append(f"{name} of {metric} is not a metric that can be audited: left out")
            return
        found = ("model", whole, "", text)
    else:
        found = ("model", metric, name, text)
    same = [f for f in draft.figures if f[:3] == found[:3]]
    if not same:
        draft.figures.append(found)
    elif same[0][3] != text:
        said = f"{found[1]} of {found[2] or found[0]} stands twice: {same[0][3]} and {text}"
        raise DataError(said, "keep the one that is printed, or name rows or columns apart")


def as_reference(name: str, draft: Draft | None, classes: Sequence[str] = ()) -> str:
    """The file: what the table says, and a comment on every key that is to be filled in."""
    found = draft or Draft(
        figures=[("my_model", "accuracy", "", "0.876"), ("my_model", "macro_f1", "", "0.612")]
    )
    named = list(classes) or found.classes or ["class_a", "class_b"]
    quoted = json.dumps
    lines = [
        f"# What {name} prints, for: milkreport audit {name}.toml. Every key: docs/auditing.md.",
        "schema_version = 1",
        f"name = {quoted(name, ensure_ascii=False)}",
        'title = "FILL IN: the title"',
        'source = "FILL IN: journal, address, table"',
        'data = "FILL IN: the data set"',
        f"classes = {quoted(named, ensure_ascii=False)}"
        + (
            ""
            if found.classes or classes
            else " # FILL IN: all classes, also those without a figure"
        ),
        'split = "FILL IN: how the test cases were chosen"',
        'comparable = "other data"',
        'rounding = "rounded" # or "rounded or cut", "about", "exact"',
        _cases(found),
        "# Means over folds or runs? How many; 1 for a single test; leave it out if the source does not say.",
        "# mean_over = { test = 5 }",
        "margin = 0.03 # for `milkreport check` alone",
        'margin_reason = "not used by the audit"',
    ]
    if found.support:
        counts = ", ".join(
            f"{quoted(c, ensure_ascii=False)} = {n}" for c, n in found.support.items()
        )
        lines.append(f"support = {{ test = {{ {counts} }} }}")
    else:
        shown = ", ".join(f"{quoted(c, ensure_ascii=False)} = 0" for c in named[:3])
        lines.append(f"# Cases per class, if they are stated: support = {{ test = {{ {shown} }} }}")
    lines += [f"# {hint}" for hint in found.hints]
    if draft is None:
        lines.append(
            '# A figure per printed number. "87.6%" is 0.876; "0.590" is finer than "0.59".'
        )
    for arm, metric, class_name, printed in found.figures:
        lines += [
            "", "[[figures]]", f"arm = {quoted(arm, ensure_ascii=False)}", 'part = "test"',
            f"metric = {quoted(metric)}",
            *([f"class_name = {quoted(class_name, ensure_ascii=False)}"] if class_name else []),
            f'printed = "{printed}"',
        ]  # fmt: skip
    lines += [
        "",
        "# What the source says of a model beside others:",
        "# [[claims]]",
        '# text = "our model has the highest accuracy"',
        f"# arm = {quoted(found.figures[0][0], ensure_ascii=False)}",
        '# part = "test"',
        '# metric = "accuracy" # with class_name = "..." of one class',
        '# relation = "highest"',
    ]
    return "\n".join(lines) + "\n"


def _cases(found: Draft) -> str:
    n = found.n if found.n is not None else sum(found.support.values())
    return f"n = {{ test = {n} }}" if n else "# Cases: n = { test = 1000 }"
