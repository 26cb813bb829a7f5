"""Which columns of an unknown table a network may read, and which it may not: a reason for each."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from milkreport.columns import plain_ages
from milkreport.data.adapters.spec import LEAKY, RESERVED
from milkreport.data.cases import IMAGE_PREFIX, Feature
from milkreport.data.init.columns import DATE, FREE_TEXT, MAX_TEXT, is_id_name, is_number, words
from milkreport.data.leaks import leaky_features
from milkreport.tables import first_few

#: Columns that as a rule follow from the diagnosis. They are proposed as banned; a description may read them.
CONSEQUENCE = re.compile(
    r"manage|treat|therap|surg(er|ic)|excis|resect|chemo|follow_?up|surviv|death|deceased|recurr|metasta|"
    r"staging|(^|_)stages?($|_)|(^|_)tnm($|_)|[bplt]i_?rads|gleason|bethesda|(seven|7)_?p(oin)?t|abcd|"
    r"breslow|clark|mitos|mitotic|histolog|histopath|patholog|biops|"
    r"checklist|difficult|severity|referr|(cell|tumou?r|cancer|tissue|disease)_?type",
    re.IGNORECASE,
)
MOST_CATEGORIES = 30
CASES_A_VALUE = 3
_BOOKKEEPING = {"split", "fold", "set", "partition", "subset", "dataset", "url", "path", "file"}
_BOOKKEEPING |= {"filename", "md5", "sha256", "hash", "licence", "license", "copyright"}
_BOOKKEEPING |= {"attribution", "comment", "comments", "note", "notes", "remark", "remarks"}


@dataclass
class FeatureGuess:
    """Columns that may be inputs with their kind, those left out and those banned, each with a remark."""

    kinds: dict[str, Literal["numeric", "categorical"]] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    banned: dict[str, str] = field(default_factory=dict)


def guess_features(
    frame: pd.DataFrame, labels: pd.Series[Any], taken: Collection[str]
) -> FeatureGuess:
    """What a network may read besides images.

    Args:
        labels: the label of each row, or missing.
        taken: columns of another use: ids, images, the label.
    """
    guess = FeatureGuess()
    frame = frame.apply(plain_ages)
    for column in frame.columns:
        if column in taken:
            continue
        if not 0 < len(column) <= MAX_TEXT:
            guess.left_out[column] = f"its name is empty or longer than {MAX_TEXT} characters"
        elif LEAKY.search(column):
            guess.banned[column] = "by its name it was written down when the label was known"
        elif CONSEQUENCE.search(column):
            guess.banned[column] = (
                "by its name it follows from the label, or is made of the same findings"
            )
        elif column in RESERVED or column.startswith(IMAGE_PREFIX):
            guess.left_out[column] = "a name of milkreport's own: rename the column to use it"
        elif reason := _no_input(column, frame[column]):
            guess.left_out[column] = reason
        elif telling := _telling(column, frame[column], labels):
            guess.banned[column] = telling
        else:
            numeric = bool(frame[column].dropna().map(is_number).all())
            guess.kinds[column] = "numeric" if numeric else "categorical"
            guess.remarks[column] = _seen(frame[column], numeric)
    return guess


def _no_input(column: str, cells: pd.Series[Any]) -> str:
    """Why a column is no input; empty if it may be one."""
    known = cells.dropna()
    n_values, found = known.nunique(), set(words(column))
    if n_values < 2:
        return "empty" if known.empty else "the same in every row"
    if _BOOKKEEPING & found:
        return "bookkeeping, by its name"
    if len(known) * 2 < len(cells):
        return f"missing in {1 - len(known) / len(cells):.0%} of the rows"
    many = n_values * CASES_A_VALUE > len(known)
    if many and is_id_name(column):
        return "an id, by its name"
    if known.map(lambda cell: bool(DATE.fullmatch(cell))).mean() > 0.8:
        return "dates"
    numbers = known.map(is_number)
    if numbers.all():
        steps = known.map(float).diff().dropna()
        return "it counts the rows" if len(known) > 2 and (steps == 1).all() else ""
    if numbers.mean() > 0.8:
        line, cell = known.index[~numbers][0], known[~numbers].iloc[0]
        return f"numbers, but line {line} says {cell[:40]!r}: empty such cells to use it"
    if known.str.len().max() > FREE_TEXT:
        return "free text"
    if many or n_values > MOST_CATEGORIES:
        return f"{n_values:,} different values, too many to learn from"
    return ""


def _telling(column: str, cells: pd.Series[Any], labels: pd.Series[Any]) -> str:
    table = pd.DataFrame({"label": labels, column: cells}).dropna()
    return "".join(leaky_features(table, [Feature(column, "categorical")]))


def _seen(cells: pd.Series[Any], numeric: bool) -> str:
    known = cells.dropna()
    lacking = f"; {cells.isna().sum():,} missing" if cells.isna().any() else ""
    if not numeric:
        values = first_few(sorted(set(known)), 4)
        return f"{known.nunique()} values: {values}{lacking}"
    numbers = known.map(float)
    coded = 2 < numbers.nunique() <= 10 and (numbers % 1 == 0).all()
    code = '; if these are codes, kind = "categorical"' if coded else ""
    return f"{numbers.min():g} to {numbers.max():g}{lacking}{code}"
