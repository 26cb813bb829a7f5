"""What options bind a run to; loads nothing, because the command line's help needs it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Binding:
    """What the user binds a run to.

    Attributes:
        file: the registration; ``None``: that of the run folder, if it has one.
        reason: why it deviates; empty: it does not.
        stamp: a time-stamp token or commit object. ``authority``: certificates that its signature is
        verified with.
    """

    file: Path | None = None
    reason: str = ""
    stamp: Path | None = None
    authority: Path | None = None
