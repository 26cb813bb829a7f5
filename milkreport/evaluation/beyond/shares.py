"""Class shares elsewhere: as they are typed, read from a table, and drawn where they come from counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from milkreport.columns import read_numbers, refuse_blanks, refuse_duplicates
from milkreport.errors import ConfigError, DataError
from milkreport.evaluation.binary.rules import parse_prevalences
from milkreport.evaluation.reading.options import split_names
from milkreport.streams import stream
from milkreport.tables import first_few, load_table

Floats = npt.NDArray[np.float64]

N_DRAWS = 2000
_SUM = 1e-3


@dataclass(frozen=True)
class ClassShares:
    """Shares of classes among the cases elsewhere.

    ``named``: class to share, above or equal to 0. ``counted``: how many cases the shares were counted in;
    ``None``: they are taken as exact. Classes that are not named share the rest as in the test part.
    """

    named: tuple[tuple[str, float], ...]
    counted: int | None = None

    def complete(self, classes: Sequence[str], counts: Sequence[float]) -> Floats:
        """The share of each class, float64 (k,), summing to 1.

        Args:
            counts: test cases of each class.

        Raises:
            ConfigError: an unknown class, shares above 1 in all or, with all classes named, below.
        """
        known = dict(self.named)
        if unknown := [name for name in known if name not in classes]:
            what = f"prevalence: {first_few(unknown)} is not a class"
            raise ConfigError(what, f"classes are: {first_few(classes, 30)}")
        total = sum(known.values())
        left = np.array(
            [0.0 if name in known else float(n) for name, n in zip(classes, counts, strict=True)]
        )
        if total > 1 + _SUM or (left.sum() == 0 and abs(total - 1) > _SUM):
            what = f"prevalence: the shares sum to {total:g}"
            raise ConfigError(
                what, "give shares that sum to 1, or leave out classes that share the rest"
            )
        shares = np.array([known.get(name, 0.0) for name in classes])
        rest = max(1 - total, 0.0)
        shares += rest * left / left.sum() if left.sum() else 0
        return np.asarray(shares / shares.sum())

    def draw(self, shares: Floats) -> Floats | None:
        """Shares that the counts leave open, Dirichlet with half a case per class: (``N_DRAWS``, k)."""
        if self.counted is None:
            return None
        alpha = shares * self.counted + 0.5
        drawn = stream(0, "class shares").standard_gamma(alpha, (N_DRAWS, len(shares)))
        return np.asarray(drawn / drawn.sum(axis=1, keepdims=True))


def parse_prevalence(text: str) -> tuple[tuple[float, ...], ClassShares | None]:
    """What ``--prevalence`` asks for: shares of positive cases (0.01,0.05), or class shares.

    Class shares are ``CLASS=0.01,...``, or the name of a table with the columns class and share or count.

    Raises:
        ConfigError: neither. DataError: a bad table.
    """
    if "=" in text:
        return (), _parse_named(text)
    if text and Path(text).is_file():
        return (), load_shares(Path(text))
    if "." in text and text.lower().endswith((".csv", ".tsv", ".txt", ".parquet")):
        raise DataError("no such file", "check the path, or give CLASS=0.01,...", text)
    return parse_prevalences(text), None


def _parse_named(text: str) -> ClassShares:
    named: dict[str, float] = {}
    for part in split_names(text):
        name, _, given = part.rpartition("=")
        try:
            share = float(given)
        except ValueError:
            share = float("nan")
        if not name or not 0 <= share <= 1:
            raise ConfigError(f"prevalence {part!r}", "give shares from 0 to 1, as in NAME=0.01")
        if name in named:
            raise ConfigError(f"prevalence names {name} twice", "give each class one share")
        named[name] = share
    return ClassShares(tuple(named.items()))


def load_shares(path: Path) -> ClassShares:
    """Class shares of a table: columns ``class`` and either ``share`` or ``count``, a row per class.

    Counts bring their uncertainty with them.

    Raises:
        DataError: no such columns, a class twice, a value that is not a share or a count.
    """
    frame, name = load_table(path, ("class",)), str(path)
    given = [column for column in ("share", "count") if column in frame.columns]
    if len(given) != 1:
        what = "no column share or count" if not given else "both a column share and a column count"
        raise DataError(what, "give one of them beside class", name)
    refuse_duplicates(frame, ["class"], name)
    refuse_blanks(frame["class"], f"{name}:class")
    most = 1.0 if given == ["share"] else 1e9
    values = read_numbers(frame, given[0], name, 0, most, f"give a {given[0]}")
    if values.isna().any() or (given == ["count"] and (values % 1 != 0).any()):
        row = frame.index[(values.isna() | (values % 1 != 0)).to_numpy()][0]
        raise DataError(
            f"not a {given[0]}", "give a number, 0 where there is none", f"{name}:{row}:{given[0]}"
        )
    names = frame["class"].astype(str).tolist()
    if given == ["share"]:
        return ClassShares(tuple(zip(names, values.tolist(), strict=True)))
    total = int(values.sum())
    if total == 0:
        raise DataError("no case was counted", "give counts of cases per class", name)
    return ClassShares(tuple(zip(names, (values / total).tolist(), strict=True)), total)
