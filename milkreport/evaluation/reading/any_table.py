"""Anybody's tables, CSV, Parquet or data frames, with an id column; read fast, and strictly if that fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pandas as pd

from milkreport.errors import DataError, EnvironmentProblem
from milkreport.evaluation.reading.predictions import ID_COLUMNS, RESERVED
from milkreport.limits import MOST_COLUMNS, MOST_TABLE_BYTES, most_rows
from milkreport.tables import first_few, load_plain, load_table

T = TypeVar("T")
Source = Path | pd.DataFrame

#: Columns that may hold hard labels; ``label`` is the truth's.
ANSWERS = ("prediction", "predicted", "predicted_label", "pred")
PARQUET = (".parquet", ".pq")
_TEXT = (*ID_COLUMNS, *ANSWERS, *RESERVED)


@dataclass(frozen=True)
class Table:
    """A table as it was read. ``index`` holds the rows' numbers for messages."""

    frame: pd.DataFrame
    name: str

    @property
    def id_column(self) -> str:
        """The first of the known id columns.

        Raises:
            DataError: there is none.
        """
        found = next((c for c in ID_COLUMNS if c in self.frame.columns), None)
        if found is None:
            columns = first_few(self.frame.columns, 30)
            what = f"no id column ({', '.join(ID_COLUMNS)})"
            raise DataError(what, f"columns are: {columns}", f"{self.name}:1")
        return found

    @property
    def ids(self) -> pd.Series[str]:
        """The ids as text."""
        ids = self.frame[self.id_column]
        if ids.isna().any():
            row = self.frame.index[ids.isna()][0]
            where = f"{self.name}:{row}:{self.id_column}"
            raise DataError("a row without an id", "give every row its id", where)
        return ids.astype(str)


def load_case_table(source: Source) -> pd.DataFrame:
    """Any table with an id column as text columns by case; several rows a case are one.

    Where a case's rows differ, its numbers are missing and its texts are joined by " / ".

    Raises:
        DataError: not a table, or without an id column.
    """
    table = _strict(source)
    ids, frame = table.ids, table.frame.drop(columns=table.id_column)
    frame.index = pd.Index(ids, name="case_id")
    if frame.index.is_unique:
        return frame
    numeric = [_is_number(frame[column]) for column in frame.columns]
    joined = {
        column: frame[column].groupby(level=0).agg(_agreed if is_number else _joined)
        for column, is_number in zip(frame.columns, numeric, strict=True)
    }
    return pd.DataFrame(joined)


def read_exactly(read: Callable[[Callable[[Source], Table]], T]) -> T:
    """Read with the fast parser; if anything is wrong, again with the one that says where."""
    try:
        return read(_fast)
    except DataError:
        return read(_strict)


def _fast(source: Source) -> Table:
    if isinstance(source, Path) and source.suffix not in PARQUET:
        return Table(load_plain(source, _TEXT), str(source))
    return _strict(source)


def _strict(source: Source) -> Table:
    if isinstance(source, pd.DataFrame):
        frame = source
        if frame.index.name in ID_COLUMNS and frame.index.name not in frame.columns:
            frame = frame.reset_index()
        frame = frame.set_axis(range(1, len(frame) + 1), axis=0).rename(columns=str)
        return Table(frame, "data frame")
    if source.suffix not in PARQUET:
        return Table(load_table(source), str(source))
    if not source.is_file():
        raise DataError("no such file", "check the path", str(source))
    try:
        _refuse_large_parquet(source)
        frame = pd.read_parquet(source)
    except ImportError as error:
        what, do = "reading Parquet needs pyarrow", 'pip install "milkreport[parquet]"'
        raise EnvironmentProblem(what, do, str(source)) from error
    except (OSError, ValueError) as error:
        raise DataError("no readable Parquet file", "write it again", str(source)) from error
    return Table(_strict(frame).frame, str(source))


def _refuse_large_parquet(source: Path) -> None:
    """Raise a DataError for more than a text table may hold: some bytes can stand for a million rows."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(source) as file:
        n_rows, n_columns = file.metadata.num_rows, file.metadata.num_columns
        if n_columns > MOST_COLUMNS or n_rows > most_rows(n_columns):
            what = f"{n_rows:,} rows of {n_columns:,} columns"
            most = f"{MOST_COLUMNS:,} columns at most, and {most_rows(n_columns):,} rows of so many"
            raise DataError(what, f"{most}: leave some out, or split it", str(source))
        size = 0
        for batch in file.iter_batches(batch_size=1024):
            # Repeated texts are kept once in the file and stand in every row afterwards.
            whole = [
                c.dictionary_decode() if hasattr(c, "dictionary") else c for c in batch.columns
            ]
            size += sum(column.nbytes for column in whole)
            if size > MOST_TABLE_BYTES:
                what = f"more than {MOST_TABLE_BYTES:,} bytes once it is read"
                raise DataError(what, "leave out columns, or split it", str(source))


def _is_number(column: pd.Series) -> bool:
    return bool(pd.to_numeric(column, errors="coerce").notna().eq(column.notna()).all())


def _agreed(values: pd.Series) -> object:
    known = values.dropna().unique()
    return known[0] if len(known) == 1 else None


def _joined(values: pd.Series) -> object:
    known = sorted({str(value) for value in values.dropna()})
    return " / ".join(known) or None
