"""The report says what the records say, in HTML and PDF alike, and nothing else."""

from __future__ import annotations

import html
import io
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader

from milkreport.errors import PdfProblem
from milkreport.evaluation.compare import is_shown
from milkreport.evaluation.records.parts import Estimate
from milkreport.evaluation.records.results import Results
from milkreport.reporting import pdf_worker
from milkreport.reporting.figures.axes import legend_columns, legend_height
from milkreport.reporting.figures.confusion import (
    LETTERS,
    MOST_CLASSES,
    confusion_matrix,
    fold_rare,
)
from milkreport.reporting.figures.curves import thin
from milkreport.reporting.figures.svg import INK
from milkreport.reporting.html import render_html, render_print
from milkreport.reporting.pdf import write_pdf
from milkreport.reporting.sections.gallery import build_gallery
from milkreport.reporting.sections.provenance import build_ethics
from milkreport.reporting.tables import comparison_table
from milkreport.reporting.view import ReportView, build_view
from milkreport.reporting.wording.sentences import result_statement
from milkreport.reporting.wording.text import decimal, several, shorten_apart, signed, without_paths
from milkreport.reporting.write import write_report
from tests import report_samples as samples

BANNER = "SYNTHETIC DATA - NOT A RESULT"
HOSTILE = "<script>alert(1)</script>"


def view_of(results: Results, checked: bool = True) -> ReportView:
    verdict = samples.sample_verdict(results) if checked else None
    return build_view(results, samples.sample_manifest(), samples.sample_suite(), verdict)


def page_of(results: Results, checked: bool = True) -> str:
    return render_html(view_of(results, checked))


def words_of(page: str) -> str:
    """What a reader sees of a page."""
    body = re.sub(r"<(style|script|head|desc|title)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))


@pytest.fixture(scope="module")
def plain() -> ReportView:
    return view_of(samples.sample_results())


@pytest.fixture(scope="module")
def plain_page(plain: ReportView) -> str:
    return render_html(plain)


@pytest.fixture(scope="module")
def plain_pdf(plain: ReportView, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("report") / "report.pdf"
    write_pdf(render_print(plain), path, created="2026-11-22T14:05:00Z")
    return path.read_bytes()


@pytest.fixture(scope="module")
def plain_texts(plain_pdf: bytes) -> list[str]:
    return [page.extract_text() for page in PdfReader(io.BytesIO(plain_pdf)).pages]


@pytest.mark.slow
def test_every_number_of_the_page_stands_in_the_pdf(
    plain_page: str, plain_texts: list[str]
) -> None:
    there = re.sub(r"\s+", "", "".join(plain_texts))
    numbers = set(re.findall(r"[−+]?\d[\d,]*\.\d+|\d[\d,]*\d", words_of(plain_page)))
    assert len(numbers) > 300
    assert {n for n in numbers if n not in there} == set()


def test_a_result_of_many_arms_stays_short() -> None:
    results = samples.many_arms(20)
    assert results.comparison is not None
    n_shown = sum(is_shown(d) for d in results.comparison.differences)
    said = result_statement(results).headline
    assert f"Of all 190 pairs, a difference was shown for {n_shown}" in said
    assert len(said) < 900
    few = samples.many_arms(5)
    assert "In all" not in result_statement(few).headline


@pytest.mark.slow
@pytest.mark.parametrize(
    "titles",
    [["Weighted random sampler of rare classes (learning_rate-0.001)",
      "Weighted random sampler of rare classes (learning_rate-0.01)",
      "Weighted random sampler of rare classes (learning_rate-0.1)"],
     ["Sampler"] * 3],
)  # fmt: skip
def test_arms_of_alike_titles_are_told_apart_in_every_table(titles: list[str]) -> None:
    results = samples.retitled(samples.sample_results(), titles)
    page = render_html(build_view(results, samples.sample_manifest(), None, None))
    tables = dict(re.findall(r'id="table-([^"]*)".*?(<tbody>.*?)</table>', page, re.S))
    names = re.findall(r'class="arm" data-name="([^"]*)"', page)
    assert len(set(names)) == 3
    for key in ("headline", "differences", "arms"):
        rows = [html.unescape(n) for n in re.findall(r'"row"><bdi>(.*?)</bdi>', tables[key])]
        assert set(rows) <= set(names), key
    pairs = re.findall(r'"row"><bdi>(.*?) minus (.*?)</bdi>', tables["pairs"])
    assert {frozenset(pair) for pair in pairs} == {
        frozenset((a, b)) for a in names for b in names if a != b
    }
    for figure in re.findall(r"<svg.*?</svg>", page, re.S):
        shown = re.findall(r">([^<>]*ampler[^<>]*)</text>", figure)
        assert len(set(shown)) == len(shown), shown


@pytest.mark.parametrize(
    ("network", "said"),
    [
        ([], "Nothing: no part of training, evaluation or this report used a network."),
        (["pretrained weights were downloaded", "metrics and report were offered to an MLflow server"],
         "By the user's wish, pretrained weights were downloaded and metrics and report were offered to an "
         "MLflow server; nothing else used a network."),
        (None, "Not recorded by the version that made this run"),
    ],
)  # fmt: skip
def test_the_report_says_what_used_a_network(network: list[str] | None, said: str) -> None:
    points = build_ethics(samples.sample_results(), network).points
    assert said in next(p.text for p in points if p.name == "What leaves the machine")


def test_tables_say_how_their_intervals_were_made_and_why_some_are_lopsided(
    plain: ReportView,
) -> None:
    page = render_html(plain)
    foot = {
        key: dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", notes, re.S))
        for key, notes in re.findall(
            r'id="table-([^"]*)"(?:(?!id="table-).)*?<dl class="footnotes">(.*?)</dl>', page, re.S
        )
    }
    assert (
        "Of single arms, 95% intervals: accuracy by Wilson's formula; balanced accuracy, macro F1 and "
        "weighted F1 by the widest of resampling, a posterior and formulas."
    ) in html.unescape(page)
    assert "Recall by Wilson" in html.unescape(foot["arm-1-report"]["95%"]).replace(
        "recall", "Recall"
    )
    assert "80% power" in page.split('id="table-pairs"')[1].split("<thead>")[0]
    results = samples.sample_results()
    part = results.arms[0].part("test")
    long = Estimate(value=0.209, low=0.179, high=0.314)
    short = Estimate(value=0.209, low=0.179, high=0.25)
    for estimate, marked in ((long, True), (short, False)):
        changed = part.model_copy(update={"metrics": part.metrics | {"macro_f1": estimate}})
        first = results.arms[0].model_copy(update={"parts": [changed]})
        table = comparison_table(results.model_copy(update={"arms": [first]}))
        (row,) = table.groups[0].rows
        assert row.cells[3].text == "0.209"
        assert ("§" in row.cells[3].mark) == marked
        assert any(n.mark == "§" for n in table.footnotes) == any("§" in c.mark for c in row.cells)


def test_classes_that_begin_alike_are_told_apart_in_figures() -> None:
    names = ["melanoma of the skin, in situ", "melanoma of the skin, invasive"]
    labels = shorten_apart(names, LETTERS)
    drawn = confusion_matrix("m", [[3, 1], [2, 4]], names, "t")
    assert len(set(labels)) == 2
    for label in labels:
        assert drawn.count(f">{label}<") == 2, label


@given(
    st.lists(st.text("ab…1 ", max_size=48), min_size=2, max_size=30, unique=True),
    st.integers(8, 24),
)
def test_names_that_differ_stay_different_when_they_are_cut(names: list[str], most: int) -> None:
    cut = shorten_apart(names, most)
    assert len(set(cut)) == len(names)
    assert all(len(name) <= most for name in cut)


def test_forty_characters_of_a_common_beginning_leave_what_differs() -> None:
    common = "carcinoma of the skin, keratinising type "
    assert shorten_apart([common + "one", common + "two"], LETTERS) == [
        "carcin…ng type one",
        "carcin…ng type two",
    ]


def test_rare_classes_share_a_row_and_no_case_is_lost() -> None:
    table = np.random.default_rng(0).poisson(3, (100, 100))
    names = [f"class {i}" for i in range(100)]
    folded, kept, places = fold_rare(table, names)
    assert folded.shape == (MOST_CLASSES, MOST_CLASSES)
    assert kept[-1] == "61 others"
    assert folded.sum() == table.sum()
    place = [names.index(name) for name in kept[:-1]]
    assert places == [*place, -1]
    assert (folded[:-1, :-1] == table[np.ix_(place, place)]).all()
    assert folded[:-1].sum(axis=1).tolist() == table[place].sum(axis=1).tolist()
    assert min(table.sum(axis=1)[place]) >= max(np.delete(table.sum(axis=1), place))
    same, all_names, every = fold_rare(table[:40, :40], names[:40])
    assert same.shape == (40, 40)
    assert all_names == names[:40]
    assert every == list(range(40))


@pytest.mark.parametrize("n", [15, 40, 100])
def test_no_matrix_of_many_classes_is_taller_than_its_page(n: int) -> None:
    names = [f"a rather long name of the class number {i}" for i in range(n)]
    drawn = confusion_matrix("m", np.ones((n, n), int).tolist(), names, "t")
    height = re.search(r'height="([\d.]+)pt"', drawn)
    assert height is not None
    assert float(height[1]) <= 174 / 25.4 * 72 - 30  # A4 on its side, less margins and caption


@pytest.mark.slow
def test_the_results_of_a_part_are_not_parted_by_the_end_of_a_page(tmp_path: Path) -> None:
    results = samples.many_arms(8)
    write_pdf(render_print(view_of(results)), tmp_path / "r.pdf", created="")
    pages = [page.extract_text() for page in PdfReader(tmp_path / "r.pdf").pages]
    (page,) = [text for text in pages if "Test, 1,038" in text]
    table = page[page.index("Test, 1,038") : page.index("Train, 4,152")]
    assert [arm.title in table for arm in results.arms] == [True] * 8
    assert page.index("Balanced accuracy") < page.index("Test, 1,038")


def test_the_pdf_is_tagged_titled_and_has_an_outline(plain: ReportView, plain_pdf: bytes) -> None:
    reader = PdfReader(io.BytesIO(plain_pdf))
    root = reader.root_object
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en"
    assert reader.metadata is not None
    assert reader.metadata.title == plain.title
    titles = [entry.title for entry in reader.outline if not isinstance(entry, list)]
    assert any("Against the reported figures" in title for title in titles)
    fonts = {
        str(font.get_object()["/BaseFont"])
        for page in reader.pages
        for font in page["/Resources"]["/Font"].values()
    }
    assert any("Inter" in font for font in fonts)


def test_the_summary_fills_the_first_page_alone(plain_texts: list[str]) -> None:
    assert "Differs from Baseline" in plain_texts[0]
    assert "Contents" in plain_texts[1]
    assert "Contents" not in plain_texts[0]
    assert f"{len(plain_texts)} of {len(plain_texts)}" in plain_texts[-1]


@pytest.mark.slow
def test_same_records_same_bytes(
    plain_page: str, plain: ReportView, plain_pdf: bytes, tmp_path: Path
) -> None:
    again = view_of(samples.sample_results())
    assert render_html(again) == plain_page
    write_pdf(render_print(again), tmp_path / "b.pdf", created="2026-11-22T14:05:00Z")
    assert (tmp_path / "b.pdf").read_bytes() == plain_pdf


def test_the_page_needs_nothing_from_elsewhere(plain_page: str) -> None:
    assert "default-src 'none'" in plain_page
    references = re.findall(r'(?:src|href)="([^"]*)"|url\(([^)]*)\)', plain_page)
    for reference in (a or b for a, b in references):
        assert reference.startswith(("#", "data:")), reference
    assert "file:" not in plain_page
    assert "@import" not in plain_page


def test_ids_are_unique_and_references_resolve(plain_page: str) -> None:
    ids = Counter(re.findall(r'\bid="([^"]+)"', plain_page))
    assert [name for name, n in ids.items() if n > 1] == []
    wanted = set(re.findall(r'(?:href="#|url\(#)([^")]+)', plain_page))
    for group in re.findall(r'aria-labelledby="([^"]+)"', plain_page):
        wanted |= set(group.split())
    assert wanted <= set(ids)


def test_the_layout_of_the_page_applies_to_the_page_alone(plain: ReportView) -> None:
    for text, name in ((render_html(plain), "page"), (render_print(plain), "paper")):
        classes = [c for found in re.findall(r'class="([^"]*)"', text) for c in found.split()]
        assert classes.count(name) == 1, name


def test_figures_say_what_they_show_and_follow_the_theme(
    plain: ReportView, plain_page: str
) -> None:
    assert len(plain.figures) == 13
    assert plain_page.count('role="img"') == len(plain.figures)
    assert INK not in plain_page
    assert "currentColor" in plain_page
    for figure in plain.figures:
        assert re.search(r"<title id=[^>]+>[^<]+</title><desc id=[^>]+>[^<]+</desc>", figure.svg)
        assert "#000000" not in figure.svg


@pytest.mark.slow
def test_no_path_of_a_machine_is_printed() -> None:
    results = samples.sample_results(failed=True)
    cell = (
        results.arms[2]
        .cells[0]
        .model_copy(update={"message": "cannot read /srv/ann/data/x.jpg or C:\\Users\\ann\\y.csv"})
    )
    arm = results.arms[2].model_copy(update={"cells": [cell]})
    words = page_of(
        results.model_copy(
            update={"arms": [*results.arms[:2], arm], "notices": ["see /tmp/run 1/results.json"]}
        )
    )
    assert "x.jpg" in words
    assert not re.search(r"/srv/|/tmp/|C:\\", words)


def test_paths_are_cut_and_addresses_are_not() -> None:
    assert without_paths("at /var/lib/a.csv now") == "at …/a.csv now"
    kept = "https://doi.org/10.34970/262082 and 1/2 and a/b/c and $OUT/x"
    assert without_paths(kept) == kept


def test_opposite_results_give_opposite_sentences() -> None:
    forward = result_statement(samples.sample_results()).headline
    backward = result_statement(samples.sample_results(sign=-1)).headline
    assert "that of Weighted sampler scored a higher macro F1" in forward
    assert "that of Baseline scored a higher macro F1" in backward
    assert "that of Baseline scored" not in forward
    assert "that of Weighted sampler scored" not in backward


def test_wide_intervals_leave_every_pair_undecided() -> None:
    said = result_statement(samples.sample_results(se=0.08)).headline
    assert said.count("Undecided between the trained model of ") == 3
    assert (
        said.count("includes 0; a difference of 0.224 would have been found with 80% power.") == 3
    )
    assert "higher" not in said
    assert "o difference" not in said


@pytest.mark.slow
def test_an_interval_off_zero_does_not_count_before_holms_correction() -> None:
    results = samples.sample_results()
    assert results.comparison is not None
    differences = [d.model_copy(update={"p_holm": 0.06}) for d in results.comparison.differences]
    comparison = results.comparison.model_copy(update={"differences": differences})
    uncorrected = results.model_copy(update={"comparison": comparison})
    said = result_statement(uncorrected).headline
    assert "higher" not in said
    assert "excludes 0, but p = 0.060 after Holm's correction is not below 0.05" in said
    assert "Differs from" not in words_of(page_of(uncorrected))


def test_one_seed_ranks_nothing() -> None:
    said = result_statement(samples.sample_results(seeds=1))
    assert "these trained models" in said.headline.lower()
    assert said.reach.endswith("this applies to these trained models only; methods are not ranked.")
    assert "highest" not in said.headline


@pytest.mark.parametrize("seeds", [2, 5])
def test_two_and_more_seeds_speak_of_arms(seeds: int) -> None:
    said = result_statement(samples.sample_results(seeds=seeds, folds=5))
    assert "Weighted sampler thus had the highest macro F1 of the three arms." in said.headline
    assert "trained models" not in said.headline
    assert "pooled out of fold over five folds" in said.reach


def test_the_result_says_once_whose_models_it_speaks_of_and_names_the_highest_first() -> None:
    results = samples.sample_results()
    comparison = results.comparison
    assert comparison is not None
    names = [arm.name for arm in results.arms]
    value = {
        n: a.part("test").metrics["macro_f1"].value
        for n, a in zip(names, results.arms, strict=True)
    }  # type: ignore[union-attr]
    differences = [
        d.model_copy(
            update={"value": v, "low": v - 0.001, "high": v + 0.001, "p_holm": 0.001}
            if (v := (value[d.arm] or 0) - (value[d.against] or 0))
            else {}
        )
        for d in comparison.differences
    ]
    shown = comparison.model_copy(update={"differences": differences})
    said = result_statement(results.model_copy(update={"comparison": shown})).headline
    first, second, third = sorted(names, key=lambda n: -(value[n] or 0))
    title = {arm.name: arm.title for arm in results.arms}
    assert said == (
        f"Of these trained models, that of {title[first]} scored a higher macro F1 than all others. "
        f"That of {title[second]} scored higher than that of {title[third]}."
    )


@pytest.mark.slow
def test_a_first_page_without_a_reference_has_no_verdict() -> None:
    results = samples.sample_results()
    summary = page_of(results, checked=False).split('id="summary"')[1].split("</section>")[0]
    assert 'class="verdict' not in summary
    checked = page_of(results).split('id="summary"')[1].split("</section>")[0]
    assert checked.index("<dt>Result</dt>") < checked.index('class="verdict')


def test_the_gallery_speaks_of_what_it_shows() -> None:
    results, suite = samples.sample_results(), samples.sample_suite()
    gallery, files = samples.sample_gallery()
    whole = build_gallery(results, gallery, files, suite)
    assert whole is not None
    assert whole.has_pictures
    assert "Blue: regions" in whole.texts[1]
    assert "Columns" in whole.texts[1]
    bare = [m.model_copy(update={"attributions": {}}) for m in gallery.mistakes]
    arms = [arm.model_dump() | {"inputs": {"images": False}} for arm in suite.arms]
    blind = samples.sample_suite(arms=arms)
    found = build_gallery(results, gallery.model_copy(update={"mistakes": bare}), files, blind)
    assert found is not None
    assert not found.has_pictures
    assert len(found.texts) == 1
    assert found.credit == ""
    assert {arm.note for arm in found.arms} == {"This arm reads no images, so none are shown."}


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ({"a_b": 0.52, "c": -0.11}, "a b +0.52, c −0.11"),
        ({"a": 0.52, "b": -0.004, "c": 1e-7}, "a +0.52, b and c less than 0.01 each"),
        ({"a": -0.3, "b": 0.0}, "a −0.30, b less than 0.01"),
        ({"a": 3e-6, "b": -1e-6}, "a and b less than 0.01 each"),
    ],
)
def test_what_a_column_adds_is_never_a_bare_zero(added: dict[str, float], said: str) -> None:
    gallery, files = samples.sample_gallery()
    mistakes = [m.model_copy(update={"attributions": added}) for m in gallery.mistakes]
    gallery = gallery.model_copy(update={"mistakes": mistakes})
    found = build_gallery(samples.sample_results(), gallery, files)
    assert found is not None
    facts = {fact.name: fact.text for fact in found.arms[0].mistakes[0].facts}
    assert facts["Columns"] == said


def test_names_are_cut_so_that_they_stay_apart() -> None:
    names = ["Logistic regression", "Logistic regression, class-weighted", "SVC"]
    assert shorten_apart(names, 40) == names
    assert shorten_apart(names, 18) == ["Logist… regression", "Logist…, class-we…", "SVC"]
    assert len(set(shorten_apart(["a" * 50 + str(n) + "b" * 50 for n in range(3)], 20))) == 3
    assert all(len(s) <= 20 for s in shorten_apart(["a" * 50 + c * 9 for c in "xyz"], 20))


def test_many_counts_become_a_range() -> None:
    assert several([107_447]) == "107,447"
    assert several([2, 1, 2]) == "1 and 2"
    assert several([107_447, 107_519, 109_103]) == "107,447 to 109,103"


@pytest.mark.parametrize("letters", [3, 15, 28, 40])
def test_no_legend_leaves_its_figure(letters: int) -> None:
    names = [f"{n}" * letters for n in range(5)]
    columns = legend_columns(names, 6.3)
    assert columns * (0.5 + 0.062 * letters) <= 6.3
    assert legend_height(names, columns) == pytest.approx(0.15 * (-(-5 // columns) - 1))


@pytest.mark.slow
def test_synthetic_data_is_never_a_result(tmp_path: Path) -> None:
    results = samples.sample_results(synthetic=True)
    page = page_of(results)
    words = words_of(page)
    for claim in (
        "higher",
        "highest",
        "Undecided",
        "quivalent",
        "Differs from",
        "INCONCLUSIVE",
        "PASS",
    ):
        assert claim not in words
    assert 'class="banner"' in page
    assert BANNER in words
    write_pdf(render_print(view_of(results)), tmp_path / "r.pdf", created="")
    reader = PdfReader(tmp_path / "r.pdf")
    assert all(BANNER in page.extract_text() for page in reader.pages)


def test_real_data_carries_no_banner(plain_page: str, plain_texts: list[str]) -> None:
    assert BANNER not in plain_page
    assert not any(BANNER in text for text in plain_texts)


def test_hostile_names_are_text() -> None:
    rename = {"BCC": HOSTILE, "NV": "\u202eevil =HYPERLINK()", "MEL": "x" * 10_000, "DF": "a&b\0\n"}
    view = view_of(samples.sample_results(rename=rename))
    page = render_html(view)
    assert HOSTILE not in page
    assert html.escape(HOSTILE) in page
    assert page.count("<script>") == 1  # our own
    assert "x" * 100 not in page
    assert "\0" not in page
    assert "\u202e" not in page
    assert not any("<script" in figure.svg for figure in view.figures)


@pytest.mark.slow
def test_a_failed_cell_is_a_row_and_the_run_is_called_partial() -> None:
    words = words_of(page_of(samples.sample_results(failed=True)))
    assert "Partial run." in words
    assert "failed at epoch 3: the loss is nan" in words
    assert "This arm has no result." in words
    assert "One training of the weighted sampler failed." in words


def test_undefined_is_a_dash(plain: ReportView) -> None:
    report = plain.arms[0].report
    assert report is not None
    assert [cell.text for cell in report.groups[0].rows[0].cells][2:4] == ["0", "—"]
    assert decimal(None) == decimal(float("nan")) == "—"
    assert decimal(-0.0001) == "0.000"
    assert signed(0.04) == "+0.040"
    assert signed(-0.04) == "−0.040"


def test_one_arm_two_classes_one_epoch() -> None:
    view = view_of(samples.two_classes(), checked=False)
    words = words_of(render_html(view))
    assert "nothing was compared" in words
    assert 'id="reference"' not in render_html(view)
    assert 'id="subgroups"' not in render_html(view)
    assert not re.search(r"\b(nan|None|inf)\b", words)
    (curves,) = view.curves.figures
    assert "<use" in curves.svg  # the single point is a mark


@pytest.mark.slow
@pytest.mark.parametrize(
    "results",
    [
        lambda: samples.sample_results(epochs=1),
        lambda: samples.sample_results(seeds=5, folds=5, validation=True),
        lambda: samples.many_classes(45),
    ],
    ids=["one epoch", "25 cells", "45 classes"],
)
def test_other_shapes_draw_within_the_budget(results: Callable[[], Results]) -> None:
    page = page_of(results())
    assert len(page.encode()) < 2_000_000
    assert page.count("<") < 2 * 20_000
    assert "None" not in words_of(page)


@pytest.mark.slow
def test_many_long_curves_keep_the_budget() -> None:
    base = samples.sample_results(epochs=500)
    arms = [
        base.arms[0].model_copy(update={"name": f"a{i}", "title": f"arm {i}"}) for i in range(20)
    ]
    view = view_of(base.model_copy(update={"arms": arms, "comparison": None}), checked=False)
    assert sum(len(figure.svg) for figure in view.curves.figures) < 1_000_000


def test_thinning_keeps_the_ends() -> None:
    import numpy as np

    kept = thin(np.arange(1.0, 2001.0), 500)
    assert (kept[0], kept[-1], len(kept)) == (0, 1999, 500)
    assert thin(np.arange(3.0), 500).tolist() == [0, 1, 2]


def test_test_curves_are_called_monitoring(plain_page: str) -> None:
    assert "monitoring, not used for selection" in plain_page


def test_equal_reasons_become_one_footnote(plain: ReportView) -> None:
    assert plain.reference is not None
    footnotes = plain.reference.table.footnotes
    rows = [row for group in plain.reference.table.groups for row in group.rows]
    assert len(footnotes) == 3 < len(rows)
    assert {row.cells[-1].mark for row in rows} == {note.mark for note in footnotes}
    assert all(row.cells[-1].text.split(" ", 1)[1].isupper() for row in rows)


def test_the_worker_embeds_no_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.svg"
    secret.write_text('<svg xmlns="http://www.w3.org/2000/svg"><text>S3CRET</text></svg>')
    url = secret.as_uri()
    write_pdf(
        f'<html lang="en"><head><title>t</title><link rel="attachment" href="{url}"></head>'
        f'<body><img alt="x" src="{url}"><p>seen</p></body></html>',
        tmp_path / "out.pdf",
        created="",
    )
    reader = PdfReader(tmp_path / "out.pdf")
    assert "seen" in reader.pages[0].extract_text()
    assert "S3CRET" not in reader.pages[0].extract_text()
    assert dict(reader.attachments) == {}


def test_the_time_cap_kills_the_renderer(plain: ReportView, tmp_path: Path) -> None:
    with pytest.raises(PdfProblem, match=r"more than 0\.01 s; the largest section is \w+"):
        write_pdf(render_print(plain), tmp_path / "r.pdf", seconds=0.01)
    assert list(tmp_path.iterdir()) == []


def test_the_memory_cap_kills_the_renderer(plain: ReportView, tmp_path: Path) -> None:
    with pytest.raises(PdfProblem):
        write_pdf(render_print(plain), tmp_path / "r.pdf", memory_bytes=60 * 2**20)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_library_is_named_and_the_page_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text("import sys; sys.exit(\"cannot load library 'libpango-1.0-0'\")")
    source = worker.read_text().replace("sys.exit(", "sys.stderr.write(") + "; sys.exit(3)"
    worker.write_text(source)
    monkeypatch.setattr(pdf_worker, "__file__", str(worker))
    results = samples.two_classes()
    out = tmp_path / "run"
    out.mkdir()
    (out / "report.pdf").write_text("of an earlier run")
    with pytest.raises(PdfProblem, match=r"libpango-1\.0-0.*apt install libpango"):
        write_report(out, results, samples.sample_manifest(), samples.sample_suite(), None)
    assert (out / "report.html").is_file()
    assert not (out / "report.pdf").exists()


def test_write_report_names_what_it_wrote(tmp_path: Path) -> None:
    results = samples.two_classes()
    arguments = (results, samples.sample_manifest(), samples.sample_suite(), None)
    written = write_report(tmp_path, *arguments, pdf=False)
    assert written[0] == tmp_path / "report.html"
    there = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert set(written) == there
    assert {path.suffix for path in there} == {".html", ".svg"}


def test_reporting_knows_no_data_set() -> None:
    root = Path(__file__).resolve().parents[2]
    files = [*(root / "milkreport" / "reporting").glob("*.py"), *(root / "templates").rglob("*.j2")]
    for path in files:
        text = path.read_text(encoding="utf-8").lower().replace("multimodallesionnet", "")
        for word in ("lesion", "milk10k", "akiec", "dermoscop", "melanoma"):
            assert word not in text, f"{path.name}: {word}"


def test_an_earlier_run_is_called_one() -> None:
    results = samples.sample_results()
    verdict = samples.sample_verdict(results).model_copy(update={"kind": "earlier run"})
    view = build_view(results, samples.sample_manifest(), samples.sample_suite(), verdict)
    words = words_of(render_html(view))
    assert "Against an earlier run" in words
    assert "Against the reported figures" not in words
