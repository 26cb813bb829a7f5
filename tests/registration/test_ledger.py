"""The chain against hashlib, each way to break it, appending at once, and ledgers that are hostile."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from pathlib import Path

import pytest

from milkreport.errors import EnvironmentProblem
from milkreport.registration import ledger as module
from milkreport.registration.keeper import Keeper
from milkreport.registration.ledger import ORIGIN, Event, Ledger, read_chain
from milkreport.runs.cells import Cell

DATA, SUITE = "d" * 64, "5" * 64


def event(kind: str = "begun", **values: object) -> Event:
    fields = {"kind": kind, "data": DATA, "suite": SUITE, "arm": "baseline", "seed": 0, "fold": 0}
    return Event.model_validate(fields | values)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Six entries."""
    made = Ledger(tmp_path)
    for seed in range(3):
        made.append(event(seed=seed))
        made.append(event("done", seed=seed))
    return made


def lines(ledger: Ledger) -> list[bytes]:
    return ledger.path.read_bytes().splitlines(keepends=True)


def test_each_line_has_the_hash_of_the_line_before(ledger: Ledger) -> None:
    previous = ORIGIN
    for number, line in enumerate(lines(ledger), 1):
        entry = json.loads(line)
        assert (entry["n"], entry["previous"]) == (number, previous)
        digest = entry.pop("hash")
        text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert hashlib.sha256(text.encode()).hexdigest() == digest
        previous = digest
    chain = ledger.load()
    assert (chain.problem, len(chain.entries), chain.head) == ("", 6, previous)
    assert chain.holds(6, previous)
    assert chain.holds(0, ORIGIN)
    assert not chain.holds(5, previous)
    assert not chain.holds(7, previous)


def test_an_entry_holds_no_path_and_nothing_but_its_keys(ledger: Ledger) -> None:
    assert set(json.loads(lines(ledger)[0])) == {
        *("n", "time", "previous", "hash", "kind", "data", "suite"),
        *("registration", "arm", "seed", "fold", "run"),
    }


def test_a_changed_line_is_named(ledger: Ledger) -> None:
    all_lines = lines(ledger)
    for number in range(6):
        changed = [*all_lines]
        changed[number] = changed[number].replace(b'"arm":"baseline"', b'"arm":"basement"')
        assert read_chain(b"".join(changed)).problem == (
            f"line {number + 1}: changed since it was written"
        )


def test_a_removed_line_is_named(ledger: Ledger) -> None:
    all_lines = lines(ledger)
    for number in range(5):
        left = b"".join(all_lines[:number] + all_lines[number + 1 :])
        assert read_chain(left).problem.startswith(f"line {number + 1}: does not follow")
    assert read_chain(b"".join(all_lines)).problem == ""  # negative control


def test_swapped_and_doubled_lines_are_named(ledger: Ledger) -> None:
    a, b, c, *rest = lines(ledger)
    assert read_chain(b"".join([a, c, b, *rest])).problem.startswith("line 2: does not follow")
    assert read_chain(b"".join([a, a, b, c, *rest])).problem.startswith("line 2: does not follow")


def test_a_line_removed_and_chained_again_is_another_ledger(ledger: Ledger, tmp_path: Path) -> None:
    """It fits by itself; whoever kept the old head sees it, as registrations and run folders do."""
    before = ledger.load()
    forged = Ledger(tmp_path / "forged")
    for entry in (*before.entries[:1], *before.entries[2:]):
        forged.append(Event.model_validate(entry.model_dump(include=set(Event.model_fields))))
    chain = forged.load()
    assert chain.problem == ""
    assert chain.holds(1, before.entries[0].hash)
    assert not any(chain.holds(n, before.entries[n - 1].hash) for n in range(2, 7))
    # Cut off at its end it fits, too; the count of lines that was kept shows that.
    assert not read_chain(b"".join(lines(ledger)[:5])).holds(6, before.head)


def test_a_torn_last_line_is_left_out_and_cut_off(ledger: Ledger) -> None:
    whole = ledger.path.read_bytes()
    for torn in (b'{"arm":"base', lines(ledger)[5].rstrip(b"\n"), b"\xff\x00"):
        ledger.path.write_bytes(whole + torn)
        assert len(ledger.load().entries) == 6
        assert ledger.load().problem == ""
        ledger.append(event("stopped"))
        chain = ledger.load()
        assert [e.kind for e in chain.entries[-2:]] == ["done", "stopped"]
        assert chain.problem == ""
    ledger.path.write_bytes(b'{"torn": fir')
    ledger.append(event())
    assert [e.n for e in ledger.load().entries] == [1]


def _append(cache: Path, who: int) -> None:
    for seed in range(25):
        Ledger(cache).append(event(seed=seed, run=str(who)))


def test_processes_that_append_at_once_leave_whole_lines(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_append, args=(tmp_path, who)) for who in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    chain = Ledger(tmp_path).load()
    assert (chain.problem, len(chain.entries)) == ("", 75)
    assert {(e.run, e.seed) for e in chain.entries} == {
        (str(who), seed) for who in range(3) for seed in range(25)
    }


def test_a_ledger_that_cannot_be_written_stops_nothing_and_is_said_once(tmp_path: Path) -> None:
    (tmp_path / module.FOLDER).write_text("a file where the folder should be")
    said: list[str] = []
    keeper = Keeper(Ledger(tmp_path), event(), said.append)
    keeper.begin(Cell("baseline", 0, 0), resumed=False)
    keeper.end(Cell("baseline", 0, 0), "done")
    assert not keeper.kept
    assert len(said) == 1
    assert said[0].startswith("the ledger of trainings is not kept: ")


def test_a_disk_that_fills_up_leaves_the_lines_that_were(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ledger.path.read_bytes()
    real = os.write
    monkeypatch.setattr(
        module.os, "write", lambda handle, line: real(handle, line[:40]) if len(line) > 99 else 0
    )
    with pytest.raises(EnvironmentProblem, match="no space left"):
        ledger.append(event())
    assert ledger.path.read_bytes() == before


def test_links_pipes_and_folders_are_no_ledger(tmp_path: Path) -> None:
    ledger, target = Ledger(tmp_path), tmp_path / "precious"
    target.write_text("precious")
    ledger.path.parent.mkdir()
    makers = {
        "link": lambda: ledger.path.symlink_to(target),
        "pipe": lambda: os.mkfifo(ledger.path),
        "folder": ledger.path.mkdir,
    }
    for what, make in makers.items():
        make()
        for work in (lambda: ledger.append(event()), ledger.load):
            with pytest.raises(EnvironmentProblem) as error:
                work()
            assert "\n" not in str(error.value), what
        ledger.path.rmdir() if what == "folder" else ledger.path.unlink()
    assert target.read_text() == "precious"


HOSTILE = {
    "no JSON": b"hello\n",
    "not UTF-8": b"\xff\xfe\n",
    "deep": b"[" * 3000 + b"\n",
    "a list": b"[]\n",
    "wrong types": b'{"n": "one", "kind": 7}\n',
    "an unknown kind": b'{"n": 1, "kind": "won"}\n',
    "a huge line": b" " * 9_000 + b"\n",
    "an empty line": b"\n",
    "a key twice": b'{"n": 1, "n": 2}\n',
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_lines_are_named_and_the_others_read(what: str, ledger: Ledger) -> None:
    first, *rest = lines(ledger)
    chain = read_chain(first + HOSTILE[what] + b"".join(rest))
    assert chain.problem.startswith("line 2: ")
    assert len(chain.problem) < 200
    assert len(chain.entries) == 6
    ledger.path.write_bytes(first + HOSTILE[what])
    with pytest.raises(EnvironmentProblem, match="last line of the ledger is damaged"):
        ledger.append(event())
    assert ledger.path.read_bytes() == first + HOSTILE[what]


def test_a_ledger_that_is_too_large_is_not_read(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    with pytest.raises(EnvironmentProblem, match="more than 1,000 bytes"):
        ledger.load()
    with pytest.raises(EnvironmentProblem, match="full"):
        ledger.append(event())
