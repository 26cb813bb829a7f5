"""A training that was stopped, killed or damaged anywhere ends with the weights of one that never was."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

torch = pytest.importorskip("torch")

from milkreport import atomic  # noqa: E402
from milkreport.data.prepare import Prepared, prepare  # noqa: E402
from milkreport.data.splits import Fold, make_folds  # noqa: E402
from milkreport.errors import EnvironmentProblem, Stopped  # noqa: E402
from milkreport.suite.suite import Arm, Suite, build_suite  # noqa: E402
from milkreport.training import batches as batches_module  # noqa: E402
from milkreport.training import model_selector as keeper_module  # noqa: E402
from milkreport.training.cell import TrainedCell, train_cell  # noqa: E402
from milkreport.training.checkpoint import (  # noqa: E402
    Checkpoint,
    Checkpoints,
    Position,
    network_tensors,
    restore_network,
)
from milkreport.training.device import pin  # noqa: E402
from milkreport.training.failures import TrainingFailed  # noqa: E402
from milkreport.training.pixels import MappedPixels  # noqa: E402
from tests import killing  # noqa: E402

CPU = torch.device("cpu")
FIRST = Position(1)
KILLING = Path(killing.__file__)
#: Small, and long enough to be stopped in the middle.
SMALL = [
    "--set", "data.image_size=16", "--set", "training.threads=1", "--device", "cpu", "--no-pdf",
    "--set", "model.metadata_hidden_layers=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def suite() -> Suite:
    return build_suite(killing.SUITE)


@pytest.fixture(scope="module")
def prepared(small: Path, suite: Suite, tmp_path_factory) -> Prepared:
    pin(suite.training, CPU)
    return prepare(small, suite.data, tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def fold(prepared: Prepared, suite: Suite) -> Fold:
    return make_folds(prepared.cases, suite.split)[0]


def train(
    prepared: Prepared, suite: Suite, fold: Fold, checkpoints: Checkpoints | None = None
) -> TrainedCell:
    arm = Arm(name="sampler", correction="sampler")
    pixels = MappedPixels(prepared.store)
    return train_cell(prepared, suite, arm, 0, fold, pixels, checkpoints=checkpoints)


@pytest.fixture(scope="module")
def whole(prepared: Prepared, suite: Suite, fold: Fold) -> TrainedCell:
    """Never interrupted."""
    return train(prepared, suite, fold)


def stop_after(steps: int, folder: Path, **settings: Any) -> Checkpoints:
    """Checkpoints that are asked to stop after so many steps and epochs."""
    asked = iter([0] * (steps - 1) + [signal.SIGINT] * 1000)
    return Checkpoints(folder, stop_asked=lambda: next(asked), **settings)


def same(one: TrainedCell, other: TrainedCell) -> None:
    assert one.weights_sha256 == other.weights_sha256
    pd.testing.assert_frame_equal(one.history, other.history, check_exact=True)
    pd.testing.assert_frame_equal(one.predictions, other.predictions, check_exact=True)
    assert (one.epoch_used, one.scalars, one.exposure, one.card) == (
        other.epoch_used, other.scalars, other.exposure, other.card,
    )  # fmt: skip


# --- one training ---------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 7, 12, 13])
def test_stopped_after_any_step_it_ends_the_same(
    prepared, suite, fold, whole, tmp_path, steps
) -> None:
    with pytest.raises(Stopped) as stopped:
        train(prepared, suite, fold, stop_after(steps, tmp_path))
    assert stopped.value.signum == signal.SIGINT
    assert len(list(tmp_path.iterdir())) == 1
    same(train(prepared, suite, fold, Checkpoints(tmp_path)), whole)


@pytest.mark.slow
def test_stopped_while_it_is_scored_it_ends_the_same(
    prepared, suite, fold, whole, tmp_path, monkeypatch
) -> None:
    """A signal during the scoring does not wait for its end, and no step is lost."""
    monkeypatch.setattr(batches_module, "chunk_size", lambda *_: 8)  # many moments to stop at
    steps = -(-len(fold.train) // suite.training.batch_size)
    for moment in (1, 2, 5):
        folder = tmp_path / str(moment)
        with pytest.raises(Stopped):
            train(prepared, suite, fold, stop_after(steps + moment, folder))
        assert [path.stem for path in folder.iterdir()] == [f"00000-{steps:07d}"]
        same(train(prepared, suite, fold, Checkpoints(folder)), train(prepared, suite, fold))


def test_outputs_that_are_no_numbers_fail_the_training(
    prepared, suite, fold, tmp_path, monkeypatch
) -> None:
    """Even where no loss was seen: resumed after an epoch's last step, its weights spoiled."""
    steps = -(-len(fold.train) // suite.training.batch_size)

    def spoil(tensors, network, optimizer):
        restore_network({name: t * float("nan") for name, t in tensors.items()}, network, optimizer)

    with pytest.raises(Stopped):
        train(prepared, suite, fold, stop_after(steps, tmp_path))
    monkeypatch.setattr(keeper_module, "restore_network", spoil)
    with pytest.raises(
        TrainingFailed, match="outputs for the train part are not numbers at epoch 1"
    ):
        train(prepared, suite, fold, Checkpoints(tmp_path))


def test_stopped_after_every_step_it_ends_the_same(prepared, suite, fold, whole, tmp_path) -> None:
    per_epoch = -(-len(fold.train) // suite.training.batch_size) + 1  # the epoch's end is one too
    for _ in range(suite.training.epochs * per_epoch):
        with pytest.raises(Stopped):
            train(prepared, suite, fold, stop_after(1, tmp_path))
    same(train(prepared, suite, fold, stop_after(1, tmp_path)), whole)


@pytest.mark.parametrize("setting", ["last", "best_validation"])
def test_resume_keeps_the_selected_epoch(prepared, suite, fold, tmp_path, setting) -> None:
    training = suite.training.model_copy(update={"select": setting})
    suite = suite.model_copy(update={"training": training})
    with pytest.raises(Stopped):
        train(prepared, suite, fold, stop_after(11, tmp_path))
    same(train(prepared, suite, fold, Checkpoints(tmp_path)), train(prepared, suite, fold))


@pytest.mark.parametrize("lost", ["optimizer", "network"])
def test_a_lost_part_of_the_state_would_be_seen(
    prepared, suite, fold, whole, tmp_path, monkeypatch, lost
) -> None:
    """Negative control: the comparison tells a resume that forgets something."""

    def forget(tensors, network, optimizer):
        fresh = network_tensors(network, optimizer)
        kept = {
            name: fresh.get(name) if name.startswith(lost) else t for name, t in tensors.items()
        }
        restore_network({k: v for k, v in kept.items() if v is not None}, network, optimizer)

    with pytest.raises(Stopped):
        train(prepared, suite, fold, stop_after(5, tmp_path))
    monkeypatch.setattr(keeper_module, "restore_network", forget)
    again = train(prepared, suite, fold, Checkpoints(tmp_path))
    assert again.weights_sha256 != whole.weights_sha256


def test_state_lies_in_memory_as_the_parameters_do() -> None:
    network = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1, fused=True)

    def step() -> None:
        images = torch.arange(2 * 3 * 8 * 8.0).reshape(2, 3, 8, 8)
        optimizer.zero_grad()
        network(images.to(memory_format=torch.channels_last)).square().mean().backward()
        optimizer.step()

    def copy() -> dict[str, Any]:
        return {name: t.clone() for name, t in network_tensors(network, optimizer).items()}

    step()
    taken = copy()
    step()
    after = copy()
    restore_network(taken, network, optimizer)
    state = optimizer.state[network.weight]
    assert state["exp_avg"].stride() == network.weight.stride()
    assert network.weight.is_contiguous(memory_format=torch.channels_last)
    step()
    for name, tensor in network_tensors(network, optimizer).items():
        assert torch.equal(tensor, after[name]), name
        assert not torch.equal(tensor, taken[name]), name


# --- the files ------------------------------------------------------------------------------------


def state(number: float, position: Position = FIRST) -> Checkpoint:
    return Checkpoint(position, {"rows": [0.1 + 0.2]}, {"network/w": torch.full((3,), number)})


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for epoch, step_ in [(0, 5), (0, 10), (1, 0), (10, 0)]:
        checkpoints.save(state(epoch, Position(epoch, step_)))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["00001-0000000.checkpoint", "00010-0000000.checkpoint"]
    loaded = checkpoints.load()
    assert loaded is not None
    assert loaded.position == Position(10)
    assert loaded.facts == {"rows": [0.30000000000000004]}
    assert torch.equal(loaded.tensors["network/w"], torch.full((3,), 10.0))
    checkpoints.clear()
    assert not tmp_path.exists()


def test_nothing_is_kept_before_it_is_time(tmp_path: Path) -> None:
    never = Checkpoints(tmp_path / "never", every=1e9)
    always = Checkpoints(tmp_path / "always", every=0)
    nowhere = Checkpoints()
    for checkpoints in (never, always, nowhere):
        checkpoints.reached(Position(0, 1), lambda: state(1))
    assert not (tmp_path / "never").exists()
    assert len(list((tmp_path / "always").iterdir())) == 1
    assert nowhere.load() is None


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "text"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, damage: str) -> None:
    said: list[str] = []
    checkpoints = Checkpoints(tmp_path, notice=said.append)
    checkpoints.save(state(1, Position(1)))
    checkpoints.save(state(2, Position(2)))
    last = tmp_path / "00002-0000000.checkpoint"
    raw = bytearray(last.read_bytes())
    raw[-1] ^= 1
    last.write_bytes(
        {"flip": bytes(raw), "cut": bytes(raw[:-9]), "empty": b"", "text": b"\xff\n{"}[damage]
    )
    loaded = checkpoints.load()
    assert loaded is not None
    assert loaded.position == Position(1)
    assert len(said) == 1
    assert "00002-0000000.checkpoint is passed over: damaged" in said[0]
    assert not last.exists()


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    Checkpoints(tmp_path).save(state(1))
    path = next(tmp_path.iterdir())
    raw = path.read_bytes()
    for place in range(len(raw)):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ (1 << place % 8)]) + raw[place + 1 :])
        assert Checkpoints(tmp_path).load() is None, place
    path.write_bytes(raw)
    assert Checkpoints(tmp_path).load() is not None


def test_a_checkpoint_made_elsewhere_is_passed_over_with_the_reason(tmp_path: Path) -> None:
    said: list[str] = []
    Checkpoints(tmp_path, {"torch": "2.12", "data": "a"}).save(state(1))
    now = Checkpoints(tmp_path, {"torch": "2.13", "data": "a"}, notice=said.append)
    assert now.load() is None
    assert said[0].endswith("made elsewhere (torch 2.12, now 2.13)")


def test_a_damaged_last_checkpoint_costs_time_and_nothing_else(
    prepared, suite, fold, whole, tmp_path
) -> None:
    with pytest.raises(Stopped):
        train(prepared, suite, fold, stop_after(6, tmp_path, every=0))
    last = max(tmp_path.iterdir())
    last.write_bytes(last.read_bytes()[:-1])
    said: list[str] = []
    same(train(prepared, suite, fold, Checkpoints(tmp_path, notice=said.append)), whole)
    assert len(said) == 1
    assert last.name in said[0]


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path: Path, monkeypatch) -> None:
    """Real ENOSPC from the kernel: the temporary's bytes go to /dev/full."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(state(1, Position(1)))
    real = os.fdopen

    def full(handle: int, mode: str) -> Any:
        os.close(handle)
        return real(os.open("/dev/full", os.O_WRONLY), mode)

    monkeypatch.setattr(atomic.os, "fdopen", full)
    with pytest.raises(EnvironmentProblem, match="no space left: need 0.0 MB"):
        checkpoints.save(state(2, Position(2)))
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["00001-0000000.checkpoint"]
    assert checkpoints.load() is not None


def test_a_disk_too_full_for_a_folder_is_named(tmp_path: Path, monkeypatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(EnvironmentProblem, match=r"new/folder: no space left: need 0\.0 MB"):
        atomic.write_bytes(tmp_path / "new" / "folder" / "file", b"x")


# --- a run ----------------------------------------------------------------------------------------


def kill(tmp_path: Path, small: Path, cache: Path, *how: object) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, KILLING, tmp_path / "run", small, cache, *map(str, how)],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) | {"stderr": done.stderr}


@pytest.fixture(scope="module")
def unkilled(small: Path, cache: Path, tmp_path_factory) -> dict[str, Any]:
    said = kill(tmp_path_factory.mktemp("unkilled"), small, cache, "whole")
    assert (said["kills"], said["last"], len(said["hashes"])) == (0, 0, 4)
    return said


@pytest.mark.slow
def test_25_kills_at_random_moments(small, cache, tmp_path, unkilled) -> None:
    said = kill(tmp_path, small, cache, "random", 1, 25)
    assert said["kills"] >= 20
    assert said["last"] == 0
    assert said["hashes"] == unkilled["hashes"]
    assert said["left"] == [".lock"]


@pytest.mark.slow
def test_a_kill_in_each_window_of_each_write(small, cache, tmp_path, unkilled) -> None:
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("the windows are told by /proc, which this system lacks")
    said = kill(tmp_path, small, cache, "writes")
    assert said["kills"] == len(killing.FILES) * len(killing.WINDOWS) == 39
    assert said["last"] == 0
    assert said["hashes"] == unkilled["hashes"]
    assert said["left"] == [".lock"]


@pytest.mark.slow
def test_plain_writes_do_not_survive(small, cache, tmp_path, unkilled) -> None:
    """Negative control: files written in place are found cut, and the run can't go on."""
    said = kill(tmp_path, small, cache, "plain")
    assert said["kills"] >= 1
    assert said["last"] == 1
    assert said["hashes"] != unkilled["hashes"]


@pytest.mark.slow
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_softly_and_the_same_command_goes_on(
    small, cache, tmp_path, milkreport, signum, code
) -> None:
    command = ["run-all", "quick", "--data", small, "--out", "run", *SMALL]
    command += ["--set", "training.epochs=6", "--set", "training.batch_size=4"]
    environment = os.environ | {"COLUMNS": "300"}
    process = subprocess.Popen(
        [sys.executable, "-m", "milkreport", *map(str, command), "--checkpoint-every", "0"],
        cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("run/cells/*/*/*/checkpoints/00001*")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signum)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert "Traceback" not in said
    assert (
        said.strip()
        .splitlines()[-1]
        .startswith("stopped: what is done is kept; to go on: milkreport run-all quick --data")
    )
    begun = list(tmp_path.glob("run/cells/*/*/*/checkpoints/*"))
    assert begun
    done = milkreport(*command)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.glob("run/cells/*/*/*/checkpoints"))
    fresh = milkreport(*command[:4], "--out", "fresh", *command[6:])
    assert fresh.returncode == 0, fresh.stderr
    for path in tmp_path.glob("fresh/cells/*/*/*/cell.json"):
        other = tmp_path / "run" / path.relative_to(tmp_path / "fresh")
        now, then = (json.loads(p.read_text())["weights_sha256"] for p in (path, other))
        assert now == then


@pytest.fixture(scope="module")
def finished(small: Path, cache: Path, tmp_path_factory) -> Path:
    """A run of three arms."""
    folder = tmp_path_factory.mktemp("finished")
    done = subprocess.run(
        [sys.executable, "-m", "milkreport", "run-all", "quick", "--data", small, "--out", "run",
         *SMALL, "--set", "training.epochs=3"],
        cwd=folder, env=os.environ | {"MILKREPORT_CACHE": str(cache)}, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.mark.slow
def test_trained_again_it_is_equal_to_the_bit(finished, small, in_process) -> None:
    before = {p: p.read_bytes() for p in finished.rglob("*") if p.is_file() and p.name != ".lock"}
    done = in_process("check", finished, "--exact", "--data", small, "--json")
    assert done.code == 0
    said = json.loads(done.stdout)
    assert said["equal"] is True
    assert said["environment"] == []
    assert [cell["what"][:14] for cell in said["cells"]] == ["equal: weights"] * 3
    assert before == {p: p.read_bytes() for p in before}


def test_the_first_epoch_that_differs_is_named(finished, small, in_process, tmp_path) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", finished, copy], check=True)
    path = copy / "cells/sampler/seed-0/fold-0/history.csv"
    history = pd.read_csv(path)
    history.loc[1, "train_loss"] += 1e-6
    history.to_csv(path, index=False)
    done = in_process("check", copy, "--exact", "--data", small)
    assert done.code == 1
    assert "sampler, seed 0, fold 0: differs from epoch 2 on: train_loss is" in done.stderr
    assert "DIFFERENT: 2 of 3 trainings" in done.stderr
    assert done.stderr.count("equal: weights") == 2


def test_weights_that_differ_under_equal_curves_are_told(
    finished, small, in_process, tmp_path
) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", finished, copy], check=True)
    path = copy / "cells/baseline/seed-0/fold-0/cell.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"weights_sha256": "0" * 64}))
    manifest = copy / "manifest.json"
    changed = json.loads(manifest.read_text())
    changed["packages"]["torch"] = "1.0"
    manifest.write_text(json.dumps(changed))
    done = in_process("check", copy, "--exact", "--data", small)
    assert done.code == 1
    assert "baseline, seed 0, fold 0: the curves agree, the weights do not" in done.stderr
    assert "not as it was: torch: 1.0, now" in done.stderr


def test_other_data_are_refused_before_anything_is_trained(finished, synthetic, in_process) -> None:
    done = in_process("check", finished, "--exact", "--data", synthetic)
    assert done.code == 3
    assert "not the data of this run: MILK10k_Training_" in done.stderr
    both = in_process("check", finished, "--exact", "--data", synthetic, "--against", "paper")
    assert both.code == 2


@pytest.mark.slow
def test_restart_forgets_a_run_of_other_settings(small, in_process, tmp_path) -> None:
    command = ["run-all", "quick", "--data", small, "--out", tmp_path / "run", *SMALL]
    first = in_process(*command, "--set", "training.epochs=1")
    assert first.code == 0, first.stderr
    (tmp_path / "run" / "mine.txt").write_text("of the user")
    refused = in_process(*command, "--set", "training.epochs=2")
    assert refused.code == 2
    assert "training.epochs: 1, now 2 — choose another --out, or --restart" in refused.stderr
    anew = in_process(*command, "--set", "training.epochs=2", "--restart")
    assert anew.code == 0, anew.stderr
    assert "done before" not in anew.stderr
    assert (tmp_path / "run" / "mine.txt").read_text() == "of the user"
    assert len(pd.read_csv(tmp_path / "run/cells/baseline/seed-0/fold-0/history.csv")) == 2


def test_a_folder_with_a_strangers_manifest_is_left_alone(small, in_process, tmp_path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "manifest.json").write_text('{"name": "an app"}')
    done = in_process("run-all", "quick", "--data", small, "--out", tmp_path / "run", *SMALL)
    assert done.code == 2
    assert "not a run folder and not empty" in done.stderr
    assert (tmp_path / "run" / "manifest.json").read_text() == '{"name": "an app"}'
