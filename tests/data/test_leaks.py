"""What leaks the label, or a case across a split, is refused or reported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from milkreport.data.cases import Card, Cases, Feature
from milkreport.data.leaks import leaky_features
from milkreport.data.splits import Fold, refuse_straddling
from milkreport.errors import DataError
from milkreport.runs.proof import prove_splits


def write(folder: Path, splits: list[tuple[str, str, int, str]], images: dict[str, str]) -> None:
    columns = ["case_id", "group_id", "fold", "part"]
    pd.DataFrame(splits, columns=columns).to_csv(folder / "splits.csv", index=False)
    table = pd.DataFrame({"case_id": list(images), "image_hash": list(images.values())})
    table.to_csv(folder / "images.csv", index=False)


SOUND = [
    ("a", "g1", 0, "train"), ("b", "g1", 0, "train"), ("c", "g2", 0, "test"),
    ("a", "g1", 1, "test"), ("b", "g1", 1, "test"), ("c", "g2", 1, "train"),
]  # fmt: skip
IMAGES = {"a": "1", "b": "2", "c": "3"}


def prove(folder: Path):
    return prove_splits(folder / "splits.csv", folder / "images.csv")


def test_a_sound_split_is_proven(tmp_path: Path) -> None:
    write(tmp_path, SOUND, IMAGES)
    proof = prove(tmp_path)
    assert (proof.folds, proof.comparisons, proof.groups) == (2, 2, 2)
    assert (proof.shared_cases, proof.shared_groups, proof.shared_images) == (0, 0, 0)


def test_a_group_in_two_parts_is_found(tmp_path: Path) -> None:
    write(tmp_path, [*SOUND, ("d", "g1", 0, "test")], IMAGES)
    with pytest.raises(DataError, match="leakage: g1 stands in train and test of fold 0"):
        prove(tmp_path)


def test_a_case_in_two_parts_is_found(tmp_path: Path) -> None:
    """Row 24 of the table of bad inputs."""
    write(tmp_path, [*SOUND, ("a", "g9", 0, "validation")], IMAGES)
    with pytest.raises(DataError, match="leakage: a stands in train and validation of fold 0"):
        prove(tmp_path)


def test_an_image_in_two_parts_is_found(tmp_path: Path) -> None:
    write(tmp_path, SOUND, IMAGES | {"c": "1"})
    with pytest.raises(DataError, match="leakage: an image stands in"):
        prove(tmp_path)


def test_row_24_a_straddling_group_stops_the_run(tmp_path: Path) -> None:
    table = pd.DataFrame({"case_id": list("abc"), "group_id": ["g", "h", "g"], "label": "x"})
    cases = Cases(table, (), (), ("x",), Card("made", "", ""), tmp_path)
    fold = Fold(0, np.array([0]), np.array([], int), np.array([2]))
    with pytest.raises(DataError, match="leakage: group g stands in train and test"):
        refuse_straddling(fold, cases)


def made(n: int, rng: np.random.Generator) -> pd.DataFrame:
    label = rng.choice(["x", "y"], n, p=[0.7, 0.3])
    return pd.DataFrame(
        {
            "label": label,
            "telling": np.where(label == "x", "no", "yes"),
            "noise": rng.choice(["a", "b"], n),
            "measure": rng.normal(size=n),
            "constant": "same",
        }
    )


def test_a_column_that_names_the_class_is_told_of() -> None:
    table = made(400, np.random.default_rng(0))
    columns = ["telling", "noise", "measure", "constant"]
    features = [Feature(column, "categorical") for column in columns]
    (line,) = leaky_features(table, features)
    assert line.startswith("telling alone names the class of 100.0%")


def test_few_cases_a_value_say_nothing() -> None:
    table = made(400, np.random.default_rng(1))
    table["id"] = [f"case {i}" for i in range(400)]
    assert leaky_features(table, [Feature("id", "categorical")]) == ()
