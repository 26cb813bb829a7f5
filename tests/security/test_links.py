"""A folder from elsewhere makes nothing be read or written outside of it: links, names, pictures, pipes.

Each attack reached a secret, or overwrote a file outside, before it was refused.
"""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from milkreport.errors import ConfigError, DataError
from tests.conftest import Outcome

Run = Callable[..., Outcome]

SETTINGS = [
    *("--no-pdf", "--set", "data.image_size=24", "--set", "training.epochs=1"),
    *("--set", "model.metadata_hidden_layers=1"),
]
CELL = "cells/baseline/seed-0/fold-0"
#: Seconds after which a command counts as one that never ends.
LONG = 40


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, synthetic: Path, cache: Path) -> Path:
    """A finished run with its report, and a reference frozen from it, which nobody tampered with."""
    folder = tmp_path_factory.mktemp("made")
    environment = os.environ | {"MILKREPORT_CACHE": str(cache), "MILKREPORT_WORKERS": "1"}
    for command in (
        ["run-all", "quick", "--data", synthetic, "--out", "run", *SETTINGS],
        ["reference", "new", "run", "--name", "mine", "--reason", "tests"],
    ):
        line = [sys.executable, "-m", "milkreport", *map(str, command)]
        subprocess.run(
            line, cwd=folder, env=environment, check=True, capture_output=True, timeout=300
        )
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy of the run, as it comes from elsewhere."""
    return Path(shutil.copytree(made / "run", tmp_path / "run"))


@pytest.fixture
def honest(made: Path, tmp_path: Path) -> Path:
    """Another copy, which is the user's own."""
    return Path(shutil.copytree(made / "run", tmp_path / "honest"))


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of the user's that no command names."""
    folder = tmp_path / "outside"
    folder.mkdir()
    return folder


def move_out(path: Path, outside: Path) -> None:
    """Put a link in the place of *path*, which lies outside from now on."""
    shutil.move(path, outside / path.name)
    path.symlink_to(outside / path.name)


def refused(done: Outcome, *words: str, code: int = 3) -> None:
    """Whether a command ended with one line that says so."""
    assert done.code == code, done.stderr
    last = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(last) == 1
    for word in words:
        assert word in last[0]


# What is read


@pytest.mark.slow
def test_a_report_embeds_no_file_from_elsewhere(in_process: Run, run: Path, outside: Path) -> None:
    secret = outside / "secret.txt"
    secret.write_text("the user's secret")
    picture = next((run / "gallery").glob("*.jpg"))
    picture.unlink()
    picture.symlink_to(secret)
    (run / "report.html").unlink()
    done = in_process("report", run, "--no-pdf")
    page = run / "report.html"
    text = base64.b64encode(secret.read_bytes()).decode()
    assert not page.exists() or text not in page.read_text()
    refused(done, picture.name, "a link", "remove it")


READERS = {
    "status": ["status", "run"],
    "report": ["report", "run", "--no-pdf"],
    "reports": ["report", "run", "honest", "--out", "both", "--no-pdf"],
    "compare": ["compare", "honest", "run"],
    "check": ["check", "honest", "--against", "run"],
    "export": ["export", "run"],
    "freeze": ["reference", "new", "run", "--name", "n", "--reason", "r"],
    "model": ["export", "run", "--arm", "baseline", "--format", "safetensors", "--out", "got"],
    "card": ["export", f"run/{CELL}", "--format", "safetensors", "--out", "got"],
}


@pytest.mark.parametrize("name", READERS)
def test_no_command_follows_a_link_in_a_run(
    in_process: Run, run: Path, honest: Path, outside: Path, name: str
) -> None:
    assert honest.is_dir()
    move_out(run / CELL / "predictions.csv", outside)
    refused(in_process(*READERS[name]), "predictions.csv", "a link")


def test_nor_one_to_a_folder(in_process: Run, run: Path, outside: Path) -> None:
    move_out(run / "cells" / "baseline", outside)
    refused(in_process("status", run), "cells/baseline", "a link")


def test_a_list_says_which_run_holds_a_link(in_process: Run, run: Path, outside: Path) -> None:
    move_out(run / "manifest.json", outside)
    done = in_process("list", run.parent, "--json")
    found = {entry["path"]: entry for entry in json.loads(done.stdout)}[str(run)]
    assert "a link" in found["problem"]
    assert found["suite"] == ""


@pytest.mark.slow
def test_the_folder_that_is_named_may_be_a_link(in_process: Run, run: Path) -> None:
    (run.parent / "name").symlink_to(run)
    assert in_process("status", "name").code == 0
    assert in_process("export", "name", "--out", "here").code == 0
    assert (run.parent / "here" / "summary.md").is_file()


def test_an_arms_name_leads_nowhere(
    in_process: Run, run: Path, honest: Path, outside: Path
) -> None:
    shutil.copytree(run / "cells" / "baseline", outside / "private")
    path = run / "results.json"
    results = json.loads(path.read_text())
    for arm in results["arms"]:
        if arm["name"] == "baseline":
            arm["name"] = "../../outside/private"
    results["comparison"] = None
    path.write_text(json.dumps(results))
    refused(in_process("compare", honest, run), "names no file of this folder")


def test_a_fine_tuned_model_is_no_link(in_process: Run, run: Path, tmp_path: Path) -> None:
    tuned = tmp_path / "tuned"
    tuned.mkdir()
    (tuned / "model").symlink_to(run / CELL)
    done = in_process("export", tuned, "--format", "safetensors", "--out", "got")
    assert not (tmp_path / "got").exists()
    refused(done, "tuned/model", "a link")


@pytest.mark.parametrize("way", ["folder", "name", "file"])
def test_a_reference_is_read_from_its_own_folder(
    in_process: Run, made: Path, honest: Path, outside: Path, tmp_path: Path, way: str
) -> None:
    shutil.copytree(made / "references", tmp_path / "references")
    folder = tmp_path / "references" / "mine"
    if way == "name":
        move_out(folder, outside)
    else:
        move_out(folder / "cells" / "baseline", outside)
    named = {"folder": folder, "name": "mine", "file": folder / "reference.toml"}[way]
    refused(in_process("check", honest, "--against", named), "a link")


def test_a_stored_suite_chooses_no_file_to_check_against(
    in_process: Run, run: Path, honest: Path
) -> None:
    suite = run / "suite.toml"
    lines = [line for line in suite.read_text().splitlines() if not line.startswith("reference")]
    suite.write_text("\n".join([f'reference = "{honest}"', *lines]))
    (run / "checks.json").unlink(missing_ok=True)
    refused(in_process("check", run), "neither a shipped nor a frozen reference", "--against")
    assert not (run / "checks.json").exists()


def test_a_description_of_data_is_no_link_to_other_data(
    in_process: Run, outside: Path, tmp_path: Path
) -> None:
    for i in range(12):
        place = outside / "ab"[i % 2]
        place.mkdir(exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 255, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(place / f"{i}.png")
    head = 'schema_version = 1\nadapter = "folder"\nname = "x"\nlicence = "x"\nattribution = "x"\n'
    (outside / "milkreport.toml").write_text(head)
    data = tmp_path / "data"
    data.mkdir()
    (data / "milkreport.toml").symlink_to(outside / "milkreport.toml")
    refused(in_process("data", "check", data), "outside the folder")


# Pictures


def tampered(run: Path, data: bytes) -> str:
    picture = sorted((run / "gallery").glob("*.jpg"))[0]
    picture.write_bytes(data)
    (run / "report.html").unlink()
    return picture.name


@pytest.mark.slow
def test_what_is_no_picture_is_not_embedded(in_process: Run, run: Path) -> None:
    name = tampered(run, b"<svg onload=alert(1)>" * 10)
    done = in_process("report", run, "--no-pdf")
    assert not (run / "report.html").exists()
    refused(done, name, "no picture", "--no-images")
    assert in_process("report", run, "--no-pdf", "--no-images").code == 0


@pytest.mark.slow
def test_what_hides_behind_a_picture_is_not_embedded(in_process: Run, run: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (24, 24), "red").save(buffer, "JPEG", comment=b"hidden text")
    data = buffer.getvalue() + b"and more behind its end"
    tampered(run, data)
    assert in_process("report", run, "--no-pdf").code == 0
    page = (run / "report.html").read_text()
    start = base64.b64encode(data[:300])[:390].decode()
    assert start not in page
    assert page.count("data:image/jpeg") >= 1


@pytest.mark.parametrize("kind", ["pixels", "bytes"])
def test_a_picture_that_is_too_large_is_not_decoded(in_process: Run, run: Path, kind: str) -> None:
    buffer = io.BytesIO()
    side = 6000 if kind == "pixels" else 24
    Image.new("1", (side, side)).save(buffer, "PNG")
    data = buffer.getvalue() + (b"" if kind == "pixels" else bytes(5_000_000))
    name = tampered(run, data)
    gallery = run / "gallery" / "gallery.json"
    (run / "gallery" / name).rename(run / "gallery" / "big.png")
    gallery.write_text(gallery.read_text().replace(name, "big.png"))
    done = in_process("report", run, "--no-pdf")
    refused(done, "big.png", "6,000 x 6,000" if kind == "pixels" else "bytes are no thumbnail")


@pytest.mark.slow
def test_the_same_run_gives_the_same_page(in_process: Run, run: Path) -> None:
    """A negative control as well: pictures of a run that nobody tampered with are shown."""
    before = (run / "report.html").read_bytes()
    assert before.count(b"data:image/jpeg") > 4
    for _ in range(2):
        assert in_process("report", run, "--no-pdf").code == 0
        assert (run / "report.html").read_bytes() == before


# What is written


@pytest.mark.slow
@pytest.mark.parametrize(
    ("link", "file", "command"),
    [
        ("run/figures", "headline-figure.svg", ["report", "run", "--no-pdf", "--no-images"]),
        ("run/export", "summary.md", ["export", "run"]),
        ("run/export/figures", "headline-figure.svg", ["export", "run"]),
        ("typed/tables", "headline.md", ["export", "run", "--out", "typed"]),
        ("typed/figures", "headline-figure.svg", ["export", "run", "--out", "typed"]),
        (
            "run/export/baseline-seed-0-fold-0",
            "model.json",
            ["export", "run", "--arm", "baseline", "--format", "safetensors"],
        ),
        ("tuned/new", "report.html", ["report", "tuned", "--no-pdf"]),
    ],
)
def test_nothing_is_written_through_a_link(
    in_process: Run, run: Path, outside: Path, link: str, file: str, command: list[str]
) -> None:
    place = run.parent / link
    if place.is_dir():
        shutil.rmtree(place)
    if link == "tuned/new":
        shutil.rmtree(outside)
        shutil.copytree(run, outside)
        place.parent.mkdir()
        (place.parent / "finetune.json").write_text("{}")
    place.parent.mkdir(exist_ok=True)
    (outside / file).write_text("precious")
    place.symlink_to(outside)
    done = in_process(*command)
    assert (outside / file).read_text() == "precious"
    refused(done, link, "a link")


def test_no_training_is_written_through_a_link(
    in_process: Run, run: Path, outside: Path, synthetic: Path
) -> None:
    shutil.rmtree(run / "cells" / "sampler")
    (run / "cells" / "sampler").symlink_to(outside)
    done = in_process("run-all", "quick", "--data", synthetic, "--out", run, *SETTINGS)
    assert not list(outside.iterdir())
    refused(done, "cells/sampler", "a link")


@pytest.mark.slow
def test_a_training_that_is_taken_over_writes_into_its_own_folder(
    in_process: Run, run: Path, synthetic: Path, tmp_path: Path
) -> None:
    evil, mine = tmp_path / "evil", tmp_path / "mine"
    evil.mkdir()
    mine.mkdir()
    run.rename(evil / "run")
    (evil / "victim").write_text("of the attacker")
    (mine / "victim").write_text("precious")
    for path in (evil / "run").glob("cells/*/*/*/cell.json"):
        record = json.loads(path.read_text())
        path.write_text(json.dumps(record | {"weights_file": "../../../../../victim"}))
    command = ["run-all", "quick", "--data", synthetic, "--out", mine / "run", *SETTINGS]
    done = in_process(*command, "--reuse", evil)
    assert (mine / "victim").read_text() == "precious"
    assert done.code == 0  # they are trained anew


def test_a_link_among_the_runs_to_take_over_is_refused(
    in_process: Run, run: Path, outside: Path, synthetic: Path, tmp_path: Path
) -> None:
    move_out(run / CELL / "model.safetensors", outside)
    command = ["run-all", "quick", "--data", synthetic, "--out", tmp_path / "new", *SETTINGS]
    refused(in_process(*command, "--reuse", run), "model.safetensors", "a link")


# What never ends

PIPES = {
    "truth": ["evaluate", "table.csv", "--truth", "pipe"],
    "predictions": ["evaluate", "pipe", "--truth", "table.csv"],
    "metadata": ["evaluate", "table.csv", "--truth", "table.csv", "--metadata", "pipe"],
    "description": ["data", "check", "pipe.toml"],
    "suite": ["run-all", "pipe.toml"],
    "pickle": ["import-pickle", "pipe", "--i-trust-this-file", "--out", "o"],
    "in a run": ["compare", "run", "run"],
    "in a model": ["export", f"run/{CELL}", "--format", "safetensors", "--out", "got"],
    "in data": ["data", "check", "data"],
    "device": ["evaluate", "/dev/zero", "--truth", "table.csv"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PIPES)
def test_a_pipe_does_not_hold_a_command_up(run: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "table.csv").write_text("case_id,a,b\n1,1,0\n2,0,1\n3,1,0\n4,0,1\n")
    pipe = tmp_path / ("pipe.toml" if name in ("description", "suite") else "pipe")
    if name == "in a run":
        pipe = run / CELL / "predictions.csv"
        pipe.unlink()
    if name == "in a model":
        pipe = run / CELL / "model.safetensors"
        pipe.unlink()
    if name == "in data":
        pipe = tmp_path / "data" / "x.unpacked" / ".milkreport-unpacked.json"
        pipe.parent.mkdir(parents=True)
    os.mkfifo(pipe)
    line = [sys.executable, "-m", "milkreport", *PIPES[name]]
    done = subprocess.run(
        line, cwd=tmp_path, capture_output=True, text=True, timeout=LONG, check=False
    )
    assert done.returncode == (2 if name in ("description", "suite") else 3), done.stderr
    assert "Traceback" not in done.stderr
    assert sum(line.startswith("error: ") for line in done.stderr.splitlines()) == 1


def test_a_pipe_among_the_images_is_no_image(in_process: Run, data: Path) -> None:
    """It never was: whatever lies in a data folder is looked at before it is opened."""
    victim = next(data.rglob("*.jpg"))
    victim.unlink()
    os.mkfifo(victim)
    done = in_process("data", "check", data)
    assert done.code == 3
    assert any(victim.stem in row["where"] for row in done.errors())


# The rules themselves


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/b", "/a", "a\\b", "a\0", "a" * 256])
def test_a_name_that_leads_out(name: str, tmp_path: Path) -> None:
    from milkreport.inside import plain_name, within

    with pytest.raises(ValueError, match="names no file"):
        plain_name(name)
    with pytest.raises(DataError, match="names no file"):
        within(tmp_path, "good", name)


def test_a_name_that_does_not(tmp_path: Path) -> None:
    from milkreport.inside import within

    assert within(tmp_path, "..a", "b..", "c d é") == tmp_path / "..a" / "b.." / "c d é"
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(DataError, match="a link"):
        within(tmp_path, "link", "a")


def test_the_walk(tmp_path: Path) -> None:
    from milkreport.inside import refuse_links, refuse_special

    refuse_links(tmp_path / "absent")
    deep = tmp_path / "run" / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "file").write_text("")
    (tmp_path / "top").symlink_to(tmp_path / "run")
    refuse_links(tmp_path / "top")
    os.mkfifo(deep / "pipe")
    with pytest.raises(DataError, match="pipe: a pipe, socket or device"):
        refuse_links(tmp_path / "top")
    (deep / "pipe").unlink()
    (deep / "gone").symlink_to("nowhere")  # a link is one, whatever it leads to
    with pytest.raises(DataError, match="gone: a link"):
        refuse_links(tmp_path / "top")
    with pytest.raises(ConfigError):
        refuse_special(Path(os.devnull), ConfigError)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_cannot_be_listed_hides_nothing(tmp_path: Path) -> None:
    from milkreport.inside import refuse_links

    (tmp_path / "run" / "a").mkdir(parents=True)
    (tmp_path / "run" / "a").chmod(0o111)
    with pytest.raises(DataError, match="cannot be listed"):
        refuse_links(tmp_path / "run")
