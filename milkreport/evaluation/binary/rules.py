"""Operating points as they are typed, and the one threshold that each takes from labelled scores.

A case is called positive where its score, the probability of the positive classes, is at least the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from milkreport.errors import ConfigError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Kind = Literal["argmax", "fixed", "sensitivity", "specificity", "youden", "cost"]

FORMS = "sensitivity=0.95, specificity=0.9, youden, cost=FN:FP or a threshold such as 0.32"
PLAIN = 0.5


@dataclass(frozen=True)
class OperatingRule:
    """How cases are called positive.

    ``argmax``: by the class of the largest probability. ``fixed``: at the threshold ``value``.
    ``sensitivity``, ``specificity``: at least ``value`` of it. ``youden``: the largest sum of both.
    ``cost``: the least cost, where a false negative costs ``value`` false positives.
    """

    kind: Kind = "argmax"
    value: float = float("nan")
    text: str = "argmax"

    @property
    def is_chosen(self) -> bool:
        """Whether its threshold is taken from labelled cases."""
        return self.kind not in ("argmax", "fixed")


ARGMAX = OperatingRule()


def parse_rule(text: str) -> OperatingRule:
    """The rule that *text* names; empty: argmax.

    Raises:
        ConfigError: it is none of the forms, or a number is out of range.
    """
    text = text.strip().lower()
    name, equals, given = text.partition("=")
    if text in ("", "argmax"):
        return ARGMAX
    if text == "youden":
        return OperatingRule("youden", text=text)
    if equals and name in ("sensitivity", "specificity"):
        kind: Kind = "sensitivity" if name == "sensitivity" else "specificity"
        return OperatingRule(kind, _share(text, given), text)
    if equals and name == "cost":
        parts = [_number(text, part) for part in given.split(":")]
        if len(parts) != 2 or not all(0 < part < float("inf") for part in parts):
            raise ConfigError(f"operating {text!r}", "give two costs above 0, as in cost=10:1")
        return OperatingRule("cost", parts[0] / parts[1], text)
    return OperatingRule("fixed", _share(text, text), text)


def parse_prevalences(text: str) -> tuple[float, ...]:
    """Prevalences between commas, each above 0 and below 1.

    Raises:
        ConfigError: a value is something else.
    """
    found = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        found.append(check_prevalence(part))
    return tuple(dict.fromkeys(found))


def check_prevalence(given: str | float) -> float:
    """One prevalence, above 0 and below 1.

    Raises:
        ConfigError: it is something else.
    """
    try:
        value = float(given)
    except ValueError:
        value = float("nan")
    if not 0 < value < 1:
        raise ConfigError(f"prevalence {given}", "give shares above 0 and below 1, as in 0.01,0.05")
    return value


def choose_threshold(rule: OperatingRule, true: Bools, score: Floats) -> float:
    """The threshold that *rule* takes from these cases: positive where ``score >= threshold``.

    Thresholds lie in the middle between neighbouring scores; 0 calls every case, one above the largest score
    calls none. ``sensitivity``: the highest threshold that reaches it; ``specificity``: the lowest one.
    Of equally good ones the nearest to 0.5. Without both sides there is nothing to choose by: 0.5.

    Args:
        true: bool (n,). score: float64 (n,), from 0 to 1 (a sum may pass 1 by its rounding).
    """
    if rule.kind == "fixed":
        return rule.value
    if true.all() or not true.any() or rule.kind == "argmax":
        return PLAIN
    thresholds, tp, fp = _candidates(true, score)
    sensitivity, specificity = tp / true.sum(), 1 - fp / (~true).sum()
    if rule.kind == "sensitivity":  # candidates fall, so that the first is the highest
        return float(thresholds[np.argmax(sensitivity >= rule.value - 1e-12)])
    if rule.kind == "specificity":
        return float(thresholds[np.flatnonzero(specificity >= rule.value - 1e-12)[-1]])
    if rule.kind == "youden":
        worth = sensitivity + specificity
    else:
        worth = -(rule.value * (true.sum() - tp) + fp) / len(true)
    best = thresholds[worth >= worth.max() - 1e-12]
    return float(best[np.abs(best - PLAIN).argmin()])


def _candidates(true: Bools, score: Floats) -> tuple[Floats, Floats, Floats]:
    """Thresholds from the highest down, with the true and false positives at each: three float64 (k,)."""
    order = np.argsort(-score, kind="stable")
    ordered = score[order]
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(score) - 1)
    tp = np.append(0, np.cumsum(true[order])[ends]).astype(np.float64)
    seen = np.append(0, ends + 1).astype(np.float64)
    most = ordered[0]
    above = (1 + most) / 2 if most < 1 else np.nextafter(most, 2)
    below = np.append(ordered[ends[:-1] + 1], 0.0)
    middles = (ordered[ends] + below) / 2
    # Two neighbours may have no number between them: the upper one separates as well, by ">=".
    middles = np.where(middles > below, middles, ordered[ends])
    middles[-1] = 0.0
    return np.append(above, middles), tp, seen - tp


def _share(text: str, given: str) -> float:
    value = _number(text, given)
    if not 0 < value < 1:
        raise ConfigError(f"operating {text!r}", "give a number above 0 and below 1")
    return value


def _number(text: str, given: str) -> float:
    try:
        return float(given)
    except ValueError:
        raise ConfigError(f"unknown operating point {text!r}", f"known: {FORMS}") from None
