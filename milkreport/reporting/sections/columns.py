"""The columns that go in beside the images: a table of all, and drawings of how they are spread."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from milkreport.evaluation.records.data import CategoricalSummary, DataSummary, NumericSummary
from milkreport.reporting.blocks import (
    Cell,
    Chapter,
    Column,
    Fact,
    Figure,
    Group,
    Row,
    Table,
)
from milkreport.reporting.figures.class_figures import MOST_CLASSES, most_frequent
from milkreport.reporting.figures.distributions import MOST_PANELS, category_panels, numeric_panels
from milkreport.reporting.figures.median_table import median_heat, panels_of
from milkreport.reporting.wording.data import is_labelled
from milkreport.reporting.wording.text import (
    capital,
    digits_of,
    listing,
    measure,
    numeral,
    percent,
    shorten,
    whole,
)
from milkreport.tables import plural

MOST_ROWS = 40  # of the table; every row costs time in the PDF
MOST_HEATED = 32  # columns whose medians are shown by class, two figures of them
MOST_NAMED = 3  # values of a categorical column in the table
CASE = "case"

AnyColumn = NumericSummary | CategoricalSummary


def build_columns(data: DataSummary, classes: Sequence[str]) -> Chapter:
    """The chapter of the columns; an older record has only their names."""
    columns = _in_order(data)
    if not columns:
        return Chapter("data-columns", "Columns", facts=_names_alone(data))
    drawings: list[Figure] = []
    remarks: list[str] = []
    if drawn := _numeric(data):
        drawings.append(_spread(data, drawn[:MOST_PANELS]))
        remarks += _left_out(drawn, MOST_PANELS, "numeric", "distribution")
    if data.categorical:
        drawings.append(_categories(data, data.categorical[:MOST_PANELS]))
        remarks += _left_out(data.categorical, MOST_PANELS, "categorical", "distribution")
    by_class = [c for c in columns if isinstance(c, NumericSummary) and c.quartiles]
    if is_labelled(data) and by_class:
        drawings += _medians(data, classes, by_class[:MOST_HEATED])
        remarks += _left_out(by_class, MOST_HEATED, "numeric", "medians by class")
    return Chapter(
        "data-columns",
        "Columns",
        tables=(_table(data, columns),),
        figures=tuple(drawings),
        remarks=tuple(remarks),
    )


def column_name(column: AnyColumn, most: int = 44) -> str:
    """What a reader calls a column."""
    return shorten(column.title or column.column, most)


def _further_name(column: AnyColumn) -> str:
    """The column's name in the table, where the title does not say the same words."""
    title, name, view = (
        re.findall(r"[^\W_]+", text.casefold())
        for text in (column.title or column.column, column.column, column.view)
    )
    return "" if name in (title, title + view) else shorten(column.column, 44)


def _in_order(data: DataSummary) -> list[AnyColumn]:
    """The case's own columns, then view by view; within them as the features are listed."""
    views = [CASE, *data.views]
    listed = {name: i for i, name in enumerate(data.features)}

    def place(column: AnyColumn) -> tuple[int, int]:
        view = views.index(column.view) if column.view in views else len(views)
        return view, listed.get(column.column, len(listed))

    return sorted([*data.numeric, *data.categorical], key=place)


def _view(data: DataSummary, view: str) -> str:
    return data.unit if view == CASE else shorten(view, 30)


def _name(data: DataSummary, column: AnyColumn) -> str:
    """A column's name in a drawing, with its view where it is not the case's own."""
    name = column_name(column)
    return name if column.view == CASE else f"{shorten(column.view, 16)}: {name}"


def _names_alone(data: DataSummary) -> tuple[Fact, ...]:
    shown = [shorten(name, 60) for name in data.features[:MOST_ROWS]]
    more = len(data.features) - len(shown)
    text = ", ".join(shown) + (f" and {numeral(more)} more" if more else "")
    if not data.views and not data.features:
        return ()  # predictions alone have none
    facts = [Fact(f"Features ({whole(len(data.features))})", text or "none")]
    if data.imputed:
        filled = [f"{shorten(k, 40)} {whole(n)}" for k, n in data.imputed.items()]
        facts.append(Fact("Missing values filled in", listing(filled[:MOST_ROWS])))
    return tuple(facts)


def _table(data: DataSummary, columns: Sequence[AnyColumn]) -> Table:
    groups: dict[str, list[Row]] = {}
    for column in columns[:MOST_ROWS]:
        groups.setdefault(column.view, []).append(_row(column))
    caption = (
        f"The columns that are read beside the images, over the {whole(data.n_used)} {data.units} "
        f"used: {plural(len(data.numeric), 'numeric one', 'numeric ones')}, "
        f"{plural(len(data.categorical), 'categorical one', 'categorical ones')}."
    )
    if len(columns) > MOST_ROWS:
        left = whole(len(columns) - MOST_ROWS)
        caption += f" The first {MOST_ROWS} are shown, {left} are left out here."
    heads = (
        Column("Column", text=True),
        Column("Kind", text=True),
        Column("Missing"),
        Column("Median (range), or most frequent values", text=True),
    )
    titles = {view: _group_title(data, view) for view in groups}
    found = tuple(Group(titles[view], tuple(rows)) for view, rows in groups.items())
    return Table("columns", caption, heads, found, dense=True)


def _group_title(data: DataSummary, view: str) -> str:
    return f"Of the {data.unit}" if view == CASE else f"Of the {shorten(view, 40)} image"


def _row(column: AnyColumn) -> Row:
    total = column.n + column.missing
    missing = whole(column.missing)
    if column.missing:
        missing += f" ({percent(column.missing / total, 1)})"
    if isinstance(column, NumericSummary):
        kind, values = "numeric", _range(column)
    else:
        kind, values = "categorical", _most_frequent(column)
    return Row(
        (
            Cell(column_name(column), _further_name(column)),
            Cell(kind, kind="text soft"),
            Cell(missing),
            Cell(values, kind="text figures"),
        )
    )


def _range(column: NumericSummary) -> str:
    if column.median is None or column.minimum is None or column.maximum is None:
        return "no value"
    values = (column.minimum, column.median, column.maximum)
    digits = digits_of(values)
    digits = max(digits, min(digits_of([column.median]), digits + 1))  # a small median says more
    low, median, high = (measure(value, digits) for value in values)
    return f"{median} ({low} to {high})"


def _most_frequent(column: CategoricalSummary) -> str:
    ordered = sorted(column.counts.items(), key=lambda item: -item[1])
    named = [
        f"{percent(n / column.n if column.n else None, 1)} {shorten(value, 30)}"
        for value, n in ordered[:MOST_NAMED]
    ]
    more = len(ordered) - len(named)
    rest = f", {plural(more, 'other value', 'other values')}" if more else ""
    return ", ".join(named) + rest if named else "no value"


def _numeric(data: DataSummary) -> list[NumericSummary]:
    """Columns whose distribution is drawn: the case's own, and all where no class tells them apart."""
    ordered = [c for c in _in_order(data) if isinstance(c, NumericSummary)]
    return ordered if not is_labelled(data) else [c for c in ordered if c.view == CASE]


def _spread(data: DataSummary, columns: Sequence[NumericSummary]) -> Figure:
    panels = [(_name(data, column), column) for column in columns]
    title = f"{capital(data.units)} by value of the numeric columns"
    caption = title + (
        "; dashed: median." if any(not c.levels and c.counts for c in columns) else "."
    )
    svg = numeric_panels("data-numeric", panels, data.units, title)
    return Figure("data-numeric", caption, svg)


def _categories(data: DataSummary, columns: Sequence[CategoricalSummary]) -> Figure:
    panels = [(_name(data, column), column) for column in columns]
    title = f"{capital(data.units)} by value of the categorical columns"
    svg = category_panels("data-categories", panels, data.units, title)
    return Figure("data-categories", f"{title}.", svg)


def _medians(
    data: DataSummary, classes: Sequence[str], columns: Sequence[NumericSummary]
) -> list[Figure]:
    present = [name for name in classes if data.class_counts.get(name, 0)]
    shown = [(name, data.class_counts[name]) for name in most_frequent(present, data.class_counts)]
    title = "Medians of the numeric columns by class"
    caption = (
        f"{title}, with the {data.units} of each class. In each column by itself the tone grows "
        "with the median, from none to full."
    )
    if len(present) > MOST_CLASSES:
        caption += f" The {MOST_CLASSES} largest of {whole(len(present))} classes."
    triples = [(_view(data, c.view), column_name(c), c) for c in columns]
    drawn = []
    for number, panels in enumerate(panels_of(triples), 1):
        key = f"data-medians-{number}"
        drawn.append(Figure(key, caption, median_heat(key, panels, shown, title)))
    return drawn


def _left_out(columns: Sequence[AnyColumn], most: int, kind: str, what: str) -> Iterable[str]:
    if len(columns) > most:
        more = len(columns) - most
        yield f"{whole(more)} more {kind} {'column' if more == 1 else 'columns'}: {what} not drawn here."
