"""Several runs as one: their arms side by side, paired over the cases that all of them scored."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from os.path import commonprefix
from pathlib import Path

from milkreport.errors import ConfigError, DataError
from milkreport.evaluation.evaluate import evaluate_inputs
from milkreport.evaluation.metrics.measures import Plan
from milkreport.evaluation.metrics.named import define
from milkreport.evaluation.pooled_predictions import Cells
from milkreport.evaluation.reading.inputs import EvaluationInputs, hash_paths
from milkreport.evaluation.records.data import Part
from milkreport.evaluation.records.results import ArmResult, Results
from milkreport.runs.collect import load_scored
from milkreport.runs.evaluated import declared_plan, write_evaluation
from milkreport.runs.folder import RunFolder

#: Arms in one report: every pair is compared, so that their number grows by its square.
MOST_ARMS = 30

#: A word of letters in a label, with the separator behind it.
_WORD = re.compile(r"(?<![^-_])[A-Za-z]+[-_]")


def combine(
    paths: Sequence[Path], out: Path, arms: Sequence[str], primary: str, command: str
) -> Results:
    """Score the arms of several runs together, and write that as an evaluation into *out*.

    Args:
        arms: names of those to take; empty: all.
        primary: the metric that is tested; empty: the one that all runs declared.

    Raises:
        ConfigError: no arm or too many, or the runs declared several metrics.
        DataError: a folder is no run, or the runs have other classes, cases or labels.
    """
    runs = load_runs(paths)
    first_name, (first_folder, first) = next(iter(runs.items()))
    primary, margin = declared_plan([results for _, results in runs.values()], primary)
    named: dict[str, tuple[ArmResult, str]] = {}
    parts: dict[str, dict[Part, Cells]] = {}
    for label, (folder, results) in runs.items():
        _refuse_other(first_name, first, label, results)
        for arm in results.arms:
            if (arms and arm.name not in arms) or arm.part("test") is None:
                continue
            name = _free_name(f"{label}-{arm.name}", named)
            named[name] = arm, label
            parts[name] = load_scored(folder, arm, first.classes)
    if not named:
        raise ConfigError("no scored arm of that name in these runs", "look: milkreport list")
    if len(named) > MOST_ARMS:
        what = f"these runs have {len(named)} arms, a report takes {MOST_ARMS}"
        raise ConfigError(what, "choose some by --arm NAME")
    facts = first_folder.load_case_facts()
    sources = {name: label for name, (_, label) in named.items()}
    known = (first.data.name, first.data.fingerprint)
    inputs = EvaluationInputs(parts, sources, known, facts, sources_sha256=hash_paths(paths))
    positive, rules = tuple(first.data.positive), tuple(first.data.rules)
    plan = Plan(primary, positive, rules, margin=margin)
    shared, short = _tell_apart([*runs])
    about = f"{shared}, {len(runs)} runs" if shared else f"{len(runs)} runs"
    scored = evaluate_inputs(inputs, plan, title=f"{first.data.name}: {about} together")
    results = scored.model_copy(
        update={
            "suite": "combined",
            "question": "How do the arms of these runs compare?",
            "split_rule": first.split_rule,
            "data": first.data,
            "splits": first.splits,
            "arms": [
                _dress(arm, named[arm.name][0], short[named[arm.name][1]]) for arm in scored.arms
            ],
            "notices": [*scored.notices, *_notices(runs, bool(_validated(scored)))],
        }
    )
    network = _network(folder for folder, _ in runs.values())
    return write_evaluation(out, inputs, results, command, network)


def _network(folders: Iterable[RunFolder]) -> list[str] | None:
    """What of any run went over a network, each once; ``None`` if one of them did not record it."""
    found: dict[str, None] = {}
    for folder in folders:
        used = folder.load_manifest().network
        if used is None:
            return None
        found |= dict.fromkeys(used)
    return [*found]


def load_runs(paths: Sequence[Path]) -> dict[str, tuple[RunFolder, Results]]:
    """Folders and results by label, as much of the paths as tells them apart.

    Raises:
        ConfigError: one run is named twice. DataError: a folder is no run.
    """
    return {name: _load(path) for name, path in zip(_labels(paths), paths, strict=True)}


def _load(path: Path) -> tuple[RunFolder, Results]:
    folder = RunFolder(path)
    if not folder.is_run():
        raise DataError("no such run", "give run folders: milkreport list", str(path))
    return folder, folder.load_results()


def _labels(paths: Sequence[Path]) -> list[str]:
    """Folder names, with as much of what stands above as tells them apart."""
    resolved = [path.resolve() for path in paths]
    if len(set(resolved)) < len(resolved):
        raise ConfigError("one run is named twice", "name each once")
    for depth in range(1, max(len(path.parts) for path in resolved) + 1):
        # Not the root, whose name is a separator.
        labels = ["-".join(path.parts[1:][-depth:]).replace(" ", "-") for path in resolved]
        if len(set(labels)) == len(labels):
            break
    return labels


def _tell_apart(labels: Sequence[str]) -> tuple[str, dict[str, str]]:
    """What all labels begin with, up to a separator, and the rest of each, by label.

    ``learning_rate-0.1`` and ``learning_rate-0.01`` give ``learning_rate``, ``0.1`` and ``0.01``.
    """
    begin = commonprefix(labels) if len(labels) > 1 else ""  # noqa: RUF071 (letters, not folders)
    # Behind a whole word: neither 0.1 and 0.01 nor 1e-3 and 1e-4 nor -1 and -2 are cut.
    begin = begin[: max((found.end() for found in _WORD.finditer(begin)), default=0)]
    rest = {label: label[len(begin) :] for label in labels}
    if not all(rest.values()):
        return "", {label: label for label in labels}
    return begin.rstrip("-_"), rest


def differing(runs: Sequence[tuple[str, Results, RunFolder]]) -> str:
    """Why runs cannot be compared case by case, in a line; empty where they can.

    Args:
        runs: their names, results and folders.
    """
    scored = [run for run in runs if any(arm.part("test") for arm in run[1].arms)]
    if not scored:
        return "no arm has a result"
    first_name, first, folder = scored[0]
    cases = _test_cases(folder, first)
    for name, results, other in scored[1:]:
        try:
            _refuse_other(first_name, first, name, results)
        except DataError as error:
            return error.what
        if _test_cases(other, results) != cases:
            return f"{first_name} and {name} have different test cases"
    return ""


def _test_cases(folder: RunFolder, results: Results) -> dict[str, str]:
    """Label by id of every case that a whole seed of the first scored arm was tested on."""
    arm = next(arm for arm in results.arms if arm.part("test"))
    cells = load_scored(folder, arm, results.classes)["test"]
    return {
        str(case): results.classes[label]
        for cell in cells.values()
        for case, label in zip(cell.case_ids, cell.truth, strict=True)
    }


def _refuse_other(first_name: str, first: Results, name: str, results: Results) -> None:
    """Runs of other cases are not one comparison; what differs is said here, not in a pairing's words."""
    if sorted(first.classes) != sorted(results.classes):
        raise DataError(f"{first_name} and {name} have other classes", "report them one by one")
    if (first.data.fingerprint, first.split_rule) == (results.data.fingerprint, results.split_rule):
        return
    if first.data.fingerprint != results.data.fingerprint:
        what = f"{first_name} and {name} were made from other data"
    else:
        what = f"{first_name} and {name} were split otherwise ({first.split_rule}; {results.split_rule})"
    raise DataError(what, "report them one by one, or check one against the other")


def _free_name(wanted: str, taken: Container[str]) -> str:
    """*wanted* cut to the 64 characters of a name, with a number at its end where that is taken."""
    name, number = wanted[:64], 1
    while name in taken:
        number += 1
        end = f"-{number}"
        name = wanted[: 64 - len(end)] + end
    return name


def _dress(scored: ArmResult, arm: ArmResult, label: str) -> ArmResult:
    """What the arm's own run recorded of it, beside what was scored here."""
    kept = {(cell.seed, cell.fold) for cell in scored.cells}
    return scored.model_copy(
        update={
            "title": f"{arm.title} ({label})",
            "description": arm.description,
            "correction": arm.correction,
            "cells": [cell for cell in arm.cells if (cell.seed, cell.fold) in kept],
            "curves": arm.curves,
        }
    )


def _validated(results: Results) -> list[ArmResult]:
    return [arm for arm in results.arms if arm.part("validation")]


def _notices(runs: Mapping[str, tuple[RunFolder, Results]], validated: bool) -> list[str]:
    notices = [f"Arms of {len(runs)} runs: {', '.join(runs)}."]
    partial = [name for name, (_, results) in runs.items() if results.status == "partial"]
    if partial:
        notices.append(f"Partial runs, scored as far as they are: {', '.join(partial)}.")
    if validated:
        notices.append(
            "Which setting to use is chosen on the validation part; the test part reports."
        )
    else:
        notices.append(
            "No validation part: choosing a setting by these figures makes them optimistic."
        )
    return notices


def best_on_validation(
    found: Sequence[tuple[str, Results]], metric: str
) -> list[tuple[str, str, float]]:
    """Of each arm the run whose validation part reached the best: (arm, run, value); empty without one."""
    sign = 1 if define(metric).better == "higher" else -1
    best: dict[str, tuple[str, float]] = {}
    for name, results in found:
        for arm in results.arms:
            part = arm.part("validation")
            value = estimate.value if part and (estimate := part.estimate(metric)) else None
            if value is None or (arm.name in best and sign * (value - best[arm.name][1]) <= 0):
                continue
            best[arm.name] = name, value
    return [(arm, name, value) for arm, (name, value) in best.items()]
