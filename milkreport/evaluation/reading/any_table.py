"""Anybody's tables, CSV, Parquet or data frames, with an id column; read fast, and strictly if that fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from milkreport.errors import ConfigError, DataError, EnvironmentProblem, NeedsOption
from milkreport.evaluation.reading.options import NOTHING_SAID, TableOptions
from milkreport.evaluation.reading.predictions import ID_COLUMNS, RESERVED
from milkreport.limits import MOST_COLUMNS, MOST_TABLE_BYTES, most_rows
from milkreport.tables import ROW_NUMBERS, first_few, load_plain, load_table

T = TypeVar("T")
Source = Path | pd.DataFrame

#: Columns that may hold hard labels; ``label`` is the truth's.
ANSWERS = ("prediction", "predicted", "predicted_label", "pred", "y_pred")
PARQUET = (".parquet", ".pq")
#: Columns that tell the rows of one case apart in a long table.
LONG = ("model", "seed", "fold")
#: What pandas calls a column without a name; so it can be named as an option.
NAMELESS = "Unnamed: 0"
_TEXT = (*ID_COLUMNS, *ANSWERS, *RESERVED, *LONG, NAMELESS)


@dataclass(frozen=True)
class Table:
    """A table as it was read. ``index`` holds the rows' numbers for messages.

    ``id_names``: columns that may hold ids; the first that is there does.
    """

    frame: pd.DataFrame
    name: str
    id_names: tuple[str, ...] = ID_COLUMNS

    @property
    def file(self) -> str:
        """The file's name without its folder, for what a report says."""
        return Path(self.name).name

    @property
    def id_column(self) -> str:
        """The first of the known id columns.

        Raises:
            ConfigError: there is none, and another name was given. NeedsOption: a column looks like one.
            DataError: none does.
        """
        found = next((c for c in self.id_names if c in self.frame.columns), None)
        if found is not None:
            return found
        columns = first_few(self.frame.columns, 30)
        what, do, where = "no id column", f"columns are: {columns}", f"{self.name}:1"
        what = f"{what} ({', '.join(dict.fromkeys(self.id_names))})"
        if (likely := _likely_ids(self.frame)) is not None:
            which = "if row numbers are the ids of all tables," if likely == NAMELESS else ""
            raise NeedsOption(f"{what}; {do}", ["--id", likely], where, which)
        if len(self.id_names) > len(ID_COLUMNS):
            raise ConfigError(what, do, where)
        raise DataError(what, do, where)

    @property
    def ids(self) -> pd.Series[str]:
        """The ids as text."""
        ids = self.frame[self.id_column]
        if ids.isna().any():
            row = self.frame.index[ids.isna()][0]
            where = f"{self.name}:{row}:{self.id_column}"
            raise DataError("a row without an id", "give every row its id", where)
        return ids.astype(str)

    def keep(self, rows: npt.NDArray[np.bool_]) -> Table:
        """The same with these rows alone."""
        return replace(self, frame=self.frame[rows])

    def without(self, columns: Sequence[str]) -> Table:
        """The same without *columns*."""
        return replace(self, frame=self.frame.drop(columns=list(columns)))


def load_case_table(source: Source, options: TableOptions = NOTHING_SAID) -> pd.DataFrame:
    """Any table with an id column as text columns by case; several rows per case are one.

    Where a case's rows differ, its numbers are missing and its texts are joined by " / ".

    Raises:
        DataError: not a table, or without an id column.
    """
    table = _settle_ids(_strict(source), options)
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


def read_exactly(
    read: Callable[[Callable[[Source], Table]], T], options: TableOptions = NOTHING_SAID
) -> T:
    """Read with the fast parser; if anything is wrong, again with the one that says where."""
    text = (*_TEXT, *options.ids, *([options.label] if options.label else []))
    try:
        return read(lambda source: _settle_ids(_fast(source, text), options))
    except DataError:
        return read(lambda source: _settle_ids(_strict(source), options))


def is_between(cells: pd.Series[Any], low: float = 0.0, high: float = 1.0) -> bool:
    """Whether all cells are numbers from *low* to *high*."""
    return bool(pd.to_numeric(cells, errors="coerce").between(low, high).all())


def _settle_ids(table: Table, options: TableOptions) -> Table:
    """The same with its id columns known, and without the index that pandas left as a nameless first column.

    That column holds the ids where it is named, or where it is no row number and no other column can.
    """
    names = (*options.ids, *ID_COLUMNS)
    frame = table.frame.rename(columns={ROW_NUMBERS: NAMELESS})
    if NAMELESS in frame.columns and NAMELESS not in names:
        if any(c in frame.columns for c in names):
            frame = frame.drop(columns=NAMELESS)
        elif not _are_row_numbers(frame[NAMELESS]):
            names = (*names, NAMELESS)
    return Table(frame, table.name, names)


def _are_row_numbers(cells: pd.Series[Any]) -> bool:
    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=float)
    return any(np.array_equal(numbers, np.arange(first, first + len(cells))) for first in (0, 1))


def _likely_ids(frame: pd.DataFrame) -> str | None:
    """A column that could be the ids: no fractions, and every value equally often."""
    for column in sorted(frame.columns, key=lambda name: name == NAMELESS):
        counts = frame[column].value_counts(dropna=False)
        distinct = len(counts) > max(2, len(frame) // 50) and counts.nunique() == 1
        numbers = pd.to_numeric(frame[column], errors="coerce")
        if distinct and (numbers.isna() | (numbers % 1 == 0)).all() and frame[column].notna().all():
            return str(column)
    return None


def label_of(source: Source) -> str:
    """What a table is called where no path may stand."""
    return source.name if isinstance(source, Path) else "Unnamed data"


def _fast(source: Source, text: Sequence[str]) -> Table:
    if isinstance(source, Path) and source.suffix not in PARQUET:
        return Table(load_plain(source, text, keep_nameless=True), str(source))
    return _strict(source)


def _strict(source: Source) -> Table:
    if isinstance(source, pd.DataFrame):
        frame = source
        if frame.index.name in ID_COLUMNS and frame.index.name not in frame.columns:
            frame = frame.reset_index()
        frame = frame.set_axis(range(1, len(frame) + 1), axis=0).rename(columns=str)
        return Table(frame, "data frame")
    if source.suffix not in PARQUET:
        return Table(load_table(source, keep_nameless=True), str(source))
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
