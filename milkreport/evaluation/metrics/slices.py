"""Subgroups: the same metrics on the cases that share a value of a column, and how far they lie apart.

The resamples are those of the whole part, so a slice, its complement and the gaps are drawn together.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from milkreport.evaluation.metrics.confusion import score_confusion
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.streams import stream

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Weights = npt.NDArray[np.float32]

#: Slices with fewer cases are withheld, by name and count: a number would be noise, and near to a person.
FEWEST = 10
MOST_VALUES = 12
METRICS = ("accuracy", "balanced_accuracy", "macro_f1")
AGE_EDGES = (30.0, 45.0, 60.0, 75.0)
N_SHUFFLES = 200
#: So many more where none of the first reaches the gap: p is then small enough for Holm's correction.
N_MORE_SHUFFLES = 800


@dataclass(frozen=True)
class Slice:
    """The cases with one value of one column: ``member`` is bool (n,)."""

    column: str
    value: str
    member: Bools

    @property
    def n(self) -> int:
        """How many there are."""
        return int(self.member.sum())


def make_slices(
    table: pd.DataFrame, case_ids: npt.NDArray[np.str_], columns: Sequence[str] = ()
) -> list[Slice]:
    """Slices of the cases in their order, small ones too; a missing value makes the slice "missing".

    Args:
        table: text or number columns, indexed by case id; cases without a row are missing.
        columns: which to use; none named: those of at most 12 values, and ages.
    """
    found = []
    for column in columns or [c for c in table.columns if _tells_apart(str(c), table[c])]:
        values = _banded(str(column), table[column].reindex(case_ids))
        names = sorted(set(values.dropna()), key=_natural)
        found += [Slice(str(column), name, (values == name).to_numpy(bool)) for name in names]
        if values.isna().any():
            found.append(Slice(str(column), "missing", values.isna().to_numpy(bool)))
    return found


def skipped_columns(table: pd.DataFrame, columns: Sequence[str] = ()) -> dict[str, int]:
    """Columns of which no slices are made because they have too many values: name to how many.

    Args:
        columns: those that were asked for; of any of these no other column was expected.
    """
    if columns:
        return {}
    counts = {str(c): int(table[c].dropna().nunique()) for c in table.columns}
    return {
        name: n
        for name, n in counts.items()
        if n > MOST_VALUES and not _tells_apart(name, table[name])
    }


def resample_slices(
    p: Predictions,
    weights: Weights,
    counts: Floats,
    slices: Sequence[Slice],
    positive: tuple[str, ...],
) -> dict[str, Floats]:
    """Each metric of each slice and of the cases outside it: name to (n_resamples, n_slices, 2).

    Args:
        counts: confusion counts of all cases in each resample.
    """
    if not slices:
        return {}
    found: dict[str, list[Floats]] = {}
    cells = p.truth * len(p.classes) + p.predicted
    kinds, kind = np.unique(cells, return_inverse=True)
    for piece in slices:
        mine = np.flatnonzero(piece.member)
        hot = (kind[mine][:, None] == np.arange(len(kinds))).astype(np.float32)
        inside = np.zeros((len(weights), len(p.classes) ** 2))
        inside[:, kinds] = weights[:, mine] @ hot
        shaped = inside.reshape(counts.shape)
        both = np.stack([shaped, np.maximum(counts - shaped, 0)], axis=1)
        present = np.bincount(p.truth[piece.member], minlength=len(p.classes)) > 0
        outside = np.bincount(p.truth[~piece.member], minlength=len(p.classes)) > 0
        kept = np.stack([present, outside])
        for name, values in score_slice(both, p.classes, positive, kept).items():
            found.setdefault(name, []).append(values)
    return {name: np.stack(values, axis=1) for name, values in found.items()}


def score_slices(
    p: Predictions, slices: Sequence[Slice], positive: tuple[str, ...]
) -> dict[str, Floats]:
    """Points: name to (n_slices, 2), the slice and the cases outside it; nan where undefined."""
    if not slices:
        return {}
    ones = np.ones((1, len(p.truth)), np.float32)
    n = len(p.classes)
    counts = np.bincount(p.truth * n + p.predicted, minlength=n * n).reshape(1, n, n)
    found = resample_slices(p, ones, counts.astype(np.float64), slices, positive)
    return {name: values[0] for name, values in found.items()}


def score_slice(
    counts: Floats, classes: Sequence[str], positive: tuple[str, ...], present: Bools | None = None
) -> dict[str, Floats]:
    """The slices' metrics from confusion counts (..., n_classes, n_classes): float64 (...).

    Averages over classes are undefined in a slice of one class: nothing there can be confused.

    Args:
        present: bool (..., n_classes), the classes of each slice's cases; by default those with counts.
    """
    scores = score_confusion(counts, present)
    kinds = counts.sum(axis=-1) > 0 if present is None else present
    several = kinds.sum(axis=-1) > 1
    found = {
        name: scores[name] if name == "accuracy" else np.where(several, scores[name], np.nan)
        for name in METRICS
    }
    if positive:
        disease = np.array([name in positive for name in classes])
        with np.errstate(invalid="ignore"):
            for name, side in (("sensitivity", disease), ("specificity", ~disease)):
                rows = counts[..., side, :]
                found[name] = rows[..., side].sum(axis=(-2, -1)) / rows.sum(axis=(-2, -1))
    return found


def chance_gaps(
    pooled: Sequence[Predictions],
    slices: Sequence[Slice],
    positive: tuple[str, ...],
    gaps: Mapping[str, float],
) -> dict[str, tuple[float, float]]:
    """What each metric's gap (largest minus smallest slice) stays below in 95% of shuffles, and its p.

    The slices of one column change places within each class: alike slices would do no better. Mean over
    seeds, as the gap itself. Single cases move, whatever groups they come in, so that for cases that are
    right or wrong together this is too little.

    Args:
        gaps: the gaps that were found, by metric.
    """
    rng = stream(0, "slices")
    first = _shuffle_gaps(pooled, slices, positive, N_SHUFFLES, rng)
    drawn = first
    if any((found < gaps[name]).all() for name, found in first.items()):
        more = _shuffle_gaps(pooled, slices, positive, N_MORE_SHUFFLES, rng)
        drawn = {name: np.concatenate([found, more[name]]) for name, found in first.items()}
    return {
        name: (float(np.quantile(found, 0.95)), reaching(drawn[name], gaps[name]))
        for name, found in first.items()
    }


def reaching(drawn: Floats, gap: float) -> float:
    """p of a gap: the share of draws that reach it, the gap itself among them (Phipson and Smyth, 2010)."""
    return float((1 + (drawn >= gap - 1e-12).sum()) / (1 + len(drawn)))


def _shuffle_gaps(
    pooled: Sequence[Predictions],
    slices: Sequence[Slice],
    positive: tuple[str, ...],
    times: int,
    rng: np.random.Generator,
) -> dict[str, Floats]:
    """Each metric's gap in *times* shuffles, float64 (times,)."""
    truth, n = pooled[0].truth, len(pooled[0].classes)
    code = np.full(len(truth), len(slices))
    for position, piece in enumerate(slices):
        code[piece.member] = position
    order = np.argsort(truth, kind="stable")
    gaps: dict[str, list[float]] = {}
    for _ in range(times):
        shuffled = np.empty_like(code)
        shuffled[order] = code[np.lexsort((rng.random(len(truth)), truth))]
        values: dict[str, list[Floats]] = {}
        for p in pooled:
            cells = (shuffled * n + truth) * n + p.predicted
            counts = np.bincount(cells, minlength=(len(slices) + 1) * n * n)
            shaped = counts.reshape(-1, n, n)[: len(slices)].astype(np.float64)
            for name, found in score_slice(shaped, p.classes, positive).items():
                values.setdefault(name, []).append(found)
        for name, found_by_seed in values.items():
            mean = np.mean(found_by_seed, axis=0)
            gaps.setdefault(name, []).append(float(widest(mean)))
    return {name: np.array(found) for name, found in gaps.items()}


def widest(values: Floats) -> Floats:
    """Largest minus smallest defined value over the last axis; nan where none is defined."""
    return np.asarray(np.fmax.reduce(values, axis=-1) - np.fmin.reduce(values, axis=-1))


def _tells_apart(column: str, values: pd.Series) -> bool:
    """Whether a column offers itself: an age, or 2 to 12 texts or whole numbers."""
    distinct = values.dropna().unique()
    numbers = pd.to_numeric(pd.Series(distinct), errors="coerce")
    if numbers.notna().all() and not (numbers == numbers.round()).all():
        return False
    return len(distinct) > 1 and (_is_age(column) or len(distinct) <= MOST_VALUES)


def _is_age(column: str) -> bool:
    return column.lower().split("_")[0] == "age"


def _banded(column: str, values: pd.Series) -> pd.Series:
    """Values as text; ages and other numbers of many values as bands."""
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.notna().sum() < values.notna().sum():
        return values.where(values.isna(), values.astype(str))
    distinct = np.unique(numbers.dropna())
    if (
        not _is_age(column)
        and len(distinct) <= MOST_VALUES
        and (distinct == np.round(distinct)).all()
    ):
        return numbers.map(lambda v: None if pd.isna(v) else f"{v:g}").astype(object)
    edges = [*AGE_EDGES] if _is_age(column) else [*np.unique(numbers.quantile([0.25, 0.5, 0.75]))]
    names = [f"below {edges[0]:g}"]
    names += [f"{low:g} to below {high:g}" for low, high in itertools.pairwise(edges)]
    names.append(f"{edges[-1]:g} and above")
    place = np.digitize(numbers, edges)
    bands = [None if pd.isna(v) else names[i] for v, i in zip(numbers, place, strict=True)]
    return pd.Series(bands, index=values.index, dtype=object)


def _natural(name: str) -> tuple[float, str]:
    """Numbers and bands by their first number, other names by the alphabet."""
    words = [word for word in name.split() if word.replace(".", "").lstrip("-").isdigit()]
    if not words:
        return (float("inf"), name)
    return (float(words[0]) - 0.5 * name.startswith("below"), name)
