"""Every metric with its definition: decision rule, averaging, what an empty denominator gives.

Two values are comparable only where their definitions agree. The choice follows *Metrics reloaded*
(Maier-Hein et al., Nature Methods 2024) for image-level classification with imbalanced classes;
``docs/metrics.md`` says which metric answers which question.
"""

from __future__ import annotations

from typing import Literal

from milkreport.evaluation.records.parts import Definition, Needs

#: The same as accuracy and balanced accuracy, by definition: shown once, and left to the CSV.
REPEATED = ("weighted_recall", "macro_recall")

#: What tables and curves show first; a suite's primary metric is one of them.
HEADLINE = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1")

_MACRO = "macro over the classes with support"
_WEIGHTED = "weighted by support"
_UNDEFINED = "undefined, left out of the average"
_F1 = "F1 = 2TP/(2TP+FP+FN); a class never predicted has F1 0"
_PRECISION = "a class never predicted counts 0 in the average, and is undefined by itself"
_NONE = "none"
_CLASS = "one class against the others"


def _define(
    metric: str,
    title: str,
    question: str,
    averaging: str = _NONE,
    zero_division: str = _NONE,
    *,
    needs: Needs = "labels",
    decision: str = "",
    per_class: bool = False,
    better: Literal["higher", "lower"] = "higher",
) -> Definition:
    return Definition(
        metric=metric,
        title=title,
        decision=decision
        or {"labels": "argmax", "scores": "ranks", "probabilities": "probabilities"}[needs],
        averaging=averaging,
        zero_division=zero_division,
        question=question,
        needs=needs,
        per_class=per_class,
        better=better,
    )


_LABELS = (
    _define("accuracy", "Accuracy", "How many of the cases as they come are right?"),
    _define(
        "balanced_accuracy",
        "Balanced accuracy",
        "How many are right if every class were equally frequent?",
        f"recall, {_MACRO}",
        _UNDEFINED,
    ),
    _define(
        "macro_precision",
        "Macro precision",
        "How far can an answer be trusted, each class counting alike?",
        f"precision, {_MACRO}",
        _PRECISION,
    ),
    _define(
        "macro_recall",
        "Macro recall",
        "The same as balanced accuracy.",
        f"recall, {_MACRO}",
        _UNDEFINED,
    ),
    _define(
        "macro_specificity",
        "Macro specificity",
        "How rarely is a class predicted for cases of other classes, each class counting the same?",
        f"specificity, {_MACRO}",
        _UNDEFINED,
    ),
    _define(
        "macro_f1",
        "Macro F1",
        "Are classes found and not over-called, rare ones counting like frequent ones?",
        f"F1, {_MACRO}",
        _F1,
    ),
    _define(
        "weighted_precision",
        "Weighted precision",
        "How far can an answer be trusted, classes counting by their cases?",
        f"precision, {_WEIGHTED}",
        _PRECISION,
    ),
    _define(
        "weighted_recall",
        "Weighted recall",
        "The same as accuracy.",
        f"recall, {_WEIGHTED}",
        _UNDEFINED,
    ),
    _define(
        "weighted_specificity",
        "Weighted specificity",
        "How rarely is a class predicted for cases of other classes, classes counting by their cases?",
        f"specificity, {_WEIGHTED}",
        _UNDEFINED,
    ),
    _define(
        "weighted_f1",
        "Weighted F1",
        "Are classes found and not over-called, frequent ones counting more?",
        f"F1, {_WEIGHTED}",
        _F1,
    ),
    _define(
        "mcc",
        "Matthews correlation",
        "How far do answers and truth go together, beyond the frequencies of both?",
        "multi-class (Gorodkin, 2004)",
        "undefined where all cases, or all answers, are of one class",
    ),
    _define(
        "kappa",
        "Cohen's kappa",
        "How far do answers and truth agree beyond chance?",
        "unweighted",
        "undefined where chance agreement is complete",
    ),
)

_SCORES = (
    _define(
        "top_2_accuracy",
        "Top-2 accuracy",
        "Is the truth among the two likeliest classes?",
        needs="scores",
    ),
    _define(
        "top_3_accuracy",
        "Top-3 accuracy",
        "Is the truth among the three likeliest classes?",
        needs="scores",
    ),
    _define(
        "macro_auc",
        "Macro AUC",
        "How well are the cases of a class ranked above the others, whatever the threshold?",
        "ROC AUC one against rest, macro over the classes with cases and non-cases",
        _UNDEFINED,
        needs="scores",
    ),
    _define(
        "macro_average_precision",
        "Macro average precision",
        "How pure are the top ranks of each class? Falls with the class's frequency.",
        "average precision one against rest, macro over the classes with cases and non-cases",
        _UNDEFINED,
        needs="scores",
    ),
)

_PROBABILITIES = (
    _define(
        "log_loss",
        "Log loss",
        "How good are the probabilities as a whole (proper score, punishes sure errors)?",
        "mean over cases",
        "probabilities below 2.2e-16 count as that",
        needs="probabilities",
        better="lower",
    ),
    _define(
        "brier",
        "Brier score",
        "How good are the probabilities as a whole (proper score, 0 to 2)?",
        "sum over classes of squared differences, mean over cases",
        needs="probabilities",
        better="lower",
    ),
    _define(
        "ece",
        "Expected calibration error",
        "Does the largest probability say how often the answer is right?",
        "top label, 15 bins of equal width, weighted by cases",
        "an empty bin counts nothing",
        needs="probabilities",
        better="lower",
    ),
)

_PER_CLASS = (
    _define(
        "precision",
        "Precision",
        "How often is an answer of this class right?",
        _CLASS,
        "undefined without an answer of the class",
        per_class=True,
    ),
    _define(
        "recall",
        "Recall",
        "How many of this class are found? (sensitivity)",
        _CLASS,
        "undefined without a case of the class",
        per_class=True,
    ),
    _define(
        "specificity",
        "Specificity",
        "How many of the others are not answered as this class?",
        _CLASS,
        "undefined if all cases are of the class",
        per_class=True,
    ),
    _define(
        "f1",
        "F1",
        "Is this class found and not over-called?",
        _CLASS,
        "undefined without a case and an answer of the class",
        per_class=True,
    ),
    _define(
        "auc",
        "ROC AUC",
        "How well are its cases ranked above the others?",
        _CLASS,
        "undefined without cases or non-cases",
        needs="scores",
        per_class=True,
    ),
    _define(
        "average_precision",
        "Average precision",
        "How pure are the top ranks of this class?",
        _CLASS,
        "undefined without cases or non-cases",
        needs="scores",
        per_class=True,
    ),
)

DEFINITIONS: dict[str, Definition] = {d.metric: d for d in (*_LABELS, *_SCORES, *_PROBABILITIES)}
CLASS_DEFINITIONS: dict[str, Definition] = {d.metric: d for d in _PER_CLASS}

#: Why a metric that needs more than it got is not computed.
NOT_COMPUTED = {
    "scores": "NOT COMPUTED: hard labels hold no ranks",
    "probabilities": "NOT COMPUTED: the values are no probabilities that sum to 1",
}


def computable(kind: Needs) -> list[str]:
    """Names of the overall metrics that predictions of this kind allow."""
    order: tuple[Needs, ...] = ("labels", "scores", "probabilities")
    allowed = order[: order.index(kind) + 1]
    return [name for name, d in DEFINITIONS.items() if d.needs in allowed]


def limits_of(metric: str) -> tuple[float, float]:
    """The least and the greatest value that a metric can have; infinite where there is none."""
    if metric in ("mcc", "kappa"):
        return -1.0, 1.0
    return 0.0, {"log_loss": float("inf"), "brier": 2.0}.get(metric, 1.0)
