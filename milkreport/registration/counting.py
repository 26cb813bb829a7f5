"""Counts trainings in a ledger: which of them a run shows, and what else there was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from milkreport.evaluation.records.adherence import LedgerCount
from milkreport.registration.ledger import Chain, Entry
from milkreport.runs.cells import Cell

#: What makes a training one that was there; a repetition only compares.
_TRAINED = ("begun", "resumed", "reused")


def count(
    chain: Chain,
    *,
    data: str,
    suite: str,
    run: str,
    shown: Collection[Cell],
    registration: str = "",
    kept: bool = True,
    problem: str = "",
) -> LedgerCount:
    """Count what a ledger has of the data and suite of one run.

    Args:
        data, suite: as in :class:`milkreport.registration.ledger.Event`.
        run: id of the run folder.
        shown: the trainings that the results show.
        registration: hash of the run's registration; empty: none.
        kept: whether every event of the run was written.
        problem: what is known to be wrong with the ledger beside its chain.
    """
    mine = [e for e in chain.entries if e.data == data and e.suite == suite]
    begun = Counter(training(e) for e in mine if e.kind == "begun")
    return LedgerCount(
        kept=kept,
        problem=chain.problem or problem,
        restarts=sum(max(begun[cell] - 1, 0) for cell in shown),
        resumed=sum(e.kind == "resumed" and training(e) in shown for e in mine),
        reused=len({training(e) for e in mine if e.kind == "reused" and e.run == run}),
        repeated=sum(e.kind == "repeated" for e in mine),
        not_shown=len(trained(mine) - set(shown)),
        other_settings=count_others(chain, data, suite),
        before=_count_before(chain, data, suite, registration),
        registrations=len(
            {e.registration for e in chain.entries if e.data == data and e.kind == "registered"}
        ),
        entries=len(chain.entries),
        head=chain.head,
    )


def training(entry: Entry) -> Cell:
    """The training that an entry is about."""
    return Cell(entry.arm, entry.seed or 0, entry.fold or 0)


def trained(entries: Collection[Entry]) -> set[Cell]:
    """Distinct trainings that were begun or taken over."""
    return {training(e) for e in entries if e.kind in _TRAINED}


def count_others(chain: Chain, data: str, suite: str) -> int:
    """Distinct trainings of the same data with other settings."""
    return len(
        {
            (e.suite, training(e))
            for e in chain.entries
            if e.data == data and e.suite != suite and e.kind in _TRAINED
        }
    )


def _count_before(chain: Chain, data: str, suite: str, registration: str) -> int | None:
    """Trainings before the registration's own entry; ``None`` if this ledger has no such entry.

    A run that deviates has another suite than its registration, whose entry is found all the same.
    """
    for place, entry in enumerate(chain.entries):
        if entry.kind == "registered" and registration and entry.registration == registration:
            earlier = chain.entries[:place]
            return len(trained([e for e in earlier if e.data == data and e.suite == suite]))
    return None
