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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from milkreport.data.milk10k import (
    BANNED,
    CLASSES,
    GROUND_TRUTH,
    IMAGES,
    METADATA,
    MONET,
    SYNTHETIC_MARK,
    VIEWS,
)
from milkreport.data.synthetic_lesions import Lesion, draw_pair
from milkreport.errors import ConfigError, DataError, EnvironmentProblem

SUPPLEMENT = "MILK10k_Training_Supplement.csv"
FLOOR = 6  # lesions a class has at least: one for each of 5 folds, and one to lose
FEWEST_CASES = FLOOR * len(CLASSES)
MOST_CASES = 1_000_000
SIZES = (16, 1024)  # pixels
_IMAGE_TYPES = tuple(VIEWS.values())
_SIGNS = {"hair": "MONET_hair", "gel": MONET[5], "ink": MONET[6]}
# Which scores go with which drawing traits: a higher score, more of the trait.
_DRIVEN = {
    "MONET_ulceration_crust": ("scale", "keratin", "crust", "plug"),
    "MONET_vasculature_vessels": ("vessels", "dots", "lacunae"),
    "MONET_erythema": ("blood", "halo"),
    "MONET_pigmented": ("melanin", "blue", "network"),
}
_NOTE = (
    "Invented by milkreport: drawn images, tables sampled from summary statistics. Not medical "
    "data; figures obtained on it say nothing about real lesions."
)


@dataclass(frozen=True)
class _Case:
    """One lesion's rows; ``monet`` and ``isic_ids`` are (clinical, dermoscopic)."""

    lesion_id: str
    isic_ids: tuple[str, str]
    label: str
    patient: dict[str, Any]
    manipulation: tuple[str, str]
    monet: NDArray[np.float64]
    diagnosis: tuple[str, str, str]
    picture: Lesion


def write_synthetic(
    directory: Path,
    *,
    cases: int,
    seed: int,
    size: int,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Writes a synthetic MILK10k of ``cases`` lesions (two images each) into ``directory``.

    The same arguments give the same bytes (with the same NumPy, SciPy and Pillow); a lesion's
    image pair depends on the seed, its place among the cases and its class. Classes are as
    frequent as in the 5,189 cleaned real lesions, by largest remainder, but none has fewer than 6
    lesions, so that stratified splits work: below about 3,500 cases the rarest classes are
    more frequent than in reality. A few lesions lack age or site (as 51 of 5,240 real ones do);
    where possible none of them comes from a class that has no more than 6 complete lesions.

    Everything is first written beside ``directory`` and then moved there at once: a folder that
    bears the name is complete.

    Args:
        directory: where to write; absent or an empty folder.
        cases: lesions, 66 (6 a class) to 1,000,000.
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
    if directory.exists() and not (directory.is_dir() and not any(directory.iterdir())):
        do = "remove it or choose another folder"
        raise DataError("exists and is not an empty folder", do, str(directory))

    building = directory.with_name(f".{directory.name}.{secrets.token_hex(4)}.partial")
    try:
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


def apportion(cases: int, frequencies: Mapping[str, float], floor: int) -> dict[str, int]:
    """Shares ``cases`` out by largest remainder, at least ``floor`` for every name.

    Names whose exact share lies below the floor get the floor; the rest is shared out among the
    others. Ties go to the name that stands first. Needs ``cases >= floor * len(frequencies)``.
    """
    free = dict(frequencies)
    while True:
        left = cases - floor * (len(frequencies) - len(free))
        share = {name: left * f / sum(free.values()) for name, f in free.items()}
        low = [name for name, s in share.items() if s < floor]
        if not low or len(low) == len(free):
            break
        for name in low:
            del free[name]
    counts = {name: int(share[name]) if name in share else floor for name in frequencies}
    by_remainder = sorted(share, key=lambda name: int(share[name]) - share[name])
    for name in by_remainder[: cases - sum(counts.values())]:
        counts[name] += 1
    return counts


def _write_all(
    root: Path, cases: int, seed: int, size: int, progress: Callable[[int], None] | None
) -> None:
    cohort = _draw_cohort(cases, seed)
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


@cache
def _profile() -> dict[str, Any]:
    text = Path(__file__).with_name("synthetic_profile.json").read_text(encoding="utf-8")
    profile: dict[str, Any] = json.loads(text)
    return profile


def _draw_cohort(cases: int, seed: int) -> list[tuple[int, _Case]]:
    """All lesions with their index, sorted by id."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    counts = apportion(cases, _profile()["counts"], FLOOR)
    labels = rng.permutation(np.repeat(list(counts), list(counts.values())))
    numbers = rng.choice(10_000_000, cases, replace=False)
    images = rng.choice(10_000_000, (cases, 2), replace=False)
    lacking = _choose_incomplete(labels, rng)
    cohort = []
    for i in np.argsort(numbers):
        own = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, int(i))))
        ids = (f"ISIC_{images[i, 0]:07d}", f"ISIC_{images[i, 1]:07d}")
        case = _draw_case(f"IL_{numbers[i]:07d}", ids, str(labels[i]), lacking.get(int(i)), own)
        cohort.append((int(i), case))
    return cohort


def _choose_incomplete(labels: NDArray[Any], rng: np.random.Generator) -> dict[int, str]:
    """Which lesion (by index) lacks which field; nobody lacks both, as in the real set."""
    complete = {name: int((labels == name).sum()) for name in CLASSES}
    lacking: dict[int, str] = {}
    for (field, rate), least in zip(_profile()["missing_per_lesion"].items(), (2, 3), strict=True):
        for _ in range(max(least, round(rate * len(labels)))):
            bound = min(FLOOR, max(complete.values()) - 1)
            open_to = [
                i for i, name in enumerate(labels) if complete[name] > bound and i not in lacking
            ]
            chosen = int(rng.choice(open_to))
            lacking[chosen] = field
            complete[str(labels[chosen])] -= 1
    return lacking


def _draw_case(
    lesion_id: str,
    isic_ids: tuple[str, str],
    label: str,
    lacking: str | None,
    rng: np.random.Generator,
) -> _Case:
    p = _profile()
    mean, sd = p["age_mean_sd"][label]
    age = int(np.clip(5 * np.round(rng.normal(mean, sd) / 5), 5, 85))
    site = str(rng.choice(p["site_names"], p=_shares(p["site"][label])))
    patient = {
        "age_approx": None if lacking == "age_approx" else age,
        "sex": "male" if rng.random() < p["male"][label] else "female",
        "skin_tone_class": int(rng.choice(6, p=_shares(p["skin_tone"][label]))),
        "site": None if lacking == "site" else site,
    }
    standard = rng.multivariate_normal(np.zeros(2 * len(MONET)), p["monet_correlation"])
    logits = standard.reshape(2, -1).copy()
    signs = np.empty_like(logits)
    for row, image_type in enumerate(_IMAGE_TYPES):
        own, every = p["monet"][image_type], p["monet_all"][image_type]
        logits[row] = logits[row] * own["sd"][label] + own["mean"][label]
        signs[row] = (logits[row] - every["mean"]) / every["sd"]
    altered = [rng.random() < p["altered"][image_type] for image_type in _IMAGE_TYPES]
    manipulation = tuple("altered" if a else "instrument only" for a in altered)
    scores = {name: _pair(signs[:, column]) for column, name in enumerate(MONET)}
    return _Case(
        lesion_id,
        isic_ids,
        label,
        patient,
        (manipulation[0], manipulation[1]),
        1.0 / (1.0 + np.exp(-logits)),
        _draw_diagnosis(label, rng),
        Lesion(
            _draw_traits(label, scores, rng),
            patient["skin_tone_class"],
            age,
            {sign: scores[name] for sign, name in _SIGNS.items()},
        ),
    )


def _draw_traits(
    label: str, scores: Mapping[str, tuple[float, float]], rng: np.random.Generator
) -> dict[str, float]:
    """A pattern that the class shows, each trait of it varied and drawn along by its score."""
    looks = _profile()["looks"]
    patterns: dict[str, float] = looks["patterns"][label]
    name = str(rng.choice(list(patterns), p=_shares(list(patterns.values()))))
    driver = {trait: score for score, traits in _DRIVEN.items() for trait in traits}
    traits: dict[str, float] = {}
    for trait, median in looks["traits"][name].items():
        spread, pull = (0.22, 0.0) if trait == "radius" else (0.35, 0.0)
        if trait == "elong":
            traits[trait] = 1.0 + (median - 1.0) * float(np.exp(rng.normal(0, 0.6)))
            continue
        if trait in driver:
            spread, pull = 0.28, 0.22 * float(np.clip(np.mean(scores[driver[trait]]), -2.5, 2.5))
        traits[trait] = median * float(np.exp(rng.normal(0, spread) + pull))
    return traits


def _draw_diagnosis(label: str, rng: np.random.Generator) -> tuple[str, str, str]:
    """The Supplement's three fields."""
    p = _profile()
    names: dict[str, float] = p["diagnosis_full"][label]
    name = str(rng.choice(list(names), p=_shares(list(names.values()))))
    seen = rng.random() < p["histopathology"][label]
    thickness = ""
    if name == "Melanoma Invasive":
        depths: dict[str, float] = p["thickness_of_MEL"]
        thickness = str(rng.choice(list(depths), p=_shares(list(depths.values()))))
    confirmed = "histopathology" if seen else "single contributor clinical assessment"
    return name, confirmed, thickness


def _tables(cohort: Sequence[_Case]) -> dict[str, pd.DataFrame]:
    images, supplement = [], []
    for case in cohort:
        for view, image_type in enumerate(_IMAGE_TYPES):
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


def _shares(values: Sequence[float]) -> NDArray[np.float64]:
    """The profile's rounded frequencies, made to sum to exactly 1."""
    array = np.asarray(values, dtype=np.float64)
    return array / array.sum()


def _pair(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values[0]), float(values[1])
