"""The repository is in order: versions agree, nothing private or heavy is tracked, make runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
VERSION = r"\d+\.\d+\.\d+"
IMAGES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp")
LARGEST_PICTURE = 600_000  # what a picture in the README may weigh, in bytes
PIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][0-9A-Za-z.]*")
# Folders of one person's computer. (The classes keep this line from matching itself.)
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:[w]ork|[r]oot|[h]ome/\w+|[U]sers/\w+)/")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """All files that git tracks or would add."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [file for file in files if file.is_file()]


def test_versions_agree() -> None:
    version = tomllib.loads(text_of("pyproject.toml"))["project"]["version"]
    released = re.findall(rf"^## \[({VERSION})\] - (\S+)$", text_of("CHANGELOG.md"), re.MULTILINE)
    cited = re.search(rf"^version: ({VERSION})$", text_of("CITATION.cff"), re.MULTILINE)
    dated = re.search(r"^date-released: (\S+)$", text_of("CITATION.cff"), re.MULTILINE)
    assert cited is not None
    assert dated is not None
    assert released[0] == (version, dated[1])
    assert cited[1] == version


def test_the_readme_is_short_and_the_glossary_too() -> None:
    assert len(text_of("README.md").splitlines()) < 120
    terms = re.findall(r"^\| \*\*", text_of("docs/glossary.md"), re.MULTILINE)
    assert 10 < len(terms) <= 20


def test_constraints_are_plain_pins() -> None:
    pins = [line for line in text_of("constraints.txt").splitlines() if not line.startswith("#")]
    assert [line for line in pins if not PIN.fullmatch(line)] == []
    names = [re.sub(r"[._-]+", "-", line.partition("==")[0]).lower() for line in pins]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "line",
    [
        "torch>=2.10",
        "torch==2.10.0+cpu",
        "torch @ https://example.org/torch.whl",
        "--index-url https://example.org/simple",
        "torch==2.10.0 --hash=sha256:00",
        "",
    ],
)
def test_other_lines_are_no_pins(line: str) -> None:
    assert not PIN.fullmatch(line)


def test_constraints_pin_every_direct_dependency() -> None:
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["train"], *extras["dev"], *extras["docs"]]
    names = {re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in wanted}
    pinned = {line.partition("==")[0] for line in text_of("constraints.txt").splitlines()}

    def plain(some: set[str]) -> set[str]:
        return {re.sub(r"[._-]+", "-", name).lower() for name in some}

    assert plain(names) <= plain(pinned)


def test_no_file_names_somebodys_folders(tracked: list[Path]) -> None:
    found = []
    for file in tracked:
        text = file.read_bytes().decode("utf-8", errors="ignore")
        found += [f"{file.relative_to(ROOT)}: {match[0]}" for match in MACHINE_PATH.finditer(text)]
    assert found == []


@pytest.mark.parametrize("folder", ["work", "root", "home/ann", "Users/ann"])
def test_somebodys_folder_is_seen(folder: str) -> None:
    assert MACHINE_PATH.search(f'DATA = "/{folder}/data"')


def test_tracked_images_are_small(tracked: list[Path]) -> None:
    images = {file: file.stat().st_size for file in tracked if file.suffix.lower() in IMAGES}
    assert {file: size for file, size in images.items() if size > LARGEST_PICTURE} == {}


def test_no_tracked_file_is_named_like_real_data(tracked: list[Path]) -> None:
    pattern = re.compile(r"(?:ISIC|IL)_\d{4,}|MILK10k_Training_")
    assert [file for file in tracked if pattern.search(file.relative_to(ROOT).as_posix())] == []


def test_git_ignores_no_module() -> None:
    """A pattern such as ``runs/`` without a leading slash would drop a package from every clone."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    modules = [file.relative_to(ROOT).as_posix() for file in (ROOT / "milkreport").rglob("*.py")]
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        cwd=ROOT,
        input="\n".join([*modules, "milkreport/__pycache__/control.pyc"]),
        capture_output=True,
        text=True,
    )
    assert ignored.stdout.split() == ["milkreport/__pycache__/control.pyc"]


def test_ci_calls_make_lint_and_make_test() -> None:
    lines = text_of(".ci/run").splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines
    assert [line for line in lines if line.startswith("make ")] == ["make lint", "make test"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize(
    ("arguments", "last"),
    [
        (["run-all"], ".venv/bin/milkreport run-all"),
        (
            ["run-all", "SUITE=paper", "ARGS=--data DIR"],
            ".venv/bin/milkreport run-all paper --data DIR",
        ),
        (["test"], ".venv/bin/pytest -n auto --dist loadfile --no-loadscope-reorder"),
        (["lint"], ".venv/bin/python scripts/plain_english.py"),
        (["docs"], ".venv/bin/mkdocs build --strict"),
    ],
)
def test_make_runs(arguments: list[str], last: str) -> None:
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MAKE", "MFLAGS")) and name not in {"SUITE", "ARGS"}
    }
    done = subprocess.run(
        ["make", "--dry-run", *arguments], cwd=ROOT, env=clean, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().splitlines()[-1].rstrip() == last


#: An assertion about how long something took; a deadline that ends a wait is none.
ELAPSED = re.compile(
    r"assert\b[^#\n]*(?:\n[^#\n]*)?(?:perf_counter\(|time\.time\(|monotonic\(\) - )"
)


def test_no_test_asserts_wall_time() -> None:
    """A busy machine is no defect: calls are counted, or growth compared within one run."""
    found = [
        path.name
        for path in (ROOT / "tests").rglob("*.py")
        if ELAPSED.search(path.read_text(encoding="utf-8"))
    ]
    assert found == []
    # The check sees what it is for.
    for clock in ("perf_counter", "time", "monotonic"):
        assert ELAPSED.search(f"assert time.{clock}() - start < 2")
        assert ELAPSED.search(f"assert (\n    time.{clock}() - start < 1\n)")
    assert not ELAPSED.search("assert time.monotonic() < deadline")
