"""Whether the planner's power is the share of differences that the analysis then shows.

Components are estimated from pilots on other numbers of cases and seeds than those planned for
(``populations`` draws cases and trainings). Then comparisons of two methods of a known difference are
simulated as in ``simulate_comparisons``, and those that show it are counted. ``docs/planning.md`` holds the
table.

    python scripts/simulate_plan.py [--simulations 400] [--only PART] [--out FILE]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from found import Found
from populations import Cases, Population, make
from simulate_comparisons import compare

from milkreport.evaluation.compare import is_shown
from milkreport.evaluation.metrics.measures import Plan, draw, measure
from milkreport.evaluation.planning.design import difference_at
from milkreport.evaluation.planning.noise import Components, estimate_components
from milkreport.evaluation.planning.power import power
from milkreport.evaluation.reading.predictions import Predictions


@dataclass(frozen=True)
class Labels(Population):
    """A population whose models give answers alone, which are scored much faster."""

    def answer(self, cases: Cases, model: np.ndarray, rng: np.random.Generator) -> Predictions:
        """A model's answers, one-hot."""
        p = super().answer(cases, model, rng)
        return replace(p, probabilities=np.eye(len(p.classes))[p.predicted])


@dataclass(frozen=True)
class Point:
    """A population and a better method, a pilot's cases, and what is planned: cases and seeds."""

    regime: str
    population: str
    training_noise: float
    gain: float
    metric: str
    pilot_cases: int
    cases: int
    seeds: int


MIDDLING, STRONG = "middling, 11 classes", "strong, 11 classes"
POINTS = [
    Point("cases", MIDDLING, 0.05, 0.4, "macro_f1", 2000, 1038, 1),
    Point("cases", MIDDLING, 0.05, 0.4, "macro_f1", 2000, 1038, 2),
    Point("cases", MIDDLING, 0.05, 0.3, "macro_f1", 2000, 1038, 5),
    Point("cases", STRONG, 0.05, 0.5, "macro_f1", 1038, 2500, 3),
    Point("cases", "middling, 2 classes, 20%", 0.05, 0.3, "accuracy", 1000, 300, 5),
    Point("cases", "middling, 3 classes", 0.05, 0.2, "macro_f1", 2000, 1000, 2),
    Point("training", MIDDLING, 0.6, 0.6, "macro_f1", 1038, 5189, 2),
    Point("training", MIDDLING, 0.6, 0.4, "macro_f1", 1038, 5189, 5),
    Point("training", "middling, 2 classes, 20%", 0.5, 0.6, "accuracy", 300, 1000, 5),
    Point("training", "middling, 3 classes", 0.5, 0.5, "macro_f1", 300, 1000, 3),
    Point("both", MIDDLING, 0.3, 0.4, "macro_f1", 1038, 1038, 3),
]


def pilot(
    methods: list[Population], metric: str, n: int, seeds: int, rng: np.random.Generator
) -> Components:
    """What a planner learns from *seeds* trainings of each method on *n* cases."""
    cases = methods[0].draw_cases(n, rng)
    arms = {
        str(i): {s: m.answer(cases, m.train(rng), rng) for s in range(seeds)}
        for i, m in enumerate(methods)
    }
    drawn = draw(arms, Plan(n_resamples=500), cases.groups)
    values = [[float(measure(p).overall[metric]) for p in arm.values()] for arm in arms.values()]
    draws = [[m.overall[metric] for m in arm.values()] for arm in drawn.values()]
    support = np.bincount(cases.truth, minlength=len(methods[0].classes)).tolist()
    return estimate_components(
        metric, np.array(values), np.moveaxis(np.array(draws), 2, 0), n, support
    )


def know(
    methods: list[Population], metric: str, n: int, rng: np.random.Generator, trainings: int = 150
) -> Components:
    """Components as they are: from three pilots, and many trainings more, which need no resamples."""
    pilots = [pilot(methods, metric, n, 8, rng) for _ in range(3)]
    spreads = []
    for _ in range(3):
        cases = methods[0].draw_cases(n, rng)
        for m in methods:
            drawn = (m.answer(cases, m.train(rng), rng) for _ in range(trainings))
            values = [float(measure(p).overall[metric]) for p in drawn]
            spreads.append(np.var(values, ddof=1))
    own, shared = (float(np.mean([getattr(p, name) for p in pilots])) for name in ("own", "shared"))
    update = {"own": own, "shared": shared, "training": max(float(np.mean(spreads)) - own, 0.0)}
    return pilots[0].model_copy(update=update)


def expect(
    methods: list[Population], metric: str, n: int, rng: np.random.Generator, draws: int = 1500
) -> float:
    """Expected difference of the second method from the first on *n* cases."""
    gaps = []
    for _ in range(draws):
        cases = methods[0].draw_cases(n, rng)
        first, second = (
            float(measure(m.answer(cases, m.train(rng), rng)).overall[metric]) for m in methods
        )
        gaps.append(second - first)
    return float(np.mean(gaps))


def try_point(point: Point, simulations: int) -> dict[str, float]:
    """Predicted power, by well-known components and by single small pilots, and the share that is shown."""
    base = make(point.population)
    base = Labels(**{f.name: getattr(base, f.name) for f in fields(base)})
    base = replace(base, training_noise=point.training_noise)
    better = replace(base, log_odds=base.log_odds + point.gain * np.eye(len(base.classes)))
    methods, metric = [base, better], point.metric
    rng = np.random.default_rng([point.pilot_cases, 12])
    true = expect(methods, metric, point.cases, rng)

    def predict(components: Components) -> float:
        return power(true, difference_at(components, point.cases, point.seeds))

    predicted = predict(know(methods, metric, point.pilot_cases, rng))
    small = [predict(pilot(methods, metric, point.pilot_cases, 3, rng)) for _ in range(20)]
    rng = np.random.default_rng([point.cases, point.seeds, 11])
    shown = [
        is_shown(compare(base, point.cases, point.seeds, methods, metric, rng)[0])
        for _ in range(simulations)
    ]
    return {
        "true difference": round(true, 4),
        "predicted": round(predicted, 3),
        "by a pilot of three seeds, low": round(float(np.quantile(small, 0.1)), 3),
        "by a pilot of three seeds, high": round(float(np.quantile(small, 0.9)), 3),
        "shown": round(float(np.mean(shown)), 3),
    }


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulations", type=int, default=400)
    parser.add_argument("--only", default="", help="part of a point's name")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    found = Found(arguments.out)
    for point in POINTS:
        key = f"{point.regime}; {point.population}; {point.metric}; {point.cases}; {point.seeds}"
        if arguments.only in key:
            found.keep(key, try_point(point, arguments.simulations))


if __name__ == "__main__":
    main()
