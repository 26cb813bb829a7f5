"""Who may import whom: walks the imports, so that data keeps flowing one way."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "milkreport"
MODULES = sorted(PACKAGE.rglob("*.py"))

#: Room to the rooms it may import besides itself and the shared ground floor.
ALLOWED = {
    "suite": {"evaluation"},
    "data": set(),
    "models": set(),
    "training": {"data", "models", "evaluation"},
    "evaluation": set(),
    "checks": {"evaluation"},
    "runs": {"data", "training", "evaluation", "checks"},
    "registration": {"evaluation", "runs"},
    "inference": {"data", "training", "evaluation", "runs"},
    "execution": {
        "data",
        "models",
        "training",
        "evaluation",
        "runs",
        "inference",
        "registration",
    },
    "finetuning": {
        "data",
        "training",
        "evaluation",
        "runs",
        "execution",
        "inference",
        "registration",
    },
    "evidence": {"evaluation", "checks", "runs"},
    "gate": {"evaluation", "checks", "runs"},
    "tracking": {"evaluation", "runs", "execution"},
    "reporting": {"evaluation", "checks", "runs", "evidence"},
    "verifying": {"evaluation", "checks", "runs", "registration", "evidence", "reporting"},
    "commands": {
        "data",
        "evaluation",
        "checks",
        "runs",
        "execution",
        "inference",
        "finetuning",
        "gate",
        "registration",
        "evidence",
        "reporting",
        "verifying",
        "tracking",
    },
}
ALLOWED["cli"] = ALLOWED["commands"] | {"commands"}
#: What every room may import: the experiment file's own package, and the modules of the top folder.
GROUND = {"suite", "__version__"} | {p.stem for p in PACKAGE.glob("*.py")}
#: More files than these in one folder, beside its sub-folders, and nobody finds one.
MOST_MODULES = 20


def imports(path: Path) -> Iterator[str]:
    """Dotted names that a module imports at any depth, TYPE_CHECKING blocks left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


@pytest.mark.parametrize("folder", sorted({p.parent for p in MODULES}), ids=lambda p: p.name)
def test_no_folder_holds_more_modules_than_a_reader_takes_in(folder: Path) -> None:
    modules = [p for p in folder.glob("*.py") if p.name != "__init__.py"]
    assert len(modules) <= MOST_MODULES, f"{folder.name}: {len(modules)}"


@pytest.mark.parametrize("path", [p for p in MODULES if room(p)], ids=lambda p: str(p.name))
def test_rooms_import_downwards_only(path: Path) -> None:
    for name in imports(path):
        if name.startswith("milkreport."):
            target = name.split(".")[1]
            if target not in GROUND:
                assert target in ALLOWED[room(path)] | {room(path)}, f"{path.name} imports {name}"


HEAVY = {
    "torch": {"models/", "training/", "tracking/tensorboard.py"},
    "ray": {"execution/ray_cluster.py", "execution/ray_worker.py"},
    "mlflow": {"tracking/"},
    "safetensors": {"training/", "models/"},
    "skops": {"models/"},
    "onnxruntime": {"training/"},
    "matplotlib": {"reporting/"},
    "jinja2": {"reporting/"},
    "weasyprint": {"reporting/"},
    "pypdf": {"evidence/"},
    "rich": {"commands/"},
    "typer": {"cli/"},
}


@pytest.mark.parametrize("library", HEAVY)
def test_heavy_libraries_stay_in_their_rooms(library: str) -> None:
    users = set()
    for path in MODULES:
        if any(name.split(".")[0] == library for name in imports(path)):
            users.add(str(path.relative_to(PACKAGE)))
    assert users
    for user in users:
        assert any(user.startswith(place) for place in HEAVY[library]), f"{user}: {library}"


def test_only_the_command_line_prints_exits_and_reads_the_clock() -> None:
    for path in MODULES:
        name = str(path.relative_to(PACKAGE))
        tree = ast.parse(path.read_text(encoding="utf-8"))
        called = {ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
        if not name.startswith("cli/") and name != "reporting/pdf_worker.py":
            assert not called & {"print", "sys.exit", "exit", "quit"}, name
        if name != "runs/manifest.py":
            assert not called & {"datetime.now", "time.time", "datetime.utcnow"}, name


def test_the_walk_sees_imports() -> None:
    """Negative control of this file."""
    found = set(imports(PACKAGE / "training" / "fit.py"))
    assert "milkreport.models.build.log_probabilities" in found
    assert "torch" in found


def test_evaluation_checks_and_reporting_know_no_data_set() -> None:
    words = ("milk10k", "lesion", "dermoscopic", "melanoma", "akiec")
    for folder in ("evaluation", "checks", "reporting"):
        for path in (PACKAGE / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8").lower()
            # The archive's id column is one of the names under which ids may come.
            text = text.replace('"lesion_id"', "")
            assert not [w for w in words if w in text], path.name
    for path in (PACKAGE.parent / "templates").rglob("*.j2"):
        text = path.read_text(encoding="utf-8").lower()
        assert not [w for w in words if w in text], path.name
