"""What can be compared, by name: a metric of all cases, of one class, or of the positive grouping.

``macro_f1``; ``recall:CLASS`` (or ``sensitivity:CLASS``); ``positive_auc``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from milkreport.errors import ConfigError
from milkreport.evaluation.metrics.confusion import score_classes, score_confusion
from milkreport.evaluation.metrics.definitions import CLASS_DEFINITIONS, DEFINITIONS
from milkreport.evaluation.metrics.synonyms import known_metric, near_metric
from milkreport.evaluation.records.parts import POSITIVE, Definition
from milkreport.tables import first_few

if TYPE_CHECKING:
    from milkreport.evaluation.metrics.measures import Measured

Floats = npt.NDArray[np.float64]

_ACRONYMS = (
    "auc", "auprc", "auroc", "ece", "f1", "iou", "mcc", "npv", "ppv", "pr", "roc",
)  # fmt: skip

#: Has no interval: resampling adds to it.
_WITHOUT = ("ece",)


def check_metric(metric: str) -> str:
    """The metric's name as it is kept; whether there is such a class only the data can tell.

    Raises:
        ConfigError: no such metric, or one without an interval.
    """
    name, _, class_name = metric.partition(":")
    if class_name:
        given, name = name, known_metric(name, of_class=True)
        if name not in CLASS_DEFINITIONS:
            near = near_metric(given, of_class=True)
            known = f"did you mean {near}?" if near else f"known: {', '.join(CLASS_DEFINITIONS)}"
            raise ConfigError(f"unknown metric of a class {given!r}", known)
        return f"{name}:{class_name}"
    given, metric = metric, known_metric(metric, of_class=False)
    if metric in _WITHOUT or metric not in (*DEFINITIONS, *POSITIVE):
        usable = [name for name in DEFINITIONS if name not in _WITHOUT]
        do = f"known: {', '.join(usable)}; {', '.join(POSITIVE)}; or METRIC:CLASS, as in recall:CLASS"
        if near := near_metric(given, of_class=False):
            do = f"did you mean {near}? {do}" if near not in _WITHOUT else do
        raise ConfigError(f"unknown primary metric {given!r}", do)
    return metric


def check_name(metric: str, classes: Sequence[str], positive: Sequence[str]) -> str:
    """The same, of these data.

    Raises:
        ConfigError: see :func:`check_metric`; no such class, or no positive class is named.
    """
    metric = check_metric(metric)
    class_name = metric.partition(":")[2]
    if class_name and class_name not in classes:
        what = f"primary metric {metric!r}: unknown class {class_name!r}"
        raise ConfigError(what, f"classes are: {first_few(classes, 30)}")
    if metric in POSITIVE and not positive:
        raise ConfigError(
            f"{metric} needs positive classes",
            "name them: --positive, or positive in milkreport.toml",
        )
    return metric


def check_margin(margin: float, metric: str) -> float:
    """A difference of *metric* that does not matter.

    Raises:
        ConfigError: not above 0, or so large that it holds every difference.
    """
    most = math.inf if metric == "log_loss" else 1.0
    if not 0 < margin < most:
        limits = "above 0" if math.isinf(most) else "above 0 and below 1"
        raise ConfigError(f"margin {margin:g}", f"for {metric} give a number {limits}")
    return margin


def widest_difference(metric: str) -> float:
    """The largest difference that two values of the metric can have."""
    if metric == "log_loss":
        return math.inf
    return 2.0 if metric in ("brier", "mcc", "kappa") else 1.0


def define_all(primary: str) -> dict[str, Definition]:
    """The definitions that results carry: of every metric, and of a primary one that is not among them."""
    return DEFINITIONS | CLASS_DEFINITIONS | {primary: define(primary)}


def title_of(metric: str) -> str:
    """What a metric is called in a heading, whether or not milkreport knows it."""
    known = DEFINITIONS | CLASS_DEFINITIONS
    if metric in known:
        return known[metric].title
    if metric in POSITIVE or metric.partition(":")[0] in CLASS_DEFINITIONS:
        return define(metric).title
    words = [word.upper() if word in _ACRONYMS else word for word in metric.split("_")]
    title = " ".join(words)
    return title[:1].upper() + title[1:]


def define(metric: str) -> Definition:
    """The definition of a metric by its name; of a class or the positive grouping with its own title."""
    name, _, class_name = metric.partition(":")
    if class_name:
        found = CLASS_DEFINITIONS[name]
        return found.model_copy(
            update={"metric": metric, "title": f"{found.title} of {class_name}"}
        )
    if metric in POSITIVE:
        what = metric.removeprefix("positive_")
        source = CLASS_DEFINITIONS[{"sensitivity": "recall"}.get(what, what)]
        title = {"auc": "ROC AUC"}.get(what, what.capitalize()) + " of the positive classes"
        return source.model_copy(update={"metric": metric, "title": title})
    return DEFINITIONS[metric]


def pick(m: Measured, metric: str, classes: Sequence[str]) -> Floats | None:
    """The value, or the resamples first where there are any; ``None`` where it was not measured."""
    name, _, class_name = metric.partition(":")
    if class_name:
        found = m.classes.get(name)
        return None if found is None else found[..., list(classes).index(class_name)]
    if metric in POSITIVE:
        return m.positive.get(metric.removeprefix("positive_"))
    return m.overall.get(metric)


def score_answers(
    counts: Floats, metric: str, classes: Sequence[str], positive: Sequence[str]
) -> Floats:
    """A metric of hard answers, float64 (...), from counts (..., n_classes, n_classes), rows true."""
    name, _, class_name = metric.partition(":")
    if class_name:
        return score_classes(counts)[name][..., list(classes).index(class_name)]
    if metric not in POSITIVE:
        return score_confusion(counts, only=metric)[metric]
    side = [(label in positive) == (metric == "positive_sensitivity") for label in classes]
    rows = counts[..., side, :]
    return np.asarray(rows[..., side].sum(axis=(-2, -1)) / rows.sum(axis=(-2, -1)))
