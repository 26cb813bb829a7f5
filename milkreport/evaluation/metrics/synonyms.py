"""Other names of a metric, in the literature and in libraries; and the nearest to a misspelt one."""

from __future__ import annotations

import difflib
import re

from milkreport.evaluation.metrics.definitions import CLASS_DEFINITIONS, DEFINITIONS
from milkreport.evaluation.records.parts import POSITIVE

_OF_A_CLASS = {
    "recall": "sensitivity tpr true_positive_rate hit_rate",
    "precision": "ppv positive_predictive_value",
    "specificity": "tnr true_negative_rate selectivity",
    "f1": "f1_score f_score f_measure dice",
    "auc": "auroc roc_auc auc_roc",
    "average_precision": "ap auprc pr_auc auc_pr",
}
_OF_ALL = {
    "accuracy": "acc",
    "balanced_accuracy": "bacc bma balanced_acc balanced_multiclass_accuracy",
    "mcc": "matthews_corrcoef matthews_correlation_coefficient",
    "kappa": "cohen_kappa cohens_kappa",
    "log_loss": "cross_entropy nll",
    "brier": "brier_score",
    "ece": "expected_calibration_error",
    "macro_average_precision": "map mean_average_precision",
}
_BY_CLASS = {other: name for name, others in _OF_A_CLASS.items() for other in others.split()}
_OVERALL = {other: name for name, others in _OF_ALL.items() for other in others.split()}
_AVERAGES = ("macro", "weighted")


def known_metric(name: str, of_class: bool) -> str:
    """The metric that *name* means, by the name that is kept; *name* itself where none is known.

    Args:
        of_class: whether it is of a single class.
    """
    plain = re.sub(r"[\s_-]+", "_", name.strip().lower())
    if of_class:
        found = _BY_CLASS.get(plain, plain)
        return found if found in CLASS_DEFINITIONS else name
    average = next((a for a in _AVERAGES if a in plain.split("_")), "")
    if average:
        what = "_".join(part for part in plain.split("_") if part != average)
        plain = f"{average}_{_BY_CLASS.get(what, what)}"
    found = _OVERALL.get(plain, plain)
    return found if found in DEFINITIONS or found in POSITIVE else name


def near_metric(name: str, of_class: bool) -> str:
    """The metric that a misspelt *name* is nearest to; empty where none is near.

    Another number or another average (``top_5_accuracy``, ``micro_f1``) is another metric, no misspelling.
    """
    synonyms = _BY_CLASS if of_class else _OVERALL
    names = [*(CLASS_DEFINITIONS if of_class else DEFINITIONS), *synonyms]
    for near in difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.75):
        if _marks(near) == _marks(name):
            return synonyms.get(near, near)
    return ""


def _marks(name: str) -> list[str]:
    return re.findall(r"\d+|micro", name.lower())
