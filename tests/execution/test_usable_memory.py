"""How much memory workers may share: the machine's, or what a container leaves of it; on made-up files."""

from __future__ import annotations

from pathlib import Path

import joblib
import pytest

from milkreport.execution import choose, memory
from milkreport.execution.choose import cpu_workers
from milkreport.execution.memory import usable_memory

GB = 1024**3
#: What version 1 writes where there is no limit.
UNLIMITED = str(2**63 - 4096)


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """One with 64 GiB."""
    monkeypatch.setattr(memory, "_physical_memory", lambda: float(64 * GB))


def make(root: Path, groups: str, files: dict[str, str]) -> Path:
    """A system whose process is in *groups*; *files*: content by path below ``sys/fs/cgroup``."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


V2, V1 = "0::/a/b\n", "9:name=systemd:/a/b\n4:cpu,memory:/a/b\n0::/\n"
CASES = {
    "no limit": (V2, {"a/b/memory.max": "max", "a/memory.max": "max"}, 64),
    "own limit": (V2, {"a/b/memory.max": str(8 * GB), "a/memory.max": "max"}, 8),
    "a group around it is tighter": (
        V2,
        {"a/b/memory.max": str(8 * GB), "a/memory.max": str(6 * GB)},
        6,
    ),
    "only the outermost has a limit": (
        V2,
        {"a/b/memory.max": "max", "a/memory.max": "max", "memory.max": str(5 * GB)},
        5,
    ),
    "a container that sees itself as the root": ("0::/\n", {"memory.max": str(4 * GB)}, 4),
    "the host's path, which is not there": ("0::/docker/1\n", {"memory.max": str(4 * GB)}, 4),
    "a path out of the container": ("0::/../../other\n", {"memory.max": str(4 * GB)}, 4),
    "a neighbour's limit": (V2, {"a/c/memory.max": str(GB), "a/b/c/memory.max": str(GB)}, 64),
    "more than the machine has": (V2, {"a/b/memory.max": str(999 * GB)}, 64),
    "not a number": (V2, {"a/b/memory.max": "much", "a/memory.max": str(7 * GB)}, 7),
    "version 1": (V1, {"memory/a/b/memory.limit_in_bytes": str(3 * GB)}, 3),
    "version 1, a group around it": (
        V1,
        {
            "memory/a/b/memory.limit_in_bytes": UNLIMITED,
            "memory/a/memory.limit_in_bytes": str(2 * GB),
            "memory/memory.limit_in_bytes": UNLIMITED,
        },
        2,
    ),
    "version 1 without a limit": (V1, {"memory/a/b/memory.limit_in_bytes": UNLIMITED}, 64),
    "version 1 in a container": (V1, {"memory/memory.limit_in_bytes": str(3 * GB)}, 3),
    "another controller's group": (
        "3:cpu:/a/b\n4:memory:/c\n",
        {"memory/a/b/memory.limit_in_bytes": str(GB)},
        64,
    ),
    "both versions": (
        "4:memory:/a\n0::/b\n",
        {"memory/a/memory.limit_in_bytes": UNLIMITED, "unified/b/memory.max": str(9 * GB)},
        9,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_smallest_limit_on_the_way_to_the_root_counts(tmp_path, name: str) -> None:
    groups, files, expected = CASES[name]
    assert usable_memory(make(tmp_path, groups, files)) == expected * GB


@pytest.mark.parametrize("groups", ["", "nonsense\n", "0::\n", "::::\n"])
def test_what_cannot_be_read_is_no_limit(tmp_path, groups: str) -> None:
    assert usable_memory(make(tmp_path, groups, {})) == 64 * GB


def test_a_system_without_control_groups_has_its_memory(tmp_path) -> None:
    assert usable_memory(tmp_path) == 64 * GB


def test_a_container_gets_fewer_workers(monkeypatch, tmp_path) -> None:
    """8 GiB of 64: three quarters of them, at 2 GiB each."""
    monkeypatch.setattr(joblib, "cpu_count", lambda: 16)
    root = make(tmp_path, V2, {"a/b/memory.max": "max"})
    monkeypatch.setattr(choose, "usable_memory", lambda: usable_memory(root))
    assert cpu_workers(1) == 16
    (root / "sys/fs/cgroup/a/memory.max").write_text(str(8 * GB))
    assert cpu_workers(1) == 3
