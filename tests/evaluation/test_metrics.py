"""Metrics against scikit-learn and against the matrices that the paper prints."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    cohen_kappa_score,
    f1_score,
    matthews_corrcoef,
    multilabel_confusion_matrix,
    precision_recall_fscore_support,
    recall_score,
)

from milkreport.checks.audit.matrices_check import audit_matrices
from milkreport.checks.reference import load_reference
from milkreport.evaluation.metrics.confusion import confusion_counts, score_confusion, score_labels
from milkreport.evaluation.metrics.named import title_of

PAPER = {
    # arm: accuracy, macro F1, weighted F1, recomputed from the printed matrices
    "baseline": (0.5886, 0.1250, 0.4529),
    "weighted_loss": (0.2469, 0.1013, 0.2269),
    "sampler": (0.5829, 0.1632, 0.4930),
}


@st.composite
def labelled(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    n_classes = draw(st.integers(2, 8))
    n = draw(st.integers(1, 60))
    label = st.integers(0, n_classes - 1)
    truth = draw(st.lists(label, min_size=n, max_size=n))
    predicted = draw(st.lists(label, min_size=n, max_size=n))
    return np.array(truth), np.array(predicted), n_classes


@given(labelled())
@settings(max_examples=200, deadline=None)
def test_points_equal_scikit_learn_and_the_vectorised_form(case) -> None:
    truth, predicted, n_classes = case
    scores = score_labels(truth, predicted, n_classes)
    present = np.unique(truth)
    arguments = {"labels": present, "average": "macro", "zero_division": 0}
    assert scores.metrics["accuracy"] == accuracy_score(truth, predicted)
    assert scores.metrics["macro_f1"] == pytest.approx(f1_score(truth, predicted, **arguments))
    assert scores.metrics["balanced_accuracy"] == pytest.approx(
        recall_score(truth, predicted, **arguments)
    )
    weighted = arguments | {"average": "weighted"}
    assert scores.metrics["weighted_f1"] == pytest.approx(f1_score(truth, predicted, **weighted))
    counts = confusion_counts(truth, predicted, n_classes)
    assert (counts == scores.confusion).all()
    for name, value in score_confusion(counts).items():
        expected = scores.metrics[name]
        assert math.isnan(value) if expected is None else value == pytest.approx(expected)


@pytest.mark.slow
@given(labelled())
@settings(max_examples=200, deadline=None)
def test_every_average_and_class_equals_scikit_learn(case) -> None:
    truth, predicted, n_classes = case
    scores = score_labels(truth, predicted, n_classes)
    present = np.unique(truth)
    for kind in ("macro", "weighted"):
        found = precision_recall_fscore_support(
            truth, predicted, labels=present, average=kind, zero_division=0
        )
        names = (f"{kind}_precision", f"{kind}_recall", f"{kind}_f1")
        for name, expected in zip(names, found[:3], strict=True):
            assert scores.metrics[name] == pytest.approx(expected)
    by_class = precision_recall_fscore_support(
        truth, predicted, labels=range(n_classes), zero_division=np.nan
    )
    for name, expected in zip(("precision", "recall", "f1"), by_class[:3], strict=True):
        assert scores.classes[name] == pytest.approx(expected, nan_ok=True)
    tables = multilabel_confusion_matrix(truth, predicted, labels=range(n_classes))
    for c, ((tn, fp), _) in enumerate(tables):
        expected = tn / (tn + fp) if tn + fp else math.nan
        assert scores.classes["specificity"][c] == pytest.approx(expected, nan_ok=True)
    if (
        len(present) > 1 and len(np.unique(predicted)) > 1
    ):  # else undefined, where scikit-learn says 0
        assert scores.metrics["mcc"] == pytest.approx(matthews_corrcoef(truth, predicted))
        assert scores.metrics["kappa"] == pytest.approx(cohen_kappa_score(truth, predicted))
    else:
        assert scores.metrics["mcc"] is None


def test_silence_earns_no_precision() -> None:
    """A class never predicted is undefined by itself and counts 0 in the average."""
    silent = score_labels(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 0]), 2)
    assert np.isnan(silent.classes["precision"][1])
    assert silent.metrics["macro_precision"] == 0.25


def test_many_matrices_at_once_equal_one_by_one() -> None:
    counts = np.random.default_rng(0).integers(0, 5, (7, 3, 4, 4))
    together = score_confusion(counts)
    for name, values in together.items():
        assert values.shape == (7, 3)
        assert values[2, 1] == pytest.approx(score_confusion(counts[2, 1])[name], nan_ok=True)


@pytest.mark.parametrize("arm", PAPER)
def test_the_papers_matrices_give_its_figures(arm: str) -> None:
    rows = audit_matrices(load_reference("paper"))[0][arm, "test"].counts
    truth = np.repeat(np.arange(11), rows.sum(axis=1))
    predicted = np.concatenate([np.repeat(np.arange(11), row) for row in rows])
    metrics = score_labels(truth, predicted, 11).metrics
    found = tuple(round(metrics[k], 4) for k in ("accuracy", "macro_f1", "weighted_f1"))
    assert found == PAPER[arm]


def test_undefined_is_none_and_never_zero_or_one() -> None:
    # Class 2 has neither case nor prediction, class 1 is never predicted.
    scores = score_labels(np.array([0, 0, 1]), np.array([0, 0, 0]), 3)
    assert np.isnan(scores.classes["precision"][1])
    assert scores.classes["f1"][1] == 0
    assert np.isnan([scores.classes[name][2] for name in ("precision", "recall", "f1")]).all()
    assert scores.metrics["balanced_accuracy"] == 0.5  # two classes, not three


@pytest.mark.parametrize(("truth", "predicted"), [([], []), ([3], [0]), ([0], [-1])])
def test_impossible_labels_are_refused(truth: list[int], predicted: list[int]) -> None:
    with pytest.raises(ValueError, match="class"):
        score_labels(np.array(truth, int), np.array(predicted, int), 3)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("mcc", "Matthews correlation"),
        ("macro_auc", "Macro AUC"),
        ("ece", "Expected calibration error"),
        ("macro_f1", "Macro F1"),
        ("auc", "ROC AUC"),
        ("recall:MEL", "Recall of MEL"),
        ("positive_auc", "ROC AUC of the positive classes"),
        ("pr_auc", "PR AUC"),  # a publication's own
        ("hamming_loss", "Hamming loss"),
        ("top_2_accuracy", "Top-2 accuracy"),
    ],
)
def test_a_metric_has_one_title_everywhere(name: str, title: str) -> None:
    assert title_of(name) == title
