"""The names in a reference file: metrics by any of their names, arms and classes by those it declares."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from milkreport.errors import did_you_mean
from milkreport.evaluation.metrics.definitions import CLASS_DEFINITIONS, DEFINITIONS
from milkreport.evaluation.metrics.synonyms import known_metric, near_metric
from milkreport.evaluation.records.parts import POSITIVE


def nearest(name: str, known: Collection[str]) -> str:
    """What to say of an unknown name: the nearest known one, or all of them."""
    return did_you_mean(name, known, f"known: {', '.join(sorted(known)[:12])}")


def refuse_unknown(name: str, known: Collection[str], where: str) -> None:
    """Refuse a name that is not among those declared; without any, every name is.

    Raises:
        ValueError: which name, where, and the nearest.
    """
    if known and name not in known:
        raise ValueError(f"{where} {name!r} is not declared; {nearest(name, known)}")


def with_known_metrics(values: dict[str, Any]) -> dict[str, Any]:
    """The raw values of a reference, its metrics by the names that are kept here.

    A rule has no class: its metric is one of a class where its figures are.
    """
    of_class = {
        entry.get("metric")
        for entry in _entries(values, "figures")
        if isinstance(entry.get("metric"), str) and entry.get("class_name")
    }
    changed: dict[str, Any] = {}
    for key in ("figures", "repeats", "rules", "claims"):
        entries = values.get(key)
        if isinstance(entries, list):
            changed[key] = [_renamed(entry, key, of_class) for entry in entries]
    primary = values.get("primary")
    if isinstance(primary, str) and primary:
        metric, _, class_name = primary.partition(":")
        name = known_metric(metric, bool(class_name))
        changed["primary"] = f"{name}:{class_name}" if class_name else name
    return values | changed


def usual_rules(values: dict[str, Any]) -> dict[str, Any]:
    """The raw values of a reference with a rule for each known metric that has none: the usual definition."""
    rules = values.get("rules", [])
    if not isinstance(rules, list):
        return values
    stated = {rule.get("metric") for rule in rules if isinstance(rule, dict)}
    known = DEFINITIONS | CLASS_DEFINITIONS
    named = [entry.get("metric") for entry in _entries(values, "figures")]
    added = [
        known[m].model_dump(include=_RULE)
        for m in dict.fromkeys(m for m in named if isinstance(m, str))
        if m in known and m not in stated
    ]
    return values | {"rules": [*rules, *added]} if added else values


#: What a rule of a reference says of a definition.
_RULE = {"metric", "decision", "averaging", "zero_division", "better"}


def refuse_misspelt(metric: str, class_name: str) -> None:
    """Refuse a metric that is nearly a known one, or one of a class where no class is named.

    A metric that milkreport does not know at all may stand: it is reported as not checked.

    Raises:
        ValueError: which metric, and what was probably meant.
    """
    single = bool(class_name)
    if metric in (CLASS_DEFINITIONS if single else (*DEFINITIONS, *POSITIVE)):
        return
    of_one = known_metric(metric, True)
    if not single and of_one in CLASS_DEFINITIONS:
        do = f"add class_name, or write macro_{of_one} for the average"
        raise ValueError(f"metric {metric!r} is of one class: {do}")
    if near := near_metric(metric, single):
        raise ValueError(f"unknown metric {metric!r}; did you mean {near}?")


def _entries(values: dict[str, Any], key: str) -> list[dict[str, Any]]:
    entries = values.get(key)
    return [e for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []


def _renamed(entry: Any, key: str, of_class: set[Any]) -> Any:
    if not isinstance(entry, dict) or not isinstance(entry.get("metric"), str):
        return entry
    metric = entry["metric"]
    single = bool(entry.get("class_name")) or (key == "rules" and metric in of_class)
    return entry | {"metric": known_metric(metric, single)}
