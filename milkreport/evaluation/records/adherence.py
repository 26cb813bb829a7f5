"""How a run kept to what was registered before it: the registration, deviations, the ledger's count."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from milkreport.evaluation.records.data import Record

#: A hash, and a moment as ISO 8601 in UTC: both are printed, so nothing else may stand there.
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Moment = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]


class Deviation(Record):
    """A setting that is not as it was registered, with the reason that was given and when.

    ``registered`` and ``now``: the values as JSON; ``null`` where there is none.
    """

    key: str
    registered: str
    now: str
    reason: str
    recorded: Moment


class Registered(Record):
    """The registration of a run.

    ``arms``, ``seeds``, ``folds``: what was to be trained. ``trainings_before``: of the same data and
    settings, in the ledger at that time; ``other_settings_before``: of the same data with other settings
    (``None``: the ledger could not be read). ``difference``, ``power``: the planner's; ``None``: not
    planned.
    """

    hash: Sha256
    created: Moment
    milkreport: str
    arms: list[str]
    seeds: list[int]
    folds: int
    n_cases: int
    trainings_before: int | None
    other_settings_before: int | None
    difference: float | None
    power: float | None


class Stamp(Record):
    """What dates the registration from outside.

    ``kind``: an RFC 3161 time-stamp token, or a git commit whose message has the hash. ``time``: its time,
    ISO 8601, UTC. ``verified``: whether a signature was verified with certificates that the user named; the
    time of a commit never is. ``identity``: the name of the authority, or the id of the commit.
    """

    kind: Literal["rfc3161", "git"]
    time: Moment
    verified: bool
    identity: str


class LedgerCount(Record):
    """What the ledger of this machine has of the same data; counted when the run was.

    A training is one arm, seed and fold. ``kept``: whether every event of this run was written.
    ``problem``: what is wrong with its chain; empty: nothing. ``restarts``: how often a training that is
    shown was begun again from its first step, here or in another run folder; ``resumed``: from a
    checkpoint. ``reused``: taken over from other runs. ``repeated``: trained again by ``check --exact``.
    ``not_shown``: trainings of the same settings, whatever their arm and seed, that these results do not
    show; ``other_settings``: trainings of the same data with other settings. ``before``: trainings of the
    same settings that were begun before the registration (``None``: not registered here).
    ``registrations``: of the same data. ``entries`` and ``head``: its length, and the hash of its last
    line.
    """

    kept: bool
    problem: str = ""
    restarts: int = 0
    resumed: int = 0
    reused: int = 0
    repeated: int = 0
    not_shown: int = 0
    other_settings: int = 0
    before: int | None = None
    registrations: int = 0
    entries: int = 0
    head: str = ""


class Adherence(Record):
    """What a run says of its registration and of the ledger.

    ``run_id``: random, of the run folder. ``registration``: ``None``: it was not registered. ``ledger``:
    ``None``: not counted yet, the run is not over.
    """

    run_id: str
    registration: Registered | None = None
    deviations: list[Deviation] = []
    stamp: Stamp | None = None
    ledger: LedgerCount | None = None
