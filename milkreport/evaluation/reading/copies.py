"""Cases that are copies of one another: every model gives them the same probabilities, to the bit.

Independent cases have equal rows only where rows say little: hard labels, votes of a few trees, saturated or
coarsely rounded probabilities. So a row counts only if it states enough digits.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: Significant digits that a case's rows must state together before an equal case is taken for its copy.
DIGITS_OF_COPIES = 8
#: Digits per row from which two runs with equal predictions everywhere are the same model.
_DIGITS_OF_MODELS = 3


def find_copies(truth: Ints, rows: Floats) -> Ints | None:
    """For every case the position of the first case that it is a copy of (itself, if none), int64 (n,).

    ``None`` where no case is a copy. Cheap: rows are compared by a hash of their bits.

    Args:
        truth: int64 (n,). rows: float64 (n, m), all probabilities of a case, of every arm and seed.
    """
    bits = np.column_stack([np.ascontiguousarray(rows).view(np.uint64), truth.astype(np.uint64)])
    factors = np.random.default_rng(0).integers(1, 2**63, bits.shape[1], dtype=np.uint64) * 2 + 1
    # Bits are stirred before they are summed: most low bits of short decimals are 0.
    stirred = (bits ^ (bits >> np.uint64(29))) * factors
    codes = (stirred ^ (stirred >> np.uint64(32))).sum(axis=1, dtype=np.uint64)
    _, first, position = np.unique(codes, return_index=True, return_inverse=True)
    roots = first[position]
    places = np.arange(len(rows))
    later = np.flatnonzero(roots != places)
    if not len(later):
        return None
    same = (bits[later] == bits[roots[later]]).all(axis=1)
    later = later[same & (count_digits(rows[later]) >= DIGITS_OF_COPIES)]
    if not len(later):
        return None
    found = places.copy()
    found[later] = roots[later]
    return found.astype(np.int64)


def count_copies(roots: Ints) -> int:
    """Cases that are equal to another one, the first of each included."""
    return int((np.bincount(roots, minlength=len(roots))[roots] > 1).sum())


def count_digits(rows: Floats, most: int = DIGITS_OF_COPIES) -> Ints:
    """Significant digits that the distinct values of each row state, the largest left out: int64 (n,).

    A value counts for *most* digits at most; 0 and 1 state none.
    """
    ordered = np.sort(rows, axis=1)
    counted = (ordered > 0) & (ordered < 1)
    counted[:, 1:] &= ordered[:, 1:] != ordered[:, :-1]
    counted[:, -1] = False
    digits = np.full(rows.shape, most, np.int64)
    scale = np.floor(np.log10(np.where(counted, ordered, 1)))
    for n in range(most - 1, 0, -1):
        unit = 10.0 ** (scale - n + 1)
        short = np.abs(np.round(ordered / unit) * unit - ordered) <= 1e-12 * ordered
        digits[short] = n
    return np.asarray((digits * counted).sum(axis=1), np.int64)


def is_telling(rows: Floats) -> bool:
    """Whether equal rows show equal models: most of them state three digits and more, as no labels do."""
    return bool((count_digits(rows, _DIGITS_OF_MODELS) >= _DIGITS_OF_MODELS).mean() > 0.5)
