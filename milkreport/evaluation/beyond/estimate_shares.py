"""Class shares of unlabelled cases, under label shift: each class looks as it does in the labelled cases.

Expectation maximisation (Saerens, Latinne and Decaestecker, 2002) on probabilities that were corrected on
labelled cases, which is maximum likelihood; and black-box shift estimation (Lipton, Wang and Smola, 2018),
which asks which mix of the classes' mean probabilities gives the mean that is seen.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.beyond.adjust import Correction, fit, moves
from milkreport.evaluation.intervals.closed_form import Z
from milkreport.evaluation.intervals.resampling import bootstrap_weights
from milkreport.streams import stream

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Resamples of the labelled and the unlabelled cases.
N_DRAWS = 200
_MOST_STEPS, _MOST_STEPS_AGAIN = 2000, 100


def maximise(
    ratios: Floats, start: Floats, weights: Floats | None = None, steps: int = _MOST_STEPS
) -> Floats:
    """The shares of greatest likelihood, float64 (k,): the fixed point of Saerens' step.

    Args:
        ratios: float64 (n, k), how much likelier each case is in each class than among the labelled cases:
            corrected probabilities over the labelled cases' shares. start: float64 (k,). weights: how often
            each case counts, float64 (n,).
    """
    shares, total = start, float(len(ratios) if weights is None else weights.sum())
    for _ in range(steps):
        mixed = ratios @ shares
        counts = (1 if weights is None else weights) / np.maximum(mixed, 1e-300)
        after = shares * (counts @ ratios) / total
        done = np.abs(after - shares).max() < 1e-7
        shares = after / after.sum()
        if done:
            break
    return np.asarray(shares)


def ratios_of(corrected: Floats, shares: Floats) -> Floats:
    """Corrected probabilities over the shares of the cases that they were corrected on; 0 without any."""
    return np.divide(corrected, shares, out=np.zeros_like(corrected), where=shares > 0)


def match_means(truth: Ints, labelled: Floats, unlabelled: Floats) -> Floats:
    """Black-box shift estimation with mean probabilities, shares that are none below 0: float64 (k,).

    Args:
        truth: int64 (n,). labelled, unlabelled: corrected probabilities, float64 (n, k) and (m, k).
    """
    from scipy.optimize import nnls  # here: slow to load, and points need none of it

    k = labelled.shape[1]
    known = np.bincount(truth, minlength=k) > 0
    means = np.stack([labelled[truth == c].mean(axis=0) for c in np.flatnonzero(known)], axis=1)
    heavy = 100.0  # that they sum to 1
    table = np.concatenate([means, heavy * np.ones((1, known.sum()))])
    found = nnls(table, np.append(unlabelled.mean(axis=0), heavy))[0]
    shares = np.zeros(k)
    shares[known] = found / found.sum()
    return shares


def draw_shares(
    truth: Ints,
    labelled: Floats,
    unlabelled: Floats,
    correction: Correction,
    shares: Floats,
    groups: Ints | None = None,
) -> Floats:
    """The shares in resamples of labelled and unlabelled cases: float64 (``N_DRAWS``, k).

    A resample of the labelled cases moves the correction to first order, and its class shares.

    Args:
        labelled, unlabelled: probabilities as they are. correction, shares: what was found.
    """
    n, k = labelled.shape
    step = moves(truth, labelled, correction)
    hits = np.eye(k)[truth]
    weights = np.concatenate([*bootstrap_weights(n, N_DRAWS, groups)])[:N_DRAWS].astype(np.float64)
    moved, counts = (weights - 1) @ step, weights @ hits
    rng, found = stream(0, "unlabelled cases"), []
    # Not from the border: a share of 0 would stay there.
    start = 0.9 * shares + 0.1 * correction.shares
    for change, count in zip(moved, counts, strict=True):
        drawn = Correction(
            correction.heat + change[k], correction.offsets + change[:k], count / count.sum()
        )
        taken = np.bincount(
            rng.integers(0, len(unlabelled), len(unlabelled)), minlength=len(unlabelled)
        )
        seen = taken > 0
        ratios = ratios_of(
            drawn.apply(unlabelled[seen]),
            np.where(correction.shares > 0, np.maximum(drawn.shares, 1 / n), 0),
        )
        found.append(maximise(ratios, start, taken[seen].astype(np.float64), _MOST_STEPS_AGAIN))
    return np.stack(found)


def bound_shares(shares: Floats, drawn: Floats) -> tuple[Floats, Floats]:
    """95% intervals: the wider of percentiles and 1.96 standard deviations of the draws, (k,) both."""
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    half = Z * drawn.std(axis=0, ddof=1)
    return np.clip(np.minimum(low, shares - half), 0, 1), np.clip(
        np.maximum(high, shares + half), 0, 1
    )


def estimate_shares(truth: Ints, labelled: Floats, unlabelled: Floats) -> tuple[Floats, Correction]:
    """The shares of greatest likelihood, float64 (k,), and the correction that was fitted for them."""
    correction = fit(truth, labelled)
    ratios = ratios_of(correction.apply(unlabelled), correction.shares)
    return maximise(ratios, correction.shares), correction
