"""Attacks: what a model card, a stored suite or a working folder from elsewhere would have imported, opened
or fetched. Each leaves a marker, opens a file or a connection where it succeeds.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

torch = pytest.importorskip("torch")

from tests.conftest import Command, Outcome  # noqa: E402

Run = Callable[..., Outcome]

SYMPY = "sympy.testing.runtests:run_in_subprocess_with_hash_randomization"
ROOT = Path(__file__).resolve().parents[2]


class Seen:
    """Files that were opened and names that were looked up or connected to, while it watches."""

    on = False
    files: list[str] = []
    hosts: list[str] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if Seen.on and event == "open":
        Seen.files.append(str(arguments[0]))
    elif Seen.on and event in ("socket.getaddrinfo", "socket.connect"):
        Seen.hosts.append(str(arguments))


@pytest.fixture
def seen() -> Iterator[type[Seen]]:
    if not getattr(sys, "_milkreport_audit", False):
        sys.addaudithook(_audit)  # can never be taken away again
        sys._milkreport_audit = True  # type: ignore[attr-defined]
    Seen.on, Seen.files, Seen.hosts = True, [], []
    yield Seen
    Seen.on = False


def model_of(run: Path, to: Path, arm: str = "net", **changes: object) -> Path:
    """A model folder as somebody may hand it on, with changes to its card."""
    shutil.copytree(run / "cells" / arm / "seed-0" / "fold-0", to, dirs_exist_ok=True)
    (to / "cell.json").unlink()
    card = json.loads((to / "model.json").read_text())
    (to / "model.json").write_text(json.dumps(card | changes))
    return to


def run_of(run: Path, to: Path, model: dict[str, object], arm: str = "net") -> Path:
    """A run folder as somebody may hand it on: one arm and seed, whose model in ``suite.toml`` is another."""
    shutil.copytree(run, to, dirs_exist_ok=True)
    suite = tomllib.loads((to / "suite.toml").read_text())
    suite["arms"] = [a | {"model": model} for a in suite["arms"] if a["name"] == arm]
    suite["seeds"] = [0]
    (to / "suite.toml").write_text(tomli_w.dumps(suite))
    return to


def shell(marker: Path) -> dict[str, object]:
    """Settings by which a function that is installed with PyTorch runs a command."""
    options = {"module": f"os import getcwd; open({str(marker)!r}, 'w').close() #", "force": True}
    return {"name": SYMPY, "options": options}


def write_evil(folder: Path, marker: Path, name: str = "evilmod") -> None:
    """A module that leaves a marker when it is imported."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(
        f"open({str(marker)!r}, 'w').close()\ndef build(shape): return 3\n"
    )


def only_line(outcome: Outcome) -> str:
    (line,) = [line for line in outcome.stderr.splitlines() if line.startswith("error: ")]
    return line


COMMANDS = {
    "predict": ("predict", "MODEL", "--data", "DATA", "--out", "a.csv"),
    "finetune": ("finetune", "MODEL", "--data", "DATA", "--out", "f", "--no-pdf"),
    "safetensors": ("export", "MODEL", "--format", "safetensors", "--out", "e"),
    "onnx": ("export", "MODEL", "--format", "onnx", "--out", "e"),
    "pickle": ("export", "MODEL", "--format", "pickle", "--out", "e"),
    "import": ("import-pickle", "w.pt", "--i-trust-this-file", "--like", "MODEL", "--out", "i"),
}


def fill(words: tuple[str, ...], model: object, data: Path) -> list[str]:
    """The command with its folders; a pickle of weights lies where it is run."""
    torch.save({"a": torch.zeros(1)}, "w.pt")
    return [{"MODEL": str(model), "DATA": str(data)}.get(word, word) for word in words]


# --- what is installed ------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_a_card_runs_no_command_by_a_function_that_is_installed(
    in_process: Run, model_run: Path, model_data: Path, tmp_path: Path, command: str
) -> None:
    marker = tmp_path / "marker"
    model = model_of(
        model_run, tmp_path / "model", model=shell(marker), sources={"module": "0" * 64}
    )
    done = in_process(*fill(COMMANDS[command], model, model_data))
    assert not marker.exists()
    assert done.code == 3
    assert f"--trust-module {SYMPY}" in only_line(done)
    assert "imports sympy.testing.runtests" in only_line(done)


@pytest.mark.parametrize("where", ["suite", "both"])
def test_a_stored_suite_runs_no_command(
    in_process: Run, model_run: Path, model_data: Path, tmp_path: Path, where: str
) -> None:
    marker = tmp_path / "marker"
    run = run_of(model_run, tmp_path / "run", shell(marker))
    if where == "both":
        for card in run.glob("cells/net/*/*/model.json"):
            card.write_text(json.dumps(json.loads(card.read_text()) | {"model": shell(marker)}))
    done = in_process("check", run, "--exact", "--data", model_data)
    assert not marker.exists()
    assert done.code == 3
    assert f"--trust-module {SYMPY}" in only_line(done)


# --- what lies in the folder ------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ["evilmod", "evil.sub"])
def test_a_card_imports_nothing_from_the_working_folder(
    in_process: Run, model_run: Path, model_data: Path, tmp_path: Path, command: str, name: str
) -> None:
    """A package is imported by looking for a module in it, too: ``find_spec("evil.sub")`` runs ``evil``."""
    marker = tmp_path / "marker"
    write_evil(tmp_path, marker)
    write_evil(tmp_path / "evil", marker, "__init__")
    (tmp_path / "evil" / "sub.py").write_text("")
    forget(name)
    model_of(model_run, tmp_path, model={"name": f"{name}:build"}, sources={"module": "0" * 64})
    done = in_process(*fill(COMMANDS[command], ".", model_data))
    assert not marker.exists()
    assert done.code == 3
    assert f"--trust-module {name}:build" in only_line(done)


@pytest.mark.parametrize("name", ["evilmod", "evil.sub"])
def test_a_stored_suite_imports_nothing_from_the_working_folder(
    in_process: Run, model_run: Path, model_data: Path, tmp_path: Path, name: str
) -> None:
    marker = tmp_path / "marker"
    write_evil(tmp_path, marker)
    write_evil(tmp_path / "evil", marker, "__init__")
    (tmp_path / "evil" / "sub.py").write_text("")
    forget(name)
    run_of(model_run, tmp_path, {"name": f"{name}:build"})
    for command in (("--exact", "--data", model_data), ()):
        done = in_process("check", ".", *command)
        assert not marker.exists()
        assert done.code in (2, 3)


def forget(*names: str) -> None:
    """No test finds what another has imported."""
    for name in {n.partition(".")[0] for n in names}:
        for known in [m for m in sys.modules if m == name or m.startswith(f"{name}.")]:
            del sys.modules[known]


@pytest.mark.parametrize(
    "shadowed", ["safetensors", "pydantic", "typer", "json", "numpy", "sklearn"]
)
def test_the_working_folder_shadows_nothing_that_milkreport_imports(
    milkreport: Command, model_run: Path, tmp_path: Path, shadowed: str
) -> None:
    marker = tmp_path / "marker"
    write_evil(tmp_path, marker, shadowed)
    model_of(model_run, tmp_path)
    done = milkreport("export", ".", "--format", "safetensors", "--out", "e")
    assert not marker.exists()
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_working_folder_shadows_nothing_in_workers(
    small: Path, cache: Path, tmp_path: Path
) -> None:
    """A process that is spawned begins with ``python -c``, which looks in the working folder first."""
    marker, start = tmp_path / "marker", tmp_path / "elsewhere" / "start.py"
    for name in ("pickle", "multiprocessing", "torch"):
        write_evil(tmp_path, marker, name)
    start.parent.mkdir()
    start.write_text("from milkreport.cli.app import main\nif __name__ == '__main__': main()\n")
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\ntitle = "Mine"\nquestion = "None."\nprimary_metric = "macro_f1"\nseeds = [0, 1]\n'
        'data.image_size = 16\ntraining.threads = 1\narms = [{ name = "a", model = "naive_bayes" }]\n'
    )
    words = [
        "run-all",
        "mine.toml",
        "--data",
        str(small),
        "--workers",
        "2",
        "--no-pdf",
        "--no-images",
    ]
    done = subprocess.run(
        [sys.executable, start, *words], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "MILKREPORT_CACHE": str(cache)},
    )  # fmt: skip
    assert not marker.exists()
    assert done.returncode == 0, done.stderr


# --- what is opened and fetched ---------------------------------------------------------------------

BACKBONE = {"name": "backbone", "backbone": "resnet18"}
CLASSICAL = {"name": "naive_bayes", "backbone": "resnet18"}


def ask_for(model: dict[str, object], weights: str) -> dict[str, object]:
    return model | {"weights": weights}


@pytest.mark.parametrize("command", ["predict", "finetune", "onnx", "import"])
def test_a_card_opens_no_connection(
    in_process: Run, model_run: Path, model_data: Path, tmp_path: Path, command: str, seen: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    offline(monkeypatch)
    wish = ask_for(BACKBONE, "download")
    model = model_of(model_run, tmp_path / "model", "frozen", model=wish)
    done = in_process(*fill(COMMANDS[command], model, model_data))
    assert seen.hosts == []
    assert done.code == 3
    assert "--allow-download" in only_line(done)


def test_a_stored_suite_opens_no_connection(
    in_process: Run, model_run: Path, model_data: Path, tmp_path: Path, seen: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    offline(monkeypatch)
    run = run_of(model_run, tmp_path / "run", ask_for(BACKBONE, "download"), "frozen")
    done = in_process("check", run, "--exact", "--data", model_data)
    assert seen.hosts == []
    assert done.code == 3
    assert "--allow-download" in only_line(done)


def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever would reach out fails, after it was seen."""
    import socket

    def refuse(*arguments: object, **_: object) -> None:
        Seen.hosts.append(str(arguments))
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize("kind", ["absolute", "dots"])
def test_a_card_opens_no_file_of_its_choice(
    in_process: Run, model_run: Path, model_data: Path, tmp_path: Path, kind: str, seen: Any
) -> None:
    secret = tmp_path / "secret.pth"
    torch.save({"a": torch.zeros(1)}, secret)
    named = "model/../secret.pth" if kind == "dots" else str(secret)
    model = model_of(model_run, tmp_path / "model", "frozen", model=ask_for(BACKBONE, named))
    done = in_process(*fill(COMMANDS["predict"], model, model_data))
    assert not [file for file in seen.files if file.endswith("secret.pth")]
    assert done.code == 3
    assert "--backbone-weights" in only_line(done)


@pytest.mark.parametrize("kind", ["absolute", "dots"])
def test_a_stored_suite_opens_no_file_of_its_choice(
    in_process: Run, model_run: Path, model_data: Path, tmp_path: Path, kind: str, seen: Any
) -> None:
    secret = tmp_path / "secret.pth"
    torch.save({"a": torch.zeros(1)}, secret)
    named = "run/../secret.pth" if kind == "dots" else str(secret)
    run = run_of(model_run, tmp_path / "run", ask_for(BACKBONE, named), "frozen")
    done = in_process("check", run, "--exact", "--data", model_data)
    assert not [file for file in seen.files if file.endswith("secret.pth")]
    assert done.code == 3
    assert "--backbone-weights" in only_line(done)


def test_a_stored_suite_opens_no_reference_of_its_choice(
    in_process: Run, model_run: Path, tmp_path: Path, seen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.toml").write_text("password = 1\n")
    run = shutil.copytree(model_run, tmp_path / "run")
    suite = tomllib.loads((run / "suite.toml").read_text())
    (run / "suite.toml").write_text(
        tomli_w.dumps(suite | {"reference": str(tmp_path / "secret.toml")})
    )
    monkeypatch.setattr("milkreport.runs.folder.RunFolder.load_results", lambda self: None)
    seen.files.clear()
    done = in_process("check", run)
    assert not [file for file in seen.files if file.endswith("secret.toml")]
    assert done.code == 3
    assert "--against" in only_line(done)


# --- the only places --------------------------------------------------------------------------------

#: Who may import or unpickle what is not written in its source, and why that is safe.
BY_NAME = {
    "__init__.py": "this package's own modules, by a closed list",
    "commands/doctor.py": "a list in its source",
    "own_module.py": "what the user allowed",
    "training/onnx_model.py": "a list in its source",
    "training/pickles.py": "execute_pickle, which --execute-its-code asks for",
    "execution/ray_worker.py": "what this run itself put into the cluster's store",
}


def loads_code(call: ast.Call) -> bool:
    """Whether a call may import or unpickle something that its source does not name."""
    name = ast.unparse(call.func).rpartition(".")[2]
    literal = bool(call.args) and isinstance(call.args[0], ast.Constant)
    if name in ("import_module", "__import__", "find_spec"):
        return not literal
    if ast.unparse(call.func) == "torch.load":
        return not any(
            k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in call.keywords
        )
    known = (
        "pickle.load",
        "pickle.loads",
        "joblib.load",
        "exec",
        "eval",
        "exec_module",
        "run_path",
    )
    return ast.unparse(call.func) in known or name in ("Unpickler", "run_module")


def test_code_is_loaded_by_name_in_these_places_only() -> None:
    package = ROOT / "milkreport"
    found = set()
    for path in package.rglob("*.py"):
        calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        if any(loads_code(call) for call in calls):
            found.add(str(path.relative_to(package)))
    assert found == set(BY_NAME)
