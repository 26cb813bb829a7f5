"""Which executor a run gets: how many trainings at a time, and where."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import joblib

from milkreport.errors import ConfigError
from milkreport.execution.executors import Executor, InProcess
from milkreport.execution.memory import usable_memory
from milkreport.execution.processes import Processes, make_slots
from milkreport.limits import MOST_WORKERS
from milkreport.training.device import list_gpus, resolve_device

#: What a training is taken to need on a CPU: 1.5 GB were measured at 256 px (docs/performance.md).
_CELL_MEMORY = 2 * 1024**3
_SHARE = 0.75  # of the memory, for all workers together


@dataclass(frozen=True)
class ExecutorOptions:
    """What was asked for.

    ``executor``: local or ray. ``device``: auto, cpu, cuda, or cuda:N. ``workers``: a number, or ``auto``.
    ``per_gpu``: trainings that share a GPU. ``address``: of a running Ray cluster; empty: one of its own.
    """

    executor: str = "local"
    device: str = "auto"
    workers: str = "auto"
    per_gpu: int = 1
    address: str = ""


@contextmanager
def choose_executor(wish: ExecutorOptions, threads: int, n_cells: int) -> Iterator[Executor]:
    """The executor to run with; what it holds is given back afterwards.

    Args:
        threads: of one training.
        n_cells: trainings that there are; more workers than these are never started.

    Raises:
        ConfigError: a wish that cannot be read, or that contradicts another.
        EnvironmentProblem: no such device, no Ray, no such cluster.
    """
    if wish.executor == "local":
        if wish.address and not os.environ.get("RAY_ADDRESS"):
            raise ConfigError("--ray-address without --executor ray", "give both")
        yield _local(wish, threads, n_cells)
    elif wish.executor == "ray":
        from milkreport.execution.ray_cluster import RayCluster

        if wish.device not in ("auto", "cpu", "cuda"):
            what = f"--device {wish.device} with --executor ray"
            raise ConfigError(what, "Ray chooses the GPU: use auto, cpu or cuda")
        cluster = RayCluster(wish.address, wish.device, threads, wish.per_gpu)
        try:
            yield cluster
        finally:
            cluster.close()
    else:
        raise ConfigError(f"--executor {wish.executor}", "give local or ray")


def _local(wish: ExecutorOptions, threads: int, n_cells: int) -> Executor:
    """As many processes as fit: one for each GPU, or what cores and memory take."""
    gpus = list_gpus() if resolve_device(wish.device).type == "cuda" else []
    if wish.device.startswith("cuda:"):
        gpus = [gpus[int(wish.device.removeprefix("cuda:"))]]
    if wish.workers == "auto":
        wanted = len(gpus) * wish.per_gpu or cpu_workers(threads)
    elif re.fullmatch("[0-9]{1,4}", wish.workers) and 1 <= int(wish.workers) <= MOST_WORKERS:
        wanted = int(wish.workers)
    else:
        do = f"give a number from 1 to {MOST_WORKERS:,}, or auto"
        raise ConfigError(f"--workers {wish.workers}", do)
    wanted = max(min(wanted, n_cells), 1)
    if wanted == 1:
        return InProcess(wish.device)
    return Processes(make_slots(wanted, gpus, "cpu"))


def cpu_workers(threads: int) -> int:
    """Trainings of *threads* threads that this machine takes at a time, at least 1.

    Cores and memory are those that this process may use: a container's limits count.
    """
    cores = int(joblib.cpu_count()) // threads
    return max(min(cores, int(_SHARE * usable_memory() / _CELL_MEMORY)), 1)
