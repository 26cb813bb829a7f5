"""How often an order is false that `milkreport audit` calls false with at most a probability.

Models are drawn whose true shares are close or far apart. All answer the same cases, and how often they are
right on the same ones differs too. The numbers are printed to four digits; from these alone the audit says
how probable it is at most that the order is false. Whether it is false is known here. Each row is a
population of its own:

    python scripts/simulate_standing.py --pairs 3000
"""

from __future__ import annotations

import argparse
import math
import time
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from milkreport.checks.audit import standing
from milkreport.checks.statements import Figure

EDGES = (0.01, 0.05, 0.1, 0.2, 0.51)


@dataclass(frozen=True)
class Population:
    """Standard deviation and shape of true differences, limits of accuracy, cases and congruence; models."""

    spread: float
    shape: str = "normal"
    accuracy: tuple[float, float] = (0.4, 0.9)
    cases: tuple[int, int] = (60, 3000)
    congruence: tuple[float, float] = (0.64, 0.95)
    models: int = 2

    def __str__(self) -> str:
        """As a row is headed."""
        low, high = self.cases
        return (
            f"{100 * self.spread:g} points, {self.shape}, accuracy {self.accuracy[0]:g} to {self.accuracy[1]:g}, "  # noqa: E501
            f"{low:,} to {high:,} cases, congruence {self.congruence[0]:g} to {self.congruence[1]:g}"
            + (f", best of {self.models} beside the next" if self.models > 2 else "")
        )


POPULATIONS = (
    Population(0.01),
    Population(0.02),
    Population(0.05),
    Population(0.15),
    Population(0.02, cases=(1000, 20_000)),
    Population(0.02, cases=(60, 200)),
    Population(0.03, "Laplace", (0.7, 0.97)),
    Population(0.03, "uniform", (0.5, 0.8), congruence=(0.68, 0.9)),
    Population(0.02, "normal", (0.8, 0.95)),
    Population(0.02, "normal", (0.6, 0.8), congruence=(0.4, 0.64)),
    Population(0.03, "normal", (0.6, 0.85), models=5),
)


def main() -> None:
    """Simulate, and print a table for accuracies and one for balanced accuracies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=3000, help="of each population and metric")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    heads = [f"{low:g} to {high:g}" for low, high in zip((0, *EDGES[:3]), EDGES[:4], strict=True)]
    for balanced in (False, True):
        print("\n| " + ("balanced accuracy" if balanced else "accuracy"), end=" | ")
        print(" | ".join([*heads, f"above {EDGES[3]:g}"]) + " |")
        print("|---" * 6 + "|")
        for place, population in enumerate(POPULATIONS):
            rng = np.random.default_rng([options.seed, balanced, place])
            cells: dict[float, list[tuple[float, bool]]] = defaultdict(list)
            for _ in range(options.pairs):
                pair = draw(rng, population, balanced)
                if pair is not None:
                    said, is_false = pair
                    cells[next(e for e in EDGES if said <= e or e == EDGES[-1])].append(
                        (said, is_false)
                    )
            shown = []
            for edge in EDGES:
                said, came = np.array(cells[edge] or [(math.nan, False)], float).mean(axis=0)
                shown.append(f"{said:.3f}, {came:.3f} of {len(cells[edge]):,}")
            print(f"| {population} | " + " | ".join(shown) + " |", flush=True)
    print(f"\n{time.process_time():.0f} s of one core")


def draw(
    rng: np.random.Generator, population: Population, balanced: bool
) -> tuple[float, bool] | None:
    """What is said of the best and the next, and whether their order is false; ``None`` for equal prints."""
    k = int(rng.integers(3, 9)) if balanced else 1
    low, high = population.cases
    n = round(math.exp(rng.uniform(math.log(max(low, 20 * k)), math.log(high))))
    support = 2 + rng.multinomial(n - 2 * k, rng.dirichlet(np.full(k, 2.0)))
    # A difference of two models has the population's spread.
    unit = population.spread / math.sqrt(2)
    size = (1, population.models)
    shift = {
        "normal": lambda: rng.normal(0, unit, size),
        "Laplace": lambda: rng.laplace(0, unit / math.sqrt(2), size),
        "uniform": lambda: rng.uniform(-math.sqrt(3) * unit, math.sqrt(3) * unit, size),
    }[population.shape]()
    by_class = rng.normal(0, unit, (k, population.models)) * (k > 1)
    truth = np.clip(
        rng.uniform(*population.accuracy, (k, 1)) + shift + by_class - by_class.mean(axis=0),
        0.02,
        0.98,
    )
    shares = _answer(rng, truth, support, rng.uniform(*population.congruence))
    order = np.argsort(shares.mean(axis=0))
    best, following = int(order[-1]), int(order[-2])
    if shares[:, best].mean() - shares[:, following].mean() < 5e-5:
        return None
    sides = [[_figure(share) for share in shares[:, model]] for model in (best, following)]
    found = standing.weigh_order(sides[0], sides[1], support.tolist())
    if found is None:
        return None
    mean = truth.mean(axis=0)
    return found.usual[0], bool(mean[best] <= mean[following])


def _answer(
    rng: np.random.Generator, truth: np.ndarray, support: np.ndarray, where: float
) -> np.ndarray:
    """Shares of right answers, float64 (k, models); a pair is as congruent as *where* says.

    For two models the joint table itself is drawn. Several share the difficulty of a case with probability
    *where* and else answer independently, which makes them at least as congruent.
    """
    shares = np.empty_like(truth)
    for c, (row, n) in enumerate(zip(truth, support, strict=True)):
        if len(row) == 2:
            a, b = row
            least, most = max(0.0, a + b - 1), min(a, b)
            both = least + where * (most - least)
            joint = rng.multinomial(n, [both, a - both, b - both, 1 - a - b + both])
            shares[c] = (joint[0] + joint[1]) / n, (joint[0] + joint[2]) / n
        else:
            hard = np.where(
                rng.random((n, 1)) < where, rng.random((n, 1)), rng.random((n, len(row)))
            )
            shares[c] = (hard < row).mean(axis=0)
    return shares


def _figure(share: float) -> Figure:
    return Figure(arm="a", part="test", metric="recall", printed=f"{share:.4f}")


if __name__ == "__main__":
    # The smallest number of cases is not asked for here.
    standing._enough = lambda false, above: None
    main()
