"""Several labels per case: recognised, said in one line, and one of them as a yes/no problem."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from milkreport.data.adapters.load import load_cases
from milkreport.data.adapters.multilabel import several_names, several_ones
from milkreport.data.adapters.spec import load_spec
from milkreport.data.init.propose import write_proposal
from milkreport.errors import DataProblems

FINDINGS = ["No Finding", "Effusion", "Effusion|Mass", "Mass|Edema", "Edema", "Edema|Effusion"]


@pytest.fixture
def chest(tmp_path: Path) -> Path:
    """36 images, 18 of them with an effusion; as names in a cell and as columns."""
    folder = tmp_path / "chest"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for n in range(36):
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(
            folder / f"i{n}.png"
        )
        named = FINDINGS[n % 6]
        row = {"image": f"i{n}.png", "finding": named}
        row |= {name: int(name in named) for name in ("Effusion", "Mass", "Edema")}
        rows.append(row)
    pd.DataFrame(rows).to_csv(folder / "all.csv", index=False)
    return folder


def describe(folder: Path, label: str, top: str = "") -> Path:
    text = f'adapter = "table"\nname = "chest"\n{top}\n[table]\nfile = "all.csv"\ncase = "image"\n'
    text += f'{label}\n[views.image]\ncolumn = "image"\n'
    (folder / "milkreport.toml").write_text(text, encoding="utf-8")
    return folder


def test_one_of_several_names_is_a_yes_no_problem(chest: Path, tmp_path: Path) -> None:
    describe(chest, 'label = "finding"\ncontains = "Effusion"')
    cases = load_cases(chest, "auto", tmp_path)
    assert cases.class_counts() == {"Effusion": 18, "no Effusion": 18}
    assert cases.remarks == ()
    describe(chest, 'label = "finding"\ncontains = "Efusion"')
    with pytest.raises(
        DataProblems, match="no cell names 'Efusion' — cells name: Edema, Effusion, Mass"
    ):
        load_cases(chest, "auto", tmp_path)


def test_one_of_several_columns_is_a_yes_no_problem(chest: Path, tmp_path: Path) -> None:
    assert load_cases(describe(chest, 'label = "Mass"'), "auto", tmp_path).class_counts() == {
        "0": 24,
        "1": 12,
    }
    table = pd.read_csv(chest / "all.csv", dtype=str)
    table.loc[:5, "Mass"] = "-1"
    table.loc[6:8, "Mass"] = ""
    table.to_csv(chest / "all.csv", index=False)
    cases = load_cases(describe(chest, 'label = "Mass"', 'drop = ["-1"]'), "auto", tmp_path)
    assert sum(cases.class_counts().values()) == 27
    assert cases.table["label"].isna().sum() == 3


def test_combinations_as_classes_are_warned_of(chest: Path, tmp_path: Path) -> None:
    cases = load_cases(describe(chest, 'label = "finding"'), "auto", tmp_path)
    (line,) = cases.remarks
    assert line.startswith("multi-label: cells of finding name several labels ('Effusion|Mass')")
    assert 'contains = "E' in line


def test_several_ones_are_said_in_one_line(chest: Path, tmp_path: Path) -> None:
    with pytest.raises(DataProblems) as caught:
        load_cases(describe(chest, 'one_hot = ["Effusion", "Mass", "Edema"]'), "auto", tmp_path)
    (problem,) = caught.value.problems
    assert (problem.kind, problem.where) == ("multi-label", "all.csv")
    assert problem.what == "multi-label: 18 of 36 rows have a 1 in several of Effusion, Mass, Edema"
    assert 'label = "Effusion"' in problem.do


def test_data_init_takes_one_of_several(chest: Path, tmp_path: Path) -> None:
    out = write_proposal(chest, None, None, tmp_path)
    table = load_spec(out).table
    assert table is not None
    assert (table.label, table.contains) in {("finding", "Effusion"), ("finding", "Edema")}
    assert "Multi-label: its cells name several labels" in out.read_text(encoding="utf-8")
    assert len(load_cases(chest, "auto", tmp_path).classes) == 2
    out.unlink()
    pd.read_csv(chest / "all.csv").drop(columns="finding").to_csv(chest / "all.csv", index=False)
    spec = load_spec(write_proposal(chest, None, None, tmp_path))
    assert spec.table is not None
    assert (spec.table.label, spec.banned, spec.features) == ("Effusion", ["Mass", "Edema"], [])
    text = out.read_text(encoding="utf-8")
    assert "18 of 36 rows have a 1 in several of Effusion, Mass, Edema" in " ".join(
        text.split("\n# ")
    )


@pytest.mark.parametrize("cell", ["-1", "-1.0"])
def test_data_init_drops_what_is_uncertain(chest: Path, tmp_path: Path, cell: str) -> None:
    frame = pd.read_csv(chest / "all.csv", dtype=str).drop(columns="finding")
    frame.loc[:5, "Effusion"] = cell
    frame.to_csv(chest / "all.csv", index=False)
    spec = load_spec(write_proposal(chest, None, None, tmp_path))
    assert spec.drop == [cell]
    assert [*spec.classes] == ["0", "1"]
    cases = load_cases(chest, "auto", tmp_path)
    assert cases.class_counts() == {"0": 15, "1": 15}
    assert len(cases.left_out) == 6


@pytest.mark.parametrize(
    "labels",
    [
        ["melanoma", "melanoma, in situ", "nevus, compound", "nevus, junctional", "nevus"],
        ["a", "b", "c"],
        ["benign; no treatment", "malignant"],
    ],
)
def test_one_label_with_a_comma_is_one(labels: list[str]) -> None:
    """Negative control."""
    assert not several_names(pd.Series(labels * 20))


def test_a_slip_in_one_row_is_a_slip() -> None:
    """Negative control: that row is named, as before."""
    frame = pd.DataFrame({"a": ["1", "0"] * 30, "b": ["0", "1"] * 30})
    frame.loc[3, "a"] = "1"
    assert several_ones(frame, ["a", "b"]) == ""


@pytest.mark.parametrize(
    "cells",
    [
        ["Atelectasis|Effusion", "Mass|Nodule|Effusion", "Effusion", "Mass"] * 9,
        ["['effusion', 'mass']", "['edema']", "['effusion']", "['nodule', 'edema']"] * 9,
    ],
)
def test_lists_in_cells_are_several_labels_however_rare(cells: list[str]) -> None:
    names = several_names(pd.Series(cells))
    assert names["Effusion"] + names["effusion"] == sum("ffusion" in c for c in cells)
    assert not [name for name in names if set("[]'") & set(name)]


def test_uncertain_labels_are_dropped_as_numbers(chest: Path, tmp_path: Path) -> None:
    """CheXpert writes -1.0."""
    table = pd.read_csv(chest / "all.csv")
    table["Edema"] = np.where(np.arange(36) < 4, -1.0, table["Edema"].astype(float))
    table.to_csv(chest / "all.csv", index=False)
    cases = load_cases(describe(chest, 'label = "Edema"', 'drop = ["-1"]'), "auto", tmp_path)
    assert "classes left out: -1.0 (4)" in cases.remarks
    assert set(cases.classes) == {"0.0", "1.0"}
