"""The built-in synthetic MILK10k: invented lesions in the archive's official layout.

It lets everybody try the toolkit, and tests run, without the real data set. Class frequencies, the
patients' fields and the MONET scores follow summary statistics of the real tables
(``synthetic_profile.json``); the images are drawn (`synthetic_lesions`). Classes share visual
patterns, so a classifier can learn the task but not solve it. No figure obtained on it says
anything about real skin.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from milkreport.data.adapters.milk10k import (
    BANNED,
    GROUND_TRUTH,
    IMAGES,
    METADATA,
    SYNTHETIC_MARK,
    VIEWS,
)
from milkreport.data.adapters.milk10k_tables import CLASSES, MONET
from milkreport.data.synthetic.cases import FLOOR, SyntheticCase, draw_cohort
from milkreport.data.synthetic.lesions import draw_pair
from milkreport.errors import ConfigError, DataError, EnvironmentProblem

SUPPLEMENT = "MILK10k_Training_Supplement.csv"
FEWEST_CASES = FLOOR * len(CLASSES)
MOST_CASES = 100_000
SIZES = (16, 1024)  # pixels
_NOTE = (
    "Invented by milkreport: drawn images, tables sampled from summary statistics. Not medical "
    "data; figures obtained on it say nothing about real lesions."
)


def write_synthetic(
    directory: Path,
    *,
    cases: int,
    seed: int,
    size: int,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Writes a synthetic MILK10k of ``cases`` lesions (two images each) into ``directory``.

    The same arguments give the same bytes, given the same NumPy, SciPy and Pillow on the same kind
    of processor (others may round a last digit differently). A lesion's image pair depends on the
    seed, its place among the cases and its class alone.

    Classes are as frequent as in the 5,189 cleaned real lesions, by largest remainder, but none has
    fewer than 6 lesions, so that stratified splits work: below about 3,500 cases the rarest classes
    are more frequent than in reality. A few lesions lack age or site (as 51 of 5,240 real ones do);
    where possible none of them comes from a class that has no more than 6 complete lesions.

    Everything is first written beside ``directory`` and then moved there at once: a folder that
    bears the name is complete.

    Args:
        directory: where to write; absent or an empty folder.
        cases: lesions, 66 (6 a class) to 100,000.
        seed: any whole number from 0.
        size: width and height of each JPEG, 16 to 1,024 pixels.
        progress: called after each lesion with how many are drawn.

    Raises:
        ConfigError: a number is out of its range.
        DataError: ``directory`` exists and is not an empty folder.
        EnvironmentProblem: the disk refused.
    """
    if not FEWEST_CASES <= cases <= MOST_CASES:
        what = f"cannot make {cases} synthetic cases"
        do = f"use {FEWEST_CASES} ({FLOOR} for each of {len(CLASSES)} classes) to {MOST_CASES:,}"
        raise ConfigError(what, do, "cases")
    if seed < 0:
        raise ConfigError(f"seed {seed} is negative", "use a whole number from 0", "seed")
    if not SIZES[0] <= size <= SIZES[1]:
        do = f"use {SIZES[0]} to {SIZES[1]} pixels"
        raise ConfigError(f"cannot draw images of {size} pixels", do, "size")
    directory = directory.resolve()
    building = directory.with_name(f".{directory.name}.{secrets.token_hex(4)}.partial")
    try:
        if directory.exists() and not (directory.is_dir() and not any(directory.iterdir())):
            do = "remove it or choose another folder"
            raise DataError("exists and is not an empty folder", do, str(directory))
        try:
            building.mkdir(parents=True)
            _write_all(building, cases, seed, size, progress)
            if directory.exists():
                directory.rmdir()  # not every system renames onto an empty folder
            building.replace(directory)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    except OSError as error:
        what = f"cannot write: {error.strerror or error}"
        raise EnvironmentProblem(what, "check space and permissions", str(directory)) from error


def _write_all(
    root: Path, cases: int, seed: int, size: int, progress: Callable[[int], None] | None
) -> None:
    cohort = draw_cohort(cases, seed)
    for done, (index, case) in enumerate(cohort, start=1):
        folder = root / IMAGES / case.lesion_id
        folder.mkdir(parents=True)
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2, index)))
        for isic_id, pixels in zip(case.isic_ids, draw_pair(case.picture, size, rng), strict=True):
            Image.fromarray(pixels).save(folder / f"{isic_id}.jpg", quality=90)
        if progress:
            progress(done)
    for name, table in _tables([case for _, case in cohort]).items():
        table.to_csv(root / name, index=False, lineterminator="\n")
    mark = {"generator": "milkreport", "version": 1, "cases": cases, "seed": seed, "size": size}
    text = json.dumps({**mark, "note": _NOTE}, indent=1) + "\n"
    (root / SYNTHETIC_MARK).write_text(text, encoding="utf-8")


def _tables(cohort: Sequence[SyntheticCase]) -> dict[str, pd.DataFrame]:
    images, supplement = [], []
    for case in cohort:
        for view, image_type in enumerate(VIEWS.values()):
            row = {
                "lesion_id": case.lesion_id,
                "image_type": image_type,
                "isic_id": case.isic_ids[view],
                "attribution": "synthetic (milkreport)",
                "copyright_license": "CC-0",
                "image_manipulation": case.manipulation[view],
                **case.patient,
                **dict(zip(MONET, np.round(case.monet[view], 12).tolist(), strict=True)),
            }
            images.append(row)
            fields = dict(zip(BANNED, case.diagnosis, strict=True))
            supplement.append({"isic_id": case.isic_ids[view], **fields})
    metadata = pd.DataFrame(images).astype({"age_approx": "Int64"})
    truth = pd.DataFrame({"lesion_id": [case.lesion_id for case in cohort]})
    for name in CLASSES:
        truth[name] = [float(case.label == name) for case in cohort]
    return {
        METADATA: metadata,
        GROUND_TRUTH: truth,
        SUPPLEMENT: pd.DataFrame(supplement).sort_values("isic_id"),
    }
