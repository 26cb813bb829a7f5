"""A verification on the terminal: one line a group, and what differs below it."""

from __future__ import annotations

from milkreport.commands.console import console, note, say
from milkreport.verifying.record import Group, Outcome, Verification

#: Differences of one group that the screen shows; --json has all.
_MOST_SHOWN = 12
_COLOURS = {Outcome.VERIFIED: "green", Outcome.DIFFERENT: "red", Outcome.NOT_VERIFIED: "yellow"}


def show(found: Verification) -> None:
    """Groups, differences, what is taken as given, and the outcome."""
    for group in found.groups:
        _show_group(group)
    if found.given:
        say(f"taken as given: {'; '.join(found.given)}")
    for line in found.notes:
        note(line)
    colour = _COLOURS[found.outcome]
    console.print(f"[{colour}]{found.outcome}[/{colour}]", end=": ")
    say(_MEANING[found.outcome].format(level=found.level))


_MEANING = {
    Outcome.VERIFIED: "nothing differs (docs/verify.md says what that proves)",
    Outcome.DIFFERENT: "the report is not what its evidence gives",
    Outcome.NOT_VERIFIED: "nothing could be verified",
}


def _show_group(group: Group) -> None:
    parts = (
        [f"{group.equal:,} of {group.total:,} {group.what}"] if group.total or group.faults else []
    )
    parts += group.remarks
    mark = "" if group.outcome is Outcome.VERIFIED else f"{group.outcome}, "
    say(f"{group.name}: {mark}{'; '.join(parts)}")
    for fault in group.faults[:_MOST_SHOWN]:
        say(f"  {fault}")
    if len(group.faults) > _MOST_SHOWN:
        say(f"  ... and {len(group.faults) - _MOST_SHOWN:,} more differences: --json")
