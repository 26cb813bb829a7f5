"""Whether other class shares alone explain unlabelled predictions.

Under label shift the predictions of each class are distributed as those of its labelled cases. Predictions
are sorted into cells: by predicted class, and in it by thirds of confidence. The counts of the unlabelled
cases are compared with the mix of the classes' cells that comes nearest to them. Its distance is compared
with those of imagined labelled and unlabelled cases that differ in class shares alone (parametric bootstrap).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.intervals.resampling import bootstrap_weights
from milkreport.streams import stream

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

N_DRAWS = 500
#: Cells per predicted class, by confidence.
THIRDS = 3
_STEPS = 150
#: Cases that the overall distribution over cells is worth beside a class's own cases.
_PRIOR = 1.0


@dataclass(frozen=True)
class ShiftTest:
    """``p``: share of imagined data sets that are as far from every mix; small: label shift does not explain
    the predictions. ``place``: (predicted class, third of confidence from the lowest) of the cell that is
    furthest off; ``found``, ``expected``: its unlabelled cases.
    """

    p: float
    place: tuple[int, int]
    found: float
    expected: float


class Cells:
    """Cells by predicted class and confidence, their edges from the labelled predictions."""

    def __init__(self, probabilities: Floats) -> None:
        """Args: probabilities: of the labelled cases, float64 (n, k)."""
        self.n_classes = probabilities.shape[1]
        answered, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
        self.edges = np.full((self.n_classes, THIRDS - 1), np.inf)
        for c in range(self.n_classes):
            if (answered == c).sum() >= THIRDS:
                inner = np.arange(1, THIRDS) / THIRDS
                self.edges[c] = np.quantile(sure[answered == c], inner)

    def sort(self, probabilities: Floats) -> Ints:
        """The cell of each case: int64 (n,)."""
        answered, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
        third = (sure[:, None] > self.edges[answered]).sum(axis=1)
        return np.asarray(answered * THIRDS + third, np.int64)

    @property
    def number(self) -> int:
        """How many there are."""
        return int(self.n_classes * THIRDS)


def nearest_mix(rates: Floats, counts: Floats, start: Floats) -> Floats:
    """Class shares whose mix of cells is likeliest, by expectation maximisation: float64 (..., k).

    Args:
        rates: float64 (..., k, cells), each class's distribution. counts: float64 (..., cells).
        start: float64 (k,).
    """
    shares = np.broadcast_to(start, (*counts.shape[:-1], len(start))).copy()
    total = counts.sum(axis=-1)[..., None]
    for _ in range(_STEPS):
        mixed = np.einsum("...k,...kj->...j", shares, rates)
        quotients = counts / np.maximum(mixed, 1e-12)
        shares = shares * np.einsum("...kj,...j->...k", rates, quotients) / total
    return np.asarray(shares)


def distances(rates: Floats, sizes: Floats, counts: Floats, shares: Floats) -> Floats:
    """Squared distance of the unlabelled cells from the mix over its variance, per cell: (..., cells).

    Args:
        rates: float64 (..., k, cells). sizes: labelled cases per class, float64 (k,).
        counts: float64 (..., cells). shares: float64 (..., k).
    """
    n = counts.sum(axis=-1)[..., None]
    mixed = np.einsum("...k,...kj->...j", shares, rates)
    own = np.einsum("...k,...kj->...j", shares**2 / np.maximum(sizes, 1), rates * (1 - rates))
    # Half a case at least, so that an empty cell weighs no more than one that is nearly empty.
    spread = np.maximum(mixed * (1 - mixed), 0.5 / n) / n + own
    return np.asarray((counts / n - mixed) ** 2 / spread)


def check_label_shift(
    truth: Ints, labelled: Floats, unlabelled: Floats, groups: Ints | None = None
) -> ShiftTest:
    """Compare the unlabelled predictions with all mixes of the labelled classes.

    Args:
        truth: int64 (n,). labelled, unlabelled: probabilities as they are, float64 (n, k), (m, k).
        groups: int64 (n,), labelled cases that are drawn together.
    """
    k, cells = labelled.shape[1], Cells(labelled)
    place, seen = cells.sort(labelled), cells.sort(unlabelled)
    counts = np.bincount(seen, minlength=cells.number).astype(np.float64)
    table = np.zeros((k, cells.number))
    np.add.at(table, (truth, place), 1)
    sizes = table.sum(axis=1)
    known = np.flatnonzero(sizes)
    table, sizes = table[known], sizes[known]
    start = sizes / sizes.sum()
    overall = (table.sum(axis=0) + 1 / cells.number) / (table.sum() + 1)
    rates = (table + _PRIOR * overall) / (sizes + _PRIOR)[:, None]
    shares = nearest_mix(rates, counts, start)
    found = distances(rates, sizes, counts, shares)
    rng = stream(0, "label shift")
    m = len(unlabelled)
    # The classes' distributions are themselves uncertain: they are drawn, then both kinds of cases.
    alpha = table + _PRIOR * overall
    if groups is None:
        drawn = rng.standard_gamma(np.broadcast_to(alpha, (N_DRAWS, *alpha.shape)))
        truths = drawn / drawn.sum(axis=2, keepdims=True)
        again = rng.multinomial(
            np.broadcast_to(sizes.astype(np.int64), (N_DRAWS, len(known))), truths
        )
        tables = again.astype(np.float64)
    else:
        codes = np.searchsorted(known, truth) * cells.number + place
        hot = np.zeros((len(truth), alpha.size), np.float32)
        hot[np.arange(len(truth)), codes] = 1
        pieces = [w @ hot for w in bootstrap_weights(len(truth), N_DRAWS, groups)]
        tables = np.concatenate(pieces).reshape(N_DRAWS, *alpha.shape).astype(np.float64)
        truths = np.broadcast_to(rates, tables.shape)
    mixed = np.einsum("k,...kj->...j", shares / shares.sum(), truths)
    imagined = rng.multinomial(m, mixed / mixed.sum(axis=1, keepdims=True)).astype(np.float64)
    n_drawn = tables.sum(axis=2)
    overalls = (tables.sum(axis=1) + 1 / cells.number) / (tables.sum(axis=(1, 2)) + 1)[:, None]
    fitted = (tables + _PRIOR * overalls[:, None]) / (n_drawn + _PRIOR)[:, :, None]
    near = nearest_mix(fitted, imagined, start)
    chance = distances(fitted, sizes, imagined, near).sum(axis=1)
    p = (1 + int((chance >= found.sum()).sum())) / (1 + N_DRAWS)
    worst = int(found.argmax())
    expected = m * float(shares @ rates[:, worst])
    return ShiftTest(p, divmod(worst, THIRDS), float(counts[worst]), expected)
