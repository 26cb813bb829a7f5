"""How often the reviewer's rules find something where there is nothing, and what the list of labels is worth.

Cases, class mix and groups are drawn anew in every simulation (``populations``), evaluated by the functions
that a report uses, and reviewed. The arms are equal, their probabilities are calibrated by construction,
subgroups are drawn by lot, and the published figures come from another sample of the same methods, so every
finding is a false alarm. ``docs/findings.md`` has the figures.

    python scripts/simulate_findings.py [--simulations 40] [--what alarms|gaps|labels|curves] [--out FILE]
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from found import Found
from populations import Cases, Population, make

from milkreport.checks.expand import difference_bounds
from milkreport.checks.reported import outside_interval
from milkreport.checks.verdict import CheckRow, Status, Verdict
from milkreport.evaluation.evaluate import evaluate_arms
from milkreport.evaluation.intervals.closed_form import share_bounds
from milkreport.evaluation.label_errors import find_label_errors
from milkreport.evaluation.metrics.measures import Plan, measure
from milkreport.evaluation.metrics.named import define_all
from milkreport.evaluation.pooled_predictions import CaseFacts
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.data import DataSummary
from milkreport.evaluation.records.parts import Estimate, PartResult
from milkreport.evaluation.records.results import ArmResult, Curve, Results
from milkreport.evaluation.review.review import review
from milkreport.evaluation.review.training import GAP, STILL_FALLING, accuracy_gap, still_falling

#: Population, cases and seeds per arm.
SITUATIONS = (
    ("middling, 2 classes, 20%", 100, 1),
    ("middling, 2 classes, 20%", 1000, 1),
    ("strong, 2 classes, 20%", 1000, 1),
    ("middling, 2 classes, 20%, strongly alike groups", 1000, 1),
    ("middling, 3 classes", 100, 1),
    ("middling, 3 classes", 1000, 1),
    ("middling, 3 classes", 1000, 3),
    ("middling, 3 classes", 5000, 1),
    ("middling, 11 classes", 300, 1),
    ("middling, 11 classes", 1000, 1),
    ("strong, 11 classes", 1000, 1),
    ("middling, 11 classes, strongly alike groups", 1000, 1),
)
#: The rules that are tests.
TESTED = ("MR004", "MR005", "MR006", "MR008", "MR013")
N_ARMS = 3
#: Subgroups cost the most and are looked at in every third simulation.
SUBGROUPS_EVERY = 3
#: Over all situations: how often a rule had something to look at, and how often it found something.
TOTAL: Counter[str] = Counter()
FIGURES = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1")


def answer(population: Population, cases: Cases, rng: np.random.Generator) -> Predictions:
    """A model's calibrated probabilities: Bayes' rule on what the population's model sees of each case.

    What is seen is normal around the class's log odds, with variance 1 and that of the groups.
    """
    n, k = cases.shared.shape
    own = rng.normal(size=(n, k)) * np.sqrt(population.own_noise)
    seen = population.log_odds[cases.truth] + cases.shared + own
    variance = 1 + population.group_noise**2 * (population.most_in_group > 1)
    squares = (population.log_odds**2).sum(axis=1) / 2
    logits = np.log(population.classes) + (seen @ population.log_odds.T - squares) / variance
    values = np.exp(logits - logits.max(axis=1, keepdims=True))
    values /= values.sum(axis=1, keepdims=True)
    names = tuple(f"C{i}" for i in range(k))
    return Predictions(np.char.mod("%07d", np.arange(n)), cases.truth, values, names)


def evaluate(
    population: Population, n: int, seeds: int, rng: np.random.Generator, with_subgroups: bool
) -> Results:
    """Equal arms on new cases, as results; with columns of two and four values drawn by lot."""
    cases = population.draw_cases(n, rng)
    first = answer(population, cases, rng)
    table = pd.DataFrame({f"by {m}": rng.integers(0, m, n).astype(str) for m in (2, 4)})
    groups = {}
    if cases.groups is not None:
        # A subgroup is a trait of the patient.
        table = table.iloc[cases.groups].reset_index(drop=True)
        groups = dict(zip(first.case_ids, map(str, cases.groups), strict=True))
    facts = CaseFacts(groups, table.set_index(first.case_ids) if with_subgroups else None)
    arms = {
        f"arm {i}": {"test": {(s, 0): answer(population, cases, rng) for s in range(seeds)}}
        for i in range(N_ARMS)
    }
    positive = (first.classes[1],) if len(first.classes) == 2 else ()
    found, comparison = evaluate_arms(arms, Plan(positive=positive, n_resamples=200), facts)
    data = DataSummary.model_construct(
        name="",
        synthetic=False,
        units="cases",
        unit="case",
        proof=None,
        categorical=[],
        class_counts={},
    )
    return Results.model_construct(
        primary_metric="macro_f1",
        classes=list(first.classes),
        definitions=define_all("macro_f1"),
        data=data,
        arms=[
            ArmResult(name=a, title=a, description="", correction="", parts=parts)
            for a, parts in found.items()
        ],
        comparison=comparison,
        copies=None,
        findings=[],
    )


def publish(results: Results, population: Population, n: int, rng: np.random.Generator) -> Verdict:
    """Figures of the same methods on another sample of as many cases, printed with three decimals."""
    rows = []
    for arm in results.arms:
        theirs = measure(answer(population, population.draw_cases(n, rng), rng)).overall
        for metric in FIGURES:
            ours, printed = arm.parts[0].metrics[metric], round(float(theirs[metric]), 3)
            if ours.value is None or ours.low is None or ours.high is None:
                continue
            # As wide as ours, which is what a check takes where no matrix was published.
            width = {
                "low": printed - ours.value + ours.low,
                "high": printed - ours.value + ours.high,
            }
            low, high = difference_bounds(ours, Estimate(value=printed, **width))
            rows.append(
                CheckRow(
                    arm=arm.name,
                    part="test",
                    metric=metric,
                    printed=f"{printed:.3f}",
                    reference=printed,
                    ours=ours.value,
                    difference=ours.value - printed,
                    low=low - 0.0005,
                    high=high + 0.0005,
                    status=Status.NOT_CHECKED,
                    reason="",
                )
            )
    kind = "published figures"
    return Verdict(
        reference="", title="", source="", kind=kind, status=Status.NOT_CHECKED, rows=rows
    )


def alarms(name: str, n: int, seeds: int, simulations: int) -> dict[str, float]:
    """Share of simulations in which each rule finds something, of those where it can look at something."""
    population = make(name)
    rng = np.random.default_rng([n, seeds, len(name)])
    seen: Counter[str] = Counter()
    alarmed: Counter[str] = Counter()
    for i in range(simulations):
        results = evaluate(population, n, seeds, rng, i % SUBGROUPS_EVERY == 0)
        published = outside_interval(publish(results, population, n, rng))
        for finding in review(results, published=published).findings:
            seen[finding.code] += finding.severity != "not applicable"
            alarmed[finding.code] += finding.is_open
    TOTAL.update({f"{code} seen": seen[code] for code in TESTED})
    TOTAL.update({f"{code} alarmed": alarmed[code] for code in TESTED})
    return {code: round(alarmed[code] / seen[code], 3) for code in TESTED if seen[code]}


def gaps(share: float, n: int, simulations: int) -> dict[str, float]:
    """MR003 at its limit: accuracy *share* on n test cases, 0.05 more on four times as many for training."""
    rng = np.random.default_rng([n, int(1000 * share)])
    found = []
    for _ in range(simulations):
        parts = []
        for size, true in ((4 * n, share + GAP), (n, share)):
            hits = rng.binomial(size, true)
            low, high = (float(end) for end in share_bounds(hits, size))
            accuracy = Estimate(value=hits / size, low=low, high=high)
            parts.append(PartResult.model_construct(n_cases=size, metrics={"accuracy": accuracy}))
        gap = accuracy_gap(*parts)
        found.append(gap is not None and gap[2] > GAP)
    return {"MR003": round(float(np.mean(found)), 3)}


def ends(time: float, noise: float, simulations: int) -> dict[str, float]:
    """MR012: losses that fall as exp(-t / time) over 50 epochs, with noise as a share of the whole fall."""
    rng = np.random.default_rng([int(10 * time), int(1000 * noise)])
    t = np.arange(50)
    told = []
    for _ in range(simulations):
        losses = 1 + np.exp(-t / time) + noise * rng.normal(size=50)
        share = still_falling(Curve(seed=0, fold=0, columns={"validation_loss": losses.tolist()}))
        told.append((share or 0) > STILL_FALLING)
    return {"MR012": round(float(np.mean(told)), 3)}


def labels(name: str, n: int, rate: float, simulations: int) -> dict[str, float]:
    """Labels flipped to another class at *rate*: how many are named, how many of these and of the first 20 were
    flipped, and which share of the flipped is named.
    """
    population = make(name)
    k = len(population.classes)
    rng = np.random.default_rng([n, int(1000 * rate), len(name)])
    named, right, first, first_right, flips = [], 0, 0, 0, 0
    for _ in range(simulations):
        p = answer(population, population.draw_cases(n, rng), rng)
        flipped = rng.random(n) < rate
        given = np.where(flipped, (p.truth + rng.integers(1, k, n)) % k, p.truth)
        found = find_label_errors(given, p.probabilities)
        named.append(len(found))
        right += int(flipped[found].sum())
        first += len(found[:20])
        first_right += int(flipped[found[:20]].sum())
        flips += int(flipped.sum())
    shares = {"named": round(float(np.mean(named)), 1)}
    if rate:
        shares |= {
            "flipped among them": round(right / max(sum(named), 1), 2),
            "among the first 20": round(first_right / max(first, 1), 2),
            "found": round(right / max(flips, 1), 2),
        }
    return shares


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulations", type=int, default=40)
    parser.add_argument(
        "--what", choices=("all", "alarms", "gaps", "labels", "curves"), default="all"
    )
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    what, times, results = arguments.what, arguments.simulations, Found(arguments.out)
    if what in ("all", "gaps"):
        for share in (0.6, 0.9):
            for n in (100, 1000, 5000):
                results.keep(
                    f"gap of 0.05, accuracy {share}; {n} cases", gaps(share, n, 20 * times)
                )
    if what in ("all", "curves"):
        for time, noise in (
            (3, 0.02),
            (6, 0.02),
            (10, 0.02),
            (6, 0.1),
            (10, 0.1),
            (25, 0.02),
            (50, 0.02),
        ):
            key = f"loss falls as exp(-t/{time}), noise {noise}"
            results.keep(key, ends(time, noise, 10 * times))
    if what in ("all", "labels"):
        for name in (
            *("middling, 2 classes, 20%", "strong, 2 classes, 20%", "middling, 3 classes"),
            *("strong, 3 classes", "middling, 11 classes", "strong, 11 classes"),
        ):
            for rate in (0.0, 0.02, 0.05, 0.1):
                key = f"labels: {name}; 1,000 cases; {rate:.0%} flipped"
                results.keep(key, labels(name, 1000, rate, max(times // 5, 1)))
    if what in ("all", "alarms"):
        for name, n, seeds in SITUATIONS:
            key = f"alarms: {name}; {n} cases, {seeds} seeds"
            results.keep(key, alarms(name, n, seeds, times if n < 5000 else times // 2))
        results.keep(
            "alarms: all situations together",
            {
                code: round(TOTAL[f"{code} alarmed"] / TOTAL[f"{code} seen"], 3)
                for code in TESTED
                if TOTAL[f"{code} seen"]
            },
        )


if __name__ == "__main__":
    main()
