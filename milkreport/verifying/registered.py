"""A run against the registration that it carries: does it do what was declared, or say where it does not?"""

from __future__ import annotations

from typing import Any

from milkreport.errors import MilkreportError
from milkreport.evaluation.records.adherence import Deviation
from milkreport.evaluation.records.results import Results
from milkreport.registration.declare import SOURCES, redeclare
from milkreport.registration.deviations import list_deviations
from milkreport.registration.record import (
    REGISTRATION,
    Declared,
    Registration,
    describe,
    load_registration,
)
from milkreport.runs.folder import RunFolder
from milkreport.verifying.record import Fault, Group, judge


def compare_registration(folder: RunFolder, results: Results) -> Group | None:
    """What is declared in ``registration.json`` against the suite and the results of *folder*.

    A difference that the results list as a deviation is none. Hashes of an own model's files and of the
    split are not compared: a report carries neither.

    Returns:
        ``None`` if the run was not registered.
    """
    bound = results.adherence.registration if results.adherence is not None else None
    if not (folder.path / REGISTRATION).is_file():
        if bound is None:
            return None
        text = "is not there, and results.json names one"
        return _judge(0, [Fault(place=REGISTRATION, text=text)])
    try:
        registration = load_registration(folder.path / REGISTRATION)
    except MilkreportError as error:
        return _judge(0, [Fault(place=REGISTRATION, text=error.what)])
    if bound is None or bound.hash != registration.hash:
        return _judge(0, [Fault(place=REGISTRATION, text="is not the one that results.json names")])
    expected = describe(registration).model_dump(mode="json")
    found = bound.model_dump(mode="json")
    faults = [
        Fault(place=f"results.json, {key}", text=f"has {found[key]}, registered is {value}")
        for key, value in expected.items()
        if found[key] != value
    ]
    deviations = results.adherence.deviations if results.adherence is not None else []
    faults += _undeclared(registration, _declared_now(folder, results, registration), deviations)
    return _judge(len(expected) + _count(registration.declared), faults)


def _judge(total: int, faults: list[Fault]) -> Group:
    return judge("registration", "entries", total, faults)


def _declared_now(folder: RunFolder, results: Results, registration: Registration) -> Declared:
    """What the run would declare, as far as its folder shows it; the rest as registered."""
    known: dict[str, Any] = {
        "primary_metric": results.primary_metric,
        "margin": results.margin,
        "data_sha256": results.data.fingerprint,
        "exclusions": {one.reason: one.n for one in results.data.exclusions},
        "class_counts": results.data.class_counts,
    }
    if folder.has_suite:
        return redeclare(registration.declared, folder.load_suite(), **known)
    return registration.declared.model_copy(update=known)


def _undeclared(
    registration: Registration, now: Declared, deviations: list[Deviation]
) -> list[Fault]:
    """Differences that no recorded deviation names."""
    named = {(one.key, one.registered, one.now) for one in deviations}
    return [
        Fault(place=f"{REGISTRATION}, {key}", text=f"registered {old}, the run has {value}")
        for key, old, value in list_deviations(registration, now)
        if (key, old, value) not in named
    ]


def _count(declared: Declared) -> int:
    """Entries that are compared: each setting, exclusion and class for itself."""
    values = declared.model_dump(mode="json", exclude={"reuse", "splits_sha256", "arm_settings"})
    arms = [k for own in declared.arm_settings.values() for k in own if not k.startswith(SOURCES)]
    return len(arms) + sum(len(v) if isinstance(v, dict) else 1 for v in values.values())
