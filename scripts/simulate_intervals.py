"""How often the 95% intervals of one trained model hold the true value, and on which side they miss it.

Cases, class mix and groups are drawn anew in every simulation (``populations``); everything is computed by
the functions that a report uses. Prints a line per metric and writes JSON; ``docs/statistics.md`` holds
the figures.

    python scripts/simulate_intervals.py [--simulations 400] [--only NAME] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from found import Found
from populations import Population, make

from milkreport.evaluation.intervals.bounds import bound_model
from milkreport.evaluation.intervals.clusters import count_units
from milkreport.evaluation.metrics.measures import Plan, draw, measure

#: Population to numbers of cases.
SITUATIONS: dict[str, tuple[int, ...]] = {
    "weak, 11 classes": (200, 1038, 5189),
    "middling, 11 classes": (200, 1038, 5189),
    "strong, 11 classes": (200, 1038, 5189),
    "weak, 2 classes, 1%": (1000,),
    "middling, 2 classes, 1%": (1000, 5000),
    "strong, 2 classes, 1%": (1000,),
    "weak, 2 classes, 5%": (200, 1000),
    "middling, 2 classes, 5%": (200, 1000),
    "strong, 2 classes, 5%": (200, 1000),
    "weak, 2 classes, 20%": (50,),
    "middling, 2 classes, 20%": (20, 50, 300),
    "strong, 2 classes, 20%": (20, 50, 300),
    "middling, 3 classes": (20, 50, 300),
    "strong, 3 classes": (20, 50, 300),
    "weak, 30 classes": (1000,),
    "middling, 30 classes": (300, 1000),
    "strong, 30 classes": (300, 1000),
    "middling, 100 classes": (1000, 5000),
    "middling, 11 classes, weakly alike groups": (1038, 5189),
    "middling, 11 classes, strongly alike groups": (1038, 5189),
    "middling, 2 classes, 20%, weakly alike groups": (100, 1000),
    "middling, 2 classes, 20%, strongly alike groups": (100, 1000),
}
BANDS = ((1, 4), (5, 9), (10, 49), (50, 10**9))


def simulate(population: Population, n: int, simulations: int, resamples: int) -> dict[str, Any]:
    """Coverage, both tails and mean width by metric; of class metrics by the number of cases (or groups)."""
    rng = np.random.default_rng([n, len(population.name)])
    found: dict[str, list[tuple[bool, bool, float]]] = {}

    def add(name: str, truth: float, low: float, high: float) -> None:
        if np.isfinite([truth, low, high]).all():
            found.setdefault(name, []).append((low > truth, high < truth, high - low))

    for _ in range(simulations):
        cases = population.draw_cases(n, rng)
        p = population.answer(cases, population.log_odds, rng)
        points = measure(p)
        drawn = draw({"": {0: p}}, Plan(n_resamples=resamples), cases.groups)[""][0]
        bounds = bound_model(p, points, drawn, cases.groups)
        k = len(p.classes)
        own = p.truth[:, None] == np.arange(k)
        present, units = own.any(axis=0), count_units(own, cases.groups)
        for name, (low, high) in bounds.overall.items():
            add(name, float(population.value(name, present)), float(low), float(high))
        for name, (lows, highs) in bounds.classes.items():
            truths = population.class_values(name)
            for c in np.flatnonzero(present):
                least, most = next(band for band in BANDS if band[0] <= units[c] <= band[1])
                label = (
                    f"{name} of a class, {least} to {most}"
                    if most < 10**9
                    else f"{name} of a class, {least} and more"
                )
                add(label, truths[c], lows[c], highs[c])
    return {
        name: {
            "covered": round(1 - float(np.mean([a or b for a, b, _ in rows])), 3),
            "too high": round(float(np.mean([a for a, _, _ in rows])), 3),
            "too low": round(float(np.mean([b for _, b, _ in rows])), 3),
            "width": round(float(np.mean([w for _, _, w in rows])), 4),
            "n": len(rows),
        }
        for name, rows in found.items()
    }


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulations", type=int, default=400)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--only", default="", help="part of a population's name")
    parser.add_argument("--cases", type=int, default=0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results = Found(arguments.out)
    for name, sizes in SITUATIONS.items():
        if arguments.only not in name:
            continue
        for n in sizes if not arguments.cases else (arguments.cases,):
            found = simulate(make(name), n, arguments.simulations, arguments.resamples)
            results.keep(f"{name}; {n} cases", found, say=False)
            print(f"{name}; {n} cases", flush=True)
            for metric, row in found.items():
                print(f"  {metric:36} {json.dumps(row)}", flush=True)


if __name__ == "__main__":
    main()
