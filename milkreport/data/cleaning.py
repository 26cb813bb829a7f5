"""Which cases take part, and why the others do not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from milkreport.data.cases import IMAGE_PREFIX, Cases
from milkreport.errors import DataError
from milkreport.tables import first_few

Policy = Literal["paper", "strict", "impute"]


@dataclass(frozen=True)
class Cleaned:
    """The cases that take part; ``removed`` has ``case_id`` and ``reason``, ``imputed`` a count a column."""

    cases: Cases
    n_found: int
    removed: pd.DataFrame
    imputed: dict[str, int]


def clean(cases: Cases, policy: Policy) -> Cleaned:
    """Apply a cleaning policy to *cases*.

    ``paper``: a case with any missing feature or view is removed. ``strict``: it is an error.
    ``impute``: missing features stay (the encoder fills them from the training part); a case without
    one of its views is removed.

    Raises:
        DataError: under ``strict``, the first incomplete case; or when no case is left.
    """
    table = cases.table
    views = [IMAGE_PREFIX + view for view in cases.views]
    features = [feature.column for feature in cases.features]
    needed = views if policy == "impute" else [*features, *views]
    missing = table[needed].isna()
    incomplete = missing.any(axis=1)
    reasons = pd.Series(
        [
            " and ".join(_reason(column) for column, gap in zip(needed, row, strict=True) if gap)
            for row in missing[incomplete].to_numpy()
        ],
        index=table.index[incomplete],
        dtype=object,
    )
    if policy == "strict" and incomplete.any():
        first = str(table.loc[reasons.index[0], "case_id"])
        what = f"{int(incomplete.sum())} incomplete {cases.card.units}, first {first}"
        do = "complete the table, or set data.cleaning to paper or impute"
        raise DataError(f"{what}: {reasons.iloc[0]}", do, first_few(f.name for f in cases.files))
    removed = pd.DataFrame(
        {"case_id": table.loc[reasons.index, "case_id"], "reason": reasons}
    ).reset_index(drop=True)
    kept = table[~incomplete].reset_index(drop=True)
    if kept.empty:
        raise DataError("no complete case is left", "set data.cleaning to impute", str(cases.root))
    gaps = kept[features].isna().sum()
    imputed = {str(column): int(n) for column, n in gaps.items() if n}
    return Cleaned(replace(cases, table=kept), len(table), removed, imputed)


def _reason(column: str) -> str:
    if column.startswith(IMAGE_PREFIX):
        return f"not exactly one {column.removeprefix(IMAGE_PREFIX)} image"
    return f"missing {column}"
