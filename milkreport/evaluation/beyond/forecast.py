"""What is expected at other class shares, if each class looks there as it does in the test part.

Under label shift what happens to the cases of a class stays: recall, errors, how many are called. Everything
else is a mix of these by the shares. Sums over classes have MOVER intervals (Zou and Donner, 2008) of the
classes' own proportions, predictive values those of ratios (MOVER-R; Donner and Zou, 2012), so that a class
of few cases keeps its uncertainty. The shares' own uncertainty is added.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.beyond.adjust import correct_nested, fit, to_shares
from milkreport.evaluation.intervals.closed_form import jeffreys_bounds, ratio_bounds
from milkreport.evaluation.intervals.clusters import effective_sizes
from milkreport.evaluation.intervals.estimates import of_one
from milkreport.evaluation.intervals.inner_folds import inner_folds
from milkreport.evaluation.intervals.resampling import bootstrap_weights, resampled_confusion
from milkreport.evaluation.metrics.calibration import case_log_loss
from milkreport.evaluation.metrics.confusion import confusion_counts, score_confusion
from milkreport.evaluation.metrics.measures import Plan
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.beyond import Forecast
from milkreport.evaluation.records.estimate import Estimate

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Pair = tuple[float, float]

PATIENTS = 1000


@dataclass(frozen=True)
class Rates:
    """What happens to the cases of each class.

    ``answers``: shares of the class that are predicted as each class, float64 (..., k, k), rows true;
    ``called``: share of the class that is called positive, float64 (..., k), if there are positive classes.
    ``positive``: bool (k,).
    """

    answers: Floats
    called: Floats | None
    positive: Bools


def mix(rates: Rates, shares: Floats) -> dict[str, Floats]:
    """Expected values at class shares (..., k): by name, ``predicted`` with one more axis, of classes."""
    table = shares[..., None] * rates.answers
    found = {
        "accuracy": np.trace(table, axis1=-2, axis2=-1),
        "macro_f1": score_confusion(table, only="macro_f1")["macro_f1"],
        "predicted": table.sum(axis=-2),
    }
    if rates.called is None:
        return found
    hits = (shares * rates.called * rates.positive).sum(axis=-1)
    alarms = (shares * rates.called * ~rates.positive).sum(axis=-1)
    sick = (shares * rates.positive).sum(axis=-1)
    well = 1 - sick
    with np.errstate(divide="ignore", invalid="ignore"):
        found |= {
            "sensitivity": hits / sick,
            "specificity": (well - alarms) / well,
            "ppv": hits / (hits + alarms),
            "npv": (well - alarms) / (well - alarms + sick - hits),
            "missed": sick - hits,
            "needless": alarms,
        }
    return found


def rates_of(p: Predictions, predicted: Ints, called: Bools | None, positive: Bools) -> Rates:
    """The rates in the scored cases; 0 for a class without a case."""
    k = len(p.classes)
    table = confusion_counts(p.truth, predicted, k).astype(np.float64)
    sizes = np.maximum(table.sum(axis=1), 1)
    of_class: Floats | None = None
    if called is not None:
        of_class = np.asarray(np.bincount(p.truth, called, minlength=k) / sizes, np.float64)
    return Rates(table / sizes[:, None], of_class, positive)


def draw_rates(
    p: Predictions,
    predicted: Ints,
    called: Bools | None,
    points: Rates,
    groups: Ints | None,
    plan: Plan,
) -> Rates:
    """The rates in the shared resamples; a class that a resample lost keeps its rates."""
    n, k = len(p.truth), len(p.classes)
    tables, calls = [], []
    hot = np.zeros((n, k), np.float32)
    if called is not None:
        hot[np.arange(n), p.truth] = called
    for weights in bootstrap_weights(n, plan.resamples(n), groups):
        tables.append(resampled_confusion(p.truth, predicted, k, weights))
        if called is not None:
            calls.append((weights @ hot).astype(np.float64))
    table = np.concatenate(tables)
    sizes = table.sum(axis=2)
    lost, sizes = sizes == 0, np.maximum(sizes, 1)
    answers = np.where(lost[:, :, None], points.answers, table / sizes[:, :, None])
    if called is None:
        return Rates(answers, None, points.positive)
    known = points.called if points.called is not None else np.zeros(k)
    moved = np.where(lost, known, np.concatenate(calls) / sizes)
    return Rates(answers, np.asarray(moved, np.float64), points.positive)


def _sum_bounds(weights: Floats, rates: Floats, low: Floats, high: Floats) -> Pair:
    """MOVER: the interval of a weighted sum of independent proportions, all float64 (k,)."""
    value = float(weights @ rates)
    below = float(np.sqrt(((weights * (rates - low)) ** 2).sum()))
    above = float(np.sqrt(((weights * (high - rates)) ** 2).sum()))
    return value - below, value + above


def bound_mix(
    p: Predictions,
    predicted: Ints,
    called: Bools | None,
    rates: Rates,
    shares: Floats,
    groups: Ints | None,
) -> dict[str, list[Pair]]:
    """95% intervals over new cases at fixed shares, by the names of :func:`mix`; none of macro F1."""
    k = len(p.classes)
    own = p.truth[:, None] == np.arange(k)

    def proportions(hits: Bools) -> tuple[Floats, Floats, Floats]:
        among = own & hits[:, None]
        sizes = effective_sizes(own, among, groups)
        value = among.sum(axis=0) / np.maximum(own.sum(axis=0), 1)
        return (value, *jeffreys_bounds(value * sizes, sizes))

    found: dict[str, list[Pair]] = {
        "accuracy": [_sum_bounds(shares, *proportions(predicted == p.truth))],
        "predicted": [_sum_bounds(shares, *proportions(predicted == c)) for c in range(k)],
    }
    if called is None:
        return found
    value, low_of, high_of = proportions(called)
    sides = {}
    for name, side in (("positive", rates.positive), ("negative", ~rates.positive)):
        total = float(shares[side].sum())
        if total == 0:
            return found
        weights = np.where(side, shares, 0) / total
        least, most = _sum_bounds(weights, value, low_of, high_of)
        sides[name] = (float(weights @ value), max(least, 0.0), min(most, 1.0), total)
    s, s_low, s_high, sick = sides["positive"]
    a, a_low, a_high, well = sides["negative"]
    found["sensitivity"], found["specificity"] = [(s_low, s_high)], [(1 - a_high, 1 - a_low)]
    found["missed"] = [(sick * (1 - s_high), sick * (1 - s_low))]
    found["needless"] = [(well * a_low, well * a_high)]
    # PPV = 1 / (1 + well a / (sick s)), NPV = 1 / (1 + sick (1 - s) / (well (1 - a))).
    if s > 0 and s_low > 0:
        ratio = ratio_bounds((a, a_low, a_high), (s, s_low, s_high))
        found["ppv"] = [(1 / (1 + well / sick * ratio[1]), 1 / (1 + well / sick * ratio[0]))]
    if a < 1 and a_high < 1:
        ratio = ratio_bounds((1 - s, 1 - s_high, 1 - s_low), (1 - a, 1 - a_high, 1 - a_low))
        found["npv"] = [(1 / (1 + sick / well * ratio[1]), 1 / (1 + sick / well * ratio[0]))]
    return found


def _widen(value: float, bounds: Pair, drawn: Floats | None, *, paired: bool) -> Pair:
    """An interval with the shares' own uncertainty: *drawn*, the value at drawn shares.

    Shares that were counted elsewhere are independent of the cases, and distances add in squares. *Paired*
    draws hold the cases' noise as well: the wider of both.
    """
    if drawn is None:
        return bounds
    low, high = map(float, np.nanpercentile(drawn, [2.5, 97.5]))
    if paired:
        return min(bounds[0], low), max(bounds[1], high)
    below = math.hypot(value - bounds[0], max(value - low, 0.0))
    above = math.hypot(bounds[1] - value, max(high - value, 0.0))
    return value - below, value + above


class Mixed:
    """One way of answering, over seeds: all that :func:`mix` names, for one training with intervals."""

    def __init__(
        self,
        seeds: Sequence[tuple[Predictions, Ints, Bools | None]],
        positive: Bools,
        shares: Floats,
        groups: Ints | None,
        drawn: Floats | None = None,
        plan: Plan | None = None,
        *,
        bounded: bool,
    ) -> None:
        """Make them.

        Args:
            seeds: predictions, the predicted classes, int64 (n,), who is called, bool (n,).
            drawn: the shares where they are uncertain, float64 (n_draws, k). plan: if they were estimated
                in the resamples of this plan. bounded: whether intervals are wanted.
        """
        rates = [rates_of(*one, positive) for one in seeds]
        self.points = [mix(r, shares) for r in rates]
        self.bounds: dict[str, list[Pair]] = {}
        if not bounded or len(seeds) > 1:
            return
        p, predicted, called = seeds[0]
        moved = None
        if drawn is not None and plan is not None:
            moved = mix(draw_rates(p, predicted, called, rates[0], groups, plan), drawn)
        elif drawn is not None:
            moved = mix(_repeat(rates[0], len(drawn)), drawn)
        for name, pairs in bound_mix(p, predicted, called, rates[0], shares, groups).items():
            if plan is not None and name in ("accuracy", "predicted"):
                continue  # none held at estimated shares (docs/beyond.md)
            values = np.atleast_1d(self.points[0][name])
            of_draws = None if moved is None else moved[name].reshape(len(moved[name]), -1)
            self.bounds[name] = [
                _widen(
                    float(values[i]),
                    pair,
                    None if of_draws is None else of_draws[:, i],
                    paired=plan is not None,
                )
                for i, pair in enumerate(pairs)
            ]

    def over(self, name: str, place: int = 0, times: float = 1.0) -> Estimate:
        """The mean over seeds, for one training with its interval, *times* as large."""
        values = [times * float(np.atleast_1d(m[name])[place]) for m in self.points]
        low, high = self.bounds[name][place] if name in self.bounds else (math.nan, math.nan)
        return of_one(values, (times * max(low, 0.0), times * min(high, 1.0)))


def _repeat(rates: Rates, n: int) -> Rates:
    called = None if rates.called is None else np.broadcast_to(rates.called, (n, len(rates.called)))
    return Rates(np.broadcast_to(rates.answers, (n, *rates.answers.shape)), called, rates.positive)


def describe_forecast(
    seeds: Mapping[int, Predictions],
    called: Mapping[int, Bools],
    shares: Floats,
    groups: Ints | None,
    plan: Plan,
    drawn: Floats | None = None,
    counted: int | None = None,
    *,
    bounded: bool,
    paired: bool = False,
) -> Forecast:
    """The record of one arm, means over seeds; intervals of one training alone.

    Args:
        called: seed to who is called positive at the operating point, bool (n,); empty without positive
            classes. shares: float64 (k,). drawn: where they are uncertain, float64 (n_draws, k); *paired*:
            estimated in the plan's resamples. counted: the cases that they were counted in.
        groups: int64 (n,), cases that are drawn together. bounded: whether intervals are wanted.
    """
    first = next(iter(seeds.values()))
    classes, truth = first.classes, first.truth
    named = dict(zip(classes, map(float, shares), strict=True))
    counts = np.bincount(truth, minlength=len(classes))
    unknown = [name for name, s, n in zip(classes, shares, counts, strict=True) if s > 0 and n == 0]
    if unknown:
        what = f"the test part has no case of {', '.join(unknown[:5])}"
        return Forecast(shares=named, counted=counted, refused=what)
    positive = np.isin(classes, plan.positive)
    plain = [(p, p.predicted, called.get(seed)) for seed, p in seeds.items()]
    of_plan = plan if paired else None
    mixed = Mixed(plain, positive, shares, groups, drawn, of_plan, bounded=bounded)
    sides = bool(called) and 0 < shares[positive].sum() < 1
    names = [
        "accuracy",
        "macro_f1",
        *(("sensitivity", "specificity", "ppv", "npv") if sides else ()),
    ]
    rest: dict[str, object] = {}
    if all(p.kind == "probabilities" for p in seeds.values()):
        rest = _adjust(seeds, shares, groups, plan, positive, named)
    return Forecast(
        shares=named,
        counted=counted,
        metrics={name: mixed.over(name) for name in names},
        per_thousand={name: mixed.over("predicted", c, PATIENTS) for c, name in enumerate(classes)},
        rule=plan.operating.text if called else "",
        missed=mixed.over("missed", 0, PATIENTS) if called else None,
        needless=mixed.over("needless", 0, PATIENTS) if called else None,
        **rest,  # type: ignore[arg-type]
    )


def _adjust(
    seeds: Mapping[int, Predictions],
    shares: Floats,
    groups: Ints | None,
    plan: Plan,
    positive: Bools,
    named: Mapping[str, float],
) -> dict[str, object]:
    """What is known of probabilities brought to the shares, each case's by the other inner folds; points."""
    first = next(iter(seeds.values()))
    folds = inner_folds(first.truth, groups)
    if len(folds) < 2 or not plan.intervals:
        return {}
    answered: list[tuple[Predictions, Ints, Bools | None]] = []
    before: list[float] = []
    after: list[float] = []
    heats: list[float] = []
    offsets: list[Floats] = []
    for p in seeds.values():
        corrected, own = correct_nested(p.truth, p.probabilities, folds)
        moved = to_shares(corrected, own, shares)
        predicted = np.asarray(moved.argmax(axis=1), np.int64)
        score = moved[:, positive].sum(axis=1)
        rule = plan.operating
        called = score >= rule.value if rule.kind == "fixed" else positive[predicted]
        answered.append((p, predicted, called if plan.positive else None))
        for losses, values in ((before, p.probabilities), (after, moved)):
            of_class = np.bincount(p.truth, case_log_loss(p.truth, values), minlength=len(shares))
            losses.append(
                float(
                    shares @ (of_class / np.maximum(np.bincount(p.truth, minlength=len(shares)), 1))
                )
            )
        whole = fit(p.truth, p.probabilities)
        heats.append(whole.heat)
        with np.errstate(divide="ignore"):
            ratio = np.divide(
                shares, whole.shares, out=np.zeros_like(shares), where=whole.shares > 0
            )
            offsets.append(
                np.where(ratio > 0, whole.offsets + np.log(np.maximum(ratio, 1e-300)), -np.inf)
            )
    mixed = Mixed(answered, positive, shares, groups, bounded=False)
    found = {name: mixed.over(name) for name in ("accuracy", "macro_f1")}
    found["log_loss"] = Estimate(value=statistics.fmean(after))
    if plan.positive and plan.operating.kind in ("argmax", "fixed"):
        found |= {name: mixed.over(name, 0, PATIENTS) for name in ("missed", "needless")}
    mean = np.mean(offsets, axis=0)
    return {
        "log_loss": statistics.fmean(before),
        "adjusted": found,
        "heat": statistics.fmean(heats),
        "offsets": {name: float(x) for name, x in zip(named, mean, strict=True) if np.isfinite(x)},
    }
