"""Tables, figures and the summary for other documents."""

from __future__ import annotations

import io
import re

from PIL import Image

from milkreport.reporting.blocks import Cell, Column, Footnote, Group, Row, Table
from milkreport.reporting.export import as_latex, as_markdown, find_tables, summarise, write_export
from milkreport.reporting.figures.svg import keeping_pictures
from milkreport.reporting.view import build_view
from tests import report_samples as samples

TABLE = Table(
    "k_1",
    "Of 50% & more_",
    (Column("Arm", text=True), Column("Value")),
    (Group("A|B", (Row((Cell("x_1"), Cell("−0.5", "0.1–0.2", "†"))),)),),
    (Footnote("†", "few"),),
)


def test_latex_is_escaped_and_complete() -> None:
    text = as_latex(TABLE)
    assert r"\caption{Of 50\% \& more\_}" in text
    assert r"\begin{tabular}{lr}" in text
    assert r"x\_1 & $-$0.5 \dag{} (0.1--0.2) \\" in text
    assert r"\multicolumn{2}{l}{\textit{A|B}} \\" in text
    # Every brace that opens closes.
    bare = text.replace(r"\{", "").replace(r"\}", "")
    assert bare.count("{") == bare.count("}")


def test_markdown_is_a_table_of_equal_rows() -> None:
    lines = [line for line in as_markdown(TABLE).splitlines() if line.startswith("|")]
    assert lines == [
        "| Arm | Value |",
        "| --- | --- |",
        r"| A\|B |  |",
        r"| x\_1 | −0.5 † (0.1–0.2) |",
    ]


def test_everything_of_the_report_is_written(tmp_path) -> None:
    results = samples.sample_results(seeds=5)
    with keeping_pictures() as pictures:
        view = build_view(
            results,
            samples.sample_manifest(),
            samples.sample_suite(),
            samples.sample_verdict(results),
        )
    write_export(view, pictures, tmp_path)
    tables = {t.key for t in find_tables(view)}
    assert {"headline", "pairs", "differences", "arm-1-report", "reference", "cost"} <= tables
    assert {p.stem for p in (tmp_path / "tables").glob("*.tex")} == tables
    assert {p.stem for p in (tmp_path / "tables").glob("*.md")} == tables
    figures = {f.key for f in view.figures}
    assert {p.stem for p in (tmp_path / "figures").glob("*.svg")} == figures
    assert {p.stem for p in (tmp_path / "figures").glob("*.png")} == figures
    picture = Image.open(io.BytesIO(pictures["headline-figure"]))
    assert picture.info["dpi"][0] > 299
    assert picture.width > 1500
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert summary == summarise(view)
    for arm in results.arms:
        value = arm.part("test").metrics["macro_f1"].value
        assert f"{value:.3f}" in summary
    assert not re.search(r"^\|(?!.*\|$)", summary, re.MULTILINE)


def test_pictures_are_kept_only_while_asked_for() -> None:
    with keeping_pictures() as pictures:
        pass
    build_view(samples.sample_results(), samples.sample_manifest(), None, None)
    assert pictures == {}
