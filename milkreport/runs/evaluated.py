"""Predictions that were made elsewhere, in a run folder like a run's own; and two of anything compared."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from milkreport.errors import ConfigError, DataError
from milkreport.evaluation.evaluate import evaluate_inputs
from milkreport.evaluation.label_errors import list_label_errors
from milkreport.evaluation.metrics.measures import Plan
from milkreport.evaluation.metrics.named import check_metric
from milkreport.evaluation.mistakes import list_mistakes
from milkreport.evaluation.pooled_predictions import CaseFacts, Cells, pool_folds
from milkreport.evaluation.reading.any_table import Source
from milkreport.evaluation.reading.inputs import EvaluationInputs, load_inputs
from milkreport.evaluation.reading.options import NOTHING_SAID, TableOptions
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.data import Exclusion
from milkreport.evaluation.records.long_form import tabulate, tabulate_differences
from milkreport.evaluation.records.results import CellRecord, Results
from milkreport.runs.cells import Cell
from milkreport.runs.collect import load_test_predictions
from milkreport.runs.external import write_given
from milkreport.runs.folder import RunFolder, refuse_foreign
from milkreport.runs.lock import hold
from milkreport.runs.manifest import describe_evaluation


def write_evaluation(
    out: Path,
    inputs: EvaluationInputs,
    results: Results,
    command: str,
    network: Sequence[str] | None = (),
) -> Results:
    """Write predictions, results and provenance into *out*; an older evaluation there is replaced.

    Args:
        network: see :func:`milkreport.runs.manifest.describe_evaluation`.

    Returns:
        the results, whose cells now carry the hashes of their predictions.

    Raises:
        ConfigError: *out* holds something else. EnvironmentProblem: it cannot be written.
    """
    folder = RunFolder(out)
    refuse_foreign(folder)
    if folder.has_suite:
        raise ConfigError("holds the run of a suite", "choose another --out", str(out))
    with hold(folder.path):
        folder.clear()
        sources = inputs.sources_sha256
        manifest = describe_evaluation(results.suite, inputs.truth[1], command, sources, network)
        folder.write_manifest(manifest)
        arms = []
        for arm in results.arms:
            records: list[CellRecord] = []
            known = {(cell.seed, cell.fold): cell for cell in arm.cells}
            parts = inputs.arms[arm.name]
            for seed, fold in parts["test"]:
                mine = {
                    part: cells[seed, fold]
                    for part, cells in parts.items()
                    if (seed, fold) in cells
                }
                record = folder.cell(Cell(arm.name, seed, fold)).write_predictions(mine)
                update = {"predictions_sha256": record.predictions_sha256}
                records.append(known.get((seed, fold), record).model_copy(update=update))
            arms.append(arm.model_copy(update={"cells": records}))
        sets = []
        for given, found in zip(inputs.external, results.external, strict=True):
            hashes = write_given(folder.path, given).hashes
            scored = [
                a.model_copy(update={"predictions_sha256": hashes[a.arm]}) for a in found.arms
            ]
            sets.append(found.model_copy(update={"arms": scored}))
        results = results.model_copy(update={"arms": arms, "external": sets})
        if inputs.facts.subgroups is not None:
            folder.write_tables(subgroups=inputs.facts.subgroups.reset_index())
        if inputs.facts.groups:
            groups = pd.DataFrame(inputs.facts.groups.items(), columns=["case_id", "group_id"])
            folder.write_tables(groups=groups)
        tables = {
            "metrics": tabulate(results, inputs.arms),
            "mistakes": list_mistakes(inputs.arms),
            "label_errors": list_label_errors(
                {name: parts["test"] for name, parts in inputs.arms.items()}
            ),
            "differences": tabulate_differences(results.comparison),
        }
        folder.write_results(results, tables)
    return results


def refuse_other(out: Path, command: str, sources_sha256: str) -> bool:
    """Whether *out* holds an older evaluation by the same command of the same files, which may be replaced.

    Raises:
        ConfigError: it holds anything else.
    """
    folder = RunFolder(out)
    refuse_foreign(folder)
    if folder.has_suite:
        raise ConfigError("holds the run of a suite", "choose another --out", str(out))
    if not folder.is_run():
        return False
    older = folder.load_manifest()
    # Version 0.1 wrote the same options in another order.
    if sorted(shlex.split(older.command)) != sorted(shlex.split(command)):
        what = f"holds another evaluation ({older.command})"
        raise ConfigError(what, "choose another --out", str(out))
    if older.sources_sha256 not in ("", sources_sha256):
        what = "holds an evaluation of other files, which have the same names"
        raise ConfigError(what, "choose another --out", str(out))
    return True


def declared_plan(known: Sequence[Results], primary: str) -> tuple[str, float | None]:
    """The primary metric that these results declared, or *primary* instead; and its margin.

    Raises:
        ConfigError: they declared several, and none is named.
    """
    declared = list(dict.fromkeys(results.primary_metric for results in known))
    if not primary and len(declared) > 1:
        what = f"the runs declared {' and '.join(declared)} as their primary metric"
        raise ConfigError(what, "choose by --primary")
    primary = check_metric(primary or next(iter(declared), "macro_f1"))
    margins = {results.margin for results in known if results.primary_metric == primary}
    return primary, margins.pop() if len(margins) == 1 else None


def compare_two(
    one: Path,
    other: Path,
    truth: Path | None,
    primary: str,
    margin: float | None = None,
    options: TableOptions = NOTHING_SAID,
) -> list[Results]:
    """Two runs, evaluations or prediction files against each other: one entry an arm that both have.

    *other* stands first in each, as what *one*'s difference is from. Two of one arm each are compared
    whatever the arms' names; else arms pair by name.

    Args:
        truth: for prediction files; with a run on the other side, that run's own labels serve.
        primary: the metric that is tested; empty: the runs' own, or macro F1.
        margin: the difference in it that does not matter; by default the runs' own.
        options: what columns of prediction files are; its positive classes are by default the runs' own.

    Raises:
        ConfigError: no arm in common, or no truth. DataError: not the same cases or labels.
    """
    sides: list[dict[str, Cells]] = []
    known: list[Results] = []
    groups: Mapping[str, str] = {}
    notes: list[str] = []
    for path in (one, other):
        folder = RunFolder(path)
        if folder.is_run():
            results = folder.load_results()
            known.append(results)
            groups = groups or folder.load_case_facts().groups
            sides.append(load_test_predictions(folder, results))
            if not sides[-1]:
                what = "its results hold no test predictions"
                raise DataError(what, "finish the run: the same command goes on", str(path))
        else:
            sides.append({})
    for place, path in enumerate((one, other)):
        if not sides[place]:
            rival = sides[1 - place]
            source = truth if truth is not None else _labels(rival)
            if source is None:
                what = "prediction files need their truth"
                raise ConfigError(what, "give --truth TABLE", str(path))
            inputs = load_inputs(path, source, options=options)
            sides[place] = {arm: parts["test"] for arm, parts in inputs.arms.items()}
            notes += [note for note in inputs.notes if note not in notes]
    dropped: tuple[Exclusion, ...] = ()
    if options.missing == "drop":
        sides, dropped = _common(sides)
    primary, declared = declared_plan(known, primary)
    positive = tuple(options.positive or next((r.data.positive for r in known), ()))
    plan = Plan(primary, positive, margin=declared if margin is None else margin)
    names, facts = _distinct(one, other), CaseFacts(groups)
    return [
        _compare(pair, names, plan, title, facts, (tuple(notes), dropped))
        for title, pair in _pairs(sides[0], sides[1], one, other)
    ]


def _compare(
    pair: tuple[Cells, Cells],
    names: tuple[str, str],
    plan: Plan,
    title: str,
    facts: CaseFacts,
    reading: tuple[tuple[str, ...], tuple[Exclusion, ...]],
) -> Results:
    mine, theirs = pair
    classes = next(iter(mine.values())).classes
    if any(sorted(p.classes) != sorted(classes) for p in theirs.values()):
        raise DataError(f"{names[0]} and {names[1]} have other classes", "compare runs of one task")
    theirs = {key: p.ordered(classes) for key, p in theirs.items()}
    inputs = EvaluationInputs(
        {names[1]: {"test": theirs}, names[0]: {"test": mine}},
        {name: name for name in names},
        ("the cases of both", ""),
        facts,
        notes=reading[0],
        exclusions=reading[1],
    )
    return evaluate_inputs(inputs, plan, title=title)


def _pairs(
    mine: Mapping[str, Cells], theirs: Mapping[str, Cells], one: Path, other: Path
) -> Iterator[tuple[str, tuple[Cells, Cells]]]:
    common = [name for name in mine if name in theirs]
    if not common and len(mine) == len(theirs) == 1:
        (a, first), (b, second) = *mine.items(), *theirs.items()
        yield f"{a} and {b}", (first, second)
        return
    if not common:
        what = f"{one.name} and {other.name} have no arm in common"
        do = f"{', '.join(mine) or 'none'}; {', '.join(theirs) or 'none'}"
        raise ConfigError(what, do)
    for name in common:
        yield name, (mine[name], theirs[name])


def _common(
    sides: Sequence[Mapping[str, Cells]],
) -> tuple[list[dict[str, Cells]], tuple[Exclusion, ...]]:
    """Both sides on the cases that all their models have, and how many others there were."""
    pools = [pool_folds(cells) for side in sides for cells in side.values()]
    ids = [set(p.case_ids.tolist()) for pool in pools for p in pool.values()]
    common, every = set.intersection(*ids), set.union(*ids)
    if not common:
        raise DataError("no case was predicted on both sides", "compare the ids")
    kept = np.array(sorted(common), dtype=np.str_)
    taken: list[dict[str, Cells]] = [
        {
            arm: {key: p.take(np.isin(p.case_ids, kept)) for key, p in cells.items()}
            for arm, cells in side.items()
        }
        for side in sides
    ]
    n = len(every) - len(common)
    return taken, (Exclusion(reason="not predicted on both sides", n=n),) if n else ()


def _distinct(one: Path, other: Path) -> tuple[str, str]:
    """Names that tell the two apart."""
    names = one.resolve().stem, other.resolve().stem
    return names if names[0] != names[1] else (f"A ({names[0]})", f"B ({names[1]})")


def _labels(arms: Mapping[str, Cells]) -> Source | None:
    """The truth that a run's predictions carry, one-hot, so that it names all classes."""
    if not arms:
        return None
    first: dict[str, np.ndarray] = {}
    classes: tuple[str, ...] = ()
    cells: list[Predictions] = [*next(iter(arms.values())).values()]
    for p in cells:
        classes = p.classes
        first |= dict(zip(p.case_ids.tolist(), np.eye(len(classes))[p.truth], strict=True))
    frame = pd.DataFrame(np.stack([*first.values()]), columns=list(classes))
    frame.insert(0, "case_id", list(first))
    return frame
