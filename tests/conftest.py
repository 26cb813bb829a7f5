"""Shared fixtures: a small synthetic set made once, the real data where it is at hand."""

from __future__ import annotations

import csv
import io
import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import hypothesis
import pytest

from milkreport.cli import app
from milkreport.data.prepare import Prepared, prepare
from milkreport.data.splits import Fold, make_folds
from milkreport.data.synthetic.write import write_synthetic
from milkreport.suite.suite import Suite, load_suite
from milkreport.trust import grant

Command = Callable[..., subprocess.CompletedProcess[str]]

# No test asserts wall time, of an example of a property neither.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")


#: Files of few and long tests. They begin first, so that the last one to end is a short one.
LONGEST = (
    "test_ray",
    "test_executors",
    "test_doc_commands",
    "test_benchmarks",
    "test_run",
    "test_resume",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem not in LONGEST)


def real_folder(name: str) -> Path:
    """A folder of the real data, beside the checkout."""
    return Path(__file__).resolve().parents[2] / "shared" / name


@pytest.fixture(scope="session")
def real_data() -> Path:
    folder = real_folder("milk10k_256")
    if not folder.is_dir():
        pytest.skip("the real MILK10k (256 px) is not at hand")
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _no_user_settings(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setenv("MILKREPORT_CACHE", str(cache))
    monkeypatch.delenv("MILKREPORT_DATA", raising=False)
    monkeypatch.setenv("MILKREPORT_WORKERS", "1")  # the executors have tests of their own
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)  # the command line sets it
    grant()  # nothing is trusted that another test trusted


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """220 small synthetic lesions in the official layout."""
    folder = tmp_path_factory.mktemp("data") / "synthetic"
    write_synthetic(folder, cases=220, seed=1, size=32)
    return folder


@pytest.fixture(scope="module")
def suite() -> Suite:
    """Small enough to train in a second, with a validation part."""
    return load_suite(
        "quick",
        [
            "data.image_size=24", "training.epochs=2", "training.threads=1",
            "model.metadata_hidden_layers=1", "split.validation=0.15",
        ],
    )  # fmt: skip


@pytest.fixture(scope="module")
def prepared(synthetic: Path, suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The synthetic set as the module's ``suite`` reads it, this process set up to train it on the CPU."""
    import torch

    from milkreport.training.device import pin

    pin(suite.training, torch.device("cpu"))
    return prepare(synthetic, suite.data, tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def fold(prepared: Prepared, suite: Suite) -> Fold:
    """The first fold of ``prepared``."""
    return make_folds(prepared.cases, suite.split)[0]


@pytest.fixture
def milkreport(tmp_path: Path) -> Command:
    """Run the command line in a folder of its own: in this process, which has everything loaded.

    With environment variables in a process of its own: many are read once, at the start.
    """

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        words = [*map(str, arguments)]
        if not environment:
            return call_main(words, tmp_path)
        return subprocess.run(
            [sys.executable, "-m", "milkreport", *words],
            cwd=tmp_path,
            env=os.environ | {"COLUMNS": "160"} | environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def call_main(
    words: list[str], folder: Path, columns: int = 160, strict: bool = False
) -> subprocess.CompletedProcess[str]:
    """Call the command line's entry point with *folder* as the working folder."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    terminated = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        if not strict:
            warnings.resetwarnings()  # as in a process of its own: pytest makes them errors
        patch.chdir(folder)
        patch.setenv("PYTHONSAFEPATH", "1")  # the command sets it; undone here
        patch.setattr("sys.argv", ["milkreport", *words])
        patch.setattr("sys.stdout", out)
        patch.setattr("sys.stderr", err)
        patch.setenv("COLUMNS", str(columns))
        grant()
        with pytest.raises(SystemExit) as stop:
            app.main()
    signal.signal(signal.SIGTERM, terminated)
    said = []
    for stream in (out, err):
        stream.flush()
        said.append(stream.buffer.getvalue().decode())
    return subprocess.CompletedProcess(words, int(stop.value.code or 0), *said)


class Outcome:
    """What a command said and left."""

    def __init__(self, code: int, stderr: str, stdout: str, folder: Path) -> None:
        self.code, self.stderr, self.stdout, self.folder = code, stderr, stdout, folder

    @property
    def problems(self) -> list[dict[str, str]]:
        found = [*self.folder.glob("data-problems*.csv")]
        if not found:
            return []
        path = max(found, key=lambda p: p.stat().st_mtime_ns)
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def errors(self) -> list[dict[str, str]]:
        return [row for row in self.problems if row["severity"] == "error"]


@pytest.fixture
def in_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """The command line in this process, in a folder of its own, on a wide terminal."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Outcome:
        done = call_main([*map(str, arguments)], tmp_path, columns=300, strict=True)
        assert "Traceback" not in done.stderr + done.stdout
        return Outcome(done.returncode, done.stderr, done.stdout, tmp_path)

    return run


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest synthetic set: 66 lesions."""
    folder = tmp_path_factory.mktemp("small") / "data"
    write_synthetic(folder, cases=66, seed=3, size=24)
    return folder


@pytest.fixture
def data(small: Path, tmp_path: Path) -> Path:
    """A copy of it to break."""
    folder = tmp_path / "data"
    shutil.copytree(small, folder)
    return folder


@pytest.fixture(scope="session")
def model_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """130 synthetic lesions, to train the models on that tests use."""
    folder = tmp_path_factory.mktemp("model-data") / "data"
    write_synthetic(folder, cases=130, seed=5, size=32)
    return folder


@pytest.fixture(scope="session")
def model_run(tmp_path_factory: pytest.TempPathFactory, model_data: Path, cache: Path) -> Path:
    """A finished run: a network, a classifier and a frozen backbone, two seeds, two folds with validation."""
    from milkreport.execution.executors import InProcess
    from milkreport.execution.options import RunOptions
    from milkreport.execution.runner import Job, run_suites
    from milkreport.suite.suite import build_suite
    from tests.killing import Silent

    values = {
        "name": "models",
        "title": "Models",
        "question": "None.",
        "primary_metric": "macro_f1",
        "seeds": [0, 1],
        "data": {"image_size": 32, "cleaning": "impute"},
        "split": {"kind": "kfold", "folds": 2, "validation": 0.3},
        "model": {"metadata_hidden_layers": 1},
        "training": {"epochs": 1, "learning_rate": 0.01},
        "arms": [
            {"name": "net"},
            {"name": "logistic", "model": "logistic_regression"},
            {
                "name": "frozen",
                "model": {
                    "name": "backbone",
                    "backbone": "resnet18",
                    "weights": "none",
                    "frozen": True,
                },
            },
        ],
    }
    out = tmp_path_factory.mktemp("model-run") / "run"
    job = Job(build_suite(values), model_data, out, "milkreport run-all", cache)
    with mock.patch(
        "milkreport.execution.runner._collect"
    ):  # nothing of it is scored or reported here
        run_suites([job], InProcess("cpu"), Silent(), RunOptions(images=False))
    return out
