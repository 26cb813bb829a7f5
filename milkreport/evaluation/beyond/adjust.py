"""Probabilities brought to other class shares: bias-corrected temperature, then Bayes' rule.

A model trained with class weights or a sampler has class shares of its own in its probabilities, which nobody
knows. So its log probabilities first get one temperature and one offset per class by maximum likelihood on
labelled cases (bias-corrected temperature scaling; Alexandari, Kundaje and Shrikumar, 2020), whose class
shares they then have. Dividing by these and multiplying by others is Bayes' rule under label shift (Saerens,
Latinne and Decaestecker, 2002).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Probabilities below count as this: a file's zeros have no logarithm.
_LEAST = 1e-12
#: Precision of the prior of every offset around 0, in cases: keeps a class of few cases from moving far.
_RIDGE = 0.5


@dataclass(frozen=True)
class Correction:
    """What log probabilities are multiplied by, and per class what is added: float64 (n_classes,).

    ``shares``: of the classes in the cases that it was fitted on, float64 (n_classes,).
    """

    heat: float
    offsets: Floats
    shares: Floats

    def apply(self, probabilities: Floats) -> Floats:
        """Corrected probabilities, float64 (n, n_classes)."""
        return softmax(self.heat * _logs(probabilities) + self.offsets)


def softmax(values: Floats) -> Floats:
    """Rows as probabilities."""
    moved = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(moved / moved.sum(axis=1, keepdims=True))


def _logs(probabilities: Floats) -> Floats:
    return np.asarray(np.log(np.clip(probabilities, _LEAST, 1)))


def fit(truth: Ints, probabilities: Floats, start: Correction | None = None) -> Correction:
    """The correction with the least log loss on labelled cases, by Newton's method; the loss is convex.

    Args:
        truth: int64 (n,). probabilities: float64 (n, k). start: where to begin.
    """
    n, k = probabilities.shape
    logs, hits = _logs(probabilities), np.eye(k)[truth]
    prior = np.append(np.full(k, _RIDGE), _RIDGE)  # of the offsets around 0, of the heat around 1
    centre = np.append(np.zeros(k), 1.0)
    at = centre if start is None else np.append(start.offsets, start.heat)

    def loss(x: Floats) -> float:
        values = x[k] * logs + x[:k]
        most = values.max(axis=1)
        sums = most + np.log(np.exp(values - most[:, None]).sum(axis=1))
        return float(
            (sums - values[np.arange(n), truth]).sum() + (prior * (x - centre) ** 2).sum() / 2
        )

    value = loss(at)
    for _ in range(50):
        q = softmax(at[k] * logs + at[:k])
        slope, curvature = _derivatives(q, hits, logs)
        slope = slope + prior * (at - centre)
        step = np.linalg.solve(curvature + np.diag(prior), slope)
        size = 1.0
        while size > 1e-6 and (found := loss(at - size * step)) > value:
            size /= 2
        at, gain, value = at - size * step, value - found, found
        if gain < 1e-7 * n:
            break
    shares = np.bincount(truth, minlength=k) / n
    return Correction(float(at[k]), at[:k], shares)


def _derivatives(q: Floats, hits: Floats, logs: Floats) -> tuple[Floats, Floats]:
    """Of the summed log loss by offsets and heat: float64 (k + 1,) and (k + 1, k + 1)."""
    expected = (q * logs).sum(axis=1)
    slope = np.append((q - hits).sum(axis=0), ((q - hits) * logs).sum())
    curvature = np.zeros((len(slope), len(slope)))
    curvature[:-1, :-1] = np.diag(q.sum(axis=0)) - q.T @ q
    curvature[:-1, -1] = curvature[-1, :-1] = (q * (logs - expected[:, None])).sum(axis=0)
    curvature[-1, -1] = float(((q * logs**2).sum(axis=1) - expected**2).sum())
    return slope, curvature


def moves(truth: Ints, probabilities: Floats, correction: Correction) -> Floats:
    """How far each case moves offsets and heat, to first order (one Newton step): float64 (n, k + 1)."""
    k = probabilities.shape[1]
    logs, q = _logs(probabilities), correction.apply(probabilities)
    _, curvature = _derivatives(q, np.eye(k)[truth], logs)
    gaps = q - np.eye(k)[truth]
    slopes = np.concatenate([gaps, (gaps * logs).sum(axis=1, keepdims=True)], axis=1)
    prior = np.diag(np.full(k + 1, _RIDGE))
    return np.asarray(-np.linalg.solve(curvature + prior, slopes.T).T)


def to_shares(probabilities: Floats, own: Floats, wanted: Floats) -> Floats:
    """Probabilities under other class shares: p(c) wanted(c) / own(c), rows summing to 1.

    Args:
        probabilities: float64 (n, k). own: float64 (k,) or (n, k). wanted: float64 (k,); a class without a
            share of its own has none of *wanted* either.
    """
    ratio = np.divide(wanted, own, out=np.zeros_like(own), where=own > 0)
    moved = probabilities * ratio
    total = moved.sum(axis=1, keepdims=True)
    return np.asarray(np.where(total > 0, moved / np.where(total > 0, total, 1), wanted))


def correct_nested(
    truth: Ints, probabilities: Floats, folds: Sequence[Ints]
) -> tuple[Floats, Floats]:
    """Each fold's probabilities corrected by the other folds, (n, k); and the shares of these, (n, k)."""
    corrected, shares = np.empty_like(probabilities), np.empty_like(probabilities)
    everyone = np.arange(len(truth))
    found = None
    for fold in folds:
        rest = np.setdiff1d(everyone, fold, assume_unique=True)
        found = fit(truth[rest], probabilities[rest], found)
        corrected[fold], shares[fold] = found.apply(probabilities[fold]), found.shares
    return corrected, shares
