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
    to the hashes of its images. ``kind``: the column that holds them, ``pixel_hash`` (of the pixels at the
    model's image size) in runs of 0.1.
    """

    learned: frozenset[str]
    tested: frozenset[str]
    images: Contents
    kind: str


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
    kind = "image_hash" if "image_hash" in images else "pixel_hash"
    return Original(
        learned=frozenset(ids[~is_test]),
        tested=frozenset(ids[is_test]),
        images=_contents(images.assign(case_id=images["case_id"].map(unguard)), kind),
        kind=kind,
    )


def find_learned(prepared: Prepared, original: Original, ignore_ids: bool) -> Overlap:
    """New cases that the model was trained or chosen on."""
    new, wanted = _new(prepared, original.kind), original.learned
    known: set[str] = set().union(*(original.images.get(case, set()) for case in wanted))
    by_id = frozenset() if ignore_ids else frozenset(case for case in new if case in wanted)
    return Overlap(by_id, frozenset(case for case, hashes in new.items() if hashes & known))


def find_overlap(
    prepared: Prepared, ids: Iterable[str], original: Original, ignore_ids: bool
) -> set[str]:
    """Original test cases that stand among the new cases *ids*: learned, they say nothing of forgetting."""
    wanted = set(ids)
    mine = {
        case: hashes for case, hashes in _new(prepared, original.kind).items() if case in wanted
    }
    hashes = set().union(*mine.values()) if mine else set()
    found = {case for case in original.tested if original.images.get(case, set()) & hashes}
    if not ignore_ids:
        found |= original.tested & wanted
    return found


def _new(prepared: Prepared, kind: str) -> Contents:
    contents = _contents(prepared.images, kind)
    return {str(case): contents.get(str(case), set()) for case in prepared.cases.table["case_id"]}


def _contents(images: pd.DataFrame, kind: str) -> Contents:
    sound = images[images[kind].notna() & (images[kind] != "")]
    grouped = sound.groupby(sound["case_id"].astype(str))[kind].agg(set)
    return {str(case): set(hashes) for case, hashes in grouped.items()}
