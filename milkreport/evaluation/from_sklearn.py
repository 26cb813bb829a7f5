"""Scikit-learn's estimators compared by their out-of-fold predictions, all on the same folds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from milkreport.errors import ConfigError, DataError
from milkreport.evaluation.evaluate import evaluate
from milkreport.evaluation.records.results import Results

Positions = npt.NDArray[np.int64]


def from_sklearn(
    estimators: Any,
    X: Any,
    y: Any,
    *,
    cv: Any = 5,
    groups: Any = None,
    subgroups: Any = None,
    seed: int = 0,
    **options: Any,
) -> Results:
    """Train estimators on the same folds and compare their predictions of the cases left out.

    Args:
        estimators: one classifier, or a mapping of names to classifiers. Each is cloned for every fold. Those
            without ``predict_proba`` are scored by their answers alone.
        X: features, of n rows (an array, a data frame or a sparse matrix). y: labels (n,).
        cv: the number of folds (stratified, shuffled by *seed*, groups kept whole), a splitter of
            scikit-learn, or pairs of positions (train, test); every case must be tested once.
        groups: (n,), equal for cases that belong together: kept in one fold, and resampled together.
        subgroups: see :func:`milkreport.evaluate`, as are *options*: ``primary``, ``data``...

    Raises:
        ConfigError: no classifier, or folds that do not test every case once. DataError: an estimator
            failed, or arrays do not fit.
    """
    named = (
        estimators if isinstance(estimators, Mapping) else {type(estimators).__name__: estimators}
    )
    for name, estimator in named.items():
        if not hasattr(estimator, "fit") or not hasattr(estimator, "predict"):
            what = f"{name} is {type(estimator).__name__}, no classifier"
            raise ConfigError(what, "give what has fit and predict", "estimators")
    labels = np.asarray(y)
    if labels.ndim != 1 or np.shape(X)[0] != len(labels):
        raise DataError(
            f"X has {np.shape(X)[0]:,} rows, and y {labels.shape}", "give a label a row"
        )
    folds = _make_folds(cv, X, labels, groups, seed)
    classes = np.unique(labels)
    found = {
        str(name): _predict(str(name), estimator, X, labels, classes, folds)
        for name, estimator in named.items()
    }
    if subgroups is not None:
        options["subgroups"] = subgroups
    return evaluate(found, labels, classes=classes.tolist(), groups=groups, **options)


def _make_folds(
    cv: Any, X: Any, labels: Any, groups: Any, seed: int
) -> list[tuple[Positions, Positions]]:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    try:
        if isinstance(cv, int):
            kind = StratifiedKFold if groups is None else StratifiedGroupKFold
            cv = kind(cv, shuffle=True, random_state=seed)
        pairs: Iterable[Any] = cv.split(X, labels, groups) if hasattr(cv, "split") else cv
        folds = [(np.asarray(train), np.asarray(test)) for train, test in pairs]
    except (TypeError, ValueError) as error:
        raise ConfigError(f"no folds: {error}", "fewer folds, or another cv", "cv") from error
    tested = np.bincount(np.concatenate([test for _, test in folds]), minlength=len(labels))
    if len(tested) > len(labels) or (tested != 1).any():
        case = int(np.flatnonzero(tested != 1)[0])
        what = f"case {case} is tested {tested[case]} times"
        raise ConfigError(what, "every case must be tested once, as by KFold", "cv")
    return folds


def _predict(
    name: str,
    estimator: Any,
    X: Any,
    labels: Any,
    classes: Any,
    folds: Sequence[tuple[Positions, Positions]],
) -> Any:
    """Probabilities (n, n_classes) of the cases left out, or answers (n,) where there are none."""
    from sklearn.base import clone

    has_probabilities = hasattr(estimator, "predict_proba")
    values = np.zeros((len(labels), len(classes)))
    for train, test in folds:
        try:
            model = clone(estimator).fit(_rows(X, train), labels[train])
            # A class without a training case has no column: its probability is 0.
            if has_probabilities:
                known = np.searchsorted(classes, model.classes_)
                values[np.ix_(test, known)] = model.predict_proba(_rows(X, test))
            else:
                values[test, np.searchsorted(classes, model.predict(_rows(X, test)))] = 1
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            what = f"{name} failed: {type(error).__name__}: {reason}"
            raise DataError(what, "mend the estimator or its data", "from_sklearn") from error
    return values


def _rows(X: Any, positions: Positions) -> Any:
    return X.iloc[positions] if hasattr(X, "iloc") else X[positions]
