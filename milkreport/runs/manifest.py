"""Provenance of a run: read once, at its start, and carried beside its results."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from milkreport import __version__
from milkreport.errors import ConfigError
from milkreport.evaluation.records.data import Record

PACKAGES = [
    "milkreport",
    "numpy",
    "pandas",
    "scikit-learn",
    "scipy",
    "torch",
    "torchvision",
    "safetensors",
    "pillow",
    "matplotlib",
    "jinja2",
    "weasyprint",
]


class Manifest(Record):
    """Who made these results, from what, with what. Holds no path of the machine.

    ``network``: what of the run went over a network, a phrase each; ``None`` where that was not recorded.
    ``sources_sha256``: of the absolute paths of an evaluation's files, to tell files of one name apart.
    """

    schema_version: int = 1
    milkreport: str
    suite: str
    suite_sha256: str
    data_sha256: str
    command: str
    started: str  # ISO 8601, UTC
    commit: str | None
    dirty: bool | None
    python: str
    platform: str
    packages: dict[str, str]
    device: str
    device_name: str
    cpu_capability: str
    threads: int
    network: list[str] | None = None
    sources_sha256: str = ""

    def environment(self) -> dict[str, str]:
        """What of the environment the weights' bits depend on; the threads are in the suite."""
        return {
            "torch": self.packages.get("torch", ""),
            "device": self.device_name,
            "instruction set": self.cpu_capability,
        }


def read_clock() -> str:
    """The time now as ISO 8601 in UTC, to the second; ``SOURCE_DATE_EPOCH`` wins where it is set.

    Raises:
        ConfigError: SOURCE_DATE_EPOCH is no number of seconds.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if epoch and not epoch.isdigit():
        raise ConfigError(f"SOURCE_DATE_EPOCH is {epoch!r}", "set it to whole seconds, or unset it")
    moment = datetime.fromtimestamp(int(epoch), UTC) if epoch.isdigit() else datetime.now(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def read_versions() -> dict[str, str]:
    """Versions of the packages that results depend on, those that are installed."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def read_commit() -> tuple[str | None, bool | None]:
    """Commit of the checkout this package runs from and whether it has changes; None outside one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / "pyproject.toml").is_file():
        return None, None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit, bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None, None


def read_environment() -> dict[str, Any]:
    """The fields of a manifest that say when, with what and from which commit."""
    python, system = read_platform()
    commit, dirty = read_commit()
    return {
        "milkreport": __version__,
        "started": read_clock(),
        "commit": commit,
        "dirty": dirty,
        "python": python,
        "platform": system,
        "packages": read_versions(),
    }


def describe_evaluation(
    suite: str,
    data_sha256: str,
    command: str,
    sources_sha256: str = "",
    network: Sequence[str] | None = (),
) -> Manifest:
    """The manifest of what was scored and not trained: no suite's settings, no device.

    Args:
        network: what of the scored runs went over a network; ``None`` where one did not record it.
    """
    return Manifest(
        **read_environment(),
        suite=suite,
        suite_sha256="",
        data_sha256=data_sha256,
        command=command,
        device="",
        device_name="",
        cpu_capability="",
        threads=0,
        network=None if network is None else [*network],
        sources_sha256=sources_sha256,
    )


def read_platform() -> tuple[str, str]:
    """Python version and operating system with machine type; no host name."""
    return platform.python_version(), f"{platform.system()} {platform.machine()}"


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
