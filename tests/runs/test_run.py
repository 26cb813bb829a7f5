"""The main job through the command line: run, resume, redraw, check, refuse."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pypdf import PdfReader
from sklearn.metrics import accuracy_score, f1_score

from milkreport.evaluation.records.long_form import COLUMNS
from tests.conftest import Command

pytest.importorskip("torch")

SMALL = [
    "--set", "data.image_size=24", "--set", "training.epochs=2", "--set", "training.threads=1",
    "--set", "model.metadata_hidden_layers=1", "--device", "cpu",
]  # fmt: skip
BANNER = "SYNTHETIC DATA - NOT A RESULT"


@pytest.fixture(scope="module")
def finished(synthetic: Path, cache: Path, tmp_path_factory) -> tuple[Path, str]:
    """One run of three arms on the synthetic set, with its PDF."""
    import os
    import sys

    folder = tmp_path_factory.mktemp("run")
    done = subprocess.run(
        [sys.executable, "-m", "milkreport", "run-all", "quick", "--data", str(synthetic),
         "--out", "out", *SMALL],
        cwd=folder, env=os.environ | {"MILKREPORT_CACHE": str(cache)},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "out", done.stderr


def weights(run: Path) -> dict[str, str]:
    return {
        str(p.parent.relative_to(run)): json.loads(p.read_text())["weights_sha256"]
        for p in sorted(run.glob("cells/*/*/*/cell.json"))
    }


@pytest.mark.slow
def test_a_run_leaves_every_file_of_the_layout(finished) -> None:
    run, screen = finished
    names = {str(p.relative_to(run)) for p in run.rglob("*") if p.is_file()}
    expected = {
        "manifest.json", "suite.toml", "results.json", "metrics.csv", "data.json", "splits.csv",
        "removed.csv", "images.csv", "duplicates.csv", "report.html", "report.pdf",
    }  # fmt: skip
    for arm in ("baseline", "weighted_loss", "sampler"):
        expected |= {
            f"cells/{arm}/seed-0/fold-0/{name}"
            for name in ("cell.json", "history.csv", "predictions.csv", "model.safetensors",
                         "model.json")
        }  # fmt: skip
    assert expected <= names
    assert not [n for n in names if n.endswith((".tmp", ".partial")) or ".lock-holder" in n]
    assert "report.pdf" in screen
    assert len(set(weights(run).values())) == 3


def test_results_equal_scikit_learn_on_the_predictions(finished) -> None:
    run, _ = finished
    results = json.loads((run / "results.json").read_text())
    metrics = pd.read_csv(run / "metrics.csv", keep_default_na=False)
    for arm in results["arms"]:
        frame = pd.read_csv(run / f"cells/{arm['name']}/seed-0/fold-0/predictions.csv")
        assert list(frame.columns) == ["case_id", "split", "label", *results["classes"]]
        test = frame[frame["split"] == "test"]
        predicted = test[results["classes"]].idxmax(axis=1)
        expected = {
            "accuracy": accuracy_score(test["label"], predicted),
            "macro_f1": f1_score(test["label"], predicted, labels=sorted(set(test["label"])),
                                 average="macro", zero_division=0),
        }  # fmt: skip
        part = next(p for p in arm["parts"] if p["part"] == "test")
        for name, value in expected.items():
            assert part["metrics"][name]["value"] == pytest.approx(value, abs=1e-12)
            row = metrics[(metrics["arm"] == arm["name"]) & (metrics["split"] == "test")
                          & (metrics["metric"] == name) & (metrics["class"] == "")]  # fmt: skip
            assert float(row["value"].iloc[0]) == pytest.approx(value, abs=1e-8)
            assert int(row["n"].iloc[0]) == len(test)
    assert tuple(metrics.columns) == COLUMNS


def test_a_run_says_all_that_an_evaluation_says(finished) -> None:
    """Subgroups, positive classes and the archive's rule come with the data."""
    run, _ = finished
    results = json.loads((run / "results.json").read_text())
    for arm in results["arms"]:
        part = next(p for p in arm["parts"] if p["part"] == "test")
        columns = {piece["column"] for piece in part["slices"]}
        assert {"sex", "site", "age_approx", "skin_tone_class", "image_manipulation"} <= columns | {
            kept["column"] for kept in part["withheld"]
        }
        assert part["positive"]["classes"] == ["AKIEC", "BCC", "MAL_OTH", "MEL", "SCCKA"]
        assert {"isic", "thresholds", "thresholds in-sample"} == {r["rule"] for r in part["rules"]}
        assert part["calibration"]["temperature"] > 0
    assert (run / "mistakes.csv").is_file()
    assert len(results["comparison"]["agreement"]) == 3


@pytest.mark.slow
def test_damaged_results_are_made_again_from_the_predictions(
    finished, tmp_path, milkreport
) -> None:
    run, _ = finished
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    whole = (copy / "results.json").read_text()
    (copy / "results.json").write_text(whole[: len(whole) // 2])
    done = milkreport("report", copy, "--no-pdf")
    assert done.returncode == 0, done.stderr
    assert "scored again from the predictions" in " ".join(done.stderr.split())
    assert json.loads((copy / "results.json").read_text()) == json.loads(whole)


def test_parts_are_disjoint_on_disk_and_shared_by_the_arms(finished) -> None:
    run, _ = finished
    splits = pd.read_csv(run / "splits.csv")
    assert splits["case_id"].is_unique
    assert splits.groupby("group_id")["part"].nunique().max() == 1
    wanted = dict(zip(splits["case_id"], splits["part"], strict=True))
    for path in run.glob("cells/*/*/*/predictions.csv"):
        frame = pd.read_csv(path)
        assert dict(zip(frame["case_id"], frame["split"], strict=True)) == wanted


@pytest.mark.slow
def test_every_page_says_that_synthetic_data_is_no_result(finished) -> None:
    run, screen = finished
    pages = [page.extract_text() for page in PdfReader(run / "report.pdf").pages]
    assert len(pages) > 3
    assert all(BANNER in page for page in pages)
    assert BANNER in (run / "report.html").read_text()
    assert BANNER in screen
    assert not (run / "checks.json").exists()


@pytest.mark.slow
def test_no_file_names_this_machine(finished, synthetic: Path) -> None:
    run, _ = finished
    hidden = [str(run.parent), str(synthetic), str(Path.home())]
    texts = [
        p.read_text() for p in run.rglob("*") if p.suffix in (".json", ".toml", ".csv", ".html")
    ]
    texts.append("".join(page.extract_text() for page in PdfReader(run / "report.pdf").pages))
    for text in texts:
        assert not [h for h in hidden if h in text]
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["command"].startswith(
        "milkreport run-all quick --data $MILKREPORT_DATA --out $OUT"
    )


@pytest.mark.slow
def test_the_same_command_again_trains_nothing(finished, synthetic, milkreport: Command) -> None:
    run, _ = finished
    before = weights(run), (run / "results.json").read_text(), (run / "report.html").read_bytes()
    done = milkreport("run-all", "quick", "--data", synthetic, "--out", run, *SMALL, "--no-pdf")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("done before") == 3
    assert before == (
        weights(run), (run / "results.json").read_text(), (run / "report.html").read_bytes()
    )  # fmt: skip


@pytest.mark.slow
def test_an_interrupted_run_ends_with_the_same_weights(finished, synthetic, milkreport) -> None:
    run, _ = finished
    copy = run.parent / "interrupted"
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "cells/weighted_loss")  # never begun
    (copy / "cells/sampler/seed-0/fold-0/cell.json").unlink()  # killed before the commit
    done = milkreport("run-all", "quick", "--data", synthetic, "--out", copy, *SMALL, "--no-pdf")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("done before") == 1
    assert weights(copy) == weights(run)


@pytest.mark.slow
def test_a_damaged_cell_is_trained_again(finished, synthetic, milkreport) -> None:
    run, _ = finished
    copy = run.parent / "damaged"
    shutil.copytree(run, copy)
    model = copy / "cells/sampler/seed-0/fold-0/model.safetensors"
    raw = bytearray(model.read_bytes())
    raw[-1] ^= 1
    model.write_bytes(raw)
    (copy / "cells/baseline/seed-0/fold-0/predictions.csv").unlink()
    done = milkreport("run-all", "quick", "--data", synthetic, "--out", copy, *SMALL, "--no-pdf")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("its files changed since it was trained") == 2
    assert done.stderr.count("done before") == 1
    assert weights(copy) == weights(run)
    assert model.read_bytes() == (run / model.relative_to(copy)).read_bytes()


def test_our_own_predictions_can_be_evaluated(finished, synthetic, milkreport) -> None:
    run, _ = finished
    predictions = run / "cells/sampler/seed-0/fold-0/predictions.csv"
    truth = synthetic / "MILK10k_Training_GroundTruth.csv"
    done = milkreport("evaluate", predictions, "--truth", truth, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["arms"][0]["parts"][0]
    results = json.loads((run / "results.json").read_text())
    sampler = next(a for a in results["arms"] if a["name"] == "sampler")
    test = next(p for p in sampler["parts"] if p["part"] == "test")
    assert found["confusion"] == test["confusion"]
    assert found["metrics"] == test["metrics"]


@pytest.mark.slow
def test_more_seeds_extend_a_run(finished, synthetic, milkreport) -> None:
    run, _ = finished
    copy = run.parent / "seeds"
    shutil.copytree(run, copy)
    done = milkreport(
        "run-all", "quick", "--data", synthetic, "--out", copy, *SMALL, "--seeds", 2, "--no-pdf"
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("done before") == 3
    after = weights(copy)
    assert len(set(after.values())) == 6
    assert weights(run).items() <= after.items()
    results = json.loads((copy / "results.json").read_text())
    assert results["comparison"]["n_seeds"] == 2


def test_changed_settings_are_refused_with_their_keys(finished, synthetic, milkreport) -> None:
    run, _ = finished
    before = weights(run)
    done = milkreport("run-all", "quick", "--data", synthetic, "--out", run, *SMALL,
                      "--set", "training.learning_rate=0.01")  # fmt: skip
    assert done.returncode == 2
    assert "training.learning_rate: 0.001, now 0.01" in done.stderr
    assert weights(run) == before


def test_changed_data_are_refused(finished, synthetic, milkreport, tmp_path) -> None:
    run, _ = finished
    changed = tmp_path / "changed"
    shutil.copytree(synthetic, changed)
    table = changed / "MILK10k_Training_Metadata.csv"
    table.write_text(table.read_text().replace(",male,", ",female,", 2))
    done = milkreport("run-all", "quick", "--data", changed, "--out", run, *SMALL)
    assert done.returncode == 3
    assert "begun: MILK10k_Training_Metadata.csv" in done.stderr
    image = sorted(changed.rglob("*.jpg"))[3]
    shutil.copy(synthetic / table.name, table)
    with Image.open(image) as whole:
        whole.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(image)
    done = milkreport("run-all", "quick", "--data", changed, "--out", run, *SMALL)
    assert done.returncode == 3
    assert f"begun: {image.relative_to(changed).as_posix()}" in done.stderr


def test_nothing_shared_is_proven_from_the_files(finished) -> None:
    run, _ = finished
    proof = json.loads((run / "results.json").read_text())["data"]["proof"]
    assert proof["comparisons"] == 1
    assert proof["shared_cases"] == proof["shared_groups"] == proof["shared_images"] == 0
    raw = (run / "splits.csv").read_bytes()
    assert proof["splits_sha256"] == hashlib.sha256(raw).hexdigest()
    splits = pd.read_csv(run / "splits.csv")
    assert proof["groups"] == splits["group_id"].nunique()
    assert splits.groupby("group_id")["part"].nunique().max() == 1
    images = pd.read_csv(run / "images.csv")
    assert set(splits["case_id"]) <= set(images["case_id"])


@pytest.mark.slow
def test_a_skipped_image_is_recorded_everywhere(synthetic, milkreport, tmp_path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(synthetic, broken)
    victim = sorted(broken.rglob("*.jpg"))[0]
    victim.write_bytes(victim.read_bytes()[:300])
    short = [*SMALL, "--set", "training.epochs=1", "--no-pdf", "--out", "out"]
    skip = ["--set", "data.on_bad_image=skip"]
    assert milkreport("run-all", "quick", "--data", broken, *short).returncode == 3
    done = milkreport("run-all", "quick", "--data", broken, *short, *skip)
    assert done.returncode == 0, done.stderr
    removed = pd.read_csv(tmp_path / "out" / "removed.csv").set_index("case_id")["reason"]
    reason = removed[victim.parent.name]
    assert reason.endswith("image truncated")
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert reason in [exclusion["reason"] for exclusion in results["data"]["exclusions"]]
    assert results["data"]["on_bad_image"] == "skip"
    assert reason in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_folder_of_something_else_is_left_alone(synthetic, milkreport, tmp_path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("mine")
    done = milkreport("run-all", "quick", "--data", synthetic, "--out", "thesis", *SMALL)
    assert done.returncode == 2
    assert "not a run folder and not empty" in done.stderr
    assert [p.name for p in (tmp_path / "thesis").iterdir()] == ["chapter.txt"]
    (tmp_path / "file").write_text("")
    done = milkreport("run-all", "quick", "--data", synthetic, "--out", "file", *SMALL)
    assert done.returncode == 4


def test_a_run_in_use_is_refused(finished, synthetic, milkreport) -> None:
    from milkreport.runs.lock import hold

    run, _ = finished
    with hold(run):
        done = milkreport("run-all", "quick", "--data", synthetic, "--out", run, *SMALL)
    assert done.returncode == 4
    assert re.search(r"in use by pid \d+ on ", done.stderr)


def test_a_loss_that_is_not_finite_fails_its_cells_with_6(synthetic, milkreport, tmp_path) -> None:
    done = milkreport("run-all", "quick", "--data", synthetic, "--out", "out", *SMALL,
                      "--set", "model.metadata_scale=3e38",
                      "--set", "training.learning_rate=10", "--no-pdf")  # fmt: skip
    assert done.returncode == 6, done.stderr
    assert done.stderr.count("failed: the loss is") >= 3
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [arm["cells"][0]["status"] for arm in results["arms"]] == ["failed"] * 3
    assert results["status"] == "partial"
    assert "the loss is" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.slow
def test_a_failed_arm_leaves_the_others(synthetic, tmp_path, monkeypatch) -> None:
    from milkreport.commands import run_all
    from milkreport.execution import trainer
    from milkreport.execution.grid import Point
    from milkreport.execution.options import RunOptions
    from milkreport.suite.suite import load_suite
    from milkreport.training.failures import TrainingFailed

    def train(prepared, suite, arm, *rest):
        if arm.name == "weighted_loss":
            raise TrainingFailed("the loss is nan at epoch 3")
        return whole(prepared, suite, arm, *rest)

    whole = trainer.train_cell
    monkeypatch.setattr(trainer, "train_cell", train)
    suite = load_suite("quick", SMALL[1:-2:2])
    order = run_all.Order(
        runs=[(Point("", ()), suite)],
        data=synthetic,
        out=tmp_path / "out",
        command="",
        cache=tmp_path / "cache",
        pdf="none",
        options=RunOptions(device="cpu", workers="1"),
    )
    ((results,), _) = run_all.run(order)
    assert results.status == "partial"
    statuses = {arm.name: arm.cells[0].status for arm in results.arms}
    assert statuses == {"baseline": "complete", "weighted_loss": "failed", "sampler": "complete"}
    compared = {(d.arm, d.against) for d in results.comparison.differences}
    assert compared == {("sampler", "baseline")}
    assert "the loss is nan at epoch 3" in (tmp_path / "out" / "report.html").read_text()
    monkeypatch.undo()
    monkeypatch.setenv("MILKREPORT_CACHE", str(tmp_path / "cache"))
    ((again,), _) = run_all.run(order)
    assert again.status == "complete"  # the failed arm alone was trained


def test_a_date_that_is_none_is_named(synthetic, milkreport) -> None:
    done = milkreport(
        "run-all", "quick", "--data", synthetic, "--out", "o", *SMALL, SOURCE_DATE_EPOCH="today"
    )
    assert done.returncode == 2
    assert "SOURCE_DATE_EPOCH is 'today'" in done.stderr


@pytest.mark.slow
def test_report_redraws_without_training(finished, milkreport) -> None:
    run, _ = finished
    copy = run.parent / "moved somewhere else"
    shutil.copytree(run, copy)
    html = (copy / "report.html").read_bytes()
    for model in copy.rglob("model.safetensors"):
        model.unlink()
    (copy / "report.html").unlink()
    done = milkreport("report", copy, "--no-pdf")
    assert done.returncode == 0, done.stderr
    assert (copy / "report.html").read_bytes() == html


@pytest.mark.slow
def test_report_of_an_unfinished_run_says_so(finished, milkreport) -> None:
    run, _ = finished
    copy = run.parent / "unfinished"
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "cells/sampler")
    (copy / "results.json").unlink()
    done = milkreport("report", copy, "--no-pdf")
    assert done.returncode == 0, done.stderr
    assert "2 of 3 trainings are complete" in (copy / "report.html").read_text()
    shutil.rmtree(copy / "cells")
    done = milkreport("report", copy)
    assert done.returncode == 3
    assert "no training is finished here" in done.stderr
    nothing = run.parent / "nothing"
    nothing.mkdir()
    done = milkreport("report", nothing)
    assert done.returncode == 3
    assert "no run here" in done.stderr


@pytest.mark.slow
def test_check_against_the_paper_and_against_itself(finished, milkreport, tmp_path) -> None:
    run, _ = finished
    copy = run.parent / "checked"
    shutil.copytree(run, copy)
    done = milkreport("check", copy, "--json")
    assert done.returncode == 5
    verdict = json.loads(done.stdout)
    assert verdict["status"] == "NOT CHECKED"
    assert {row["reason"] for row in verdict["rows"]} == {"the data is synthetic"}
    done = milkreport("check", copy, "--against", run, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["status"] == "PASS"
    assert json.loads((copy / "checks.json").read_text()) == json.loads(done.stdout)
    spoilt = copy / "cells/baseline/seed-0/fold-0/predictions.csv"
    frame = pd.read_csv(spoilt)
    classes = list(frame.columns[3:])
    frame[classes] = np.roll(frame[classes].to_numpy(), 1, axis=1)
    frame.to_csv(spoilt, index=False)
    done = milkreport("check", copy, "--against", run)
    assert done.returncode == 1
    assert "FAIL" in done.stderr
    done = milkreport("check", copy, "--against", "papr")
    assert done.returncode == 2
    assert "did you mean paper?" in done.stderr


@pytest.mark.slow
def test_a_gate_makes_the_verdict_the_exit_code(finished, synthetic, milkreport) -> None:
    run, _ = finished
    copy = run.parent / "gated"
    shutil.copytree(run, copy)
    again = ("run-all", "quick", "--data", synthetic, "--out", copy, *SMALL, "--no-pdf")
    assert milkreport(*again, "--gate", run).returncode == 0
    assert milkreport(*again, "--gate", "paper").returncode == 5
    assert milkreport(*again, "--gate", "papr").returncode == 2
    assert milkreport("run-all", "--dry-run", "--gate", "papr").returncode == 2


@pytest.mark.slow
def test_folds_are_pooled_and_every_case_scored_once(synthetic, milkreport, tmp_path) -> None:
    done = milkreport(
        "run-all", "cv5", "--data", synthetic, "--out", "cv", *SMALL,
        "--set", "training.epochs=1", "--no-pdf",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "cv" / "results.json").read_text())
    used = results["data"]["n_used"]
    for arm in results["arms"]:
        test = next(p for p in arm["parts"] if p["part"] == "test")
        assert (test["n_cases"], test["n_folds"]) == (used, 5)
        assert np.sum(test["confusion"]) == used
        train = next(p for p in arm["parts"] if p["part"] == "train")
        assert train["n_cases"] == used  # each in several folds, each counted once
    assert results["comparison"]["n_cases"] == used
    metrics = pd.read_csv(tmp_path / "cv" / "metrics.csv")
    pooled = metrics[(metrics["fold"] == "pooled") & (metrics["metric"] == "accuracy")]
    assert sorted(pooled["n"]) == [used] * 3


def test_a_card_that_was_edited_is_refused_and_its_cell_trained_anew(
    finished, milkreport, tmp_path
):
    from milkreport.errors import DataError
    from milkreport.inference.trained import load_trained
    from milkreport.runs.cells import Cell
    from milkreport.runs.folder import RunFolder

    copy = tmp_path / "edited"
    shutil.copytree(finished[0], copy)
    card = copy / "cells/baseline/seed-0/fold-0/model.json"
    text = card.read_text()
    card.write_text(text.replace('"BCC"', '"BCD"'))
    with pytest.raises(DataError, match="changed since it was written"):
        load_trained(card.parent)
    cell = Cell("baseline", 0, 0)
    folder = RunFolder(copy)
    assert not folder.cell(cell).is_sound(folder.cell(cell).load_record())
    card.write_text(text)
    assert folder.cell(cell).is_sound(folder.cell(cell).load_record())
