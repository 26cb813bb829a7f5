"""milkreport.toml: what it refuses, and that it says everything at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomli_w

from milkreport.data.adapters.spec import LEAKY, DataSpec, load_spec
from milkreport.errors import ConfigError
from milkreport.suite.toml import validate


def description(**changes: Any) -> dict[str, Any]:
    """A sound description of a table, with *changes*."""
    return {
        "adapter": "table",
        "name": "leaves",
        "table": {"file": "t.csv", "case": "photo", "group": "plant", "label": "finding"},
        "views": {"image": {"column": "file"}},
        "features": [{"column": "age", "kind": "numeric"}],
    } | changes


def problems(**changes: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        validate(DataSpec, description(**changes), "milkreport.toml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def feature(column: str, **more: Any) -> dict[str, Any]:
    return {"column": column, "kind": "categorical", **more}


def test_a_sound_description_is_read(tmp_path: Path) -> None:
    path = tmp_path / "milkreport.toml"
    path.write_text(tomli_w.dumps(description()), encoding="utf-8-sig")
    spec = load_spec(path)
    assert (spec.root, spec.unit, spec.synthetic, spec.classes) == (".", "case", False, {})
    assert spec.table is not None
    assert (spec.table.rows, spec.views["image"].path) == ("case", "{}")


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "milkreport.toml"
    with pytest.raises(ConfigError, match="cannot be read"):
        load_spec(path)
    path.write_text("adapter = table\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"milkreport\.toml: not valid TOML: .*line 1"):
        load_spec(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"licens": "CC0"}, "unknown key licens, did you mean licence?"),
        ({"bannned": ["x"]}, "unknown key bannned, did you mean banned?"),
        (
            {"table": {"file": "t.csv", "case": "id", "labl": "x"}},
            "unknown key table.labl, did you mean table.label?",
        ),
        ({"zebra": 1}, "unknown key zebra"),
    ],
)
def test_an_unknown_key_comes_with_the_nearest(changes: dict[str, Any], message: str) -> None:
    assert message in problems(**changes)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("photo", "features: photo is an id, an image or the label"),
        ("plant", "features: plant is an id, an image or the label"),
        ("finding", "features: finding is an id, an image or the label"),
        ("file", "features: file is an id, an image or the label"),
        ("ward", "features: ward is banned"),
        ("dx_type", "features: dx_type looks as if it gave the label away"),
        ("group_id", "features: group_id is a name of milkreport's own"),
        ("image:left", "features: image:left is a name of milkreport's own"),
    ],
)
def test_what_is_no_input_is_refused(column: str, message: str) -> None:
    assert message in problems(features=[feature(column)], banned=["ward"])


def test_one_hot_columns_are_no_inputs() -> None:
    table = {"file": "t.csv", "case": "id", "one_hot": ["A", "B"]}
    assert "features: B is an id, an image or the label" in problems(
        table=table, features=[feature("B")]
    )


@pytest.mark.parametrize(
    "column",
    [
        "diagnosis_2", "dx_type", "histology", "histo_result", "lab_confirmed", "biopsed", "target",
        "benign_malignant", "melanocytic", "invasion_thickness_interval", "ground_truth", "Label",
    ],
)  # fmt: skip
def test_leaky_names(column: str) -> None:
    assert LEAKY.search(column)
    assert "looks as if it gave the label away" in problems(features=[feature(column)])
    allowed = description(features=[feature(column)], allow_leaky=[column])
    assert validate(DataSpec, allowed).features[0].column == column


@pytest.mark.parametrize(
    "column",
    ["age", "sex", "site", "family_history", "skin_cancer_history", "background", "sedx", "glabel"],
)
def test_names_that_are_not_leaky(column: str) -> None:
    assert not LEAKY.search(column)
    assert validate(DataSpec, description(features=[feature(column)]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"views": {}}, "adapter table needs [table] and at least one [views.NAME]"),
        ({"views": {"case": {"column": "file"}}}, "a view can't be called case"),
        ({"views": {"a.b": {"column": "file"}}}, "a view's name can't hold a dot"),
        ({"views": {"a/b": {"column": "file"}}}, "views.a/b"),
        ({"views": {"a": {"column": "f", "path": "x.jpg"}}}, "must hold {} once"),
        ({"views": {"a": {"column": "f", "path": "{}/{}"}}}, "must hold {} once"),
        ({"features": [feature("age", view="top")]}, "features: age: no view 'top'"),
        ({"features": [feature("age"), feature("age")]}, "features: age stands there twice"),
    ],
)
def test_views_and_features_agree(changes: dict[str, Any], message: str) -> None:
    assert message in problems(**changes)


TWO_VIEWS = {
    "top": {"column": "file", "value": "t"},
    "side": {"column": "file", "value": "s"},
}


def test_several_views_in_rows_of_images_need_a_column_and_values() -> None:
    rows = {"file": "t.csv", "case": "id", "rows": "image", "view": "angle"}
    assert validate(DataSpec, description(table=rows, views=TWO_VIEWS))
    assert "which column tells the views apart?" in problems(
        table=rows | {"view": ""}, views=TWO_VIEWS
    )
    for values in ({"column": "file"}, {"column": "file", "value": "t"}):
        assert "each needs a value of its own" in problems(
            table=rows, views=TWO_VIEWS | {"side": values}
        )
    assert 'a view column belongs to rows = "image"' in problems(table=rows | {"rows": "case"})


def test_labels_stand_in_one_place() -> None:
    table = {"file": "t.csv", "case": "id", "one_hot": ["A", "B"]}
    assert "give label, or one_hot, not both" in problems(table=table | {"label": "x"})
    assert "one_hot names a column twice" in problems(table=table | {"one_hot": ["A", "A"]})


@pytest.mark.parametrize("adapter", ["table", "folder"])
def test_classes_agree(adapter: str) -> None:
    changes: dict[str, Any] = {"adapter": adapter, "classes": {"rust": "", "blight": ""}}
    if adapter == "folder":
        changes |= {"table": None, "views": {}, "features": []}
    assert "positive: mould is no class" in problems(**changes, positive=["mould"])
    twice = {"x": ["rust"], "y": ["rust"]}
    assert "a label can become one class only" in problems(**changes, merge=twice)


def test_class_folders_have_no_table() -> None:
    assert "adapter folder has no table, views or features" in problems(adapter="folder")
    folder = {"adapter": "folder", "name": "x"}
    for group, message in (("(", "not a regular expression"), ("a", "exactly one bracketed part")):
        with pytest.raises(ConfigError, match=message):
            validate(DataSpec, folder | {"folder": {"group": group}})
    assert validate(DataSpec, folder | {"folder": {"group": "(p[0-9]+)_"}})


def test_everything_wrong_is_said_at_once() -> None:
    keys = problems(licens="CC0", unit="", table={"file": "t.csv"}, features=[{"column": "age"}])
    assert "unknown key licens" in keys
    assert "unit" in keys
    assert "table.case is missing" in keys
    assert "features.1.kind is missing" in keys
    features = [feature("finding"), feature("dx_type"), feature("age", view="top")]
    rules = problems(features=features, positive=["mould"], classes={"rust": ""})
    assert "finding is an id, an image or the label" in rules
    assert "dx_type looks as if it gave the label away" in rules
    assert "age: no view 'top'" in rules
    assert "mould is no class" in rules


def test_the_id_of_a_case_is_no_subgroup() -> None:
    table = description()["table"] | {"slices": ["photo"]}
    assert "table.slices: photo is the id of a case" in problems(table=table)


def test_a_column_is_of_one_kind_in_all_its_views() -> None:
    text = feature("age", view="image")
    number = {"column": "age", "kind": "numeric"}
    assert "features: age is both numeric and categorical" in problems(features=[number, text])
    validate(DataSpec, description(features=[number, number | {"view": "image"}]))
