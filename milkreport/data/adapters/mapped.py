"""Tables before and after they are mapped to cases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from milkreport.data.cases import Feature


@dataclass(frozen=True)
class TextTable:
    """A table as read: text cells, indexed by line number; ``name`` stands in errors."""

    frame: pd.DataFrame
    name: str


@dataclass(frozen=True)
class Mapped:
    """A table in the words of ``Cases``: ``table`` without ``label`` where no labels were given.

    ``used``: every image that a row names. ``orphans``: ids that have a label but no row.
    """

    table: pd.DataFrame
    features: tuple[Feature, ...]
    classes: tuple[str, ...]
    used: tuple[Path, ...]
    orphans: tuple[str, ...]
    remarks: tuple[str, ...]
    slices: tuple[str, ...] = ()
