"""From predictions to the numbers of the report: arms, parts, differences."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from milkreport.evaluation.metrics import DEFINITIONS, Scores, score_labels
from milkreport.evaluation.predictions import Predictions
from milkreport.evaluation.resampling import (
    bootstrap_weights,
    holm,
    over_seeds,
    percentile_interval,
    permutation_p,
    resampled_metric,
    wilson_interval,
)
from milkreport.evaluation.results import (
    ClassRow,
    Comparison,
    Difference,
    Estimate,
    Part,
    PartResult,
)
from milkreport.streams import stream

N_RESAMPLES = 2000
METRICS = tuple(DEFINITIONS)

#: Predictions of one part of one arm: (seed, fold) to predictions.
Cells = Mapping[tuple[int, int], Predictions]


def pool_folds(cells: Cells) -> dict[int, Predictions]:
    """Join the folds of each seed, sorted by case: seed to predictions."""
    pooled = {}
    for seed in dict.fromkeys(seed for seed, _ in cells):
        folds = [cells[key] for key in sorted(cells) if key[0] == seed]
        ids = np.concatenate([fold.case_ids for fold in folds])
        order = np.argsort(ids, kind="stable")
        pooled[seed] = Predictions(
            ids[order],
            np.concatenate([fold.truth for fold in folds])[order],
            np.concatenate([fold.probabilities for fold in folds])[order],
            folds[0].classes,
        )
    return pooled


def summarise_part(part: Part, cells: Cells) -> PartResult:
    """Metrics of one arm on one part: means over seeds, folds pooled.

    Metrics on the training part get no interval: its cases were not drawn independently of the model.
    """
    pooled = pool_folds(cells)
    first = next(iter(pooled.values()))
    classes = first.classes
    scores = [score_labels(p.truth, p.predicted, len(classes)) for p in pooled.values()]
    intervals = {} if part == "train" else _intervals(list(pooled.values()))
    return PartResult(
        part=part,
        # In k folds a case is trained on several times; it stays one case.
        n_cases=len(np.unique(first.case_ids)),
        n_seeds=len(pooled),
        n_folds=len({fold for _, fold in cells}),
        metrics={name: _estimate(name, scores, intervals.get(name)) for name in METRICS},
        classes=[_class_row(name, index, scores, part) for index, name in enumerate(classes)],
        confusion=sum(s.confusion for s in scores).tolist(),  # type: ignore[union-attr]
    )


def compare_arms(arms: Mapping[str, Cells], primary: str, part: Part = "test") -> Comparison | None:
    """Paired differences between arms, over the same cases, folds and seeds.

    Every pair on the primary metric, with permutation p and Holm's correction; against the first arm on
    the other metrics, described by intervals alone. ``None`` with fewer than two arms.

    Raises:
        ValueError: arms were not scored on the same cases.
    """
    pooled = {name: pool_folds(cells) for name, cells in arms.items()}
    if len(pooled) < 2:
        return None
    seeds = sorted(set.intersection(*(set(p) for p in pooled.values())))
    if not seeds:
        return None
    reference = pooled[next(iter(pooled))][seeds[0]]
    for name, by_seed in pooled.items():
        for seed in seeds:
            if not np.array_equal(by_seed[seed].case_ids, reference.case_ids):
                raise ValueError(f"arm {name} was not scored on the same cases")
    predicted = {name: [by_seed[s].predicted for s in seeds] for name, by_seed in pooled.items()}
    truth, n_classes = reference.truth, len(reference.classes)
    weights = bootstrap_weights(truth, N_RESAMPLES, stream(0, "bootstrap"))
    draws = {
        name: resampled_metric(truth, predictions, n_classes, weights, METRICS)
        for name, predictions in predicted.items()
    }
    points = {
        name: [score_labels(truth, p, n_classes).metrics for p in predictions]
        for name, predictions in predicted.items()
    }

    def describe(metric: str, one: str, other: str) -> Difference | None:
        pairs = [(a[metric], b[metric]) for a, b in zip(points[one], points[other], strict=True)]
        gaps = [a - b for a, b in pairs if a is not None and b is not None]
        if len(gaps) < len(pairs):
            return None
        # Seeds are drawn after differencing, so both sides always have the same ones.
        spread = over_seeds(draws[one][metric] - draws[other][metric], stream(0, "seeds"))
        spread = spread[np.isfinite(spread)]
        low, high = percentile_interval(spread)
        error = float(spread.std(ddof=1))
        return Difference(
            arm=one,
            against=other,
            metric=metric,
            value=statistics.fmean(gaps),
            low=low,
            high=high,
            standard_error=error,
            p=None,
            p_holm=None,
            detectable=(1.96 + 0.84) * error,
        )

    names = list(pooled)
    pairs = [(later, earlier) for earlier, later in itertools.combinations(names, 2)]
    primary_rows = _defined(describe(primary, one, other) for one, other in pairs)
    p_values = [
        permutation_p(
            truth,
            predicted[row.arm],
            predicted[row.against],
            n_classes,
            primary,
            N_RESAMPLES,
            stream(0, "permutation"),
        )
        for row in primary_rows
    ]
    tested = [
        row.model_copy(update={"p": p, "p_holm": adjusted})
        for row, p, adjusted in zip(primary_rows, p_values, holm(p_values), strict=True)
    ]
    others = _defined(
        describe(metric, name, names[0])
        for metric in METRICS
        if metric != primary
        for name in names[1:]
    )
    return Comparison(
        part=part,
        n_cases=len(truth),
        n_seeds=len(seeds),
        n_folds=len({fold for cells in arms.values() for _, fold in cells}),
        resamples=N_RESAMPLES,
        differences=[*tested, *others],
    )


def _intervals(pooled: Sequence[Predictions]) -> dict[str, tuple[float, float]]:
    truth, n_classes = pooled[0].truth, len(pooled[0].classes)
    weights = bootstrap_weights(truth, N_RESAMPLES, stream(0, "bootstrap"))
    draws = resampled_metric(truth, [p.predicted for p in pooled], n_classes, weights, METRICS)
    intervals = {}
    for name, values in draws.items():
        means = over_seeds(values, stream(0, "seeds"))
        means = means[np.isfinite(means)]
        if len(means):
            intervals[name] = percentile_interval(means)
    return intervals


def _estimate(
    name: str, scores: Sequence[Scores], interval: tuple[float, float] | None
) -> Estimate:
    values = [s.metrics[name] for s in scores]
    defined = [v for v in values if v is not None]
    if len(defined) < len(values):
        return Estimate(value=None)
    low, high = interval or (None, None)
    spread = statistics.stdev(defined) if len(defined) > 1 else None
    return Estimate(value=statistics.fmean(defined), low=low, high=high, seed_sd=spread)


def _class_row(name: str, index: int, scores: Sequence[Scores], part: Part) -> ClassRow:
    support = int(scores[0].support[index])
    low = high = None
    if part != "train" and len(scores) == 1 and support:
        low, high = wilson_interval(int(scores[0].confusion[index, index]), support)
    return ClassRow(
        name=name,
        support=support,
        predicted=statistics.fmean(float(s.predicted[index]) for s in scores),
        precision=_mean(s.precision[index] for s in scores),
        recall=_mean(s.recall[index] for s in scores),
        f1=_mean(s.f1[index] for s in scores),
        recall_low=low,
        recall_high=high,
    )


def _mean(values: Iterable[float]) -> float | None:
    """Mean of the defined values; undefined for some seeds means over the others."""
    defined = [float(v) for v in values if np.isfinite(v)]
    return statistics.fmean(defined) if defined else None


def _defined(rows: Iterable[Difference | None]) -> list[Difference]:
    return [row for row in rows if row is not None]
