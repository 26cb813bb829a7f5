"""Error rates of the gate against an earlier run: PASS at a true loss of exactly the margin, and its power.

Cases, class mix, groups and trainings are drawn anew in every simulation (``populations``). A worse method
sees the classes less well; how much less is found on a large sample. Every outcome is that of
the functions that a check uses. In the regime "anew" two models share half of the case noise, as after a new
training; in "few" they share nearly all of it, so that few answers differ but those that were lost.

    python scripts/simulate_gate.py [--simulations 300] [--only PART] [--metric NAME] [--out FILE]
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from found import Found
from populations import Population, make
from scipy.optimize import brentq

from milkreport.checks.earlier import decide_pair
from milkreport.checks.evidence import lacking
from milkreport.checks.verdict import Status, decide
from milkreport.evaluation.metrics.calibration import case_log_loss
from milkreport.evaluation.metrics.confusion import confusion_counts, score_confusion
from milkreport.evaluation.metrics.definitions import DEFINITIONS
from milkreport.evaluation.metrics.ranking import score_ranking
from milkreport.evaluation.paired_runs import describe_runs
from milkreport.evaluation.pooled_predictions import CaseFacts
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.gate.frozen import margin_for

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


def draw_many(population: Population) -> list[Predictions]:
    """A large sample by each of some trainings, from which true values are taken."""
    n = 1_000_000 if len(population.classes) < 5 else 500_000
    n, trainings = (n, 1) if not population.training_noise else (n // 12, 12)
    rng = np.random.default_rng(11)
    return [
        population.answer(population.draw_cases(n, rng), population.train(rng), rng)
        for _ in range(trainings)
    ]


def true_value(drawn: list[Predictions], metric: str, strength: float) -> float:
    """The metric in a large sample, mean over trainings, if the method were weaker by *strength*."""
    found = []
    for p in drawn:
        values = p.probabilities.copy()
        values[np.arange(len(values)), p.truth] *= np.exp(-strength)
        values /= values.sum(axis=1, keepdims=True)
        if metric == "macro_auc":
            found.append(float(score_ranking(p.truth, values)[0].mean()))
        elif metric == "log_loss":
            found.append(float(case_log_loss(p.truth, values).mean()))
        else:
            counts = confusion_counts(p.truth, values.argmax(axis=1), len(p.classes))
            found.append(float(score_confusion(counts)[metric]))
    return float(np.mean(found))


def find_worse(
    population: Population, drawn: list[Predictions], metric: str, loss: float
) -> Population:
    """The weaker method whose true loss is *loss*: a root, on the same cases whatever the method."""
    sign = 1 if DEFINITIONS[metric].better == "higher" else -1
    best = true_value(drawn, metric, 0.0)

    def excess(strength: float) -> float:
        return sign * (best - true_value(drawn, metric, strength)) - loss

    return weaken(population, brentq(excess, 0.0, 4.0, xtol=1e-3))


def check(
    before: Population, after: Population, n: int, seeds: int, metric: str, margin: float, rng
) -> tuple[Status, Status]:
    """The outcome for one draw of cases and trainings, and what the interval alone would say."""
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
        return Status.NOT_CHECKED, Status.NOT_CHECKED
    better = DEFINITIONS[metric].better
    outcome = decide_pair(pair, value.bounds, metric, "", margin, better)[0]
    return outcome, decide(*value.bounds, margin, better)[0]


def simulate(name: str, metric: str, sizes: tuple[int, ...], simulations: int, keep) -> None:
    """Shares of outcomes at no loss, at a loss of the margin and of three margins."""
    where, seeds, noise, own = SITUATIONS[name]
    population = replace(make(where), training_noise=noise, own_noise=own, truths={})
    margin, drawn = margin_for(metric)[0], draw_many(population)
    methods = {
        "equal": population,
        "at the margin": find_worse(population, drawn, metric, margin),
        "three margins": find_worse(population, drawn, metric, 3 * margin),
    }
    del drawn
    for n in sizes:
        found: dict[str, Any] = {}
        # Few simulations do where not even twice the cases could pass, and away from the margin.
        mix = {str(c): round(2 * n * share) for c, share in enumerate(population.classes)}
        hopeless = lacking(metric, margin, 2 * n, mix)
        many = simulations // (4 if hopeless else 2 if n > 5000 else 1)
        for word, method in methods.items():
            rng = np.random.default_rng([n, seeds, len(name)])
            times = many if word == "at the margin" else max(many // 4, 1)
            outcomes = [
                check(population, method, n, seeds, metric, margin, rng) for _ in range(times)
            ]
            found[word] = {
                str(s): round(sum(o is s for o, _ in outcomes) / times, 3)
                for s in Status
                if any(o is s for o, _ in outcomes)
            }
            alone = sum(o is Status.PASS for _, o in outcomes) / times
            found[word]["PASS by the interval alone"] = round(alone, 3)
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
    keep = Found(arguments.out).keep
    for name in SITUATIONS:
        for metric in [arguments.metric] if arguments.metric else METRICS:
            if arguments.only in name:
                simulate(name, metric, tuple(arguments.sizes), arguments.simulations, keep)


if __name__ == "__main__":
    main()
