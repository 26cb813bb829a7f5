"""``metrics.csv``: every value in a row of its own, with its definition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from milkreport.evaluation.metrics.definitions import CLASS_DEFINITIONS, DEFINITIONS, computable
from milkreport.evaluation.metrics.measures import measure
from milkreport.evaluation.pooled_predictions import Cells, pool_folds
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.binary import BinaryResult
from milkreport.evaluation.records.data import Part
from milkreport.evaluation.records.parts import Definition, Estimate, PartResult
from milkreport.evaluation.records.results import ArmResult, Comparison, Difference, Results

COLUMNS = (
    *("run", "arm", "seed", "fold", "split", "metric", "class", "slice"),
    *("value", "low", "high", "n", "decision", "averaging", "zero_division"),
)
#: Stands for a mean over seeds, folds pooled.
ALL = "all"


def tabulate_differences(comparison: Comparison | None) -> pd.DataFrame:
    """Every paired difference, one a row, as the records have it; without those of single seeds."""
    rows = [d.model_dump() for d in comparison.differences] if comparison else []
    return pd.DataFrame(rows, columns=[c for c in Difference.model_fields if c != "by_seed"])


def tabulate(results: Results, cells: Mapping[str, Mapping[Part, Cells]]) -> pd.DataFrame:
    """The long form of *results*, and of every seed and fold by itself.

    ``seed`` and ``fold`` are ``all`` for the means over seeds with folds pooled, which alone have an
    interval; ``fold`` is ``pooled`` for one seed's folds together. ``class`` and ``slice`` are empty where
    a row is about all of them.

    Args:
        cells: arm to part to predictions by (seed, fold).
    """
    rows: list[dict[str, Any]] = []
    rows += reader_rows(results)
    rows += external_rows(results)
    for arm in results.arms:
        for part in arm.parts:
            rows += _summary_rows(results, arm, part)
        for name, by_cell in cells.get(arm.name, {}).items():
            groups: dict[tuple[int, str], Predictions] = {
                (seed, str(fold)): p for (seed, fold), p in by_cell.items()
            }
            if name == "test" and len({fold for _, fold in by_cell}) > 1:
                groups |= {(seed, "pooled"): p for seed, p in pool_folds(by_cell).items()}
            for (seed, fold), p in groups.items():
                common = {"run": results.suite, "arm": arm.name, "seed": seed, "fold": fold}
                rows += [common | {"split": name} | row for row in _cell_rows(p)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _summary_rows(results: Results, arm: ArmResult, part: PartResult) -> Iterator[dict[str, Any]]:
    common = {"run": results.suite, "arm": arm.name, "seed": ALL, "fold": ALL, "split": part.part}
    for name, found in part.metrics.items():
        yield common | _row(DEFINITIONS[name], found, part.n_cases)
    for row in part.classes:
        for name, definition in CLASS_DEFINITIONS.items():
            if part.kind != "labels" or definition.needs == "labels":
                named = {"class": row.name}
                yield common | _row(definition, row.estimate(name), row.support) | named
    if part.positive is not None:
        n = part.n_cases
        named = {"class": "+".join(part.positive.classes)}
        for name in ("sensitivity", "specificity"):
            found = getattr(part.positive, name)
            yield common | _plain(f"positive_{name}", found, n, "argmax, grouped") | named
        if part.positive.auc is not None:
            by = "ranks of the summed probability"
            yield common | _plain("positive_auc", part.positive.auc, n, by) | named
        for point in part.positive.operating:
            name = f"positive_sensitivity_at_specificity_{point.specificity:g}"
            yield common | _plain(name, point.sensitivity, n, "ROC curve") | named
        for benefit in part.positive.net_benefit:
            found = Estimate(value=benefit.value, low=benefit.low, high=benefit.high)
            name = f"positive_net_benefit_at_{benefit.threshold:g}"
            yield common | _plain(name, found, n, "summed probability above it") | named
    if part.binary is not None:
        yield from (common | row for row in binary_rows(part.binary, part.n_cases))
    for rule in part.rules:
        for name, found in rule.values.items():
            ruled = _plain(name, found, part.n_cases, f"{rule.rule}: {rule.decision}")
            yield common | ruled | {"zero_division": rule.zero_division}
        for class_name, values in rule.classes.items():
            for name, value in values.items():
                found = Estimate(value=value)
                ruled = _plain(name, found, part.n_cases, f"{rule.rule}: {rule.decision}")
                yield common | ruled | {"class": class_name, "zero_division": rule.zero_division}
    for piece in part.slices:
        named = {"slice": f"{piece.column}={piece.value}"}
        for name, found in piece.metrics.items():
            yield common | _sliced(name, found, piece.n) | named
        for name, found in piece.against_rest.items():
            yield common | _sliced(f"{name}_minus_rest", found, piece.n) | named
    for gap in part.gaps:
        yield common | _sliced(f"{gap.metric}_gap", gap.gap, part.n_cases) | {"slice": gap.column}


def reader_rows(results: Results) -> Iterator[dict[str, Any]]:
    """Human readers, ``reader NAME`` in place of an arm, and ``readers`` for the mean over them."""
    study = results.readers
    if study is None:
        return
    rows = [(f"reader {reader.name}", reader.values) for reader in study.readers]
    rows += [("readers", study.mean)] if study.mean else []
    named = {"class": "+".join(results.data.positive)}
    for who, values in rows:
        common = {"run": results.suite, "arm": who, "seed": ALL, "fold": ALL, "split": "test"}
        for name, value in values.items():
            row = _plain(f"operating_{name}", value, study.n_positive + study.n_negative, "answers")
            yield common | row | named


def external_rows(results: Results) -> Iterator[dict[str, Any]]:
    """Arms on external test sets, as a part called ``external NAME``, over the classes that are compared."""
    for one in results.external:
        for arm in one.arms:
            common = {"run": results.suite, "arm": arm.arm, "seed": ALL, "fold": ALL}
            common["split"] = f"external {one.name}"
            for value in arm.values:
                name, _, of_class = value.metric.partition(":")
                n = one.class_counts[of_class] if of_class else one.n_external
                yield common | _plain(name, value.external, n, "argmax") | {"class": of_class}


def binary_rows(found: BinaryResult, n: int) -> Iterator[dict[str, Any]]:
    """The measures at the operating point, ``operating_`` before their names."""
    point, named = found.operating, {"class": "+".join(found.classes)}
    decision = f"{point.rule}, {point.source}"
    for name, value in point.values.items():
        yield _plain(f"operating_{name}", value, n, decision) | named
    for at in point.prevalences:
        for name, value in (("ppv", at.ppv), ("npv", at.npv)):
            title = f"operating_{name}_at_prevalence_{at.prevalence:g}"
            yield _plain(title, value, n, decision) | named
    if point.threshold is not None:
        yield _plain("operating_threshold", Estimate(value=point.threshold), n, decision) | named
    if point.in_sample is not None:
        for name, number in point.in_sample.model_dump().items():
            within = f"{point.rule}, in-sample"
            yield _plain(f"operating_in_sample_{name}", Estimate(value=number), n, within) | named
    for piece in found.slices:
        of_slice = named | {"slice": f"{piece.column}={piece.value}"}
        for name, n_side in (("sensitivity", piece.n_positive), ("specificity", piece.n_negative)):
            yield _plain(f"operating_{name}", getattr(piece, name), n_side, decision) | of_slice
    if found.risk is not None:
        for name in ("intercept", "slope", "scaled_brier"):
            value = getattr(found.risk, name)
            yield _plain(f"risk_{name}", value, n, "probabilities") | named
    if found.average_precision is not None:
        by = "ranks of the summed probability"
        yield _plain("positive_average_precision", found.average_precision, n, by) | named


def _cell_rows(p: Predictions) -> Iterator[dict[str, Any]]:
    found = measure(p)
    n = len(p.truth)
    support = pd.Series(p.truth).value_counts()
    for name in computable(p.kind):
        if name in found.overall:
            yield _row(DEFINITIONS[name], Estimate(value=float(found.overall[name])), n)
    for name, values in found.classes.items():
        for c, class_name in enumerate(p.classes):
            of_class = Estimate(value=float(values[c]))
            row = _row(CLASS_DEFINITIONS[name], of_class, int(support.get(c, 0)))
            yield row | {"class": class_name}


def _row(definition: Definition, found: Estimate, n: int) -> dict[str, Any]:
    row = _plain(definition.metric, found, n, definition.decision)
    return row | {
        "averaging": definition.averaging,
        "zero_division": definition.zero_division,
    }


def _sliced(metric: str, found: Estimate, n: int) -> dict[str, Any]:
    known = next((d for name, d in DEFINITIONS.items() if metric.startswith(name)), None)
    return (
        _row(known, found, n) | {"metric": metric} if known else _plain(metric, found, n, "argmax")
    )


def _plain(metric: str, found: Estimate, n: int, decision: str) -> dict[str, Any]:
    return {
        "metric": metric,
        "class": "",
        "slice": "",
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "n": n,
        "decision": decision,
        "averaging": "none",
        "zero_division": "none",
    }
