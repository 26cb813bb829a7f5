"""How often the interval of a loss under corruption holds: the same model before and after, paired.

The paired interval of two arms was simulated for two models; here the two sets of answers are of one model,
which agree far more. Every simulation draws new cases with their own class mix, and new training seeds:

    python scripts/simulate_robustness.py --simulations 300
"""

from __future__ import annotations

import argparse
import zlib

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.beyond.robustness import describe_robustness
from milkreport.evaluation.metrics.measures import Plan, measure
from milkreport.evaluation.metrics.named import pick
from milkreport.evaluation.pooled_predictions import CaseFacts
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.suite.corruptions import SEVERITIES

#: Class shares of MILK10k, rounded, and of three and two classes.
SHARES = {
    "11 classes": [0.48, 0.14, 0.10, 0.086, 0.09, 0.06, 0.01, 0.01, 0.01, 0.009, 0.005],
    "3 classes": [0.6, 0.3, 0.1],
    "2 classes": [0.8, 0.2],
}
#: Share of the signal that a corruption leaves, and the noise that it adds.
STRENGTHS = {"hardly any": (0.98, 0.1), "mild": (0.85, 0.5), "strong": (0.5, 1.2)}
SEED_SPREAD = 0.3  # of a training's class offsets
METRICS = ("macro_f1", "accuracy", "balanced_accuracy")
Floats = npt.NDArray[np.float64]


def answers(
    truth: npt.NDArray[np.int64],
    shared: Floats,
    offsets: tuple[Floats, Floats],
    strength: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Hard answers before and after a corruption, one-hot (n, n_classes)."""
    n_classes = shared.shape[1]
    ideal = np.eye(n_classes)[truth]
    left, added = strength
    own = 0.5 * rng.standard_normal(shared.shape)
    before = 2.0 * ideal + shared + own + offsets[0]
    noise = added * rng.standard_normal(shared.shape)
    after = left * 2.0 * ideal + shared + own + noise + offsets[0] + offsets[1]
    return np.eye(n_classes)[before.argmax(axis=1)], np.eye(n_classes)[after.argmax(axis=1)]


def draw_offsets(n_classes: int, rng: np.random.Generator, spread: float) -> tuple[Floats, Floats]:
    """A training's class offsets, and what corruption adds to them."""
    first = spread * rng.standard_normal(n_classes)
    return first, 0.5 * spread * rng.standard_normal(n_classes)


def true_loss(shares: Floats, strength: tuple[float, float], spread: float, metric: str) -> float:
    """The loss in a population of 300,000 cases, mean over trainings."""
    rng = np.random.default_rng(1)
    n_trainings = 30 if spread else 1
    found = []
    for _ in range(n_trainings):
        n = 300_000 // n_trainings if spread else 300_000
        truth = rng.choice(len(shares), n, p=shares)
        shared = rng.standard_normal((n, len(shares)))
        pair = answers(truth, shared, draw_offsets(len(shares), rng, spread), strength, rng)
        values = [float(score(truth, side, metric)) for side in pair]
        found.append(values[0] - values[1])
    return float(np.mean(found))


def score(truth: npt.NDArray[np.int64], side: Floats, metric: str) -> float:
    """The metric of hard answers."""
    classes = tuple(f"c{i}" for i in range(side.shape[1]))
    p = Predictions(np.arange(len(truth)).astype(str), truth, side, classes)
    value = pick(measure(p), metric, classes)
    assert value is not None
    return float(value)


def simulate(
    name: str, n: int, strength: str, n_seeds: int, metric: str, simulations: int
) -> tuple[float, float]:
    """Share of the intervals that hold the true loss, and their mean width."""
    shares = np.array(SHARES[name])
    shares = shares / shares.sum()
    spread = SEED_SPREAD if n_seeds > 1 else 0.0
    expected = true_loss(shares, STRENGTHS[strength], spread, metric)
    classes = tuple(f"c{i}" for i in range(len(shares)))
    ids = np.array([f"{i:06d}" for i in range(n)])
    plan = Plan(primary=metric, n_resamples=500)
    rng = np.random.default_rng(zlib.crc32(f"{name}{n}{strength}{n_seeds}{metric}".encode()))
    held, widths = 0, []
    for _ in range(simulations):
        truth = rng.choice(len(shares), n, p=shares)
        shared = rng.standard_normal((n, len(shares)))
        before, after = {}, {}
        for seed in range(n_seeds):
            offsets = draw_offsets(len(shares), rng, spread)
            pair = answers(truth, shared, offsets, STRENGTHS[strength], rng)
            before[seed, 0], after[seed, 0] = (Predictions(ids, truth, s, classes) for s in pair)
        corrupted = {("defocus_blur", s): after for s in SEVERITIES}
        found = describe_robustness({"a": before}, {"a": corrupted}, plan, CaseFacts())
        assert found is not None
        loss = found.corruptions[0].loss.get("a")
        if loss is None or loss.low is None or loss.high is None:
            continue
        held += loss.low <= expected <= loss.high
        widths.append(loss.high - loss.low)
    return held / max(len(widths), 1), float(np.mean(widths))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=300)
    parser.add_argument("--only", default="", help="class mix to simulate")
    arguments = parser.parse_args()
    situations = [
        *(("11 classes", n, s, 1) for n in (250, 1000) for s in STRENGTHS),
        *(("3 classes", 200, s, 1) for s in STRENGTHS),
        *(("2 classes", 200, s, 1) for s in STRENGTHS),
        *(("11 classes", 500, s, 3) for s in ("mild", "strong")),
    ]
    for name, n, strength, n_seeds in situations:
        if arguments.only in name:
            for metric in METRICS:
                held, width = simulate(name, n, strength, n_seeds, metric, arguments.simulations)
                print(
                    f"{name:12} {n:5} {strength:10} {n_seeds} {metric:18} {held:.3f} {width:.3f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
