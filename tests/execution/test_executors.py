"""The same trainings on any executor, to the bit; workers that die; what stops a run and what does not."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from milkreport.data.prepare import prepare  # noqa: E402
from milkreport.errors import (  # noqa: E402
    ConfigError,
    DataProblems,
    EnvironmentProblem,
    Problem,
    Stopped,
)
from milkreport.execution import choose  # noqa: E402
from milkreport.execution.choose import choose_executor, cpu_workers  # noqa: E402
from milkreport.execution.executors import InProcess  # noqa: E402
from milkreport.execution.options import RunOptions  # noqa: E402
from milkreport.execution.processes import Processes, Slot, _Room, _seeing, make_slots  # noqa: E402
from milkreport.execution.recorder import FAILURE  # noqa: E402
from milkreport.execution.runner import run_suites  # noqa: E402
from milkreport.execution.tasks import cell_key  # noqa: E402
from milkreport.runs.cells import Cell  # noqa: E402
from milkreport.runs.folder import RunFolder  # noqa: E402
from milkreport.runs.progress import Progress, ProgressFile, load_progress  # noqa: E402
from milkreport.suite.suite import build_suite, load_suite  # noqa: E402
from milkreport.training.device import list_gpus  # noqa: E402
from tests.fanout_tools import ARMS, Memory, bits, carry_out, small_suite  # noqa: E402

SMALL = [
    "--set", "data.image_size=16", "--set", "training.threads=1", "--device", "cpu", "--no-pdf",
    "--set", "model.metadata_hidden_layers=1", "--no-images",
]  # fmt: skip


def two_processes() -> Processes:
    return Processes(make_slots(2, [], "cpu"))


@pytest.fixture(scope="module")
def alone(small: Path, cache: Path, tmp_path_factory) -> dict[str, tuple[str, str, str]]:
    """The small suite in this process: what every executor must give."""
    out = tmp_path_factory.mktemp("alone") / "run"
    results = carry_out(small_suite(), small, out, cache, InProcess("cpu"), Memory())
    assert results.status == "complete"
    found = bits(out)
    assert len({hashes[0] for hashes in found.values()}) == len(found) == 3
    return found


@pytest.mark.slow
def test_processes_give_the_same_bits(small, cache, tmp_path, alone) -> None:
    watcher = Memory()
    carry_out(small_suite(), small, tmp_path / "run", cache, two_processes(), watcher)
    assert bits(tmp_path / "run") == alone
    assert sorted(watcher.begun) == sorted(watcher.ended)
    for task in watcher.begun:
        assert [e for name, e in watcher.epochs if name == task] == [1, 2, 3, 4, 5, 6]
    assert watcher.most_at_work == 2
    assert not (tmp_path / "run" / ".progress.json").exists()


@pytest.mark.slow
def test_a_killed_worker_costs_its_cell_what_came_after_its_checkpoint(
    small, cache, tmp_path, alone
) -> None:
    killed: list[int] = []

    def kill_one(task: object, epoch: int) -> None:
        if epoch == 3 and not killed:
            victim = multiprocessing.active_children()[0].pid
            killed.append(victim)
            os.kill(victim, signal.SIGKILL)

    watcher = Memory(kill_one)
    carry_out(small_suite(), small, tmp_path / "run", cache, two_processes(), watcher)
    assert bits(tmp_path / "run") == alone
    (notice,) = [line for line in watcher.notices if "killed" in line]
    lost = notice.partition(": its process was killed by SIGKILL")[0]
    assert watcher.begun.count(lost) == 2
    epochs = [epoch for name, epoch in watcher.epochs if name == lost]
    # It went on, where starting anew would have shown epoch 1 twice.
    assert sorted(set(epochs)) == [1, 2, 3, 4, 5, 6]
    assert epochs.count(1) == 1


@pytest.mark.slow
def test_a_training_whose_worker_always_dies_fails_alone(small, cache, tmp_path, alone) -> None:
    def kill_sampler(task, epoch: int) -> None:
        if task.cell.arm == "sampler":
            for child in multiprocessing.active_children():
                os.kill(child.pid, signal.SIGKILL)

    watcher = Memory(kill_sampler)
    one = Processes(make_slots(1, [], "cpu"), retries=1)
    results = carry_out(
        small_suite(), small, tmp_path / "run", cache, one, watcher, checkpoint_every=1e9
    )
    assert results.status == "partial"
    failed = watcher.ended["sampler, seed 0, fold 0"]
    assert failed.status == "failed"
    assert failed.message == (
        "its process was killed by SIGKILL (out of memory?), 2 times: try fewer --workers"
    )
    done = {key: value for key, value in alone.items() if "sampler" not in key}
    found = RunFolder(tmp_path / "run")
    for key, (weights, _, _) in done.items():
        arm = key.split("/")[1]
        assert found.cell(Cell(arm, 0, 0)).load_record().weights_sha256 == weights


@pytest.mark.slow
@pytest.mark.parametrize(
    "executor", [lambda: InProcess("cpu"), two_processes], ids=["in process", "two processes"]
)
def test_the_first_failure_ends_the_run_only_where_that_was_asked(
    small, cache, tmp_path, executor
) -> None:
    """Metadata of such a size that the loss is no number, for every arm."""
    values = small_suite().model_dump()
    values["model"]["metadata_scale"] = 1e300
    suite = build_suite(values)
    keen, watcher = tmp_path / "keen", Memory()
    results = carry_out(suite, small, keen, cache, executor(), watcher, fail_fast=True)
    assert results.status == "partial"
    failed = [record for record in watcher.ended.values() if record.status == "failed"]
    assert failed
    assert len(watcher.ended) < 3 or len(watcher.begun) < 3
    patient = Memory()
    carry_out(suite, small, tmp_path / "patient", cache, executor(), patient)
    assert len(patient.ended) == 3


@pytest.mark.slow
def test_a_problem_of_the_machine_comes_home_from_a_worker(small, cache, tmp_path) -> None:
    folder = RunFolder(tmp_path / "run")
    place = folder.cell(Cell("baseline", 0, 0)).checkpoints

    class Spoiler(Memory):
        def begin(self, task) -> None:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()  # a file where the checkpoints' folder would be

    with pytest.raises(EnvironmentProblem, match="cannot write"):
        carry_out(small_suite(), small, folder.path, cache, two_processes(), Spoiler())
    assert not multiprocessing.active_children()


def test_errors_travel_between_processes() -> None:
    for error in (
        EnvironmentProblem("no space", "free some", "run"),
        DataProblems([Problem("kind", "file:1", "what", "do"), Problem("kind", "b", "c")]),
        Stopped(2),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again)) == (type(error), str(error))


def test_pixels_travel_as_the_name_of_their_file(small: Path, tmp_path: Path) -> None:
    store = prepare(small, small_suite().data, tmp_path).store
    taken = store.take([5, 2])
    raw = pickle.dumps(taken)
    assert len(raw) < store.pixels.nbytes / 2
    again = pickle.loads(raw)
    assert isinstance(again.pixels, np.memmap)
    np.testing.assert_array_equal(again.batch([0, 1]), store.batch([5, 2]))
    for lacking in (".jsonl", ".u8"):
        for path in tmp_path.glob(f"*{lacking}"):
            path.rename(path.with_suffix(lacking + "-"))
        with pytest.raises(EnvironmentProblem, match="decoded images are not on this machine"):
            pickle.loads(raw)
        for path in tmp_path.glob(f"*{lacking}-"):
            path.rename(path.with_suffix(lacking))


# --- on the command line --------------------------------------------------------------------------


def command(small: Path, out: str, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "milkreport", "run-all", "quick", "--data", str(small), "--out", out,
        *SMALL, "--set", "training.epochs=25", "--set", "training.batch_size=4",
        "--checkpoint-every", "0", *more,
    ]  # fmt: skip


def started(small: Path, cwd: Path, out: str) -> subprocess.Popen[str]:
    """A run in two processes that has come to its first epochs."""
    process = subprocess.Popen(
        command(small, out, "--workers", "2"), cwd=cwd, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"COLUMNS": "300"}, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while len(list(cwd.glob(f"{out}/cells/*/*/*/checkpoints"))) < 2:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.5, 4.0])
def test_ctrl_c_while_workers_start_ends_the_run(small, tmp_path, after: float) -> None:
    """A worker that is killed while it boots must not leave the run waiting for it."""
    process = subprocess.Popen(
        command(small, "run", "--workers", "2"), cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"COLUMNS": "300"}, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (tmp_path / "run" / ".progress.json").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(after)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "KeyboardInterrupt" not in said


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc to see processes")
def test_ctrl_c_stops_workers_softly_and_a_kill_leaves_none(small, tmp_path, milkreport) -> None:
    process = started(small, tmp_path, "run")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: workers get it too
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert len(list(tmp_path.glob("run/cells/*/*/*/checkpoints"))) >= 2
    process = started(small, tmp_path, "killed")
    workers = children(process.pid)
    assert len(workers) >= 2
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}/exe").exists() for pid in workers):
        assert time.monotonic() < deadline, "a worker outlives its parent"
        time.sleep(0.05)
    for out, workers_now in (("run", "2"), ("killed", "1")):
        again = command(small, out, "--workers", workers_now)
        assert subprocess.run(again, cwd=tmp_path, timeout=300).returncode == 0
    assert bits(tmp_path / "run") == bits(tmp_path / "killed")
    status = json.loads(milkreport("status", "run", "--json").stdout)
    assert status["counts"] == {"done": 3}


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--workers", "none"], "--workers none — give a number from 1 to 1,024, or auto"),
        (["--workers", "0"], "--workers 0"),
        (["--executor", "slurm"], "--executor slurm — give local or ray"),
        (["--ray-address", "auto"], "--ray-address without --executor ray"),
        (["--executor", "ray", "--device", "cuda:1"], "Ray chooses the GPU"),
        (["--grid", "training.epochs"], "--grid training.epochs"),
        (["--grid", "seeds=1,2"], "seeds is no setting of a grid"),
        (["--grid", " arms=1,2"], "arms is no setting of a grid"),
        (["--grid", "training.epochs=1,2", "--gate", "paper"], "--gate and --grid"),
    ],
)
def test_options_that_cannot_be_followed_are_refused(in_process, small, options, what) -> None:
    outcome = in_process("run-all", "quick", "--data", small, *options)
    assert outcome.code == 2
    assert what in outcome.stderr


# --- how many, and where --------------------------------------------------------------------------


def test_workers_are_as_many_as_cores_and_memory_take(monkeypatch) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda: 16)
    monkeypatch.setattr(choose, "usable_memory", lambda: 64 * 1024**3)
    assert [cpu_workers(threads) for threads in (1, 2, 5, 16, 32)] == [16, 8, 3, 1, 1]
    monkeypatch.setattr(choose, "usable_memory", lambda: 8 * 1024**3)
    assert cpu_workers(1) == 3
    with choose_executor(RunOptions(device="cpu"), threads=1, n_cells=2) as executor:
        assert (type(executor), executor.workers) == (Processes, 2)
    with choose_executor(RunOptions(device="cpu"), threads=8, n_cells=9) as executor:
        assert (type(executor), executor.workers) == (Processes, 2)
    with choose_executor(RunOptions(device="cpu"), threads=16, n_cells=9) as executor:
        assert (type(executor), executor.workers) == (InProcess, 1)
    with choose_executor(RunOptions(device="cpu", workers="5"), threads=8, n_cells=9) as executor:
        assert executor.workers == 5
    with pytest.raises(ConfigError), choose_executor(RunOptions(workers="-1"), 1, 1):
        pass


def test_gpus_are_dealt_in_turn_and_named_as_the_user_named_them(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert list_gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-8f")
    assert list_gpus() == ["3", "GPU-8f"]
    slots = make_slots(5, list_gpus(), "cpu")
    assert [(slot.gpu, slot.rank) for slot in slots] == [
        ("3", 0), ("GPU-8f", 0), ("3", 1), ("GPU-8f", 1), ("3", 2),
    ]  # fmt: skip
    assert len(set(slots)) == 5
    with choose_executor(RunOptions(cells_per_gpu=2), threads=1, n_cells=100) as executor:
        assert executor.workers == 4
    with choose_executor(RunOptions(device="cuda:1", workers="2"), 1, 100) as executor:
        assert [slot.gpu for slot in executor.slots] == ["GPU-8f", "GPU-8f"]  # type: ignore[attr-defined]
    with _seeing("GPU-8f"):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-8f"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3, GPU-8f"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    with _seeing("1"):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_a_second_training_on_a_gpu_waits_until_there_is_known_to_be_room() -> None:
    watcher = Memory()
    room = _Room(watcher)  # type: ignore[arg-type]
    first, second, third = (Slot(n, "cuda", "0", n) for n in range(3))
    assert room.allows(first)
    assert not room.allows(second)  # nothing is known yet
    room.learn(Slot(9, "cpu"), 10**9, None)
    assert not room.allows(second)
    room.learn(first, peak=10 * 10**9, free=20 * 10**9)
    assert room.allows(second)  # 12 of 20 GB
    assert not room.allows(third)  # 12 of 8 GB
    assert watcher.notices == [
        "GPU 0 takes 2 trainings at a time: one more needs 12.0 GB, 8.0 GB are free"
    ]
    assert not room.allows(third)
    assert len(watcher.notices) == 1  # said once


# --- what is the same training --------------------------------------------------------------------


def test_a_key_changes_with_all_that_changes_weights_and_nothing_else() -> None:
    suite = load_suite("quick")
    cell = Cell("sampler", 0, 0)
    key = cell_key(suite, cell, "data")
    assert cell_key(suite.with_seeds(4), cell, "data") == key
    assert cell_key(suite.model_copy(update={"title": "x", "question": "y"}), cell, "data") == key
    renamed = suite.arm("sampler").model_copy(update={"name": "drawn", "description": "other"})
    alone = suite.model_copy(update={"arms": [renamed]})
    assert cell_key(alone, Cell("drawn", 0, 0), "data") == key
    assert cell_key(suite.model_copy(update={"primary_metric": "accuracy"}), cell, "data") == key
    others = {
        cell_key(suite, Cell("baseline", 0, 0), "data"),
        cell_key(suite, Cell("sampler", 1, 0), "data"),
        cell_key(suite, Cell("sampler", 0, 1), "data"),
        cell_key(suite, cell, "other data"),
    }
    settings = [
        "training.epochs=13", "training.learning_rate=0.002", "training.threads=1",
        "training.precision=bf16", "training.chunk=4", "data.image_size=32", "data.decoder=fast",
        "data.cleaning=impute", "split.seed=1", "split.validation=0.1", "model.hidden_units=11",
    ]  # fmt: skip
    others |= {cell_key(load_suite("quick", [setting]), cell, "data") for setting in settings}
    assert len(others - {key}) == 4 + len(settings)
    chosen = ["training.select=best_validation", "split.validation=0.2"]
    by_f1 = load_suite("quick", chosen)
    by_accuracy = load_suite("quick", [*chosen, "primary_metric=accuracy"])
    assert cell_key(by_f1, cell, "data") != cell_key(by_accuracy, cell, "data")


@pytest.mark.slow
def test_more_arms_leave_what_is_there_as_it_is(small, cache, tmp_path) -> None:
    two = build_suite(small_suite().model_dump() | {"arms": ARMS[:2]})
    out = tmp_path / "run"
    carry_out(two, small, out, cache, InProcess("cpu"), Memory())
    before = bits(out)
    watcher = Memory()
    results = carry_out(small_suite(), small, out, cache, InProcess("cpu"), watcher)
    assert (results.status, len(results.arms)) == ("complete", 3)
    assert watcher.skipped == {"baseline, seed 0, fold 0", "weighted_loss, seed 0, fold 0"}
    assert before.items() <= bits(out).items()
    with pytest.raises(ConfigError, match=r"arms\.sampler\.correction"):
        carry_out(two, small, out, cache, InProcess("cpu"), Memory())


@pytest.mark.slow
def test_equal_trainings_of_other_runs_are_taken_over(small, cache, tmp_path, alone) -> None:
    from milkreport.execution.runner import Job

    first = tmp_path / "runs" / "first"
    carry_out(small_suite(), small, first, cache, InProcess("cpu"), Memory())
    spoiled = first / "cells/sampler/seed-0/fold-0/model.safetensors"
    raw = spoiled.read_bytes()
    spoiled.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    manifest = json.loads((first / "manifest.json").read_text())

    def taken(name: str) -> tuple[set[str], Memory]:
        watcher = Memory()
        values = small_suite().model_dump() | {"title": "Another", "name": "another"}
        out = tmp_path / name
        job = Job(build_suite(values), small, out, "", cache)
        options = RunOptions(images=False, reuse=first.parent)
        run_suites([job], InProcess("cpu"), watcher, options)
        assert bits(out) == alone
        return watcher.skipped, watcher

    skipped, _ = taken("second")
    assert skipped == {"baseline, seed 0, fold 0", "weighted_loss, seed 0, fold 0"}
    # Of two runs with one training, the sound one is taken, wherever the other lies.
    shutil.copytree(tmp_path / "second", first.parent / "whole")
    assert len(taken("both")[0]) == 3
    shutil.rmtree(first.parent / "whole")
    manifest["packages"]["torch"] = "1.0"
    (first / "manifest.json").write_text(json.dumps(manifest))
    assert taken("third")[0] == set()


# --- how far it is --------------------------------------------------------------------------------


def test_progress_is_on_disk_while_a_training_goes_on(tmp_path: Path) -> None:
    cell, other = Cell("a", 0, 0), Cell("b", 1, 2)
    file = ProgressFile(tmp_path, workers=3)
    file.begin(cell)
    file.begin(other)
    found = load_progress(tmp_path)
    assert found.workers == 3
    assert [(c.arm, c.seed, c.fold, c.epoch) for c in found.running] == [
        ("a", 0, 0, 0), ("b", 1, 2, 0),
    ]  # fmt: skip
    file._written -= 10
    file.epoch(other, 7)
    assert load_progress(tmp_path).running[1].epoch == 7
    assert load_progress(tmp_path).running[1].epochs_here == 1
    file._written -= 10
    file.end(cell)
    assert [c.arm for c in load_progress(tmp_path).running] == ["b"]
    file.clear()
    assert load_progress(tmp_path) == Progress()
    (tmp_path / ".progress.json").write_text("{")
    assert load_progress(tmp_path) == Progress()


def test_a_failure_is_no_signal() -> None:
    assert FAILURE not in set(signal.Signals)
