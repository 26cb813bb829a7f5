"""How well scores rank: one-vs-rest ROC AUC, average precision, top-k; points and many resamples.

Points from one sort a class. Resamples by matrix products: with ``w`` how often each case is drawn, the
AUC of a class is the sum over its cases of ``w_i`` times the drawn weight of the non-cases ranked below, so
that all resamples of all classes are one product of the weights with a matrix of comparisons.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Weights = npt.NDArray[np.float32]

#: Above this many cases the comparisons of all pairs are too many; resamples of the AUC are then
#: linearised by its influence function, and average precision gets no interval.
MOST_PAIRED = 10_000
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


def score_binary(positive: npt.NDArray[np.bool_], score: Floats) -> tuple[float, float]:
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


@dataclass(frozen=True)
class RankDraws:
    """One-vs-rest AUC and average precision in each resample: float64 (n_resamples, n_classes)."""

    auc: Floats
    average_precision: Floats | None


def resample_ranking(truth: Ints, scores: Floats, weights: Weights) -> RankDraws:
    """Both metrics of every class in every resample.

    Args:
        weights: float32 (n_resamples, n), how often each case is drawn.
    """
    if len(truth) > MOST_PAIRED:
        return RankDraws(_linearised_auc(truth, scores, weights), None)
    n_classes = scores.shape[1]
    member = (truth[:, None] == np.arange(n_classes)).astype(np.float32)
    own = scores[np.arange(len(truth)), truth]  # each case's score for its own class
    rival = scores.T[truth].T  # [j, i]: what case j scores for the class of case i
    other = truth[:, None] != truth[None, :]
    below, tied = other & (rival < own), other & (rival == own)
    beaten = weights @ below.astype(np.float32)
    drawn = (weights @ member).astype(np.float64)  # cases of each class in each resample
    total = drawn.sum(axis=1, keepdims=True)
    won = beaten
    if tied.any():
        won = beaten + weights @ (tied * np.float32(0.5))
    with np.errstate(divide="ignore", invalid="ignore"):
        auc = (weights * won) @ member / (drawn * (total - drawn))
        precision = np.full(auc.shape, np.nan)
        for c in np.unique(truth):
            mine = np.flatnonzero(truth == c)
            w = weights[:, mine]
            at_least = (own[mine][:, None] >= own[mine][None, :]).astype(np.float32)
            tp = w @ at_least
            fp = (total - drawn)[:, [c]] - beaten[:, mine]
            pure = np.where(w > 0, tp / (tp + fp), 0)  # 0/0 where nothing was drawn so far
            precision[:, c] = (w * pure).sum(axis=1) / drawn[:, c]
        precision[~np.isfinite(auc)] = np.nan
    return RankDraws(auc, precision)


def _linearised_auc(truth: Ints, scores: Floats, weights: Weights) -> Floats:
    """AUC plus the influence of each case times how often it is drawn beyond once (infinitesimal jackknife).

    The influence of a case is the share of the other side that it beats, less the AUC (DeLong et al., 1988).
    """
    from scipy.stats import rankdata

    n, n_classes = scores.shape
    influence = np.zeros((n, n_classes))
    points = np.full(n_classes, np.nan)
    for c in range(n_classes):
        positive = truth == c
        m = int(positive.sum())
        if m in (0, n):
            continue
        everywhere = rankdata(scores[:, c])
        won = everywhere[positive] - rankdata(scores[positive, c])
        lost = everywhere[~positive] - rankdata(scores[~positive, c])
        points[c] = won.sum() / (m * (n - m))
        influence[positive, c] = (won / (n - m) - points[c]) / m
        influence[~positive, c] = (1 - lost / m - points[c]) / (n - m)
    moved = weights @ influence.astype(np.float32) - influence.sum(axis=0)
    return np.asarray(points + moved, np.float64)
