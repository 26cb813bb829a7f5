"""How well scores rank: one-vs-rest ROC AUC, average precision, top-k; points, and how each case moves them.

A resample is not ranked anew: to first order a metric moves by each case's influence times how often the case
is drawn beyond once (the infinitesimal jackknife). For the AUC that is DeLong's variance, covariances between
classes, arms and seeds included.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Weights = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

TOP = (2, 3)


def score_ranking(truth: Ints, scores: Floats) -> tuple[Floats, Floats]:
    """AUC and average precision of each class against the others.

    One sort a class serves both. AUC: Mann and Whitney's, ties count half. Average precision: the step
    sum over distinct thresholds. Equal to scikit-learn's ``roc_auc_score`` and
    ``average_precision_score`` (tested), which would sort twice.

    Args:
        truth: int64 (n,), class positions. scores: float64 (n, n_classes), higher is likelier.

    Returns:
        two float64 (n_classes,), nan for a class without cases or without non-cases.
    """
    pairs = [score_binary(truth == c, scores[:, c]) for c in range(scores.shape[1])]
    auc, precision = zip(*pairs, strict=True)
    return np.array(auc), np.array(precision)


def score_binary(positive: Bools, score: Floats) -> tuple[float, float]:
    """AUC and average precision of one score, float64 (n,); nan where a side is empty."""
    n, n_positive = len(positive), int(positive.sum())
    if n_positive in (0, n):
        return np.nan, np.nan
    order = np.argsort(-score)
    hits = np.cumsum(positive[order])
    last = np.append(np.flatnonzero(np.diff(score[order])), n - 1)  # end of each run of ties
    tp, seen = hits[last].astype(np.float64), last + 1.0
    gained = np.diff(tp, prepend=0)
    fp = seen - tp
    missed = np.diff(fp, prepend=0)
    # A false alarm loses against every positive above it and draws with those of its own run.
    area = (missed * (tp - gained / 2)).sum() / (n_positive * (n - n_positive))
    return float(area), float((gained * (tp / seen)).sum() / n_positive)


def mean_defined(values: Floats) -> Floats:
    """Mean over the last axis of what is defined; nan where nothing is."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, values, 0).sum(axis=-1) / known.sum(axis=-1))


def truth_ranks(truth: Ints, scores: Floats) -> Ints:
    """Place of the true class in each case's ranking, from 1; of equals the first leads, as in argmax."""
    own = scores[np.arange(len(truth)), truth][:, None]
    earlier = np.arange(scores.shape[1])[None, :] < truth[:, None]
    return np.asarray(1 + (scores > own).sum(axis=1) + ((scores == own) & earlier).sum(axis=1))


def binary_influence(positive: Bools, score: Floats) -> tuple[Floats, Floats]:
    """How far each case moves the AUC and the average precision: two float64 (n,), each summing to 0.

    AUC: the share of the other side that a case beats, less the AUC, over the size of its own side (DeLong et
    al., 1988). Average precision: the derivative of its step sum by the weight of the case, ties in one step.

    Args:
        positive: bool (n,), both kinds present. score: float64 (n,).
    """
    n, m = len(positive), int(positive.sum())
    order = np.argsort(-score, kind="stable")
    hit, ordered = positive[order], score[order]
    # The run of ties that each case stands in: [first, last).
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    ends = np.append(starts[1:], n)
    run = np.repeat(np.arange(len(starts)), ends - starts)
    first, last = starts[run], ends[run]
    tp = np.append(0, np.cumsum(hit))
    above, until = tp[first], tp[last]  # positives above the case's run, and above or in it
    below = (n - last) - (m - until)  # negatives below it
    tied_negatives = (last - first) - (until - above)
    # A positive's share of the negatives below it, a negative's of the positives above it: both average to
    # the AUC.
    beats = np.where(hit, (below + tied_negatives / 2) / (n - m), (above + until) / 2 / m)
    auc = float(beats[hit].mean())
    of_auc = (beats - auc) / np.where(hit, m, n - m)
    precision = until / last
    average = float(precision[hit].mean())
    # Every case at or above a positive counts in that positive's precision, TP / N.
    gain = np.append(np.cumsum((hit / last)[::-1])[::-1], 0)[first]
    loss = np.append(np.cumsum((hit * until / last**2)[::-1])[::-1], 0)[first]
    of_average = np.where(hit, precision - average + gain - loss, -loss) / m
    auc_moves, average_moves = np.empty(n), np.empty(n)
    auc_moves[order], average_moves[order] = of_auc, of_average
    return auc_moves, average_moves


def rank_moves(truth: Ints, scores: Floats) -> tuple[Floats, npt.NDArray[np.float32]]:
    """AUC and average precision of every class, float64 (2, n_classes), nan for a class without cases or
    without non-cases; and how far each case moves them, float32 (2, n, n_classes).
    """
    points = np.stack(score_ranking(truth, scores))
    moves = np.zeros((2, *scores.shape), np.float32)
    for c in np.flatnonzero(np.isfinite(points[0])):
        moves[:, :, c] = binary_influence(truth == c, scores[:, c])
    return points, moves


def resample_ranking(
    points: Floats, moves: npt.NDArray[np.float32], weights: Weights
) -> tuple[Floats, Floats]:
    """AUC and average precision of every class in every resample, to first order.

    Args:
        points, moves: of :func:`rank_moves`. weights: float32 (n_resamples, n), how often each case is drawn.

    Returns:
        two float64 (n_resamples, n_classes), nan where the points are.
    """
    # The influences sum to 0, so that drawing every case once moves nothing.
    auc, average = (points[i] + weights @ moves[i] for i in range(2))
    return auc.astype(np.float64), average.astype(np.float64)
