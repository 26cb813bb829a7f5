"""How often 95% intervals at an operating point hold the true value, thresholds chosen anew each time.

Every simulation draws new cases with their own class mix and groups, chooses the threshold as an evaluation
does
(nested in the scored cases, or on as many validation cases), and asks whether the intervals hold the values
that the threshold it recommends has in the population. ``docs/statistics.md`` has the figures.

    python scripts/simulate_operating.py [--simulations 400] [--only NAME] [--out FILE]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from found import Coverage, Found
from populations import Population, make

from milkreport.evaluation.binary.answers import answer_seed
from milkreport.evaluation.binary.measures import bound_at, count_cells, score_counts
from milkreport.evaluation.binary.rules import parse_rule

SITUATIONS: dict[str, tuple[int, ...]] = {
    "middling, 2 classes, 5%": (200, 1000),
    "middling, 2 classes, 20%": (50, 100, 300, 1000),
    "strong, 2 classes, 20%": (50, 100, 300),
    "weak, 2 classes, 20%": (300,),
    "middling, 2 classes, 20%, weakly alike groups": (300, 1000),
    "middling, 2 classes, 20%, strongly alike groups": (300, 1000),
}
RULES = ("0.5", "0.2", "sensitivity=0.95", "specificity=0.9", "youden", "cost=5:1")
PREVALENCES = (0.01, 0.3)
POSITIVE = ("C1",)


class Curve:
    """What each threshold is worth in the population, from many cases."""

    def __init__(self, population: Population, n: int = 400_000) -> None:
        rng = np.random.default_rng(1)
        cases = population.draw_cases(n, rng)
        p = population.answer(cases, population.log_odds, rng)
        score, true = p.probabilities[:, 1], p.truth == 1
        self.sides = np.sort(score[true]), np.sort(score[~true])
        self.share = true.mean()

    def counts(self, threshold: float) -> np.ndarray:
        """Shares of true and false positives, false and true negatives."""
        tp, fp = (1 - np.searchsorted(side, threshold) / len(side) for side in self.sides)
        q = self.share
        return np.array([q * tp, (1 - q) * fp, q * (1 - tp), (1 - q) * (1 - fp)])


def simulate(
    population: Population, n: int, text: str, validated: bool, times: int
) -> dict[str, dict]:
    """Coverage, both tails, mean width and how often there was an interval, by measure."""
    rng = np.random.default_rng([n, len(population.name), len(text)])
    curve, rule = Curve(population), parse_rule(text)
    coverage = Coverage()
    for _ in range(times):
        cases = population.draw_cases(n, rng)
        p = population.answer(cases, population.log_odds, rng)
        other = None
        if validated:
            other = population.answer(population.draw_cases(n, rng), population.log_odds, rng)
        answers = answer_seed(p, POSITIVE, rule, cases.groups, other)
        if answers.threshold is None or not 0 < answers.threshold < 1:
            continue
        odds = answers.threshold / (1 - answers.threshold)
        true = p.truth == 1
        points = score_counts(count_cells(true, answers.called).sum(axis=0), odds, PREVALENCES)
        found = bound_at(true, p.probabilities[:, 1], answers, cases.groups, odds, PREVALENCES)
        truths = score_counts(curve.counts(answers.threshold), odds, PREVALENCES)
        for name, (low, high) in found.items():
            if np.isfinite(points[name]) or "@" in name:
                truth = float(truths[name])
                coverage.add(name, truth, low, high)
    return coverage.table()


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulations", type=int, default=400)
    parser.add_argument("--only", default="", help="part of a population's name")
    parser.add_argument("--rule", default="", help="one operating point")
    parser.add_argument("--nested", action="store_true", help="no thresholds of validation cases")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results = Found(arguments.out)
    for name, sizes in SITUATIONS.items():
        for n in sizes if arguments.only in name else ():
            for text in (arguments.rule,) if arguments.rule else RULES:
                for validated in (
                    (False,) if text[0].isdigit() or arguments.nested else (False, True)
                ):
                    found = simulate(make(name), n, text, validated, arguments.simulations)
                    where = "validation" if validated else "nested"
                    key = f"{name}; {n} cases; {text}" + ("" if text[0].isdigit() else f"; {where}")
                    results.keep(key, found, say=False)
                    said = " ".join(f"{k} {v['covered']}({v['n']})" for k, v in found.items())
                    print(f"{key}: {said}", flush=True)


if __name__ == "__main__":
    main()
