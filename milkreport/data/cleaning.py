"""Which cases take part, and why the others do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from milkreport.data.cases import IMAGE_PREFIX, Cases
from milkreport.errors import DataError
from milkreport.tables import first_few

Policy = Literal["paper", "strict", "impute"]


@dataclass(frozen=True)
class Cleaned:
    """The cases that take part; ``removed`` has ``case_id`` and ``reason``, ``imputed`` a count a column.

    ``kept``: positions of the cases that take part among those that were found.
    """

    cases: Cases
    n_found: int
    removed: pd.DataFrame
    imputed: dict[str, int]
    kept: pd.Index


def clean(
    cases: Cases,
    policy: Policy,
    *,
    unlabelled: Literal["error", "drop"] = "error",
    bad_images: Mapping[str, str] | None = None,
) -> Cleaned:
    """Apply a cleaning policy to *cases*.

    ``paper``: a case with any missing feature or view is removed. ``strict``: it is an error.
    ``impute``: missing features stay (the encoder fills them from the training part); a case without
    one of its views is removed.

    Args:
        unlabelled: whether cases without a label, and labels without a case, are an error or dropped.
        bad_images: case id to what is wrong with its images; such a case is removed.

    Raises:
        DataError: unlabelled cases; under ``strict`` the first incomplete case; or no case is left.
    """
    table = cases.table
    if unlabelled == "error":
        _refuse_unlabelled(cases)
    views = [IMAGE_PREFIX + view for view in cases.views]
    features = [feature.column for feature in cases.features]
    needed = views if policy == "impute" else [*features, *views]
    gaps = table[needed].isna()
    if policy == "strict" and gaps.any(axis=None):
        _refuse_incomplete(cases, gaps)
    gaps.insert(0, "label", table["label"].isna())
    bad = table["case_id"].map(dict(bad_images or {}))
    out = gaps.any(axis=1) | bad.notna()
    reasons = [
        " and ".join([*(_reason(c) for c in gaps.columns[row]), *([text] if text == text else [])])
        for row, text in zip(gaps[out].to_numpy(), bad[out], strict=True)
    ]
    removed = pd.DataFrame(
        [*cases.left_out, *zip(table.loc[out, "case_id"], reasons, strict=True)],
        columns=["case_id", "reason"],
    )
    kept = table[~out]
    if kept.empty:
        do = "set data.cleaning to impute" if cases.is_labelled else "give the table of labels"
        raise DataError("no complete case with a label is left", do, str(cases.root))
    missing = kept[features].isna().sum()
    return Cleaned(
        cases=replace(cases, table=kept.reset_index(drop=True)),
        n_found=len(table) + len(cases.left_out),
        removed=removed,
        imputed={str(column): int(n) for column, n in missing.items() if n},
        kept=kept.index,
    )


def _refuse_unlabelled(cases: Cases) -> None:
    """Raise a DataError for cases without a label, or labels without a case, with the first ids."""
    ids = cases.table.loc[cases.table["label"].isna(), "case_id"]
    files = first_few(file.name for file in cases.files)
    do = "complete the tables, or go on without them: --allow-unlabelled"
    if len(ids):
        what = f"{len(ids):,} {cases.card.units} without a label: {first_few(ids)}"
        raise DataError(what, do, files)
    if cases.orphans:
        what = (
            f"{len(cases.orphans):,} labels without a {cases.card.unit}: {first_few(cases.orphans)}"
        )
        raise DataError(what, do, files)


def _refuse_incomplete(cases: Cases, gaps: pd.DataFrame) -> None:
    incomplete = gaps.any(axis=1)
    first = gaps.index[incomplete][0]
    reason = " and ".join(_reason(column) for column in gaps.columns[gaps.loc[first]])
    what = (
        f"{int(incomplete.sum())} incomplete {cases.card.units}, first "
        f"{cases.table.loc[first, 'case_id']}: {reason}"
    )
    do = "complete the table, or set data.cleaning to paper or impute"
    raise DataError(what, do, first_few(file.name for file in cases.files))


def _reason(column: str) -> str:
    if column == "label":
        return "no label"
    if column.startswith(IMAGE_PREFIX):
        return f"not exactly one {column.removeprefix(IMAGE_PREFIX)} image"
    return f"missing {column}"
