"""What a report says of a ledger, on ledgers that are small enough to count by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from milkreport.registration.counting import count
from milkreport.registration.ledger import Chain, Ledger
from milkreport.runs.cells import Cell
from tests.registration.test_ledger import DATA, SUITE, event

SHOWN = {Cell("baseline", seed, 0) for seed in range(3)}


def chain(tmp_path: Path, *events: tuple[str, dict[str, Any]]) -> Chain:
    ledger = Ledger(tmp_path)
    for kind, values in events:
        ledger.append(event(kind, **values))
    return ledger.load()


def counted(found: Chain, **values: Any) -> Any:
    return count(found, **{"data": DATA, "suite": SUITE, "run": "r", "shown": SHOWN} | values)


def plain(*seeds: int, **values: Any) -> list[tuple[str, dict[str, Any]]]:
    return [(k, {"seed": s, **values}) for s in seeds for k in ("begun", "done")]


def test_a_plain_run_has_nothing_else(tmp_path: Path) -> None:
    found = counted(chain(tmp_path, *plain(0, 1, 2)))
    assert (found.restarts, found.resumed, found.not_shown, found.other_settings) == (0, 0, 0, 0)
    assert (found.entries, found.problem, found.kept) == (6, "", True)


def test_restarts_and_resumptions_are_told_apart(tmp_path: Path) -> None:
    found = counted(
        chain(
            tmp_path,
            *plain(0, 1, 2),
            ("begun", {"seed": 0}),
            ("begun", {"seed": 0, "run": "another folder"}),
            ("stopped", {"seed": 0}),
            ("resumed", {"seed": 1}),
        )
    )
    assert (found.restarts, found.resumed, found.not_shown) == (2, 1, 0)


def test_the_best_of_ten_seeds_is_visible(tmp_path: Path) -> None:
    found = counted(chain(tmp_path, *plain(*range(10))), shown={Cell("baseline", 7, 0)})
    assert (found.not_shown, found.restarts) == (9, 0)


def test_other_arms_and_abandoned_trainings_are_not_shown(tmp_path: Path) -> None:
    events = [*plain(0, 1, 2), *plain(0, arm="tuned"), ("begun", {"seed": 9})]
    assert counted(chain(tmp_path, *events)).not_shown == 2


def test_other_settings_count_apart_and_other_data_not_at_all(tmp_path: Path) -> None:
    events = [
        *plain(0, 1, 2),
        *plain(0, 1, suite="6" * 64),
        *plain(0, suite="7" * 64),
        *plain(*range(9), data="0" * 64),
    ]
    found = counted(chain(tmp_path, *events))
    assert (found.other_settings, found.not_shown) == (3, 0)


def test_reused_and_repeated_trainings_are_counted(tmp_path: Path) -> None:
    events = [
        *plain(0, 1),
        ("reused", {"seed": 2, "run": "r"}),
        ("reused", {"seed": 2, "run": "another"}),
        ("repeated", {"seed": 0}),
    ]
    found = counted(chain(tmp_path, *events))
    assert (found.reused, found.repeated, found.not_shown) == (1, 1, 0)


@pytest.mark.parametrize(("hash_", "before"), [("a" * 64, 2), ("b" * 64, 3), ("c" * 64, None)])
def test_trainings_before_a_registration(hash_: str, before: int | None, tmp_path: Path) -> None:
    events = [
        *plain(0, 1),
        ("registered", {"registration": "a" * 64}),
        *plain(0, 2),
        ("registered", {"registration": "b" * 64}),
    ]
    found = counted(chain(tmp_path, *events), registration=hash_)
    assert (found.before, found.registrations) == (before, 2)


def test_a_run_that_deviates_finds_its_registration(tmp_path: Path) -> None:
    """Its settings, and so its suite, are not those that were registered."""
    events = [
        *plain(0),
        ("registered", {"registration": "a" * 64, "suite": "9" * 64}),
        *plain(0, 1),
    ]
    assert counted(chain(tmp_path, *events), registration="a" * 64).before == 1
