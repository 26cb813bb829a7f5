"""What can be compared, by name: a metric of all cases, of one class, or of the positive grouping.

``macro_f1``; ``recall:MEL`` (or ``sensitivity:MEL``); ``positive_auc``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from milkreport.errors import ConfigError
from milkreport.evaluation.definitions import CLASS_DEFINITIONS, DEFINITIONS
from milkreport.evaluation.measures import Measured
from milkreport.evaluation.part_record import Definition
from milkreport.tables import first_few

Floats = npt.NDArray[np.float64]

POSITIVE = ("positive_auc", "positive_sensitivity", "positive_specificity")
#: Has no interval: resampling adds to it.
_WITHOUT = ("ece",)


def check_name(metric: str, classes: Sequence[str], positive: Sequence[str]) -> str:
    """The metric's name as it is kept.

    Raises:
        ConfigError: no such metric or class, one without an interval, or no positive class is named.
    """
    name, _, class_name = metric.partition(":")
    if class_name:
        name = {"sensitivity": "recall"}.get(name, name)
        if name not in CLASS_DEFINITIONS:
            known = ", ".join(CLASS_DEFINITIONS)
            raise ConfigError(f"unknown metric of a class {name!r}", f"known: {known}")
        if class_name not in classes:
            what = f"primary metric {metric!r}: unknown class {class_name!r}"
            raise ConfigError(what, f"classes are: {first_few(classes, 30)}")
        return f"{name}:{class_name}"
    if metric in POSITIVE:
        if not positive:
            raise ConfigError(f"{metric} needs positive classes", "name them by --positive")
        return metric
    if metric not in DEFINITIONS or metric in _WITHOUT:
        usable = [name for name in DEFINITIONS if name not in _WITHOUT]
        do = f"known: {', '.join(usable)}; {', '.join(POSITIVE)}; or METRIC:CLASS, as in recall:MEL"
        raise ConfigError(f"unknown primary metric {metric!r}", do)
    return metric


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
