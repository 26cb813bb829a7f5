"""How often the reviewer's rules find something where there is nothing, and what the list of labels is worth.

Cases, class mix and groups are drawn anew in every simulation (``populations``), evaluated by the functions
that a report uses, and reviewed. The arms are equal, their probabilities are calibrated by construction,
subgroups are drawn by lot, and the published figures come from another sample of the same methods, so every
finding is a false alarm. ``docs/findings.md`` has the figures.

    python scripts/simulate_findings.py [--simulations 40] [--what PART] [--out FILE]
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from found import Found
from populations import Cases, Population, make

from milkreport.checks.expand import difference_bounds
from milkreport.checks.reported import outside_interval
from milkreport.checks.verdict import CheckRow, Status, Verdict
from milkreport.evaluation.binary.describe_risk import describe_risk
from milkreport.evaluation.calibration_summary import calibrate
from milkreport.evaluation.evaluate import evaluate_arms
from milkreport.evaluation.intervals.bounds import bound_share
from milkreport.evaluation.intervals.closed_form import share_bounds
from milkreport.evaluation.label_errors import find_label_errors
from milkreport.evaluation.metrics.measures import Plan, draw, measure
from milkreport.evaluation.metrics.named import define_all
from milkreport.evaluation.pooled_predictions import CaseFacts
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.binary import BinaryResult
from milkreport.evaluation.records.data import DataSummary
from milkreport.evaluation.records.parts import Estimate, PartResult
from milkreport.evaluation.records.results import ArmResult, Curve, Results
from milkreport.evaluation.review.review import review
from milkreport.evaluation.review.training import GAP, STILL_FALLING, accuracy_gap, still_falling
from milkreport.evaluation.review.trust import calibration, subgroups
from milkreport.evaluation.subgroups import describe_slices

#: Population and cases.
SITUATIONS = (
    ("middling, 2 classes, 20%", 100),
    ("middling, 2 classes, 20%", 1000),
    ("middling, 2 classes, 20%, strongly alike groups", 1000),
    ("middling, 3 classes", 100),
    ("middling, 3 classes", 1000),
    ("middling, 3 classes", 5000),
    ("middling, 11 classes", 300),
    ("middling, 11 classes", 1000),
    ("middling, 11 classes, strongly alike groups", 1000),
    ("strong, 11 classes", 1000),
)
N_ARMS = 3
PARTS = ("alarms", "calibration", "subgroups", "gaps", "curves", "labels", "choice")
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


def with_parts(parts: dict[str, list[PartResult]], classes: tuple[str, ...]) -> Results:
    """Parts of arms as results, of data that nothing else is known of."""
    data = DataSummary.model_construct(
        synthetic=False, units="cases", unit="case", proof=None, categorical=[]
    )
    data = data.model_copy(update={"class_counts": {}})
    return Results.model_construct(
        primary_metric="macro_f1",
        classes=list(classes),
        definitions=define_all("macro_f1"),
        data=data,
        arms=[
            ArmResult.model_construct(name=a, title=a, parts=p, curves=[], cells=[])
            for a, p in parts.items()
        ],
        comparison=None,
        copies=None,
        findings=[],
    )


def facts_of(cases: Cases, table: pd.DataFrame | None = None) -> CaseFacts:
    """Groups of the cases, and subgroups by *table*; a subgroup is a trait of the group."""
    ids = np.char.mod("%07d", np.arange(len(cases.truth)))
    groups = {}
    if cases.groups is not None:
        groups = dict(zip(ids, map(str, cases.groups), strict=True))
        table = None if table is None else table.iloc[cases.groups].reset_index(drop=True)
    return CaseFacts(groups, None if table is None else table.set_index(ids))


def evaluate(population: Population, n: int, rng: np.random.Generator) -> Results:
    """Equal arms on new cases, compared."""
    cases = population.draw_cases(n, rng)
    arms = {f"arm {i}": {"test": {(0, 0): answer(population, cases, rng)}} for i in range(N_ARMS)}
    found, comparison = evaluate_arms(arms, Plan(n_resamples=200), facts_of(cases))
    classes = arms["arm 0"]["test"][0, 0].classes
    return with_parts(found, classes).model_copy(update={"comparison": comparison})


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


def alarms(name: str, n: int, simulations: int) -> dict[str, float]:
    """MR005, MR006 and MR013: share of simulations in which each finds something."""
    population, rng = make(name), np.random.default_rng([n, len(name)])
    alarmed: Counter[str] = Counter()
    for _ in range(simulations):
        results = evaluate(population, n, rng)
        published = outside_interval(publish(results, population, n, rng))
        alarmed.update(f.code for f in review(results, published=published).findings if f.is_open)
    return {code: round(alarmed[code] / simulations, 3) for code in ("MR005", "MR006", "MR013")}


def calibrated(name: str, n: int, simulations: int) -> dict[str, float]:
    """MR004: share of simulations in which three calibrated arms are said not to be."""
    population, rng = make(name), np.random.default_rng([n, len(name), 4])
    plan, alarmed = Plan(intervals=False), 0
    for _ in range(simulations):
        cases, parts = population.draw_cases(n, rng), {}
        groups = facts_of(cases).group_positions(np.char.mod("%07d", np.arange(n)))
        for i in range(N_ARMS):
            p = answer(population, cases, rng)
            right = p.predicted == p.truth
            low, high = (float(end) for end in bound_share(right, None, groups))
            error = (high - low) / (2 * 1.96)
            binary = None
            if len(p.classes) == 2:
                risk = describe_risk(
                    [(p.truth == 1, p.probabilities[:, 1], p.probabilities[:, 0])],
                    groups,
                    Plan(n_resamples=20),
                    resampled=True,
                )
                binary = BinaryResult.model_construct(risk=risk)
            parts[f"arm {i}"] = [
                PartResult.model_construct(
                    part="test",
                    n_cases=n,
                    n_groups=None if groups is None else int(groups.max()) + 1,
                    calibration=calibrate([p], groups, plan),
                    metrics={"accuracy": Estimate(value=float(right.mean()), sampling_error=error)},
                    binary=binary,
                )
            ]
        severity = calibration(with_parts(parts, p.classes)).severity
        alarmed += severity in ("note", "warning")
    return {"MR004": round(alarmed / simulations, 3)}


def sliced(name: str, n: int, simulations: int) -> dict[str, float]:
    """MR008: share of simulations in which columns of two, three and five values, drawn by lot, differ."""
    population, rng = make(name), np.random.default_rng([n, len(name), 8])
    alarmed = 0
    for _ in range(simulations):
        cases = population.draw_cases(n, rng)
        table = pd.DataFrame({f"by {m}": rng.integers(0, m, n).astype(str) for m in (2, 3, 5)})
        facts = facts_of(cases, table)
        p = answer(population, cases, rng)
        groups, plan = facts.group_positions(p.case_ids), Plan(n_resamples=400)
        found = facts.slices(p.case_ids)
        # Resamples tell what chance gives to groups; single cases are shuffled.
        draws = {} if groups is None else draw({"": {0: p}}, plan, groups, found)[""]
        slices = describe_slices({0: p}, draws, plan, found, groups)
        part = PartResult.model_construct(part="test", slices=slices.rows, gaps=slices.gaps)
        alarmed += subgroups(with_parts({"": [part]}, p.classes)).severity == "warning"
    return {"MR008": round(alarmed / simulations, 3)}


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
    """Labels flipped to another class at *rate*: how many are named, the share of these and of the first 20
    that was flipped, and the share of the flipped that is named.
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


def chosen(name: str, n: int, n_arms: int, spread: float, simulations: int) -> dict[str, float]:
    """The arm with the best macro F1 of *n_arms*, on n new cases: by how much it was too good, and how often.

    *spread*: standard deviation of the arms' mean log odds, 0 where all are the same method.
    """
    population = replace(make(name), training_noise=spread, truths={})
    rng = np.random.default_rng([n, n_arms, int(10 * spread)])
    excess = []
    for _ in range(simulations):
        models = [population.train(rng) for _ in range(n_arms)]
        cases, new = population.draw_cases(n, rng), population.draw_cases(n, rng)
        values = [macro_f1(population.answer(cases, model, rng)) for model in models]
        best = int(np.argmax(values))
        excess.append(values[best] - macro_f1(population.answer(new, models[best], rng)))
    return {
        "too good by": round(float(np.mean(excess)), 4),
        "less good anew": round(float(np.mean(np.array(excess) > 0)), 3),
    }


def macro_f1(p: Predictions) -> float:
    """Over the classes that have cases."""
    return float(measure(p).overall["macro_f1"])


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulations", type=int, default=40)
    parser.add_argument("--what", choices=("all", *PARTS), default="all")
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
    if what in ("all", "choice"):
        for name in ("middling, 3 classes", "middling, 11 classes", "strong, 11 classes"):
            for n_arms in (7, 30):
                for spread in (0.0, 0.3, 1.0):
                    key = f"best of {n_arms}: {name}; 1000 cases; arms differ by {spread}"
                    results.keep(key, chosen(name, 1000, n_arms, spread, 5 * times))
    for name, n in SITUATIONS:
        key, few = f"{name}; {n} cases", times if n < 5000 else times // 2
        if what in ("all", "calibration"):
            results.keep(f"calibration: {key}", calibrated(name, n, 5 * few))
        if what in ("all", "subgroups"):
            results.keep(f"subgroups: {key}", sliced(name, n, few))
        if what in ("all", "alarms"):
            results.keep(f"alarms: {key}", alarms(name, n, few))


if __name__ == "__main__":
    main()
