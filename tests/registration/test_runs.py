"""Small real runs: bound to a registration, killed and taken up again, with the ledger beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from milkreport.data.prepare import prepare
from milkreport.data.splits import make_folds
from milkreport.errors import ConfigError, DataError
from milkreport.evaluation.records.results import Results
from milkreport.execution.exact import repeat_run
from milkreport.execution.executors import InProcess
from milkreport.execution.options import RunOptions
from milkreport.execution.runner import Job, run_suites
from milkreport.execution.tasks import Task
from milkreport.registration.binding import Binding
from milkreport.registration.conduct import check_settings
from milkreport.registration.declare import declare, plan_power, suite_key
from milkreport.registration.ledger import FOLDER, Event, Ledger
from milkreport.registration.register import refuse_late, register
from milkreport.reporting.registration import registered_sentence
from milkreport.runs.folder import RunFolder
from milkreport.suite.suite import Suite, build_suite
from milkreport.training.model_selector import Row
from milkreport.verifying.record import Outcome
from milkreport.verifying.registered import compare_registration
from tests.killing import SUITE, Silent, fork

pytestmark = pytest.mark.slow


class Bench:
    """A folder with a cache of its own, in which runs are registered and trained."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder, self.data, self.cache = folder, data, folder / "cache"
        self.file = folder / "registration.json"

    def suite(self, **changes: Any) -> Suite:
        training = SUITE["training"] | {"epochs": 2} | changes.pop("training", {})  # type: ignore[operator]
        return build_suite(SUITE | {"training": training} | changes)

    def register(self, suite: Suite) -> str:
        prepared = prepare(self.data, suite.data, self.cache)
        folds = make_folds(prepared.cases, suite.split)
        known = declare(suite, prepared, folds)
        power = plan_power(suite, prepared, folds, 0.05)
        args = (suite.title, "data", known, power, suite_key(suite), self.cache, print)
        return register(self.file, *args).hash

    def run(self, suite: Suite, out: str = "run", watcher: Any = None, **options: Any) -> Results:
        job = Job(suite, self.data, self.folder / out, "", self.cache)
        settings = RunOptions(**{"images": False, "checkpoint_every": 0, **options})
        return run_suites([job], InProcess("cpu"), watcher or Silent(), settings)[0]

    @property
    def kinds(self) -> list[str]:
        chain = Ledger(self.cache).load()
        assert chain.problem == ""
        return [entry.kind for entry in chain.entries]


@pytest.fixture
def bench(tmp_path: Path, synthetic: Path) -> Bench:
    return Bench(tmp_path, synthetic)


def test_a_registered_run_is_bound_and_says_so(bench: Bench) -> None:
    suite = bench.suite()
    digest = bench.register(suite)
    results = bench.run(suite, registration=bench.file, workers="1")
    assert bench.kinds == ["registered", *["begun", "done"] * 2]
    adherence = results.adherence
    assert adherence is not None
    assert adherence.registration is not None
    assert adherence.registration.hash == digest
    assert adherence.deviations == []
    assert adherence.ledger is not None
    assert (adherence.ledger.restarts, adherence.ledger.before) == (0, 0)
    kept = json.loads((bench.folder / "run" / "registration.json").read_bytes())
    assert kept["hash"] == digest
    said = registered_sentence(results)
    assert said.endswith(
        f"hash {digest[:16]}. 2 of 2 registered trainings shown; 0 restarts. No deviation."
    )
    # The same command again, and without the option: the folder's own registration still binds.
    assert bench.run(suite, registration=bench.file).adherence == adherence
    assert bench.run(suite).adherence == adherence
    with pytest.raises(
        ConfigError, match=r"differs from registration .*seeds: \[0\], now \[0, 1\]"
    ):
        bench.run(bench.suite(seeds=[0, 1]))
    with pytest.raises(ConfigError, match="has trainings"):
        refuse_late(bench.folder / "second.json", bench.folder / "run")
    with pytest.raises(ConfigError, match="never written over"):
        refuse_late(bench.file, bench.folder / "new")


def test_a_deviation_is_refused_or_recorded(bench: Bench) -> None:
    bench.register(bench.suite())
    other = bench.suite(primary_metric="accuracy", training={"batch_size": 8})
    with pytest.raises(ConfigError) as error:
        bench.run(other, registration=bench.file)
    assert 'primary_metric: "macro_f1", now "accuracy"' in str(error.value)
    assert "training.batch_size: 16, now 8" in str(error.value)
    assert not (bench.folder / "run").exists()  # nothing was begun
    folder = RunFolder(bench.folder / "run")
    with pytest.raises(ConfigError, match="batch_size: 16, now 8"):
        check_settings(folder, other, Binding(bench.file), restart=False, reuse=False)
    assert check_settings(folder, other, Binding(bench.file, "memory"), False, False)
    assert check_settings(folder, bench.suite(), Binding(bench.file), False, False)
    assert not check_settings(folder, other, Binding(), False, False)
    results = bench.run(other, registration=bench.file, deviate="memory")
    assert results.adherence is not None
    found = {d.key: d.reason for d in results.adherence.deviations}
    assert found == {"primary_metric": "memory", "training.batch_size": "memory"}
    assert "2 deviations." in registered_sentence(results)
    # A deviation on record is none that milkreport verify finds; one struck off the record is.
    kept = compare_registration(folder, results)
    assert kept is not None
    assert kept.outcome is Outcome.VERIFIED
    struck = results.adherence.model_copy(update={"deviations": results.adherence.deviations[:1]})
    found_out = compare_registration(folder, results.model_copy(update={"adherence": struck}))
    assert found_out is not None
    assert [fault.place for fault in found_out.faults] == ["registration.json, training.batch_size"]
    # More seeds of the same deviating run need a reason of their own.
    more = bench.suite(primary_metric="accuracy", training={"batch_size": 8}, seeds=[0, 1])
    with pytest.raises(ConfigError, match="seeds") as error:
        bench.run(more, registration=bench.file)
    assert "batch_size" not in str(error.value)


def test_what_was_trained_before_is_not_registered_afterwards(bench: Bench) -> None:
    suite = bench.suite()
    plain = bench.run(suite)
    assert plain.adherence is not None
    assert registered_sentence(plain) == ""
    bench.register(suite)
    with pytest.raises(ConfigError, match="begun without this registration"):
        bench.run(suite, registration=bench.file)
    results = bench.run(suite, "fresh", registration=bench.file)
    said = registered_sentence(results)
    assert "Before registration: 2 trainings of this data and suite." in said
    assert "2 of 2 registered trainings shown; 2 restarts." in said
    # --restart deletes the folder's trainings; the ledger keeps them.
    results = bench.run(suite, registration=bench.file, restart=True)
    assert "4 restarts" in registered_sentence(results)


def test_the_best_of_ten_seeds_is_visible(bench: Bench) -> None:
    """Train many seeds, register the best one, train and show it: the page says how many there were."""
    arms = SUITE["arms"][:1]  # type: ignore[index]
    tried = bench.suite(seeds=list(range(10)), arms=arms, training={"epochs": 1})
    bench.run(tried, "tried")
    best = bench.suite(seeds=[7], arms=arms, training={"epochs": 1})
    bench.register(best)
    said = registered_sentence(bench.run(best, registration=bench.file))
    assert "1 of 1 registered trainings shown; 1 restart." in said
    assert "Before registration: 10 trainings of this data and suite." in said
    assert "In the ledger: 9 trainings of this data and suite not shown." in said


class Killed(Silent):
    """Kills its process after the first epoch of the second training."""

    def __init__(self, when: Callable[[Task, int], bool]) -> None:
        self.when = when

    def epoch(self, task: Task, epoch: int, epochs: int, row: Row) -> None:
        import os
        import signal

        if self.when(task, epoch):
            os.kill(os.getpid(), signal.SIGKILL)


def test_kills_and_resumptions_are_counted(bench: Bench) -> None:
    suite = bench.suite(training={"epochs": 3})
    bench.register(suite)

    def killed(arm: str, epoch: int) -> int:
        watcher = Killed(lambda task, now: task.cell.arm == arm and now == epoch)
        return fork(lambda: bench.run(suite, watcher=watcher, registration=bench.file))

    assert killed("baseline", 2) == -9
    assert killed("sampler", 1) == -9
    results = bench.run(suite, registration=bench.file)
    # The second and third attempt went on from a checkpoint, or began again if there was none yet.
    kinds = bench.kinds
    assert kinds[:2] == ["registered", "begun"]
    assert kinds.count("done") == 2
    assert kinds.count("begun") + kinds.count("resumed") == 4
    assert results.adherence is not None
    ledger = results.adherence.ledger
    assert ledger is not None
    assert ledger.resumed == kinds.count("resumed") >= 1
    assert ledger.restarts == kinds.count("begun") - 2
    assert ledger.restarts + ledger.resumed == 2


def test_a_stopped_training_is_in_the_ledger(bench: Bench) -> None:
    class Failing(Silent):
        def epoch(self, task: Task, epoch: int, epochs: int, row: Row) -> None:
            raise RuntimeError("the screen is gone")

    with pytest.raises(RuntimeError):
        bench.run(bench.suite(), watcher=Failing())
    assert bench.kinds == ["begun", "stopped"]


def test_trainings_of_other_runs_and_repetitions_appear(bench: Bench) -> None:
    suite = bench.suite()
    bench.run(suite, "first")
    results = bench.run(suite, "second", reuse=bench.folder / "first")
    assert bench.kinds[4:] == ["reused", "reused"]
    assert "2 taken over from other runs" in registered_sentence(results)
    before = {p: p.read_bytes() for p in (bench.folder / "second").rglob("*") if p.is_file()}
    repeats = repeat_run(RunFolder(bench.folder / "second"), bench.data, bench.cache, Silent())
    assert repeats.equal
    assert bench.kinds[6:] == ["repeated", "repeated"]
    assert before == {p: p.read_bytes() for p in before}
    bench.register(suite)
    with pytest.raises(ConfigError, match="reuse: false, now true"):
        bench.run(suite, "third", registration=bench.file, reuse=bench.folder / "first")


def test_a_ledger_that_cannot_be_written_stops_no_training(bench: Bench) -> None:
    bench.cache.mkdir()
    (bench.cache / FOLDER).write_text("no folder")
    said: list[str] = []

    class Told(Silent):
        def notice(self, line: str) -> None:
            said.append(line)

    results = bench.run(bench.suite(), watcher=Told())
    assert results.status == "complete"
    assert sum("ledger" in line for line in said) == 1
    said_on_page = registered_sentence(results)
    assert "The ledger was not kept throughout, so trainings may be missing in it." in said_on_page


def test_a_ledger_that_was_chained_again_is_seen(bench: Bench) -> None:
    """One line less, and every hash computed anew: the head that the registration kept shows it."""
    suite = bench.suite()
    bench.run(suite, "tried")
    bench.register(suite)
    ledger = Ledger(bench.cache)
    kept = ledger.load().entries[2:]
    ledger.path.unlink()
    for entry in kept:
        ledger.append(Event.model_validate(entry.model_dump(include=set(Event.model_fields))))
    assert ledger.load().problem == ""
    results = bench.run(suite, registration=bench.file)
    said = registered_sentence(results)
    assert "not the ledger that was here at registration: its first 4 lines differ" in said
    assert "restart" not in said
    # Without a line at all, too.
    ledger.path.unlink()
    said = registered_sentence(bench.run(suite, "again", registration=bench.file))
    assert "cannot be trusted" in said


def test_options_that_need_a_registration_say_so(bench: Bench) -> None:
    for options in ({"deviate": "why"}, {"timestamp": bench.file}):
        with pytest.raises(ConfigError, match="belong to a registration"):
            bench.run(bench.suite(), **options)
    bench.file.write_bytes(b"{}")
    with pytest.raises(DataError, match="not a registration"):
        bench.run(bench.suite(), registration=bench.file)


def test_a_folder_keeps_its_registration(bench: Bench) -> None:
    suite = bench.suite()
    bench.register(suite)
    bench.run(suite, registration=bench.file)
    bench.file.unlink()
    bench.register(bench.suite())
    with pytest.raises(ConfigError, match="another registration"):
        bench.run(suite, registration=bench.file)
