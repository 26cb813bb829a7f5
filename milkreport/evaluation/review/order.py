"""Rules about the order of arms: other metrics, tuned thresholds, single seeds. None of synthetic data."""

from __future__ import annotations

import itertools

import numpy as np

from milkreport.evaluation.metrics.named import define
from milkreport.evaluation.records.results import SEEDS_TO_RANK, Difference, Results
from milkreport.evaluation.review.rule import (
    Outcome,
    absent,
    arm_words,
    excludes,
    metric_words,
    named,
    passed,
    signed,
)
from milkreport.tables import plural

#: Metrics of which one may say the opposite of another, beside the primary one.
COMPARED = ("accuracy", "balanced_accuracy", "macro_f1", "macro_auc")
_SYNTHETIC = "Synthetic data is never ranked."
_ALONE = "Fewer than two arms were compared."


def contradiction(results: Results) -> Outcome:
    """MR005: pairs of arms of which one metric shows the first to be better and another the second."""
    if nothing := _nothing_to_order(results):
        return nothing
    assert results.comparison is not None
    metrics = dict.fromkeys((results.primary_metric, *COMPARED))
    rows = [d for d in results.comparison.differences if d.metric in metrics]
    shown = [d for d in rows if excludes(d.value, d.low, d.high, 0, len(rows), d.df)]
    found = []
    shown.sort(key=lambda d: -abs(d.value))
    for one, other in itertools.combinations(shown, 2):
        same = (one.arm, one.against) == (other.arm, other.against)
        if same and _gain(one) * _gain(other) < 0:
            pair = f"{arm_words(results, one.arm)} minus {arm_words(results, one.against)}"
            found.append(f"{pair}: {_told(results, one)}, but {_told(results, other)}")
    if not found:
        n = plural(len(rows), "difference", "differences")
        return passed(
            "No pair of arms is better by one metric and worse by another, beyond noise, among those "
            f"compared by both ({n} in all)."
        )
    return Outcome(
        "warning",
        f"Metrics contradict each other beyond noise: {named(found, '; ')}.",
        f"Decide by {metric_words(results, results.primary_metric)}, which was declared beforehand; show "
        "both, and say whose question each answers.",
    )


def _told(results: Results, d: Difference) -> str:
    within = f"{signed(d.low)} to {signed(d.high)}"
    return f"{metric_words(results, d.metric)} {signed(d.value)} (95% interval {within})"


def _gain(d: Difference) -> float:
    """The difference, positive where the first arm is better."""
    return d.value if define(d.metric).better == "higher" else -d.value


def order_at_thresholds(results: Results) -> Outcome:
    """MR006: pairs whose shown order by macro F1 turns round at nested thresholds per class."""
    if nothing := _nothing_to_order(results):
        return nothing
    assert results.comparison is not None
    tuned = {
        arm.name: value
        for arm in results.arms
        if (part := arm.part("test")) is not None
        for rule in part.rules
        if rule.rule == "thresholds" and (value := rule.values["macro_f1"].value) is not None
    }
    rows = [
        d
        for d in results.comparison.differences
        if d.metric == "macro_f1" and d.arm in tuned and d.against in tuned
    ]
    if not rows:
        return absent(
            "No two arms have thresholds per class that were tuned without the scored cases."
        )
    shown = [d for d in rows if excludes(d.value, d.low, d.high, 0, len(rows), d.df)]
    turned = [d for d in shown if d.value * (tuned[d.arm] - tuned[d.against]) < 0]
    if not turned:
        n = plural(len(shown), "pair", "pairs")
        kept = (
            f"keep their order at tuned thresholds ({n})"
            if shown
            else "are too alike to have an order"
        )
        return passed(f"Arms that differ in macro F1 {kept}.")
    said = [
        f"{arm_words(results, d.arm)} minus {arm_words(results, d.against)} {signed(d.value)} by the "
        f"largest probability, {signed(tuned[d.arm] - tuned[d.against])} at thresholds"
        for d in sorted(turned, key=lambda d: -abs(d.value))
    ]
    return Outcome(
        "warning",
        f"The order by macro F1 turns round once thresholds are tuned: {named(said, '; ')}.",
        "Do not credit the training with it: a correction that thresholds replace moves the operating "
        "point. Compare arms at tuned thresholds, or by a metric of ranks such as macro AUC.",
    )


def order_by_seed(results: Results) -> Outcome:
    """MR007: in how many seeds the arm that is best on average is the best; a description, no test."""
    if nothing := _nothing_to_order(results):
        return nothing
    comparison = results.comparison
    assert comparison is not None
    if comparison.n_seeds < SEEDS_TO_RANK:
        return absent("With one training seed per arm, nothing is known of other seeds.")
    metric = results.primary_metric
    rows = [d for d in comparison.differences if d.metric == metric and d.by_seed]
    against = rows[0].against if rows else ""
    rows = [d for d in rows if d.against == against]
    if not rows:
        return absent("Differences by seed are missing; score these results again.")
    sign = 1 if define(metric).better == "higher" else -1
    names = [arm_words(results, against), *(arm_words(results, d.arm) for d in rows)]
    by_seed = sign * np.array([[0.0] * len(rows[0].by_seed), *(d.by_seed for d in rows)])
    best = int(by_seed.mean(axis=1).argmax())
    n = by_seed.shape[1]
    wins = int((by_seed[best] >= by_seed.max(axis=0) - 1e-12).sum())
    if wins == n:
        return passed(
            f"{names[best]} has the best {metric_words(results, metric)} with all {n} seeds."
        )
    return Outcome(
        "note",
        f"{names[best]} has the best {metric_words(results, metric)} on average, but with only {wins} of "
        f"{n} training seeds.",
        "Name no winner from a single seed. The finding about each pair allows for this; more seeds make "
        "it surer.",
    )


def _nothing_to_order(results: Results) -> Outcome | None:
    """Why arms have no order here."""
    if results.data.synthetic:
        return absent(_SYNTHETIC)
    return absent(_ALONE) if results.comparison is None else None
