"""Data that a milkreport.toml describes: mistakes in it and in its tables get a line, never a traceback."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tomli_w
from PIL import Image

from milkreport.data.adapters.load import load_cases
from milkreport.data.cases import Cases
from milkreport.data.prepare import prepare
from milkreport.errors import ConfigError, DataError, DataProblems
from milkreport.suite.suite import Data


def write_images(folder: Path, names: list[str]) -> None:
    rng = np.random.default_rng(len(names))
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)


def describe(folder: Path, table: dict[str, Any], **changes: Any) -> Path:
    described = {
        "adapter": "table",
        "name": "leaves",
        "table": {"file": "t.csv", "case": "photo"} | table,
        "views": {"image": {"column": "file"}},
    }
    text = tomli_w.dumps(described | changes)
    (folder / "milkreport.toml").write_text(text, encoding="utf-8")
    return folder


def load(folder: Path) -> Cases:
    return load_cases(folder, "auto", folder.parent / "cache")


@pytest.fixture
def leaves(tmp_path: Path) -> Path:
    """Eight photos of four plants, two findings."""
    folder = tmp_path / "leaves"
    names = [f"{n}.png" for n in range(8)]
    write_images(folder, names)
    table = pd.DataFrame({"photo": [f"p{n}" for n in range(8)], "file": names})
    table["plant"] = [f"plant{n // 2}" for n in range(8)]
    table["finding"] = ["rust", "blight"] * 4
    table["second"] = ["rust"] * 4 + ["blight"] * 4
    table.to_csv(folder / "t.csv", index=False)
    return folder


LABEL = {"label": "finding"}


def test_a_one_hot_column_that_is_no_declared_class_is_named(leaves: Path) -> None:
    table = pd.read_csv(leaves / "t.csv", dtype=str)
    for name in ("rust", "blight", "mould"):
        table[name] = (table["finding"] == name).astype(int)
    table.loc[5, ["rust", "blight", "mould"]] = [0, 0, 1]
    table.to_csv(leaves / "t.csv", index=False)
    hot = {"one_hot": ["rust", "blight", "mould"]}
    describe(leaves, hot, classes={"rust": "", "blight": ""})
    with pytest.raises(
        DataProblems, match=r"t\.csv:7:mould: unknown class 'mould' — classes are: rust"
    ):
        load(leaves)
    describe(leaves, hot)
    assert load(leaves).labels().tolist() == [0, 1, 0, 1, 0, 2, 0, 1]


def test_images_that_lack_are_no_duplicates(leaves: Path) -> None:
    rows = [f"plant{n // 2},{'xy'[n % 2]},{n}.png,rust" for n in range(8)]
    rows[1], rows[5] = "plant0,y,,rust", "plant2,y,,rust"
    (leaves / "t.csv").write_text("\n".join(["plant,side,file,finding", *rows]), encoding="utf-8")
    views = {name: {"column": "file", "value": name} for name in "xy"}
    table = {"case": "plant", "rows": "image", "view": "side"} | LABEL
    describe(leaves, table, views=views)
    assert load(leaves).image_paths("y").isna().tolist() == [True, False, True, False]
    rows[6] = "plant3,x,0.png,rust"
    (leaves / "t.csv").write_text("\n".join(["plant,side,file,finding", *rows]), encoding="utf-8")
    with pytest.raises(DataProblems, match=r"t\.csv:8:file: '0\.png' stands in row 2 already"):
        load(leaves)


def test_ids_are_no_subgroups(leaves: Path) -> None:
    describe(leaves, LABEL | {"slices": ["photo"]})
    with pytest.raises(ConfigError, match=r"table\.slices: photo is the id of a case"):
        load(leaves)
    describe(leaves, LABEL | {"slices": ["plant", "plant"]})
    assert load(leaves).subgroup_columns().columns.tolist() == ["case_id", "plant"]


def test_merging_what_is_no_class_is_refused(leaves: Path) -> None:
    merge, classes = {"sick": ["rust", "blihgt"]}, {"rust": "", "blight": ""}
    describe(leaves, LABEL, merge=merge, classes=classes)
    with pytest.raises(ConfigError, match="merge: blihgt is none of the classes"):
        load(leaves)
    merge["sick"][1] = "blight"
    describe(leaves, LABEL, merge=merge, classes=classes)
    assert load(leaves).classes == ("sick",)


@pytest.mark.parametrize("name", ["x" * 300, "x/" * 3000], ids=["name", "path"])
def test_a_folder_whose_name_is_too_long_is_no_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="no such folder"):
        load(tmp_path / name)


def test_the_fingerprint_follows_what_the_description_makes_of_the_tables(leaves: Path) -> None:
    def fingerprint(table: dict[str, Any], **changes: Any) -> str:
        folder = describe(leaves, table, **changes)
        return prepare(folder, Data(image_size=16), folder.parent / "cache").fingerprint

    order = {"classes": {"rust": "", "blight": ""}}
    age = {"column": "second", "kind": "categorical"}
    plain = fingerprint(LABEL)
    others = [
        fingerprint({"label": "second"}),
        fingerprint(LABEL | {"group": "plant"}),
        fingerprint(LABEL, features=[age]),
        fingerprint(LABEL, **order),
        fingerprint(LABEL, merge={"sick": ["rust"]}),
    ]
    assert len({plain, *others}) == 6
    more = {"name": "x", "licence": "CC0", "notes": ["n"], "banned": ["y"], "positive": ["rust"]}
    assert fingerprint(LABEL | {"slices": ["plant"]}, **more) == plain
    titled = fingerprint(LABEL, features=[age | {"title": "a title"}])
    assert titled == others[2]
    order["classes"]["rust"] = "a fungus"
    assert fingerprint(LABEL, **order) == others[3]


def test_groups_that_only_case_tells_apart_are_told_of(leaves: Path) -> None:
    cases = load(describe(leaves, LABEL | {"group": "plant"}))
    assert cases.remarks == ()
    table = pd.read_csv(leaves / "t.csv", dtype=str)
    table.loc[[1, 7], "plant"] = ["Plant0", "PLANT3"]
    table.to_csv(leaves / "t.csv", index=False)
    (remark,) = load(leaves).remarks
    assert remark.startswith("2 values of plant differ from others in case alone (Plant0, PLANT3)")


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Two class folders of four images."""
    folder = tmp_path / "classes"
    write_images(folder, [f"{name}/{n}.png" for name in ("blight", "rust") for n in range(4)])
    return folder


def test_a_file_name_that_is_no_text_is_named(classes: Path) -> None:
    bad = os.fsencode(classes / "rust") + b"/\xff.png"
    try:
        os.rename(classes / "rust" / "0.png", bad)
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    with pytest.raises(DataProblems, match=r"rust/�\.png: its name is not UTF-8 — rename the file"):
        load(classes)


def test_no_two_images_of_a_class_folder_get_one_id(classes: Path) -> None:
    write_images(classes, ["rust/0.jpg", "rust/0.png.jpg"])
    table = load(classes).table.set_index("case_id")
    assert table.index.is_unique
    for case, file in (("0", "0.jpg"), ("0.png", "0.png"), ("0.png.jpg", "0.png.jpg")):
        assert table.loc[f"rust/{case}", "image:image"] == str(classes / "rust" / file)


@pytest.mark.parametrize("group", ["(p)?[0-9]", "(p?)[0-9]", "(p)[0-9]"])
def test_a_group_that_is_not_found_is_an_error(classes: Path, group: str) -> None:
    text = tomli_w.dumps({"adapter": "folder", "name": "x", "folder": {"group": group}})
    (classes / "milkreport.toml").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"blight/0\.png: folder\.group .* does not match"):
        load(classes)
