"""From a folder to what training needs: cases, decoded, clean, grouped."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from milkreport.data.adapters.load import load_cases
from milkreport.data.cases import Cases
from milkreport.data.cleaning import Cleaned, clean
from milkreport.data.pixels.duplicates import find_duplicates, join_groups
from milkreport.data.pixels.store import PixelStore, Progress, open_store
from milkreport.errors import DataProblems, Problem
from milkreport.suite.suite import Data

#: The option that leaves out cases whose images cannot be decoded.
SKIP = "--set data.on_bad_image=skip"


@dataclass(frozen=True)
class Prepared:
    """Cases that take part, their pixels, and what became of the others.

    ``store``: row i holds the pixels of case i of ``cases``. ``images``: the record of every image file
    that was found, as in :class:`milkreport.data.pixels.store.PixelStore`. ``duplicates``: the links of
    :func:`milkreport.data.pixels.duplicates.find_duplicates` among the cases that take part, with their
    labels.
    """

    cases: Cases
    store: PixelStore
    cleaned: Cleaned
    images: pd.DataFrame
    duplicates: pd.DataFrame
    n_duplicate_groups: int
    fingerprint: str


def prepare(
    root: Path,
    settings: Data,
    cache: Path,
    progress: Progress | None = None,
    notice: Callable[[str], None] = lambda line: None,
    adapt: Callable[[Cases], Cases] = lambda cases: cases,
    may_skip: bool = False,
) -> Prepared:
    """Load the tables below *root*, decode every image once, clean, keep duplicates together.

    Args:
        adapt: what the cases become before anything is decoded: other labels, fewer columns or views.
        may_skip: whether the caller has the setting that leaves cases with a bad image out; it is named then.

    Raises:
        DataProblems: all that is unsound in the tables, or every image that cannot be decoded.
        ConfigError, DataError, EnvironmentProblem: see the steps.
    """
    cases = adapt(load_cases(root, settings.adapter, cache, notice))
    notice(f"found {cases.layout}")
    # What the tables alone can refuse is refused before minutes of decoding.
    clean(cases, settings.cleaning, unlabelled=settings.unlabelled)
    whole = open_store(
        cases,
        settings.image_size,
        cache,
        decoder=settings.decoder,
        progress=progress,
        notice=notice,
    )
    problems = image_problems(whole.images, may_skip)
    if problems and settings.on_bad_image == "error":
        raise DataProblems(problems)
    return group(cases, whole, settings)


def group(cases: Cases, whole: PixelStore, settings: Data) -> Prepared:
    """Clean *cases*, whose images *whole* holds, and keep those that share images together."""
    cleaned = clean(
        cases,
        settings.cleaning,
        unlabelled=settings.unlabelled,
        bad_images=_bad_cases(whole.images),
    )
    kept, store = cleaned.cases, whole.take(cleaned.kept.to_numpy())
    duplicates = find_duplicates(kept, store)
    label = dict(zip(kept.table["case_id"], kept.table["label"], strict=True))
    duplicates["label_a"] = duplicates["case_a"].map(label)
    duplicates["label_b"] = duplicates["case_b"].map(label)
    near = settings.near_duplicates == "group"
    groups, n_joined = join_groups(kept, duplicates, near=near)
    kept = replace(kept, table=kept.table.assign(group_id=groups))
    text = f"{cases.table_fingerprint()}/{whole.fingerprint}"
    return Prepared(
        cases=kept,
        store=store,
        cleaned=cleaned,
        images=whole.images,
        duplicates=duplicates,
        n_duplicate_groups=n_joined,
        fingerprint=hashlib.sha256(text.encode()).hexdigest(),
    )


def image_problems(images: pd.DataFrame, may_skip: bool = False) -> list[Problem]:
    """Every image that cannot be decoded, as a problem; *may_skip*: its case can be left out."""
    bad = images[images["problem"] != ""]
    instead = f", or leave its case out: {SKIP}" if may_skip else ""
    return [
        Problem(
            f"image {row.problem}",
            str(row.file),
            str(row.what),
            f"{row.do}{instead}",
            str(row.case_id),
        )
        for row in bad.itertuples()
    ]


def _bad_cases(images: pd.DataFrame) -> dict[str, str]:
    bad = images[images["problem"] != ""]
    texts = bad["view"] + " image " + bad["problem"]
    return {str(k): " and ".join(v) for k, v in texts.groupby(bad["case_id"])}
