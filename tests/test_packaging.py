"""The wheel is whole and lean, works away from the checkout, and needs torch only for training."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TORCH_SIDE = {"torch", "torchvision", "safetensors", "skops"}
MEGABYTE = 1_000_000
IMAGES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp")

# Replaces the finder that serves site-packages by one that cannot see torch: to the code under test
# that is the same as torch not being installed, for ``find_spec`` too.
WITHOUT_TORCH = f"""
import importlib.machinery, sys

class WithoutTorch(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in {TORCH_SIDE!r}:
            return None
        return super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = WithoutTorch
"""


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run *command* in *cwd*, away from settings that could mislead it or colour its text."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "PIP_", "MILKREPORT_"))
    }
    environment |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "_TYPER_FORCE_DISABLE_TERMINAL": "1"}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )


def imported_packages(importtime: str) -> set[str]:
    """Return the top-level packages named in the output of ``python -X importtime``."""
    names = re.findall(r"^import time:.*\|\s*([\w.]+)\s*$", importtime, flags=re.MULTILINE)
    return {name.partition(".")[0] for name in names}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    built = run(
        *(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT),
        cwd=folder,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def contents(wheel: Path) -> dict[str, int]:
    """The wheel's files, name to size."""
    with zipfile.ZipFile(wheel) as archive:
        return {info.filename: info.file_size for info in archive.infolist()}


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment's ``bin`` folder, with the wheel in it and the dependencies borrowed."""
    folder = tmp_path_factory.mktemp("fresh") / "environment"
    venv.create(folder, with_pip=False)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    done = run(
        *(sys.executable, "-m", "pip", "--python", scripts / "python"),
        *("install", "--quiet", "--no-index", "--no-deps", wheel),
        cwd=folder,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # The running environment's packages come after the fresh ones, and .pth files in there, the
    # editable install among them, are not read. Written only now: pip must not see them.
    (fresh,) = {path.parent for path in folder.rglob("milkreport") if (path / "py.typed").is_file()}
    borrowed = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    (fresh / "borrowed.pth").write_text("\n".join(borrowed) + "\n", encoding="utf-8")
    return scripts


@pytest.mark.parametrize("name", ["templates", "experiments"])
def test_wheel_carries_every_shipped_file(contents: dict[str, int], name: str) -> None:
    expected = {
        f"milkreport/_data/{path.relative_to(ROOT).as_posix()}"
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert expected
    shipped = {file for file in contents if file.startswith(f"milkreport/_data/{name}/")}
    assert shipped == expected


def test_wheel_carries_every_module(contents: dict[str, int]) -> None:
    expected = {path.relative_to(ROOT).as_posix() for path in (ROOT / "milkreport").rglob("*.py")}
    assert {file for file in contents if file.endswith(".py")} == expected
    assert {"milkreport/__init__.py", "milkreport/cli/app.py"} <= expected


def test_wheel_carries_licence_and_type_marker(contents: dict[str, int]) -> None:
    assert "milkreport/py.typed" in contents
    licences = [file for file in contents if ".dist-info/licenses/" in file]
    assert any(file.endswith("/LICENSE") for file in licences), licences
    assert any(file.endswith("/OFL.txt") for file in licences), licences


def test_wheel_carries_nothing_else(contents: dict[str, int]) -> None:
    tops = {file.partition("/")[0] for file in contents}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"milkreport"}
    assert not [file for file in contents if "tests" in file.split("/")]
    assert not [file for file in contents if file.lower().endswith(IMAGES)]
    assert not [file for file in contents if re.search(r"(?:ISIC|IL)_\d", file)]
    assert {file: size for file, size in contents.items() if size > MEGABYTE} == {}


@pytest.mark.slow
def test_wheel_works_from_another_folder(installed: Path, tmp_path: Path) -> None:
    where = run(
        *(installed / "python", "-c"),
        "import milkreport, milkreport.resources as r;"
        "print(milkreport.__file__, r.resource_folder('templates'), sep='\\n')",
        cwd=tmp_path,
    )
    assert where.returncode == 0, where.stderr
    package, templates = where.stdout.splitlines()
    assert Path(package).is_relative_to(installed.parent)
    assert Path(templates).is_relative_to(installed.parent)
    assert Path(templates).parts[-3:] == ("milkreport", "_data", "templates")

    shown = run(installed / "milkreport", "--help", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "run-all" in shown.stdout

    planned = run(installed / "milkreport", "run-all", "quick", "--dry-run", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    for arm in ("baseline", "weighted_loss", "sampler"):
        assert arm in planned.stdout + planned.stderr
    assert list(tmp_path.iterdir()) == [], "a dry run writes nothing"


def test_importtime_is_read_right(tmp_path: Path) -> None:
    """Negative control of the two tests below: a package that is imported is seen."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").touch()
    script = "import sys; sys.path.insert(0, '.'); import torch"
    done = run(sys.executable, "-X", "importtime", "-c", script, cwd=tmp_path)
    assert imported_packages(done.stderr) & TORCH_SIDE == {"torch"}


def test_import_loads_no_torch(tmp_path: Path) -> None:
    done = run(sys.executable, "-X", "importtime", "-c", "import milkreport", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "milkreport" in imported_packages(done.stderr)
    assert imported_packages(done.stderr) & TORCH_SIDE == set()


def test_help_loads_no_torch(tmp_path: Path) -> None:
    script = "import sys; from milkreport.cli.app import main; sys.argv[1:] = ['--help']; main()"
    done = run(sys.executable, "-X", "importtime", "-c", script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "run-all" in done.stdout
    assert "milkreport" in imported_packages(done.stderr)
    assert imported_packages(done.stderr) & TORCH_SIDE == set()


def test_packing_loads_no_scipy(small: Path, tmp_path: Path) -> None:
    """It brought 80 MB: half of what packing takes."""
    pack = ["data", "pack", str(small), "--size", "16", "--cache-dir", str(tmp_path / "cache")]
    script = f"import sys; from milkreport.cli.app import main; sys.argv[1:] = {pack!r}; main()"
    done = run(sys.executable, "-X", "importtime", "-c", script, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "pandas" in imported_packages(done.stderr)
    assert imported_packages(done.stderr) & {"scipy", "sklearn", *TORCH_SIDE} == set()


def test_evaluation_checks_and_reporting_work_without_torch(tmp_path: Path) -> None:
    script = (
        f"{WITHOUT_TORCH}\n"
        "import milkreport.evaluation, milkreport.checks, milkreport.reporting, milkreport.cli.app\n"
    )
    done = run(sys.executable, "-c", script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", sorted(TORCH_SIDE))
def test_torch_is_really_missing_there(name: str, tmp_path: Path) -> None:
    """Negative control: under the same blocker a module that needs torch cannot be imported."""
    done = run(sys.executable, "-c", f"{WITHOUT_TORCH}\nimport {name}", cwd=tmp_path)
    assert done.returncode == 1
    assert f"ModuleNotFoundError: No module named '{name}'" in done.stderr
