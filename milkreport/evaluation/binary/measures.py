"""What is said of answers at an operating point: points, resamples, and the intervals of one model.

Likelihood ratios after Altman and Bland (BMJ 1994), net benefit after Vickers and Elkin (2006), predictive
values at a stated prevalence by Bayes: PPV = 1 / (1 + (1 - q) / (q LR+)), NPV = 1 / (1 + q LR- / (1 - q)).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.binary.answers import Answers
from milkreport.evaluation.intervals.bounds import bound_share
from milkreport.evaluation.intervals.closed_form import Z, ratio_bounds

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Pair = tuple[float, float]

SHARES = ("sensitivity", "specificity", "ppv", "npv")
RATIOS = ("lr_positive", "lr_negative")
_PARTS = ("true positives", "false positives")
#: Fewer positive or negative cases, and their share has no interval that was shown to cover.
FEWEST_OF_A_SIDE = 5


def count_cells(true: Bools, called: Bools) -> Bools:
    """True and false positives, false and true negatives as columns: bool (n, 4)."""
    return np.stack([true & called, ~true & called, true & ~called, ~true & ~called], axis=1)


def score_counts(
    counts: Floats, odds: float | None = None, prevalences: Sequence[float] = ()
) -> dict[str, Floats]:
    """All measures from counts (..., 4), see :func:`count_cells`: name to float64 (...).

    nan where undefined; LR+ is infinite without a false positive. ``ppv@q``, ``npv@q``: at prevalence q.

    Args:
        odds: what a false positive costs in true positives, t / (1 - t); ``None``: no net benefit.
    """
    tp, fp, fn, tn = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {
            "sensitivity": tp / (tp + fn),
            "specificity": tn / (tn + fp),
            "ppv": tp / (tp + fp),
            "npv": tn / (tn + fn),
        }
        found["lr_positive"] = found["sensitivity"] / (1 - found["specificity"])
        found["lr_negative"] = (1 - found["sensitivity"]) / found["specificity"]
        if odds is not None:
            found["net_benefit"] = (tp - odds * fp) / (tp + fp + fn + tn)
        for q in prevalences:
            found[f"ppv@{q:g}"] = ppv_at(found["lr_positive"], q)
            found[f"npv@{q:g}"] = npv_at(found["lr_negative"], q)
    return {name: np.asarray(value) for name, value in found.items()}


def ppv_at(ratio: npt.ArrayLike, prevalence: float) -> Floats:
    """Positive predictive value at a prevalence, from LR+; 1 where that is infinite, 0 where it is 0."""
    ratio = np.asarray(ratio, np.float64)
    with np.errstate(divide="ignore"):
        return np.asarray(1 / (1 + (1 - prevalence) / (prevalence * ratio)))


def npv_at(ratio: npt.ArrayLike, prevalence: float) -> Floats:
    """Negative predictive value at a prevalence, from LR-."""
    return np.asarray(1 / (1 + prevalence * np.asarray(ratio, np.float64) / (1 - prevalence)))


def bound_at(
    true: Bools,
    score: Floats,
    answers: Answers,
    groups: Ints | None = None,
    odds: float | None = None,
    prevalences: Sequence[float] = (),
) -> dict[str, Pair]:
    """95% intervals of one model's measures; what is not named has none.

    Shares: Wilson, Clopper and Pearson's where few. Ratios: MOVER of the two shares' intervals (Donner and
    Zou, 2012), and through them the predictive values at stated prevalences, which rise with LR+ and fall
    with LR-. Net benefit: MOVER of the shares of true and false positives, which exclude one another.

    A nested threshold has an error of its own: the jackknife over the folds (what each fold's threshold would
    make of all cases) is added, and the interval also holds that of the threshold found on all cases.

    Args:
        true: bool (n,). score: float64 (n,). groups: int64 (n,), cases that were drawn together.
    """
    found: dict[str, Pair] = {}
    for name in (*SHARES, *_PARTS):
        hits, among = _share(name, true, answers.called)
        if among.sum() < FEWEST_OF_A_SIDE:
            continue
        low, high = map(float, bound_share(hits, among, groups))
        if answers.source == "nested":
            low, high = _widen(name, true, score, answers, groups, (low, high))
        found[name] = (low, high)
    if found.keys() >= {"sensitivity", "specificity"}:
        found |= _bound_ratios(true, answers.called, found, prevalences)
        if odds is not None:
            found["net_benefit"] = _bound_benefit(true, answers.called, found, odds)
    return {name: pair for name, pair in found.items() if name not in _PARTS}


def _share(name: str, true: Bools, called: Bools) -> tuple[Bools, Bools]:
    """The hits of a share, and the cases that it is a share of: bool (n,) both."""
    everyone = np.ones_like(true)
    return {
        "sensitivity": (true & called, true),
        "specificity": (~true & ~called, ~true),
        "ppv": (true & called, called),
        "npv": (~true & ~called, ~called),
        "true positives": (true & called, everyone),
        "false positives": (~true & called, everyone),
    }[name]


def _widen(
    name: str, true: Bools, score: Floats, answers: Answers, groups: Ints | None, bounds: Pair
) -> Pair:
    """A share's interval with the error of its nested threshold."""
    hits, among = _share(name, true, answers.called)
    value = float(hits.sum() / among.sum())
    by_fold = []
    for threshold in answers.used:
        hits, among = _share(name, true, score >= threshold)
        by_fold.append(float(hits.sum() / among.sum()) if among.any() else value)
    k = len(by_fold)
    error = Z * float(np.sqrt((k - 1) * np.var(by_fold)))  # the jackknife that leaves out folds
    low = value - float(np.hypot(value - bounds[0], error))
    high = value + float(np.hypot(bounds[1] - value, error))
    if answers.threshold is not None:
        hits, among = _share(name, true, score >= answers.threshold)
        if among.any():
            least, most = map(float, bound_share(hits, among, groups))
            low, high = min(low, least), max(high, most)
    return max(low, 0.0), min(high, 1.0)


def _bound_ratios(
    true: Bools, called: Bools, shares: Mapping[str, Pair], prevalences: Sequence[float]
) -> dict[str, Pair]:
    sensitivity, specificity = float(called[true].mean()), float((~called[~true]).mean())
    (low, high), (least, most) = shares["sensitivity"], shares["specificity"]
    positive = ratio_bounds((sensitivity, low, high), (1 - specificity, 1 - most, 1 - least))
    negative = ratio_bounds((1 - sensitivity, 1 - high, 1 - low), (specificity, least, most))
    found = {"lr_negative": negative}
    # Of fewer false alarms the ratio is known by its lower end alone.
    if (called & ~true).sum() >= FEWEST_OF_A_SIDE:
        found["lr_positive"] = positive
    for q in prevalences:
        found[f"ppv@{q:g}"] = (float(ppv_at(positive[0], q)), float(ppv_at(positive[1], q)))
        found[f"npv@{q:g}"] = (float(npv_at(negative[1], q)), float(npv_at(negative[0], q)))
    return found


def _bound_benefit(true: Bools, called: Bools, shares: Mapping[str, Pair], odds: float) -> Pair:
    hits, alarms = true & called, ~true & called
    (low, high), (least, most) = (shares[name] for name in _PARTS)
    p, q = float(hits.mean()), float(alarms.mean())
    # A case cannot be both: the two shares of a multinomial are negatively correlated.
    spare = (1 - p) * (1 - q)
    apart = -np.sqrt(p * q / spare) if spare > 0 else -1.0
    below, above = p - float(low), float(high) - p
    under, over = odds * (q - float(least)), odds * (float(most) - q)
    value = p - odds * q
    down = below**2 + over**2 - 2 * apart * below * over
    up = above**2 + under**2 - 2 * apart * above * under
    return value - float(np.sqrt(down)), value + float(np.sqrt(up))
