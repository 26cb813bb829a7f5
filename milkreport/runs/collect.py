"""From the cells on disk to results: predictions are read back from their files and scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import pandas as pd

from milkreport.evaluation.metrics import DEFINITIONS, score_labels
from milkreport.evaluation.predictions import Predictions
from milkreport.evaluation.results import ArmResult, CellRecord, Curve, Part, Results
from milkreport.evaluation.summarise import compare_arms, pool_folds, summarise_part
from milkreport.runs.folder import Cell, RunFolder
from milkreport.suite import Arm, Suite

PARTS: tuple[Part, ...] = ("train", "validation", "test")

#: part -> (seed, fold) -> predictions
PartCells = Mapping[str, dict[tuple[int, int], Predictions]]


def plan_cells(suite: Suite) -> list[Cell]:
    """All cells of a suite. Arms change fastest, so that an interrupted run has whole comparisons."""
    return [
        Cell(arm.name, seed, fold)
        for seed in suite.seeds
        for fold in range(suite.split.n_folds)
        for arm in suite.arms
    ]


def collect(folder: RunFolder) -> tuple[Results, pd.DataFrame]:
    """Score every finished cell of a run; a run under way or with failed cells gives partial results.

    Returns:
        The results, and the long-form metrics of every seed, fold and part: one row a value with its
        definition, in the columns run, arm, seed, fold, split, metric, class, value, n, decision,
        averaging, zero_division. ``fold`` is ``pooled`` where the test parts of several folds are scored
        together.

    Raises:
        DataError: not a run folder, or a damaged predictions file.
    """
    suite, record = folder.load_suite(), folder.load_data()
    classes = list(record.data.class_counts)
    arms, scored, rows = [], {}, []
    for arm in suite.arms:
        result, parts = _collect_arm(folder, suite, arm, classes)
        arms.append(result)
        if "test" in parts:
            scored[arm.name] = parts["test"]
        rows += _arm_rows(suite, arm, parts)
    done = sum(cell.status == "complete" for arm in arms for cell in arm.cells)
    planned = len(plan_cells(suite))
    notices = []
    if done < planned:
        notices.append(f"Partial: {done} of {planned} trainings are complete.")
    results = Results(
        suite=suite.name,
        title=suite.title,
        question=suite.question,
        primary_metric=suite.primary_metric,
        split_rule=split_rule(suite, record.data.units),
        status="complete" if done == planned else "partial",
        classes=classes,
        definitions=DEFINITIONS,
        data=record.data,
        splits=record.splits,
        arms=arms,
        comparison=compare_arms(scored, suite.primary_metric),
        notices=notices,
    )
    return results, pd.DataFrame(rows)


def load_parts(folder: RunFolder, suite: Suite, arm: str, classes: list[str]) -> PartCells:
    """Predictions of one arm by part, of the seeds whose folds are all there.

    Half a pool of folds is another set of cases.
    """
    parts: dict[str, dict[tuple[int, int], Predictions]] = {}
    done: list[int] = []
    for cell in (c for c in plan_cells(suite) if c.arm == arm):
        record = folder.load_cell(cell)
        if record is not None and record.status == "complete":
            done.append(cell.seed)
            for part, predictions in folder.load_predictions(cell, classes).items():
                parts.setdefault(part, {})[cell.seed, cell.fold] = predictions
    whole = {seed for seed in done if done.count(seed) == suite.split.n_folds}
    return {
        part: {key: value for key, value in parts[part].items() if key[0] in whole}
        for part in PARTS
        if part in parts and whole
    }


def split_rule(suite: Suite, units: str) -> str:
    """The split in words."""
    split = suite.split
    rule = {
        "support": f"one test part with a fixed number of {units} a class",
        "holdout": f"one stratified test part of {split.test_fraction:.0%}",
        "kfold": f"{split.folds} stratified folds, test predictions pooled out of fold",
    }[split.kind]
    if split.validation:
        cut = f"{split.validation:.0%} of the remaining {units} cut off for validation"
    else:
        cut = "no validation part"
    return f"{rule}; {cut}; groups kept whole; split seed {split.seed}"


def _collect_arm(
    folder: RunFolder, suite: Suite, arm: Arm, classes: list[str]
) -> tuple[ArmResult, PartCells]:
    records: list[CellRecord] = []
    curves: list[Curve] = []
    for cell in (c for c in plan_cells(suite) if c.arm == arm.name):
        record = folder.load_cell(cell)
        if record is not None:
            records.append(record)
        if record is not None and record.status == "complete":
            columns = folder.load_history(cell)
            curves.append(Curve(seed=cell.seed, fold=cell.fold, columns=columns))
    parts = load_parts(folder, suite, arm.name, classes)
    result = ArmResult(
        name=arm.name,
        title=arm.title or arm.name,
        description=arm.description,
        correction=arm.correction,
        cells=records,
        parts=[summarise_part(cast(Part, part), cells) for part, cells in parts.items()],
        curves=curves,
    )
    return result, parts


def _arm_rows(suite: Suite, arm: Arm, parts: PartCells) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for part, cells in parts.items():
        groups: dict[tuple[int, str], Predictions] = {
            (seed, str(fold)): predictions for (seed, fold), predictions in cells.items()
        }
        if part == "test" and suite.split.n_folds > 1:
            groups |= {(seed, "pooled"): p for seed, p in pool_folds(cells).items()}
        for (seed, fold), predictions in groups.items():
            common = {"run": suite.name, "arm": arm.name, "seed": seed, "fold": fold}
            rows += [common | {"split": part} | row for row in _metric_rows(predictions)]
    return rows


def _metric_rows(predictions: Predictions) -> list[dict[str, object]]:
    scores = score_labels(predictions.truth, predictions.predicted, len(predictions.classes))
    rows: list[dict[str, object]] = []
    for name, value in scores.metrics.items():
        definition = DEFINITIONS[name]
        rows.append(
            {
                "metric": name,
                "class": "",
                "value": value,
                "n": len(predictions.truth),
                "decision": definition.decision,
                "averaging": definition.averaging,
                "zero_division": definition.zero_division,
            }
        )
    for index, class_name in enumerate(predictions.classes):
        for name in ("precision", "recall", "f1"):
            rows.append(
                {
                    "metric": name,
                    "class": class_name,
                    "value": float(getattr(scores, name)[index]),
                    "n": int(scores.support[index]),
                    "decision": "argmax",
                    "averaging": "none",
                    "zero_division": "undefined (empty)",
                }
            )
    return rows
