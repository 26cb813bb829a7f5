"""Which executor a run gets: how many trainings at a time, and where."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import joblib

from milkreport.errors import ConfigError
from milkreport.execution.executors import Executor, InProcess
from milkreport.execution.memory import usable_memory
from milkreport.execution.options import RunOptions
from milkreport.execution.processes import Processes, make_slots
from milkreport.limits import MOST_WORKERS
from milkreport.training.device import list_gpus, resolve_device

#: What a training is taken to need on a CPU: 1.5 GB were measured at 256 px (docs/performance.md).
_CELL_MEMORY = 2 * 1024**3
_SHARE = 0.75  # of the memory, for all workers together


@contextmanager
def choose_executor(options: RunOptions, threads: int, n_cells: int) -> Iterator[Executor]:
    """The executor to run with; what it holds is given back afterwards.

    Args:
        threads: of one training.
        n_cells: trainings that there are; more workers than these are never started.

    Raises:
        ConfigError: an option that cannot be read, or that contradicts another.
        EnvironmentProblem: no such device, no Ray, no such cluster.
    """
    if options.executor == "local":
        if options.ray_address and not os.environ.get("RAY_ADDRESS"):
            raise ConfigError("--ray-address without --executor ray", "give both")
        yield _local(options, threads, n_cells)
    elif options.executor == "ray":
        from milkreport.execution.ray_cluster import RayCluster

        if options.device not in ("auto", "cpu", "cuda"):
            what = f"--device {options.device} with --executor ray"
            raise ConfigError(what, "Ray chooses the GPU: use auto, cpu or cuda")
        cluster = RayCluster(options.ray_address, options.device, threads, options.cells_per_gpu)
        try:
            yield cluster
        finally:
            cluster.close()
    else:
        raise ConfigError(f"--executor {options.executor}", "give local or ray")


def _local(options: RunOptions, threads: int, n_cells: int) -> Executor:
    """As many processes as fit: one for each GPU, or what cores and memory take."""
    gpus = list_gpus() if resolve_device(options.device).type == "cuda" else []
    if options.device.startswith("cuda:"):
        gpus = [gpus[int(options.device.removeprefix("cuda:"))]]
    if options.workers == "auto":
        wanted = len(gpus) * options.cells_per_gpu or cpu_workers(threads)
    elif re.fullmatch("[0-9]{1,4}", options.workers) and 1 <= int(options.workers) <= MOST_WORKERS:
        wanted = int(options.workers)
    else:
        do = f"give a number from 1 to {MOST_WORKERS:,}, or auto"
        raise ConfigError(f"--workers {options.workers}", do)
    wanted = max(min(wanted, n_cells), 1)
    if wanted == 1:
        return InProcess(options.device)
    return Processes(make_slots(wanted, gpus, "cpu"))


def cpu_workers(threads: int) -> int:
    """Trainings of *threads* threads that this machine takes at a time, at least 1.

    Cores and memory are those that this process may use: a container's limits count.
    """
    cores = int(joblib.cpu_count()) // threads
    return max(min(cores, int(_SHARE * usable_memory() / _CELL_MEMORY)), 1)
