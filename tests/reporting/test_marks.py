"""What figures say where a reader points: at the right place, of the right value, and on screens alone."""

from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from milkreport.evaluation.records.parts import Estimate
from milkreport.reporting.figures.confusion import confusion_matrix
from milkreport.reporting.figures.interval_plot import estimates
from milkreport.reporting.figures.marks import LEAST, say
from milkreport.reporting.figures.svg import drawing, for_page, for_paper, to_svg
from milkreport.reporting.html import render_html
from milkreport.reporting.view import build_view
from tests import report_samples as samples

RECT = re.compile(
    r'<rect x="([-\d.]+)" y="([-\d.]+)" width="([\d.]+)" height="([\d.]+)"( data-opens="[^"]*")?>'
    r"<title>([^<]*)</title></rect>"
)


def marks(svg: str) -> dict[str, tuple[float, ...]]:
    return {m[6]: tuple(map(float, m.groups()[:4])) for m in RECT.finditer(svg)}


def test_a_mark_lies_where_its_data_are() -> None:
    with drawing():
        figure = Figure(figsize=(4, 2))
        axes = figure.add_axes((0.25, 0.25, 0.5, 0.5))
        axes.set_xlim(0, 10)
        axes.set_ylim(0, 1)
        say(axes, "bar", (0, 0), (10, 1))
        say(axes, "dot <&>", (5, 0.5))
        svg = to_svg(figure, "k", "t", "d")
    found = marks(svg)
    # 4 by 2 inches are 288 by 144 points.
    assert found["bar"] == pytest.approx((72, 36, 144, 72))
    assert found["dot &lt;&amp;&gt;"] == pytest.approx(
        (144 - LEAST / 2, 72 - LEAST / 2, LEAST, LEAST)
    )
    with drawing():
        silent = to_svg(Figure(figsize=(4, 2)), "k", "t", "d")
    assert 'class="marks"' not in silent


def test_a_matrix_says_counts_and_shares_and_totals() -> None:
    counts = [[8, 2, 0], [0, 5, 0], [0, 0, 0]]
    svg = confusion_matrix("m", counts, ["a", "b", "c"], "t", "old")
    found = marks(svg)
    assert found.keys() == {
        "a → a: 8 of 10 (80%)", "a → b: 2 of 10 (20%)", "b → b: 5 of 5 (100%)", "true class a: 10",
        "true class b: 5", "predicted a: 8", "predicted b: 7",
    }  # fmt: skip
    assert 'data-opens="arm=old&amp;truth=0&amp;answer=1"' in svg
    assert "data-opens" not in confusion_matrix("m", counts, ["a", "b", "c"], "t")
    # Cells of a row stand side by side, those of a column below one another.
    first, second = found["a → a: 8 of 10 (80%)"], found["a → b: 2 of 10 (20%)"]
    assert second[0] == pytest.approx(first[0] + first[2], abs=0.2)
    assert second[1] == first[1]
    assert found["b → b: 5 of 5 (100%)"][1] == pytest.approx(first[1] + first[3], abs=0.2)


def test_points_say_their_value() -> None:
    rows = [(0, "Old", Estimate(value=0.25, low=0.2, high=0.3)), (1, "New", Estimate(value=None))]
    svg = estimates("k", rows, "Macro F1")
    assert [*marks(svg)] == ["Old: Macro F1 0.250  (0.200–0.300)"]


def test_paper_and_files_of_their_own_have_none() -> None:
    svg = confusion_matrix("m", [[1, 0], [0, 1]], ["a", "b"], "t", "old")
    assert marks(for_page(svg))
    assert not marks(for_paper(svg))
    assert for_paper(svg).rstrip().endswith("</svg>")
    for tag in ("<g", "</g>"):  # nothing but their group is gone
        assert for_page(svg).count(tag) - for_paper(svg).count(tag) == 1


def test_same_figure_same_bytes() -> None:
    one, other = (confusion_matrix("m", np.eye(4, dtype=int), [*"abcd"], "t", "x") for _ in "12")
    assert one == other


def test_every_drawn_figure_of_a_report_says_values_within_its_frame() -> None:
    results = samples.sample_results()
    view = build_view(results, samples.sample_manifest(), samples.sample_suite(), None)
    silent = {f.key for f in view.figures if not marks(f.svg)}
    assert silent == {"data-flow", "data-medians-1"}  # their values are printed
    for figure in view.figures:
        width, height = map(
            float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', figure.svg).groups()
        )
        for text, (x, y, w, h) in marks(figure.svg).items():
            assert -LEAST <= x <= x + w <= width + LEAST, (figure.key, text)
            assert -LEAST <= y <= y + h <= height + LEAST, (figure.key, text)
    page = render_html(view)
    assert page.count("<rect") < 4_000


def test_of_very_many_cells_the_largest_say_their_count() -> None:
    rng = np.random.default_rng(0)
    counts = rng.permutation(40 * 40).reshape(40, 40)
    found = marks(confusion_matrix("m", counts.tolist(), [f"c{i}" for i in range(40)], "t"))
    cells = [text for text in found if "→" in text]
    said = sorted(int(text.split(": ")[1].split(" of")[0].replace(",", "")) for text in cells)
    assert said == sorted(counts.ravel())[-72:]
    assert len(found) == 72 + 80  # and all totals
    ties = confusion_matrix("m", [[1] * 40] * 40, [f"c{i}" for i in range(40)], "t")
    assert len(marks(ties)) == 72 + 80
    full = confusion_matrix("m", [[1] * 12] * 12, [f"c{i}" for i in range(12)], "t")
    assert len(marks(full)) == 144 + 24


@pytest.mark.parametrize("n", [12, 30, 45])
def test_a_page_of_many_classes_keeps_its_nodes(n: int) -> None:
    """With the button that the page's script lays over each mark that opens a list."""
    view = build_view(samples.many_classes(n), samples.sample_manifest(), None, None)
    page = render_html(view)
    assert len(re.findall(r"<[a-zA-Z]", page)) + page.count("data-opens") < 20_000
