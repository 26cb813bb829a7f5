"""Anybody's predictions, scored and compared by the rules that our own arms are scored by."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from milkreport.errors import ConfigError
from milkreport.evaluation.beyond.external import compare_all
from milkreport.evaluation.beyond.shares import ClassShares, parse_prevalence
from milkreport.evaluation.beyond.unlabelled import describe_all
from milkreport.evaluation.binary.reading_study import describe_readers
from milkreport.evaluation.binary.rules import check_prevalence, parse_rule
from milkreport.evaluation.case_table import make_case_table
from milkreport.evaluation.compare import compare_pools
from milkreport.evaluation.metrics.measures import Plan
from milkreport.evaluation.metrics.named import check_margin, check_name, define_all
from milkreport.evaluation.metrics.rules import RULES
from milkreport.evaluation.notices import list_notices
from milkreport.evaluation.pooled_predictions import (
    CaseFacts,
    Cells,
    count_copied_cases,
    pool_arms,
)
from milkreport.evaluation.reading.arrays import as_tables, is_array
from milkreport.evaluation.reading.inputs import (
    EvaluationInputs,
    Given,
    GivenFiles,
    load_inputs,
    read_external,
)
from milkreport.evaluation.reading.options import NOTHING_SAID, TableOptions, as_names, join_names
from milkreport.evaluation.records.data import DataSummary, Part, SplitSummary
from milkreport.evaluation.records.parts import PartResult
from milkreport.evaluation.records.results import ArmResult, CellRecord, Comparison, Results
from milkreport.evaluation.review.review import review
from milkreport.evaluation.summarise import summarise_pool
from milkreport.tables import first_few

PARTS: tuple[Part, ...] = ("train", "validation", "test")


def evaluate(
    y_prob: GivenFiles | Any,
    y_true: Given | Any,
    *,
    classes: Sequence[Any] | None = None,
    groups: Any = None,
    subgroups: Any = None,
    metadata: Given | None = None,
    group: str = "",
    slices: str | Sequence[str] = (),
    id: str | Sequence[str] = (),
    label: str = "",
    missing: str = "error",
    positive: str | Sequence[str] = (),
    rules: str | Sequence[str] = (),
    primary: str = "macro_f1",
    margin: float | None = None,
    operating: str = "",
    prevalence: float | str | Sequence[float] | Mapping[str, float] = (),
    unlabelled: Given | Mapping[str, Given] | None = None,
    external: Mapping[str, Sequence[Any]] | None = None,
    readers: Mapping[str, Given | Any] | None = None,
    intervals: bool = True,
    title: str = "",
    data: str = "",
) -> Results:
    """Score predictions against a truth, and compare them where there are several.

    Both are arrays with one row per case in the same order, as scikit-learn and PyTorch leave them, or both
    are tables (data frames or paths) with an id column, by which they are matched.

    Args:
        y_prob: arrays: probabilities, float (n, n_classes) with values 0 to 1, or (n,) of the second of two
            classes, or hard answers (n,). Tables: an id column (``case_id``, ``image`` or ``id``, as a column
            or the index) and one probability column per class, or one column ``prediction`` of hard
            labels. Several: a mapping of names to such, each alone or, for several training seeds of one
            model, in a list.
        y_true: arrays: labels (n,), class names or positions in *classes*. Tables: an id column and a
            ``label`` column or one-hot columns.
        classes: with arrays: names of the columns, in their order (``estimator.classes_``); by default a
            data frame's columns, else the sorted labels. With tables: all classes, in their order; numbers
            in the tables are then positions.
        groups: with arrays: (n,), equal for cases that are resampled together, such as one patient's.
        subgroups: with arrays: a data frame of n rows or a mapping of names to (n,), of which subgroups are
            made.
        metadata: with tables: one with an id column; *slices* names columns of it that subgroups are made of
            (none named: every column of few values), *group* one whose equal cases are resampled together.
        id: with tables: the id column, or those of several tables; by default as above.
        label: with tables: the truth's column of labels.
        missing: with tables: ``"drop"`` scores the cases that the truth and all predictions have, ``"error"``
            refuses others.
        positive: classes that count as disease; of two classes the second by default.
        rules: ``"isic"`` adds the archive's decision rule.
        primary: the metric that the comparison tests, declared beforehand: ``macro_f1``, ``recall:CLASS``,
            ``positive_auc``.
        margin: the difference in it that does not matter: within it, predictions are equivalent.
        operating: where cases are called positive: ``"sensitivity=0.95"``, ``"specificity=0.9"``,
            ``"youden"``, ``"cost=10:1"`` (a false negative costs ten false positives) or a threshold; by
            default the predicted class.
        prevalence: shares of positive cases, above 0 and below 1, at which predictive values are wanted; or
            shares of classes, ``{"A": 0.01}`` or ``"A=0.01"`` (the others share the rest as they do here),
            for which a forecast is made.
        unlabelled: tables of predictions of unlabelled cases, as *y_prob*, by the names of *y_prob*: the
            class shares that they speak of, and a forecast for these.
        external: external test sets by name, each ``(predictions, truth)`` or ``(predictions, truth,
            metadata)``: tables of other cases, predictions as *y_prob*, by its names. Their truth ``None``:
            as *unlabelled*.
        readers: human readers' hard answers by name, arrays (n,) or tables as *y_prob* is.
        intervals: ``False`` leaves out all resampling, thresholds and temperatures.
        title: of the report. data: what the data are called there, and by :func:`milkreport.check`; by
            default the truth's file name.

    Raises:
        DataError: bad predictions, truth or metadata. ConfigError: an unknown class, column or metric, or
            options of arrays with tables.
    """
    if readers is not None and not isinstance(readers, Mapping):
        raise ConfigError("readers have no names", "give a mapping: {'ann': answers}", "readers")
    if is_array(y_true):
        if metadata is not None or group or slices:
            what = "metadata, group and slices name columns of tables with ids"
            raise ConfigError(what, "with arrays give groups=... and subgroups=...")
        if id or label or missing != "error":
            raise ConfigError("id, label and missing belong to tables", "leave them out")
        labels = y_true
        y_prob, y_true, metadata, group = as_tables(y_prob, labels, classes, groups, subgroups)
        if readers:
            names = [str(c) for c in y_true.columns[1:]]
            asked = as_tables(dict(readers), labels, names)[0]
            readers = {name: tables[0] for name, tables in asked.items()}
        options = NOTHING_SAID
    elif groups is not None or subgroups is not None:
        what = "groups and subgroups belong to arrays, and y_true is a table"
        raise ConfigError(what, "name columns by group=... and slices=..., or give arrays")
    else:
        named = tuple(str(name) for name in (classes if classes is not None else ()))
        options = TableOptions(as_names(id), label, named, as_names(positive), missing)
    columns = as_names(slices)
    inputs = load_inputs(
        y_prob,
        y_true,
        metadata=metadata,
        group=group,
        slices=columns,
        options=options,
        readers=readers,
        unlabelled=unlabelled,
        external=read_external(external or {}),
    )
    if data:
        inputs = replace(inputs, truth=(data, inputs.truth[1]))
    shares: ClassShares | None = None
    if isinstance(prevalence, str):
        prevalence, shares = parse_prevalence(prevalence)
    elif isinstance(prevalence, Mapping):
        shares, prevalence = ClassShares(tuple(prevalence.items())), ()
    wanted = (prevalence,) if isinstance(prevalence, int | float) else prevalence
    plan = Plan(
        primary,
        as_names(positive),
        as_names(rules),
        intervals,
        margin=margin,
        operating=parse_rule(str(operating)),
        prevalences=tuple(map(check_prevalence, wanted)),
        shares=shares,
    )
    return evaluate_inputs(inputs, plan, title=title)


def evaluate_inputs(
    inputs: EvaluationInputs, plan: Plan, title: str = "", suite: str = "evaluate"
) -> Results:
    """Score and compare what was read.

    Raises:
        ConfigError: the plan names an unknown class, rule or metric. DataError: arms can't be paired.
    """
    plan = _check_plan(plan, inputs.classes, bool(inputs.readers))
    found, comparison = evaluate_arms(inputs.arms, plan, inputs.facts)
    tested = {name: parts["test"] for name, parts in inputs.arms.items()}
    arms = [
        ArmResult(
            name=name,
            title=inputs.titles.get(name, name),
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
    results = Results(
        suite=suite,
        title=title or "Evaluation of predictions",
        question="How good are these predictions, and how sure is that?"
        if len(arms) == 1
        else "Which of these predictions are better, by how much, and how sure is that?",
        primary_metric=plan.primary,
        margin=plan.margin,
        split_rule=_split_rule(inputs),
        status="complete",
        classes=list(inputs.classes),
        definitions=define_all(plan.primary),
        data=_describe(inputs, plan),
        splits=[
            SplitSummary(
                fold=0,
                part="test",
                n=len(inputs.first.truth),
                class_counts=inputs.class_counts,
            )
        ],
        arms=arms,
        comparison=comparison,
        readers=describe_readers(
            inputs.readers, inputs.facts.group_positions(inputs.first.case_ids), plan
        ),
        unlabelled=describe_all(
            inputs.unlabelled,
            tested,
            plan,
            inputs.facts,
        ),
        external=compare_all(inputs.external, tested, found, plan, inputs.facts),
        copies=count_copied_cases(tested),
        notices=list_notices(inputs, found, plan),
    )
    return review(results).with_cases(make_case_table(tested, inputs.facts))


def evaluate_arms(
    arms: Mapping[str, Mapping[Part, Cells]], plan: Plan, facts: CaseFacts | None = None
) -> tuple[dict[str, list[PartResult]], Comparison | None]:
    """Everything that is said of arms: each on each part, and against one another on the test part.

    Args:
        arms: name to part to predictions by (seed, fold).

    Raises:
        DataError: the arms' test parts can't be paired.
    """
    facts = facts or CaseFacts()
    found: dict[str, list[PartResult]] = {name: [] for name in arms}
    comparison = None
    for part in PARTS:
        mine = {name: parts[part] for name, parts in arms.items() if parts.get(part)}
        if not mine:
            continue
        validation = {name: parts.get("validation", {}) for name, parts in arms.items()}
        chosen_on = validation if part == "test" else None
        pools = pool_arms(mine, part, plan, facts, chosen_on)
        if part == "test":
            comparison = compare_pools(pools, plan, facts)
        for name, pool in pools.items():
            found[name].append(summarise_pool(pool, plan, facts))
    return found, comparison


def _split_rule(inputs: EvaluationInputs) -> str:
    n_folds = len({fold for _, fold in next(iter(inputs.arms.values()))["test"]})
    if n_folds > 1:
        return f"{n_folds} folds, as the predictions name them: each case is tested in one"
    return "one test part: the cases of the truth"


def _check_plan(plan: Plan, classes: Sequence[str], has_readers: bool = False) -> Plan:
    """The plan with its primary metric by the name that is kept."""
    unknown = [name for name in plan.positive if name not in classes]
    if unknown:
        what = f"positive: {first_few(unknown)} is no class"
        do = f"classes are: {first_few(classes, 30)}"
        # Names between commas, of which one has a comma itself.
        if whole := [c for c in classes if "," in c and c.split(",")[0].strip() in unknown]:
            do += f"; a name with a comma in quotes: --positive {shlex.quote(join_names(whole))}"
        raise ConfigError(what, do)
    if plan.positive and set(plan.positive) == set(classes):
        raise ConfigError("positive names every class", "leave at least one class out")
    if len(classes) == 2 and not plan.positive:
        plan = replace(plan, positive=(classes[1],), positive_by_default=True)
    if has_readers and not plan.positive:
        what = "readers are shown against the positive classes"
        raise ConfigError(what, f"name them by --positive; classes are: {first_few(classes, 30)}")
    if not plan.positive and (plan.operating.kind != "argmax" or plan.prevalences):
        what = "an operating point and prevalences need positive classes"
        raise ConfigError(what, f"name them by --positive; classes are: {first_few(classes, 30)}")
    primary = check_name(plan.primary, classes, plan.positive)
    if plan.margin is not None:
        check_margin(plan.margin, primary)
    if wrong := [rule for rule in plan.rules if rule not in RULES]:
        raise ConfigError(f"unknown rule {first_few(wrong)}", f"known: argmax, {', '.join(RULES)}")
    return replace(plan, primary=primary)


def _describe(inputs: EvaluationInputs, plan: Plan) -> DataSummary:
    n, (name, sha256) = len(inputs.first.truth), inputs.truth
    return DataSummary(
        name=name,
        synthetic=False,
        licence="not stated",
        attribution="not stated",
        unit="case",
        units="cases",
        views=[],
        n_found=n + sum(e.n for e in inputs.exclusions),
        n_used=n,
        n_images=0,
        image_size=None,
        cleaning="",
        exclusions=list(inputs.exclusions),
        notes=list(inputs.notes),
        class_counts=inputs.class_counts,
        positive=list(plan.positive),
        rules=list(plan.rules),
        fingerprint=sha256,
        tables={name: sha256} if sha256 else {},
    )
