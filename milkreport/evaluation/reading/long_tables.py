"""Long tables: a column ``model``, ``seed`` or ``fold`` that tells the rows of one case apart."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd

from milkreport.columns import refuse_duplicates
from milkreport.errors import DataError
from milkreport.evaluation.reading.any_table import LONG, Table
from milkreport.evaluation.reading.class_names import in_order, plain_number
from milkreport.tables import first_few

#: A column of more values tells no models, seeds or folds apart.
_MOST_VALUES = 50


@dataclass(frozen=True)
class Piece:
    """The rows of one model, seed and fold; a part that has no column is empty."""

    table: Table
    model: str = ""
    seed: str = ""
    fold: str = ""


def split_long(table: Table, classes: Collection[str]) -> tuple[list[Piece], list[str]]:
    """A table's pieces, and notes of what its columns were taken for.

    ``model`` and ``seed`` count where cases stand several times: else they only describe the rows. A column
    of one value tells nothing apart. Such columns are left out, and said to be.

    Args:
        classes: names that are classes, never such columns.

    Raises:
        DataError: an empty cell in a column that counts.
    """
    frame, columns = table.frame, _long_columns(table, classes)
    keys = [table.id_column, *(["split"] if "split" in frame.columns else [])]
    repeated = bool(frame.duplicated(keys).any())
    used = {
        kind: column
        for kind, column in columns.items()
        if frame[column].nunique(dropna=False) > 1 and (repeated or kind == "fold")
    }
    idle = [column for column in columns.values() if column not in used.values()]
    notes = [f"column {column} left out: it tells no rows of one case apart" for column in idle]
    rest = table.without(list(columns.values()))
    if not used:
        return [Piece(rest)], notes
    for column in used.values():
        if frame[column].isna().any():
            row = frame.index[frame[column].isna()][0]
            where = f"{table.name}:{row}:{column}"
            raise DataError(f"a row without a {column}", "fill in the cell", where)
    cells = frame[list(used.values())].astype(str).map(plain_number)
    for kind, column in used.items():
        values = in_order(cells[column].unique())
        arms = {"model": "arms", "seed": "training seeds", "fold": "folds"}[kind]
        notes.append(f"column {column}: {len(values)} {arms} ({first_few(values)})")
    pieces = []
    codes, distinct = pd.MultiIndex.from_frame(cells).factorize()
    for code, cell in enumerate(distinct):
        told = dict(zip(used, cell, strict=True))
        pieces.append(Piece(rest.keep(codes == code), **told))
    return pieces, notes


def refuse_repeated(table: Table, keys: Sequence[str]) -> None:
    """Raise a DataError where *keys* name rows twice; a column that would tell them apart is named."""
    frame = table.frame
    if not frame.duplicated(list(keys)).any():
        return
    for column in frame.columns.difference(list(keys)):
        few = 2 <= frame[column].nunique() <= _MOST_VALUES and frame[column].notna().all()
        if few and not frame.duplicated([*keys, column]).any():
            what = f"cases stand several times, and column {column!r} tells their rows apart"
            do = f"call it {', '.join(LONG[:-1])} or {LONG[-1]}, or keep one row per case"
            raise DataError(what, do, f"{table.name}:1")
    refuse_duplicates(frame, keys, table.name)


def number_all(values: Sequence[str]) -> dict[str, int]:
    """A number for each of *values*: itself, if all are whole numbers from 0 on; else its place in order."""
    distinct = in_order(dict.fromkeys(values))
    if all(value.isascii() and value.isdigit() and len(value) < 16 for value in distinct):
        return {value: int(value) for value in distinct}
    return {value: place for place, value in enumerate(distinct)}


def _long_columns(table: Table, classes: Collection[str]) -> dict[str, str]:
    spelt = {str(c).casefold(): str(c) for c in reversed(list(table.frame.columns))}
    found = {kind: spelt[kind] for kind in LONG if kind in spelt}
    return {
        kind: column
        for kind, column in found.items()
        if column not in classes and column != table.id_column
    }
