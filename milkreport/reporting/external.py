"""External test sets beside the test part: a table of arms, one of classes, and what they mean."""

from __future__ import annotations

from milkreport.evaluation.beyond.external import FEWEST_CASES
from milkreport.evaluation.metrics.definitions import HEADLINE
from milkreport.evaluation.metrics.named import define
from milkreport.evaluation.records.estimate import Estimate
from milkreport.evaluation.records.external import ExternalArm, ExternalSet, ExternalValue
from milkreport.evaluation.records.results import Results
from milkreport.reporting.blocks import Cell, Column, Group, Row, Table, table
from milkreport.reporting.tables import estimate_cell
from milkreport.reporting.wording.intervals import interval_notes
from milkreport.reporting.wording.order import column_words, drawn_arms, is_many
from milkreport.reporting.wording.text import (
    decimal,
    interval,
    listing,
    mid_sentence,
    numeral,
    shorten,
    signed,
    signed_interval,
    whole,
)
from milkreport.reporting.wording.titles import arm_title, metric_title

#: Metrics of the positive classes that a decision makes.
DECIDED = ("positive_sensitivity", "positive_specificity")
#: External sets that page one has room for.
MOST_SETS = 2
#: Arms that fit beside one another in the table of classes.
MOST_ARMS = 3
#: Words for the positive classes that fit into a column.
_SHORT = {
    "positive_auc": "ROC AUC, positive classes",
    "positive_sensitivity": "Sensitivity, positive classes",
    "positive_specificity": "Specificity, positive classes",
}


def drawn(results: Results, found: ExternalSet) -> list[ExternalArm]:
    """The arms of an external set that are shown, in the order of the page."""
    by_name = {arm.arm: arm for arm in found.arms}
    return [by_name[arm.name] for arm in drawn_arms(results) if arm.name in by_name]


def overall(results: Results, found: ExternalSet, arm: ExternalArm) -> list[ExternalValue]:
    """The values of *arm* that are shown: not those of classes, and of more than a few arms the headline."""
    primary = results.primary_metric
    if len(found.arms) > MOST_ARMS:
        return [v for v in arm.values if v.metric in (*HEADLINE, primary)]
    return [v for v in arm.values if v.metric == primary or not v.metric.startswith("recall:")]


def short_title(results: Results, metric: str) -> str:
    """A metric's name in the column of an external set's table."""
    return _SHORT.get(metric) or metric_title(results, metric)


def external_tables(results: Results) -> list[Table]:
    """Of every external set the table of arms, and that of classes."""
    found = []
    for i, one in enumerate(results.external):
        found += [_arms(results, one, f"external-{i}"), _classes(results, one, f"external-{i}")]
    return found


def _arms(results: Results, found: ExternalSet, key: str) -> Table:
    shown = drawn(results, found)
    groups = []
    for arm in shown:
        rows = tuple(
            Row(
                (
                    Cell(
                        short_title(results, v.metric),
                        "primary" if v.metric == results.primary_metric else "",
                    ),
                    estimate_cell(v.internal),
                    estimate_cell(v.external),
                    difference_cell(v.difference),
                )
            )
            for v in overall(results, found, arm)
        )
        title = arm_title(results, arm.arm) if len(results.arms) > 1 else ""
        groups.append(Group(title, rows))
    name = shorten(found.name, 20)
    units = results.data.units
    columns = (
        Column("Metric", text=True),
        Column("Test part", f"{whole(found.n_internal)} {units}"),
        Column(name, f"{whole(found.n_external)} {units}"),
        Column("Difference", f"test part minus {name}"),
    )
    caption = f"External test set {name}: the same trained models on other {units}."
    if found.restricted:
        caption += (
            " Both columns are of the classes that both sets have; values of the test part therefore differ "
            "from those above."
        )
    test = next((p for a in results.arms if (p := a.part("test")) is not None), None)
    n_models = min((arm.n_models for arm in shown), default=0)
    if test is not None and test.n_folds > n_models:
        caption += (
            f" The test part is of {numeral(test.n_folds)} folds, and a model apart from theirs answered "
            f"{name}, so there is no interval."
        )
    elif test is not None and test.n_folds > 1:
        caption += (
            f" Every model of the {numeral(test.n_folds)} folds answered {name}; means over them, without an "
            "interval, because these models share training cases."
        )
    elif any(arm.n_models > 1 for arm in shown):
        caption += " Means over seeds; differences are taken seed by seed. "
        caption += "Intervals allow for new trainings."
    if any(v.metric in DECIDED for arm in shown for v in overall(results, found, arm)):
        caption += " Sensitivity and specificity are those of the predicted class, not of an "
        caption += "operating point."
    if len(found.arms) > MOST_ARMS:
        caption += " More metrics are in results.json."
    if is_many(results):
        caption += f" Of {whole(len(results.arms))} arms those that figures draw."
    every = [row for group in groups for row in group.rows]
    return Table(
        key, caption, columns, tuple(groups), interval_notes(every, ()), dense=len(every) > 8
    )


def difference_cell(estimate: Estimate) -> Cell:
    """A difference with its sign, its interval below."""
    note = signed_interval(estimate.low, estimate.high) if estimate.low is not None else ""
    return Cell(signed(estimate.value), note)


def _classes(results: Results, found: ExternalSet, key: str) -> Table:
    shown = drawn(results, found)
    columns_of = shown[:MOST_ARMS]
    test = next((p for a in results.arms if (p := a.part("test")) is not None), None)
    support = {row.name: row.support for row in test.classes} if test is not None else {}
    rows = []
    for name, n in found.class_counts.items():
        cells = [Cell(shorten(name)), Cell(whole(support.get(name))), Cell(whole(n))]
        for arm in columns_of:
            value = next((v for v in arm.values if v.metric == f"recall:{name}"), None)
            cells.append(_recalls(value))
        rows.append(Row(tuple(cells)))
    several = len(shown) > 1
    columns = (
        Column("Class", text=True),
        Column("Test part", results.data.units),
        Column(shorten(found.name, 20), results.data.units),
        *(
            Column(arm_title(results, arm.arm) if several else "Recall", "test part, external set")
            for arm in columns_of
        ),
    )
    caption = f"{shorten(found.name, 20)}: {results.data.units} per class, and recall per class"
    caption += " in both, with the 95% interval of the difference."
    caption += column_words(results, MOST_ARMS, len(shown))
    return table(f"{key}-classes", caption, columns, rows, (), dense=True)


def _recalls(value: ExternalValue | None) -> Cell:
    if value is None:
        return Cell("–")
    text = f"{decimal(value.internal.value)}, {decimal(value.external.value)}"
    d = value.difference
    return Cell(text, signed_interval(d.low, d.high) if d.low is not None else "")


def external_texts(results: Results) -> list[str]:
    """What the comparison with external sets assumes; empty without one."""
    if not results.external:
        return []
    names = listing(shorten(one.name, 20) for one in results.external)
    several = len(results.external) > 1
    return [
        f"External test set{'s' if several else ''}: {names}. Nothing was chosen on "
        f"{'them' if several else 'it'}. Differences assume that both sets are independent samples of their "
        "own populations, with labels made in the same way. A difference holds all that is different: "
        "class shares, patients, devices and labels. Recall per class and balanced accuracy do not depend on "
        "class shares; accuracy and F1 do."
    ]


def external_summary(results: Results) -> str:
    """The primary metric in each external set beside the test part, for page one; empty without one."""
    metric, said = mid_sentence(short_title(results, results.primary_metric)), []
    for found in results.external[:MOST_SETS]:
        shown = drawn(results, found)
        values = []
        for arm in shown[:MOST_ARMS]:
            value = next((v for v in arm.values if v.metric == results.primary_metric), None)
            if value is None or value.external.value is None:
                continue
            whose = f"{arm_title(results, arm.arm)} " if len(results.arms) > 1 else ""
            within = interval(value.external.low, value.external.high)
            bounds = f" ({within})" if within else ""
            inside = decimal(value.internal.value)
            values.append(f"{whose}{decimal(value.external.value)}{bounds}, test part {inside}")
        if not values:
            continue
        units = f"{whole(found.n_external)} {results.data.units}"
        more = len(found.arms) - len(values)
        others = f"; {numeral(more)} more in the section" if more else ""
        said.append(f"{shorten(found.name, 20)} ({units}), {metric}: {'; '.join(values)}{others}.")
    if (more := len(results.external) - MOST_SETS) > 0:
        said.append(f"{numeral(more)} more sets in the section.")
    return " ".join(said)


def external_lines(results: Results, found: ExternalSet) -> list[str]:
    """What a reader should know of one external set, and what its differences mean, a line each."""
    name, units = shorten(found.name, 20), results.data.units
    lines = []
    if found.restricted:
        absent = [c for c in found.left_out if not found.class_counts[c]]
        ours = [c for c in found.left_out if found.class_counts[c]]
        said = []
        if absent:
            said.append(f"it has no {units} of {listing(map(shorten, absent))}")
        if ours:
            said.append(f"the test part has none of {listing(map(shorten, ours))}")
        lines.append(
            f"{name}: {' and '.join(said)}. Compared are the "
            f"{whole(found.n_internal)} {units} of the test part and the {whole(found.n_external)} of {name} "
            "of the other classes, so that averages over classes are of the same classes."
        )
    lines += [meaning for arm in drawn(results, found) if (meaning := _meaning(results, name, arm))]
    if found.n_external < FEWEST_CASES:
        lines.append(
            f"{name}: fewer than {whole(FEWEST_CASES)} {units}, so its values and the differences have no "
            "interval; those of recall per class have."
        )
    if found.missing:
        missing = listing(arm_title(results, arm) for arm in found.missing)
        lines.append(f"{name}: no predictions of {missing}.")
    if found.n_groups is not None:
        lines.append(f"{name}: {whole(found.n_groups)} groups of {units}, kept whole.")
    lines += [f"{name}: {shorten(remark, 300)}." for remark in found.remarks]
    return lines


def _meaning(results: Results, name: str, arm: ExternalArm) -> str:
    """The difference of the primary metric, as a sentence; empty where it has no interval."""
    metric = results.primary_metric
    value = next((v for v in arm.values if v.metric == metric), None)
    if value is None or value.difference.value is None:
        return ""
    d = value.difference
    whose = arm_title(results, arm.arm)
    words = mid_sentence(short_title(results, metric))
    if d.low is None or d.high is None:
        return ""
    between = f"95% interval of the difference {interval(d.low, d.high)}"
    if d.low <= 0 <= d.high:
        return (
            f"{name}: in {words}, {whose} is not shown to be better or worse there than on the test part "
            f"({between})."
        )
    worse = (d.low > 0) == (define(metric).better == "higher")
    return (
        f"{name}: {whose} does {'worse' if worse else 'better'} there than on the test part in {words} "
        f"({between})."
    )
