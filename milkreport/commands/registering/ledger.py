"""The ledger on the terminal: what was trained on which data, and whether the chain is whole."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rich.table import Table

from milkreport.commands.console import console, say, warn
from milkreport.registration.counting import trained, training
from milkreport.registration.ledger import Chain

#: Groups of data and settings that the screen shows, the latest last.
_MOST = 40


def show(chain: Chain, path: Path) -> None:
    """A row for each data and settings, then the chain's state."""
    if not chain.entries and not chain.problem:
        say(f"no training was begun with this cache: {path} has no entry")
        return
    groups = list(dict.fromkeys((e.data, e.suite) for e in chain.entries))
    table = Table(
        *(
            "last entry",
            "data",
            "settings",
            "registered",
            "trainings",
            "restarts",
            "done",
            "failed",
        ),
        box=None,
        pad_edge=False,
    )
    for data, suite in groups[-_MOST:]:
        mine = [e for e in chain.entries if (e.data, e.suite) == (data, suite)]
        kinds = Counter(e.kind for e in mine)
        begun = Counter(training(e) for e in mine if e.kind == "begun")
        registered = [e.registration[:16] for e in mine if e.kind == "registered"]
        table.add_row(
            mine[-1].time,
            data[:12],
            suite[:12],
            ", ".join(registered[-3:]) or "no",
            str(len(trained(mine))),
            str(sum(n - 1 for n in begun.values())),
            str(kinds["done"]),
            str(kinds["failed"]),
        )
    console.print(table)
    if len(groups) > _MOST:
        say(f"the last {_MOST} of {len(groups):,}; all of them: --json")
    if chain.problem:
        warn(f"{path}: the chain is broken at {chain.problem}")
    else:
        say(
            f"{len(chain.entries):,} entries, the chain is whole; hash of the last line {chain.head}"
        )
