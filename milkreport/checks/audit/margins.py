"""Support, predictions and true positives per class: what all usual metrics need of a confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: Names of one and the same number, for single-label classification.
SAME = {
    "weighted_recall": "accuracy",
    "micro_precision": "accuracy",
    "micro_recall": "accuracy",
    "micro_f1": "accuracy",
    "macro_recall": "balanced_accuracy",
}
OF_CLASS = ("precision", "recall", "specificity", "f1")
AVERAGED = {f"{a}_{m}": (a, m) for a in ("macro", "weighted") for m in OF_CLASS}
OVERALL = ("accuracy", "balanced_accuracy", "kappa", "mcc", *AVERAGED)


@dataclass(frozen=True)
class Margins:
    """Counts per class, float64 (k,) each; whole numbers where the number of cases is known."""

    support: Floats
    predicted: Floats
    hits: Floats

    @property
    def n(self) -> float:
        """Number of cases."""
        return float(self.support.sum())

    def by_class(self, metric: str) -> Floats:
        """A metric of each class, float64 (k,); 0 of 0 is 0."""
        s, p, t = self.support, self.predicted, self.hits
        above, below = {
            "precision": (t, p),
            "recall": (t, s),
            "f1": (2 * t, s + p),
            "specificity": (self.n - s - p + t, self.n - s),
        }[metric]
        return np.asarray(np.divide(above, below, out=np.zeros_like(above), where=below > 0))

    def value(self, metric: str, position: int | None = None) -> float:
        """A metric by its name, of one class or of all."""
        if position is not None:
            return float(self.by_class(metric)[position])
        metric = SAME.get(metric, metric)
        n, right = self.n, float(self.hits.sum())
        if metric == "accuracy":
            return right / n
        if metric in ("kappa", "mcc"):
            above = right * n - float(self.support @ self.predicted)
            if metric == "kappa":
                return _divide(above, n**2 - float(self.support @ self.predicted))
            spread = (n**2 - (self.support**2).sum()) * (n**2 - (self.predicted**2).sum())
            return _divide(above, float(np.sqrt(max(spread, 0.0))))
        average, of = AVERAGED["macro_recall" if metric == "balanced_accuracy" else metric]
        weights = self.support / n if average == "weighted" else self.support > 0
        return float(np.average(self.by_class(of), weights=weights.astype(float)))


def _divide(above: float, below: float) -> float:
    return above / below if below else 0.0
