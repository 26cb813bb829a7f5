"""The trainings of a run, one a row."""

from __future__ import annotations

from collections.abc import Sequence

from milkreport.evaluation.records.results import CellRecord
from milkreport.reporting.blocks import Cell, Column, Group, Row, Table
from milkreport.reporting.sections.tables import failure
from milkreport.reporting.wording.text import MISSING, duration, shorten, whole, without_paths

#: Rows of one table; the others stand in ``results.json``. Rows are what makes a PDF slow.
MOST_ROWS = 60

_COLUMNS = (
    Column("Seed"),
    Column("Fold"),
    Column("Status", text=True),
    Column("Epoch used"),
    Column("Time"),
    Column("Weights (SHA-256)", text=True),
)


def trainings(
    key: str, caption: str, cells: Sequence[tuple[str, Sequence[CellRecord]]]
) -> Table | None:
    """A table of *cells*, pairs of a heading and its trainings; ``None`` if there are none."""
    total = sum(len(some) for _, some in cells)
    if not total:
        return None
    left, groups = MOST_ROWS, []
    for title, some in cells:
        # Failures first: they must not fall behind the cut.
        ordered = sorted(some, key=lambda c: (c.status != "failed", c.seed, c.fold))[:left]
        left -= len(ordered)
        if ordered:
            groups.append(Group(title, tuple(_row(cell) for cell in ordered)))
    if total > MOST_ROWS:
        caption = f"{caption} The first {MOST_ROWS} of {whole(total)}."
    return Table(key, caption, _COLUMNS, tuple(groups), dense=True)


def _row(cell: CellRecord) -> Row:
    failed = cell.status == "failed"
    message = shorten(without_paths(cell.message), 200)
    return Row(
        (
            Cell(str(cell.seed)),
            Cell(str(cell.fold)),
            Cell(failure(message) if failed else cell.status, kind="text"),
            Cell(whole(cell.epoch_used)),
            Cell(duration(cell.seconds)),
            Cell(cell.weights_sha256[:12] or MISSING, kind="code"),
        ),
        "failed" if failed else "",
    )
