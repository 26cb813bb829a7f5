"""How often the ROC curve's band and paired differences of two arms hold the true value.

Two models of different strength see the same cases; cases, class mix and groups are drawn anew, thresholds
chosen anew. ``docs/statistics.md`` has the figures.

    python scripts/simulate_roc.py [--simulations 300] [--only NAME] [--out FILE]
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from found import Coverage, Found
from populations import Population, make
from simulate_operating import POSITIVE, Curve

from milkreport.evaluation.binary.answers import answer_seed
from milkreport.evaluation.binary.compare import bound_at_specificity, bound_change
from milkreport.evaluation.binary.roc_band import RATES, bound_band
from milkreport.evaluation.binary.rules import parse_rule
from milkreport.evaluation.intervals.resampling import bootstrap_weights
from milkreport.evaluation.metrics.positive import SPECIFICITIES, sensitivities_at

SITUATIONS: dict[str, tuple[int, ...]] = {
    "middling, 2 classes, 5%": (400, 1000),
    "middling, 2 classes, 20%": (100, 300, 1000),
    "strong, 2 classes, 20%": (100, 300),
    "weak, 2 classes, 20%": (300,),
    "middling, 2 classes, 20%, weakly alike groups": (300, 1000),
    "middling, 2 classes, 20%, strongly alike groups": (300, 1000),
}
RULES = ("0.3", "sensitivity=0.95", "youden")


def at_rates(curve: Curve, rates: list[float]) -> np.ndarray:
    """The population's sensitivity at false positive rates."""
    positive, negative = curve.sides
    cuts = np.quantile(negative, 1 - np.array(rates))
    return 1 - np.searchsorted(positive, cuts) / len(positive)


def simulate(population: Population, n: int, times: int, resamples: int) -> dict[str, dict]:
    """Coverage, both tails, width and number of intervals by quantity."""
    rng = np.random.default_rng([n, len(population.name)])
    other = replace(population, log_odds=population.log_odds * 0.7, truths={})
    curves = Curve(population), Curve(other)
    fixed = [1 - s for s in SPECIFICITIES]
    gaps = at_rates(curves[0], fixed) - at_rates(curves[1], fixed)
    truths = at_rates(curves[0], list(RATES))
    coverage = Coverage()
    for _ in range(times):
        cases = population.draw_cases(n, rng)
        p, q = (m.answer(cases, m.log_odds, rng) for m in (population, other))
        true, score, rival = p.truth == 1, p.probabilities[:, 1], q.probabilities[:, 1]
        if true.all() or not true.any():
            continue
        grid = [*(1 - r for r in RATES), *SPECIFICITIES]
        drawn = [
            np.concatenate(
                [
                    sensitivities_at(true, s, w, grid)
                    for w in bootstrap_weights(n, resamples, cases.groups)
                ]
            )
            for s in (score, rival)
        ]
        values = [sensitivities_at(true, s, np.ones((1, n)), grid)[0] for s in (score, rival)]
        k = len(RATES)
        lows, highs = bound_band(true, values[0][:k], drawn[0][:, :k], cases.groups)
        for rate, truth, low, high in zip(RATES, truths, lows, highs, strict=True):
            coverage.add(f"band at {rate:g}", truth, low, high)
        for i, gap in enumerate(gaps):
            pair = (values[0][k + i : k + i + 1], values[1][k + i : k + i + 1])
            draws = (drawn[0][:, k + i : k + i + 1], drawn[1][:, k + i : k + i + 1])
            bounds = bound_at_specificity(true, pair, draws, cases.groups)
            coverage.add(f"difference at {SPECIFICITIES[i]:g}", gap, *bounds)
        for text in RULES:
            rule = parse_rule(text)
            one, two = (answer_seed(m, POSITIVE, rule, cases.groups) for m in (p, q))
            if one.threshold is None or two.threshold is None:
                continue
            found = [c.counts(a.threshold) for c, a in zip(curves, (one, two), strict=True)]
            for outcome, hit, miss in (("positive", 0, 2), ("negative", 3, 1)):
                shares = [f[hit] / (f[hit] + f[miss]) for f in found]
                pair = bound_change(true, score, rival, one, two, outcome, cases.groups)
                coverage.add(f"{outcome}, {text}", shares[0] - shares[1], *pair)
    return coverage.table()


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulations", type=int, default=300)
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--only", default="", help="part of a population's name")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results = Found(arguments.out)
    for name, sizes in SITUATIONS.items():
        for n in sizes if arguments.only in name else ():
            found = simulate(make(name), n, arguments.simulations, arguments.resamples)
            results.keep(f"{name}; {n} cases", found, say=False)
            said = " ".join(f"{k} {v['covered']}({v['n']})" for k, v in found.items())
            print(f"{name}; {n} cases: {said}", flush=True)


if __name__ == "__main__":
    main()
