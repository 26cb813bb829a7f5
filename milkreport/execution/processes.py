"""Several trainings at a time on this machine: processes by spawn, each with a GPU of its own if there are.

A worker keeps its process, device and pixels for many cells. One that is killed costs its running cell what
came after the last checkpoint: a new one goes on from there.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from milkreport.execution.executors import Recorder
from milkreport.execution.tasks import Study, Task
from milkreport.execution.trainer import Machine, survey
from milkreport.execution.worker import work
from milkreport.suite.suite import Training
from milkreport.trust import current

#: Times that a training is taken up again after its worker died.
RETRIES = 2
_POLL = 0.5  # seconds between two looks at the wish to stop
_ROOM = 1.2  # of the most that tensors took: the CUDA context and fragments come on top


@dataclass(frozen=True)
class Slot:
    """Where a worker works: a device, and the GPU that alone it may see ("" for none).

    ``rank``: from 0 among the workers of one GPU; those after the first wait until there is room.
    """

    number: int
    device: str
    gpu: str = ""
    rank: int = 0


def make_slots(workers: int, gpus: Sequence[str], device: str) -> list[Slot]:
    """Places for so many workers: GPUs in turn, several to one where there are fewer; or the CPU.

    Args:
        gpus: as CUDA_VISIBLE_DEVICES names them; empty for the CPU.
    """
    if not gpus:
        return [Slot(n, device) for n in range(workers)]
    return [Slot(n, "cuda", gpus[n % len(gpus)], n // len(gpus)) for n in range(workers)]


class Processes:
    """Executor with one process for each of *slots*; see :class:`milkreport.execution.executors.Executor`."""

    def __init__(self, slots: Sequence[Slot], retries: int = RETRIES) -> None:
        self.slots, self.retries = slots, retries
        self.workers, self.place = len(slots), f"in {len(slots)} processes"

    def survey(self, training: Training) -> Machine:
        """See :class:`milkreport.execution.executors.Executor`."""
        return survey(self.slots[0].device, training)

    def run(self, studies: Mapping[str, Study], tasks: Sequence[Task], recorder: Recorder) -> None:
        """Do all *tasks*; see :class:`milkreport.execution.executors.Executor`."""
        crew = _Crew(self.slots[: len(tasks)], self.retries, studies, tasks, recorder)
        try:
            while busy := crew.employ():
                for worker in busy:
                    crew.hear(worker)
        finally:
            crew.dismiss()


@dataclass
class _Worker:
    slot: Slot
    process: Any
    pipe: Connection
    task: Task | None = None
    ready: bool = False


class _Crew:
    """The workers of one run, and what is still to be done."""

    def __init__(
        self,
        slots: Sequence[Slot],
        retries: int,
        studies: Mapping[str, Study],
        tasks: Sequence[Task],
        recorder: Recorder,
    ) -> None:
        self.slots, self.retries, self.recorder = slots, retries, recorder
        self.studies = {name: study.for_workers() for name, study in studies.items()}
        self.waiting, self.lost = deque(tasks), Counter[Task]()
        self.workers: dict[Slot, _Worker] = {}
        self.room = _Room(recorder)
        self.context = multiprocessing.get_context("spawn")
        self.stopping = self.context.Value("i", 0, lock=False)

    def employ(self) -> list[_Worker]:
        """Give idle workers something to do; those that then have something to tell, none when all is over.

        Waits for a moment; the list is empty only if nobody is busy any more.
        """
        while True:
            if stop := self.recorder.stop_asked():
                self.stopping.value = stop
                self.waiting.clear()
            for slot in self.slots:
                worker = self.workers.get(slot)
                if worker and worker.task:
                    continue
                if not self.waiting or not (worker or self.room.allows(slot)):
                    continue
                worker = worker or self._start(slot)
                worker.task = self.waiting.popleft()
                self.recorder.begin(worker.task)
                if worker.ready:
                    self._say(worker, worker.task)
            busy = {worker.pipe: worker for worker in self.workers.values() if worker.task}
            if not busy:
                return []
            if ready := wait(list(busy), _POLL):
                return [busy[pipe] for pipe in ready]  # type: ignore[index]

    def hear(self, worker: _Worker) -> None:
        """Pass on one thing that a worker tells; its death is one."""
        task = worker.task
        assert task is not None
        try:
            kind, content = worker.pipe.recv()
        except (EOFError, OSError):
            self._bury(worker, task)
            return
        if kind == "ready":
            worker.ready = True
            self._say(worker, (current(), self.studies))
            self._say(worker, task)
        elif kind == "epoch":
            self.recorder.epoch(task, *content)
        elif kind == "notice":
            self.recorder.notice(content)
        elif kind == "error":
            raise content
        else:
            worker.task = None
            if kind == "done":
                trained, free = content
                self.room.learn(worker.slot, trained.peak_memory_bytes, free)
                self.recorder.done(task, trained)
            elif kind == "failed":
                self.recorder.failed(task, content)

    def dismiss(self) -> None:
        """End all workers; idle ones by themselves, others at once."""
        for worker in self.workers.values():
            if worker.task is None:
                self._say(worker, None)
            else:
                worker.process.kill()
        for worker in self.workers.values():
            worker.process.join(10)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()

    def _start(self, slot: Slot) -> _Worker:
        ours, theirs = self.context.Pipe()
        every, parent = self.recorder.checkpoint_every, os.getpid()
        # Little, so that the start never waits for a reader: what is large follows when it is ready.
        arguments = (theirs, slot.device, every, self.stopping, parent)
        process = self.context.Process(target=work, args=arguments, daemon=True)
        with _seeing(slot.gpu), _deaf():
            process.start()
        theirs.close()  # else the death of the worker would not end the pipe
        self.workers[slot] = _Worker(slot, process, ours)
        return self.workers[slot]

    @staticmethod
    def _say(worker: _Worker, what: object) -> None:
        with suppress(OSError):  # it died: its pipe tells
            worker.pipe.send(what)

    def _bury(self, worker: _Worker, task: Task) -> None:
        del self.workers[worker.slot]
        how = _how_it_died(worker.process)
        self.lost[task] += 1
        if self.recorder.stop_asked():
            return
        if self.lost[task] > self.retries:
            self.recorder.failed(task, f"{how}, {self.lost[task]} times: try fewer --workers")
        else:
            self.recorder.notice(f"{task}: {how}; it goes on from its last checkpoint")
            self.waiting.appendleft(task)


class _Room:
    """Whether a GPU has room for one more worker: known once a first training has told what it took."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.peaks: dict[str, int] = {}  # bytes by GPU, and so is
        self.free: dict[str, int] = {}
        self.closed: set[Slot] = set()

    def learn(self, slot: Slot, peak: int | None, free: int | None) -> None:
        """Take what a finished training took, and what was free beside it, bytes."""
        if slot.gpu and peak and free is not None:
            self.peaks[slot.gpu] = max(peak, self.peaks.get(slot.gpu, 0))
            self.free[slot.gpu] = free

    def allows(self, slot: Slot) -> bool:
        """Whether a worker may start there; what it will take counts as taken from now on."""
        if slot.rank == 0:
            return True
        if slot.gpu not in self.peaks or slot in self.closed:
            return False
        need = int(_ROOM * self.peaks[slot.gpu])
        if need <= self.free[slot.gpu]:
            self.free[slot.gpu] -= need
            return True
        self.closed.add(slot)
        self.recorder.notice(
            f"GPU {slot.gpu} takes {slot.rank} trainings at a time: one more needs {need / 1e9:.1f} GB, "
            f"{self.free[slot.gpu] / 1e9:.1f} GB are free"
        )
        return False


def _how_it_died(process: Any) -> str:
    process.join(10)
    code = process.exitcode
    if code is not None and code < 0:
        why = " (out of memory?)" if -code == signal.SIGKILL else ""
        return f"its process was killed by {signal.Signals(-code).name}{why}"
    return f"its process ended with exit code {code}"


@contextmanager
def _deaf() -> Iterator[None]:
    """Within it, a process that is started does not hear Ctrl-C until it can answer; ours waits."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # when it starts, it lets the signal through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _seeing(gpu: str) -> Iterator[None]:
    """Within it, a process that is started sees this GPU alone; it calls it ``cuda:0``."""
    name = "CUDA_VISIBLE_DEVICES"
    before = os.environ.get(name)
    if gpu:
        os.environ[name] = gpu
    try:
        yield
    finally:
        if before is not None:
            os.environ[name] = before
        elif gpu:
            del os.environ[name]
