"""The bootstrap of a comparison: ours on counts and matrix products, beside a loop over scikit-learn.

1,106 cases of 11 classes (as the paper's test part, no class below 20, so that no resample loses one), three
arms of random predictions, 10,000 resamples of the cases as they come: every metric of the confusion matrix,
by class and averaged, the macro AUC, and the paired differences of all pairs of arms. Ours also draws average
precision, log loss, Brier score and top-k, which the loop does not. The loop does its first resamples only
(``--loop``), each with the very weights that ours has; its values must agree, and its time is scaled to all.

Prints a table and, as its last line, one JSON object: ``seconds`` of ours, ``ratio_sklearn``, ``resamples``,
``difference``, the largest between both of what follows from answers, and ``difference_auc``, that of the
macro AUC, which ours resamples to first order.

    python benchmarks/bootstrap.py [--resamples 10000] [--loop 20]
"""

from __future__ import annotations

import argparse
import itertools
import json
import time

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    confusion_matrix,
    matthews_corrcoef,
    precision_recall_fscore_support,
    roc_auc_score,
)

from milkreport.evaluation.intervals.resampling import bootstrap_weights
from milkreport.evaluation.metrics.measures import Measured, Plan, draw
from milkreport.evaluation.reading.predictions import Predictions

SUPPORT = (64, 527, 20, 112, 20, 20, 20, 83, 122, 98, 20)
CLASSES = tuple("ABCDEFGHIJK")
ARMS = ("one", "two", "three")


def make_arms() -> dict[str, dict[int, Predictions]]:
    """Three arms of random predictions of the same cases, better than chance."""
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.repeat(np.arange(11), SUPPORT))
    ids = np.array([f"case{i:05d}" for i in range(len(truth))])
    arms = {}
    for arm in ARMS:
        logits = rng.normal(size=(len(truth), 11)) + 1.5 * np.eye(11)[truth]
        p = np.exp(logits)
        arms[arm] = {0: Predictions(ids, truth, p / p.sum(axis=1, keepdims=True), CLASSES)}
    return arms


def ours(arms: dict[str, dict[int, Predictions]], n: int) -> dict[str, dict[int, Measured]]:
    """All resamples, with the intervals of every value and every paired difference."""
    draws = draw(arms, Plan(n_resamples=n))
    for values in ({arm: draws[arm][0].overall for arm in ARMS},):
        for name in values[ARMS[0]]:
            for arm in ARMS:
                np.percentile(values[arm][name], [2.5, 97.5])
            for one, other in itertools.combinations(ARMS, 2):
                np.percentile(values[one][name] - values[other][name], [2.5, 97.5])
    return draws


def loop(arms: dict[str, dict[int, Predictions]], n: int, of: int) -> list[dict[str, list[float]]]:
    """The first *n* of *of* resamples by scikit-learn: name to a value an arm."""
    first = arms[ARMS[0]][0]
    weights = next(bootstrap_weights(len(first.truth), of))[:n]
    rows = []
    for row in weights:
        picks = np.repeat(np.arange(len(row)), row.astype(int))
        found: dict[str, list[float]] = {}
        for arm in ARMS:
            p = arms[arm][0]
            truth, answer = p.truth[picks], p.predicted[picks]
            averages = {
                kind: precision_recall_fscore_support(
                    truth, answer, labels=range(11), average=kind, zero_division=0
                )
                for kind in ("macro", "weighted", None)
            }
            table = confusion_matrix(truth, answer, labels=range(11))
            others = len(truth) - table.sum(axis=1)
            specificity = 1 - (table.sum(axis=0) - np.diag(table)) / others
            values = {
                "accuracy": accuracy_score(truth, answer),
                "balanced_accuracy": balanced_accuracy_score(truth, answer),
                "macro_precision": averages["macro"][0],
                "macro_f1": averages["macro"][2],
                "weighted_f1": averages["weighted"][2],
                "macro_specificity": specificity.mean(),
                "mcc": matthews_corrcoef(truth, answer),
                "kappa": cohen_kappa_score(truth, answer),
                "macro_auc": roc_auc_score(truth, p.probabilities[picks], multi_class="ovr"),
            }
            for name, value in values.items():
                found.setdefault(name, []).append(float(value))
        for values_by_arm in found.values():
            [a - b for a, b in itertools.combinations(values_by_arm, 2)]
        rows.append(found)
    return rows


def main() -> None:
    """Time both and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--loop", type=int, default=20)
    arguments = parser.parse_args()
    arms = make_arms()
    ours(arms, 10)  # imports and threads
    begun = time.perf_counter()
    draws = ours(arms, arguments.resamples)
    seconds = time.perf_counter() - begun
    begun = time.perf_counter()
    rows = loop(arms, arguments.loop, arguments.resamples)
    each = (time.perf_counter() - begun) / arguments.loop
    gaps = [
        (name, abs(value - draws[arm][0].overall[name][i]))
        for i, row in enumerate(rows)
        for name, values in row.items()
        for arm, value in zip(ARMS, values, strict=True)
    ]
    difference = max(gap for name, gap in gaps if name != "macro_auc")
    difference_auc = max(gap for name, gap in gaps if name == "macro_auc")
    whole = each * arguments.resamples
    print(f"ours: {arguments.resamples:,} resamples of 3 arms in {seconds:.2f} s")
    print(
        f"loop: {1000 * each:.1f} ms a resample, {whole:.0f} s for all; differs by {difference:.1e}"
    )
    said = {
        "seconds": round(seconds, 3),
        "ratio_sklearn": round(whole / seconds, 1),
        "resamples": arguments.resamples,
        "difference": difference,
        "difference_auc": round(float(difference_auc), 5),
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
