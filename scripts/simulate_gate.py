"""Error rates of the gate against an earlier run: PASS at a true loss of exactly the margin, and its power.

Cases, class mix, groups and trainings are drawn anew in every simulation (``populations``). A worse method
sees the classes less well; how much less is found by bisection on a large sample. Every outcome is that of
the functions that a check uses. In the regime "anew" two models share half of the case noise, as after a new
training; in "few" they share nearly all of it, so that few answers differ but those that were lost.

    python scripts/simulate_gate.py [--simulations 300] [--only PART] [--metric NAME] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from populations import Population, make

from milkreport.checks.earlier import decide_pair
from milkreport.checks.verdict import Status
from milkreport.evaluation.calibration import case_log_loss
from milkreport.evaluation.definitions import DEFINITIONS
from milkreport.evaluation.metrics import confusion_counts, score_confusion
from milkreport.evaluation.paired_runs import describe_runs
from milkreport.evaluation.pools import CaseFacts
from milkreport.evaluation.predictions import Predictions
from milkreport.evaluation.ranking import score_ranking
from milkreport.runs.frozen import margin_for

SIZES = (30, 50, 100, 200, 1038, 5189)
METRICS = ("accuracy", "macro_f1", "macro_auc", "log_loss")
#: Name to population, seeds, standard deviation of training, share of the case noise that is a model's own.
SITUATIONS: dict[str, tuple[str, int, float, float]] = {
    "2 classes, anew": ("middling, 2 classes, 20%", 1, 0.0, 0.5),
    "2 classes, few": ("strong, 2 classes, 20%", 1, 0.0, 0.02),
    "11 classes, anew": ("middling, 11 classes", 1, 0.0, 0.5),
    "11 classes, few": ("strong, 11 classes", 1, 0.0, 0.02),
    "2 classes, groups": ("middling, 2 classes, 20%, strongly alike groups", 1, 0.0, 0.5),
    "11 classes, groups": ("middling, 11 classes, strongly alike groups", 1, 0.0, 0.5),
    "2 classes, five seeds": ("middling, 2 classes, 20%", 5, 0.1, 0.5),
    "11 classes, five seeds": ("middling, 11 classes", 5, 0.1, 0.5),
    "2 classes, groups, five seeds": (
        "middling, 2 classes, 20%, strongly alike groups", 5, 0.1, 0.5,
    ),
    "11 classes, groups, five seeds": (
        "middling, 11 classes, strongly alike groups", 5, 0.1, 0.5,
    ),
}  # fmt: skip


def weaken(population: Population, strength: float) -> Population:
    """A method whose log odds of the true class are lower by *strength*."""
    k = len(population.classes)
    return replace(population, log_odds=population.log_odds - strength * np.eye(k), truths={})


def true_value(population: Population, metric: str) -> float:
    """The metric in a large sample, mean over trainings; the same draws whatever the method."""
    n, trainings = (400_000, 1) if not population.training_noise else (30_000, 12)
    rng = np.random.default_rng(11)
    found = []
    for _ in range(trainings):
        cases = population.draw_cases(n, rng)
        p = population.answer(cases, population.train(rng), rng)
        if metric == "macro_auc":
            found.append(float(score_ranking(p.truth, p.probabilities)[0].mean()))
        elif metric == "log_loss":
            found.append(float(case_log_loss(p.truth, p.probabilities).mean()))
        else:
            counts = confusion_counts(p.truth, p.predicted, len(p.classes))
            found.append(float(score_confusion(counts)[metric]))
    return float(np.mean(found))


def find_worse(population: Population, metric: str, loss: float) -> Population:
    """The weaker method whose true loss is *loss*, by bisection."""
    sign = 1 if DEFINITIONS[metric].better == "higher" else -1
    best = true_value(population, metric)
    low, high = 0.0, 4.0
    for _ in range(11):
        middle = (low + high) / 2
        found = sign * (best - true_value(weaken(population, middle), metric))
        low, high = (middle, high) if found < loss else (low, middle)
    return weaken(population, (low + high) / 2)


def check(
    before: Population, after: Population, n: int, seeds: int, metric: str, margin: float, rng
) -> Status:
    """The outcome for one draw of cases and trainings."""
    cases = before.draw_cases(n, rng)
    one, other = (
        {(s, 0): method.answer(cases, method.train(rng), rng) for s in range(seeds)}
        for method in (after, before)
    )
    first: Predictions = one[0, 0]
    groups = {}
    if cases.groups is not None:
        groups = dict(zip(first.case_ids.tolist(), map(str, cases.groups), strict=True))
    pair = describe_runs(one, other, [(metric, "")], CaseFacts(groups=groups))
    (value,) = pair.values
    if value.bounds is None:
        return Status.NOT_CHECKED
    better = DEFINITIONS[metric].better
    return decide_pair(pair, value.bounds, metric, "", margin, better)[0]


def simulate(name: str, metric: str, sizes: tuple[int, ...], simulations: int, keep) -> None:
    """Shares of outcomes at no loss, at a loss of the margin and of three margins."""
    where, seeds, noise, own = SITUATIONS[name]
    population = replace(make(where), training_noise=noise, own_noise=own, truths={})
    margin = margin_for(metric)[0]
    methods = {
        "equal": population,
        "at the margin": find_worse(population, metric, margin),
        "three margins": find_worse(population, metric, 3 * margin),
    }
    for n in sizes:
        found: dict[str, Any] = {}
        # Below 72 cases nothing passes; only the margin itself needs many simulations.
        many = simulations // (4 if n < 72 else 2 if n > 5000 else 1)
        for word, method in methods.items():
            rng = np.random.default_rng([n, seeds, len(name)])
            times = many if word == "at the margin" else max(many // 4, 1)
            outcomes = [
                check(population, method, n, seeds, metric, margin, rng) for _ in range(times)
            ]
            found[word] = {
                str(s): round(outcomes.count(s) / times, 3) for s in Status if s in outcomes
            }
        keep(f"{name}; {metric}; {n}", found)


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulations", type=int, default=300)
    parser.add_argument("--only", default="", help="part of a situation's name")
    parser.add_argument("--metric", choices=METRICS)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results: dict[str, Any] = {}

    def keep(key: str, found: dict[str, Any]) -> None:
        results[key] = found
        print(f"{key:50} {json.dumps(found)}", flush=True)
        if arguments.out:
            arguments.out.write_text(json.dumps(results, indent=1) + "\n")

    for name in SITUATIONS:
        for metric in [arguments.metric] if arguments.metric else METRICS:
            if arguments.only in name:
                simulate(name, metric, tuple(arguments.sizes), arguments.simulations, keep)


if __name__ == "__main__":
    main()
