"""Trainings on a Ray cluster: scheduling, retries and transport are Ray's, the work is everybody's.

Everything comes back to the run's own process: news and checkpoints over a board (an actor beside it),
finished trainings as results of their tasks. No folder need be shared. A node that dies costs its running
cells what came after their last checkpoint; Ray starts them again elsewhere, and the board has it.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from milkreport.errors import EnvironmentProblem, MilkreportError, Stopped
from milkreport.runs.executors import Desk
from milkreport.runs.folder import RunFolder
from milkreport.runs.tasks import Study, Task
from milkreport.runs.trainer import Machine, Trainer, survey
from milkreport.suite import Training
from milkreport.training.checkpoint import Checkpoint, Checkpoints
from milkreport.training.failures import TrainingFailed

#: Times that Ray starts a training again after its worker or node died.
RETRIES = 4
_POLL = 0.2  # seconds between two looks at the board
_PATIENCE = 10.0  # seconds for a cluster to answer
_ASK_STOP = 1.0  # seconds between a worker's questions whether to stop


class RayCluster:
    """Executor on a Ray cluster; see :class:`milkreport.runs.executors.Executor`.

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
        """What one of its workers is; see :class:`milkreport.runs.executors.Executor`."""
        remote = self._ray.remote(_survey).options(**self.resources)
        found = self._ray.get(remote.remote(self.device, training))
        if isinstance(found, MilkreportError):
            raise found
        return found  # type: ignore[no-any-return]

    def run(self, studies: Mapping[str, Study], tasks: Sequence[Task], desk: Desk) -> None:
        """Do all *tasks*; see :class:`milkreport.runs.executors.Executor`."""
        _Session(self, self._ray, studies, desk).run(tasks)

    def close(self) -> None:
        """Leave the cluster; one of its own ends."""
        self._ray.shutdown()


class _Session:
    """One run on the cluster, seen from the process that owns it."""

    def __init__(
        self, cluster: RayCluster, ray: Any, studies: Mapping[str, Study], desk: Desk
    ) -> None:
        self.cluster, self.ray, self.desk = cluster, ray, desk
        self.studies = {name: study.for_workers() for name, study in studies.items()}
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        self.board = ray.remote(Board).options(num_cpus=0, scheduling_strategy=here).remote()
        # As bytes, so that a worker without the file can say so in words of its own.
        self.by_path = {n: ray.put(pickle.dumps(study)) for n, study in self.studies.items()}
        self.shipped: dict[str, Any] = {}
        options = {"max_retries": RETRIES, "retry_exceptions": False, **cluster.resources}
        self.remote = ray.remote(_train).options(**options)
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
            if not stopping and (stop := self.desk.stop_asked()):
                stopping = True
                self._stop(stop)
            ready, _ = self.ray.wait(list(self.pending), timeout=_POLL)
            self._read_board()
            for reference in ready:
                self._take(reference)
        self._read_board()

    def _submit(self, task: Task, study: Any) -> None:
        every = self.desk.checkpoint_every
        # In a list, Ray passes the reference on; each process fetches a study once.
        arguments = (self.board, [study], task, self.cluster.device, every)
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
            if not self.desk.stop_asked():
                self.desk.failed(task, _first_line(error))
            return
        if kind == "lacking":
            self._submit(task, self._ship(task.study))
        elif kind == "error":
            raise content
        elif kind == "failed":
            self.desk.failed(task, content)
        elif kind == "done":
            self.desk.done(task, content)
        if kind in ("done", "failed"):
            self.board.forget.remote(task)

    def _ship(self, name: str) -> Any:
        """The study with its pixels, in the object store: each node that asks gets them once."""
        if name not in self.shipped:
            study = self.studies[name]
            size = study.prepared.store.pixels.nbytes / 1e6
            self.desk.notice(f"sending {size:,.0f} MB of decoded images to nodes that lack them")
            store = replace(study.prepared.store, pixels=np.asarray(study.prepared.store.pixels))
            whole = replace(study, prepared=replace(study.prepared, store=store))
            self.shipped[name] = self.ray.put(whole)
        return self.shipped[name]

    def _read_board(self) -> None:
        for kind, task, content in self.ray.get(self.board.take.remote()):
            if kind == "begin":
                if task in self.begun:
                    self.desk.notice(
                        f"{task}: its worker was lost; it goes on from its last checkpoint"
                    )
                self.begun.add(task)
                self.desk.begin(task)
            elif kind == "epoch":
                self.desk.epoch(task, *content)
            elif kind == "notice":
                self.desk.notice(content)
            elif kind == "checkpoint":
                self._checkpoints(task).adopt(*content)

    def _checkpoints(self, task: Task) -> Checkpoints:
        return Checkpoints(RunFolder(self.studies[task.study].out).cell(task.cell).checkpoints)


class Board:
    """An actor: what workers tell, until it is taken; and each cell's last checkpoint."""

    def __init__(self) -> None:
        self.news: list[tuple[str, Task, Any]] = []
        self.kept: dict[Task, tuple[str, bytes]] = {}
        self.signum = 0

    def tell(self, kind: str, task: Task, content: Any) -> None:
        """Put up one piece of news."""
        self.news.append((kind, task, content))

    def take(self) -> list[tuple[str, Task, Any]]:
        """All news since the last time."""
        news, self.news = self.news, []
        return news

    def keep(self, task: Task, name: str, data: bytes, new: bool = False) -> None:
        """Keep a checkpoint file; a new one is news."""
        self.kept[task] = name, data
        if new:
            self.tell("checkpoint", task, (name, data))

    def last(self, task: Task) -> tuple[str, bytes] | None:
        """The last checkpoint file of a cell."""
        return self.kept.get(task)

    def forget(self, task: Task) -> None:
        """The cell is over."""
        self.kept.pop(task, None)

    def stop(self, signum: int) -> None:
        """Ask all trainings to keep their state and end."""
        self.signum = signum

    def asked(self) -> int:
        """What they were asked."""
        return self.signum


@dataclass
class _Mirrored(Checkpoints):
    """Checkpoints whose every file is also kept by the board before the training goes on."""

    mirror: Callable[[str, bytes], None] = lambda name, data: None

    def save(self, checkpoint: Checkpoint) -> None:
        super().save(checkpoint)
        latest = self.latest()
        assert latest is not None
        self.mirror(*latest)


# Of a worker process: the study that it last trained a cell of, and what holds its pixels.
_STUDY: dict[str, Study] = {}
_TRAINER: dict[str, Trainer] = {}
_WAITING: list[ThreadPoolExecutor] = []


def _survey(device: str, training: Training) -> Machine | MilkreportError:
    try:
        return survey(device, training)
    except MilkreportError as error:
        return error


def _train(board: Any, study_in: list[Any], task: Task, device: str, every: float) -> Any:
    """Train one cell, in a worker of the cluster: what came of it, and what belongs to that."""
    asked = _Question(lambda: _get(board.asked.remote()))
    if asked.again():
        return "stopped", None
    try:
        study = _at_hand(study_in[0])
    except EnvironmentProblem:
        return "lacking", None
    board.tell.remote("begin", task, None)

    def notice(line: str) -> None:
        board.tell.remote("notice", task, line)

    with tempfile.TemporaryDirectory(prefix="milkreport-") as place:
        checkpoints = _Mirrored(
            Path(place) / "checkpoints",
            every=every,
            stop_asked=asked,
            notice=notice,
            mirror=lambda name, data: _get(board.keep.remote(task, name, data, True)),
        )
        kept = _get(board.last.remote(task))
        if kept is not None:
            checkpoints.adopt(*kept)
        try:
            trained = _trainer(device, notice).train(
                study,
                task.cell,
                lambda epoch, row: board.tell.remote("epoch", task, (epoch, row)),
                checkpoints,
            )
        except TrainingFailed as error:
            return "failed", str(error)
        except Stopped:
            return "stopped", None
        except Exception as error:
            error.add_note(f"in a worker process:\n{traceback.format_exc()}")
            return "error", error
    return "done", trained


def _at_hand(reference: Any) -> Study:
    """The study, fetched once a process.

    Raises:
        EnvironmentProblem: its pixels are not on this machine.
    """
    key = reference.hex()
    if key not in _STUDY:
        found = _get(reference)
        study = pickle.loads(found) if isinstance(found, bytes) else found
        _STUDY.clear()
        _STUDY[key] = study
    return _STUDY[key]


def _get(reference: Any) -> Any:
    """What *reference* stands for, waited for in another thread.

    A task that waits in its own gives up its CPUs meanwhile, and Ray starts one training too many.
    """
    import ray

    if not _WAITING:
        _WAITING.append(ThreadPoolExecutor(1))
    return _WAITING[0].submit(ray.get, reference).result()


def _trainer(device: str, notice: Callable[[str], None]) -> Trainer:
    """This process's trainer, with whom to tell now."""
    if device not in _TRAINER:
        _TRAINER[device] = Trainer(device, notice)
    _TRAINER[device].notice = notice
    return _TRAINER[device]


class _Question:
    """Asks the board now and then, so that a step does not wait for the network."""

    def __init__(self, ask: Callable[[], int]) -> None:
        self._ask, self._answer, self._asked = ask, 0, 0.0

    def __call__(self) -> int:
        if time.monotonic() - self._asked >= _ASK_STOP:
            self.again()
        return self._answer

    def again(self) -> int:
        """The answer now."""
        self._answer, self._asked = self._ask(), time.monotonic()
        return self._answer


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
