"""How a run is bound to its registration: refused at its start, recorded in it, counted at its end."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from milkreport.atomic import write_bytes
from milkreport.errors import ConfigError, MilkreportError
from milkreport.evaluation.records.adherence import (
    Adherence,
    Deviation,
    LedgerCount,
    Stamp,
)
from milkreport.registration.binding import Binding
from milkreport.registration.counting import count
from milkreport.registration.declare import redeclare
from milkreport.registration.deviations import settle
from milkreport.registration.keeper import Keeper
from milkreport.registration.ledger import Event, Ledger
from milkreport.registration.record import (
    REGISTRATION,
    SHORT,
    Declared,
    Registration,
    describe,
    load_registration,
    write_registration,
)
from milkreport.registration.stamp import check_stamp
from milkreport.runs.cells import Cell
from milkreport.runs.folder import RunFolder
from milkreport.suite.suite import Suite


@dataclass(frozen=True)
class Opening:
    """What was settled before a run begins. ``stamp``: with its file's name and bytes."""

    registration: Registration | None
    deviations: tuple[Deviation, ...] = ()
    stamp: tuple[Stamp, str, bytes] | None = None


def open_run(folder: RunFolder, now: Declared, binding: Binding, restart: bool) -> Opening:
    """Compare a run that is about to begin, or to go on, with its registration.

    Args:
        now: what the run would declare.
        restart: whether what the folder holds will be deleted.

    Raises:
        ConfigError: another registration than the folder's, one that comes after trainings, a deviation
            without a reason, or options without a registration. DataError: a damaged registration or stamp.
    """
    given = _bound_to(folder, binding, restart)
    if given is None:
        return Opening(None)
    deviations = _deviations(folder, given, now, binding, restart)
    stamp = None
    if binding.stamp is not None:
        stamp = check_stamp(binding.stamp, given.hash, binding.authority)
    elif binding.authority is not None:
        raise ConfigError("--timestamp-ca without --timestamp", "name the time-stamp token, too")
    return Opening(given, tuple(deviations), stamp)


def check_settings(
    folder: RunFolder, suite: Suite, binding: Binding, restart: bool, reuse: bool
) -> bool:
    """Compare the settings of a run that would begin with its registration; writes nothing.

    The data and the split are compared when the run begins, because that needs all images.

    Returns:
        whether there is a registration.

    Raises:
        ConfigError, DataError: as :func:`open_run`.
    """
    given = _bound_to(folder, binding, restart)
    if given is None:
        return False
    now = redeclare(given.declared, suite, reuse=reuse)
    _deviations(folder, given, now, binding, restart)
    return True


def _deviations(
    folder: RunFolder, given: Registration, now: Declared, binding: Binding, restart: bool
) -> list[Deviation]:
    """How the run deviates, those that the folder has on record first."""
    before = folder.load_adherence() if not restart else None
    return settle(given, now, binding.reason, before.deviations if before else [])


def _bound_to(folder: RunFolder, binding: Binding, restart: bool) -> Registration | None:
    """The registration that a run in *folder* is bound to, the user's or the folder's own."""
    mine = folder.path / REGISTRATION
    held = load_registration(mine) if mine.is_file() and not restart else None
    given = load_registration(binding.file) if binding.file is not None else held
    if given is None:
        if binding.reason or binding.stamp or binding.authority:
            what = "--deviate and --timestamp belong to a registration"
            raise ConfigError(what, "give it by --registration FILE")
        return None
    if held is None and not restart and is_trained(folder):
        what = "this folder has trainings that were begun without this registration"
        raise ConfigError(what, "choose another --out, or --restart", str(folder.path))
    if held is not None and held.hash != given.hash:
        what = f"this folder holds a run of another registration, {held.hash[:SHORT]}"
        raise ConfigError(what, "choose another --out, or --restart", str(folder.path))
    return given


def is_trained(folder: RunFolder) -> bool:
    """Whether a training of this folder was begun and left something, finished or not."""
    return any(path.is_file() for path in (folder.path / "cells").rglob("*"))


def begin_run(
    folder: RunFolder,
    opening: Opening,
    data: str,
    suite: str,
    cache: Path,
    notice: Callable[[str], None],
) -> Keeper:
    """Write into the run folder what it is bound to; what it returns takes the run's events.

    Args:
        data, suite: as in :class:`milkreport.registration.ledger.Event`.
        cache: below which the ledger lies.
        notice: called with a line per deviation, and where the ledger cannot be written.
    """
    before = folder.load_adherence()
    registration, stamp = opening.registration, opening.stamp
    if registration is not None:
        write_registration(folder.path / REGISTRATION, registration)
    if stamp is not None:
        write_bytes(folder.path / stamp[1], stamp[2])
    for one in opening.deviations:
        notice(f"deviation: {one.key}: {one.registered}, now {one.now} ({one.reason})")
    old_stamp = before.stamp if before else None
    adherence = Adherence(
        run_id=before.run_id if before else secrets.token_hex(8),
        registration=describe(registration) if registration else None,
        deviations=list(opening.deviations),
        stamp=stamp[0] if stamp else old_stamp,
        ledger=before.ledger if before else None,
    )
    folder.write_adherence(adherence)
    common = Event(
        kind="begun",
        data=data,
        suite=suite,
        registration=registration.hash if registration else "",
        run=adherence.run_id,
    )
    return Keeper(Ledger(cache), common, notice)


def end_run(folder: RunFolder, keeper: Keeper, shown: Collection[Cell]) -> None:
    """Count the ledger and write the count into the run folder.

    Args:
        shown: the trainings that are complete.
    """
    adherence = folder.load_adherence()
    if adherence is None:
        return
    before = adherence.ledger
    kept = keeper.kept and (before is None or before.kept)
    counted = _count(folder, keeper, shown, before, kept)
    folder.write_adherence(adherence.model_copy(update={"ledger": counted}))


def _count(
    folder: RunFolder,
    keeper: Keeper,
    shown: Collection[Cell],
    before: LedgerCount | None,
    kept: bool,
) -> LedgerCount:
    common = keeper.common
    try:
        chain = keeper.ledger.load()
    except MilkreportError as error:
        return LedgerCount(kept=False, problem=f"cannot be read: {error.what}")
    problem = ""
    marks = [(before.entries, before.head, "when this run was last counted")] if before else []
    if common.registration:
        then = load_registration(folder.path / REGISTRATION).before
        marks.append((then.entries, then.head, "at registration"))
    for entries, head, when in marks:
        if not chain.holds(entries, head):
            problem = f"not the ledger that was here {when}: its first {entries:,} lines differ"
    return count(
        chain,
        data=common.data,
        suite=common.suite,
        run=common.run,
        shown=set(shown),
        registration=common.registration,
        kept=kept,
        problem=problem,
    )
