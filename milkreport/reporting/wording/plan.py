"""The sentences of a plan: what a comparison would find, what would do, and what is assumed."""

from __future__ import annotations

import math

from milkreport.evaluation.metrics.named import define
from milkreport.evaluation.planning.design import MOST_SEEDS, PowerPlan
from milkreport.reporting.wording.text import (
    decimal,
    digits_of,
    mid_sentence,
    percent,
    shorten,
    whole,
)
from milkreport.tables import plural

ONE_SEED = (
    "One seed per arm compares two trained models, not two methods: with other seeds the difference "
    "can change."
)
REACH = (
    "Power of the two-sided 5% test of one pair of arms, as the comparison analyses it. With more pairs "
    "Holm's correction asks for more. More or fewer cases are assumed to have the same class mix."
)


def metric_name(plan: PowerPlan) -> str:
    """The metric as it stands in a sentence."""
    return mid_sentence(shorten(define(plan.components.metric).title, 60))


def amount(plan: PowerPlan, value: float) -> str:
    """A difference, with the decimals that the one asked for needs."""
    return decimal(value, max(digits_of([plan.difference]), 3))


def answer_sentences(plan: PowerPlan) -> list[str]:
    """What the cases at hand can find, and what would find the difference asked for."""
    at, wanted = plan.at_hand, amount(plan, plan.difference)
    seeds = plural(at.n_seeds, "seed", "seeds")
    said = [
        f"{whole(at.n_cases)} cases and {seeds} per arm find a difference of {wanted} in "
        f"{metric_name(plan)} with a power of {percent(at.power)}; with a power of 80% they find "
        f"{amount(plan, at.detectable)}."
    ]
    if at.power < 0.8:
        said.append(f"To find {wanted} with a power of 80%: {_cases(plan)}; {_seeds(plan)}.")
    if at.n_seeds == 1:
        said.append(ONE_SEED)
    return said


def _cases(plan: PowerPlan) -> str:
    n, seeds = plan.at_hand.cases_needed, plural(plan.at_hand.n_seeds, "seed", "seeds")
    if n is None:
        return f"no number of cases is enough with {seeds}, because training noise remains"
    return f"{whole(n)} cases with {seeds}"


def _seeds(plan: PowerPlan) -> str:
    n = plan.seeds_needed
    if n is None:
        return f"no number of seeds up to {whole(MOST_SEEDS)} is enough on these cases: their noise remains"
    return f"or {plural(n, 'seed', 'seeds')} on these cases"


def assumption_sentence(plan: PowerPlan) -> str:
    """Which noise is assumed, and where it comes from."""
    c = plan.components
    noise = (
        f"standard deviation of {metric_name(plan)} between single trainings "
        f"{decimal(math.sqrt(c.training), 4)}; "
        f"standard error over the {whole(c.n_cases)} cases {decimal(math.sqrt(c.own), 4)} by each training "
        f"on its own, {decimal(math.sqrt(c.shared), 4)} by what an arm's trainings share"
    )
    pooled = f" Pooling over {c.folds} folds averages training noise." if c.folds > 1 else ""
    if c.arms:
        few = "" if c.arms * (c.seeds - 1) > 8 else ", so they are rough themselves"
        return f"Estimated from {c.arms} arms of {c.seeds} seeds each{few}: {noise}.{pooled}"
    return (
        "Assumed, because no run was given: the noise of small networks on real data of eleven classes "
        f"(docs/planning.md), scaled to these classes: {noise}.{pooled}"
    )
