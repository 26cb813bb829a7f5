"""Tables as CSV files: numbers to the digit, and nothing in them that a spreadsheet would run."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from milkreport.atomic import write_text
from milkreport.tables import guard


def write_csv(path: Path, frame: pd.DataFrame, digits: int = 9) -> None:
    """Write a table as :func:`csv_text` gives it."""
    write_text(path, csv_text(frame, digits))


def csv_text(frame: pd.DataFrame, digits: int = 9) -> str:
    """A table without what a spreadsheet would run; 9 digits keep a float32 exactly, 17 a float64."""
    safe = frame.rename(columns=guard)
    for column in safe.columns:
        values = safe[column]
        if values.dtype.kind == "f":
            # As to_csv's float_format, ten times as fast.
            safe[column] = [f"{v:.{digits}g}" if v == v else None for v in values.tolist()]
        elif values.dtype.kind not in "iub":
            safe[column] = values.map(guard, na_action="ignore")
    return safe.to_csv(index=False, lineterminator="\n")
