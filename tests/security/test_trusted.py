"""What the user allows works as before, and no more than that: the file must be the one of the training."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import py_compile
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tests.conftest import Outcome  # noqa: E402
from tests.security.test_trust import forget, offline, only_line, write_evil  # noqa: E402

Run = Callable[..., Outcome]
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own_model.py"
NAME = "own_trusted"
FULL = f"{NAME}:build"
SUITE = """
name = "trusted"
title = "Trusted"
question = "None."
primary_metric = "macro_f1"
data.image_size = 16
training = { epochs = 1, threads = 1 }
arms = [
    { name = "mine", model = { name = "own_trusted:build", options = { channels = 4 } } },
    { name = "frozen", model = { name = "backbone", backbone = "resnet18", weights = "w.pth" } },
    { name = "whole", model = { name = "backbone", backbone = "resnet18", weights = "w.pth", frozen = false}},
]
"""


@dataclass(frozen=True)
class Made:
    """A run of an own model and of backbones from a file; where these lie; what was said while it ran."""

    run: Path
    modules: Path
    weights: Path
    said: str

    def sha256(self) -> str:
        return hashlib.sha256((self.modules / f"{NAME}.py").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, small: Path, cache: Path) -> Made:
    """Trained by two worker processes, from a suite that the user named."""
    from torchvision import models

    folder = tmp_path_factory.mktemp("trusted")
    (folder / "modules").mkdir()
    shutil.copyfile(EXAMPLE, folder / "modules" / f"{NAME}.py")
    (folder / "mine.toml").write_text(SUITE)
    torch.save(models.resnet18().state_dict(), folder / "w.pth")
    done = subprocess.run(
        [sys.executable, "-m", "milkreport", "run-all", "mine.toml", "--module-dir", "modules",
         "--data", str(small), "--out", "run", "--workers", "2", "--no-pdf"],
        cwd=folder, capture_output=True, text=True, env=os.environ | {"MILKREPORT_CACHE": str(cache)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Made(folder / "run", folder / "modules", folder / "w.pth", done.stderr)


@pytest.fixture(autouse=True)
def _nothing_is_imported_yet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", [*sys.path])
    forget(NAME)
    yield
    forget(NAME)


def commands(made: Made, arm: str, data: Path) -> dict[str, list[object]]:
    chosen, short = [made.run, "--arm", arm], ["--epochs", "1", "--no-pdf"]
    return {
        "predict": ["predict", *chosen, "--data", data, "--out", "a.csv"],
        "finetune": ["finetune", *chosen, "--data", data, "--out", "f", *short],
        "onnx": ["export", *chosen, "--format", "onnx", "--out", "e"],
        "pickle": ["export", *chosen, "--format", "pickle", "--out", "e"],
    }


@pytest.mark.slow
def test_a_suite_that_the_user_named_runs_its_module_in_workers_and_says_so(made: Made) -> None:
    line = f"note: runs own_trusted:build from {made.modules / NAME}.py, SHA-256 {made.sha256()}"
    assert line in made.said
    manifest = json.loads((made.run / "manifest.json").read_text())
    assert "--module-dir $MODULES" in manifest["command"]
    assert str(made.modules) not in manifest["command"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "named"),
    [("predict", NAME), ("predict", FULL), ("finetune", FULL), ("onnx", NAME), ("pickle", FULL)],
)
def test_an_own_model_runs_where_the_user_names_it(
    in_process: Run, made: Made, model_data: Path, command: str, named: str
) -> None:
    words = commands(made, "mine", model_data)[command]
    refused = in_process(*words, "--module-dir", made.modules)
    assert refused.code == 3
    assert f"--trust-module {NAME}:build" in only_line(refused)
    assert NAME not in sys.modules
    assert str(made.modules) not in sys.path
    done = in_process(*words, "--module-dir", made.modules, "--trust-module", named)
    assert done.code == 0, done.stderr
    assert (
        f"runs {NAME}:build from {made.modules / NAME}.py, SHA-256 {made.sha256()}" in done.stderr
    )
    assert sys.path[-1] == str(made.modules)


@pytest.mark.slow
def test_a_run_is_trained_again_where_the_user_names_what_it_needs(
    in_process: Run, made: Made, small: Path
) -> None:
    words = ["check", made.run, "--exact", "--data", small, "--module-dir", made.modules]
    module, weights = ["--trust-module", NAME], ["--backbone-weights", made.weights]
    assert "--trust-module" in only_line(in_process(*words, *weights))
    assert "--backbone-weights" in only_line(in_process(*words, *module))
    done = in_process(*words, *module, *weights)
    assert done.code == 0, done.stderr
    assert "differs" not in done.stderr


@pytest.mark.parametrize("named", [f"{NAME}:other", "own", f"{NAME}.build", "", "*", f"x.{NAME}"])
def test_another_name_allows_nothing(in_process: Run, made: Made, small: Path, named: str) -> None:
    words = commands(made, "mine", small)["predict"]
    done = in_process(*words, "--module-dir", made.modules, "--trust-module", named)
    assert done.code == 3
    assert NAME not in sys.modules


@pytest.mark.parametrize("how", ["changed", "no hash"])
def test_a_module_must_be_the_one_of_the_training(
    in_process: Run, made: Made, small: Path, tmp_path: Path, how: str
) -> None:
    modules = shutil.copytree(made.modules, tmp_path / "modules")
    model = shutil.copytree(made.run / "cells/mine/seed-0/fold-0", tmp_path / "model")
    (model / "cell.json").unlink()
    if how == "changed":
        write_evil(modules, tmp_path / "marker", NAME)
    else:
        card = json.loads((model / "model.json").read_text())
        (model / "model.json").write_text(json.dumps(card | {"sources": {}}))
    words = ["--module-dir", modules, "--trust-module", NAME]
    done = in_process("predict", model, "--data", small, "--out", "a.csv", *words)
    assert done.code == 3
    said = {"changed": f"SHA-256 of {NAME}.py is ", "no hash": f"no SHA-256 of {NAME}.py"}
    assert said[how] in only_line(done)
    assert NAME not in sys.modules
    assert not (tmp_path / "marker").exists()


def test_no_compiled_file_stands_for_the_one_that_was_hashed(
    in_process: Run, made: Made, small: Path, tmp_path: Path
) -> None:
    """A ``.pyc`` says itself of which source it is; Python believes it."""
    marker = tmp_path / "marker"
    modules = shutil.copytree(made.modules, tmp_path / "modules")
    shutil.rmtree(modules / "__pycache__", ignore_errors=True)
    write_evil(tmp_path / "evil", marker, NAME)
    py_compile.compile(
        str(tmp_path / "evil" / f"{NAME}.py"),
        importlib.util.cache_from_source(str(modules / f"{NAME}.py")),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    shown = subprocess.run([sys.executable, "-c", f"import {NAME}"], cwd=modules, check=False)
    assert shown.returncode == 0
    assert marker.exists()  # negative control: Python itself runs it
    marker.unlink()
    words = commands(made, "mine", small)["predict"]
    done = in_process(*words, "--module-dir", modules, "--trust-module", NAME)
    assert done.code == 0, done.stderr
    assert not marker.exists()


def test_a_module_folder_shadows_nothing_that_is_installed(
    in_process: Run, made: Made, small: Path, tmp_path: Path
) -> None:
    forget("colorsys")
    modules = shutil.copytree(made.modules, tmp_path / "modules")
    for name in ("torch", "colorsys"):
        write_evil(modules, tmp_path / "marker", name)
    words = commands(made, "mine", small)["predict"]
    done = in_process(*words, "--module-dir", modules, "--trust-module", NAME)
    assert done.code == 0, done.stderr
    import colorsys

    assert not (tmp_path / "marker").exists()
    assert colorsys.ONE_THIRD == 1 / 3


def test_a_module_folder_that_is_none_is_named(in_process: Run, made: Made, small: Path) -> None:
    done = in_process(*commands(made, "mine", small)["predict"], "--module-dir", "nowhere")
    assert done.code == 2
    assert "nowhere: no such folder" in only_line(done)


def test_a_trusted_module_that_is_not_there_is_named(
    in_process: Run, made: Made, small: Path
) -> None:
    done = in_process(*commands(made, "mine", small)["predict"], "--trust-module", NAME)
    assert done.code == 2
    assert f"no module {NAME} is found" in only_line(done)


# --- weights ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("command", ["predict", "finetune", "onnx"])
def test_weights_of_a_backbone_are_read_from_the_file_that_the_user_names(
    in_process: Run, made: Made, model_data: Path, tmp_path: Path, command: str
) -> None:
    words = commands(made, "frozen", model_data)[command]
    assert "--backbone-weights FILE" in only_line(in_process(*words))
    other = tmp_path / "other.pth"
    other.write_bytes(made.weights.read_bytes() + b"x")
    wrong = in_process(*words, "--backbone-weights", other)
    assert wrong.code == 3
    assert "SHA-256 of other.pth is " in only_line(wrong)
    done = in_process(
        *words, "--backbone-weights", shutil.copy(made.weights, tmp_path / "mine.pth")
    )
    assert done.code == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "weights"),
    [("predict", "w.pth"), ("predict", "/nowhere/w.pth"), ("onnx", "w.pth"), ("finetune", "w.pth")]
    + [(command, "download") for command in ("predict", "finetune", "onnx", "pickle")],
)
def test_a_backbone_that_was_trained_whole_needs_no_weights_from_elsewhere(
    in_process: Run, made: Made, model_data: Path, tmp_path: Path, command: str, weights: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    offline(monkeypatch)
    model = shutil.copytree(made.run / "cells/whole/seed-0/fold-0", tmp_path / "model")
    (model / "cell.json").unlink()
    card = json.loads((model / "model.json").read_text())
    card["model"]["weights"] = weights
    (model / "model.json").write_text(json.dumps(card))
    words = [
        model if word == made.run else word for word in commands(made, "", model_data)[command]
    ]
    place = words.index("--arm")
    done = in_process(*words[:place], *words[place + 2 :])
    assert done.code == 0, done.stderr


def test_a_download_is_tried_where_the_user_allows_it(
    in_process: Run, made: Made, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    offline(monkeypatch)
    model = shutil.copytree(made.run / "cells/frozen/seed-0/fold-0", tmp_path / "model")
    (model / "cell.json").unlink()
    card = json.loads((model / "model.json").read_text())
    card["model"]["weights"] = "download"
    (model / "model.json").write_text(json.dumps(card))
    words = ["predict", model, "--data", small, "--out", "a.csv"]
    assert "would be downloaded" in only_line(in_process(*words))
    done = in_process(*words, "--allow-download")
    assert done.code == 4
    assert "cannot be downloaded: <urlopen error no network in this test>" in only_line(done)


def test_a_suite_that_the_user_named_may_download(
    in_process: Run, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    offline(monkeypatch)
    (tmp_path / "mine.toml").write_text(SUITE.replace("w.pth", "download"))
    (tmp_path / f"{NAME}.py").write_text(EXAMPLE.read_text())
    done = in_process("run-all", "mine.toml", "--data", small, "--module-dir", ".", "--out", "r")
    assert done.code == 4
    assert "cannot be downloaded" in only_line(done)
