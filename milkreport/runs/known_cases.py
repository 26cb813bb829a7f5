"""Which new cases the original run has seen already: by case id, and by identical pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from milkreport.data.prepare import Prepared
from milkreport.runs.folder import RunFolder
from milkreport.tables import load_table, unguard

Contents = dict[str, set[str]]


@dataclass(frozen=True)
class Original:
    """The cases of one fold of a run, as its tables tell.

    ``learned``: case ids of the training and validation part. ``tested``: of the test part. ``images``: case
    to the hashes of its pixels, at the model's image size.
    """

    learned: frozenset[str]
    tested: frozenset[str]
    images: Contents


@dataclass(frozen=True)
class Overlap:
    """New cases that the original run knows. ``by_id`` and ``by_pixels``: ids of new cases, which may be in
    both.
    """

    by_id: frozenset[str] = frozenset()
    by_pixels: frozenset[str] = frozenset()

    @property
    def all(self) -> set[str]:
        """Known either way."""
        return {*self.by_id, *self.by_pixels}


def load_original(run: RunFolder, fold: int) -> Original | None:
    """What a run's tables tell of its cases; ``None`` where they are not there."""
    if not all((run.path / name).is_file() for name in ("splits.csv", "images.csv")):
        return None
    splits = load_table(run.path / "splits.csv", ["case_id", "fold", "part"])
    splits = splits[splits["fold"] == str(fold)]
    ids = splits["case_id"].map(unguard).astype(str)
    is_test = splits["part"] == "test"
    images = load_table(run.path / "images.csv", ["case_id", "pixel_hash"])
    return Original(
        learned=frozenset(ids[~is_test]),
        tested=frozenset(ids[is_test]),
        images=_contents(images.assign(case_id=images["case_id"].map(unguard))),
    )


def find_learned(prepared: Prepared, original: Original, ignore_ids: bool) -> Overlap:
    """New cases that the model was trained or chosen on."""
    new, wanted = _new(prepared), original.learned
    known: set[str] = set().union(*(original.images.get(case, set()) for case in wanted))
    by_id = frozenset() if ignore_ids else frozenset(case for case in new if case in wanted)
    return Overlap(by_id, frozenset(case for case, hashes in new.items() if hashes & known))


def find_taught(
    prepared: Prepared, ids: Iterable[str], original: Original, ignore_ids: bool
) -> set[str]:
    """Original test cases that stand among the new cases *ids*: learned, they say nothing of forgetting."""
    wanted = set(ids)
    mine = {case: hashes for case, hashes in _new(prepared).items() if case in wanted}
    hashes = set().union(*mine.values()) if mine else set()
    found = {case for case in original.tested if original.images.get(case, set()) & hashes}
    if not ignore_ids:
        found |= original.tested & wanted
    return found


def _new(prepared: Prepared) -> Contents:
    contents = _contents(prepared.images)
    return {str(case): contents.get(str(case), set()) for case in prepared.cases.table["case_id"]}


def _contents(images: pd.DataFrame) -> Contents:
    sound = images[images["pixel_hash"].notna() & (images["pixel_hash"] != "")]
    grouped = sound.groupby(sound["case_id"].astype(str))["pixel_hash"].agg(set)
    return {str(case): set(hashes) for case, hashes in grouped.items()}
