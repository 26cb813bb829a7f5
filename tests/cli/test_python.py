"""``compare``, ``check`` and ``audit`` from Python: the command line's numbers, and nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import milkreport
from milkreport.checks.reference import load_reference
from milkreport.errors import ConfigError, DataError
from tests.conftest import Command

CLASSES = ["a", "b"]


@pytest.fixture
def command(request: pytest.FixtureRequest) -> Command:
    """The command line; its fixture has the package's name."""
    found: Command = request.getfixturevalue("milkreport")
    return found


@pytest.fixture(scope="module")
def answers() -> dict[str, np.ndarray]:
    """Labels and two arms' P(b) of 200 cases."""
    rng = np.random.default_rng(2)
    labels = (rng.random(200) < 0.4).astype(int)
    good = np.clip(rng.normal(0.3 + 0.4 * labels, 0.15), 0.01, 0.99)
    bad = np.clip(rng.normal(0.4 + 0.1 * labels, 0.2), 0.01, 0.99)
    return {"y": labels, "good": good, "bad": bad}


def table(p: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"id": [f"c{i}" for i in range(len(p))], "a": 1 - p, "b": p})


@pytest.fixture(scope="module")
def written(answers: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    for name in ("good", "bad"):
        table(answers[name]).to_csv(folder / f"{name}.csv", index=False)
    truth = pd.DataFrame(
        {"id": [f"c{i}" for i in range(200)], "label": np.take(CLASSES, answers["y"])}
    )
    truth.to_csv(folder / "truth.csv", index=False)
    return folder


def reference(folder: Path, printed: str, data: str = "predictions") -> Path:
    path = folder / f"reference-{printed}.toml"
    path.write_text(
        f"""schema_version = 1
name = "mine"
title = "A study"
source = "invented for this test"
data = "{data}"
classes = ["a", "b"]
comparable = "same split rule"
split = "one test part"
rounding = "rounded"
n = {{ test = 200 }}
margin = 0.05
margin_reason = "invented"
primary = "accuracy"
min_support = 20
[[rules]]
metric = "accuracy"
decision = "argmax"
averaging = "none"
zero_division = "none"
better = "higher"
[[arms]]
name = "predictions"
title = "Theirs"
correction = "none"
[[figures]]
arm = "predictions"
part = "test"
metric = "accuracy"
printed = "{printed}"
""",
        encoding="utf-8",
    )
    return path


def test_compare_is_evaluate_of_two(answers: dict[str, np.ndarray]) -> None:
    y = answers["y"]
    found = milkreport.compare(answers["good"], answers["bad"], y, names=("good", "bad"))
    (row,) = found.to_frame("differences").query("metric == 'macro_f1'").to_dict("records")
    assert (row["arm"], row["against"]) == ("good", "bad")
    both = milkreport.evaluate({"bad": answers["bad"], "good": answers["good"]}, y)
    assert both.comparison == found.comparison
    assert row["value"] > 0
    turned = milkreport.compare(answers["bad"], answers["good"], y, names=("bad", "good"))
    (other,) = turned.to_frame("differences").query("metric == 'macro_f1'").to_dict("records")
    assert other["value"] == pytest.approx(-row["value"])


def test_compare_of_files_is_the_command(written: Path, command: Command) -> None:
    found = milkreport.compare(
        written / "good.csv", str(written / "bad.csv"), written / "truth.csv"
    )
    done = command(
        "compare",
        written / "good.csv",
        written / "bad.csv",
        "--truth",
        written / "truth.csv",
        "--json",
    )
    (told,) = json.loads(done.stdout)
    assert json.loads(found.model_dump_json()) == told


def test_what_compare_refuses(answers: dict[str, np.ndarray], written: Path) -> None:
    with pytest.raises(ConfigError, match="give y_true"):
        milkreport.compare(answers["good"], answers["bad"])
    with pytest.raises(ConfigError, match="two names"):
        milkreport.compare(answers["good"], answers["bad"], answers["y"], names=("x", "x"))
    with pytest.raises(DataError):
        milkreport.compare(answers["good"], answers["bad"][:-1], answers["y"])
    with pytest.raises(ConfigError, match="truth"):
        milkreport.compare(written / "good.csv", written / "bad.csv")
    with pytest.raises(ConfigError, match="no arm 'x'"):
        milkreport.compare(
            written / "good.csv", written / "bad.csv", written / "truth.csv", arm="x"
        )


def test_check_holds_results_against_figures(
    answers: dict[str, np.ndarray], tmp_path: Path
) -> None:
    y = np.take(CLASSES, answers["y"])
    results = milkreport.evaluate(answers["good"], y, classes=CLASSES, data="predictions")
    right = np.mean((answers["good"] > 0.5) == answers["y"])
    verdict = milkreport.check(results, reference(tmp_path, "0.70"))
    (row,) = verdict.rows
    assert row.ours == right
    assert (verdict.status, row.status) == ("PASS", "PASS"), row
    assert repr(verdict) == "<Verdict: PASS against A study; 1 PASS>"
    other = milkreport.evaluate(answers["good"], y, classes=CLASSES)
    unlike = milkreport.check(other, reference(tmp_path, "0.70"))
    assert unlike.status == "NOT CHECKED"
    assert "the data is Unnamed data, not predictions" in unlike.rows[0].reason
    bad = milkreport.evaluate(answers["bad"], y, classes=CLASSES, data="predictions")
    failed = milkreport.check(bad, load_reference(str(reference(tmp_path, "0.95"))))
    assert failed.status == "FAIL"
    assert failed.to_frame()["status"].tolist() == ["FAIL"]
    assert "FAIL" in failed._repr_html_()


def test_check_of_a_folder_is_the_command(written: Path, command: Command, tmp_path: Path) -> None:
    out = tmp_path / "evaluated"
    words = ["evaluate", f"predictions={written / 'good.csv'}", "--truth", written / "truth.csv"]
    assert command(*words, "--out", out, "--no-pdf").returncode == 0
    against = reference(tmp_path, "0.70", data="truth.csv")
    verdict = milkreport.check(out, against)
    assert not (out / "checks.json").exists()
    told = json.loads(command("check", out, "--against", against, "--json").stdout)
    assert json.loads(verdict.model_dump_json()) == told
    earlier = milkreport.check(out, out)
    assert earlier.status == "PASS"
    with pytest.raises(ConfigError, match="needs a folder"):
        milkreport.check(milkreport.evaluate(written / "good.csv", written / "truth.csv"), out)
    with pytest.raises(ConfigError):
        milkreport.check(out, "nowhere")


@pytest.mark.slow
def test_audit_is_the_command(command: Command) -> None:
    found = milkreport.audit("paper")
    told = json.loads(command("audit", "paper", "--json").stdout)
    assert json.loads(found.model_dump_json()) == told
    frame = found.to_frame()
    assert frame["outcome"].value_counts().to_dict() == {k: n for k, n in found.counts.items() if n}
    assert repr(found).startswith("<Audit of Skin Lesion Classification")
    assert milkreport.audit(load_reference("paper")) == found
    with pytest.raises(ConfigError):
        milkreport.audit("nowhere")
