"""How much memory this process may use: the machine's, or the limit of its container."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

#: Where Linux mounts control groups of version 2, alone or beside version 1.
_V2 = ("sys/fs/cgroup", "sys/fs/cgroup/unified")
_V1 = "sys/fs/cgroup/memory"


def usable_memory(root: Path = Path("/")) -> float:
    """Bytes that all processes here may use together; infinite if the system reports none.

    The machine's memory, or less if a control group of this process limits it, as in a container.

    Args:
        root: below which ``proc`` and ``sys`` are.
    """
    return min(_physical_memory(), *_limits(root), float("inf"))


def _physical_memory() -> float:
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return float("inf")


def _limits(root: Path) -> Iterator[float]:
    """The limits of this process's control groups and of all groups around them, bytes."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):  # no Linux
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if not controllers:  # version 2 has one hierarchy for all
            for mount in _V2:
                yield from _along(root / mount, group, "memory.max")
        elif "memory" in controllers.split(","):
            yield from _along(root / _V1, group, "memory.limit_in_bytes")


def _along(mount: Path, group: str, name: str) -> Iterator[float]:
    """The numbers in the files *name* from *group* up to *mount* itself.

    A container may see its own group as the mount, and still be told the path that the host gave it: folders
    of that path that are not there have no limit.
    """
    own = mount.joinpath(*(part for part in PurePosixPath(group).parts if part not in ("/", "..")))
    for folder in (own, *own.parents):
        if not folder.is_relative_to(mount):
            return
        try:
            yield float(int((folder / name).read_text(encoding="utf-8")))
        except (OSError, ValueError):  # no such group, or "max": no limit
            continue
