"""Whether probabilities mean what they say: log loss, Brier score, reliability, one temperature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

N_BINS = 15
_LEAST = float(np.finfo(np.float64).eps)  # as scikit-learn's log_loss clips
_HOTTEST = 50.0


def case_log_loss(truth: Ints, probabilities: Floats) -> Floats:
    """Minus the log of the probability of the true class, float64 (n,); below 2.2e-16 counts as that."""
    own = probabilities[np.arange(len(truth)), truth]
    return -np.log(np.clip(own, _LEAST, 1))


def case_brier(truth: Ints, probabilities: Floats) -> Floats:
    """Squared distance of the probabilities from the truth's one-hot row, 0 to 2 (Brier, 1950): (n,)."""
    own = probabilities[np.arange(len(truth)), truth]
    return np.asarray((probabilities**2).sum(axis=1) - 2 * own + 1)


@dataclass(frozen=True)
class Reliability:
    """Cases by their largest probability, in bins (i/15, (i+1)/15]; the first holds 0 too.

    ``bins``: int64 (n,). ``gap``: float64 (n,), largest probability minus whether the answer is right.
    ``confidence``: float64 (n,), the largest probability.
    """

    bins: Ints
    gap: Floats
    confidence: Floats

    def error(self) -> float:
        """Expected calibration error (Naeini et al., 2015): bins' mean gaps, weighted by cases."""
        sums = np.bincount(self.bins, self.gap, minlength=N_BINS)
        return float(np.abs(sums).sum() / len(self.gap))


def find_reliability(truth: Ints, predicted: Ints, probabilities: Floats) -> Reliability:
    """Largest probabilities beside whether the answers are right."""
    confidence = probabilities.max(axis=1)
    bins = np.clip(np.ceil(confidence * N_BINS).astype(np.int64) - 1, 0, N_BINS - 1)
    return Reliability(bins, confidence - (predicted == truth), confidence)


def fit_temperature(truth: Ints, probabilities: Floats, near: float = 1.0) -> float:
    """The temperature that makes log loss least (Guo et al., 2017), 1/50 to 50; at least one case.

    In ``heat`` = 1 / temperature the log loss is convex: its slope is the mean log probability under the
    heated probabilities minus that of the true classes, its curvature the mean variance of the log
    probabilities. Newton's steps from the temperature *near*, with the bracket halved where a step leaves it.
    """
    logs = np.log(np.clip(probabilities, _LEAST, 1))
    logs -= logs.max(axis=1, keepdims=True)
    own = float(logs[np.arange(len(truth)), truth].mean())

    def slope_and_curvature(heat: float) -> tuple[float, float]:
        heated = np.exp(logs * heat)
        heated /= heated.sum(axis=1, keepdims=True)
        expected = np.einsum("ij,ij->i", heated, logs)
        square = np.einsum("ij,ij,ij->i", heated, logs, logs)
        return float(expected.mean()) - own, float((square - expected**2).mean())

    low, high = 1 / _HOTTEST, _HOTTEST
    if slope_and_curvature(low)[0] >= 0:  # the flatter, the better
        return 1 / low
    if slope_and_curvature(high)[0] <= 0:  # the sharper, the better
        return 1 / high
    heat = 1 / near
    for _ in range(100):
        slope, curvature = slope_and_curvature(heat)
        low, high = (heat, high) if slope < 0 else (low, heat)
        step = heat - slope / curvature if curvature > 0 else low
        before, heat = heat, step if low < step < high else (low + high) / 2
        if abs(heat - before) <= 1e-9 * before:
            break
    return 1 / heat


def apply_temperature(probabilities: Floats, temperature: float) -> Floats:
    """Probabilities with their logs divided by *temperature*, rows summing to 1."""
    logs = np.log(np.clip(probabilities, _LEAST, 1)) / temperature
    heated = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(heated / heated.sum(axis=1, keepdims=True))


def nested_temperature(
    truth: Ints, probabilities: Floats, folds: Sequence[Ints]
) -> tuple[float, Floats]:
    """Each fold's probabilities at the temperature of the other folds; and the mean temperature.

    Args:
        folds: positions of each fold; together all cases, once.
    """
    calibrated, found = np.empty_like(probabilities), [1.0]
    everyone = np.arange(len(truth))
    for fold in folds:
        rest = np.setdiff1d(everyone, fold, assume_unique=True)
        # From the last fold's, which shares most cases with this one.
        found.append(fit_temperature(truth[rest], probabilities[rest], near=found[-1]))
        calibrated[fold] = apply_temperature(probabilities[fold], found[-1])
    return float(np.exp(np.mean(np.log(found[1:])))), calibrated
