"""What TensorBoard and MLflow hold after a run, read back from where users look; trackers that are down."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

pytest.importorskip("torch")
pytest.importorskip("tensorboard")
pytest.importorskip("mlflow")

from milkreport.errors import Stopped
from milkreport.execution.executors import InProcess
from milkreport.runs.folder import RunFolder
from milkreport.tracking import tracker as tracker_module
from milkreport.tracking.names import curve_points
from milkreport.tracking.tensorboard import TensorBoard
from milkreport.tracking.tracker import Tracked, Trackers
from tests.fanout_tools import Memory, carry_out, small_suite

OPTIONS = [
    "--set", "data.image_size=16", "--set", "training.threads=1", "--set", "training.epochs=4",
    "--set", "model.metadata_hidden_layers=1", "--device", "cpu", "--no-pdf", "--no-images",
]  # fmt: skip


def history(run: Path, arm: str) -> pd.DataFrame:
    return pd.read_csv(run / "cells" / arm / "seed-0" / "fold-0" / "history.csv")


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Tag to its (step, value) points, as TensorBoard itself reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {
        tag: [(point.step, point.value) for point in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """A real MLflow server on loopback, with SQLite and its own artefact store."""
    place = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
        "--backend-store-uri", f"sqlite:///{place / 'mlflow.db'}",
        "--artifacts-destination", str(place / "artefacts"), "--workers", "1",
    ]  # fmt: skip
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true"}
    log = (place / "server.log").open("w")
    process = subprocess.Popen(
        command, cwd=place, env=os.environ | quiet, stdout=log, stderr=log, start_new_session=True
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"{address}/health", timeout=2) as answer:
                    assert answer.read() == b"OK"
                break
            except OSError:
                assert process.poll() is None, (place / "server.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.2)
        yield address, place
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)
        log.close()


@pytest.fixture(scope="module")
def tracked(server, small: Path, cache: Path, tmp_path_factory) -> tuple[Path, str]:
    """A run of the command line that was told to both."""
    address, _ = server
    folder = tmp_path_factory.mktemp("tracked")
    done = subprocess.run(
        [sys.executable, "-m", "milkreport", "run-all", "quick", "--data", small, "--out", "run",
         "--tensorboard", "--mlflow", address, *OPTIONS],
        cwd=folder, env=os.environ | {"MILKREPORT_CACHE": str(cache), "MILKREPORT_WORKERS": "1"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "gets no more" not in done.stderr
    return folder / "run", address


def client(address: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(address)


def runs(address: str) -> list[Any]:
    mlflow = client(address)
    experiment = mlflow.get_experiment_by_name("milkreport")
    return list(mlflow.search_runs([experiment.experiment_id], max_results=500))


# --- TensorBoard ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_curve_is_in_the_event_files(tracked) -> None:
    run, _ = tracked
    for arm in ("baseline", "weighted_loss", "sampler"):
        found = scalars(run / "tensorboard" / arm / "seed-0" / "fold-0")
        expected = history(run, arm)
        assert len(expected) == 4
        for column in expected.columns.drop("epoch"):
            part, _, metric = column.partition("_")
            points = found.pop(f"{metric}/{part}")
            assert [step for step, _ in points] == [1, 2, 3, 4]
            assert [value for _, value in points] == pytest.approx(
                expected[column].tolist(), rel=1e-6
            )
        used = expected.iloc[-1]
        assert found.pop("used/macro_f1/test") == [(4, pytest.approx(used["test_macro_f1"]))]
        assert all(tag.startswith("used/") for tag in found)


def test_results_and_settings_are_there_too(tracked) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    run, _ = tracked
    results = json.loads((run / "results.json").read_text())
    found = scalars(run / "tensorboard")
    for arm in results["arms"]:
        (test,) = [part for part in arm["parts"] if part["part"] == "test"]
        value = test["metrics"]["macro_f1"]
        assert found[f"results/macro_f1/{arm['name']}"][-1][1] == pytest.approx(value["value"])
        assert found[f"results/macro_f1_low/{arm['name']}"][-1][1] == pytest.approx(value["low"])
    events = EventAccumulator(str(run / "tensorboard" / "sampler" / "seed-0" / "fold-0"))
    events.Reload()
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    settings = HParamsPluginData.FromString(content).session_start_info.hparams
    assert settings["arm"].string_value == "sampler"
    assert settings["correction"].string_value == "sampler"
    assert settings["training.epochs"].number_value == 4
    assert settings["training.learning_rate"].number_value == 0.001


class Interrupted(Memory):
    """Stops the run when the first training has come to an epoch."""

    def epoch(self, task, epoch, epochs, row) -> None:
        super().epoch(task, epoch, epochs, row)
        if epoch == 3:
            raise Stopped(2)


@pytest.mark.slow
def test_a_run_that_goes_on_leaves_each_point_once(small, cache, tmp_path) -> None:
    """What was logged after the last checkpoint is logged again, and counts once."""
    out, suite = tmp_path / "run", small_suite()
    for watcher in (Interrupted(), Memory()):
        trackers = Trackers([TensorBoard()], watcher.notice)
        told = Tracked(watcher, trackers)
        try:
            # No checkpoint: the second attempt begins anew, and the first one's points are void.
            carry_out(suite, small, out, cache, InProcess("cpu"), told, checkpoint_every=1e9)  # type: ignore[arg-type]
        except Stopped:
            assert isinstance(watcher, Interrupted)
        trackers.close()
        assert not watcher.notices[1:]
    place = out / "tensorboard" / "baseline" / "seed-0" / "fold-0"
    assert len(list(place.glob("events.*"))) == 2
    assert [step for step, _ in scalars(place)["macro_f1/test"]] == [1, 2, 3, 4, 5, 6]


@pytest.mark.slow
def test_a_run_that_was_finished_without_it_is_told_afterwards(
    tracked, milkreport, tmp_path, small
):
    fresh = {
        "PYTHONHASHSEED": "0"
    }  # as ``tracked``: what other tests set of PyTorch moves its bits
    first = milkreport("run-all", "quick", "--data", small, "--out", "run", *OPTIONS, **fresh)
    assert first.returncode == 0
    assert not (tmp_path / "run" / "tensorboard").exists()
    again = ["run-all", "quick", "--data", small, "--out", "run", *OPTIONS, "--tensorboard"]
    assert milkreport(*again).returncode == 0
    run, _ = tracked
    for arm in ("baseline", "sampler"):
        place = Path("tensorboard") / arm / "seed-0" / "fold-0"
        assert scalars(tmp_path / "run" / place) == scalars(run / place)
        assert len(list((tmp_path / "run" / place).iterdir())) == 1
    assert milkreport(*again).returncode == 0
    assert len(list((tmp_path / "run" / place).iterdir())) == 1  # nothing is said twice


# --- MLflow ---------------------------------------------------------------------------------------


def test_the_server_has_nested_runs_with_curves_settings_and_files(tracked, server) -> None:
    run, address = tracked
    _, place = server
    mlflow, found = client(address), runs(address)
    by_name = {r.info.run_name: r for r in found}
    assert by_name.keys() == {
        "quick", *(f"{arm}, seed 0, fold 0" for arm in ("baseline", "weighted_loss", "sampler")),
    }  # fmt: skip
    parent = by_name.pop("quick")
    assert parent.info.status == "FINISHED"
    assert parent.data.params["training.learning_rate"] == "0.001"
    assert parent.data.params["arms.sampler.correction"] == "sampler"
    assert parent.data.tags["synthetic"] == "True"
    results = json.loads((run / "results.json").read_text())
    for arm in results["arms"]:
        (test,) = [part for part in arm["parts"] if part["part"] == "test"]
        value = test["metrics"]["macro_f1"]["value"]
        assert parent.data.metrics[f"macro_f1/{arm['name']}"] == pytest.approx(value, rel=1e-12)
    files = {file.path for file in mlflow.list_artifacts(parent.info.run_id)}
    assert files == {"report.html", "results.json", "metrics.csv", "manifest.json"}
    for name, child in by_name.items():
        arm = name.partition(",")[0]
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert child.info.status == "FINISHED"
        assert child.data.params["arm"] == arm
        assert "arms.sampler.correction" not in child.data.params
        expected = history(run, arm)
        for metric in ("loss", "macro_f1"):
            points = mlflow.get_metric_history(child.info.run_id, f"{metric}/train")
            assert [point.step for point in points] == [1, 2, 3, 4]
            values = expected[f"train_{metric}"].tolist()
            # The file has nine digits, the server what the training said.
            assert [point.value for point in points] == pytest.approx(values, rel=1e-8)
        folder = place / "artefacts" / parent.info.experiment_id / child.info.run_id / "artifacts"
        cell = run / "cells" / arm / "seed-0" / "fold-0"
        for file in ("history.csv", "model.safetensors", "model.json", "cell.json"):
            assert (folder / file).read_bytes() == (cell / file).read_bytes()
        assert not (folder / "predictions.csv").exists()  # case ids stay


@pytest.mark.slow
def test_the_same_command_again_adds_nothing(tracked, milkreport, small) -> None:
    run, address = tracked
    before = {r.info.run_id: (r.data.metrics, r.info.status) for r in runs(address)}
    done = milkreport(
        "run-all", "quick", "--data", small, "--out", run, *OPTIONS, "--mlflow", address
    )
    assert done.returncode == 0, done.stderr
    assert {r.info.run_id: (r.data.metrics, r.info.status) for r in runs(address)} == before


# --- trackers that fail ---------------------------------------------------------------------------


class Broken:
    """Fails at what it is told to fail at."""

    name = "Broken"

    def __init__(self, at: str) -> None:
        self.at, self.calls = at, []

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: object) -> None:
            self.calls.append(name)
            if name == self.at:
                raise RuntimeError("it is down\nfor reasons")

        return call


@pytest.mark.parametrize("at", ["study", "epoch", "end", "close"])
def test_a_tracker_that_fails_is_left_alone_and_the_run_goes_on(small, cache, tmp_path, at) -> None:
    broken, watcher = Broken(at), Memory()
    trackers = Trackers([broken], watcher.notice)
    results = carry_out(
        small_suite(epochs=2), small, tmp_path / "run", cache, InProcess("cpu"),
        Tracked(watcher, trackers), checkpoint_every=1e9,  # type: ignore[arg-type]
    )  # fmt: skip
    trackers.close()
    assert results.status == "complete"
    told = [line for line in watcher.notices if "Broken" in line]
    assert told == ["Broken gets no more of this run, which goes on: it is down for reasons"]
    assert broken.calls[-1] == at
    assert broken.calls.count(at) == 1


def test_a_tracker_that_hangs_holds_nobody_up(monkeypatch) -> None:
    monkeypatch.setattr(tracker_module, "PATIENCE", 0.2)
    forever, watcher = threading.Event(), Memory()

    class Hanging(Broken):
        def epoch(self, *arguments: object) -> None:
            forever.wait()

    trackers = Trackers([Hanging("")], watcher.notice)
    for _ in range(3):
        trackers.tell(lambda tracker: tracker.epoch(None, 1, {}))  # type: ignore[arg-type]
    trackers.close()
    assert not forever.is_set()  # it came back while the tracker still waits
    assert len(watcher.notices) == 1
    assert "did not take everything" in watcher.notices[0]
    forever.set()


@pytest.mark.slow
def test_a_server_that_is_not_there_costs_a_line(in_process, small) -> None:
    outcome = in_process(
        "run-all", "quick", "--data", small, "--out", "run", *OPTIONS, "--set", "training.epochs=1",
        "--mlflow", "http://127.0.0.1:9",
    )  # fmt: skip
    assert outcome.code == 0
    (line,) = [line for line in outcome.stderr.splitlines() if "MLflow" in line]
    assert line.startswith("note: MLflow gets no more of this run, which goes on: API request to")


def test_names_of_curves() -> None:
    row = {"epoch": 3, "train_loss": 0.5, "test_macro_f1": 0.25, "test_loss": float("nan")}
    assert list(curve_points(row)) == [("loss/train", 0.5), ("macro_f1/test", 0.25)]


@pytest.mark.slow
def test_what_goes_over_a_network_is_recorded(small, in_process) -> None:
    options = ["--data", small, "--out", "run", *OPTIONS, "--set", "training.epochs=1"]
    assert in_process("run-all", "quick", *options).code == 0
    assert RunFolder(Path("run")).load_manifest().network == []
    assert in_process("run-all", "quick", *options, "--mlflow", "http://127.0.0.1:9").code == 0
    sent = "metrics and report were offered to an MLflow server"
    assert RunFolder(Path("run")).load_manifest().network == [sent]
    assert sent in Path("run/report.html").read_text(encoding="utf-8")
    # Together with a run that used none; and with one that did not record it.
    assert in_process("run-all", "quick", *options[:2], "--out", "plain", *options[4:]).code == 0
    assert in_process("report", "plain", "run", "--out", "both", "--no-pdf").code == 0
    assert RunFolder(Path("both")).load_manifest().network == [sent]
    assert sent in Path("both/report.html").read_text(encoding="utf-8")
    old = RunFolder(Path("plain"))
    old.write_manifest(old.load_manifest().model_copy(update={"network": None}))
    assert in_process("report", "plain", "run", "--out", "unknown", "--no-pdf").code == 0
    assert RunFolder(Path("unknown")).load_manifest().network is None
