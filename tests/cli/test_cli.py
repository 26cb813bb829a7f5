"""The command line: help without torch, one line an error, the exit code of its kind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from milkreport import __version__
from milkreport.checks.audit.matrices_check import audit_matrices
from milkreport.checks.reference import load_reference
from tests.conftest import Command

CLASSES = ["A", "B", "C", "D"]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, pd.DataFrame]:
    """Random predictions of 300 cases beside their one-hot truth, rows and columns shuffled."""
    rng = np.random.default_rng(3)
    truth = rng.choice(4, 300, p=[0.6, 0.25, 0.1, 0.05])
    probabilities = rng.dirichlet(np.ones(4), 300)
    ids = [f"IL_{i:07d}" for i in range(300)]
    table = pd.DataFrame(np.eye(4)[truth], columns=CLASSES)
    table.insert(0, "lesion_id", ids)
    frame = pd.DataFrame(probabilities, columns=CLASSES)
    frame.insert(0, "lesion_id", ids)
    table.to_csv(tmp_path / "truth.csv", index=False)
    mixed = frame.sample(frac=1, random_state=0)[["lesion_id", "D", "B", "A", "C"]]
    mixed.to_csv(tmp_path / "predictions.csv", index=False)
    frame["truth"] = truth
    return tmp_path / "predictions.csv", tmp_path / "truth.csv", frame


def test_evaluate_equals_scikit_learn_whatever_the_order(files, milkreport: Command) -> None:
    predictions, truth, frame = files
    done = milkreport("evaluate", predictions, "--truth", truth, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)["arms"][0]["parts"][0]
    predicted = frame[CLASSES].to_numpy().argmax(axis=1)
    assert result["confusion"] == confusion_matrix(frame["truth"], predicted).tolist()
    expected = precision_recall_fscore_support(frame["truth"], predicted)
    for row, *numbers in zip(result["classes"], *expected, strict=True):
        found = [row["precision"], row["recall"], row["f1"], row["support"]]
        assert found == pytest.approx(numbers)
    assert result["metrics"]["macro_f1"]["value"] == pytest.approx(expected[2].mean())
    plain = milkreport("evaluate", predictions, "--truth", truth)
    assert plain.stdout == ""
    assert "Macro F1" in plain.stderr


@pytest.mark.parametrize("arm", ["baseline", "weighted_loss", "sampler"])
def test_evaluate_gives_the_papers_figures_on_its_matrices(arm, milkreport, tmp_path) -> None:
    reference = load_reference("paper")
    rows = audit_matrices(reference)[0][arm, "test"].counts
    truth = np.repeat(np.arange(11), rows.sum(axis=1))
    predicted = np.concatenate([np.repeat(np.arange(11), row) for row in rows])
    ids = [f"c{i}" for i in range(len(truth))]
    names = np.array(reference.classes)
    pd.DataFrame({"case_id": ids, "label": names[truth]}).to_csv(tmp_path / "t.csv", index=False)
    frame = pd.DataFrame(np.eye(11)[predicted], columns=names)
    frame.insert(0, "case_id", ids)
    frame.to_csv(tmp_path / "p.csv", index=False)
    done = milkreport("evaluate", "p.csv", "--truth", "t.csv", "--json")
    metrics = json.loads(done.stdout)["arms"][0]["parts"][0]["metrics"]
    printed = {f.metric: f.value for f in reference.figures if (f.arm, f.part) == (arm, "test")}
    assert round(metrics["macro_f1"]["value"], 4) == printed["macro_f1"]
    if arm != "weighted_loss":  # its printed matrix lacks a case
        assert round(metrics["weighted_f1"]["value"], 4) == printed["weighted_f1"]
    # The accuracies that the paper prints do not follow from its matrices.
    assert round(metrics["accuracy"]["value"], 4) != printed["accuracy"]


def spoil(path: Path, change) -> None:
    frame = pd.read_csv(path)
    change(frame).to_csv(path, index=False)


def put(row: int, column: str, value: object):
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame[column] = frame[column].astype(object)
        frame.loc[row, column] = value
        return frame

    return change


def scale(frame: pd.DataFrame) -> pd.DataFrame:
    frame[CLASSES] = np.log(frame[CLASSES]) + 2
    return frame


BAD_PREDICTIONS = {
    "negative": (put(4, "A", -0.1), ":6:A: -0.1 is no probability"),
    "above one": (put(0, "C", 1.5), ":2:C: 1.5 is no probability"),
    "missing": (put(0, "C", None), ":2:C: an empty cell is no probability"),
    "not a number": (put(0, "C", "high"), ":2:C: 'high' is not a number"),
    "logits": (scale, "these look like logits"),
    "id lost": (lambda f: f.drop(index=7), "1 cases of the truth have no prediction: IL_"),
    "id twice": (lambda f: pd.concat([f, f.iloc[:1]]), "stands in row 2 already"),
    "id unknown": (put(0, "lesion_id", "IL_X"), "1 predictions have no truth: IL_X"),
    "no id": (lambda f: f.rename(columns={"lesion_id": "name"}), "no id column"),
    "class lost": (lambda f: f.drop(columns="D"), "no probability column for class D"),
    "class renamed": (lambda f: f.rename(columns={"D": "E"}), "no probability column for class D"),
}


@pytest.mark.parametrize("name", BAD_PREDICTIONS)
def test_bad_predictions_get_one_line_and_exit_code_3(name, files, milkreport) -> None:
    predictions, truth, _ = files
    change, message = BAD_PREDICTIONS[name]
    spoil(predictions, change)
    done = milkreport("evaluate", predictions, "--truth", truth, "--json")
    assert done.returncode == 3
    assert done.stdout == ""
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_label_truth_takes_no_other_column_for_a_class(files, milkreport, tmp_path) -> None:
    predictions, truth, frame = files
    labels = frame.assign(label=np.array(CLASSES)[frame["truth"]])[["lesion_id", "label"]]
    labels.to_csv(tmp_path / "labels.csv", index=False)
    before = milkreport("evaluate", predictions, "--truth", truth, "--json").stdout
    after = milkreport("evaluate", predictions, "--truth", "labels.csv", "--json").stdout
    one, other = json.loads(before)["arms"][0]["parts"][0], json.loads(after)["arms"][0]["parts"][0]
    f1 = [r["metrics"]["macro_f1"]["value"] for r in (one, other)]
    assert f1[0] == pytest.approx(f1[1])  # the classes may stand in another order
    spoil(predictions, lambda f: f.assign(sex=1, fold=1))
    done = milkreport("evaluate", predictions, "--truth", "labels.csv", "--json")
    found = json.loads(done.stdout)
    assert found["arms"][0]["parts"] == json.loads(after)["arms"][0]["parts"]
    assert "predictions.csv: columns left out, being no class: sex" in found["data"]["notes"]
    both = pd.read_csv(truth).merge(labels)
    both.loc[3, "label"] = "D" if both.loc[3, "label"] != "D" else "A"
    both.to_csv(truth, index=False)
    spoil(predictions, lambda f: f.drop(columns=["sex", "fold"]))
    done = milkreport("evaluate", predictions, "--truth", truth)
    assert done.returncode == 3
    assert "truth.csv:5: the label column and the one-hot columns" in done.stderr


def test_sums_that_are_off_are_noticed_and_never_renormalised(files, milkreport) -> None:
    predictions, truth, _ = files

    def halve(frame: pd.DataFrame) -> pd.DataFrame:
        frame[CLASSES] /= 2
        return frame

    before = json.loads(milkreport("evaluate", predictions, "--truth", truth, "--json").stdout)
    assert before["notices"] == []
    spoil(predictions, halve)
    after = json.loads(milkreport("evaluate", predictions, "--truth", truth, "--json").stdout)
    assert "NOT COMPUTED" in after["notices"][0]
    (one,), (other,) = (r["arms"][0]["parts"] for r in (before, after))
    assert (one["kind"], other["kind"]) == ("probabilities", "scores")
    lost = {"log_loss", "brier", "ece"}
    assert one["metrics"].keys() - other["metrics"].keys() == other["not_computed"].keys() == lost
    assert other["metrics"] == {k: v for k, v in one["metrics"].items() if k not in lost}
    for row in (*one["classes"], *other["classes"]):
        for review in row["top"]:
            del review["threshold"]  # of halved scores it is halved, and nothing else moves
    assert (one["classes"], one["confusion"]) == (other["classes"], other["confusion"])
    assert other["calibration"] is None


WRONG = {
    "unknown command": (["reprot"], 2, "Did you mean 'report'"),
    "unknown option": (["run-all", "--sedes", "3"], 2, "--sedes"),
    "unknown suite": (["run-all", "quik"], 2, "did you mean quick?"),
    "unknown key": (["run-all", "--set", "training.epoch=3"], 2, "did you mean training.epochs?"),
    "bad value": (["run-all", "--set", "training.epochs=0"], 2, "training.epochs = 0"),
    "no data": (["run-all", "--data", "nowhere"], 3, "no such folder"),
    "no run": (["report", "nowhere"], 3, "no such run folder"),
    "no run to check": (["check", "nowhere"], 3, "no such run folder"),
    "paper on synthetic": (["run-all", "paper"], 2, "--data DIR"),
    "no device": (["run-all", "--device", "tpu", "--data", "."], 2, "unknown device"),
    "few cases": (["data", "synth", "x", "--cases", "3"], 2, "cases"),
    "a PDF and none": (["run-all", "--no-pdf", "--pdf", "require"], 2, "contradict each other"),
    "zero seeds": (["run-all", "--seeds", "0"], 2, "--seeds 0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_gets_one_line(name: str, milkreport: Command, tmp_path: Path) -> None:
    arguments, code, message = WRONG[name]
    done = milkreport(*arguments)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").rglob("*.json"))


def test_debug_shows_the_traceback(milkreport: Command) -> None:
    done = milkreport("--debug", "report", "nowhere")
    assert "Traceback" in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")


def test_help_teaches_without_torch() -> None:
    code = (
        "import sys, milkreport.cli.app as c\n"
        "try: c.app(['run-all', '--help'], standalone_mode=False)\n"
        "finally: print(sorted(m for m in ('torch', 'matplotlib', 'sklearn') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip().splitlines()[-1] == "[]"
    assert "milkreport run-all paper --data DIR" in done.stdout


@pytest.mark.slow
def test_doctor_and_version(milkreport: Command) -> None:
    done = milkreport("doctor")
    assert done.returncode == 0
    for word in ("milkreport", "training", "PDF", "cache"):
        assert word in done.stderr
    assert milkreport("--version").stdout.strip() == f"milkreport {__version__}"


@pytest.mark.slow
def test_doctor_takes_the_data_that_a_run_takes(milkreport: Command, tmp_path: Path) -> None:
    (tmp_path / "data.zip").touch()
    for named, found in (("data.zip", "data.zip"), ("lacks", "does not exist: lacks")):
        done = milkreport("doctor", MILKREPORT_DATA=named)
        line = next(row for row in done.stderr.splitlines() if row.startswith("data "))
        assert found in line
        assert ("correct it" in line) == (named == "lacks")


def test_a_closed_pipe_is_no_error(files, tmp_path: Path) -> None:
    command = f"{sys.executable} -m milkreport evaluate predictions.csv --truth truth.csv --json | head -c 1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stderr == ""


def test_data_synth_and_check(milkreport: Command, tmp_path: Path) -> None:
    assert milkreport("data", "synth", "made", "--cases", 66, "--size", 16).returncode == 0
    done = milkreport("data", "check", "made")
    assert done.returncode == 0, done.stderr
    assert "66 lesions" in done.stderr
    assert "Synthetic MILK10k" in done.stderr
    image = next((tmp_path / "made").rglob("*.jpg"))
    image.write_bytes(image.read_bytes()[:300])
    done = milkreport("data", "check", "made")
    assert done.returncode == 3
    assert image.name in done.stderr
    again = milkreport("data", "synth", "made", "--cases", 66)
    assert again.returncode == 3


def test_dry_run_writes_nothing(milkreport: Command, tmp_path: Path) -> None:
    done = milkreport("run-all", "paper", "--dry-run", "--seeds", 2)
    assert done.returncode == 0
    assert "6 trainings" in done.stderr
    assert list(tmp_path.iterdir()) == []
