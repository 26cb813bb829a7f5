"""Tells the ledger what becomes of a run's trainings; a ledger that cannot be written stops no training."""

from __future__ import annotations

from collections.abc import Callable

from milkreport.errors import MilkreportError
from milkreport.registration.ledger import Event, Kind, Ledger
from milkreport.runs.cells import Cell


class Keeper:
    """Writes the events of one study.

    ``kept``: whether every event so far was written.

    Args:
        common: what all its events share; kind and cell are replaced.
        notice: called with one line, the first time that an event cannot be written.
    """

    def __init__(self, ledger: Ledger, common: Event, notice: Callable[[str], None]) -> None:
        self.ledger, self.common, self.kept = ledger, common, True
        self._notice = notice
        self._open: set[Cell] = set()

    def begin(self, cell: Cell, resumed: bool) -> None:
        """A training starts, from a checkpoint if *resumed*."""
        self.note("resumed" if resumed else "begun", cell)
        self._open.add(cell)

    def end(self, cell: Cell, kind: Kind) -> None:
        """A training is over: done or failed."""
        self.note(kind, cell)
        self._open.discard(cell)

    def stop(self) -> None:
        """Whatever is under way was asked to stop."""
        for cell in sorted(self._open, key=str):
            self.note("stopped", cell)
        self._open.clear()

    def note(self, kind: Kind, cell: Cell) -> None:
        """Write one event."""
        where = {"kind": kind, "arm": cell.arm, "seed": cell.seed, "fold": cell.fold}
        try:
            self.ledger.append(self.common.model_copy(update=where))
        except MilkreportError as error:
            if self.kept:
                self._notice(f"the ledger of trainings is not kept: {error}")
            self.kept = False
