"""Two arms on the same cases: at the same specificity, and which cases they call differently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.binary.answers import Answers
from milkreport.evaluation.intervals.closed_form import Z, t_quantile
from milkreport.evaluation.intervals.clusters import count_units, effective_sizes
from milkreport.evaluation.intervals.readers import difference_spread
from milkreport.evaluation.metrics.measures import Measured, Plan
from milkreport.evaluation.metrics.positive import SPECIFICITIES, split_positive
from milkreport.evaluation.pooled_predictions import PooledPredictions
from milkreport.evaluation.records.binary import AtSpecificity, Reclassified
from milkreport.evaluation.records.estimate import Estimate

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Pair = tuple[float, float]

#: Fewer cases of a side, and no difference has an interval.
FEWEST_OF_A_SIDE = 10


def compare_at_specificity(
    pools: Mapping[str, PooledPredictions],
    points: Mapping[str, Sequence[Measured]],
    seeds: Sequence[int],
    groups: Ints | None,
    plan: Plan,
) -> list[AtSpecificity]:
    """Each arm's sensitivity minus the first arm's at every fixed specificity; nothing of hard labels.

    Args:
        points: what was measured of each arm, seed by seed.
    """
    names = list(pools)
    name = "at_specificity"
    if not plan.positive or any(name not in m.positive for found in points.values() for m in found):
        return []
    true, _, _ = split_positive(pools[names[0]].seeds[seeds[0]], plan.positive)
    first, found = names[0], []
    for arm in names[1:]:
        values = [np.array([m.positive[name] for m in points[who]]) for who in (arm, first)]
        draws = [
            np.stack([pools[who].draws[s].positive[name] for s in seeds], axis=1)
            for who in (arm, first)
        ]
        for i, specificity in enumerate(SPECIFICITIES):
            one, other = (v[:, i] for v in values)
            low, high = bound_at_specificity(
                true, (one, other), (draws[0][:, :, i], draws[1][:, :, i]), groups
            )
            found.append(
                AtSpecificity(
                    arm=arm,
                    against=first,
                    specificity=specificity,
                    difference=_estimate(float(one.mean() - other.mean()), low, high),
                )
            )
    return found


def bound_at_specificity(
    true: Bools, values: tuple[Floats, Floats], draws: tuple[Floats, Floats], groups: Ints | None
) -> Pair:
    """The 95% interval of the difference: Student's t, seeds as readers; nan with few cases.

    Resamples choose their thresholds anew. Equal answers may hide a discordant positive case on each side
    (Bonett and Price, 2012): that is added, so that no interval has zero width.

    Args:
        values: of both arms, a seed each, float64 (n_seeds,). draws: in each resample, (n_resamples,
        n_seeds).
    """
    units = int(count_units(true[:, None], groups)[0])
    if units < FEWEST_OF_A_SIDE or (~true).sum() < FEWEST_OF_A_SIDE / (1 - max(SPECIFICITIES)) / 2:
        return np.nan, np.nan
    known = np.isfinite(draws[0]).all(axis=1) & np.isfinite(draws[1]).all(axis=1)
    spread = difference_spread(*values, draws[0][known], draws[1][known])
    error = np.sqrt(spread.error**2 + 2 / (units + 2) ** 2)
    df = spread.df if np.isfinite(spread.df) else units - 1
    half = float(t_quantile(df)) * float(error)
    value = float(values[0].mean() - values[1].mean())
    return max(value - half, -1.0), min(value + half, 1.0)


def reclassify(
    pools: Mapping[str, PooledPredictions],
    seeds: Sequence[int],
    groups: Ints | None,
    plan: Plan,
) -> list[Reclassified]:
    """Each arm against the first: cases of both outcomes, as called at the operating points."""
    names = list(pools)
    if not plan.positive or any(not pools[name].answers for name in names):
        return []
    first, found = names[0], []
    for arm in names[1:]:
        sides = []
        for s in seeds:
            true, _, score = split_positive(pools[arm].seeds[s], plan.positive)
            _, _, rival = split_positive(pools[first].seeds[s], plan.positive)
            sides.append((true, score, rival, pools[arm].answers[s], pools[first].answers[s]))
        for outcome in ("positive", "negative"):
            counts = []
            for true, _, _, one, other in sides:
                member, right, before = _right(true, outcome, one.called, other.called)
                cells = [right & before, right & ~before, ~right & before, ~right & ~before]
                counts.append([int((cell & member).sum()) for cell in cells])
            both, gained, lost, none = (float(v) for v in np.mean(counts, axis=0))
            n = int(member.sum())
            low, high = (
                bound_change(*sides[0], outcome, groups) if len(seeds) == 1 else (np.nan,) * 2
            )
            value = (gained - lost) / n if n else np.nan
            found.append(
                Reclassified(
                    arm=arm,
                    against=first,
                    outcome="positive" if outcome == "positive" else "negative",
                    n=n,
                    both_right=both,
                    became_right=gained,
                    became_wrong=lost,
                    both_wrong=none,
                    difference=_estimate(value, low, high),
                )
            )
    return found


def bound_change(
    true: Bools,
    score: Floats,
    rival: Floats,
    one: Answers,
    other: Answers,
    outcome: str,
    groups: Ints | None,
) -> Pair:
    """The 95% interval of a difference of sensitivities (or specificities) at two operating points, paired.

    Bonett and Price's adjusted Wald (2012), over the design effect of groups; the jackknife over folds adds
    the error of nested thresholds.

    Args:
        score, rival: of both arms, float64 (n,).
    """
    member, right, before = _right(true, outcome, one.called, other.called)
    n = int(member.sum())
    if n < FEWEST_OF_A_SIDE:
        return np.nan, np.nan
    change = (right.astype(float) - before) * member
    size = float(effective_sizes(member[:, None], change[:, None], groups)[0])
    gained, lost = ((change == sign).sum() / n * size for sign in (1, -1))
    up, down = (gained + 1) / (size + 2), (lost + 1) / (size + 2)
    variance = (up + down - (up - down) ** 2) / (size + 2)
    centre = up - down
    nested = [a for a in (one, other) if a.source == "nested"]
    if nested:
        k = len(nested[0].used)
        folds = []
        for i in range(k):
            calls = [
                s >= a.used[i] if a.source == "nested" else a.called
                for s, a in ((score, one), (rival, other))
            ]
            _, after, former = _right(true, outcome, *calls)
            folds.append(float((after.astype(float) - former)[member].mean()))
        variance += (k - 1) * float(np.var(folds))
    half = Z * float(np.sqrt(variance))
    return max(centre - half, -1.0), min(centre + half, 1.0)


def _right(true: Bools, outcome: str, called: Bools, before: Bools) -> tuple[Bools, Bools, Bools]:
    """The cases of an outcome, and whether each is called right by one arm and by the other."""
    if outcome == "positive":
        return true, called, before
    return ~true, ~called, ~before


def _estimate(value: float, low: float, high: float) -> Estimate:
    if not np.isfinite(value):
        return Estimate(value=None)
    known = bool(np.isfinite([low, high]).all())
    return Estimate(value=value, low=low if known else None, high=high if known else None)
