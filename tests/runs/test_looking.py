"""How far runs are and which there are, from their folders alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from filelock import FileLock

from milkreport.evaluation.records.results import CellRecord
from milkreport.runs.cells import Cell
from milkreport.runs.finding import find_runs
from milkreport.runs.folder import RunFolder
from milkreport.runs.progress import CellProgress, Progress
from milkreport.runs.status import load_status
from milkreport.suite.suite import load_suite
from tests import report_samples as samples
from tests.conftest import Command


@pytest.fixture
def begun(tmp_path: Path) -> RunFolder:
    """A run of three arms: one done, one failed, one with a checkpoint; a second seed waits."""
    folder = RunFolder(tmp_path / "runs" / "one")
    suite = load_suite("quick", ["training.epochs=10"]).with_seeds(2)
    folder.begin(suite, samples.sample_manifest())
    done = CellRecord(seed=0, fold=0, status="complete", seconds=50.0)
    folder.cell(Cell("baseline", 0, 0)).write_record(done)
    failed = CellRecord(seed=0, fold=0, status="failed", message="the loss is nan at epoch 3")
    folder.cell(Cell("weighted_loss", 0, 0)).write_record(failed)
    place = folder.cell(Cell("sampler", 0, 0)).checkpoints
    place.mkdir(parents=True)
    for epoch in (3, 4):
        facts = json.dumps({"epoch": epoch, "step": 0, "seconds": 6.0 * epoch})
        (place / f"{epoch:05d}-0000000.checkpoint").write_bytes(
            b"mark\n" + facts.encode() + b"\n..."
        )
    return folder


def states(folder: RunFolder) -> list[str]:
    return [cell.state for cell in load_status(folder).cells]


def test_every_training_has_its_state(begun: RunFolder) -> None:
    status = load_status(begun)
    assert states(begun) == ["done", "failed", "interrupted", "waiting", "waiting", "waiting"]
    assert status.counts == {"done": 1, "failed": 1, "interrupted": 1, "waiting": 3}
    assert status.cells[2].epoch == 4
    assert status.cells[1].message == "the loss is nan at epoch 3"
    # Paces of 5 and 6 seconds per epoch; 6 and three times 10 epochs are open.
    assert status.seconds_left == pytest.approx(5.5 * 36)
    assert status.held_by == ""


def test_what_is_trained_now_is_told_by_the_run_that_holds_the_folder(begun: RunFolder) -> None:
    (begun.path / ".lock-holder").write_text("pid 12 on host since now")
    running = [
        CellProgress(arm="sampler", seed=0, fold=0, epoch=6, epochs_here=2, seconds=14.0),
        CellProgress(arm="baseline", seed=1, fold=0),
    ]
    record = Progress(workers=2, running=running)
    (begun.path / ".progress.json").write_text(record.model_dump_json())
    assert states(begun)[2:4] == ["interrupted", "waiting"]  # notes that a killed run left
    with FileLock(begun.path / ".lock"):
        status = load_status(begun)
    assert [c.state for c in status.cells] == [
        "done", "failed", "running", "running", "waiting", "waiting",
    ]  # fmt: skip
    assert (status.cells[2].epoch, status.cells[3].epoch) == (6, 0)
    assert status.held_by == "pid 12 on host since now"
    # 5 seconds per epoch of the one that is done, 7 of the other; 4 + 3 x 10 epochs, two at a time.
    assert status.seconds_left == pytest.approx(6.0 * 34 / 2)


def test_status_on_the_command_line(begun: RunFolder, milkreport: Command) -> None:
    done = milkreport("status", begun.path)
    assert done.returncode == 0
    assert "1 done, 1 failed, 1 interrupted, 3 waiting; about 3 min left" in done.stderr
    assert "the loss is nan at epoch 3" in done.stderr
    record = json.loads(milkreport("status", begun.path, "--json").stdout)
    assert record["counts"] == {"done": 1, "failed": 1, "interrupted": 1, "waiting": 3}
    assert milkreport("status", "nowhere").returncode == 3


def test_list_finds_runs_at_any_depth_and_says_what_is_damaged(
    begun: RunFolder, milkreport: Command, tmp_path: Path
) -> None:
    scored = RunFolder(tmp_path / "runs" / "deep" / "two")
    results = samples.sample_results(seeds=2)
    scored.write_manifest(samples.sample_manifest())
    scored.write_results(results, {})
    scored.write_verdict(samples.sample_verdict(results))
    damaged = tmp_path / "runs" / "bad"
    damaged.mkdir()
    (damaged / "manifest.json").write_text("{")
    entries = {Path(entry.path).name: entry for entry in find_runs(tmp_path / "runs")}
    assert entries.keys() == {"one", "two", "bad"}
    assert "damaged" in entries["bad"].problem
    assert (entries["one"].done, entries["one"].cells, entries["one"].values) == (1, 6, {})
    two = entries["two"]
    assert (two.done, two.cells, two.data) == (6, 6, "MILK10k")
    assert two.values == {
        arm.name: arm.part("test").metrics["macro_f1"].value for arm in results.arms
    }
    assert two.verdict == str(samples.sample_verdict(results).status)

    def listed(*options: str) -> set[str]:
        done = milkreport("list", "runs", "--json", *options)
        assert done.returncode == 0, done.stderr
        return {Path(entry["path"]).name for entry in json.loads(done.stdout)}

    assert listed() == {"one", "two", "bad"}
    assert listed("--data", "MILK10k") == {"two"}
    assert listed("--arm", "sampler") == {"one", "two"}
    assert listed("--since", "2999-01-01") == set()
    shown = milkreport("list", "runs")
    assert "3 runs" in shown.stderr
    assert "6 of 6 done" in shown.stderr
    assert f"baseline {two.values['baseline']:.3f}" in shown.stderr
    assert milkreport("list", "nowhere").returncode == 2


def test_a_thousand_trainings_are_looked_at_quickly_and_completely(tmp_path: Path) -> None:
    """Files of a thousand cells are read once each; nothing grows with their square."""
    folder = RunFolder(tmp_path / "runs" / "large")
    suite = load_suite("quick").with_seeds(334)
    folder.begin(suite, samples.sample_manifest())
    for seed in suite.seeds[:300]:
        for arm in suite.arms:
            record = CellRecord(seed=seed, fold=0, status="complete", seconds=1.0)
            place = folder.cell(Cell(arm.name, seed, 0)).path
            place.mkdir(parents=True)
            (place / "cell.json").write_text(record.model_dump_json())
    status = load_status(folder)
    assert status.counts == {"done": 900, "waiting": 102}
    (entry,) = find_runs(tmp_path)
    assert (entry.done, entry.cells) == (900, 1002)


@pytest.mark.parametrize("since", ["1.1.2027", "tomorrow", "2027-13-01", ""])
def test_a_day_that_is_none_is_refused(in_process, tmp_path, since) -> None:
    (tmp_path / "runs").mkdir()
    outcome = in_process("list", "runs", "--since", since)
    assert outcome.code == 2
    assert f"--since {since!r}: not a date — write YYYY-MM-DD" in outcome.stderr
