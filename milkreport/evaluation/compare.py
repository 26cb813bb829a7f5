"""Arms against each other, over the same cases, folds and seeds."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.binary.compare import compare_at_specificity, reclassify
from milkreport.evaluation.intervals.resampling import holm, mcnemar_p, permutation_p
from milkreport.evaluation.metrics.confusion import confusion_counts, defined, score_confusion
from milkreport.evaluation.metrics.definitions import DEFINITIONS
from milkreport.evaluation.metrics.measures import Plan, measure
from milkreport.evaluation.metrics.named import define, score_answers
from milkreport.evaluation.paired_difference import (
    count_support,
    paired_difference,
    refuse_unpaired,
    two_sided_p,
)
from milkreport.evaluation.pooled_predictions import CaseFacts, Cells, PooledPredictions, pool_arms
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.results import (
    SEEDS_TO_RANK,
    Agreement,
    Comparison,
    Difference,
    PairFinding,
)
from milkreport.streams import stream

Ints = npt.NDArray[np.int64]

ALPHA = 0.05


def is_shown(difference: Difference) -> bool:
    """Whether a difference counts as shown: interval and corrected test agree."""
    apart = difference.low > 0 or difference.high < 0
    return apart and difference.p_holm is not None and difference.p_holm < ALPHA


def is_better(difference: Difference) -> bool:
    """Whether the first arm's value is the better one: of a loss the lower."""
    return (difference.value > 0) == (define(difference.metric).better == "higher")


def find(difference: Difference) -> PairFinding:
    """What may be said of a difference on the primary metric, within its margin where it has one.

    ``equivalent``: the 90% interval lies within plus and minus the margin, and no difference was shown.
    ``not worse``: the 95% interval does not reach a loss of the margin.
    """
    d = difference
    if is_shown(d):
        return "better" if is_better(d) else "worse"
    if d.margin is None or d.low90 is None or d.high90 is None:
        return "undecided"
    if -d.margin < d.low90 and d.high90 < d.margin:
        return "equivalent"
    higher = define(d.metric).better == "higher"
    return "not worse" if (d.low > -d.margin if higher else d.high < d.margin) else "undecided"


def compare_pools(
    pools: Mapping[str, PooledPredictions], plan: Plan, facts: CaseFacts
) -> Comparison | None:
    """Paired differences between arms, on the seeds that all of them have.

    Every pair on the primary metric, with its p and Holm's correction; against the first arm on
    the other metrics, described by intervals alone. ``None`` with fewer than two arms, without resamples,
    and without a common seed.

    Raises:
        DataError: arms were not scored on the same cases with the same truth.
    """
    names = list(pools)
    if len(names) < 2 or any(not pool.draws for pool in pools.values()):
        return None
    seeds = sorted(set.intersection(*(set(pool.seeds) for pool in pools.values())))
    if not seeds:
        return None
    refuse_unpaired(pools, seeds)
    first = pools[names[0]].seeds[seeds[0]]
    groups = facts.group_positions(first.case_ids)
    n_groups = None if groups is None else int(groups.max()) + 1
    points = {name: [measure(pools[name].seeds[s], plan.positive) for s in seeds] for name in names}
    pairs = [(later, earlier) for earlier, later in itertools.combinations(names, 2)]

    draws = {name: [pools[name].draws[s] for s in seeds] for name in names}
    support = count_support(first, groups)

    def describe(metric: str, one: str, other: str) -> Difference | None:
        return paired_difference(
            metric,
            (one, other),
            (points[one], points[other]),
            (draws[one], draws[other]),
            support,
            first.classes,
            plan.margin if metric == plan.primary else None,
            plan.positive,
            n_groups,
        )

    tested = _test(
        [row for pair in pairs if (row := describe(plan.primary, *pair)) is not None],
        {name: [pools[name].seeds[s].predicted for s in seeds] for name in names},
        first,
        groups,
        plan,
    )
    alone = len(seeds) == 1 and groups is None
    against_first = [(name, names[0]) for name in names[1:]]
    others = [
        row.model_copy(update={"p": None})  # described, not tested
        for metric in DEFINITIONS
        if metric != plan.primary
        # McNemar tests every pair; the others are described against the first arm.
        for pair in (pairs if metric == "accuracy" and alone else against_first)
        if (row := describe(metric, *pair)) is not None
    ]
    if alone:
        tested, others = _with_mcnemar(tested, others, pools, seeds[0])
    return Comparison(
        part=pools[names[0]].part,
        n_cases=len(first.truth),
        n_seeds=len(seeds),
        n_folds=max(pool.n_folds for pool in pools.values()),
        resamples=plan.resamples(len(first.truth)),
        n_groups=n_groups,
        differences=[*tested, *others],
        agreement=[_agreement(pools, pair, seeds) for pair in pairs],
        ranks=_rank(names, tested) if len(seeds) >= SEEDS_TO_RANK else {},
        at_specificity=compare_at_specificity(pools, points, seeds, groups, plan),
        reclassified=reclassify(pools, seeds, groups, plan),
    )


def is_permuted(metric: str, n_seeds: int) -> bool:
    """Whether p permutes two models' answers: with one seed each, of a metric of hard answers."""
    return n_seeds == 1 and define(metric).needs == "labels"


def most_permutations(n_resamples: int, n_pairs: int) -> int:
    """Permutations of a pair that no permutation has reached: Holm's correction multiplies the least p by
    the number of pairs, and half the level must be left.
    """
    return max(n_resamples, int(2 * n_pairs / ALPHA))


def _test(
    rows: Sequence[Difference],
    answers: Mapping[str, Sequence[Ints]],
    first: Predictions,
    groups: Ints | None,
    plan: Plan,
) -> list[Difference]:
    """Rows of the primary metric with their p, plain and after Holm.

    By permutation of the two models' answers with one seed per arm and a metric of hard answers.
    """
    n_seeds = len(next(iter(answers.values())))
    if not is_permuted(plan.primary, n_seeds):
        p_values = [
            two_sided_p(row.value, row.standard_error, row.df or np.inf) if row.p is None else row.p
            for row in rows
        ]
    else:
        p_values = _permute(rows, answers, first, groups, plan)
    return [
        row.model_copy(update={"p": p, "p_holm": adjusted})
        for row, p, adjusted in zip(rows, p_values, holm(p_values), strict=True)
    ]


def _permute(
    rows: Sequence[Difference],
    answers: Mapping[str, Sequence[Ints]],
    first: Predictions,
    groups: Ints | None,
    plan: Plan,
) -> list[float]:
    """Permutation p of each row; more permutations where Holm's correction asks for a smaller one."""
    n_permutations = plan.resamples(len(first.truth))
    most = most_permutations(n_permutations, len(rows))

    def permute(row: Difference, n: int) -> float:
        return permutation_p(
            first.truth,
            answers[row.arm],
            answers[row.against],
            len(first.classes),
            partial(
                score_answers,
                metric=plan.primary,
                classes=first.classes,
                positive=plan.positive,
            ),
            n,
            stream(0, "permutation"),
            groups,
        )

    p_values = [permute(row, n_permutations) for row in rows]
    if most > n_permutations:
        # The least p that can be reached, times the pairs, must be able to fall below the level.
        least = 1 / (n_permutations + 1) + 1e-12
        p_values = [
            permute(row, most) if p <= least else p for row, p in zip(rows, p_values, strict=True)
        ]
    return p_values


def _with_mcnemar(
    tested: list[Difference],
    others: list[Difference],
    pools: Mapping[str, PooledPredictions],
    seed: int,
) -> tuple[list[Difference], list[Difference]]:
    """The accuracy's rows with exact McNemar p, plain and after Holm over the pairs."""
    rows = [d for d in (*tested, *others) if d.metric == "accuracy"]
    p_values = [
        mcnemar_p(
            pools[d.arm].seeds[seed].truth,
            pools[d.arm].seeds[seed].predicted,
            pools[d.against].seeds[seed].predicted,
        )
        for d in rows
    ]
    found = {
        (d.arm, d.against): {"mcnemar": p, "mcnemar_holm": adjusted}
        for d, p, adjusted in zip(rows, p_values, holm(p_values), strict=True)
    }

    def add(d: Difference) -> Difference:
        return d.model_copy(update=found[d.arm, d.against]) if d.metric == "accuracy" else d

    return [add(d) for d in tested], [add(d) for d in others]


def _agreement(
    pools: Mapping[str, PooledPredictions], pair: tuple[str, str], seeds: Sequence[int]
) -> Agreement:
    """Both arms' answers to the same cases, means over seeds."""
    counts, kappas = [], []
    for seed in seeds:
        one, other = (pools[name].seeds[seed] for name in pair)
        right, rival = one.predicted == one.truth, other.predicted == other.truth
        same = one.predicted == other.predicted
        cells = [same, right & rival, right & ~rival, rival & ~right, ~right & ~rival]
        counts.append([int(cell.sum()) for cell in cells])
        table = confusion_counts(one.predicted, other.predicted, len(one.classes))
        kappas.append(float(score_confusion(table)["kappa"]))
    same, both, first, second, none = (float(v) for v in np.mean(counts, axis=0))
    return Agreement(
        arm=pair[0],
        against=pair[1],
        same=same,
        both_right=both,
        only_arm=first,
        only_against=second,
        both_wrong=none,
        kappa=defined(float(np.mean(kappas))),
    )


def _rank(names: Sequence[str], tested: Sequence[Difference]) -> dict[str, int]:
    """1 + the number of arms shown to be better; arms not told apart may share a rank."""
    better: dict[str, int] = dict.fromkeys(names, 0)
    for d in tested:
        if is_shown(d):
            better[d.against if is_better(d) else d.arm] += 1
    return {name: 1 + n for name, n in better.items()}


def compare_arms(arms: Mapping[str, Cells], primary: str) -> Comparison | None:
    """Arms against one another by their test predictions; see :func:`compare_pools`."""
    plan, facts = Plan(primary=primary), CaseFacts()
    return compare_pools(pool_arms(arms, "test", plan, facts), plan, facts)
