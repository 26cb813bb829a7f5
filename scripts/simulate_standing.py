"""How often an order is false that `milkreport audit` calls false with a probability, by that probability.

Pairs of models are drawn with a true difference between them, from close to far apart, and a congruence; both
answer the same cases; the numbers are printed to four digits. Of what is printed alone the audit says how
probable it is that the order is false. Whether it is, is known here. About half a minute of one core:

    python scripts/simulate_standing.py --pairs 1500
"""

from __future__ import annotations

import argparse
import math
import time
from collections import defaultdict

import numpy as np

from milkreport.checks.audit import standing
from milkreport.checks.statements import Figure

SPREADS = (0.02, 0.05, 0.15)
EDGES = (0.01, 0.05, 0.2, 0.35, 0.51)
#: Least and most of the measured pairs (docs/auditing.md).
CONGRUENT = (0.64, 0.95)


def main() -> None:
    """Simulate, and print a table for accuracies and one for balanced accuracies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1500, help="of each spread and metric")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    heads = [f"{low:g} to {high:g}" for low, high in zip((0, *EDGES[:3]), EDGES[:4], strict=True)]
    for balanced in (False, True):
        print("\n| " + ("balanced accuracy" if balanced else "accuracy"), "| spread |", end=" ")
        print(" | ".join([*heads, f"above {EDGES[3]:g}"]) + " |")
        print("|---" * 7 + "|")
        for spread in SPREADS:
            rng = np.random.default_rng([options.seed, balanced])
            cells: dict[float, list[tuple[float, bool]]] = defaultdict(list)
            for _ in range(options.pairs):
                pair = draw(rng, spread, balanced)
                if pair is not None:
                    said, is_false = pair
                    cells[next(e for e in EDGES if said <= e or e == EDGES[-1])].append(
                        (said, is_false)
                    )
            shown = []
            for edge in EDGES:
                said, came = np.array(cells[edge] or [(math.nan, False)], float).mean(axis=0)
                shown.append(f"{said:.3f}, {came:.3f} of {len(cells[edge]):,}")
            print(f"| said, came | {spread} | " + " | ".join(shown) + " |", flush=True)
    print(f"\n{time.process_time():.0f} s of one core")


def draw(rng: np.random.Generator, spread: float, balanced: bool) -> tuple[float, bool] | None:
    """What is said of a pair, and whether its order is false; ``None`` where both print the same."""
    k = int(rng.integers(3, 9)) if balanced else 1
    n = round(math.exp(rng.uniform(math.log(60 * k), math.log(3000))))
    support = 2 + rng.multinomial(n - 2 * k, rng.dirichlet(np.full(k, 2.0)))
    shift = rng.normal(0, spread)
    truth = np.clip(
        rng.uniform(0.4, 0.9, k)[:, None]
        + [0, 1] * (shift + rng.normal(0, spread, (k, 1)) * (k > 1)),
        0.02,
        0.98,
    )
    where = rng.uniform(*CONGRUENT)
    right = []
    for (a, b), s in zip(truth, support, strict=True):
        least, most = max(0.0, a + b - 1), min(a, b)
        both = least + where * (most - least)
        joint = rng.multinomial(s, [both, a - both, b - both, 1 - a - b + both])
        right.append((joint[0] + joint[1], joint[0] + joint[2]))
    shares = np.array(right) / support[:, None]
    gap, true_gap = np.diff(shares.mean(axis=0))[0], np.diff(truth.mean(axis=0))[0]
    if abs(gap) < 5e-5:
        return None
    ahead = int(gap > 0)
    sides = [[_figure(share) for share in shares[:, side]] for side in (ahead, 1 - ahead)]
    counts = support.tolist()
    found = (
        standing.weigh_mean_order(sides[0], sides[1], counts)
        if balanced
        else standing.weigh_order(sides[0][0], sides[1][0], counts[0])
    )
    return None if found is None else (found.usual[1], bool((true_gap > 0) != (gap > 0)))


def _figure(share: float) -> Figure:
    return Figure(arm="a", part="test", metric="recall", printed=f"{share:.4f}")


if __name__ == "__main__":
    # The smallest number of cases is not asked for here.
    standing._enough = lambda false, above: None
    standing.DRAWS = 2_000
    main()
