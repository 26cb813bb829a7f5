"""Cases of one patient: patterns over ids, columns and paths, and names that say so."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from milkreport.data.adapters.load import load_cases
from milkreport.data.adapters.spec import TableSpec, load_spec
from milkreport.data.init.propose import write_proposal
from milkreport.data.patterns import compile_pattern
from milkreport.data.stems import shared_stem
from milkreport.errors import ConfigError, DataError, DataProblems
from milkreport.suite.toml import validate

EYES = [f"{patient}_{side}" for patient in range(10, 22) for side in ("left", "right")]


def images(folder: Path, names: Sequence[str]) -> None:
    rng = np.random.default_rng(0)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (20, 20, 3), dtype=np.uint8)).save(folder / name)


@pytest.fixture
def eyes(tmp_path: Path) -> Path:
    """24 fellow eyes of 12 patients: their names alone say who is who."""
    folder = tmp_path / "eyes"
    images(folder, [f"{name}.png" for name in EYES])
    level = ["sick" if n % 3 else "well" for n in range(len(EYES))]
    pd.DataFrame({"image": EYES, "level": level}).to_csv(folder / "labels.csv", index=False)
    return folder


def describe(folder: Path, table: str) -> Path:
    text = f"""
adapter = "table"
name = "eyes"
[table]
file = "labels.csv"
case = "image"
label = "level"
{table}
[views.image]
column = "image"
"""
    (folder / "milkreport.toml").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "table",
    [
        "group_pattern = '^([0-9]+)_'",
        "group = 'image'\ngroup_pattern = '^([0-9]+)_'",
        "group_path = '([0-9]+)_(?:left|right)[.]png$'",
    ],
    ids=["ids", "a column", "paths"],
)
def test_a_pattern_finds_the_groups(eyes: Path, tmp_path: Path, table: str) -> None:
    cases = load_cases(describe(eyes, table), "auto", tmp_path).table
    assert cases["group_id"].tolist() == [name.partition("_")[0] for name in cases["case_id"]]


def test_every_id_that_a_pattern_misses_is_named(eyes: Path, tmp_path: Path) -> None:
    with pytest.raises(DataProblems) as caught:
        load_cases(describe(eyes, "group_pattern = '^(1[0-9])_'"), "auto", tmp_path)
    assert [p.where for p in caught.value.problems] == [
        "20_left",
        "20_right",
        "21_left",
        "21_right",
    ]
    assert "table.group_pattern '^(1[0-9])_' does not match" in caught.value.problems[0].what


def test_patterns_are_checked() -> None:
    for pattern, message in {"[0-9]+": "one bracketed part", "(a)(?=b)": "look-arounds"}.items():
        with pytest.raises(ConfigError, match=message):
            validate(TableSpec, {"file": "t", "case": "c", "group_pattern": pattern})
    with pytest.raises(ConfigError, match="group_path stands alone"):
        validate(TableSpec, {"file": "t", "case": "c", "group": "g", "group_path": "(a)"})


def test_ids_that_share_a_stem_are_warned_of(in_process, eyes: Path) -> None:
    outcome = in_process("data", "check", describe(eyes, ""))
    (line,) = (row["what"] for row in outcome.problems if row["kind"] == "remark")
    assert line.startswith(
        "10_left and 10_right may stem from one patient (24 names have 12 stems), and a split may part "
        "them: [table] group_pattern = "
    )
    assert "24 groups" in outcome.stderr
    # What it names is what helps.
    pattern = line.partition("group_pattern = ")[2].partition(" keeps")[0]
    outcome = in_process("data", "check", describe(eyes, f"group_pattern = {pattern}"), "--json")
    record = json.loads(outcome.stdout)
    assert record["groups"] == 12
    assert not [w for w in record["warnings"] if w["kind"] == "remark"]


@pytest.mark.slow
def test_a_dry_run_warns_of_them_too(in_process, eyes: Path) -> None:
    outcome = in_process(
        "run-all", "quick", "--data", describe(eyes, ""), "--dry-run", "--out", "run",
        "--set", "data.image_size=16", "--set", "model.metadata_hidden_layers=1",
    )  # fmt: skip
    assert outcome.code == 0, outcome.stderr
    assert "10_left and 10_right may stem from one patient" in outcome.stderr


def test_names_of_files_and_of_class_folders_are_looked_at(eyes: Path, tmp_path: Path) -> None:
    table = pd.read_csv(eyes / "labels.csv")
    table.assign(key=[f"k{n:04d}" for n in range(24)]).to_csv(eyes / "labels.csv", index=False)
    describe(eyes, "")
    text = (eyes / "milkreport.toml").read_text(encoding="utf-8")
    (eyes / "milkreport.toml").write_text(text.replace('case = "image"', 'case = "key"'))
    assert any("[table] group_path" in line for line in load_cases(eyes, "auto", tmp_path).remarks)

    folders = tmp_path / "folders"
    images(folders, [f"{'ab'[n % 5 // 3]}/{name}.png" for n, name in enumerate(EYES)])
    assert any("[folder] group" in line for line in load_cases(folders, "auto", tmp_path).remarks)


@pytest.mark.parametrize(
    "pair",
    [
        ("{}_left", "{}_right"),
        ("{}OD", "{}OS"),
        ("{}_left_2", "{}_right_1"),
        ("{}_lefteye", "{}_righteye"),
        ("left_{}", "right_{}"),
        ("L_{}.png", "R_{}.png"),
        ("case{}_img3", "case{}_img4"),
        ("{} (1)", "{} (2)"),
        ("{}_LCC", "{}_RMLO"),
        ("{}_LEFT_CC", "{}_RIGHT_CC"),
        ("P{}-L0.png", "P{}-L1.png"),
    ],
)
def test_usual_names_of_sides_and_views_are_found(pair: tuple[str, str]) -> None:
    names = [name.format(i) for i in range(100, 130) for name in pair]
    found = shared_stem(names, 2)
    assert found is not None
    assert (found.n, found.alike) == (30, tuple(name.format(100) for name in pair))
    safe_pattern = compile_pattern(found.pattern)
    assert all(safe_pattern.search(name) for name in names)


@pytest.mark.parametrize(
    "names",
    [
        [f"ISIC_{n:07d}" for n in range(50)],
        [f"img_{n}" for n in range(50)],
        [f"{kind}_{n}" for kind in ("cat", "dog", "hen", "pig", "cow", "fox") for n in range(50)],
        [f"{n:04d}" for n in range(50)],
    ],
    ids=["numbered", "one series", "series by class", "numbers"],
)
def test_other_names_share_no_stem(names: list[str]) -> None:
    """Negative control."""
    assert shared_stem(names, 6) is None


def test_files_that_another_column_names_are_not_said_to_be_of_no_case(
    in_process, eyes: Path
) -> None:
    images(eyes, ["masks/10_left_mask.png", "masks/10_right_mask.png", "stray.png"])
    table = pd.read_csv(eyes / "labels.csv")
    masks = ["masks/10_left_mask.png", "10_right_mask", *["none"] * 22]
    table.assign(mask=masks).to_csv(eyes / "labels.csv", index=False)
    outcome = in_process("data", "check", describe(eyes, "group_pattern = '^([0-9]+)_'"))
    extra = [row["where"] for row in outcome.problems if row["kind"] == "extra image"]
    assert extra == ["stray.png"]
    assert "24 images; 2 more, which other columns name" in outcome.stderr


def test_data_init_proposes_the_pattern(eyes: Path, tmp_path: Path) -> None:
    spec = load_spec(write_proposal(eyes, None, None, tmp_path))
    assert spec.table is not None
    assert spec.table.group_pattern
    assert load_cases(eyes, "auto", tmp_path).table["group_id"].nunique() == 12
    folders = tmp_path / "folders"
    images(folders, [f"{'ab'[n % 5 // 3]}/{name}.png" for n, name in enumerate(EYES)])
    write_proposal(folders, None, None, tmp_path)
    assert load_cases(folders, "auto", tmp_path).table["group_id"].nunique() == 12


def test_several_rows_of_one_image_get_the_right_proposal(eyes: Path, tmp_path: Path) -> None:
    """A row per box: an id of its own for each would put one image into several parts."""
    table = pd.read_csv(eyes / "labels.csv")
    pd.concat([table, table.iloc[:20]]).assign(x=range(44)).to_csv(eyes / "labels.csv", index=False)
    for name in (None, "labels.csv"):
        with pytest.raises(DataError) as caught:
            write_proposal(eyes, name, None, tmp_path)
        assert "rows 2 and 26 name one image, '10_left'" in caught.value.what
        assert "keep one row per image" in caught.value.do
    pd.concat([table, table.iloc[:1]]).to_csv(eyes / "labels.csv", index=False)
    with pytest.raises(DataError, match="rows 2 and 26 name one image"):
        write_proposal(eyes, None, None, tmp_path)


def test_arrays_are_refused_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "medmnist"
    folder.mkdir()
    np.savez(folder / "bloodmnist_64.npz", train_images=np.zeros((2, 4, 4, 3), np.uint8))
    for source in (folder, folder / "bloodmnist_64.npz"):
        with pytest.raises(DataError) as caught:
            load_cases(source, "auto", tmp_path)
        assert str(caught.value).startswith("bloodmnist_64.npz: .npz files of arrays are not read")
        assert "--flag=bloodmnist " in caught.value.do
        with pytest.raises(DataError, match=r"bloodmnist_64\.npz: .npz files of arrays"):
            write_proposal(source, None, None, tmp_path)
