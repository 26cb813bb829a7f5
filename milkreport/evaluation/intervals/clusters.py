"""What groups of cases (a patient's) do to counts: design effects and effective sample sizes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.intervals.closed_form import Z, t_quantile

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def count_all(n: int, groups: Ints | None) -> int:
    """How many are drawn: groups, or without any *n* cases."""
    return n if groups is None else int(groups.max()) + 1


def count_units(members: Bools, groups: Ints | None) -> Ints:
    """How many cases, or groups, hold a member: bool (n, k) to int64 (k,)."""
    if groups is None:
        return np.asarray(members.sum(axis=0), np.int64)
    return np.asarray((sum_groups(members.astype(np.float64), groups) > 0).sum(axis=0), np.int64)


def effective_sizes(members: Bools, hits: Bools | Floats, groups: Ints | None) -> Floats:
    """Sample sizes at which proportions of independent cases would be as uncertain: float64 (k,).

    Without groups the numbers of members. With groups, those over the design effect (variance of the group
    totals over that of independent cases, at least 1; Kish, 1965), and smaller for few groups, whose
    variance is itself uncertain, by Korn and Graubard's squared ratio of quantiles (1998). Where all or no
    members are hits, or all are of one group, nothing shows how alike a group's cases are: a group then
    counts once.

    Args:
        members, hits: bool (n, k); a hit is a member. Hits may be numbers, whose mean is looked at.
        groups: int64 (n,).
    """
    n = np.asarray(members.sum(axis=0), np.float64)
    if groups is None:
        return n
    units = count_units(members, groups).astype(np.float64)
    share = np.divide(hits.sum(axis=0), n, out=np.zeros_like(n), where=n > 0)
    residuals = hits - members * share
    alone = (residuals**2).sum(axis=0)
    # As the jackknife leaves out groups: a large group bends the share towards itself.
    held = sum_groups(members.astype(np.float64), groups) / np.maximum(n, 1)
    together = ((sum_groups(residuals, groups) / np.maximum(1 - held, 0.5)) ** 2).sum(axis=0)
    effect = np.divide(together, alone, out=np.ones_like(alone), where=alone > 0)
    size = np.where(alone > 0, n / np.maximum(effect, 1), units)
    # One group has no spread of its own to look at.
    size = np.where(units == 1, 1.0, size)
    few = np.where(units > 1, (Z / t_quantile(np.maximum(units - 1, 1))) ** 2, 1.0)
    # As few groups as that of one case each are as many cases: Student's t is for the design effect alone.
    return np.asarray(np.where(units < n, size * few, n))


def sum_groups(values: Floats, groups: Ints) -> Floats:
    """Totals of each group: float64 (n, k) to (n_groups, k); no group is empty."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    return np.asarray(np.add.reduceat(values[order], starts, axis=0))
