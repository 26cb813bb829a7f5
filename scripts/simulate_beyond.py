"""How often what a report says beyond its test part holds, in populations with known truth.

For abstention, prediction sets, forecasts at other class shares, shares of unlabelled cases and differences
between the test part and an external set: how often
each 95% interval holds the true value; how often sets hold the true class, per class; how often the test of
label shift raises a false alarm (class shares alone differ, or nothing does), and how often it finds another
change of the cases. ``docs/beyond.md`` has the figures.

    python scripts/simulate_beyond.py [--simulations 200] [--only PART] [--unseen] [--out FILE]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from found import Coverage, Found
from populations import Population, make

from milkreport.evaluation.beyond import abstention, conformal
from milkreport.evaluation.beyond.estimate_shares import (
    N_DRAWS,
    bound_shares,
    draw_shares,
    estimate_shares,
    match_means,
)
from milkreport.evaluation.beyond.external import COMPARED, compare_external, subtract
from milkreport.evaluation.beyond.forecast import Mixed, mix, rates_of
from milkreport.evaluation.beyond.label_shift import check_label_shift
from milkreport.evaluation.beyond.shares import ClassShares
from milkreport.evaluation.beyond.unlabelled import FEWEST_OF_CLASS, MOST_OF_FEW
from milkreport.evaluation.intervals.closed_form import share_bounds
from milkreport.evaluation.intervals.inner_folds import inner_folds
from milkreport.evaluation.metrics.measures import Plan, measure
from milkreport.evaluation.pooled_predictions import CaseFacts, pool_arms
from milkreport.evaluation.reading.external import ExternalPredictions
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.parts import POSITIVE, Estimate
from milkreport.evaluation.summarise import summarise_pool

SITUATIONS: dict[str, tuple[int, ...]] = {
    "middling, 11 classes": (1000, 5240),
    "strong, 11 classes": (1000,),
    "middling, 2 classes, 20%": (200, 1000),
    "middling, 3 classes": (200, 1000),
    "middling, 11 classes, weakly alike groups": (1000,),
    "middling, 2 classes, 20%, weakly alike groups": (300,),
}
#: Populations that no method was chosen on.
UNSEEN: dict[str, tuple[int, ...]] = {
    "weak, 11 classes": (1000,),
    "strong, 3 classes": (200,),
    "weak, 2 classes, 5%": (1000,),
    "middling, 30 classes": (1000,),
    "middling, 2 classes, 20%, strongly alike groups": (300,),
}
LARGE = 300_000
PLAN = Plan(n_resamples=N_DRAWS)


def draw(
    population: Population, n: int, rng: np.random.Generator
) -> tuple[Predictions, np.ndarray | None]:
    """Cases, a model's answers to them, and their groups."""
    cases = population.draw_cases(n, rng)
    return population.answer(cases, population.log_odds, rng), cases.groups


class Truth:
    """A population's values, from many cases."""

    def __init__(self, population: Population) -> None:
        self.p, _ = draw(population, LARGE, np.random.default_rng(1))
        self.sure = self.p.probabilities.max(axis=1)
        self.wrong = self.p.predicted != self.p.truth
        self.aurc = abstention.find_aurc(self.sure, self.wrong)
        k = len(self.p.classes)
        self.own = [np.sort(self.p.probabilities[self.p.truth == c, c]) for c in range(k)]

    def accuracy_from(self, threshold: float) -> float:
        """Accuracy of the cases that are answered from *threshold* on."""
        return float(1 - self.wrong[self.sure >= threshold].mean())

    def covered(self, c: int, threshold: float) -> float:
        """Share of class *c* whose probability reaches *threshold*."""
        return 1 - np.searchsorted(self.own[c], threshold) / len(self.own[c])


def simulate_abstention(
    population: Population, n: int, times: int, rng: np.random.Generator
) -> dict:
    """Coverage of the intervals of area, accuracy and macro F1."""
    truth, coverage = Truth(population), Coverage()
    for _ in range(times):
        p, groups = draw(population, n, rng)
        found = abstention.describe_abstention([p], groups, bounded=True)
        coverage.add("aurc", truth.aurc, found.aurc.low, found.aurc.high)
        for at in found.at:
            value, name = truth.accuracy_from(at.threshold), f"accuracy at {at.coverage:.0%}"
            coverage.add(name, value, at.accuracy.low, at.accuracy.high)
    return coverage.table()


def simulate_sets(population: Population, n: int, times: int, rng: np.random.Generator) -> dict:
    """Mean coverage of the sets per class where it is promised; coverage of its interval."""
    truth, coverage = Truth(population), Coverage()
    k = len(population.classes)
    hits: dict[int, list[tuple[int, int]]] = {}
    for _ in range(times):
        p, groups = draw(population, n, rng)
        (sets,) = conformal.find_sets({(0, 0): p}, {0: p}, {}, groups).values()
        found = conformal.describe_sets([p], [sets], groups, bounded=True)
        folds, rows = inner_folds(p.truth, groups), []
        for fold in folds:
            rest = np.setdiff1d(np.arange(n), fold)
            own = None if groups is None else groups[rest]
            t, _ = conformal.calibrate(p.truth[rest], p.probabilities[rest], conformal.LEVEL, own)
            sizes = np.bincount(p.truth[fold], minlength=k)
            rows.append([(size, truth.covered(c, t[c])) for c, size in enumerate(sizes)])
        for c, row in enumerate(found.classes):
            if not row.promised or not row.n:
                continue
            hits.setdefault(c, []).append((row.n, row.n * row.covered.value))
            sizes, shares = np.array([r[c] for r in rows]).T
            coverage.add(
                "interval of the coverage",
                float(sizes @ shares / sizes.sum()),
                row.covered.low,
                row.covered.high,
            )
    by_class = {
        f"class of {n * population.classes[c]:.0f}": {
            "covered": round(float(np.mean([h / m for m, h in kept])), 3),
            "standard error": round(float(np.std([h / m for m, h in kept]) / len(kept) ** 0.5), 3),
            "n": len(kept),
        }
        for c, kept in hits.items()
    }
    return by_class | coverage.table()


def far_shares(k: int, rng: np.random.Generator) -> np.ndarray:
    """Class shares that have nothing to do with those of the test part."""
    return rng.dirichlet(np.full(k, 2.0))


def near_shares(shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Class shares of a clinic: each class up to about five times as frequent, or as rare."""
    moved = shares * np.exp(0.8 * rng.normal(size=len(shares)))
    return moved / moved.sum()


def simulate_forecast(
    population: Population, n: int, times: int, rng: np.random.Generator, counted: int | None
) -> dict:
    """Coverage of the intervals at other class shares: exact, or counted in *counted* cases."""
    large = Truth(population).p
    k = len(population.classes)
    positive = np.arange(k) % 3 == 1
    coverage = Coverage()
    called = np.isin(large.predicted, np.flatnonzero(positive))
    rates = rates_of(large, large.predicted, called, positive)
    for _ in range(times):
        p, groups = draw(population, n, rng)
        support = np.bincount(p.truth, minlength=k)
        true = far_shares(k, rng) * (support > 0)
        true /= true.sum()
        if true[positive].sum() in (0, 1):
            continue
        shares = true if counted is None else rng.multinomial(counted, true) / counted
        named = ClassShares(tuple(zip(p.classes, shares.tolist(), strict=True)), counted)
        answers = np.isin(p.predicted, np.flatnonzero(positive))
        mixed = Mixed(
            [(p, p.predicted, answers)],
            positive,
            shares,
            groups,
            named.draw(shares),
            bounded=True,
        )
        values = mix(rates, true)
        for name, value in values.items():
            if name == "predicted":
                for c in range(k):
                    found = mixed.over(name, c)
                    coverage.add(name, float(value[c]), found.low, found.high)
            else:
                found = mixed.over(name)
                coverage.add(name, float(value), found.low, found.high)
    return coverage.table()


def clinic(
    population: Population,
    shares: np.ndarray,
    m: int,
    rng: np.random.Generator,
    change: float = 0.0,
) -> np.ndarray:
    """Probabilities of unlabelled cases; *change*: how much less the model sees, which no share explains."""
    there = replace(population, classes=shares, truths={})
    cases = there.draw_cases(m, rng)
    model = population.log_odds.copy()
    model[np.diag_indices(len(model))] -= change * np.diag(
        population.log_odds - population.log_odds.mean(axis=0)
    )
    return population.answer(cases, model, rng).probabilities


def simulate_unlabelled(
    population: Population, n: int, times: int, rng: np.random.Generator, m: int
) -> dict:
    """The test's false alarms and power, and the coverage of shares and forecast where it raises none."""
    large = Truth(population).p
    k = len(population.classes)
    positive = np.arange(k) % 3 == 1
    rates = rates_of(
        large, large.predicted, np.isin(large.predicted, np.flatnonzero(positive)), positive
    )
    coverage, alarms = (
        Coverage(),
        {"no shift": [], "label shift": [], "change 0.2": [], "change 0.5": []},
    )
    errors: dict[str, list[float]] = {"EM": [], "means": []}
    refused: list[str] = []
    for _ in range(times):
        p, groups = draw(population, n, rng)
        support = np.bincount(p.truth, minlength=k)
        true = near_shares(population.classes, rng) * (support > 0)
        true /= true.sum()
        for name in alarms:
            shares = population.classes if name == "no shift" else true
            change = float(name.split()[1]) if name.startswith("change") else 0.0
            q = clinic(population, shares, m, rng, change)
            found, correction = estimate_shares(p.truth, p.probabilities, q)
            if found[support < FEWEST_OF_CLASS].sum() > MOST_OF_FEW:
                refused.append(name)
                continue
            raised = check_label_shift(p.truth, p.probabilities, q, groups).p < 0.05
            alarms[name].append(raised)
            if name != "label shift" or raised:
                continue
            drawn = draw_shares(p.truth, p.probabilities, q, correction, found, groups)
            by_means = match_means(p.truth, correction.apply(p.probabilities), correction.apply(q))
            errors["EM"].append(float(np.abs(found - true).sum() / 2))
            errors["means"].append(float(np.abs(by_means - true).sum() / 2))
            for c in np.flatnonzero(support >= FEWEST_OF_CLASS):
                low, high = bound_shares(found, drawn)
                coverage.add("share", true[c], low[c], high[c])
            answers = np.isin(p.predicted, np.flatnonzero(positive))
            mixed = Mixed(
                [(p, p.predicted, answers)],
                positive,
                found,
                groups,
                drawn,
                PLAN,
                bounded=True,
            )
            for key, value in mix(rates, true).items():
                for c in range(k if key == "predicted" else 1):
                    got = mixed.over(key, c)
                    coverage.add(key, float(np.atleast_1d(value)[c]), got.low, got.high)
    return {
        "too few labelled": round(len(refused) / (len(alarms) * times), 3),
        "alarms": {name: round(float(np.mean(a)), 3) for name, a in alarms.items() if a},
        "mean distance of shares": {
            name: round(float(np.mean(e)), 3) for name, e in errors.items() if e
        },
        **coverage.table(),
    }


class Moved:
    """A model on another population: other class shares, and it sees *change* less of every class.

    With *seeds* trainings the values are means over trainings.
    """

    def __init__(self, population: Population, shares: np.ndarray, change: float) -> None:
        self.population = replace(population, classes=shares, truths={})
        self.change = change

    def model(self, trained: np.ndarray) -> np.ndarray:
        """Mean log odds of a training there."""
        moved = trained.copy()
        moved[np.diag_indices(len(moved))] -= self.change * np.diag(trained - trained.mean(axis=0))
        return moved

    def truths(
        self, common: np.ndarray, positive: tuple[str, ...], trainings: Sequence[np.ndarray]
    ) -> dict[str, float]:
        """Values on many cases of the classes *common*, means over *trainings*."""
        found: dict[str, list[float]] = {}
        for i, trained in enumerate(trainings):
            rng = np.random.default_rng([i, 7])
            large = self.population.draw_cases(LARGE // min(len(trainings), 8), rng)
            p = self.population.answer(large, self.model(trained), rng)
            for name, value in external_values(p.take(common[p.truth]), positive).items():
                found.setdefault(name, []).append(value)
        return {name: float(np.mean(values)) for name, values in found.items()}


def external_values(p: Predictions, positive: tuple[str, ...]) -> dict[str, float]:
    """The metrics that are compared with external sets."""
    m = measure(p, positive)
    found = {name: float(m.overall[name]) for name in COMPARED}
    found |= {name: float(m.positive[name.removeprefix("positive_")]) for name in POSITIVE}
    return found | {
        f"recall:{c}": float(v) for c, v in zip(p.classes, m.classes["recall"], strict=True)
    }


def simulate_external(
    population: Population,
    n: int,
    times: int,
    rng: np.random.Generator,
    m: int,
    power: float = 1.0,
    seeds: int = 1,
) -> dict:
    """Coverage of the differences between the test part and an external set of *m* cases.

    Args:
        power: of the class shares there: below 1, rare classes are more frequent; above 1, rarer.
    """
    if seeds > 1:
        population = replace(population, training_noise=0.3, truths={})
    k = len(population.classes)
    positive = tuple(f"C{i}" for i in range(k) if i % 3 == 1)
    coverage, plan = Coverage(), Plan(positive=positive, n_resamples=400)
    trainings = (
        [population.train(np.random.default_rng([9, i])) for i in range(60)]
        if seeds > 1
        else [population.log_odds]
    )
    kept: dict[bytes, tuple[dict[str, float], dict[str, float]]] = {}
    here = Moved(population, population.classes, 0.0)
    shares = population.classes**power
    there = Moved(population, shares / shares.sum(), 0.3)
    for _ in range(times):
        models = [population.train(rng) if seeds > 1 else population.log_odds for _ in range(seeds)]
        sides = []
        for moved, size in ((here, n), (there, m)):
            cases = moved.population.draw_cases(size, rng)
            cells = {
                (i, 0): moved.population.answer(cases, moved.model(model), rng)
                for i, model in enumerate(models)
            }
            groups = {} if cases.groups is None else dict(enumerate(cases.groups.tolist()))
            facts = CaseFacts({f"{i:07d}": str(group) for i, group in groups.items()})
            sides.append((cells, facts))
        (ours, facts), (theirs, others) = sides
        pool = pool_arms({"": ours}, "validation", plan, facts)[""]
        part = summarise_pool(pool, plan, facts)
        given = ExternalPredictions("B", "", "", {"": theirs}, {}, others)
        found = compare_external(given, {"": ours}, {"": part}, plan, facts)
        common = np.isin(ours[0, 0].classes, found.compared)
        if (key := common.tobytes()) not in kept:
            kept[key] = (
                here.truths(common, positive, trainings),
                there.truths(common, positive, trainings),
            )
        a, b = kept[key]
        support = np.array([row.support for row in part.classes])
        for value in found.arms[0].values:
            name = value.metric
            d = value.difference
            true = a.get(name, np.nan) - b.get(name, np.nan)
            if name.startswith("recall:"):
                c = int(name.removeprefix("recall:C"))
                fewest = min(support[c], found.class_counts[f"C{c}"])
                name = f"recall, {'under 10' if fewest < 10 else '10 or more'} cases"
            coverage.add(name, true, d.low, d.high)
    return coverage.table()


def simulate_external_accuracy(
    population: Population, n: int, times: int, rng: np.random.Generator
) -> dict:
    """The same of accuracy alone, ten times as often: its interval needs no resamples."""
    here = Moved(population, population.classes, 0.0)
    shares = population.classes**0.5
    there = Moved(population, shares / shares.sum(), 0.3)

    def right(moved: Moved, size: int, rng: np.random.Generator) -> int:
        cases = moved.population.draw_cases(size, rng)
        p = moved.population.answer(cases, moved.model(population.log_odds), rng)
        return int((p.predicted == p.truth).sum())

    def estimate(hits: int, size: int) -> Estimate:
        low, high = share_bounds(hits, size)
        return Estimate(value=hits / size, low=float(low), high=float(high))

    large = np.random.default_rng(1)
    true = right(here, LARGE, large) / LARGE - right(there, LARGE, large) / LARGE
    coverage = Coverage()
    for _ in range(10 * times if population.most_in_group == 1 else 0):
        sides = estimate(right(here, n, rng), n), estimate(right(there, 300, rng), 300)
        found = subtract(*sides, True)
        coverage.add("accuracy", true, found.low, found.high)
    return coverage.table()


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument(
        "--only", default="", help="abstention, sets, forecast, counted, unlabelled or external"
    )
    parser.add_argument("--population", default="", help="part of a population's name")
    parser.add_argument("--unseen", action="store_true", help="populations no method was chosen on")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results, times = Found(arguments.out), arguments.simulations
    for name, sizes in (UNSEEN if arguments.unseen else SITUATIONS).items():
        for n in sizes if arguments.population in name else ():
            population, rng = make(name), np.random.default_rng([n, len(name)])
            parts = {
                "abstention": simulate_abstention,
                "sets": simulate_sets,
                "forecast": partial(simulate_forecast, counted=None),
                "counted": partial(simulate_forecast, counted=200),
                "unlabelled": partial(simulate_unlabelled, m=1000),
                "external 100": partial(simulate_external, m=100, power=0.5),
                "external 300": partial(simulate_external, m=300, power=0.5),
                "external 1000": partial(simulate_external, m=1000, power=1.2),
                "external accuracy": simulate_external_accuracy,
                "external 300, 3 seeds": partial(simulate_external, m=300, power=0.5, seeds=3),
            }
            for part, run in parts.items():
                if part.startswith(arguments.only):
                    results.keep(f"{part}; {name}; {n} cases", run(population, n, times, rng))


if __name__ == "__main__":
    main()
