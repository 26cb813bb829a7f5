"""Results again from predictions, by the code and the settings that made them, compared number by number."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from milkreport.checks.reported import outside_interval
from milkreport.checks.verdict import Verdict
from milkreport.evaluation.beyond.external import compare_all
from milkreport.evaluation.beyond.robustness import describe_robustness
from milkreport.evaluation.beyond.shares import ClassShares
from milkreport.evaluation.binary.rules import parse_rule
from milkreport.evaluation.evaluate import evaluate_arms
from milkreport.evaluation.metrics.measures import Plan
from milkreport.evaluation.metrics.named import define_all
from milkreport.evaluation.pooled_predictions import CaseFacts, Cells, count_copied_cases
from milkreport.evaluation.records.data import Part
from milkreport.evaluation.records.external import ExternalSet
from milkreport.evaluation.records.results import Results
from milkreport.evaluation.review.review import review
from milkreport.evidence.pack import corrupted_files
from milkreport.runs.collect import cell_records, load_scored
from milkreport.runs.corrupted import FILE as CORRUPTED
from milkreport.runs.corrupted import load_corrupted
from milkreport.runs.external import answered_cells, load_external
from milkreport.runs.folder import RunFolder

#: Another processor or library adds in another order, which moves the last of 16 digits.
CLOSE = 1e-9
#: Fields of results that follow from predictions and settings, and of an arm. All others are taken as given.
_FROM_PREDICTIONS = ("arms", "comparison", "copies", "external")
#: The field that follows from answers to corrupted images, which a large report leaves behind.
_FROM_CORRUPTED = "robustness"
_FROM_RESULTS = ("definitions", "findings")
#: The finding that follows from ``checks.json``.
OF_CHECK = "MR013"
#: Of an arm.
_OF_ARM = "parts"
_ABSENT: Any = object()


@dataclass(frozen=True)
class Mismatch:
    """A place of ``results.json`` whose value is not what was computed."""

    place: str
    recorded: str
    computed: str


@dataclass(frozen=True)
class Compared:
    """Numbers of ``results.json`` against those that were computed.

    ``total``: numbers that were compared. ``close``: of the equal ones, those that differ by rounding alone.
    ``absent``: numbers that were computed, and that the file does not have.
    ``given``: numbers that nothing here follows from. ``wrong``: mismatches, of texts too.
    """

    total: int
    close: int
    absent: int
    given: int
    wrong: tuple[Mismatch, ...]


def plan_of(results: Results) -> Plan:
    """What was declared when *results* were made, as far as results record it."""
    parts = [part for arm in results.arms for part in arm.parts]
    binary = next((part.binary for part in parts if part.binary is not None), None)
    point = binary.operating if binary is not None else None
    beyond = (part.beyond for part in parts if part.beyond is not None)
    forecast = next((b.forecast for b in beyond if b.forecast is not None), None)
    scored = [e for part in parts for e in part.metrics.values()]
    return Plan(
        results.primary_metric,
        tuple(results.data.positive),
        tuple(results.data.rules),
        intervals=any(e.low is not None for e in scored),
        margin=results.margin,
        operating=parse_rule(point.rule if point is not None else ""),
        prevalences=tuple(at.prevalence for at in point.prevalences) if point is not None else (),
        positive_by_default=binary is not None and binary.by_default,
        shares=ClassShares(tuple(forecast.shares.items()), forecast.counted) if forecast else None,
    )


def recompute(folder: RunFolder, results: Results, verdict: Verdict | None) -> Results:
    """*results* with all that follows from the predictions of *folder* computed from them.

    Raises:
        MilkreportError: predictions are missing or damaged, or cannot be scored as results say.
    """
    cells: dict[str, Mapping[Part, Cells]] = {
        arm.name: load_scored(folder, arm, results.classes) if arm.part("test") else {}
        for arm in results.arms
    }
    plan, facts = plan_of(results), _facts(folder, results)
    parts, comparison = evaluate_arms(cells, plan, facts)
    tested = {name: mine["test"] for name, mine in cells.items() if "test" in mine}
    arms = [arm.model_copy(update={_OF_ARM: parts[arm.name]}) for arm in results.arms]
    update: dict[str, Any] = {"arms": arms, "comparison": comparison}
    if has_corrupted(folder, results):
        corrupted = load_corrupted(folder, tested, cell_records(results.arms))
        update[_FROM_CORRUPTED] = describe_robustness(tested, corrupted, plan, facts)
    answered = _external_cells(results)
    external = load_external(folder.path, results.classes, answered) if answered else []
    found = compare_all(external, tested, parts, plan, facts)
    update["external"] = [_as_recorded(one, results) for one in found]
    if results.copies is not None:
        update["copies"] = count_copied_cases(tested)
    return derive(results.model_copy(update=update), verdict)


def has_corrupted(folder: RunFolder, results: Results) -> bool:
    """Whether all answers to corrupted images lie in *folder* from which results were made."""
    files = corrupted_files(results).values()
    return bool(files) and all((folder.cell(cell).path / CORRUPTED).is_file() for _, cell in files)


def _external_cells(results: Results) -> dict[str, list[tuple[int, int]]]:
    """Arm to (seed, fold) of the trainings whose answers to external sets results name."""
    found: dict[str, dict[tuple[int, int], None]] = {}
    for _, cell, _ in answered_cells(results):
        found.setdefault(cell.arm, {})[cell.seed, cell.fold] = None
    return {arm: [*keys] for arm, keys in found.items()}


def _as_recorded(found: ExternalSet, results: Results) -> ExternalSet:
    """*found* with the files' names that only who read them knew."""
    recorded = next((one for one in results.external if one.name == found.name), None)
    sources = {} if recorded is None else {arm.arm: arm.source for arm in recorded.arms}
    arms = [
        arm.model_copy(update={"source": sources.get(arm.arm, arm.source)}) for arm in found.arms
    ]
    return found.model_copy(update={"arms": arms})


def derive(results: Results, verdict: Verdict | None) -> Results:
    """*results* with all that follows from their own numbers: findings, and definitions of the metrics."""
    muted = {finding.code: finding.muted for finding in results.findings if finding.muted}
    defined = results.model_copy(update={"definitions": define_all(results.primary_metric)})
    if not results.findings:
        return defined
    unchecked = review(defined, muted, outside_interval(None))
    # A check may have come after these results were written; what it says is taken as given.
    of_check = {f.text for f in unchecked.findings if f.code == OF_CHECK}
    if of_check & {f.text for f in results.findings if f.code == OF_CHECK}:
        return unchecked
    return review(defined, muted, outside_interval(verdict))


def compare(
    recorded: Results,
    computed: Results,
    with_predictions: bool,
    is_ours: bool,
    with_corrupted: bool = False,
) -> Compared:
    """Every number of *recorded* against *computed*.

    Args:
        with_predictions: whether *computed* was made from predictions, or its parts are the recorded ones.
        with_corrupted: whether *computed* was made from answers to corrupted images, too.
        is_ours: whether this version made the results, so that every number must be there. A number that an
            older version did not write cannot be wrong.
    """
    mine = recorded.model_dump(mode="json", exclude_unset=True)
    fields: tuple[str, ...] = _FROM_RESULTS
    if with_predictions:
        fields = (*fields, *_FROM_PREDICTIONS, *([_FROM_CORRUPTED] if with_corrupted else []))
    picked = _pick(mine, fields)
    total, close, absent, wrong = 0, 0, 0, []
    for place, old, new in _pairs(picked, _pick(computed.model_dump(mode="json"), fields), ""):
        # Where an older version's results were written again, what they lack is null.
        if not is_ours and (old is _ABSENT or (old is None and _is_number(new))):
            absent += _is_number(new)
            continue
        total += _is_number(old) or _is_number(new)
        if old == new and type(old) is type(new):
            continue
        if (
            _is_number(old)
            and _is_number(new)
            and math.isclose(old, new, rel_tol=CLOSE, abs_tol=CLOSE)
        ):
            close += 1
        else:
            wrong.append(Mismatch(place, _show(old), _show(new)))
    given = _count(mine) - _count(picked)
    return Compared(total, close, absent, given, tuple(wrong))


def _pick(record: dict[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """The fields that are compared; of an arm its name and parts."""
    picked = {name: record[name] for name in fields if name in record}
    if "arms" in picked:
        picked["arms"] = [
            {"name": arm["name"], _OF_ARM: arm.get(_OF_ARM, [])} for arm in picked["arms"]
        ]
    return picked


def _count(record: Any) -> int:
    return sum(_is_number(value) for _, value, _ in _pairs(record, record, ""))


def _facts(folder: RunFolder, results: Results) -> CaseFacts:
    """Groups and subgroups; of the columns those that results name, in their order."""
    facts = folder.load_case_facts()
    if folder.has_suite:  # a run takes all columns as they stand
        return facts
    parts = [part for arm in results.arms for part in arm.parts]
    columns = dict.fromkeys(piece.column for part in parts for piece in part.slices)
    columns |= dict.fromkeys(piece.column for part in parts for piece in part.withheld)
    if facts.subgroups is None or not columns:
        return facts
    return CaseFacts(facts.groups, facts.subgroups, tuple(columns))


def _pairs(a: Any, b: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
    """Leaves of two values side by side.

    What an object *a* has no key for stands beside :data:`_ABSENT`; what only one list has beside ``None``.
    """
    if a is _ABSENT:
        for inner, _, value in (
            [("", None, b)] if not isinstance(b, dict | list) else _pairs(b, b, place)
        ):
            yield inner or place, _ABSENT, value
    elif isinstance(a, dict) and isinstance(b, dict):
        for key in dict.fromkeys([*a, *b]):
            inner = f"{place}.{key}" if place else str(key)
            yield from _pairs(a.get(key, _ABSENT), b.get(key), inner)
    elif isinstance(a, list) and isinstance(b, list):
        for i in range(max(len(a), len(b))):
            one, other = (side[i] if i < len(side) else None for side in (a, b))
            name = next((x["name"] for x in (one, other) if isinstance(x, dict) and "name" in x), i)
            yield from _pairs(one, other, f"{place}[{name}]")
    elif isinstance(a, dict | list) or isinstance(b, dict | list):
        whole = [v for v in (a, b) if isinstance(v, dict | list)]
        empty: Any = {} if isinstance(whole[0], dict) else []
        if (type(a) is not type(b) and None not in (a, b)) or not whole[0]:
            yield place, a, b
        else:
            yield from _pairs(empty if a is None else a, empty if b is None else b, place)
    else:
        yield place, a, b


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _show(value: Any) -> str:
    if value is _ABSENT:
        return "no such entry"
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
