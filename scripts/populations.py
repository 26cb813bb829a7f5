"""Populations with known truth, from which the simulations draw cases, groups and trainings.

A case has a class, a group (a patient), and a difficulty that all models share. A training is a matrix of
mean log odds by true class. A model's log odds are its row for the true class, plus what the group, the case
and the model on this case add. Classes are drawn with every sample, as new cases would bring them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from milkreport.evaluation.metrics.confusion import score_classes, score_confusion
from milkreport.evaluation.metrics.measures import Measured, measure
from milkreport.evaluation.reading.predictions import Predictions

#: Cases of the largest class mix that is met in practice: the lesions of MILK10k.
MILK10K = np.array([303, 2518, 43, 541, 52, 49, 9, 444, 712, 473, 45])


@dataclass(frozen=True)
class Cases:
    """``truth``: int64 (n,). ``groups``: int64 (n,) or ``None``. ``shared``: float64 (n, k), seen by all."""

    truth: np.ndarray
    groups: np.ndarray | None
    shared: np.ndarray


@dataclass(frozen=True)
class Population:
    """``classes``: shares of the classes. ``log_odds``: float64 (k, k), means by true class.

    ``most_in_group``: groups have 1 to so many cases, evenly; 1: none. ``group_noise``: standard deviation
    that a group adds to log odds, ``same_class``: chance that a case has its group's class. ``own_noise``:
    share of the unit case variance that is a model's own. ``training_noise``: standard deviation by training.
    """

    name: str
    classes: np.ndarray
    log_odds: np.ndarray
    most_in_group: int = 1
    group_noise: float = 0.0
    same_class: float = 0.0
    own_noise: float = 0.5
    training_noise: float = 0.0
    truths: dict[str, Measured] = field(default_factory=dict, compare=False)

    def draw_cases(self, n: int, rng: np.random.Generator) -> Cases:
        """*n* new cases with their own class mix."""
        k = len(self.classes)
        groups = None
        truth = rng.choice(k, n, p=self.classes)
        shared = rng.normal(size=(n, k)) * np.sqrt(1 - self.own_noise)
        if self.most_in_group > 1:
            sizes = rng.integers(1, self.most_in_group + 1, n)
            groups = np.repeat(np.arange(n), sizes)[:n]
            of_group = rng.choice(k, n, p=self.classes)
            truth = np.where(rng.random(n) < self.same_class, of_group[groups], truth)
            shared += self.group_noise * rng.normal(size=(n, k))[groups]
        return Cases(truth, groups, shared)

    def train(self, rng: np.random.Generator) -> np.ndarray:
        """A training's mean log odds."""
        return self.log_odds + self.training_noise * rng.normal(size=self.log_odds.shape)

    def answer(self, cases: Cases, model: np.ndarray, rng: np.random.Generator) -> Predictions:
        """A model's probabilities."""
        n, k = cases.shared.shape
        own = rng.normal(size=(n, k)) * np.sqrt(self.own_noise)
        logits = model[cases.truth] + cases.shared + own
        values = np.exp(logits - logits.max(axis=1, keepdims=True))
        values /= values.sum(axis=1, keepdims=True)
        ids = np.char.mod("%07d", np.arange(n))
        return Predictions(ids, cases.truth, values, tuple(f"C{i}" for i in range(k)))

    def value(self, name: str, present: np.ndarray, n: int = 400_000) -> float | np.ndarray:
        """The true value of a metric without training noise; averages run over *present* classes."""
        if "" not in self.truths:
            rng = np.random.default_rng(len(self.name))
            # Alike cases of a group say less together.
            cases = self.draw_cases(n if self.most_in_group == 1 else 4 * n, rng)
            drawn = self.answer(cases, self.log_odds, rng)
            self.truths[""] = measure(drawn)
            k = len(self.classes)
            table = np.zeros((k, k))
            np.add.at(table, (drawn.truth, drawn.predicted), 1)
            self.truths["table"] = Measured(
                score_confusion(table), {"table": table, **score_classes(table)}
            )
        found, table = self.truths[""], self.truths["table"].classes["table"]
        if name in ("macro_auc", "macro_average_precision"):
            return float(np.nanmean(found.classes[name.removeprefix("macro_")][present]))
        overall = score_confusion(table, present)
        return overall[name] if name in overall else found.overall[name]

    def class_values(self, name: str) -> np.ndarray:
        """The true values of a class metric: float64 (k,)."""
        self.value("accuracy", np.ones(len(self.classes), bool))
        return self.truths[""].classes[name]


def hits(classes: np.ndarray, strength: np.ndarray | float, pull: float = 1.0) -> np.ndarray:
    """Log odds of a method that sees each class with *strength* and leans to frequent classes with *pull*."""
    k = len(classes)
    return pull * np.log(classes / classes.max())[None, :] + np.eye(k) * strength


def zipf(k: int) -> np.ndarray:
    """Class shares that fall with the rank."""
    shares = 1 / np.arange(1, k + 1)
    return shares / shares.sum()


def make(name: str) -> Population:
    """A population by its name; raises KeyError."""
    return {p.name: p for p in _all()}[name]


def _all() -> list[Population]:
    milk = MILK10K / MILK10K.sum()
    found = [
        Population("weak, 11 classes", milk, hits(milk, 0.6)),
        Population("middling, 11 classes", milk, hits(milk, 2.0, 0.6)),
        Population("strong, 11 classes", milk, hits(milk, 3.5, 0.5)),
    ]
    for share in (0.01, 0.05, 0.2):
        two = np.array([1 - share, share])
        for word, strength in (("weak", 0.5), ("middling", 1.5), ("strong", 3.5)):
            found.append(
                Population(f"{word}, 2 classes, {share:.0%}", two, hits(two, strength, 0.3))
            )
    for k in (3, 30, 100):
        shares = zipf(k)
        for word, strength in (("weak", 0.7), ("middling", 2.0), ("strong", 4.0)):
            found.append(Population(f"{word}, {k} classes", shares, hits(shares, strength, 0.5)))
    for word, noise, same in (("weakly", 0.5, 0.1), ("strongly", 1.5, 0.5)):
        for base in found[1:2] + [p for p in found if p.name == "middling, 2 classes, 20%"]:
            found.append(
                Population(
                    f"{base.name}, {word} alike groups",
                    base.classes,
                    base.log_odds,
                    most_in_group=12,
                    group_noise=noise,
                    same_class=same,
                )
            )
    return found
