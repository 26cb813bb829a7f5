"""What may leak and is reported: features that give the label away (``spec`` refuses their names), groups
that may be one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from milkreport.data.cases import Feature
from milkreport.tables import first_few

#: Share of cases whose class a feature names by itself, from which on it is reported.
TELLING = 0.99
#: Cases a value on average: with fewer, values name single cases and the share says nothing.
CASES_A_VALUE = 10


def leaky_features(table: pd.DataFrame, features: Sequence[Feature]) -> tuple[str, ...]:
    """A line for every feature of which the value alone names the class of nearly all cases.

    The share is that of a lookup table: each value answers its most frequent class. A feature is only
    telling if it does clearly better than always answering the most frequent class of all.
    """
    lines = []
    for feature in features:
        known = table[["label", feature.column]].dropna()
        n, values = len(known), known[feature.column].nunique()
        if not values or n < CASES_A_VALUE * values:
            continue
        counts = known.groupby(feature.column)["label"].value_counts()
        share = counts.groupby(level=0).max().sum() / n
        most = known["label"].value_counts().iloc[0] / n
        if share >= TELLING and share - most > (1 - most) / 2:
            lines.append(
                f"{feature.column} alone names the class of {share:.1%} of the cases: was it known "
                "before the diagnosis?"
            )
    return tuple(lines)


def groups_alike(groups: pd.Series[Any], column: str) -> tuple[str, ...]:
    """A line on groups that case alone tells apart: if they are one, its cases may be parted."""
    names = pd.Series(groups.dropna().unique(), dtype=object)
    alike = names.astype(str).str.casefold().duplicated()
    if not alike.any():
        return ()
    what = f"{alike.sum():,} values of {column} differ from others in case alone"
    return (f"{what} ({first_few(names[alike])}): each counts as a group of its own",)
