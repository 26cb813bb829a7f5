"""How often a comparison of equal methods claims a difference, how often unequal ones are told apart, and how
often the interval of an arm with several seeds holds the method's value.

Cases, class mix, groups and trainings are drawn anew in every simulation (``populations``), in two regimes:
the noise of the cases dominates, or that of training. Everything is computed by the functions that a report
uses.

    python scripts/simulate_comparisons.py [--simulations 300] [--only PART] [--out FILE] [--metric macro_f1]
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from found import Found
from populations import Population, make

from milkreport.evaluation.compare import compare_pools, find, is_shown
from milkreport.evaluation.intervals.bounds import bound_model
from milkreport.evaluation.intervals.estimates import estimate
from milkreport.evaluation.metrics.measures import Plan, draw, measure
from milkreport.evaluation.pooled_predictions import CaseFacts, pool_arms

#: Name to population, cases, training noise, and the seeds that are tried.
SITUATIONS: dict[str, tuple[str, int, float, tuple[int, ...]]] = {
    "cases dominate, 11 classes": ("middling, 11 classes", 1038, 0.05, (1, 2, 3, 5, 10)),
    "training dominates, 11 classes": ("middling, 11 classes", 5189, 0.6, (2, 3, 5, 10)),
    "training dominates more, 11 classes": ("middling, 11 classes", 5189, 1.0, (2, 3, 5, 10)),
    "cases dominate, strong, 11 classes": ("strong, 11 classes", 1038, 0.05, (1, 2, 5)),
    "both, 11 classes": ("middling, 11 classes", 1038, 0.3, (2, 3, 5, 10)),
    "cases dominate, 2 classes": ("middling, 2 classes, 20%", 300, 0.05, (1, 2, 5)),
    "training dominates, 2 classes": ("middling, 2 classes, 20%", 1000, 0.5, (2, 5)),
    "few cases, 2 classes": ("middling, 2 classes, 20%", 50, 0.05, (1, 2, 5)),
    "rare class, 2 classes": ("middling, 2 classes, 5%", 300, 0.1, (1, 2, 5)),
    "groups, 11 classes": ("middling, 11 classes, strongly alike groups", 1038, 0.1, (1, 2, 5)),
    "groups, 2 classes": ("middling, 2 classes, 20%, strongly alike groups", 300, 0.1, (1, 2, 5)),
    "30 classes": ("middling, 30 classes", 1000, 0.1, (1, 2, 5)),
}


def compare(
    population: Population,
    n: int,
    seeds: int,
    methods: list[Population],
    metric: str,
    rng: np.random.Generator,
    margin: float | None = None,
):
    """One comparison of *methods* on new cases, with new trainings of each."""
    cases = population.draw_cases(n, rng)
    arms = {
        f"arm {i}": {(s, 0): method.answer(cases, method.train(rng), rng) for s in range(seeds)}
        for i, method in enumerate(methods)
    }
    first = next(iter(arms["arm 0"].values()))
    groups = (
        {}
        if cases.groups is None
        else dict(zip(first.case_ids, map(str, cases.groups), strict=True))
    )
    facts, plan = CaseFacts(groups=groups), Plan(primary=metric, n_resamples=500, margin=margin)
    found = compare_pools(pool_arms(arms, "test", plan, facts), plan, facts)
    assert found is not None
    return [d for d in found.differences if d.metric == metric]


def alarms(
    name: str, n: int, noise: float, seeds: int, metric: str, simulations: int, n_arms: int = 2
) -> dict[str, float]:
    """Shares of comparisons of equal methods that show a difference, and whose interval excludes 0."""
    population = replace(make(name), training_noise=noise)
    rng = np.random.default_rng([n, seeds, n_arms])
    shown, apart = [], []
    for _ in range(simulations):
        rows = compare(population, n, seeds, [population] * n_arms, metric, rng)
        shown.append(any(map(is_shown, rows)))
        apart.append(any(d.low > 0 or d.high < 0 for d in rows))
    return {
        "shown": round(float(np.mean(shown)), 3),
        "interval without 0": round(float(np.mean(apart)), 3),
    }


def power(
    name: str, n: int, noise: float, seeds: int, metric: str, simulations: int, gain: float
) -> dict[str, float]:
    """Shares of comparisons with a better method that find it, and whose interval holds the difference."""
    population = replace(make(name), training_noise=noise)
    better = replace(
        population, log_odds=population.log_odds + gain * np.eye(len(population.classes))
    )
    rng = np.random.default_rng([n, seeds, 7])
    true = true_value(better, metric) - true_value(population, metric)
    shown, held = [], []
    for _ in range(simulations):
        (row,) = compare(population, n, seeds, [population, better], metric, rng)
        shown.append(is_shown(row))
        held.append(row.low <= true <= row.high)
    return {
        "true difference": round(true, 4),
        "found": round(float(np.mean(shown)), 3),
        "interval holds it": round(float(np.mean(held)), 3),
    }


def true_value(population: Population, metric: str, trainings: int = 60, n: int = 20_000) -> float:
    """Mean over trainings of the metric in the population."""
    rng = np.random.default_rng(99)
    found = []
    for _ in range(trainings if population.training_noise else 10):
        cases = population.draw_cases(n, rng)
        found.append(
            float(measure(population.answer(cases, population.train(rng), rng)).overall[metric])
        )
    return float(np.mean(found))


def equivalence(name: str, n: int, seeds: int, margin: float, simulations: int) -> dict[str, float]:
    """How often methods that differ by just the margin, and equal ones, are called equivalent (accuracy)."""
    population = make(name)
    gain = 0.0
    base = true_value(population, "accuracy")
    for gain in np.linspace(0.02, 2, 100):
        better = replace(
            population, log_odds=population.log_odds + gain * np.eye(len(population.classes))
        )
        if true_value(better, "accuracy") - base >= margin:
            break
    rates = {}
    for word, other in (("at the margin", better), ("equal", population)):
        rng = np.random.default_rng(5)
        found = [
            find(compare(population, n, seeds, [population, other], "accuracy", rng, margin)[0])
            for _ in range(simulations)
        ]
        rates[word] = round(float(np.mean([f == "equivalent" for f in found])), 3)
    return rates


def cover_arm(
    name: str, n: int, noise: float, seeds: int, metric: str, simulations: int
) -> dict[str, float]:
    """How often the interval of one arm's mean over seeds holds the method's value."""
    population = replace(make(name), training_noise=noise)
    rng = np.random.default_rng([n, seeds, 3])
    true = true_value(population, metric, 400)
    low_miss, high_miss, widths = [], [], []
    for _ in range(simulations):
        cases = population.draw_cases(n, rng)
        mine = {s: population.answer(cases, population.train(rng), rng) for s in range(seeds)}
        draws = draw({"": mine}, Plan(n_resamples=400), cases.groups)[""]
        points = {s: measure(p) for s, p in mine.items()}
        ends = [
            bound_model(mine[s], points[s], draws[s], cases.groups).overall[metric] for s in mine
        ]
        e = estimate(
            [float(points[s].overall[metric]) for s in mine],
            [(float(a), float(b)) for a, b in ends],
            [draws[s].overall[metric] for s in mine],
        )
        low_miss.append(e.low > true)
        high_miss.append(e.high < true)
        widths.append(e.high - e.low)
    return {
        "covered": round(1 - float(np.mean(low_miss)) - float(np.mean(high_miss)), 3),
        "too high": round(float(np.mean(low_miss)), 3),
        "too low": round(float(np.mean(high_miss)), 3),
        "width": round(float(np.mean(widths)), 4),
    }


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulations", type=int, default=300)
    parser.add_argument("--only", default="", help="part of a situation's name")
    parser.add_argument(
        "--what", choices=["alarms", "power", "arms", "equivalence", ""], default=""
    )
    parser.add_argument("--metric", default="macro_f1")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    n, metric = arguments.simulations, arguments.metric
    keep = Found(arguments.out).keep
    for situation, (name, cases, noise, all_seeds) in SITUATIONS.items():
        if arguments.only not in situation:
            continue
        for seeds in all_seeds:
            key = f"{situation}; {seeds} seeds"
            if arguments.what in ("", "alarms"):
                keep(f"{key}; equal methods", alarms(name, cases, noise, seeds, metric, n))
            if arguments.what in ("", "power") and seeds in (1, 2, 5, 10):
                keep(f"{key}; a better method", power(name, cases, noise, seeds, metric, n, 0.3))
            if arguments.what in ("", "arms") and seeds > 1:
                keep(f"{key}; one arm", cover_arm(name, cases, noise, seeds, metric, n))
    if arguments.what in ("", "alarms") and arguments.only in "three arms":
        for seeds in (1, 5):
            found = alarms("middling, 11 classes", 1038, 0.1, seeds, metric, n, n_arms=3)
            keep(f"three arms, 11 classes; {seeds} seeds; equal methods", found)
    if arguments.what in ("", "equivalence"):
        for seeds in (1, 5):
            found = equivalence("middling, 2 classes, 20%", 1000, seeds, 0.03, n)
            keep(f"equivalence within 0.03; 1,000 cases; {seeds} seeds", found)


if __name__ == "__main__":
    main()
