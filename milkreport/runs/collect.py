"""From the cells on disk to results: predictions are read back from their files and scored."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from milkreport.errors import DataError
from milkreport.evaluation.beyond.external import compare_all
from milkreport.evaluation.beyond.robustness import describe_robustness
from milkreport.evaluation.beyond.unlabelled import describe_unlabelled
from milkreport.evaluation.case_table import CaseTable, make_case_table
from milkreport.evaluation.evaluate import PARTS, evaluate_arms
from milkreport.evaluation.label_errors import list_label_errors
from milkreport.evaluation.metrics.measures import Plan
from milkreport.evaluation.metrics.named import define_all
from milkreport.evaluation.mistakes import list_mistakes
from milkreport.evaluation.pooled_predictions import Cells, count_copied_cases
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.data import Part
from milkreport.evaluation.records.long_form import tabulate, tabulate_differences
from milkreport.evaluation.records.results import ArmResult, CellRecord, Curve, Results
from milkreport.evaluation.review.review import review
from milkreport.runs.cells import Cell
from milkreport.runs.corrupted import load_corrupted
from milkreport.runs.elsewhere import HERE, Elsewhere
from milkreport.runs.external import load_external, load_foretold
from milkreport.runs.folder import RunFolder
from milkreport.suite.models import Classifier
from milkreport.suite.suite import Arm, Suite


def plan_cells(suite: Suite) -> list[Cell]:
    """All cells of a suite. Arms change fastest, so that an interrupted run has whole comparisons."""
    return [
        Cell(arm.name, seed, fold)
        for seed in suite.seeds
        for fold in range(suite.split.n_folds)
        for arm in suite.arms
    ]


def collect(
    folder: RunFolder, elsewhere: Elsewhere = HERE
) -> tuple[Results, dict[str, pd.DataFrame]]:
    """Score every finished cell of a run; a run under way or with failed cells gives partial results.

    Args:
        elsewhere: other class shares and unlabelled predictions, for which forecasts are made.

    Returns:
        The results, and their tables: ``metrics``, the long form, ``mistakes``, ``label_errors`` and
        ``differences``.

    Raises:
        DataError: not a run folder, a damaged predictions file, or see :class:`Elsewhere`.
        ConfigError: see :class:`Elsewhere`.
    """
    suite, record = folder.load_suite(), folder.load_data()
    classes = list(record.data.class_counts)
    cells = {arm.name: load_parts(folder, suite, arm.name, classes) for arm in suite.arms}
    positive, rules = tuple(record.data.positive), tuple(record.data.rules)
    plan = Plan(
        *(suite.primary_metric, positive, rules),
        margin=suite.margin,
        prevalences=elsewhere.prevalences,
        shares=elsewhere.shares,
    )
    facts = folder.load_case_facts()
    parts, comparison = evaluate_arms(cells, plan, facts)
    tested = {name: mine["test"] for name, mine in cells.items() if "test" in mine}
    arms = []
    for arm in suite.arms:
        records, curves = _records(folder, suite, arm)
        arms.append(
            ArmResult(
                name=arm.name,
                title=arm.title or arm.name,
                description=arm.description,
                correction=arm.correction,
                cells=records,
                parts=parts[arm.name],
                curves=curves,
            )
        )
    whole = {name: [*cells_of] for name, cells_of in tested.items()}
    foretold, untold = load_foretold(folder.path, classes, whole)
    told, notices = [], [*untold]
    for arm_name, source, values in foretold:
        try:
            told.append(
                describe_unlabelled(arm_name, source, values, tested[arm_name], plan, facts)
            )
        except DataError as error:  # too few cases, say: the run stands without a forecast
            notices.append(f"No forecast for the external set {source}: {error.what}.")
    done = sum(cell.status == "complete" for arm in arms for cell in arm.cells)
    planned = len(plan_cells(suite))
    if done < planned:
        notices.append(f"Partial: {done} of {planned} trainings are complete.")
    devices = sorted({cell.device for arm in arms for cell in arm.cells if cell.device})
    if len(devices) > 1:
        listed = "; ".join(devices)
        notices.append(f"Trained on unlike devices, which give unlike bits: {listed}.")
    results = Results(
        suite=suite.name,
        title=suite.title,
        question=suite.question,
        primary_metric=suite.primary_metric,
        margin=suite.margin,
        split_rule=split_rule(suite, record.data.units),
        status="complete" if done == planned else "partial",
        classes=classes,
        definitions=define_all(suite.primary_metric),
        data=record.data,
        splits=record.splits,
        arms=arms,
        comparison=comparison,
        robustness=describe_robustness(
            tested, load_corrupted(folder, tested, cell_records(arms)), plan, facts
        ),
        unlabelled=[*told, *elsewhere.describe(tested, plan, facts)],
        external=compare_all(
            load_external(folder.path, classes, whole), tested, parts, plan, facts
        ),
        copies=count_copied_cases(tested),
        notices=notices,
        adherence=folder.load_adherence(),
    )
    results = review(results, suite.findings.mute).with_cases(make_case_table(tested, facts))
    tables = {
        "metrics": tabulate(results, cells),
        "mistakes": list_mistakes(cells),
        "label_errors": list_label_errors(tested),
        "differences": tabulate_differences(comparison),
    }
    return results, tables


def cell_records(arms: Sequence[ArmResult]) -> dict[Cell, CellRecord]:
    """Records of the finished trainings of *arms*, by cell."""
    return {
        Cell(arm.name, record.seed, record.fold): record
        for arm in arms
        for record in arm.cells
        if record.status == "complete"
    }


def load_parts(folder: RunFolder, suite: Suite, arm: str, classes: list[str]) -> dict[Part, Cells]:
    """Predictions of one arm by part, of the seeds whose folds are all there.

    Half a pool of folds is another set of cases.
    """
    parts: dict[Part, dict[tuple[int, int], Predictions]] = {}
    done: list[int] = []
    for cell in (c for c in plan_cells(suite) if c.arm == arm):
        record = folder.cell(cell).load_record()
        if record is not None and record.status == "complete":
            done.append(cell.seed)
            for part, predictions in folder.cell(cell).load_predictions(classes).items():
                parts.setdefault(part, {})[cell.seed, cell.fold] = predictions
    whole = {seed for seed in done if done.count(seed) == suite.split.n_folds}
    return {
        part: {key: value for key, value in parts[part].items() if key[0] in whole}
        for part in PARTS
        if part in parts and whole
    }


def load_scored(folder: RunFolder, arm: ArmResult, classes: Sequence[str]) -> dict[Part, Cells]:
    """Predictions of the cells that the results of *arm* rest on, by part; classes in the order of *classes*.

    The arm has a test part: its results say how many folds a whole seed has.
    """
    test = arm.part("test")
    assert test is not None
    done = [cell for cell in arm.cells if cell.status == "complete"]
    seeds = [cell.seed for cell in done]
    found: dict[Part, dict[tuple[int, int], Predictions]] = {}
    for cell in done:
        if seeds.count(cell.seed) == test.n_folds:
            place = folder.cell(Cell(arm.name, cell.seed, cell.fold))
            for part, predictions in place.load_predictions(classes).items():
                found.setdefault(part, {})[cell.seed, cell.fold] = predictions
    return {**found}


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


def _records(folder: RunFolder, suite: Suite, arm: Arm) -> tuple[list[CellRecord], list[Curve]]:
    records: list[CellRecord] = []
    curves: list[Curve] = []
    in_epochs = not isinstance(suite.model_of(arm), Classifier)
    for cell in (c for c in plan_cells(suite) if c.arm == arm.name):
        record = folder.cell(cell).load_record()
        if record is not None:
            records.append(record)
        if record is not None and record.status == "complete" and in_epochs:
            columns = folder.cell(cell).load_history()
            curves.append(Curve(seed=cell.seed, fold=cell.fold, columns=columns))
    return records, curves


def load_test_predictions(folder: RunFolder, results: Results) -> dict[str, Cells]:
    """Test predictions of a run's arms by (seed, fold), of the cells that its results rest on."""
    return {
        arm.name: load_scored(folder, arm, results.classes).get("test", {})
        for arm in results.arms
        if arm.part("test") is not None
    }


def load_case_table(folder: RunFolder, results: Results) -> CaseTable | None:
    """The test cases of a run with each arm's answers; writes the tables of single cases that are missing.

    They are where a report without cases was written before, or one by a version that had fewer tables.

    Raises:
        DataError: predictions are missing or damaged.
    """
    tested = load_test_predictions(folder, results)
    if not (folder.path / "mistakes.csv").is_file():
        found = list_mistakes({arm: {"test": cells} for arm, cells in tested.items()})
        folder.write_tables(mistakes=found)
    if not (folder.path / "label_errors.csv").is_file():
        folder.write_tables(label_errors=list_label_errors(tested))
    return make_case_table(tested, folder.load_case_facts())
