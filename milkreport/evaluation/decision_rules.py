"""The same predictions under other decision rules, as records."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.intervals.closed_form import Z
from milkreport.evaluation.intervals.clusters import count_units
from milkreport.evaluation.intervals.estimates import estimate
from milkreport.evaluation.intervals.hidden_variance import hidden_variance
from milkreport.evaluation.intervals.inner_folds import inner_folds
from milkreport.evaluation.intervals.label_bounds import bound_answers
from milkreport.evaluation.intervals.resampling import bootstrap_weights
from milkreport.evaluation.metrics.confusion import confusion_counts, defined, score_confusion
from milkreport.evaluation.metrics.measures import Measured, Plan
from milkreport.evaluation.metrics.rules import (
    ARCHIVE_THRESHOLD,
    count_answers,
    decided_right,
    f1_of_answers,
    score_archive,
)
from milkreport.evaluation.metrics.thresholds import find_thresholds, nested_answers
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.parts import Estimate, RuleResult

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Weights = npt.NDArray[np.float32]

_SUPPORTED = "undefined, left out of the average; averages run over the classes with support"
_ARCHIVE = "an empty denominator gives 1; averages run over all classes"
_ABOVE = "p above the class's threshold, each class by itself"


@dataclass(frozen=True)
class _Rule:
    """A rule and what it answers: one bool (n, n_classes) a seed. ``empty``: F1 of an empty class."""

    name: str
    title: str
    decision: str
    answers: list[Bools]
    thresholds: list[Floats]
    empty: float = float("nan")
    in_sample: bool = False

    def macro_f1(self, counts: Floats, present: Bools) -> Floats:
        """Over all classes where an empty one has a value, else over those *present*, bool (n_classes,)."""
        f1 = f1_of_answers(counts, self.empty)
        if np.isfinite(self.empty):
            return np.asarray(f1.mean(axis=-1))
        usable = present & np.isfinite(f1)
        return np.asarray(np.where(usable, f1, 0).sum(axis=-1) / usable.sum(axis=-1))


def describe_rules(
    seeds: Sequence[Predictions], draws: Sequence[Measured], groups: Ints | None, plan: Plan
) -> list[RuleResult]:
    """The archive's rule where it is asked for; nested and in-sample thresholds of what can be ranked.

    Args:
        draws: of argmax, one per seed; empty where nothing was resampled.
    """
    rules = _apply_rules(seeds, groups, plan)
    truth = seeds[0].truth
    present = np.bincount(truth, minlength=len(seeds[0].classes)) > 0
    drawn: dict[tuple[str, int], list[Floats]] = {}
    if rules and draws:
        # The same resamples as of argmax, so that both pair.
        for weights in bootstrap_weights(len(truth), plan.resamples(len(truth)), groups):
            for s, p in enumerate(seeds):
                for rule in rules:
                    counts = count_answers(truth, rule.answers[s], weights)
                    drawn.setdefault((rule.name, s), []).append(rule.macro_f1(counts, present))
                if "isic" in plan.rules:
                    drawn.setdefault(("balanced", s), []).append(_balanced(p, weights))
    joined = {key: np.concatenate(pieces) for key, pieces in drawn.items()}
    found = []
    for rule in rules:
        result = _describe(rule, seeds, joined, draws, groups, present)
        if rule.name == "isic":
            result = _describe_archive(result, seeds, joined, groups)
        found.append(result)
    return found


def _apply_rules(seeds: Sequence[Predictions], groups: Ints | None, plan: Plan) -> list[_Rule]:
    rules = []
    if "isic" in plan.rules:
        answers = [p.probabilities > ARCHIVE_THRESHOLD for p in seeds]
        decision = "p > 0.5, each class by itself"
        rules.append(_Rule("isic", "ISIC Archive's scorer", decision, answers, [], empty=1.0))
    if plan.intervals and all(p.kind != "labels" for p in seeds):
        folds = inner_folds(seeds[0].truth, groups)
        if len(folds) < 2:
            return rules  # one case or one group: nothing else to fit on
        chosen = [find_thresholds(p.truth, p.probabilities) for p in seeds]
        nested = [nested_answers(p.truth, p.probabilities, folds) for p in seeds]
        sample = [p.probabilities > t for p, t in zip(seeds, chosen, strict=True)]
        title = f"Thresholds per class, nested in {len(folds)} folds"
        rules.append(_Rule("thresholds", title, _ABOVE, nested, chosen))
        title = "Thresholds per class, fitted on the scored cases (in-sample)"
        rules.append(_Rule("thresholds in-sample", title, _ABOVE, sample, chosen, in_sample=True))
    return rules


def _describe(
    rule: _Rule,
    seeds: Sequence[Predictions],
    drawn: dict[tuple[str, int], Floats],
    draws: Sequence[Measured],
    groups: Ints | None,
    present: Bools,
) -> RuleResult:
    """Macro F1 with its interval, F1 a class, and how many cases got no class or several."""
    f1 = [
        f1_of_answers(count_answers(p.truth, answers), rule.empty)
        for p, answers in zip(seeds, rule.answers, strict=True)
    ]
    truth, classes = seeds[0].truth, seeds[0].classes
    points = [float(rule.macro_f1(count_answers(truth, a), present)) for a in rule.answers]
    mine = _of(drawn, rule.name, len(seeds))

    def score(counts: Floats) -> Floats:
        return rule.macro_f1(counts, present)

    # Thresholds that saw these cases are too good for them: no interval holds what they are worth.
    pairs = [] if rule.in_sample else zip(rule.answers, mine, strict=False)
    bounds = [bound_answers(truth, a, score, d, groups) for a, d in pairs]
    against = None
    if mine and not rule.in_sample:
        tables = [confusion_counts(truth, p.predicted, len(classes)) for p in seeds]
        plain = [float(score_confusion(table)["macro_f1"]) for table in tables]
        gaps = [one - other for one, other in zip(points, plain, strict=True)]
        gap_draws = [d - m.overall["macro_f1"] for d, m in zip(mine, draws, strict=True)]
        hidden = hidden_variance(
            "macro_f1", count_units(truth[:, None] == np.arange(len(classes)), groups)
        )
        errors = [Z * math.sqrt(float(d.var()) + hidden) for d in gap_draws]
        ends = [(g - error, g + error) for g, error in zip(gaps, errors, strict=True)]
        against = estimate(gaps, ends, gap_draws, (-1.0, 1.0))
    thresholds = {}
    if rule.thresholds:
        mean = np.mean(rule.thresholds, axis=0)
        thresholds = {name: float(mean[c]) for c, name in enumerate(classes)}
    return RuleResult(
        rule=rule.name,
        title=rule.title,
        decision=rule.decision,
        zero_division=_SUPPORTED if np.isnan(rule.empty) else _ARCHIVE,
        in_sample=rule.in_sample,
        values={"macro_f1": estimate(points, bounds, mine)},
        against_argmax=against,
        classes={name: {"f1": _mean([v[c] for v in f1])} for c, name in enumerate(classes)},
        thresholds=thresholds,
        n_without_class=statistics.fmean(int((~a.any(axis=1)).sum()) for a in rule.answers),
        n_several=statistics.fmean(int((a.sum(axis=1) > 1).sum()) for a in rule.answers),
    )


def _describe_archive(
    result: RuleResult,
    seeds: Sequence[Predictions],
    drawn: dict[tuple[str, int], Floats],
    groups: Ints | None,
) -> RuleResult:
    """All metrics of the archive's scorer beside the macro F1."""
    scored = [score_archive(p) for p in seeds]
    values: dict[str, Estimate] = {
        name: estimate([overall[name] for overall, _ in scored]) for name in scored[0][0]
    }
    right = [overall["balanced_accuracy"] for overall, _ in scored]
    mine = _of(drawn, "balanced", len(seeds))
    bounds = [
        bound_answers(p.truth, _right_answers(p), _mean_recall, d, groups)
        for p, d in zip(seeds, mine, strict=False)
    ]
    values["balanced_accuracy"] = estimate(right, bounds, mine)
    values["macro_f1"] = result.values["macro_f1"]
    classes = {
        name: {
            metric: _mean([by_class[metric][c] for _, by_class in scored])
            for metric in scored[0][1]
        }
        for c, name in enumerate(seeds[0].classes)
    }
    return result.model_copy(update={"values": values, "classes": classes})


def _right_answers(p: Predictions) -> Bools:
    """The class of each case that the archive counts as right, and no other: bool (n, n_classes)."""
    own = p.truth[:, None] == np.arange(len(p.classes))
    return np.asarray(own & decided_right(p)[:, None])


def _mean_recall(counts: Floats) -> Floats:
    """Mean recall of the classes with cases, from counts (..., 4, n_classes)."""
    tp, fn = counts[..., 0, :], counts[..., 2, :]
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nanmean(np.where(tp + fn > 0, tp / (tp + fn), np.nan), axis=-1))


def _balanced(p: Predictions, weights: Weights) -> Floats:
    """The archive's balanced accuracy in each resample."""
    member = (p.truth[:, None] == np.arange(len(p.classes))).astype(np.float32)
    support = weights @ member
    hits = weights @ (member * decided_right(p)[:, None])
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nanmean(np.where(support > 0, hits / support, np.nan), axis=1), "f8")


def _of(drawn: dict[tuple[str, int], Floats], name: str, n_seeds: int) -> list[Floats]:
    return [drawn[name, s] for s in range(n_seeds) if (name, s) in drawn]


def _mean(values: Sequence[np.floating | float]) -> float | None:
    return defined(float(np.mean([float(v) for v in values])))
