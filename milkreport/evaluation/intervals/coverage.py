"""How often simulated 95% intervals held the true value, in situations like a given one.

``coverage.json`` is data, written by ``scripts/tabulate_coverage.py`` from what
``scripts/simulate_intervals.py`` found. Keys of a row: ``metric`` (a class's with the number of its cases or
groups: ``recall, 1 to 4``), ``classes``, ``grouped``, ``cases`` (bands as below), and ``covered``: the lowest
and the highest share of simulations of this kind whose interval included the true value. What was not
simulated has no row, and nothing is said of it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from milkreport.evaluation.records.parts import PartResult

Band = tuple[int, int | None]
Range = tuple[float, float]

FILE = Path(__file__).with_name("coverage.json")
#: Number of classes, cases of the part, and cases (or groups) of a class: from, to.
CLASSES: tuple[Band, ...] = ((2, 2), (3, 19), (20, None))
CASES: tuple[Band, ...] = ((1, 99), (100, 499), (500, 2499), (2500, None))
UNITS: tuple[Band, ...] = ((1, 4), (5, 9), (10, 49), (50, None))


def name_band(bands: Sequence[Band], n: int) -> str:
    """The band that *n* lies in, in words; empty where it lies in none."""
    for low, high in bands:
        if low <= n and (high is None or n <= high):
            return (
                f"{low} and more"
                if high is None
                else f"{low} to {high}"
                if high > low
                else str(low)
            )
    return ""


def simulated(part: PartResult, metric: str) -> Range | None:
    """The range of simulated coverages of an overall metric in a part like this.

    Of one trained model only: ``None`` for means over seeds, and where nothing alike was simulated.
    """
    if part.n_seeds > 1:
        return None
    return _table().get((metric, *_situation(part)))


def simulated_classes(part: PartResult, metrics: Sequence[str], fewest: int) -> Range | None:
    """The same of *metrics* of the classes with fewer than *fewest* cases; ``None`` if any is unknown."""
    bands = {name_band(UNITS, row.support) for row in part.classes if 0 < row.support < fewest}
    if part.n_seeds > 1 or not bands:
        return None
    keys = [
        (f"{metric}, {band}", *_situation(part)) for metric in metrics for band in sorted(bands)
    ]
    found = [_table().get(key) for key in keys]
    known = [ends for ends in found if ends is not None]
    if len(known) < len(found) or not known:
        return None
    return min(low for low, _ in known), max(high for _, high in known)


def _situation(part: PartResult) -> tuple[str, bool, str]:
    classes = name_band(CLASSES, len(part.classes))
    return classes, part.n_groups is not None, name_band(CASES, part.n_cases)


@lru_cache(maxsize=1)
def _table() -> dict[tuple[str, str, bool, str], Range]:
    rows = json.loads(FILE.read_text(encoding="utf-8"))
    return {
        (row["metric"], row["classes"], row["grouped"], row["cases"]): tuple(row["covered"])
        for row in rows
    }
