"""Registers a study: what it declares, the planner's power, what the ledger has, and the hash of all that."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from milkreport import __version__
from milkreport.errors import ConfigError, MilkreportError
from milkreport.registration.conduct import is_trained
from milkreport.registration.counting import count_others, trained
from milkreport.registration.ledger import Event, Ledger
from milkreport.registration.record import (
    Before,
    Declared,
    Planned,
    Registration,
    seal,
    write_registration,
)
from milkreport.runs.folder import RunFolder
from milkreport.runs.manifest import read_clock


def refuse_late(out: Path, run: Path) -> None:
    """Refuse to write over a registration, or to register what was trained.

    Args:
        out: where the registration goes. run: the run folder that will be trained.

    Raises:
        ConfigError: *out* exists, or *run* has trainings.
    """
    if os.path.lexists(out):
        do = "keep it; a second registration needs another --out"
        raise ConfigError("exists, and a registration is never written over", do, str(out))
    if is_trained(RunFolder(run)):
        what = "has trainings: a study is registered before it is trained"
        raise ConfigError(what, "name the new run's folder by --run", str(run))


def register(
    out: Path,
    title: str,
    data_name: str,
    declared: Declared,
    planned: Planned | None,
    suite: str,
    cache: Path,
    notice: Callable[[str], None],
) -> Registration:
    """Write a registration and enter it into the ledger, which comes first: a lost file leaves a trace.

    Args:
        suite: as in :class:`milkreport.registration.ledger.Event`.
        cache: below which the ledger lies.
        notice: called with a line where the ledger cannot be read or written.

    Raises:
        EnvironmentProblem: *out* cannot be written.
    """
    ledger, data = Ledger(cache), declared.data_sha256
    before = Before()
    try:
        chain = ledger.load()
        before = Before(
            entries=len(chain.entries),
            head=chain.head,
            trainings=len(
                trained([e for e in chain.entries if e.data == data and e.suite == suite])
            ),
            other_settings=count_others(chain, data, suite),
        )
        if chain.problem:
            notice(f"the ledger of trainings is broken at {chain.problem}")
    except MilkreportError as error:
        notice(f"the ledger of trainings cannot be read: {error}")
    registration = seal(
        Registration(
            milkreport=__version__,
            created=read_clock(),
            title=title,
            data_name=data_name,
            declared=declared,
            planned=planned,
            before=before,
        )
    )
    try:
        ledger.append(
            Event(kind="registered", data=data, suite=suite, registration=registration.hash)
        )
    except MilkreportError as error:
        notice(f"the ledger of trainings is not kept: {error}")
    write_registration(out, registration)
    return registration
