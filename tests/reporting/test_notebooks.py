"""The notebooks of the documentation, cell by cell; what a notebook shows of results."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, roc_curve

import milkreport
from milkreport.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def two_classes() -> tuple[np.ndarray, np.ndarray]:
    """Labels and P(ill) of 300 cases."""
    rng = np.random.default_rng(5)
    labels = rng.random(300) < 0.2
    return np.where(labels, "ill", "well"), np.clip(rng.normal(0.3 + 0.3 * labels, 0.2), 0, 1)


@pytest.fixture(scope="module")
def results(two_classes: tuple[np.ndarray, np.ndarray]) -> milkreport.Results:
    labels, risk = two_classes
    p = np.column_stack([risk, 1 - risk])
    arms = {"first": p, "second": np.column_stack([risk**2, 1 - risk**2])}
    return milkreport.evaluate(arms, labels, classes=["ill", "well"], title="Ill & well")


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each cell's last expression is what the notebook would show."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    shown: list[Any] = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, path.name, "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), path.name, "eval"), names)
            shown.append(value)
    assert any(isinstance(value, matplotlib.figure.Figure) for value in shown)
    assert any(isinstance(value, milkreport.Results) for value in shown)
    assert names["results"].primary_metric == "balanced_accuracy"
    assert names["results"].comparison.differences


def test_notebooks_are_there() -> None:
    assert {path.stem for path in NOTEBOOKS} == {"pytorch", "scikit_learn"}


def test_page_one_stands_alone_in_any_page(results: milkreport.Results) -> None:
    page = results._repr_html_()
    found = results.arms[0].part("test")
    assert found is not None
    assert f"{found.metrics['macro_f1'].value:.3f}" in page
    # No request, no script, no colour of its own for ink or ground; style for its own part alone.
    without_namespaces = re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    assert not re.search(r"https?:|<script|<link|@import|url\(http", without_namespaces)
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    rules = [line for line in style.strip().splitlines() if line]
    assert all(line.startswith(".milkreport ") for line in rules)
    assert not re.search(r"color: (?!inherit)|background: (?!none)", style)
    assert "currentColor" in page


def test_drawings_are_figures_of_the_same_numbers(
    results: milkreport.Results, two_classes: tuple[np.ndarray, np.ndarray]
) -> None:
    labels, risk = two_classes
    counts = confusion_matrix(labels, np.where(risk > 0.5, "ill", "well"), labels=["ill", "well"])
    drawn = [text.get_text() for text in results.plot.confusion().axes[0].texts]
    assert {str(n) for n in counts.ravel()} <= set(drawn)
    other = [text.get_text() for text in results.plot.confusion("second").axes[0].texts]
    assert other != drawn
    fpr, tpr, _ = roc_curve(labels == "ill", risk, drop_intermediate=False)
    lines = [line for axes in results.plot.roc().axes for line in axes.lines]
    curves = [np.column_stack([line.get_xdata(), line.get_ydata()]) for line in lines]
    areas = [np.trapezoid(c[:, 1], c[:, 0]) for c in curves if len(c) > 20]
    area = np.trapezoid(tpr, fpr)
    assert any(abs(found - area) < 2e-3 for found in areas)
    assert not any(abs(found - area / 2) < 2e-3 for found in areas)
    for name in ("comparison", "calibration", "precision_recall", "classes", "risk"):
        figure = getattr(results.plot, name)()
        assert isinstance(figure, matplotlib.figure.Figure)
        assert figure._repr_png_().startswith(b"\x89PNG")


def test_what_cannot_be_drawn_is_said(two_classes: tuple[np.ndarray, np.ndarray]) -> None:
    labels, _ = two_classes
    hard = milkreport.evaluate(labels[::-1], labels)
    with pytest.raises(ConfigError, match="no drawing 'binary-roc' or 'roc'"):
        hard.plot.roc()
    with pytest.raises(ConfigError, match=r"no arm 'x'.*predictions"):
        hard.plot.confusion("x")
    assert isinstance(hard.plot.confusion(), matplotlib.figure.Figure)
