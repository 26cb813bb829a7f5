"""Compares what a run is about to do with what was registered: refused, or recorded with a reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from milkreport.errors import ConfigError
from milkreport.evaluation.records.adherence import Deviation
from milkreport.registration.declare import differences
from milkreport.registration.record import SHORT, Declared, Registration
from milkreport.runs.manifest import read_clock

#: Characters of a reason, and of a value in a message.
MOST_REASON, _SHOWN = 1_000, 100


def settle(
    registration: Registration, now: Declared, reason: str, known: Sequence[Deviation] = ()
) -> list[Deviation]:
    """The deviations of a run, those that were recorded before first.

    Args:
        reason: the user's, for those that are new; empty: there is none.
        known: recorded before in the same run folder; they need no reason again.

    Raises:
        ConfigError: a deviation without a reason (each is named), or a reason that is too long.
    """
    if len(reason) > MOST_REASON:
        what = f"--deviate: a reason of {len(reason):,} characters"
        raise ConfigError(what, f"give at most {MOST_REASON:,}")
    recorded = {(one.key, one.now) for one in known}
    new = [
        (key, old, value)
        for key, old, value in list_deviations(registration, now)
        if (key, value) not in recorded
    ]
    if new and not reason.strip():
        what = f"differs from registration {registration.hash[:SHORT]}: {_listing(new)}"
        raise ConfigError(what, 'restore it, or give the reason by --deviate "REASON"')
    moment = read_clock()
    return [
        *known,
        *(
            Deviation(key=key, registered=old, now=value, reason=reason.strip(), recorded=moment)
            for key, old, value in new
        ),
    ]


def list_deviations(registration: Registration, now: Declared) -> list[tuple[str, str, str]]:
    """Each key that differs, the registered value and that of *now*, as JSON."""
    return [
        (key, _text(old), _text(value))
        for key, old, value in differences(registration.declared, now)
    ]


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _listing(found: Sequence[tuple[str, str, str]]) -> str:
    return "; ".join(f"{key}: {_cut(old)}, now {_cut(now)}" for key, old, now in found)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
