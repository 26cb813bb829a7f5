"""Reviewing the cases with the highest score for a class: how many of its cases are found that way."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.parts import TopShare

#: Shares of the cases that are reviewed.
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2)
#: A class with more of the cases than this is found without such a review.
MOST_SUPPORT = 0.1

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def top_shares(seeds: Sequence[Predictions]) -> list[list[TopShare]]:
    """For each class the reviews of :data:`SHARES`, means over seeds; empty if the class is not rare.

    Args:
        seeds: one training's predictions each, of the same cases; no hard labels.
    """
    truth, n_classes = seeds[0].truth, len(seeds[0].classes)
    found: list[list[TopShare]] = []
    for c in range(n_classes):
        mine = truth == c
        rare = 0 < mine.sum() <= MOST_SUPPORT * len(truth)
        found.append([_mean(seeds, mine, c, share) for share in SHARES] if rare else [])
    return found


def count_reviewed(share: float, n: int) -> int:
    """How many of *n* cases a share is, rounded up; ties of the lowest score come on top."""
    return math.ceil(round(share * n, 9))  # 0.1 * 30 is a little more than 3


def review(score: Floats, mine: Bools, share: float) -> tuple[float, int, int]:
    """The lowest score that is reviewed, and the hits and false alarms among what is.

    All cases that share the lowest score are reviewed, so that the threshold tells which ones are.

    Args:
        score: float64 (n,). mine: bool (n,), cases of the class.
        share: of the cases, above 0 and at most 1, rounded up to whole cases.
    """
    n = count_reviewed(share, len(score))
    threshold = float(np.partition(score, -n)[-n])
    reviewed = score >= threshold
    return threshold, int((reviewed & mine).sum()), int((reviewed & ~mine).sum())


def _mean(seeds: Sequence[Predictions], mine: Bools, c: int, share: float) -> TopShare:
    threshold, hits, false_alarms = np.mean(
        [review(p.probabilities[:, c], mine, share) for p in seeds], axis=0
    ).tolist()
    return TopShare(share=share, threshold=threshold, hits=hits, false_alarms=false_alarms)
