"""The seam: what a data set must bring. An adapter is one function that returns :class:`Cases`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import pandas as pd

IMAGE_PREFIX = "image:"


@dataclass(frozen=True)
class Feature:
    """One input column of the table.

    ``view``: the view whose branch reads it, or ``"case"`` for every branch. ``zscore``: numeric values
    are standardised on the training part; otherwise taken as they are. ``title``: what a report calls
    it, with what its values mean.
    """

    column: str
    kind: Literal["numeric", "categorical"]
    view: str = "case"
    zscore: bool = False
    title: str = ""


@dataclass(frozen=True)
class Card:
    """What a report must say about the data, whatever the data is.

    ``positive``: classes that count as disease. ``rules``: decision rules of the data's benchmark, beside
    argmax. ``guidelines``: reporting guidelines of the field, beside TRIPOD+AI.
    """

    name: str
    licence: str
    attribution: str
    unit: str = "case"
    units: str = "cases"
    synthetic: bool = False
    class_titles: dict[str, str] = field(default_factory=dict)
    positive: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    guidelines: tuple[str, ...] = ()
    banned_columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cases:
    """A data set, one row per case.

    ``table``: columns ``case_id`` (unique), ``group_id`` (never straddles a split), ``label`` (a class,
    or missing), one ``image:<view>`` column of absolute paths a view (missing: no such image), and the
    feature columns, and ``slices``: columns that are no input and tell subgroups apart. Sorted by
    ``case_id``. ``layout``: how the files were found, one line. ``extra``:
    image files below ``root`` that belong to no case. ``orphans``: ids that have a label and nothing
    else. ``remarks``: what a careful reader should know of the tables, a line each. ``id_column``: what the
    tables call a case's id. ``description``: fingerprint of the ``milkreport.toml`` that was followed; may
    be empty. ``left_out``: ids that the description leaves out of the table, each with the reason.
    """

    table: pd.DataFrame
    views: tuple[str, ...]
    features: tuple[Feature, ...]
    classes: tuple[str, ...]
    card: Card
    root: Path
    files: tuple[Path, ...] = ()  # the tables that were read
    layout: str = ""
    extra: tuple[Path, ...] = ()
    orphans: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    id_column: str = "case_id"
    description: str = ""
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def is_labelled(self) -> bool:
        """Whether any case has a label; a benchmark's test tables have none."""
        return bool(self.table["label"].notna().any())

    def subgroup_columns(self) -> pd.DataFrame:
        """Columns that subgroups may be made of, after ``case_id``: a case's own features, the slices."""
        own = [feature.column for feature in self.features if feature.view == "case"]
        more = [column for column in self.slices if column not in own]
        return self.table[["case_id", *own, *more]]

    def image_paths(self, view: str) -> pd.Series[str]:
        """Paths of one view's images, one a case."""
        return self.table[IMAGE_PREFIX + view]

    def labels(self) -> pd.Series[int]:
        """Labels as int64 class positions; every case must have one."""
        position = {name: index for index, name in enumerate(self.classes)}
        return self.table["label"].map(position).astype("int64")

    def class_counts(self) -> dict[str, int]:
        """Cases by class, in the order of the classes."""
        counts = self.table["label"].value_counts()
        return {name: int(counts.get(name, 0)) for name in self.classes}

    def with_merged(self, merge: Mapping[str, Sequence[str]]) -> Cases:
        """These cases with labels merged: *merge* names a class and the labels that become it.

        The merged class stands where the first of its labels stood.
        """
        becomes = {label: name for name, labels in merge.items() for label in labels}
        classes = tuple(dict.fromkeys(becomes.get(name, name) for name in self.classes))
        table = self.table.assign(label=self.table["label"].replace(becomes))
        return replace(self, table=table, classes=classes)

    def table_fingerprint(self) -> str:
        """SHA-256 over the tables' bytes and what their description makes of them."""
        digest = hashlib.sha256()
        for path in self.files:
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        digest.update(self.description.encode())
        return digest.hexdigest()
