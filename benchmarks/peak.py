"""What a command takes, measured by a small process that starts it.

Linux counts into a process's peak the memory of the process that forked it: after a benchmark has made
a million rows, every command that it starts would seem to take as much.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_LAUNCHER = """
import json, os, subprocess, sys, time
begun = time.perf_counter()
null = subprocess.DEVNULL
process = subprocess.Popen(sys.argv[1:], stdout=null, stderr=null)
_, status, usage = os.wait4(process.pid, 0)
seconds = time.perf_counter() - begun
cpu = usage.ru_utime + usage.ru_stime
print(json.dumps([status, seconds, cpu, usage.ru_maxrss / 1024]))
"""


class Taken(NamedTuple):
    """Wall and CPU seconds, and the peak of resident megabytes."""

    seconds: float
    cpu: float
    peak_mb: float


def measure(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Taken:
    """Run a command, its output thrown away.

    Raises:
        SystemExit: it failed.
    """
    launcher = [sys.executable, "-S", "-c", _LAUNCHER, *command]
    done = subprocess.run(launcher, stdout=subprocess.PIPE, env=environment, check=True, text=True)
    status, *taken = json.loads(done.stdout)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return Taken(*taken)
