"""Somebody else's data: the tutorial is carried out as written, and no word of MILK10k turns up."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import BaseModel

from milkreport.data.adapters.milk10k import BANNED, CLASSES, MONET, VIEWS
from milkreport.data.adapters.spec import DataSpec, FeatureSpec, FolderSpec, TableSpec, ViewSpec
from milkreport.errors import ConfigError
from milkreport.suite.toml import validate

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = (ROOT / "docs" / "your_own_data.md").read_text(encoding="utf-8")
FINDINGS = ["blight", "healthy", "rust"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TUTORIAL, re.DOTALL)


class Walk:
    """A folder in which the tutorial's commands are typed, with few epochs and no PDF."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        (folder / "examples").symlink_to(ROOT / "examples")
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        own = {"PATH": path, "MILKREPORT_CACHE": str(cache), "COLUMNS": "160"}
        self.environment = {k: v for k, v in os.environ.items() if k != "MILKREPORT_DATA"} | own

    def type(self, command: str) -> str:
        """Type *command*; returns what it said."""
        command = command.replace("training.epochs=20", "training.epochs=2 --no-pdf")
        done = subprocess.run(
            ["sh", "-e", "-c", command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> tuple[Walk, dict[str, str]]:
    """The whole tutorial, typed; what each command said by its first words."""
    walk = Walk(tmp_path_factory.mktemp("tutorial"), cache)
    return walk, {" ".join(block.split()[:3]): walk.type(block) for block in blocks("sh")}


@pytest.fixture(scope="module")
def run(walk: tuple[Walk, dict[str, str]]) -> Path:
    return walk[0].folder / "runs" / "leaves"


@pytest.mark.slow
def test_the_tutorial_shows_what_data_init_writes(walk: tuple[Walk, dict[str, str]]) -> None:
    # The tutorial's sed keeps the file as it was written.
    written = walk[0].folder / "runs" / "leaf_photos" / "milkreport.toml.bak"
    assert blocks("toml")[0] == written.read_text(encoding="utf-8")
    table = (walk[0].folder / "runs" / "leaf_photos" / "photos.csv").read_text(encoding="utf-8")
    assert blocks("csv")[0].splitlines() == table.splitlines()[:2]


def test_the_tutorial_says_what_the_commands_say(walk: tuple[Walk, dict[str, str]]) -> None:
    _, said = walk
    assert "SOUND" in said["milkreport data check"]
    assert "1 identical" in said["milkreport data check"]
    assert "50 trainings" in said["cat > runs/my_suite.toml"]
    problems = pd.read_csv(walk[0].folder / "runs" / "leaf_problems.csv")
    assert problems["kind"].tolist() == ["identical images"]


def test_the_run_knows_three_classes(run: Path) -> None:
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    assert results["classes"] == FINDINGS
    assert results["data"]["name"] == "leaf_photos"
    assert results["data"]["class_counts"] == {"blight": 37, "healthy": 420, "rust": 109}
    assert results["data"]["synthetic"] is True
    assert results["data"]["imputed"] == {"age_weeks": 12, "site": 8}
    for arm in results["arms"]:
        predictions = pd.read_csv(
            run / "cells" / arm["name"] / "seed-0" / "fold-0" / "predictions.csv"
        )
        assert set(FINDINGS) <= set(predictions.columns)


def test_the_plants_stay_in_one_part(run: Path) -> None:
    splits = pd.read_csv(run / "splits.csv", dtype=str)
    assert (splits.groupby("group_id")["part"].nunique() == 1).all()
    assert splits["case_id"].is_unique
    assert splits["group_id"].nunique() == 149  # one photo stands there for two of 150 plants
    twins = splits.set_index("case_id").loc[["0001", "0566"], ["group_id", "part"]]
    assert (twins.nunique() == 1).all()


def test_the_network_reads_no_banned_column(run: Path) -> None:
    card = json.loads((run / "cells/baseline/seed-0/fold-0/model.json").read_text(encoding="utf-8"))
    columns = [column["column"] for column in card["reads"]["encoder"]["columns"]]
    assert columns == ["age_weeks", "site", "leaf_length_mm", "camera"]
    spec = tomllib.loads(blocks("toml")[0])
    spec["features"].append({"column": "lab_confirmed", "kind": "categorical"})
    with pytest.raises(ConfigError, match="lab_confirmed is banned"):
        validate(DataSpec, spec)


def words_of_milk10k(text: str) -> list[str]:
    """Names that belong to MILK10k and to no other data, other than the network's own."""
    text = text.replace("MultiModalLesionNet", "")
    names = "|".join([*CLASSES, *VIEWS, *MONET, *BANNED])
    return re.findall(rf"\b(?:{names})\b|\w*(?i:milk10k|lesion|monet|dermosc)\w*", text)


def test_the_report_speaks_of_these_data_alone(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "NOT A RESULT" in page
    assert all(finding in page for finding in FINDINGS)
    assert words_of_milk10k(html.unescape(page)) == []
    assert words_of_milk10k((run / "results.json").read_text(encoding="utf-8")) == []


def test_words_of_milk10k_are_seen() -> None:
    """Negative control."""
    text = "3 lesions, class BCC, the clinical view, MONET_hair, in MILK10k; MultiModalLesionNet"
    assert words_of_milk10k(text) == ["lesions", "BCC", "clinical", "MONET_hair", "MILK10k"]


@pytest.mark.slow
def test_real_data_of_another_kind_are_not_held_against_the_paper(
    walk: tuple[Walk, dict[str, str]],
) -> None:
    """As in the tutorial, but not synthetic: the shipped suite's reference is about other data."""
    folder = walk[0].folder / "runs" / "leaf_photos"
    (folder / "real.toml").write_text(blocks("toml")[0], encoding="utf-8")
    walk[0].type(
        "milkreport run-all quick --data runs/leaf_photos/real.toml --out runs/real --no-pdf "
        "--set training.epochs=1 --set data.cleaning=impute"
    )
    page = (walk[0].folder / "runs" / "real" / "report.html").read_text(encoding="utf-8")
    assert "NOT A RESULT" not in page
    assert words_of_milk10k(html.unescape(page)) == []


@pytest.mark.parametrize("block", blocks("toml")[1:])
def test_the_other_layouts_are_understood(block: str) -> None:
    base: dict[str, Any] = {
        "adapter": "table",
        "name": "x",
        "table": {"file": "t.csv", "case": "id"},
        "views": {"image": {"column": "id"}},
    }
    shown = tomllib.loads(block)
    assert validate(DataSpec, shown if "adapter" in shown else base | shown)


def documented(first_words: str) -> set[str]:
    """Keys in the table that follows *first_words* in the tutorial's last section."""
    section = TUTORIAL.partition("## Every key")[2].partition(first_words)[2]
    rows = re.search(r"\n\|.*?(?=\n\n|\Z)", section, re.DOTALL)
    assert rows is not None
    cells = [line.split("|")[1] for line in rows[0].strip().splitlines()[2:]]
    return {key for cell in cells for key in re.findall(r"`(\w+)`", cell)}


@pytest.mark.parametrize(
    ("first_words", "section"),
    [
        ("Above all sections", DataSpec),
        ("`[table]`", TableSpec),
        ("`[views.NAME]`", ViewSpec),
        ("`features = ", FeatureSpec),
        ("`[folder]`", FolderSpec),
    ],
)
def test_every_key_is_documented(first_words: str, section: type[BaseModel]) -> None:
    sections = {"table", "views", "folder"} if section is DataSpec else set()
    assert documented(first_words) == set(section.model_fields) - sections


#: The seam: only these may know what MILK10k's cases, views and columns are called.
KNOWING = re.compile(
    r"data/adapters/milk10k(?:_tables)?\.py|data/synthetic/\w+\.py|models/lesion_net\.py"
)


PACKAGE = ROOT / "milkreport"
MODULES_OF_ANY_DATA = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if not KNOWING.fullmatch(path.relative_to(PACKAGE).as_posix())
]


def names_in(path: Path) -> list[str]:
    """MILK10k's own names in a module, other than the data set's name and what is drawn like it."""
    text = path.read_text(encoding="utf-8")
    for allowed in ("lesion_net", "synthetic lesions", "MILK10k", "milk10k", "Number of lesions"):
        text = text.replace(allowed, "")
    if path.name == "predictions.py":
        text = text.replace('"lesion_id"', "")
    return words_of_milk10k(text)


@pytest.mark.parametrize(
    "path", MODULES_OF_ANY_DATA, ids=lambda path: path.relative_to(PACKAGE).as_posix()
)
def test_no_module_knows_the_names_of_one_data_set(path: Path) -> None:
    assert names_in(path) == []


def test_names_are_seen_where_they_may_stand() -> None:
    """Negative control."""
    found = names_in(ROOT / "milkreport" / "data" / "adapters" / "milk10k.py")
    assert {"AKIEC", "dermoscopic", "MONET", "lesion_id"} <= set(found)
