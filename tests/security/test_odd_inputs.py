"""Inputs that a library would fail on, or take in silence: one line, exit code 2 or 3."""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from milkreport.parse import parse_json, parse_toml
from tests.conftest import Outcome
from tests.data.test_bad_data import only_line, rewrite

DEEP = 100_000
#: What each is refused with stands beside it in REASONS.
JSON = {
    "deep lists": "[" * DEEP + "]" * DEEP,
    "deep objects": '{"a":' * DEEP + "1" + "}" * DEEP,
    "a huge integer": '{"a": ' + "9" * 5000 + "}",
    "an integer beyond 64 bits": '{"a": ' + "9" * 30 + "}",
    "a key twice": '{"a": 1, "a": 2}',
    "not a number": '{"a": NaN}',
    "infinity": '{"a": -Infinity}',
    "another encoding": '{"a": 1}'.encode("utf-16"),
    "no text": b'{"a": "\xff"}',
}
TOML = {
    "deep lists": "a = " + "[" * 5000 + "]" * 5000,
    "sixty-five levels": "a = " + "[" * 66 + "]" * 66,
    "a huge integer": "a = " + "9" * 5000,
    "an integer beyond 64 bits": "a = " + "9" * 30,
    "a key twice": "a = 1\na = 2",
    "a NUL": "a = \x00",
    "another encoding": "a = 1".encode("utf-16"),
}


REASONS = {
    "deep lists": "levels deep",
    "deep objects": "levels deep",
    "sixty-five levels": "levels deep",
    "a huge integer": "64 bits|digits",
    "an integer beyond 64 bits": "64 bits",
    "a key twice": "twice|overwrite",
    "not a number": "NaN is not a number",
    "infinity": "Infinity is not a number",
    "a NUL": "at line 1",
    "another encoding": "can't decode|codec",
    "no text": "can't decode|codec",
}


@pytest.mark.parametrize("what", JSON)
def test_json_is_refused(what: str) -> None:
    with pytest.raises(ValueError, match=REASONS[what]) as found:
        parse_json(JSON[what])
    assert len(str(found.value).splitlines()) == 1


@pytest.mark.parametrize("what", TOML)
def test_toml_is_refused(what: str) -> None:
    with pytest.raises(ValueError, match=REASONS[what]):
        parse_toml(TOML[what])


def test_sound_documents_are_read() -> None:
    values = {"a": [1, 2.5, None, True, "é"], "b": {"c": 2**63, "d": -(2**63)}}
    assert parse_json(json.dumps(values)) == values
    assert parse_json(b"\xef\xbb\xbf" + json.dumps(values).encode()) == values
    assert parse_toml("a = 1\n[b]\nc = [1, 2]") == {"a": 1, "b": {"c": [1, 2]}}


@pytest.mark.parametrize("what", TOML)
def test_a_suite_is_one_line(in_process: Callable[..., Outcome], tmp_path: Path, what: str) -> None:
    text = TOML[what]
    (tmp_path / "odd.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    done = in_process("run-all", "odd.toml")
    assert done.code == 2
    only_line(done)


@pytest.mark.parametrize("what", TOML)
def test_a_described_table_is_one_line(
    in_process: Callable[..., Outcome], data: Path, what: str
) -> None:
    text = TOML[what]
    (data / "milkreport.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    done = in_process("data", "check", data)
    assert done.code in (2, 3)
    only_line(done)


@pytest.fixture
def cell(model_run: Path, tmp_path: Path) -> Path:
    """A cell of a copied run, whose card may be changed."""
    shutil.copytree(model_run, tmp_path / "run")
    found = tmp_path / "run/cells/net/seed-0/fold-0"
    path = found / "cell.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"card_sha256": ""}))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("what", JSON)
def test_a_card_is_one_line(
    in_process: Callable[..., Outcome], cell: Path, model_data: Path, what: str
) -> None:
    text = JSON[what]
    (cell / "model.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    done = in_process("predict", cell, "--data", model_data, "--out", "s.csv")
    assert done.code == 3
    assert "model.json" in only_line(done)


@pytest.mark.parametrize("what", JSON)
@pytest.mark.parametrize(
    "name", ["manifest.json", "data.json", "cells/net/seed-0/fold-0/cell.json"]
)
def test_a_run_is_one_line(
    in_process: Callable[..., Outcome], cell: Path, name: str, what: str
) -> None:
    text = JSON[what]
    (cell.parents[3] / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    done = in_process("status", cell.parents[3])
    assert done.code in (0, 3)
    assert done.code == 0 or only_line(done)


def test_a_twin_key_in_a_real_card(
    in_process: Callable[..., Outcome], cell: Path, model_data: Path
) -> None:
    card = (cell / "model.json").read_text()
    (cell / "model.json").write_text('{"arm": "other",' + card.lstrip()[1:])
    done = in_process("predict", cell, "--data", model_data, "--out", "s.csv")
    assert done.code == 3
    assert "'arm' stands twice" in only_line(done)


def test_a_twin_tensor(in_process: Callable[..., Outcome], cell: Path, model_data: Path) -> None:
    import hashlib

    path = cell / "model.safetensors"
    data = path.read_bytes()
    (n,) = struct.unpack("<Q", data[:8])
    head = data[8 : 8 + n].decode().rstrip()
    first = next(name for name in json.loads(head) if name != "__metadata__")
    entry = json.dumps(json.loads(head)[first])
    head = head[:-1] + f',"{first}":{entry}}}'
    path.write_bytes(struct.pack("<Q", len(head)) + head.encode() + data[8 + n :])
    card = json.loads((cell / "model.json").read_text())
    card["weights_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (cell / "model.json").write_text(json.dumps(card))
    done = in_process("predict", cell, "--data", model_data, "--out", "s.csv")
    assert done.code == 3
    assert "model.safetensors" in only_line(done)


@pytest.mark.parametrize("sd", [0.0, -1.0])
def test_a_deviation_of_zero_blames_the_card(
    in_process: Callable[..., Outcome], cell: Path, model_data: Path, sd: float
) -> None:
    card = json.loads((cell / "model.json").read_text())
    columns = card["reads"]["encoder"]["columns"]
    place = next(i for i, column in enumerate(columns) if column["categories"] is None)
    columns[place]["sd"] = sd
    (cell / "model.json").write_text(json.dumps(card))
    done = in_process("predict", cell, "--data", model_data, "--out", "s.csv")
    assert done.code == 3
    line = only_line(done)
    assert "model.json" in line
    assert f"columns.{place}.sd" in line


@pytest.mark.parametrize("where", ["run-all", "evaluate", "report", "predict", "check"])
@pytest.mark.parametrize("name", ["x" * 3000, "y/" * 1500 + "z", "\ud800.csv"])
def test_odd_paths_are_one_line(in_process: Callable[..., Outcome], where: str, name: str) -> None:
    more = {
        "evaluate": ["--truth", name],
        "predict": ["--data", name, "--out", "s.csv"],
    }.get(where, [])
    done = in_process(where, name, *more)
    assert done.code in (2, 3, 4), done.stderr
    only_line(done)


def test_a_class_of_one_lesion_is_refused_by_the_dry_run(
    in_process: Callable[..., Outcome], data: Path
) -> None:
    """As by the run itself, with the same words."""
    from milkreport.data.adapters.milk10k import GROUND_TRUTH

    def thin(table):
        classes = [c for c in table.columns if c != "lesion_id"]
        rows = table.index[table[classes[0]].astype(float) == 1]
        keep = table.copy()
        keep.loc[rows[1:], classes[0]] = "0.0"
        keep.loc[rows[1:], classes[1]] = "1.0"
        return keep

    rewrite(next(data.rglob(GROUND_TRUTH)), thin)
    said = []
    for options in (["--dry-run"], []):
        done = in_process(
            "run-all",
            "quick",
            "--data",
            data,
            "--out",
            "run",
            "--set",
            "training.epochs=1",
            *options,
        )
        assert done.code == 3, done.stderr
        said.append(only_line(done))
    assert said[0] == said[1]


@pytest.mark.slow
def test_a_module_that_exits_is_no_success(tmp_path: Path) -> None:
    """`sys.exit` in an own model's module, at import: nothing was trained, so the code is not 0."""
    (tmp_path / "leaver.py").write_text("import sys\nsys.exit(0)\n")
    (tmp_path / "own.toml").write_text(
        'name = "own"\ntitle = "Own"\nquestion = "?"\nprimary_metric = "macro_f1"\n'
        '[data]\nimage_size = 24\n[training]\nepochs = 1\n[[arms]]\nname = "a"\nmodel = "leaver:build"\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "milkreport", "run-all", "own.toml", "--out", "run", "--no-pdf"],
        cwd=tmp_path,
        env=os.environ
        | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode not in (0, 1), done.stderr
    assert "leaver" in done.stderr
    assert "called sys.exit(0)" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_workers_end_with_their_parent(tmp_path: Path, small: Path) -> None:
    """Killed outright, the parent leaves no process that goes on computing."""
    command = [
        sys.executable, "-m", "milkreport", "run-all", "quick", "--data", str(small), "--out", "run",
        "--workers", "2", "--no-pdf", "--set", "training.epochs=5000", "--set", "training.threads=1",
    ]  # fmt: skip
    parent = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        workers: list[int] = []
        for _ in range(600):
            children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
            workers = [int(pid) for pid in children if _is_worker(int(pid))]
            if len(workers) >= 2 and list((tmp_path / "run").rglob("*.checkpoint")):
                break
            time.sleep(0.1)
        assert len(workers) >= 2
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    for _ in range(100):
        if not any(_is_worker(pid) for pid in workers):
            return
        time.sleep(0.1)
    pytest.fail("a worker outlives its parent")


def _is_worker(pid: int) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, list[str]]]:
    """A sound input of each kind, and the command that reads it as FILE."""
    truth = tmp_path_factory.mktemp("odd") / "truth.csv"
    truth.write_text("case_id,label\n" + "".join(f"c{i},{'ab'[i % 2]}\n" for i in range(12)))
    rows = "".join(f"c{i},0.{i % 9},0.{9 - i % 9}\n" for i in range(12))
    suite = b'name = "n"\ntitle = "t"\nquestion = "q"\nprimary_metric = "macro_f1"\n[[arms]]\nname = "a"\n'
    return {
        "predictions": (
            f"case_id,a,b\n{rows}".encode(),
            ["evaluate", "FILE", "--truth", str(truth), "--no-report"],
        ),
        "suite": (suite, ["run-all", "FILE", "--dry-run", "--data", "nowhere"]),
        "reference": (b'name = "n"\nkind = "published"\n', ["audit", "FILE"]),
    }


@pytest.mark.slow
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    kind=st.sampled_from(["predictions", "suite", "reference"]),
    at=st.integers(0, 200),
    length=st.integers(0, 12),
    put=st.one_of(
        st.binary(max_size=8),
        st.sampled_from(
            [b"\x00", b"\xff", b"nan", b"1e999", b"9" * 400, b'"', b"[", b"\r", b"=", b",,"]
        ),
    ),
)
def test_damaged_inputs_end_in_one_line(
    in_process: Callable[..., Outcome],
    kinds: dict[str, tuple[bytes, list[str]]],
    tmp_path: Path,
    kind: str,
    at: int,
    length: int,
    put: bytes,
) -> None:
    sound, command = kinds[kind]
    at = min(at, len(sound))
    path = tmp_path / ("odd.csv" if kind == "predictions" else "odd.toml")
    path.write_bytes(sound[:at] + put + sound[at + length :])
    done = in_process(*[str(path) if word == "FILE" else word for word in command])
    assert done.code in (0, 2, 3), done.stderr
    assert done.code == 0 or only_line(done)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--set", "training.epochs=99999999999999999999999"),
        ("--set", f"training.epochs={'9' * 5000}"),
        ("--set", f"x={'[' * 3000}"),
        ("--grid", "training.epochs=99999999999999999999,1"),
        ("--grid", "training.learning_rate=99999999999999999999"),
    ],
    ids=["large", "digits", "deep", "grid", "grid of one"],
)
def test_an_odd_setting_is_one_line(in_process, option: str, value: str) -> None:
    done = in_process("run-all", "quick", option, value, "--dry-run")
    assert done.code == 2, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert len(errors[0]) < 400
    assert "set_int_max" not in errors[0]
