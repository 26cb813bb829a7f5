"""An output file replaces neither what its command reads nor what somebody else wrote."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Command


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """Predictions and truth of two classes, and a foreign file of every kind."""
    ids = [f"c{i:02d}" for i in range(20)]
    p = pd.Series(range(20)) / 20
    frame = pd.DataFrame({"case_id": ids, "A": 1 - p, "B": p})
    frame.to_csv(tmp_path / "p.csv", index=False)
    labels = ["A", "B"] * 10
    pd.DataFrame({"case_id": ids, "label": labels}).to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "foreign").write_text("keep me", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("out", ["p.csv", "t.csv", "./p.csv"])
def test_thresholds_replace_nothing_that_they_read(
    tables: Path, milkreport: Command, out: str
) -> None:
    before = (tables / out).read_bytes()
    words = ("thresholds", "p.csv", "--truth", "t.csv", "--apply", "p.csv", "--out")
    done = milkreport(*words, out)
    assert done.returncode == 2
    assert "is a file that this command reads" in done.stderr
    assert (tables / out).read_bytes() == before
    for _ in range(2):  # one of its own is replaced
        assert milkreport(*words, "new.csv").returncode == 0


def test_data_check_replaces_only_its_own(tables: Path, data: Path, milkreport: Command) -> None:
    table = next(data.glob("*Metadata.csv"))
    before = table.read_bytes()
    for option in ("--problems", "--html"):
        for file in (table, tables / "foreign"):
            done = milkreport("data", "check", data, option, file)
            assert done.returncode == 2
            assert "holds something that milkreport did not write" in done.stderr
    assert table.read_bytes() == before
    assert (tables / "foreign").read_text(encoding="utf-8") == "keep me"
    (tables / "data-problems.csv").write_text("mine", encoding="utf-8")
    assert milkreport("data", "check", data).returncode == 2
    (tables / "data-problems.csv").unlink()
    codes = [milkreport("data", "check", data, "--html", "page.html").returncode for _ in "ab"]
    assert codes == [0, 0]
    assert (tables / "page.html").is_file()
    table.write_bytes(before.replace(b"\n", b"\nno such id,", 1))
    for _ in range(2):
        assert milkreport("data", "check", data).returncode == 3
    assert "severity" in (tables / "data-problems.csv").read_text(encoding="utf-8")


def test_a_plan_and_a_check_replace_only_their_own(tables: Path, milkreport: Command) -> None:
    plan = ("plan", "--classes", "300,200", "--html")
    assert milkreport(*plan, "foreign").returncode == 2
    assert [milkreport(*plan, "plan.html").returncode for _ in range(2)] == [0, 0]
    words = ("evaluate", "p.csv", "--truth", "t.csv", "--out", "run", "--no-pdf")
    assert milkreport(*words).returncode == 0
    check = ("check", "run", "--against", "run", "--junit")
    done = milkreport(*check, "foreign")
    assert done.returncode == 2
    assert "foreign: holds something that milkreport did not write" in done.stderr
    codes = [milkreport(*check, "verdict.xml").returncode for _ in range(2)]
    assert codes[0] == codes[1] != 2
    assert (tables / "foreign").read_text(encoding="utf-8") == "keep me"
