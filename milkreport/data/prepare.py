"""From a folder to what training needs: cases, clean, decoded, grouped."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from milkreport.data.cases import Cases
from milkreport.data.cleaning import Cleaned, clean
from milkreport.data.images import PixelStore, Progress, duplicate_groups, open_store
from milkreport.data.milk10k import load_milk10k
from milkreport.suite import Data

ADAPTERS = {"milk10k": load_milk10k}


@dataclass(frozen=True)
class Prepared:
    """Cases that take part, their pixels, and what became of the others."""

    cases: Cases
    store: PixelStore
    cleaned: Cleaned
    n_duplicate_groups: int
    fingerprint: str


def prepare(root: Path, settings: Data, cache: Path, progress: Progress | None = None) -> Prepared:
    """Load the tables below *root*, clean them, decode every image once, join duplicates.

    Raises:
        DataError, EnvironmentProblem: see the steps.
    """
    cleaned = clean(ADAPTERS[settings.adapter](root), settings.cleaning)
    cases = cleaned.cases
    store = open_store(cases, settings.image_size, cache, progress)
    groups, n_joined = duplicate_groups(cases, store)
    cases = replace(cases, table=cases.table.assign(group_id=groups))
    whole = f"{cases.table_fingerprint()}/{store.fingerprint}"
    fingerprint = hashlib.sha256(whole.encode()).hexdigest()
    return Prepared(cases, store, cleaned, n_joined, fingerprint)
