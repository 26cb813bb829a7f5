"""Folds within the scored cases: what is fitted on some of them is scored on the others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from milkreport.streams import stream

Ints = npt.NDArray[np.int64]

N_FOLDS = 5


def inner_folds(truth: Ints, groups: Ints | None = None, n_folds: int = N_FOLDS) -> list[Ints]:
    """Positions of *n_folds* parts that hold every case once, classes spread evenly, groups kept whole.

    Dealt in the order of class and a fixed random draw; the same cases always give the same folds.
    """
    units = np.arange(len(truth)) if groups is None else groups
    first = np.unique(units, return_index=True)[1]
    order = np.lexsort((stream(0, "inner folds").permutation(len(first)), truth[first]))
    fold_of = np.empty(len(first), np.int64)
    fold_of[order] = np.arange(len(first)) % min(n_folds, len(first))
    place = np.unique(units, return_inverse=True)[1]
    folds = [np.flatnonzero(fold_of[place] == fold) for fold in range(n_folds)]
    return [fold for fold in folds if len(fold)]
