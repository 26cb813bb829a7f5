"""Printed confusion matrices: what they can be read as, and what a missing case could have been."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

#: More than so many cases lacking, or too many, and the ways to mend it tell nothing.
MOST_MENDED = 2


@dataclass(frozen=True, eq=False)
class Reading:
    """One way to read a printed matrix: int64 (k, k), rows true; ``repairs``: what was done to the print.

    ``transposed``: it was taken to be printed with the predicted classes in rows.
    """

    counts: Ints
    repairs: tuple[str, ...] = ()
    transposed: bool = False


@dataclass(frozen=True, eq=False)
class Completion:
    """Counts whose rows sum to the support, and what had to be assumed, a phrase each."""

    counts: Ints
    assumed: tuple[str, ...]


def read_matrix(rows: Sequence[Sequence[int]], classes: Sequence[str]) -> list[Reading]:
    """Every way to read printed rows as a matrix of these classes; none where there is no way.

    A row of zeros too many is left out. Where rows hold one number too many, one zero is taken out at the
    same place of each; every place that allows it is a reading of its own, and the metrics may tell which.
    """
    k = len(classes)
    repairs: list[str] = []
    kept = [list(row) for row in rows]
    while len(kept) > k and not any(kept[-1]):
        kept.pop()
    if len(kept) < len(rows):
        repairs.append(
            f"{len(rows)} rows are printed for {k} classes; the last holds only zeros and is left out"
        )
    if len(kept) != k:
        return []
    long = [i for i, row in enumerate(kept) if len(row) == k + 1]
    if any(len(row) != k for i, row in enumerate(kept) if i not in long):
        return []
    if not long:
        return [Reading(np.array(kept, np.int64), tuple(repairs))]
    found: dict[bytes, tuple[Ints, list[int]]] = {}
    for place in range(k + 1):
        if any(kept[i][place] for i in long):
            continue
        counts = np.array(
            [row[:place] + row[place + 1 :] if i in long else row for i, row in enumerate(kept)],
            np.int64,
        )
        found.setdefault(counts.tobytes(), (counts, []))[1].append(place)
    lead = f"{len(long)} rows have {k + 1} numbers; one zero in each is left out as extra, the one"
    return [
        Reading(counts, (*repairs, f"{lead} {_places(places, classes)}"))
        for counts, places in found.values()
    ]


def transpose(readings: Sequence[Reading]) -> list[Reading]:
    """The same print read with the predicted classes in rows, where it was not misprinted."""
    said = ("printed with the predicted classes in rows; it is read transposed",)
    return [Reading(r.counts.T.copy(), said, True) for r in readings if not r.repairs]


def _places(places: Sequence[int], classes: Sequence[str]) -> str:
    """Where the zero stands; neighbours are the same."""
    named = [f"before {classes[p]}" if p < len(classes) else "at the end" for p in places]
    return (
        named[0]
        if len(named) == 1
        else f"{named[0]} (leaving out another up to {named[-1]} gives the same)"
    )


def consensus(sums: Mapping[str, Ints]) -> Ints | None:
    """Row sums that more than half of several matrices of the same cases have, class by class.

    Args:
        sums: arm to int64 (k,).

    Returns:
        ``None`` where a class has no such sum: fewer than two matrices, or an even split.
    """
    table = np.stack([*sums.values()]) if sums else np.zeros((0, 0), np.int64)
    agreed = []
    for column in table.T:
        values, counts = np.unique(column, return_counts=True)
        if len(table) < 2 or 2 * counts.max() <= len(table):
            return None
        agreed.append(values[counts.argmax()])
    return np.array(agreed, np.int64) if agreed else None


def complete(counts: Ints, support: Ints, classes: Sequence[str]) -> list[Completion]:
    """All matrices whose rows sum to *support* with as few cases as possible added or taken out.

    Returns:
        none where more than two cases lack or are too many; the counts alone where no case is.
    """
    gaps = support - counts.sum(axis=1)
    wrong = np.flatnonzero(gaps)
    if np.abs(gaps).sum() > MOST_MENDED:
        return []
    choices = [list(_mend(counts, int(row), int(gaps[row]), classes)) for row in wrong]
    found = []
    for chosen in itertools.product(*choices):
        whole = counts.copy()
        for row, columns, _ in chosen:
            for column in columns:
                whole[row, column] += np.sign(gaps[row])
        found.append(Completion(whole, tuple(said for _, _, said in chosen)))
    return found


def _mend(
    counts: Ints, row: int, gap: int, classes: Sequence[str]
) -> Iterator[tuple[int, tuple[int, ...], str]]:
    """Ways to add *gap* cases to a row, or to take so many out where it is negative."""
    for columns in itertools.combinations_with_replacement(range(len(classes)), abs(gap)):
        if gap < 0 and any(columns.count(c) > counts[row, c] for c in columns):
            continue
        answers = " and ".join(classes[c] for c in columns)
        yield row, columns, answers
