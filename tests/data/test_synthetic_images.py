"""The synthetic images: what traits and scores do to them, and how much can be learnt from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from milkreport.data.synthetic.lesions import Lesion, draw_pair
from milkreport.data.synthetic.write import write_synthetic


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic") / "milk10k"
    write_synthetic(root, cases=600, seed=11, size=32)
    return root


# --- the pictures -----------------------------------------------------------------------------


def lesion(tone: int = 3, hair: float = -3.0, ink: float = -9.0, **traits: float) -> Lesion:
    shape = {"radius": 0.45, "elong": 1.0, "wobble": 0.05, "soft": 0.1}
    signs = {"hair": (hair, hair), "gel": (-3.0, -3.0), "ink": (ink, ink)}
    return Lesion(shape | traits, tone, 50, signs)


def mean_of(drawn: Lesion, view: int, part: str, draws: int = 12) -> np.ndarray:
    """The mean colour of the middle or of the surroundings, over some draws."""
    middle = (slice(27, 37), slice(27, 37))
    values = []
    for seed in range(draws):
        image = draw_pair(drawn, 64, np.random.default_rng(seed))[view].astype(float)
        values.append(image[middle].mean((0, 1)) if part == "middle" else image.mean((0, 1)))
    return np.mean(values, axis=0)


def test_a_pair_depends_on_its_own_generator_alone() -> None:
    drawn = lesion(melanin=1.0, vessels=0.8, nests=0.5)
    first, _, again = (draw_pair(drawn, 24, np.random.default_rng(s)) for s in (0, 1, 0))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.slow
def test_traits_colour_the_lesion_as_named() -> None:
    for view in (0, 1):
        skin = mean_of(lesion(), view, "middle")
        brown = mean_of(lesion(melanin=1.5), view, "middle")
        red = mean_of(lesion(blood=1.2), view, "middle")
        blue = mean_of(lesion(blue=1.5), view, "middle")
        assert brown.sum() < skin.sum() - 150
        assert red[1] < skin[1] - 30
        assert red[0] > 0.8 * skin[0]
        assert blue[2] - blue[0] > skin[2] - skin[0] + 15


def test_darker_skin_is_darker() -> None:
    for view in (0, 1):
        light = [mean_of(lesion(tone), view, "all").sum() for tone in (0, 2, 5)]
        assert light == sorted(light)


def edges_of(drawn: Lesion, draws: int = 30) -> float:
    """Mean step between neighbouring pixels of the dermoscopic image, in grey levels."""
    images = [draw_pair(drawn, 64, np.random.default_rng(s))[1].astype(float) for s in range(draws)]
    return float(np.mean([np.abs(np.diff(image, axis=1)).mean() for image in images]))


@pytest.mark.slow
def test_hair_and_ink_follow_their_scores() -> None:
    assert edges_of(lesion(hair=2.0)) > 1.5 * edges_of(lesion(hair=-3.0))
    clean, marked = (mean_of(lesion(ink=i), 1, "all", 40) for i in (-9.0, 9.0))
    assert marked[2] - marked[0] > clean[2] - clean[0]


# --- how much can be learnt -------------------------------------------------------------------


@pytest.fixture(scope="module")
def task(made: Path) -> tuple[np.ndarray, np.ndarray]:
    """Metadata and simple colour features of each lesion, and its label."""
    truth = pd.read_csv(made / "MILK10k_Training_GroundTruth.csv")
    images, label = (
        pd.read_csv(made / "MILK10k_Training_Metadata.csv"),
        truth.set_index("lesion_id").idxmax(axis=1),
    )
    views = [v.set_index("lesion_id").loc[label.index] for _, v in images.groupby("image_type")]
    scores = [view.filter(like="MONET_").to_numpy() for view in views]
    patient = views[0][["age_approx", "skin_tone_class"]].fillna(60).to_numpy()
    patient = np.column_stack(
        [patient, views[0]["sex"] == "male", pd.get_dummies(views[0]["site"])]
    )
    colours = []
    for lesion_id in label.index:
        row: list[float] = []
        for view in views:
            name = f"{lesion_id}/{view['isic_id'][lesion_id]}.jpg"
            with Image.open(made / "MILK10k_Training_Input" / name) as opened:
                pixels = np.asarray(opened, dtype=float) / 255
            middle = pixels[11:21, 11:21]
            for part in (middle, pixels):
                row += [*part.mean((0, 1)), *part.std((0, 1))]
        colours.append(row)
    return np.column_stack([*scores, patient, colours]).astype(float), label.to_numpy(dtype=str)


def cross_validated(features: np.ndarray, label: np.ndarray) -> np.ndarray:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=2000))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return np.asarray(cross_val_predict(model, features, label, cv=folds))


@pytest.mark.slow
def test_the_task_can_be_learnt_but_not_solved(task: tuple[np.ndarray, np.ndarray]) -> None:
    features, label = task
    found = cross_validated(features, label)
    majority = np.mean(label == "BCC")
    assert 0.42 < majority < 0.52
    assert majority + 0.12 < accuracy_score(label, found) < 0.90
    # Always answering BCC would give 1 / 11 = 0.09.
    assert 0.22 < balanced_accuracy_score(label, found) < 0.80


def test_the_images_carry_signal_of_their_own(task: tuple[np.ndarray, np.ndarray]) -> None:
    features, label = task
    found = cross_validated(features[:, -24:], label)
    assert balanced_accuracy_score(label, found) > 0.18


def test_shuffled_labels_cannot_be_learnt(task: tuple[np.ndarray, np.ndarray]) -> None:
    features, label = task
    shuffled = np.random.default_rng(0).permutation(label)
    found = cross_validated(features, shuffled)
    assert balanced_accuracy_score(shuffled, found) < 0.14
    assert accuracy_score(shuffled, found) <= np.mean(label == "BCC") + 0.02


def test_tables_and_images_agree(made: Path, task: tuple[np.ndarray, np.ndarray]) -> None:
    images = pd.read_csv(made / "MILK10k_Training_Metadata.csv")
    pigment = images.loc[images["image_type"] == "dermoscopic", "MONET_pigmented"]
    features, _ = task
    brightness = features[:, -12:-9].sum(axis=1)  # middle of the dermoscopic image
    assert spearmanr(pigment, brightness).statistic < -0.3
