"""Draws the lesions of a synthetic MILK10k: class, patient, scores, diagnosis and looks.

All distributions come from ``synthetic_profile.json``: summary statistics of the real tables, and
(under ``looks``) drawing traits set by hand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milkreport.data.adapters.milk10k import VIEWS
from milkreport.data.adapters.milk10k_tables import MONET
from milkreport.data.synthetic.lesions import Lesion

FLOOR = 6  # lesions a class has at least: one for each of 5 folds, and one to lose
_IMAGE_TYPES = tuple(VIEWS.values())
_SIGNS = {"hair": MONET[1], "gel": MONET[5], "ink": MONET[6]}
# Which scores go with which drawing traits: a higher score, more of the trait.
_DRIVEN = {
    "MONET_ulceration_crust": ("scale", "keratin", "crust", "plug"),
    "MONET_vasculature_vessels": ("vessels", "dots", "lacunae"),
    "MONET_erythema": ("blood", "halo"),
    "MONET_pigmented": ("melanin", "blue", "network"),
}


@dataclass(frozen=True)
class SyntheticCase:
    """One lesion's rows and looks; pairs are (clinical, dermoscopic).

    Attributes:
        patient: the columns age_approx (years), sex, skin_tone_class and site; missing is None.
        monet: the 7 scores (0 to 1) of both views, 2 x 7, in the order of `MONET`.
        diagnosis: the Supplement's three fields, in the order of `BANNED`.
        picture: what the painter draws.
    """

    lesion_id: str
    isic_ids: tuple[str, str]
    label: str
    patient: dict[str, int | str | None]
    manipulation: tuple[str, str]
    monet: NDArray[np.float64]
    diagnosis: tuple[str, str, str]
    picture: Lesion


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


@cache
def _profile() -> dict[str, Any]:
    text = Path(__file__).with_name("synthetic_profile.json").read_text(encoding="utf-8")
    profile: dict[str, Any] = json.loads(text)
    return profile


@cache
def _monet_mixing() -> NDArray[np.float64]:
    """Turns independent standard normals into ones correlated as the 14 scores are."""
    return np.linalg.cholesky(np.asarray(_profile()["monet_correlation"], dtype=np.float64))


def draw_cohort(cases: int, seed: int) -> list[tuple[int, SyntheticCase]]:
    """Draws all lesions of a data set; each with its index, sorted by lesion id.

    Args:
        cases: how many, at least `FLOOR` for each class.
        seed: any whole number from 0; a lesion's draws depend on it, its index and its class.
    """
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
    _, codes = np.unique(labels, return_inverse=True)
    complete, untouched = np.bincount(codes), np.ones(len(labels), dtype=bool)
    lacking: dict[int, str] = {}
    for (field, rate), least in zip(_profile()["missing_per_lesion"].items(), (2, 3), strict=True):
        for _ in range(max(least, round(rate * len(labels)))):
            # Classes at the floor keep their lesions, as long as there are others.
            bound = min(FLOOR, complete.max() - 1)
            chosen = int(rng.choice(np.flatnonzero(untouched & (complete[codes] > bound))))
            lacking[chosen] = field
            untouched[chosen] = False
            complete[codes[chosen]] -= 1
    return lacking


def _draw_case(
    lesion_id: str,
    isic_ids: tuple[str, str],
    label: str,
    lacking: str | None,
    rng: np.random.Generator,
) -> SyntheticCase:
    p = _profile()
    mean, sd = p["age_mean_sd"][label]
    age = int(np.clip(5 * np.round(rng.normal(mean, sd) / 5), 5, 85))
    site = str(rng.choice(p["site_names"], p=_shares(p["site"][label])))
    tone = int(rng.choice(6, p=_shares(p["skin_tone"][label])))
    patient: dict[str, int | str | None] = {
        "age_approx": None if lacking == "age_approx" else age,
        "sex": "male" if rng.random() < p["male"][label] else "female",
        "skin_tone_class": tone,
        "site": None if lacking == "site" else site,
    }
    standard = _monet_mixing() @ rng.standard_normal(2 * len(MONET))
    logits = standard.reshape(2, -1).copy()
    signs = np.empty_like(logits)
    for row, image_type in enumerate(_IMAGE_TYPES):
        own, every = p["monet"][image_type], p["monet_all"][image_type]
        logits[row] = logits[row] * own["sd"][label] + own["mean"][label]
        signs[row] = (logits[row] - every["mean"]) / every["sd"]
    altered = [rng.random() < p["altered"][image_type] for image_type in _IMAGE_TYPES]
    manipulation = tuple("altered" if a else "instrument only" for a in altered)
    scores = {name: _pair(signs[:, column]) for column, name in enumerate(MONET)}
    return SyntheticCase(
        lesion_id,
        isic_ids,
        label,
        patient,
        (manipulation[0], manipulation[1]),
        1.0 / (1.0 + np.exp(-logits)),
        _draw_diagnosis(label, rng),
        Lesion(
            _draw_traits(label, scores, rng),
            tone,
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
        spread, pull = (0.22 if trait == "radius" else 0.35), 0.0
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


def _shares(values: Sequence[float]) -> NDArray[np.float64]:
    """The profile's rounded frequencies, made to sum to exactly 1."""
    total = sum(values)
    return np.array([value / total for value in values], dtype=np.float64)


def _pair(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values[0]), float(values[1])
