"""run-all --robustness: the test part under corruptions, kept, reported, verified; nothing else changes."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

torch = pytest.importorskip("torch")

from milkreport.data.prepare import prepare  # noqa: E402
from milkreport.data.splits import make_folds  # noqa: E402
from milkreport.evaluation.beyond.robustness import HELD, describe_robustness  # noqa: E402
from milkreport.evaluation.compare import compare_pools  # noqa: E402
from milkreport.evaluation.evaluate import evaluate_arms  # noqa: E402
from milkreport.evaluation.metrics.measures import Plan  # noqa: E402
from milkreport.evaluation.pooled_predictions import CaseFacts, pool_arms  # noqa: E402
from milkreport.evaluation.reading.predictions import Predictions  # noqa: E402
from milkreport.execution.executors import InProcess  # noqa: E402
from milkreport.inference.corrupted import answer_corrupted  # noqa: E402
from milkreport.inference.trained import load_trained  # noqa: E402
from milkreport.runs.cells import Cell  # noqa: E402
from milkreport.runs.folder import RunFolder  # noqa: E402
from milkreport.suite.corruptions import SEVERITIES  # noqa: E402
from tests.fanout_tools import Memory, bits, carry_out, small_suite  # noqa: E402

GROUND_TRUTH = "MILK10k_Training_GroundTruth.csv"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def plain(small: Path, cache: Path, tmp_path_factory) -> Path:
    """The small suite without any corruption."""
    out = tmp_path_factory.mktemp("plain") / "run"
    carry_out(small_suite(), small, out, cache, InProcess("cpu"), Memory())
    return out


@pytest.fixture(scope="module")
def scored(plain: Path, small: Path, cache: Path, tmp_path_factory) -> Path:
    """The same run, finished, to which corruptions were added."""
    out = tmp_path_factory.mktemp("scored") / "run"
    shutil.copytree(plain, out)
    watcher = Memory()
    carry_out(
        small_suite(), small, out, cache, InProcess("cpu"), watcher, robustness="brightness_up,hair"
    )
    assert watcher.begun == []  # nothing was trained
    said = [line for line in watcher.notices if line.startswith("corruptions: ")]
    assert len(said) == 1
    assert "30 scorings of a test part of 3 trainings" in said[0]
    return out


def test_it_adds_to_a_finished_run_and_changes_nothing_else(plain: Path, scored: Path) -> None:
    assert bits(plain) == bits(scored)
    before, after = (json.loads((p / "results.json").read_text()) for p in (plain, scored))
    assert before.pop("robustness") is None
    found = after.pop("robustness")
    for results in (before, after):
        for arm in results["arms"]:
            for cell in arm["cells"]:
                cell.pop("robustness_sha256")
    assert before == after
    assert [row["name"] for row in found["corruptions"]] == ["brightness_up", "hair"]
    assert found["arms"] == ["baseline", "weighted_loss", "sampler"]


def test_severity_0_is_the_ordinary_prediction_and_a_file_holds_the_others(
    scored: Path, small: Path, cache: Path
) -> None:
    folder, suite = RunFolder(scored), small_suite()
    prepared = prepare(small, suite.data, cache)
    test = make_folds(prepared.cases, suite.split)[0].test
    cell = folder.cell(Cell("sampler", suite.seeds[0], 0))
    table = prepared.cases.table.iloc[test].reset_index(drop=True)
    views, store = prepared.cases.views, prepared.store.rows_at(test)
    torch.set_num_threads(suite.training.threads)
    model = load_trained(cell.path)

    def answered(name: str, severity: int) -> np.ndarray:
        return np.exp(answer_corrupted(model, table, store, views, CPU, name, severity))

    kept = pd.read_csv(cell.path / "predictions.csv").query("split == 'test'")
    assert kept["case_id"].tolist() == table["case_id"].tolist()
    classes = list(prepared.cases.classes)
    assert np.array_equal(kept[classes].to_numpy(np.float32), answered("", 0))
    held = pd.read_csv(cell.path / "robustness.csv")
    names = np.array(classes)[answered("hair", 4).argmax(axis=1)]
    assert held["hair:4"].tolist() == names.tolist()
    assert list(held.columns) == ["case_id"] + [
        f"{name}:{s}" for name in ("brightness_up", "hair") for s in SEVERITIES
    ]


def test_values_are_those_of_the_answers(scored: Path) -> None:
    found = json.loads((scored / "results.json").read_text())["robustness"]
    (path,) = scored.glob("cells/sampler/*/*/robustness.csv")
    held = pd.read_csv(path).set_index("case_id")
    truth = pd.read_csv(path.parent / "predictions.csv").query("split == 'test'")
    truth = truth.set_index("case_id")["label"].loc[held.index]
    labels = sorted(truth.unique())
    (row,) = (r for r in found["corruptions"] if r["name"] == "hair")
    for s in SEVERITIES:
        expected = f1_score(
            truth, held[f"hair:{s}"], labels=labels, average="macro", zero_division=0
        )
        assert row["values"]["sampler"][s] == pytest.approx(expected, abs=1e-12)
    values = row["values"]["sampler"]
    assert row["loss"]["sampler"]["value"] == pytest.approx(values[0] - values[3])
    against = row["against_first"]["sampler"]["value"]
    assert against == pytest.approx(values[3] - row["values"]["baseline"][3])


def test_more_is_added_and_nothing_is_done_twice(
    scored: Path, small: Path, cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(scored, out)
    (path,) = out.glob("cells/baseline/*/*/robustness.csv")
    before = pd.read_csv(path)
    watcher = Memory()
    again = (small_suite(), small, out, cache, InProcess("cpu"), watcher)
    carry_out(*again, robustness="hair")
    assert not [line for line in watcher.notices if "corruptions" in line]
    results = carry_out(*again, robustness="hair,jpeg")
    assert len([line for line in watcher.notices if "scored under 5 corruptions" in line]) == 3
    after = pd.read_csv(path)
    assert after[before.columns].equals(before)
    assert "jpeg:5" in after
    assert results.robustness is not None
    assert [row.name for row in results.robustness.corruptions] == ["brightness_up", "jpeg", "hair"]
    # A file that was changed is not believed, and is made again when it is asked for.
    path.write_text(path.read_text().replace("\n", "\n", 1) + "x\n")
    results = carry_out(*again)
    assert results.robustness is not None
    assert results.robustness.arms == [
        "weighted_loss",
        "sampler",
    ]
    results = carry_out(*again, robustness="hair")
    assert results.robustness is not None
    assert len(results.robustness.arms) == 3
    assert [row.name for row in results.robustness.corruptions] == ["hair"]


def test_another_models_weights_are_not_scored(
    scored: Path, small: Path, cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(scored, out)
    one, other = (next(out.glob(f"cells/{arm}/*/*")) for arm in ("baseline", "sampler"))
    for name in ("model.safetensors", "model.json"):
        shutil.copyfile(other / name, one / name)
    record = json.loads((one / "cell.json").read_text())
    twin = json.loads((other / "cell.json").read_text())
    record |= {key: twin[key] for key in ("weights_sha256", "card_sha256")}
    record["robustness_sha256"] = ""
    (one / "cell.json").write_text(json.dumps(record))
    watcher = Memory()
    carry_out(
        small_suite(), small, out, cache, InProcess("cpu"), watcher, robustness="brightness_up"
    )
    (said,) = [line for line in watcher.notices if "not scored" in line]
    assert "its weights give other probabilities than its predictions" in said


@pytest.mark.slow
def test_processes_give_the_same_answers(
    plain: Path, scored: Path, small: Path, cache: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(plain, out)
    settings = {"robustness": "brightness_up,hair", "workers": "2", "device": "cpu"}
    carry_out(small_suite(), small, out, cache, InProcess("cpu"), Memory(), **settings)
    files = sorted(p.relative_to(scored) for p in scored.glob("cells/*/*/*/robustness.csv"))
    assert len(files) == 3
    for file in files:
        assert (out / file).read_bytes() == (scored / file).read_bytes()


def test_report_and_verify(scored: Path, in_process, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(scored, out)
    done = in_process("report", out, "--no-pdf")
    assert done.code == 0, done.stderr
    page = (out / "report.html").read_text()
    assert 'id="figure-robustness-figure"' in page
    assert 'id="table-robustness"' in page
    assert "nothing was trained or chosen on them" in page
    sound = in_process("verify", out / "report.html")
    assert sound.code == 0, sound.stderr
    assert "answers to corrupted images" not in sound.stderr  # they are carried
    # Negative controls: another number in the results, another answer in the file.
    path = out / "results.json"
    results = json.loads(path.read_text())
    results["robustness"]["corruptions"][1]["loss"]["sampler"]["low"] -= 0.01
    path.write_text(json.dumps(results))
    wrong = in_process("verify", out)
    assert wrong.code != 0
    assert "robustness.corruptions[hair].loss.sampler.low" in wrong.stderr
    shutil.rmtree(out)
    shutil.copytree(scored, out)
    (file,) = out.glob("cells/sampler/*/*/robustness.csv")
    rows = list(csv.reader(file.read_text().splitlines()))
    rows[1][3] = rows[2][3] if rows[2][3] != rows[1][3] else "MEL"
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    wrong = in_process("verify", out)
    assert wrong.code != 0
    assert "answers to corrupted images of sampler" in wrong.stderr


def test_predict_tells_the_metric_or_the_agreement(
    plain: Path, small: Path, in_process, tmp_path: Path
) -> None:
    where = ("predict", plain, "--arm", "sampler", "--data")
    done = in_process(*where, small, "--out", "s.csv", "--robustness", "hair")
    assert done.code == 0, done.stderr
    assert "Macro F1 of 66 lesions under corruptions" in done.stderr
    held = pd.read_csv(tmp_path / "s-robustness.csv")
    assert held["severity"].tolist() == [0, *SEVERITIES]
    assert set(held["metric"]) == {"macro_f1"}
    assert held["strength"].tolist()[1:] == [4, 8, 16, 24, 36]
    said = pd.read_csv(tmp_path / "s.csv", index_col=0)
    truth = pd.read_csv(small / GROUND_TRUTH, index_col=0).loc[said.index].idxmax(axis=1)
    expected = f1_score(
        truth, said.idxmax(axis=1), labels=list(said), average="macro", zero_division=0
    )
    assert held["value"][0] == pytest.approx(expected, abs=1e-9)
    unlabelled = tmp_path / "unlabelled"
    shutil.copytree(small, unlabelled)
    (unlabelled / GROUND_TRUTH).unlink()
    done = in_process(*where, unlabelled, "--out", "u.csv", "--robustness", "brightness")
    assert done.code == 0, done.stderr
    assert "cases that keep their class of 66 lesions" in done.stderr
    held = pd.read_csv(tmp_path / "u-robustness.csv")
    assert len(held) == 12
    assert set(held["metric"]) == {"agreement"}
    assert held["value"].between(0, 1).all()
    assert (held["value"][held["severity"] == 0] == 1).all()
    bad = in_process(*where, small, "--out", "s.csv", "--robustness", "hairs")
    assert bad.code == 2
    assert "did you mean hair?" in bad.stderr


# --- the description by itself -----------------------------------------------------------------------


def made(n: int, seed: int, accuracy: float) -> Predictions:
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(0).integers(0, 3, n)
    answer = np.where(rng.uniform(size=n) < accuracy, truth, rng.integers(0, 3, n))
    values = 0.8 * np.eye(3)[answer] + 0.2 / 3
    return Predictions(np.array([f"{i:04d}" for i in range(n)]), truth, values, ("a", "b", "c"))


@pytest.mark.parametrize("primary", ["macro_f1", "log_loss", "recall:b"])
def test_differences_are_those_of_two_arms(primary: str) -> None:
    """The same intervals that the comparison gives for two arms with these predictions."""
    plan, facts = Plan(primary, n_resamples=300), CaseFacts()
    before = {
        arm: {(s, 0): made(150, 10 * i + s, 0.8) for s in (0, 1)} for i, arm in enumerate("xy")
    }
    after = {
        arm: {(s, 0): made(150, 50 + 10 * i + s, 0.6) for s in (0, 1)} for i, arm in enumerate("xy")
    }
    corrupted = {arm: {("jpeg", s): after[arm] for s in SEVERITIES} for arm in "xy"}
    found = describe_robustness(before, corrupted, plan, facts)
    assert found is not None
    assert found.n_seeds == 2
    (row,) = found.corruptions

    def compared(one, other):
        pools = pool_arms({"other": other, "one": one}, "test", plan, facts)
        comparison = compare_pools(pools, plan, facts)
        return next(d for d in comparison.differences if d.metric == primary)

    lower = primary == "log_loss"
    pair = (after["x"], before["x"]) if lower else (before["x"], after["x"])
    for mine, theirs in (
        (row.loss["x"], compared(*pair)),
        (row.against_first["y"], compared(after["y"], after["x"])),
    ):
        assert mine.value == pytest.approx(theirs.value, abs=1e-12)
        if mine is row.loss["x"] and primary not in HELD:
            assert (mine.low, mine.high) == (None, None)
            continue
        assert (mine.low, mine.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert row.loss["x"].value > 0  # worse, whichever way the metric goes
    parts, _ = evaluate_arms({"x": {"test": before["x"]}}, plan, facts)
    if primary in parts["x"][0].metrics:
        assert row.values["x"][0] == pytest.approx(parts["x"][0].metrics[primary].value, abs=1e-12)
    assert row.values["x"][1:] == [row.values["x"][1]] * 5
    assert describe_robustness(before, {"x": {("jpeg", 1): after["x"]}}, plan, facts) is None
