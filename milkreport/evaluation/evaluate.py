"""Anybody's predictions, scored and compared by the rules that our own arms are scored by."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from milkreport.errors import ConfigError
from milkreport.evaluation.any_table import Source, load_case_table
from milkreport.evaluation.compare import evaluate_arms
from milkreport.evaluation.data_record import DataSummary, Part, SplitSummary
from milkreport.evaluation.definitions import CLASS_DEFINITIONS, DEFINITIONS
from milkreport.evaluation.measures import Plan
from milkreport.evaluation.metrics import score_confusion
from milkreport.evaluation.part_record import Needs
from milkreport.evaluation.pools import CaseFacts, Cells
from milkreport.evaluation.predictions import Predictions
from milkreport.evaluation.reading import join_predictions
from milkreport.evaluation.results import ArmResult, CellRecord, Results
from milkreport.evaluation.rules import RULES
from milkreport.tables import first_few

_SAFE = re.compile(r"[^A-Za-z0-9_.-]+")
#: Metrics that the comparison can test.
TESTABLE = tuple(score_confusion(np.eye(2)))

Files = Source | Sequence[Source] | Mapping[str, Source | Sequence[Source]]
#: The same from Python, where a path may be text.
Given = Source | str
GivenFiles = Given | Sequence[Given] | Mapping[str, Given | Sequence[Given]]


@dataclass(frozen=True)
class Inputs:
    """Predictions beside their truth, ready to be scored.

    ``arms``: name to part to predictions by (seed, fold); several files of one arm are its seeds.
    ``sources``: arm to what its predictions were read from. ``truth``: the truth's name and SHA-256.
    """

    arms: dict[str, dict[Part, Cells]]
    sources: dict[str, str]
    truth: tuple[str, str]
    facts: CaseFacts = field(default_factory=CaseFacts)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, the same for every arm."""
        return self.first.classes

    @property
    def first(self) -> Predictions:
        """The test predictions of the first arm's first seed."""
        return next(iter(next(iter(self.arms.values()))["test"].values()))


def evaluate(
    frame: GivenFiles,
    truth: Given,
    *,
    metadata: Given | None = None,
    group: str = "",
    slices: Sequence[str] = (),
    positive: Sequence[str] = (),
    rules: Sequence[str] = (),
    primary: str = "macro_f1",
    intervals: bool = True,
    title: str = "",
) -> Results:
    """Score predictions against a truth, and compare them where there are several.

    Args:
        frame: predictions: a data frame or path with an id column (``case_id``, ``image`` or ``id``, as a
            column or the index) and one probability column a class, 0 to 1, or one column
            ``prediction`` of hard labels. Several: a mapping of names to such, each alone or, for
            several training seeds of one model, in a list.
        truth: an id column and a ``label`` column or one-hot columns.
        metadata: a table with an id column; *slices* names columns of it that subgroups are made of (none
            named: every column of few values), *group* one whose equal cases are resampled together.
        positive: classes that count as disease.
        rules: ``"isic"`` adds the archive's decision rule.
        primary: the metric that the comparison tests, declared beforehand.
        intervals: ``False`` leaves out all resampling, thresholds and temperatures.

    Raises:
        DataError: bad predictions, truth or metadata. ConfigError: an unknown class, column or metric.
    """
    table = None if metadata is None else _source(metadata)
    inputs = load_inputs(_files(frame), _source(truth), metadata=table, group=group, slices=slices)
    plan = Plan(primary, tuple(positive), tuple(rules), intervals)
    return evaluate_inputs(inputs, plan, title=title)


def _source(given: Given) -> Source:
    return Path(given) if isinstance(given, str) else given


def _files(given: GivenFiles) -> Files:
    """The same with every path that is text as a path; text would else be a sequence of letters."""
    if isinstance(given, Mapping):
        return {name: _several(some) for name, some in given.items()}
    return _several(given)


def _several(given: Given | Sequence[Given]) -> Source | Sequence[Source]:
    if isinstance(given, str | Path | pd.DataFrame):
        return _source(given)
    return [_source(one) for one in given]


def load_inputs(
    frame: Files,
    truth: Source,
    *,
    metadata: Source | None = None,
    group: str = "",
    slices: Sequence[str] = (),
) -> Inputs:
    """Read predictions, truth and metadata; see :func:`evaluate`."""
    named = _named(frame)
    joined = join_predictions(named, truth)
    arms: dict[str, dict[Part, Cells]] = {}
    for name, parts_by_source in joined.items():
        parts: dict[Part, dict[tuple[int, int], Predictions]] = {}
        for seed, by_part in enumerate(parts_by_source):
            for part, predictions in by_part.items():
                parts.setdefault(part, {})[seed, 0] = predictions
        arms[name] = dict(parts)
    facts = _facts(metadata, truth, group, slices)
    sources = {name: _labels(files) for name, files in named.items()}
    return Inputs(arms, sources, (_label(truth), _sha256(truth)), facts)


def evaluate_inputs(
    inputs: Inputs, plan: Plan, title: str = "", suite: str = "evaluate"
) -> Results:
    """Score and compare what was read.

    Raises:
        ConfigError: the plan names an unknown class, rule or metric. DataError: arms can't be paired.
    """
    _check_plan(plan, inputs.classes)
    found, comparison = evaluate_arms(inputs.arms, plan, inputs.facts)
    kinds = {name: {part.kind for part in parts} for name, parts in found.items()}
    arms = [
        ArmResult(
            name=name,
            title=name,
            description=f"Predictions read from {inputs.sources[name]}.",
            correction="",
            cells=[
                CellRecord(seed=seed, fold=fold, status="complete")
                for seed, fold in inputs.arms[name]["test"]
            ],
            parts=parts,
        )
        for name, parts in found.items()
    ]
    return Results(
        suite=suite,
        title=title or "Evaluation of predictions",
        question="How good are these predictions, and how sure is that?"
        if len(arms) == 1
        else "Which of these predictions are better, by how much, and how sure is that?",
        primary_metric=plan.primary,
        split_rule="one test part: the cases of the truth",
        status="complete",
        classes=list(inputs.classes),
        definitions=DEFINITIONS | CLASS_DEFINITIONS,
        data=_describe(inputs, plan),
        splits=[_split(inputs)],
        arms=arms,
        comparison=comparison,
        notices=_notices(kinds),
    )


def _notices(kinds: Mapping[str, set[Needs]]) -> list[str]:
    notices = []
    for name, found in kinds.items():
        if "labels" in found:
            notices.append(
                f"{name}: hard labels: ranks, probabilities, calibration and thresholds are NOT COMPUTED"
            )
        elif "scores" in found:
            notices.append(
                f"{name}: values do not sum to 1: argmax, ranks and thresholds only; log loss, Brier "
                "score and calibration are NOT COMPUTED, and nothing was renormalised"
            )
    return notices


def _check_plan(plan: Plan, classes: Sequence[str]) -> None:
    unknown = [name for name in plan.positive if name not in classes]
    if unknown:
        what = f"positive: {first_few(unknown)} is no class"
        raise ConfigError(what, f"classes are: {first_few(classes, 30)}")
    if plan.positive and set(plan.positive) == set(classes):
        raise ConfigError("positive names every class", "leave at least one class out")
    if plan.primary not in TESTABLE:
        raise ConfigError(
            f"unknown primary metric {plan.primary!r}", f"known: {', '.join(TESTABLE)}"
        )
    if wrong := [rule for rule in plan.rules if rule not in RULES]:
        raise ConfigError(f"unknown rule {first_few(wrong)}", f"known: argmax, {', '.join(RULES)}")


def _named(frame: Files) -> dict[str, list[Source]]:
    if isinstance(frame, Mapping):
        named = {
            str(name): [s] if isinstance(s, Path | pd.DataFrame) else [*s]
            for name, s in frame.items()
        }
    elif isinstance(frame, Path | pd.DataFrame):
        name = frame.stem if isinstance(frame, Path) else "predictions"
        named = {_SAFE.sub("-", name).lstrip("-.") or "predictions": [frame]}
    else:
        named = {f"predictions-{i}": [source] for i, source in enumerate(frame, 1)}
    if not named or not all(named.values()):
        raise ConfigError("no predictions", "name at least one file")
    return named


def _facts(metadata: Source | None, truth: Source, group: str, slices: Sequence[str]) -> CaseFacts:
    if metadata is None:
        if slices or group:
            what = "--slice and --group name columns of a table"
            raise ConfigError(what, "give it by --metadata TABLE")
        return CaseFacts()
    table = load_case_table(metadata)
    for column in (*slices, *([group] if group else [])):
        if column not in table.columns:
            what = f"no column {column!r}"
            do = f"columns are: {first_few(table.columns, 30)}"
            raise ConfigError(what, do, _label(metadata))
    groups: dict[str, str] = {}
    if group:
        known = table[group].dropna()
        groups = dict(zip(known.index.astype(str), known.astype(str), strict=True))
        table = table.drop(columns=[group] if group not in slices else [])
    return CaseFacts(groups, table, tuple(slices))


def _describe(inputs: Inputs, plan: Plan) -> DataSummary:
    first = inputs.first
    counts = np.bincount(first.truth, minlength=len(first.classes))
    name, sha256 = inputs.truth
    return DataSummary(
        name=name,
        synthetic=False,
        licence="not stated",
        attribution="not stated",
        unit="case",
        units="cases",
        views=[],
        n_found=len(first.truth),
        n_used=len(first.truth),
        n_images=0,
        image_size=None,
        cleaning="",
        exclusions=[],
        class_counts=dict(zip(first.classes, counts.tolist(), strict=True)),
        positive=list(plan.positive),
        rules=list(plan.rules),
        fingerprint=sha256,
        tables={name: sha256} if sha256 else {},
    )


def _split(inputs: Inputs) -> SplitSummary:
    counts = np.bincount(inputs.first.truth, minlength=len(inputs.classes))
    return SplitSummary(
        fold=0,
        part="test",
        n=len(inputs.first.truth),
        class_counts=dict(zip(inputs.classes, counts.tolist(), strict=True)),
    )


def _labels(files: Sequence[Source]) -> str:
    """What an arm was read from: each name once."""
    names = list(dict.fromkeys(map(_label, files)))
    many = f" ({len(files)} files)" if len(files) > len(names) else ""
    return first_few(names) + many


def _label(source: Source) -> str:
    return source.name if isinstance(source, Path) else "a data frame"


def _sha256(source: Source) -> str:
    """Of the file's bytes, or of the frame's values."""
    if isinstance(source, Path):
        return hashlib.sha256(source.read_bytes()).hexdigest()
    return hashlib.sha256(pd.util.hash_pandas_object(source).to_numpy().tobytes()).hexdigest()
