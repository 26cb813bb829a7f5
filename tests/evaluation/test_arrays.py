"""Arrays instead of tables: the same numbers as scikit-learn's, and as the same predictions with ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.preprocessing import scale

import milkreport
from milkreport.errors import ConfigError, DataError, MilkreportError
from milkreport.evaluation.records.parts import PartResult
from milkreport.evaluation.records.results import Results


@pytest.fixture(scope="module")
def cancer() -> tuple[np.ndarray, np.ndarray]:
    """Out-of-fold probabilities (569, 2) and labels of scikit-learn's breast cancer data; 1 is benign."""
    x, y = load_breast_cancer(return_X_y=True)
    model = LogisticRegression(max_iter=500)
    return cross_val_predict(model, scale(x), y, cv=5, method="predict_proba"), y


@pytest.fixture(scope="module")
def iris() -> tuple[np.ndarray, np.ndarray]:
    x, y = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500)
    return cross_val_predict(model, scale(x), y, cv=5, method="predict_proba"), y


def score(*given: Any, **options: Any) -> PartResult:
    return first(milkreport.evaluate(*given, **{"intervals": False} | options))


def first(results: Results) -> PartResult:
    part = results.arms[0].part("test")
    assert part is not None
    return part


def value(part: PartResult, name: str) -> float:
    found = part.metrics[name].value
    assert found is not None
    return found


def test_ten_numbers_are_those_of_scikit_learn(cancer: tuple[np.ndarray, np.ndarray]) -> None:
    p, y = cancer
    part = score(p, y, positive="0")
    answers = p.argmax(axis=1)
    expected = {
        "accuracy": metrics.accuracy_score(y, answers),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, answers),
        "macro_f1": metrics.f1_score(y, answers, average="macro"),
        "weighted_f1": metrics.f1_score(y, answers, average="weighted"),
        "mcc": metrics.matthews_corrcoef(y, answers),
        "kappa": metrics.cohen_kappa_score(y, answers),
        "macro_auc": metrics.roc_auc_score(y, p[:, 1]),
        "log_loss": metrics.log_loss(y, p),
        "brier": 2 * metrics.brier_score_loss(y, p[:, 1]),
    }
    for name, known in expected.items():
        assert value(part, name) == pytest.approx(known, abs=1e-12), name
    assert part.positive is not None
    assert part.positive.sensitivity.value == pytest.approx(
        metrics.recall_score(y, answers, pos_label=0)
    )


def test_one_probability_is_that_of_the_second_class(cancer: tuple[np.ndarray, np.ndarray]) -> None:
    p, y = cancer
    both = score(p, y)
    for given in (p[:, 1], p[:, [1]], p[:, 1].tolist(), pd.Series(p[:, 1])):
        assert value(score(given, y), "macro_auc") == pytest.approx(value(both, "macro_auc"))
    assert value(score(p[:, 0], y), "macro_auc") == pytest.approx(1 - value(both, "macro_auc"))


def test_labels_are_names_or_positions(iris: tuple[np.ndarray, np.ndarray]) -> None:
    p, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])
    known = value(score(p, y), "accuracy")
    assert value(score(p, names[y]), "accuracy") == known  # sorted, as scikit-learn has them
    assert value(score(p, y, classes=list(names)), "accuracy") == known
    assert value(score(p, y.astype(float)), "accuracy") == known
    turned = p[:, ::-1]
    assert value(score(turned, names[y], classes=names[::-1]), "accuracy") == known
    assert value(score(pd.DataFrame(turned, columns=names[::-1]), names[y]), "accuracy") == known
    assert value(score(turned, names[y]), "accuracy") < known  # negative control


def test_hard_answers_are_told_from_probabilities(iris: tuple[np.ndarray, np.ndarray]) -> None:
    p, y = iris
    part = score(p.argmax(axis=1), y)
    assert part.kind == "labels"
    assert value(part, "accuracy") == pytest.approx((p.argmax(axis=1) == y).mean())
    assert score(p, y).kind == "probabilities"


def test_arrays_and_tables_give_the_same_results(iris: tuple[np.ndarray, np.ndarray]) -> None:
    p, y = iris
    groups, sex = np.arange(150) // 3, np.where(np.arange(150) % 2, "f", "m")
    ids = [f"{i:03d}" for i in range(150)]
    table = pd.DataFrame(p, columns=["0", "1", "2"]).assign(case_id=ids)
    truth = pd.DataFrame({"case_id": ids, "label": y.astype(str)})
    facts = pd.DataFrame({"case_id": ids, "group": groups, "sex": sex})
    ours = first(milkreport.evaluate(p, y, groups=groups, subgroups={"sex": sex}))
    theirs = first(milkreport.evaluate(table, truth, metadata=facts, group="group", slices="sex"))
    assert ours.metrics == theirs.metrics
    assert ours.slices == theirs.slices
    assert [s.value for s in ours.slices] == ["f", "m"]
    alone = first(milkreport.evaluate(p, y))
    assert alone.metrics["accuracy"].low != ours.metrics["accuracy"].low  # groups count


def test_several_models_and_seeds(iris: tuple[np.ndarray, np.ndarray]) -> None:
    p, y = iris
    other = np.full_like(p, 1 / 3)
    given = {"flat": other, "model": [p, p**2 / (p**2).sum(axis=1, keepdims=True)]}
    results = milkreport.evaluate(given, y, intervals=False)
    assert [(arm.name, len(arm.cells)) for arm in results.arms] == [("flat", 1), ("model", 2)]
    stacked = milkreport.evaluate({"flat": other, "model": np.stack(given["model"])}, y)
    assert [len(arm.cells) for arm in stacked.arms] == [1, 2]
    frame = stacked.to_frame("differences")
    gained = frame[frame["metric"] == "accuracy"]["value"].item()
    assert gained == pytest.approx((p.argmax(axis=1) == y).mean() - 1 / 3)


P, Y = np.full((4, 2), 0.5), np.array([0, 1, 0, 1])
SERIES = pd.Series(Y, index=[1, 2, 3, 4])


@pytest.mark.parametrize(
    ("given", "options", "kind", "said"),
    [
        ((P[:3], Y), {}, DataError, "shape 3 x 2, and 4 labels"),
        ((P, Y), {"classes": ["a", "b", "c"]}, DataError, "2 columns, and 3 classes"),
        ((P, ["x", "y", "z", "x"]), {}, DataError, "2 columns of probabilities, and 3 labels"),
        ((P, ["x", "y", "x", "q"]), {"classes": ["x", "y"]}, DataError, "no class: q"),
        ((P, [0, 1, np.nan, 1]), {}, DataError, r"y_true\[2\]: a case without a label"),
        ((P * 3, Y), {}, DataError, "1.5 is no probability"),
        ((P, Y), {"groups": [1, 2]}, DataError, "and 4 labels"),
        ((P, Y), {"metadata": "m.csv"}, ConfigError, "groups=... and subgroups=..."),
        ((pd.DataFrame(P), SERIES), {}, DataError, "index is not that of y_true"),
        ((np.full((3, 1), 0.5), [0, 1, 2]), {}, DataError, "one probability per case, and 3"),
        (({}, Y), {}, ConfigError, "no predictions"),
        ((P, []), {}, DataError, "not one label per case"),
        (("p.csv", "t.csv"), {"groups": [1]}, ConfigError, "belong to arrays"),
        ((P, Y), {"positive": "MEL"}, ConfigError, "MEL"),
        ((P, Y), {"rules": "isik"}, ConfigError, "isik"),
    ],
)
def test_what_does_not_fit_gets_one_line(
    given: tuple[Any, Any], options: dict[str, Any], kind: type[MilkreportError], said: str
) -> None:
    with pytest.raises(kind, match=said) as caught:
        milkreport.evaluate(*given, **options)
    assert "\n" not in str(caught.value)


def test_results_show_their_primary_metric_and_become_tables(
    iris: tuple[np.ndarray, np.ndarray],
) -> None:
    p, y = iris
    results = milkreport.evaluate({"a": p, "b": p.argmax(axis=1)}, y)
    estimate = first(results).metrics["macro_f1"]
    lines = repr(results).splitlines()
    assert len(lines) == 3
    assert f"a: macro_f1 {estimate.value:.3f} ({estimate.low:.3f} to " in lines[1]
    frame = results.to_frame()
    row = frame[(frame["arm"] == "a") & (frame["metric"] == "macro_f1")].iloc[0]
    assert (row["value"], row["low"], row["high"]) == (estimate.value, estimate.low, estimate.high)
    of_classes = results.to_frame("classes")
    recall = of_classes[(of_classes["arm"] == "a") & (of_classes["metric"] == "recall")]
    assert recall["value"].tolist() == pytest.approx(
        metrics.recall_score(y, p.argmax(axis=1), average=None)
    )
    with pytest.raises(ConfigError, match="metrics, classes or differences"):
        results.to_frame("rows")  # type: ignore[arg-type]


def test_results_write_their_report(iris: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    results = milkreport.evaluate(*iris, title="Flowers & leaves")
    written = results.report(tmp_path / "out", pdf=False)
    assert written[0] == tmp_path / "out" / "report.html"
    page = written[0].read_text(encoding="utf-8")
    assert "Flowers &amp; leaves" in page
    assert f"{first(results).metrics['macro_f1'].value:.3f}" in page
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(MilkreportError, match="is a file"):
        milkreport.report(results, tmp_path / "file")


def test_the_package_lists_its_public_names_alone() -> None:
    assert dir(milkreport) == sorted(milkreport.__all__)
