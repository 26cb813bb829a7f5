"""How often our intervals cover, and how often a comparison of equals claims a difference.

Populations with known truth: each case of a class is answered by chance with the shares of a confusion
matrix, so that every metric's true value follows from the shares. Two models: the paper's third (weighted
sampler), and one that is right more often. Two sizes: the paper's test part, and the whole data out of fold.
Everything is computed by the functions that a report uses.

Prints one JSON object; ``docs/statistics.md`` holds its figures.

    python scripts/simulate_statistics.py [--simulations 1000] [--only coverage|auc|alarms|run] [--run RUN]

``--run``: a run of one arm with many seeds, whose trained models stand in for equal arms: every two seeds,
and random halves of five against five.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

from milkreport.checks.audit_matrices import audit_matrices
from milkreport.checks.reference import load_reference
from milkreport.evaluation.compare import compare_arms, is_shown
from milkreport.evaluation.estimates import estimate
from milkreport.evaluation.measures import Plan, measure_resamples
from milkreport.evaluation.metrics import score_classes, score_confusion, score_labels
from milkreport.evaluation.pools import CaseFacts, Pool
from milkreport.evaluation.predictions import Predictions
from milkreport.evaluation.ranking import score_ranking
from milkreport.evaluation.resampling import (
    bootstrap_weights,
    percentile_interval,
    resampled_confusion,
)
from milkreport.evaluation.summarise import summarise_pool
from milkreport.runs.checking import load_test_predictions
from milkreport.runs.folder import RunFolder

WHOLE = np.array([303, 2518, 43, 541, 52, 49, 9, 444, 712, 473, 45])
N_RESAMPLES = 1000
OVERALL = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "mcc", "kappa")
BANDS = ((1, 4), (5, 9), (10, 19), (20, 49), (50, 99), (100, 10_000))


def shares(strong: bool) -> tuple[np.ndarray, np.ndarray]:
    """Share of each answer by true class, (11, 11), rows summing to 1; and the paper's test support."""
    matrices, _ = audit_matrices(load_reference("paper"))
    counts = matrices["sampler", "test"].counts.astype(float)
    p = (counts + 0.2) / (counts + 0.2).sum(axis=1, keepdims=True)
    return (0.55 * np.eye(11) + 0.45 * p if strong else p), counts.sum(axis=1).astype(int)


def answer(truth: np.ndarray, p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One answer a case, by the shares of its class."""
    reached = p.cumsum(axis=1)[truth]
    return np.minimum((rng.random((len(truth), 1)) > reached).sum(axis=1), p.shape[1] - 1)


def cover(p: np.ndarray, support: np.ndarray, n: int, rng: np.random.Generator) -> dict[str, Any]:
    """Share of 95% intervals that hold the true value: overall metrics, and class metrics by support."""
    truth = np.repeat(np.arange(11), support)
    expected = p * support[:, None]
    true_overall, true_class = score_confusion(expected), score_classes(expected)
    hits: dict[str, list[bool]] = {}
    by_class: dict[tuple[str, int], list[bool]] = {}
    weights = None
    for i in range(n):
        if i % 25 == 0:
            (weights,) = bootstrap_weights(truth, N_RESAMPLES, rng)
        assert weights is not None
        p_one = one_hot(truth, answer(truth, p, rng))
        pool = Pool("test", {0: p_one}, 1, {0: measure_resamples(p_one, weights)})
        found = summarise_pool(pool, Plan(), CaseFacts())
        for name in OVERALL:
            e = found.metrics[name]
            hits.setdefault(name, []).append(e.low <= true_overall[name] <= e.high)
        drawn = score_confusion(resampled_confusion(truth, p_one.predicted, 11, weights))
        low, high = percentile_interval(drawn["macro_f1"]) or (np.nan, np.nan)
        inside = low <= true_overall["macro_f1"] <= high
        hits.setdefault("macro_f1, were it by bootstrap", []).append(inside)
        for c, row in enumerate(found.classes):
            for name, (low, high) in row.intervals.items():
                if name in true_class:
                    covered = low <= true_class[name][c] <= high
                    by_class.setdefault((name, c), []).append(covered)
    return {
        "overall": {name: round(float(np.mean(values)), 3) for name, values in hits.items()},
        "classes": {
            name: {
                f"{low}-{high}": round(float(np.mean(np.concatenate(found))), 3)
                for low, high in BANDS
                if (
                    found := [
                        by_class[name, c]
                        for c in range(11)
                        if low <= support[c] <= high and (name, c) in by_class
                    ]
                )
            }
            for name in ("f1", "recall", "precision", "specificity")
        },
    }


def cover_auc(support: np.ndarray, n: int, rng: np.random.Generator) -> dict[str, float]:
    """The same for the AUC of scores that are normal, moved by 1 for the true class."""
    truth = np.repeat(np.arange(11), support)

    def draw(labels: np.ndarray) -> np.ndarray:
        return rng.normal(size=(len(labels), 11)) + np.eye(11)[labels]

    large = np.repeat(np.arange(11), 20_000)
    # One class against each other class is the same problem whatever the mix: N(1, 1) against N(0, 1).
    true_auc = float(np.nanmean(score_ranking(large, draw(large))[0]))
    macro, plain, by_class = [], [], []
    for _ in range(n):
        scores = draw(truth)
        shifted = scores - scores.min()
        values = shifted / shifted.max() / 11  # ranks kept, as scores from 0 to 1
        p = Predictions(one_hot(truth, truth).case_ids, truth, values, tuple("ABCDEFGHIJK"))
        (weights,) = bootstrap_weights(truth, 300, rng)
        measured = measure_resamples(p, weights)
        part = summarise_pool(Pool("test", {0: p}, 1, {0: measured}), Plan(), CaseFacts())
        found = part.metrics["macro_auc"]
        macro.append(found.low <= true_auc <= found.high)
        low, high = percentile_interval(measured.overall["macro_auc"]) or (np.nan, np.nan)
        plain.append(low <= true_auc <= high)
        by_class.append(
            [row.intervals["auc"][0] <= true_auc <= row.intervals["auc"][1] for row in part.classes]
        )
    share = np.mean(by_class, axis=0)
    rows = {f"{support[c]} cases": round(float(share[c]), 3) for c in np.argsort(support)}
    averages = {"macro": np.mean(macro), "macro, were it by bootstrap": np.mean(plain)}
    return {name: round(float(value), 3) for name, value in averages.items()} | rows


def one_hot(truth: np.ndarray, given: np.ndarray) -> Predictions:
    """Answers as predictions."""
    ids = np.array([f"c{i:06d}" for i in range(len(truth))])
    return Predictions(ids, truth, np.eye(11)[given], tuple("ABCDEFGHIJK"))


def alarms(support: np.ndarray, p: np.ndarray, n: int, rng: np.random.Generator) -> dict[str, Any]:
    """Share of comparisons of equal arms that show a difference in macro F1.

    ``noise``: standard deviation of the random change of log odds that a training makes to the shares.
    """
    truth = np.repeat(np.arange(11), support)

    def train(noise: float) -> np.ndarray:
        logits = np.log(p) + noise * rng.normal(size=p.shape)
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)

    def compare(n_arms: int, seeds: int, noise: float) -> tuple[bool, bool, bool]:
        arms = {
            f"arm {a}": {
                (s, 0): one_hot(truth, answer(truth, train(noise), rng)) for s in range(seeds)
            }
            for a in range(n_arms)
        }
        comparison = compare_arms(arms, "macro_f1")
        assert comparison is not None
        rows = [d for d in comparison.differences if d.p is not None]
        apart = any(d.low > 0 or d.high < 0 for d in rows)
        return any(map(is_shown, rows)), any((d.p_holm or 1) < 0.05 for d in rows), apart

    found = {}
    for name, n_arms, seeds, noise in (
        ("2 arms, 1 seed, no training noise", 2, 1, 0.0),
        ("3 arms, 1 seed, no training noise", 3, 1, 0.0),
        *((f"2 arms, {s} seeds, training noise", 2, s, 0.3) for s in (1, 2, 3, 5, 10)),
    ):
        rates = np.mean([compare(n_arms, seeds, noise) for _ in range(n)], axis=0)
        names = ("shown", "p below 0.05", "interval without 0")
        found[name] = dict(zip(names, rates.round(4).tolist(), strict=True))
        print(name, found[name], flush=True)
    seeds = [
        score_labels(truth, answer(truth, train(0.3), rng), 11).metrics["macro_f1"]
        for _ in range(200)
    ]
    fixed = [score_labels(truth, answer(truth, p, rng), 11).metrics["macro_f1"] for _ in range(200)]
    found["sd of macro F1 with and without training noise"] = [
        float(np.std(seeds)), float(np.std(fixed)),
    ]  # fmt: skip
    return found


def alarms_of_run(path: Path, rng: np.random.Generator) -> dict[str, Any]:
    """Trained models of one arm as equal arms."""
    folder = RunFolder(path)
    results = folder.load_results()
    ((_, cells),) = load_test_predictions(folder, results).items()
    seeds = sorted({seed for seed, _ in cells})

    def shown(one: list[int], other: list[int]) -> bool:
        arms = {
            name: {(i, 0): cells[s, 0] for i, s in enumerate(mine)}
            for name, mine in (("one", one), ("other", other))
        }
        comparison = compare_arms(arms, "macro_f1")
        assert comparison is not None
        return any(is_shown(d) for d in comparison.differences if d.p is not None)

    pairs = [shown([a], [b]) for a, b in itertools.combinations(seeds, 2)]
    halves = []
    for _ in range(100):
        mixed = rng.permutation(seeds).tolist()
        halves.append(shown(mixed[:5], mixed[5:10]))
    values = [score_labels(c.truth, c.predicted, 11).metrics["macro_f1"] for c in cells.values()]
    found = estimate([float(v or 0) for v in values])
    return {
        "seeds": len(seeds),
        "macro F1, mean and SD over seeds": [found.value, found.seed_sd],
        "one seed against one": {"pairs": len(pairs), "shown": float(np.mean(pairs))},
        "five seeds against five": {"splits": len(halves), "shown": float(np.mean(halves))},
    }


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--only", choices=["coverage", "auc", "alarms", "run"], default="")
    parser.add_argument("--run", type=Path)
    arguments = parser.parse_args()
    n, rng, found = arguments.simulations, np.random.default_rng(0), {}
    if arguments.only in ("", "coverage"):
        for strong in (False, True):
            p, support = shares(strong)
            for cases in (support, WHOLE):
                name = f"coverage, {'stronger' if strong else 'paper'}, {cases.sum()} cases"
                found[name] = cover(p, cases, n, rng)
                print(name, json.dumps(found[name]), flush=True)
    if arguments.only in ("", "auc"):
        found["coverage, AUC, 1038 cases"] = cover_auc(shares(False)[1], n, rng)
    if arguments.only in ("", "alarms"):
        p, support = shares(True)
        found["false alarms, 1038 cases"] = alarms(support, p, n, rng)
    if arguments.run:
        found["false alarms of trained models"] = alarms_of_run(arguments.run, rng)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
