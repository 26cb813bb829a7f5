"""Trainings on a Ray cluster, seen from the run: scheduling, retries and transport are Ray's.

Everything comes back to the run's own process: news and checkpoints over a board (an actor beside it),
finished trainings as results of their tasks. No folder need be shared. A node that dies costs its running
cells what came after their last checkpoint; Ray starts them again elsewhere, and the board has it.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from milkreport.errors import EnvironmentProblem, MilkreportError
from milkreport.execution.executors import Recorder
from milkreport.execution.ray_worker import Board, survey_here, train_here
from milkreport.execution.tasks import Study, Task
from milkreport.execution.trainer import Machine
from milkreport.runs.cells import cell_folder
from milkreport.suite.suite import Training
from milkreport.training.checkpoint import Checkpoints
from milkreport.trust import current

#: Times that Ray starts a training again after its worker or node died.
RETRIES = 4
_POLL = 0.2  # seconds between two looks at the board
_PATIENCE = 10.0  # seconds for a cluster to answer


class RayCluster:
    """Executor on a Ray cluster; see :class:`milkreport.execution.executors.Executor`.

    Args:
        address: of a running cluster ("auto", "HOST:PORT", "ray://HOST:PORT"); empty: one of its own on
            this machine, which ends with the run.
        device: auto, cpu or cuda.
        threads: CPUs that Ray reserves for each training.
        per_gpu: trainings that share a GPU.

    Raises:
        EnvironmentProblem: Ray is not installed, the cluster cannot be reached, or has no GPU.
    """

    def __init__(self, address: str, device: str, threads: int, per_gpu: int = 1) -> None:
        self._ray = ray = _connect(address)
        resources = ray.cluster_resources()
        gpus = int(resources.get("GPU", 0))
        if device == "cuda" and not gpus:
            raise EnvironmentProblem("this Ray cluster has no GPU", "use --device cpu or auto")
        self.device = "cuda" if gpus and device != "cpu" else "cpu"
        self.resources = {"num_cpus": threads, "num_gpus": 0.0}
        self.workers = max(int(resources.get("CPU", 1)) // threads, 1)
        if self.device == "cuda":
            self.resources["num_gpus"] = 1 / per_gpu
            self.workers = min(self.workers, gpus * per_gpu)
        nodes = sum(node["Alive"] for node in ray.nodes())
        what = f"{nodes} node{'s' if nodes > 1 else ''}"
        self.place = f"on a Ray cluster of {what}, {self.workers} at a time"

    def survey(self, training: Training) -> Machine:
        """What one of its workers is; see :class:`milkreport.execution.executors.Executor`."""
        remote = self._ray.remote(survey_here).options(**self.resources)
        found = self._ray.get(remote.remote(self.device, training))
        if isinstance(found, MilkreportError):
            raise found
        return found  # type: ignore[no-any-return]

    def run(self, studies: Mapping[str, Study], tasks: Sequence[Task], recorder: Recorder) -> None:
        """Do all *tasks*; see :class:`milkreport.execution.executors.Executor`."""
        _Session(self, self._ray, studies, recorder).run(tasks)

    def close(self) -> None:
        """Leave the cluster; one of its own ends."""
        self._ray.shutdown()


class _Session:
    """One run on the cluster, seen from the process that owns it."""

    def __init__(
        self, cluster: RayCluster, ray: Any, studies: Mapping[str, Study], recorder: Recorder
    ) -> None:
        self.cluster, self.ray, self.recorder = cluster, ray, recorder
        self.studies = {name: study.for_workers() for name, study in studies.items()}
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        self.board = ray.remote(Board).options(num_cpus=0, scheduling_strategy=here).remote()
        # As bytes, so that a worker without the file can say so in words of its own.
        self.by_path = {n: ray.put(pickle.dumps(study)) for n, study in self.studies.items()}
        self.shipped: dict[str, Any] = {}
        options = {"max_retries": RETRIES, "retry_exceptions": False, **cluster.resources}
        self.remote = ray.remote(train_here).options(**options)
        self.pending: dict[Any, Task] = {}
        self.begun: set[Task] = set()

    def run(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            kept = self._checkpoints(task).latest()
            if kept is not None:
                self.ray.get(self.board.keep.remote(task, *kept))
            self._submit(task, self.by_path[task.study])
        stopping = False
        while self.pending:
            if not stopping and (stop := self.recorder.stop_asked()):
                stopping = True
                self._stop(stop)
            ready, _ = self.ray.wait(list(self.pending), timeout=_POLL)
            self._read_board()
            for reference in ready:
                self._take(reference)
        self._read_board()

    def _submit(self, task: Task, study: Any) -> None:
        every = self.recorder.checkpoint_every
        # In a list, Ray passes the reference on; each process fetches a study once.
        arguments = (self.board, [study], task, self.cluster.device, every, current())
        self.pending[self.remote.remote(*arguments)] = task

    def _stop(self, signum: int) -> None:
        self.ray.get(self.board.stop.remote(signum))
        for reference, task in self.pending.items():
            if task not in self.begun:
                self.ray.cancel(reference)

    def _take(self, reference: Any) -> None:
        task = self.pending.pop(reference)
        exceptions = self.ray.exceptions
        try:
            kind, content = self.ray.get(reference)
        except exceptions.TaskCancelledError:
            return
        except exceptions.RayError as error:
            if not self.recorder.stop_asked():
                self.recorder.failed(task, _first_line(error))
            return
        if kind == "lacking":
            self._submit(task, self._ship(task.study))
        elif kind == "error":
            raise content
        elif kind == "failed":
            self.recorder.failed(task, content)
        elif kind == "done":
            self.recorder.done(task, content)
        if kind in ("done", "failed"):
            self.board.forget.remote(task)

    def _ship(self, name: str) -> Any:
        """The study with its pixels, in the object store: each node that asks gets them once."""
        if name not in self.shipped:
            study = self.studies[name]
            size = study.prepared.store.pixels.nbytes / 1e6
            self.recorder.notice(
                f"sending {size:,.0f} MB of decoded images to nodes that lack them"
            )
            store = replace(study.prepared.store, pixels=np.asarray(study.prepared.store.pixels))
            whole = replace(study, prepared=replace(study.prepared, store=store))
            self.shipped[name] = self.ray.put(whole)
        return self.shipped[name]

    def _read_board(self) -> None:
        for kind, task, content in self.ray.get(self.board.take.remote()):
            if kind == "begin":
                if task in self.begun:
                    self.recorder.notice(
                        f"{task}: its worker was lost; it goes on from its last checkpoint"
                    )
                self.begun.add(task)
                self.recorder.begin(task)
            elif kind == "epoch":
                self.recorder.epoch(task, *content)
            elif kind == "notice":
                self.recorder.notice(content)
            elif kind == "checkpoint":
                self._checkpoints(task).adopt(*content)

    def _checkpoints(self, task: Task) -> Checkpoints:
        return Checkpoints(cell_folder(self.studies[task.study].out, task.cell).checkpoints)


def _connect(address: str) -> Any:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # before the import, or it is too late
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError as error:
        raise EnvironmentProblem(
            "--executor ray needs ray", 'pip install "milkreport[ray]"'
        ) from error
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if not address.startswith("ray://"):  # a client's workers are not given the working folder
        settings["job_config"] = _job_config()
    if address:
        _refuse_silence(address)
    else:
        settings["include_dashboard"] = False
    try:
        ray.init(address or "local", **settings)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise EnvironmentProblem(
            f"no Ray cluster: {_first_line(error)}", "see --ray-address"
        ) from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return ray


def _job_config() -> Any:
    """Settings by which Ray does not put the working folder first on its workers' path.

    Whatever module lies there would shadow an installed one. Ray leaves it out where the job brings a folder
    of its own.
    """
    from ray.job_config import JobConfig

    class WithoutFolder(JobConfig):
        def _runtime_env_has_working_dir(self) -> bool:
            return True

    return WithoutFolder()


def _refuse_silence(address: str) -> None:
    """Raise if nobody listens at HOST:PORT; Ray itself would try for minutes, deaf to Ctrl-C."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), _PATIENCE).close()
    except OSError as error:
        what = f"no Ray cluster at {address}: {(error.strerror or str(error)).lower()}"
        raise EnvironmentProblem(what, "start one: ray start --head") from error


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:300]
