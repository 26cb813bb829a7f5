"""Classical classifiers of scikit-learn on the columns of a case, saved by skops: no pickle.

``logistic_regression``, ``svc`` and ``naive_bayes`` are the paper's earlier work on the metadata;
``gradient_boosting`` is the usual strong choice for tables. Every column is standardised on the training
part.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import skops.io
from scipy.special import log_softmax
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from milkreport.errors import DataError
from milkreport.limits import HARMLESS, MAX_RATIO
from milkreport.streams import stream_seed
from milkreport.suite.models import Classifier

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

#: What a saved classifier holds beside the types that skops trusts by itself.
_TRUSTED = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]
_LEAST = np.finfo(np.float32).tiny
_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Fitted:
    """A fitted classifier, and what was chosen in inner folds: setting to value, and the score it had
    there.
    """

    pipeline: Pipeline
    chosen: dict[str, float]


def fit_classifier(
    settings: Classifier,
    columns: Floats,
    embedded: Floats,
    labels: Ints,
    groups: Ints,
    weights: npt.NDArray[np.float64],
    seed: int,
) -> Fitted:
    """Fit on the training part; where there are candidates, the best in inner folds of it is taken.

    Args:
        columns: metadata, float32 (n_train, n_columns). embedded: features of images, (n_train, n_features);
            either may have no columns. labels: int64 (n_train,). groups: whose cases stay in one inner fold,
            int64 (n_train,). weights: of each case, (n_train,).
    """
    random = stream_seed(seed, settings.name) % 2**32  # what scikit-learn takes
    joined = _join(columns, embedded)
    pipeline = _pipeline(settings, columns.shape[1], embedded.shape[1], len(labels), random)
    grid: dict[str, list[Any]] = {}
    if settings.choose_c and settings.name in ("logistic_regression", "svc"):
        grid["answer__C"] = settings.choose_c
    if settings.choose_components and "reduce" in pipeline.named_steps:
        grid["reduce__images__n_components"] = settings.choose_components
    if not grid:
        return Fitted(pipeline.fit(joined, labels, answer__sample_weight=weights), {})
    folds = StratifiedGroupKFold(settings.inner_folds, shuffle=True, random_state=random)
    search = GridSearchCV(pipeline, grid, scoring="f1_macro", cv=folds, error_score="raise")
    with warnings.catch_warnings():
        # Classes of fewer cases than folds are in some of them only.
        warnings.filterwarnings("ignore", message="The least populated class")
        search.fit(joined, labels, groups=groups, answer__sample_weight=weights)
    names = {"answer__C": "chosen C", "reduce__images__n_components": "chosen components"}
    chosen = {names[key]: float(value) for key, value in search.best_params_.items()}
    return Fitted(search.best_estimator_, chosen | {"inner macro F1": float(search.best_score_)})


def _pipeline(settings: Classifier, n: int, width: int, n_cases: int, random: int) -> Pipeline:
    steps: list[tuple[str, Any]] = []
    largest = max([settings.components, *settings.choose_components])
    if 0 < largest < min(width, n_cases * (settings.inner_folds - 1) // settings.inner_folds):
        reduce = PCA(settings.components or largest, random_state=random)
        parts = [
            ("columns", "passthrough", [*range(n)]),
            ("images", reduce, [*range(n, n + width)]),
        ]
        steps.append(("reduce", ColumnTransformer(parts)))
    return Pipeline([*steps, ("scale", StandardScaler()), ("answer", _unfitted(settings, random))])


def _unfitted(settings: Classifier, random: int) -> Any:
    if settings.name == "logistic_regression":
        return LogisticRegression(C=settings.c, max_iter=5000)
    if settings.name == "svc":
        return SVC(C=settings.c, break_ties=True)
    if settings.name == "naive_bayes":
        return GaussianNB()
    # Without its own validation part: cases are held back where the suite says so and nowhere else.
    return HistGradientBoostingClassifier(
        max_iter=settings.trees, early_stopping=False, random_state=random
    )


def score_classifier(
    pipeline: Pipeline, columns: Floats, embedded: Floats, n_classes: int
) -> Floats:
    """Log probabilities: float32 (n, n_classes).

    An SVC has none: the softmax of its decision values stands for them, whose largest is its answer and whose
    size is no calibrated probability. A class that was not trained on has the least float32 above 0.
    """
    joined = _join(columns, embedded)
    answer = pipeline.named_steps["answer"]
    if isinstance(answer, SVC):
        decisions = pipeline.decision_function(joined)
        if decisions.ndim == 1:  # two classes
            decisions = np.stack([-decisions, decisions], axis=1) / 2
        found = log_softmax(decisions, axis=1)
    else:
        found = np.log(np.maximum(pipeline.predict_proba(joined), _LEAST))
    logs = np.full((len(joined), n_classes), np.log(_LEAST), np.float32)
    logs[:, answer.classes_] = found
    return logs


def dump_classifier(pipeline: Pipeline) -> bytes:
    """The classifier as a skops file whose bytes depend on what was learned alone.

    skops names members by memory addresses and dates them; both are replaced.
    """
    numbers: dict[str, str] = {}

    def renumber(found: re.Match[str]) -> str:
        number = numbers.setdefault(found[2], str(len(numbers)))
        return found[1] + number + found[3]

    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(pipeline))) as made:
        schema = made.read("schema.json").decode()
        schema = re.sub(r'("__id__": )(\d+)()', renumber, schema)
        schema = re.sub(r'("file": ")(\d+)(\.\w+")', renumber, schema)
        members = {}
        for name in made.namelist():
            if name != "schema.json":
                stem, dot, suffix = name.partition(".")
                members[numbers[stem] + dot + suffix] = made.read(name)
    members["schema.json"] = schema.encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as clean:
        for name in sorted(members):
            clean.writestr(zipfile.ZipInfo(name, _DATE), members[name], zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def load_classifier(data: bytes, where: str) -> Pipeline:
    """Read what :func:`dump_classifier` wrote; types that a classifier of ours does not hold are refused.

    Raises:
        DataError: damaged, or something else.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            size = sum(member.file_size for member in packed.infolist())
        if size > max(HARMLESS, MAX_RATIO * len(data)):
            what = f"{len(data):,} bytes that become {size:,}"
            raise DataError(what, "it is not loaded", where)
        unknown = set(skops.io.get_untrusted_types(data=data)) - set(_TRUSTED)
        if unknown:
            what = f"holds {', '.join(sorted(unknown))[:200]}, which no classifier of milkreport's does"
            raise DataError(what, "it is not loaded", where)
        pipeline = skops.io.loads(data, trusted=_TRUSTED)
    except DataError:
        raise
    except Exception as error:
        what = f"not a classifier of milkreport's ({type(error).__name__}: {str(error)[:120]})"
        raise DataError(what, "get the file again", where) from error
    if not isinstance(pipeline, Pipeline) or "answer" not in pipeline.named_steps:
        raise DataError("not a classifier of milkreport's", "get the file again", where)
    _refuse_forged_trees(pipeline.named_steps["answer"], where)
    return pipeline


def _refuse_forged_trees(answer: Any, where: str) -> None:
    """Raise a DataError for trees that no fit makes: scikit-learn follows them unchecked, in circles and
    beyond the end of an array.
    """
    for predictor in chain.from_iterable(getattr(answer, "_predictors", ())):
        nodes = predictor.nodes
        inner = np.flatnonzero(nodes["is_leaf"] == 0)
        split = nodes[inner]
        sound = len(nodes) > 0 and not split["is_categorical"].any()
        for side in ("left", "right"):
            # A fit writes a node before those below it.
            sound = sound and bool(((split[side] > inner) & (split[side] < len(nodes))).all())
        n = answer.n_features_in_
        if not sound or not ((split["feature_idx"] >= 0) & (split["feature_idx"] < n)).all():
            raise DataError("a tree that was not fitted", "get the file again", where)


def count_numbers(pipeline: Pipeline) -> int:
    """How many numbers of arrays were learned, those of trees' nodes too: the size of the model."""
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(pipeline))) as made:
        arrays = [np.load(io.BytesIO(made.read(n))) for n in made.namelist() if n.endswith(".npy")]
    return int(sum(array.size for array in arrays))


def _join(columns: Floats, embedded: Floats) -> npt.NDArray[np.float64]:
    return np.concatenate([columns, embedded], axis=1).astype(np.float64)
