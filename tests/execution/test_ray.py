"""A real Ray cluster of two nodes on this machine: the same bits, whatever becomes of a node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("ray")

from milkreport.execution.executors import InProcess
from tests import ray_nodes
from tests.fanout_tools import Memory, bits, carry_out, small_suite

SCRIPT = Path(ray_nodes.__file__)


def on_cluster(out: Path, data: Path, cache: Path, how: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, SCRIPT, out, data, cache, how], capture_output=True, text=True, timeout=400,
        env=os.environ | {"PYTHONPATH": str(SCRIPT.parents[1])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_cluster_gives_the_same_bits_and_nodes_without_the_images_get_them(
    small, cache, tmp_path
) -> None:
    carry_out(small_suite(), small, tmp_path / "alone", cache, InProcess("cpu"), Memory())
    said = on_cluster(tmp_path / "run", small, tmp_path / "cache", "ship")
    assert (said["status"], said["workers"], said["most_at_work"]) == ("complete", 2, 2)
    assert said["place"] == "on a Ray cluster of 2 nodes, 2 at a time"
    assert bits(tmp_path / "run") == bits(tmp_path / "alone")
    shipped = [line for line in said["notices"] if "decoded images to nodes that lack" in line]
    assert len(shipped) == 1  # once, whoever asked
    # Nobody needs to be told that a worker was lost.
    assert not [line for line in said["notices"] if "lost" in line]
    assert sorted(said["begun"]) == sorted(set(said["begun"]))


@pytest.mark.slow
def test_a_node_that_dies_costs_its_cell_what_came_after_the_checkpoint(
    small, cache, tmp_path
) -> None:
    suite = small_suite(epochs=60, batch_size=4)
    carry_out(
        suite, small, tmp_path / "alone", cache, InProcess("cpu"), Memory(), checkpoint_every=1e9
    )
    said = on_cluster(tmp_path / "run", small, cache, "kill")
    assert said["status"] == "complete"
    assert bits(tmp_path / "run") == bits(tmp_path / "alone")
    assert said["most_at_work"] == 2  # a CPU each, also while they wait for the board
    (notice,) = [line for line in said["notices"] if "its worker was lost" in line]
    lost = notice.partition(": its worker")[0]
    assert said["begun"].count(lost) == 2
    assert len(said["begun"]) == 4  # of the others none was begun twice
    epochs = [epoch for name, epoch in said["epochs"] if name == lost]
    assert epochs.count(1) == 1
    assert sorted(set(epochs)) == list(range(1, 61))
    assert not list((tmp_path / "run").glob("cells/*/*/*/checkpoints"))


@pytest.mark.slow
def test_a_stopped_cluster_leaves_checkpoints_that_any_executor_goes_on_from(
    small, cache, tmp_path
) -> None:
    said = on_cluster(tmp_path / "run", small, cache, "stop")
    assert (said["stopped"], said["most_at_work"]) == (2, 2)
    kept = list((tmp_path / "run").glob("cells/*/*/*/checkpoints/*.checkpoint"))
    assert len({path.parent for path in kept}) == 2
    suite, watcher = small_suite(epochs=60, batch_size=4), Memory()
    carry_out(
        suite, small, tmp_path / "run", cache, InProcess("cpu"), watcher, checkpoint_every=1e9
    )
    again = {name: min(e for n, e in watcher.epochs if n == name) for name, _ in watcher.epochs}
    assert sorted(epoch > 3 for epoch in again.values()) == [False, True, True]
    carry_out(
        suite, small, tmp_path / "alone", cache, InProcess("cpu"), Memory(), checkpoint_every=1e9
    )
    assert bits(tmp_path / "run") == bits(tmp_path / "alone")


@pytest.mark.slow
def test_a_failed_training_on_a_cluster_says_why(small, cache, tmp_path) -> None:
    said = on_cluster(tmp_path / "run", small, cache, "fail")
    assert said["status"] == "partial"
    assert len(said["messages"]) == 3
    for message in said["messages"]:
        assert message == "the loss is nan at epoch 1: lower the learning rate"


@pytest.mark.slow
def test_ray_on_the_command_line(small, milkreport, tmp_path) -> None:
    """With a cluster of its own, and the bits of a run without one."""
    options = [
        "--data", small, "--set", "data.image_size=16", "--set", "training.threads=1",
        "--set", "training.epochs=2", "--set", "model.metadata_hidden_layers=1", "--device", "cpu",
        "--no-pdf", "--no-images",
    ]  # fmt: skip
    done = milkreport("run-all", "quick", "--out", "run", "--executor", "ray", *options)
    assert done.returncode == 0, done.stderr
    assert "on a Ray cluster of 1 node" in done.stderr
    assert milkreport("run-all", "quick", "--out", "alone", *options).returncode == 0
    assert bits(tmp_path / "run") == bits(tmp_path / "alone")
    nobody = milkreport(
        "run-all", "quick", "--out", "x", "--executor", "ray", "--ray-address", "127.0.0.1:1",
        *options,
    )  # fmt: skip
    assert nobody.returncode == 4
    assert "no Ray cluster" in nobody.stderr
    assert len(nobody.stderr.strip().splitlines()) == 1, nobody.stderr


@pytest.mark.slow
def test_an_own_model_on_a_cluster_and_nothing_from_the_working_folder(
    small, milkreport, tmp_path
) -> None:
    """Ray itself puts the working folder first on its workers' path."""
    for name in ("torch", "pydantic", "pandas"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w').close()\n")
    modules = tmp_path / "modules"
    modules.mkdir()
    example = Path(__file__).resolve().parents[2] / "examples" / "own_model.py"
    # Not by its own name: a module is imported once in a process, and another test has that one.
    (modules / "model_on_a_cluster.py").write_text(example.read_text())
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\ntitle = "Mine"\nquestion = "None."\nprimary_metric = "macro_f1"\n'
        "data.image_size = 16\ntraining = { threads = 1, epochs = 1 }\n"
        'arms = [{ name = "a", model = { name = "model_on_a_cluster:build" } }]\n'
    )
    words = ["run-all", "mine.toml", "--data", small, "--module-dir", modules, "--device", "cpu",
             "--no-pdf", "--no-images"]  # fmt: skip
    done = milkreport(*words, "--out", "run", "--executor", "ray")
    assert not (tmp_path / "marker").exists()
    assert done.returncode == 0, done.stderr
    assert milkreport(*words, "--out", "alone").returncode == 0
    assert bits(tmp_path / "run") == bits(tmp_path / "alone")
