"""How often intervals of human readers hold the true value: of one reader over cases, of the mean over both.

Readers are drawn anew with every simulation: a population's model whose log odds vary from reader to reader,
asked for the likelier class. ``docs/statistics.md`` has the figures.

    python scripts/simulate_readers.py [--simulations 400] [--out FILE]
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from found import Coverage, Found
from populations import Cases, Population, make

from milkreport.evaluation.binary.reading_study import describe_readers
from milkreport.evaluation.metrics.measures import Plan
from milkreport.evaluation.reading.predictions import Predictions

SITUATIONS = {
    "middling, 2 classes, 20%": (100, 300),
    "strong, 2 classes, 20%": (100,),
    "middling, 2 classes, 20%, strongly alike groups": (300,),
}
READERS, NOISES = (3, 6), (0.6, 0.1)


def ask(
    population: Population, cases: Cases, rng: np.random.Generator
) -> tuple[Predictions, np.ndarray]:
    """A new reader's hard answers, and the model that gave them."""
    model = population.train(rng)
    p = population.answer(cases, model, rng)
    return replace(p, probabilities=np.eye(2)[p.predicted]), model


def simulate(population: Population, n: int, n_readers: int, times: int) -> dict[str, dict]:
    """Coverage, both tails, width and number of intervals, of one reader and of the mean."""
    rng = np.random.default_rng([n, n_readers, len(population.name)])
    # Many readers of some cases each: the mean over both.
    found = []
    for _ in range(400):
        some = population.draw_cases(2000, rng)
        found.append(_shares(ask(population, some, rng)[0]))
    truths = dict(zip(("sensitivity", "specificity"), np.mean(found, axis=0), strict=True))
    coverage = Coverage()
    for _ in range(times):
        cases = population.draw_cases(n, rng)
        asked = [ask(population, cases, rng) for _ in range(n_readers)]
        readers = {str(i): p for i, (p, _) in enumerate(asked)}
        study = describe_readers(readers, cases.groups, Plan("accuracy", ("C1",), n_resamples=200))
        assert study is not None
        for name, value in study.mean.items():
            coverage.add(f"mean {name}", truths[name], value.low, value.high)
        many = population.draw_cases(5000, rng)
        own = population.answer(many, asked[0][1], rng)
        for name, truth in zip(truths, _shares(own), strict=True):
            value = study.readers[0].values[name]
            coverage.add(f"one {name}", truth, value.low, value.high)
    return coverage.table()


def _shares(p: Predictions) -> tuple[float, float]:
    """Sensitivity and specificity."""
    true, called = p.truth == 1, p.predicted == 1
    return float(called[true].mean()), float((~called[~true]).mean())


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulations", type=int, default=400)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results = Found(arguments.out)
    for name, sizes in SITUATIONS.items():
        for noise in NOISES:
            population = replace(make(name), training_noise=noise, truths={})
            for n in sizes:
                for n_readers in READERS:
                    found = simulate(population, n, n_readers, arguments.simulations)
                    key = f"{name}; {n} cases; {n_readers} readers, noise {noise}"
                    results.keep(key, found, say=False)
                    said = " ".join(f"{k} {v['covered']}({v['n']})" for k, v in found.items())
                    print(f"{key}: {said}", flush=True)


if __name__ == "__main__":
    main()
