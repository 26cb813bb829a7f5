"""The registration of a study: what ``registration.json`` holds, its hash, how it is read and written.

The hash is the SHA-256 of the canonical JSON of the record without its key ``hash``: keys sorted, no blanks,
UTF-8. Anybody can compute it again with a few lines of any language.
"""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path
from typing import Any

from milkreport.atomic import write_bytes
from milkreport.errors import ConfigError, DataError, EnvironmentProblem
from milkreport.evaluation.records.adherence import Moment, Registered, Sha256
from milkreport.evaluation.records.data import Record
from milkreport.parse import parse_json

#: Names in a run folder: the registration, and what dates it from outside.
REGISTRATION, TOKEN, COMMIT = "registration.json", "registration.tsr", "registration.commit"
#: Characters of the hash that a page shows to tell registrations apart.
SHORT = 16
#: The fewest that bind the author. Of a shorter prefix two studies can be searched that share it: 16
#: characters take 2^32 attempts, hours on one computer; 32 take 2^64.
BINDING = 32
#: Bytes of the file: 100 arms have 100 kB.
MOST_BYTES = 1_000_000

#: A setting as JSON holds it.
Setting = str | int | float | bool | None | list[Any] | dict[str, Any]
Settings = dict[str, Setting]


class Declared(Record):
    """What must stay as it is from registration to report; whatever differs is a deviation.

    ``multiplicity``: the correction for several comparisons. ``settings``: the suite's, by dotted key;
    ``arm_settings``: those of an arm, with the hashes of its own files. ``reuse``: whether trainings of other
    runs are taken over. ``splits_sha256``: of fold, part and id of every case. ``exclusions``: reason to
    cases.
    """

    question: str
    primary_metric: str
    margin: float | None
    multiplicity: str
    arms: list[str]
    seeds: list[int]
    folds: int
    settings: Settings
    arm_settings: dict[str, Settings]
    reuse: bool
    data_sha256: Sha256
    splits_sha256: Sha256
    exclusions: dict[str, int]
    class_counts: dict[str, int]


class Planned(Record):
    """What the planner says of the registered sample: the power to find ``difference`` on ``n_cases``.

    ``detectable``: the difference found with 80% power. ``noise``: where the variances come from.
    """

    difference: float
    n_cases: int
    n_seeds: int
    power: float
    detectable: float
    noise: str


class Before(Record):
    """The ledger at the moment of registration.

    ``entries`` and ``head``: its length, and the hash of its last line. ``trainings``: distinct trainings of
    the same data and settings that it had then; ``other_settings``: of the same data with other settings.
    ``None``: it could not be read.
    """

    entries: int = 0
    head: str = ""
    trainings: int | None = None
    other_settings: int | None = None


class Registration(Record):
    """A study as it was declared, and when. ``planned``: ``None`` for a metric without known noise."""

    schema_version: int = 1
    milkreport: str
    created: Moment
    title: str
    data_name: str
    declared: Declared
    planned: Planned | None = None
    before: Before = Before()
    hash: str = ""


def canonical(value: Any) -> bytes:
    """*value* as canonical JSON: keys sorted, no blanks, UTF-8.

    Raises:
        ValueError: NaN, infinity, or text that is not Unicode.
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8")


def hash_of(value: dict[str, Any]) -> str:
    """SHA-256 of the canonical JSON of *value* without its key ``hash``, hexadecimal."""
    rest = {key: inner for key, inner in value.items() if key != "hash"}
    return hashlib.sha256(canonical(rest)).hexdigest()


def verify_hash(value: dict[str, Any]) -> bool:
    """Whether the key ``hash`` of a registration, as its JSON was read, is that of the rest."""
    try:
        return value.get("hash") == hash_of(value)
    except ValueError:
        return False


def seal(registration: Registration) -> Registration:
    """The registration with its hash."""
    digest = hash_of(registration.model_dump(mode="json"))
    return registration.model_copy(update={"hash": digest})


def write_registration(path: Path, registration: Registration) -> None:
    """Write it as canonical JSON and a line feed.

    Raises:
        EnvironmentProblem: it cannot be written.
    """
    write_bytes(path, canonical(registration.model_dump(mode="json")) + b"\n")


def load_registration(path: Path) -> Registration:
    """Read a registration from anybody, and see that its hash is right.

    Raises:
        ConfigError: no such file. DataError: no registration, damaged, or changed since it was written.
    """
    try:
        value = parse_json(read_capped(path, MOST_BYTES))
        if not isinstance(value, dict):
            raise ValueError("no JSON object")
        registration = Registration.model_validate(value)
    except ValueError as error:
        do = "give the file that milkreport register wrote, by a version not older than it"
        first = str(error).splitlines()[0]
        raise DataError(f"not a registration: {first[:200]}", do, str(path)) from error
    if not verify_hash(value):
        what = "changed since it was registered: its hash is not that of its content"
        raise DataError(what, "restore the file that was registered", str(path))
    return registration


def describe(registration: Registration) -> Registered:
    """What results say of the registration that they are bound to."""
    declared, planned, before = registration.declared, registration.planned, registration.before
    return Registered(
        hash=registration.hash,
        created=registration.created,
        milkreport=registration.milkreport,
        arms=declared.arms,
        seeds=declared.seeds,
        folds=declared.folds,
        n_cases=sum(declared.class_counts.values()),
        trainings_before=before.trainings,
        other_settings_before=before.other_settings,
        difference=planned.difference if planned else None,
        power=planned.power if planned else None,
    )


def read_capped(path: Path, most: int) -> bytes:
    """The bytes of a regular file of at most *most* bytes.

    Raises:
        ConfigError: there is none. EnvironmentProblem: it cannot be read.
        DataError: a folder, pipe or device, or too large.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DataError("not a regular file", "name a file", str(path))
        with path.open("rb") as file:
            data = file.read(most + 1)
    except FileNotFoundError as error:
        raise ConfigError("no such file", "check its path", str(path)) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise EnvironmentProblem(f"cannot be read: {reason}", "", str(path)) from error
    if len(data) > most:
        what = f"more than {most:,} bytes, at most that many are read"
        raise DataError(what, "give another file", str(path))
    return data
