"""Rare classes: which are, and what a description can do about them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from milkreport.data.adapters.load import load_cases
from milkreport.data.adapters.spec import DataSpec
from milkreport.data.cleaning import clean
from milkreport.errors import ConfigError, DataError
from milkreport.suite.toml import validate

FINGERPRINT_OF_0_1_1 = "ba49d650fedf3b92bcd9ef8f0ea6d51f2bf537529fa66fcb8ce59468b373c6d6"
COUNTS = {"nevus": 12, "melanoma": 8, "wart": 3, "angioma": 2, "odd": 1}
DESCRIPTION = """
adapter = "table"
name = "moles"
{keys}
[table]
file = "cases.csv"
case = "photo"
label = "finding"
[views.image]
column = "photo"
"""


@pytest.fixture
def moles(tmp_path: Path) -> Path:
    """26 images of five classes, three of them rare; without a description."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "moles"
    folder.mkdir()
    rows = [
        (f"p{i:02d}.png", c) for i, c in enumerate(c for c, n in COUNTS.items() for _ in range(n))
    ]
    for name, _ in rows:
        Image.fromarray(rng.integers(0, 255, (20, 20, 3), dtype=np.uint8)).save(folder / name)
    pd.DataFrame(rows, columns=["photo", "finding"]).to_csv(folder / "cases.csv", index=False)
    return folder


def describe(folder: Path, keys: str = "") -> Path:
    (folder / "milkreport.toml").write_text(DESCRIPTION.format(keys=keys), encoding="utf-8")
    return folder


def test_data_check_lists_every_rare_class_with_its_count(in_process, moles: Path) -> None:
    outcome = in_process("data", "check", describe(moles))
    assert outcome.code == 0
    rare = [row["what"] for row in outcome.problems if row["kind"] == "rare class"]
    assert rare == [
        "class angioma has 2 cases in 2 groups: 5 folds need 5 in 2 groups, "
        "5 folds and a validation part (cv5) need 6 in 3 groups",
        "class odd has 1 case in 1 group: a hold-out split needs 2 in 2 groups, 5 folds need 5 in 2 groups, "
        "5 folds and a validation part (cv5) need 6 in 3 groups",
        "class wart has 3 cases in 3 groups: 5 folds need 5 in 2 groups, "
        "5 folds and a validation part (cv5) need 6 in 3 groups",
    ]


def test_a_dry_run_lists_them_all(in_process, moles: Path) -> None:
    outcome = in_process("run-all", "cv5", "--data", describe(moles), "--dry-run", "--out", "run")
    assert outcome.code == 3
    assert (
        "class angioma has 2 cases, class odd has 1 case, class wart has 3 cases, this split needs 6"
        in outcome.stderr
    )


def test_classes_are_left_out_and_counted(moles: Path, tmp_path: Path) -> None:
    cases = load_cases(describe(moles, 'drop = ["odd", "wart"]'), "auto", tmp_path)
    assert cases.class_counts() == {"angioma": 2, "melanoma": 8, "nevus": 12}
    assert "classes left out: odd (1), wart (3)" in cases.remarks
    cleaned = clean(cases, "paper")
    assert cleaned.n_found == 26
    assert cleaned.removed["reason"].value_counts().to_dict() == {
        "class wart is dropped": 3,
        "class odd is dropped": 1,
    }
    assert list(cleaned.removed["case_id"]) == ["p20.png", "p21.png", "p22.png", "p25.png"]


def test_rare_classes_are_folded_after_drop_and_merge(moles: Path, tmp_path: Path) -> None:
    keys = 'drop = ["odd"]\nmerge = { benign = ["nevus", "wart"] }\n'
    keys += 'rare = { below = 9, into = "other" }'
    cases = load_cases(describe(moles, keys), "auto", tmp_path)
    assert cases.class_counts() == {"other": 10, "benign": 15}
    assert "merged into benign: nevus (12), wart (3)" in cases.remarks
    assert "folded into other, fewer than 9 cases each: angioma (2), melanoma (8)" in cases.remarks


def test_rare_classes_can_join_one_that_is_there(moles: Path, tmp_path: Path) -> None:
    keys = 'positive = ["melanoma", "angioma"]\nrare = { below = 4, into = "nevus" }'
    cases = load_cases(describe(moles, keys), "auto", tmp_path)
    assert cases.class_counts() == {"nevus": 18, "melanoma": 8}
    assert any("positive names angioma" in line for line in cases.remarks)


def test_a_label_that_is_not_there_is_named(moles: Path, tmp_path: Path) -> None:
    cases = load_cases(describe(moles, 'drop = ["warts"]'), "auto", tmp_path)
    assert "drop or merge names 'warts', which is not the label of any case" in cases.remarks
    assert cases.left_out == ()


def test_a_dropped_label_need_not_be_a_class(moles: Path, tmp_path: Path) -> None:
    keys = 'drop = ["odd", "wart", "angioma"]\nclasses = { nevus = "", melanoma = "" }'
    cases = load_cases(describe(moles, keys), "auto", tmp_path)
    assert cases.classes == ("nevus", "melanoma")


def test_folders_have_the_same_keys(moles: Path, tmp_path: Path) -> None:
    root = tmp_path / "folders"
    table = pd.read_csv(moles / "cases.csv")
    for photo, finding in table.itertuples(index=False):
        (root / finding).mkdir(parents=True, exist_ok=True)
        (moles / photo).rename(root / finding / photo)
    keys = (
        'adapter = "folder"\nname = "moles"\ndrop = ["odd"]\nrare = { below = 4, into = "rest" }\n'
    )
    (root / "milkreport.toml").write_text(keys, encoding="utf-8")
    cases = load_cases(root, "auto", tmp_path)
    assert cases.class_counts() == {"rest": 5, "melanoma": 8, "nevus": 12}


def test_one_class_is_no_problem_to_learn(moles: Path, tmp_path: Path) -> None:
    describe(moles, 'rare = { below = 100, into = "other" }')
    with pytest.raises(DataError, match="1 class is left after drop, merge and rare"):
        load_cases(moles, "auto", tmp_path)


def test_keys_that_contradict_are_refused() -> None:
    values = {"adapter": "folder", "name": "x", "drop": ["a"], "merge": {"m": ["a", "b"]}}
    with pytest.raises(ConfigError, match="a stands in drop and in merge"):
        validate(DataSpec, values)
    with pytest.raises(ConfigError, match="below"):
        validate(DataSpec, {"adapter": "folder", "name": "x", "rare": {"below": 1, "into": "o"}})


def test_runs_of_descriptions_without_these_keys_go_on() -> None:
    """The fingerprint of 0.1.1, by which a run knows its data again."""
    plain = validate(DataSpec, {"adapter": "folder", "name": "x"})
    assert plain.fingerprint() == FINGERPRINT_OF_0_1_1
    assert plain.model_copy(update={"drop": ["a"]}).fingerprint() != FINGERPRINT_OF_0_1_1
