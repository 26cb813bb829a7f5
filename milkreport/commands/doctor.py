"""What this installation can do, and what is missing."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from milkreport import __version__
from milkreport.commands.console import console
from milkreport.data.pixels.store import cache_folder
from milkreport.runs.manifest import read_commit, read_platform, read_versions


def show() -> None:
    """Print a line for each check: what it is, what was found, what to do."""
    table = Table("", "found", "what to do", box=None, pad_edge=False)
    python, system = read_platform()
    commit, _ = read_commit()
    table.add_row("milkreport", f"{__version__}{f', commit {commit[:8]}' if commit else ''}", "")
    table.add_row("Python", f"{python} on {system}, {os.cpu_count()} cores", "")
    for name, found, advice in (
        _training(),
        _executors(),
        _trackers(),
        _explaining(),
        _exporting(),
        _pdf(),
        _data(),
        _cache(),
    ):
        table.add_row(name, escape(found), escape(advice))
    versions = ", ".join(f"{k} {v}" for k, v in read_versions().items() if k != "milkreport")
    table.add_row("packages", versions, "")
    console.print(table)


def _training() -> tuple[str, str, str]:
    try:
        torch = importlib.import_module("torch")
        importlib.import_module("safetensors")
    except (ImportError, OSError) as error:
        return "training", f"not possible: {error}", 'pip install "milkreport[train]"'
    if torch.cuda.is_available():
        return "training", f"on {torch.cuda.get_device_name(0)}", ""
    return "training", f"on the CPU ({torch.backends.cpu.get_cpu_capability()}), no GPU found", ""


def _executors() -> tuple[str, str, str]:
    if importlib.util.find_spec("ray") is None:
        return "executors", "local", 'for clusters: pip install "milkreport[ray]"'
    return "executors", "local, Ray", ""


def _trackers() -> tuple[str, str, str]:
    packages = {"TensorBoard": "tensorboard", "MLflow": "mlflow"}
    missing = [name for name, package in packages.items() if not importlib.util.find_spec(package)]
    found = ", ".join(name for name in packages if name not in missing) or "none"
    extras = ",".join(packages[name] for name in missing)
    return "trackers", found, f'pip install "milkreport[{extras}]"' if missing else ""


def _explaining() -> tuple[str, str, str]:
    if importlib.util.find_spec("captum") is None:
        return "explaining", "no Grad-CAM, no attributions", 'pip install "milkreport[explain]"'
    return "explaining", "Grad-CAM and attributions in the gallery of mistakes", ""


def _exporting() -> tuple[str, str, str]:
    packages = ("onnx", "onnxscript", "onnxruntime")
    if lacking := [name for name in packages if importlib.util.find_spec(name) is None]:
        found = f"safetensors, pickle; for ONNX {', '.join(lacking)} missing"
        return "model export", found, 'pip install "milkreport[onnx]"'
    return "model export", "safetensors, ONNX, pickle", ""


def _pdf() -> tuple[str, str, str]:
    try:
        weasyprint = importlib.import_module("weasyprint")
        size = len(weasyprint.HTML(string="<p>milkreport</p>").write_pdf())
    except (ImportError, OSError) as error:
        first = str(error).splitlines()[0]
        advice = "install Pango (Debian: apt-get install libpango-1.0-0 libpangoft2-1.0-0)"
        return "PDF", f"not possible: {first}", advice
    return "PDF", f"works (a test page of {size} bytes)", ""


def _data() -> tuple[str, str, str]:
    named = os.environ.get("MILKREPORT_DATA")
    if not named:
        return "data", "none named: run-all uses synthetic data", "--data DIR or MILKREPORT_DATA"
    if not Path(named).exists():
        return "data", f"MILKREPORT_DATA does not exist: {named}", "correct it"
    return "data", named, ""


def _cache() -> tuple[str, str, str]:
    folder = cache_folder()
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(existing).free / 1e9
    advice = "2.1 GB are needed for MILK10k at 256 px" if free < 3 else ""
    if not os.access(existing, os.W_OK):
        return "cache", f"{folder} cannot be written", "set MILKREPORT_CACHE"
    return "cache", f"{folder}, {free:.0f} GB free", advice
