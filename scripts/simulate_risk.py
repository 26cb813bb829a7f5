"""How often the 95% intervals of the calibration of P(positive) hold the true value.

Cases, class mix and groups are drawn anew; risks are those of the populations' models, which are wrong by
different amounts. ``docs/statistics.md`` has the figures.

    python scripts/simulate_risk.py [--simulations 400] [--only NAME] [--out FILE]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from found import Coverage, Found
from populations import Population, make

from milkreport.evaluation.binary.risk_bounds import bound_groups, bound_moved
from milkreport.evaluation.metrics.risk import (
    Moved,
    calibration_intercept,
    calibration_slope,
    log_odds,
    risk_groups,
    scaled_brier,
)

SITUATIONS: dict[str, tuple[int, ...]] = {
    "middling, 2 classes, 5%": (400, 1000),
    "middling, 2 classes, 20%": (100, 300, 1000),
    "strong, 2 classes, 20%": (100, 300, 1000),
    "weak, 2 classes, 20%": (100, 300, 1000),
    "middling, 2 classes, 20%, weakly alike groups": (300, 1000),
    "middling, 2 classes, 20%, strongly alike groups": (300, 1000),
}


def measure(true: np.ndarray, probabilities: np.ndarray) -> dict[str, Moved]:
    """The calibration measures of two classes, the second positive."""
    rest, risk = probabilities.T
    logit = log_odds(risk, rest)
    return {
        "intercept": calibration_intercept(true, logit),
        "slope": calibration_slope(true, logit),
        "scaled_brier": scaled_brier(true, risk),
    }


def simulate(population: Population, n: int, times: int) -> dict[str, dict[str, float]]:
    """Coverage, both tails, width and number of intervals by measure; of the curve over all its groups."""
    rng = np.random.default_rng([n, len(population.name)])
    cases = population.draw_cases(400_000, rng)
    p = population.answer(cases, population.log_odds, rng)
    score, true = p.probabilities[:, 1], p.truth == 1
    truths = {name: value for name, (value, _) in measure(true, p.probabilities).items()}
    order = np.argsort(score)
    ordered, positive = score[order], np.append(0, np.cumsum(true[order]))
    coverage = Coverage()
    for _ in range(times):
        cases = population.draw_cases(n, rng)
        p = population.answer(cases, population.log_odds, rng)
        score, true = p.probabilities[:, 1], p.truth == 1
        for name, moved in measure(true, p.probabilities).items():
            coverage.add(name, truths[name], *bound_moved(name, moved, true, cases.groups))
        places = risk_groups(score)
        ends = [score[places == i].max() for i in range(places.max() + 1)]
        cut = np.append(0, np.searchsorted(ordered, ends, side="right"))
        cut[-1] = len(ordered)
        shares = np.diff(positive[cut]) / np.maximum(np.diff(cut), 1)
        for share, pair in zip(shares, bound_groups(true, places, cases.groups), strict=True):
            coverage.add("curve", share, *pair)
    return coverage.table()


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulations", type=int, default=400)
    parser.add_argument("--only", default="", help="part of a population's name")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results = Found(arguments.out)
    for name, sizes in SITUATIONS.items():
        for n in sizes if arguments.only in name else ():
            results.keep(f"{name}; {n} cases", simulate(make(name), n, arguments.simulations))


if __name__ == "__main__":
    main()
