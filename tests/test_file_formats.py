"""docs/file_formats.md against the files of a real run: every file, every column, every key."""

from __future__ import annotations

import csv
import json
import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import call_main
from tests.test_doc_commands import write_tables

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "file_formats.md").read_text(encoding="utf-8")
#: Columns that only the data tells: classes, and variables of subgroups.
OPEN = (
    "*a column for each class*",
    "*a column for each variable*",
    "*a column for each corruption*",
)


def rows_of(heading: str, page: str = PAGE) -> list[str]:
    """First cells of the table that follows a heading."""
    section = page.partition(f"\n{heading}\n")[2]
    table = re.search(r"^\|.*?(?=\n\n|\Z)", section, re.MULTILINE | re.DOTALL)
    assert table is not None, heading
    return [line.split("|")[1].strip() for line in table[0].splitlines()[2:]]


def names_in(rows: list[str]) -> list[str]:
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def files_with(kind: str) -> list[str]:
    return [n for n in re.findall(r"^### `([^`]+)`$", PAGE, re.MULTILINE) if n.endswith(kind)]


@pytest.fixture(scope="module")
def run(small: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a gallery that was checked against published figures."""
    folder = tmp_path_factory.mktemp("formats")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MILKREPORT_CACHE", str(cache))
        write_tables(folder / "tables")
        study = ["quick", "--data", str(small)]
        settings = ["--set", "training.epochs=1", "--set", "data.image_size=16"]
        assert call_main(["register", *study, *settings], folder).returncode == 0
        bound = [
            "--registration",
            "registration.json",
            "--out",
            "run",
            "--workers",
            "1",
            "--no-pdf",
            *("--robustness", "brightness_up"),
        ]
        assert call_main(["run-all", *study, *settings, *bound], folder).returncode == 0
        assert call_main(["check", "run"], folder).returncode == 5  # synthetic
        grouped = ["--metadata", "tables/truth.csv", "--group", "label"]
        tables = ["tables/mine.csv", "--truth", "tables/truth.csv"]
        scored = ["evaluate", *tables, *grouped, "--out", "scored", "--no-pdf"]
        assert call_main(scored, folder).returncode == 0
    (folder / "scored" / "groups.csv").rename(folder / "run" / "groups.csv")
    return folder / "run"


def place(run: Path, name: str) -> Path:
    cell = "cells/sampler/seed-0/fold-0"
    return run / name.replace("CELL", cell)


def expected_header(name: str, header: list[str]) -> list[str]:
    """The documented columns, PART and the open ones filled in from what is there."""
    documented: list[str] = []
    for row in rows_of(f"### `{name}`"):
        if row in OPEN:
            first = len(documented)
            documented += header[first:]
        documented += names_in([row])
    parts = [part for part in ("train", "validation", "test") if f"{part}_loss" in header]
    by_part = [c for c in documented if c.startswith("PART_")]
    plain = [c for c in documented if not c.startswith("PART_")]
    return plain + [c.replace("PART", part) for part in parts for c in by_part]


@pytest.mark.slow
@pytest.mark.parametrize("name", files_with(".csv"))
def test_every_column_is_documented_in_its_order(name: str, run: Path) -> None:
    with place(run, name).open(encoding="utf-8", newline="") as file:
        header = next(csv.reader(file))
    assert sorted(expected_header(name, header)) == sorted(header)


def keys_of(record: Any, documented: list[str]) -> set[str]:
    """Keys of a record, inside those that the page goes into: ``rows[].arm``, ``data.name``."""
    found = set()
    for key, value in record.items():
        inside = [d for d in documented if re.match(rf"{re.escape(key)}(\[\])?\.", d)]
        if not inside:
            found.add(key)
        elif isinstance(value, list):
            found |= {f"{key}[].{inner}" for one in value for inner in one}
        else:
            found |= {f"{key}.{inner}" for inner in value}
    return found


@pytest.mark.parametrize("name", files_with(".json"))
def test_every_key_is_documented(name: str, run: Path) -> None:
    record = json.loads(place(run, name).read_text(encoding="utf-8"))
    documented = names_in(rows_of(f"### `{name}`"))
    # A name within a sentence of the first column would count twice.
    assert len(documented) == len(set(documented))
    assert set(documented) == keys_of(record, documented)


def patterns() -> list[str]:
    """Files and folders of the page's first table of a run folder, as patterns."""
    names = names_in(rows_of("## The run folder"))
    filled = [name.replace("CELL", "cells/*/*/*").replace("NAME/ARM", "*/*") for name in names]
    return [name.replace("NAME", "*").replace("-S/fold-F", "-*/fold-*") for name in filled]


def undocumented(run: Path) -> list[str]:
    files = [path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()]
    return [
        file
        for file in files
        if not any(
            fnmatch(file, p) or (p.endswith("/") and fnmatch(file, f"{p}*")) for p in patterns()
        )
    ]


#: Files that this run has not, with the option or the state that makes them.
NOT_HERE = {"report.pdf", "tensorboard/", "export/", ".lock-holder", ".progress.json"} | {
    *("cells/*/*/*/checkpoints/", "registration.tsr", "registration.commit"),
    # tests/execution/test_external.py has them.
    *("external/*/*/seed-*/fold-*.csv", "external/*/set.json", "external/*/groups.csv"),
}


def test_every_file_is_documented_and_there(run: Path) -> None:
    assert undocumented(run) == []
    for pattern in set(patterns()) - NOT_HERE:
        assert any(run.glob(pattern)), pattern


def test_a_file_column_or_key_that_nobody_documented_is_seen(run: Path) -> None:
    """Negative controls."""
    (run / "cells" / "notes.txt").write_text("mine")
    assert undocumented(run) == ["cells/notes.txt"]
    (run / "cells" / "notes.txt").unlink()
    assert expected_header("removed.csv", ["case_id", "why"]) == ["case_id", "reason"]
    assert keys_of({"rows": [{"arm": 1, "new": 2}]}, ["rows[].arm"]) == {"rows[].arm", "rows[].new"}
    assert keys_of({"a": 1, "b": {"c": 2}}, ["a", "b"]) == {"a", "b"}
