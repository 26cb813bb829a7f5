"""Out-of-fold comparison of estimators: scikit-learn's own cross-validation is the referee."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import KFold, ShuffleSplit, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import milkreport
from milkreport.errors import ConfigError, DataError, MilkreportError
from milkreport.evaluation.records.results import Results

X, Y = load_breast_cancer(return_X_y=True)
MODEL = make_pipeline(StandardScaler(), LogisticRegression())


def value(results: Results, arm: str, name: str) -> float | None:
    found = results.arm(arm)
    assert found is not None
    part = found.part("test")
    assert part is not None
    return part.metrics[name].value


@pytest.mark.slow
def test_it_is_cross_validation_and_a_comparison() -> None:
    folds = StratifiedKFold(4, shuffle=True, random_state=3)
    p = cross_val_predict(MODEL, X, Y, cv=folds, method="predict_proba")
    models = {"prior": DummyClassifier(), "logistic": MODEL}
    results = milkreport.from_sklearn(models, X, Y, cv=folds, primary="macro_auc", positive="0")
    assert value(results, "logistic", "macro_auc") == pytest.approx(roc_auc_score(Y, p[:, 1]))
    assert value(results, "logistic", "accuracy") == accuracy_score(Y, p.argmax(axis=1))
    assert results.comparison is not None
    first = results.comparison.differences[0]
    assert (first.arm, first.against, first.metric) == ("logistic", "prior", "macro_auc")
    assert first.low is not None
    assert first.low > 0.4
    assert results.data.positive == ["0"]


def test_without_probabilities_answers_are_scored() -> None:
    folds = KFold(5)
    answers = cross_val_predict(RidgeClassifier(), X, Y, cv=folds)
    results = milkreport.from_sklearn(RidgeClassifier(), X, Y, cv=folds, intervals=False)
    assert value(results, "RidgeClassifier", "accuracy") == accuracy_score(Y, answers)
    part = results.arms[0].part("test")
    assert part is not None
    assert part.kind == "labels"


def test_groups_stay_in_one_fold_and_are_resampled_whole() -> None:
    """Twins: a nearest neighbour knows each case by its copy, unless both are left out."""
    from sklearn.neighbors import KNeighborsClassifier

    rng = np.random.default_rng(1)
    x = np.repeat(rng.normal(size=(60, 4)), 2, axis=0)
    y, twins = np.repeat(rng.integers(0, 2, 60), 2), np.repeat(np.arange(60), 2)
    model = {"nearest": KNeighborsClassifier(1)}
    mixed = milkreport.from_sklearn(model, x, y, cv=10)
    apart = milkreport.from_sklearn(model, pd.DataFrame(x), y, cv=10, groups=twins)
    assert value(mixed, "nearest", "accuracy") > 0.8  # type: ignore[operator]
    assert value(apart, "nearest", "accuracy") < 0.7  # type: ignore[operator]
    part = apart.arms[0].part("test")
    assert part is not None
    assert part.n_groups == 60


def test_a_class_without_a_training_case_has_probability_0() -> None:
    y = np.array([0, 1] * 10 + [2])
    x = np.arange(21.0)[:, None]
    folds = [(np.arange(20), np.array([20])), (np.arange(10, 21), np.arange(10))]
    folds.append((np.r_[0:10, 20], np.arange(10, 20)))
    results = milkreport.from_sklearn(LogisticRegression(), x, y, cv=folds, intervals=False)
    assert results.classes == ["0", "1", "2"]
    part = results.arms[0].part("test")
    assert part is not None
    assert [row.recall for row in part.classes][2] == 0


class Failing(LogisticRegression):
    def fit(self, *_: Any, **__: Any) -> Any:
        raise ValueError("no such luck\non two lines")


@pytest.mark.parametrize(
    ("given", "options", "kind", "said"),
    [
        (("logistic", X, Y), {}, ConfigError, "str, no classifier"),
        ((MODEL, X[:5], Y), {}, DataError, "X has 5 rows"),
        ((MODEL, X, Y), {"cv": 1}, ConfigError, "no folds"),
        ((MODEL, X, Y), {"cv": ShuffleSplit(3, random_state=0)}, ConfigError, "tested once"),
        ((Failing(), X, Y), {}, DataError, "Failing failed: ValueError: no such luck on two"),
        ((MODEL, X, Y), {"metadata": "m.csv"}, ConfigError, "groups=..."),
    ],
)
def test_what_cannot_be_done_gets_one_line(
    given: tuple[Any, ...], options: dict[str, Any], kind: type[MilkreportError], said: str
) -> None:
    with pytest.raises(kind, match=said) as caught:
        milkreport.from_sklearn(*given, **options)
    assert "\n" not in str(caught.value)
