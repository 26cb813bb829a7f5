"""That no part of a split shares anything with another, counted again from the files that were written."""

from __future__ import annotations

import hashlib
from itertools import combinations
from pathlib import Path

import pandas as pd

from milkreport.errors import DataError
from milkreport.evaluation.records.data import SplitProof
from milkreport.tables import load_table


def prove_splits(splits_file: Path, images_file: Path) -> SplitProof:
    """Compare every two parts of every fold by case, by group and by image content.

    Reads ``splits.csv`` and ``images.csv`` back, so that it holds for what a reader finds there, whatever
    the program believed. Cases, groups and images are counted once for each two parts that share them.

    Raises:
        DataError: something stands in two parts.
    """
    splits = load_table(splits_file, ["case_id", "group_id", "fold", "part"])
    images = load_table(images_file, ["case_id", "image_hash"])
    contents = images.dropna(subset=["image_hash"]).groupby("case_id")["image_hash"].agg(set)
    shared = {"case_id": 0, "group_id": 0, "images": 0}
    comparisons, example = 0, ""
    for fold, rows in splits.groupby("fold", sort=False):
        parts = {str(part): frame for part, frame in rows.groupby("part", sort=False)}
        for one, other in combinations(parts, 2):
            comparisons += 1
            for column in ("case_id", "group_id"):
                both = set(parts[one][column]) & set(parts[other][column])
                shared[column] += len(both)
                if both:
                    example = example or f"{min(both)} stands in {one} and {other} of fold {fold}"
            both = _images(contents, parts[one]) & _images(contents, parts[other])
            shared["images"] += len(both)
            if both:
                example = example or f"an image stands in {one} and {other} of fold {fold}"
    if example:
        raise DataError(f"leakage: {example}", "report this as a defect", splits_file.name)
    return SplitProof(
        folds=splits["fold"].nunique(),
        comparisons=comparisons,
        groups=splits["group_id"].nunique(),
        shared_cases=shared["case_id"],
        shared_groups=shared["group_id"],
        shared_images=shared["images"],
        splits_sha256=hashlib.sha256(splits_file.read_bytes()).hexdigest(),
    )


def _images(contents: pd.Series, part: pd.DataFrame) -> set[str]:
    found = contents.reindex(part["case_id"].unique()).dropna()
    return set().union(*found) if len(found) else set()
