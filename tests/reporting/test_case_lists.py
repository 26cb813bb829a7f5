"""The lists of cases in a real browser: by pointer, by keyboard, without script, and with hostile ids."""
# ruff: noqa: F811 (fixtures of another module)

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import milkreport
from milkreport.reporting import cases as packing
from milkreport.reporting.html import render_html
from milkreport.reporting.view import build_view
from tests import report_samples as samples
from tests.evaluation.test_case_table import HOSTILE, scored
from tests.reporting.test_browser import CHROMIUM, Opened, browser, opened, report  # noqa: F401

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

FIRST = "#figure-arm-1-matrix"
ROWS = "dialog.cases tbody tr"


def cell(page: Any, text: str, figure: str = FIRST) -> Any:
    """The button above a cell of a confusion matrix."""
    return page.locator(f'{figure} .layer button[aria-label^="{text}"]')


def column(page: Any, index: int) -> list[str]:
    return page.locator(f"{ROWS} > :nth-child({index})").all_inner_texts()


def heading(page: Any) -> str:
    page.wait_for_selector("dialog.cases[open]")
    return page.locator("#cases-title").inner_text()


def status(page: Any) -> str:
    return page.locator("dialog.cases [role=status]").inner_text()


def test_a_cell_lists_its_cases_by_pointer(opened: Opened) -> None:
    page = opened.page
    cell(page, "MEL → NV").click()
    assert heading(page) == "True class MEL, answer NV, Baseline"
    assert status(page) == "46 lesions"
    # The picture's column comes last: of the case that the gallery shows.
    assert set(column(page, 2)) == {"MEL"}
    assert set(column(page, 3)) == {"NV"}
    assert len(column(page, 1)) == 46
    page.locator("dialog.cases .close").click()
    assert not page.locator("dialog.cases").is_visible()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("MEL → NV")
    assert opened.said == []
    assert len([url for url in opened.asked if not url.startswith("data:")]) == 1


def test_a_cell_lists_its_cases_by_keyboard(opened: Opened) -> None:
    page = opened.page
    label = "document.activeElement.getAttribute('aria-label') || ''"
    # One stop of Tab for the whole matrix, whatever the number of its cells.
    stops = page.locator(f"{FIRST} .layer button[tabindex='0']")
    assert stops.count() == 1
    assert page.locator(f"{FIRST} .layer button").count() > 25
    page.locator(f"{FIRST} .scroll").focus()
    page.keyboard.press("Tab")
    assert page.evaluate(label) == "AKIEC → BCC: 63 of 64 (98%)"
    for key, wanted in (
        ("ArrowDown", "BCC → BCC: 511 of 527 (97%)"),
        ("ArrowRight", "BCC → NV: 16 of 527 (3%)"),
        ("ArrowRight", "true class BCC: 527"),
        ("ArrowRight", "true class BCC: 527"),
        ("ArrowLeft", "BCC → NV: 16 of 527 (3%)"),
        ("ArrowUp", "AKIEC → NV: 1 of 64 (2%)"),
    ):
        page.keyboard.press(key)
        assert page.evaluate(label) == wanted
    assert stops.count() == 1
    for key in ("Enter", "Space"):
        page.keyboard.press(key)
        assert heading(page) == "True class AKIEC, answer NV, Baseline"
        assert status(page) == "1 lesion"
        assert page.evaluate("document.activeElement.id") == "cases-title"
        page.keyboard.press("Escape")
        assert not page.locator("dialog.cases").is_visible()
        assert page.evaluate(label) == "AKIEC → NV: 1 of 64 (2%)"


def test_tab_goes_through_the_list_in_reading_order(opened: Opened) -> None:
    page = opened.page
    cell(page, "BCC → BCC").click()
    heading(page)
    order = []
    for _ in range(16):
        page.keyboard.press("Tab")
        order.append(
            page.evaluate(
                "(e => e.getAttribute('aria-label') || (e.closest('label') || e).firstChild.textContent)"
                "(document.activeElement)"
            )
        )
    wanted = ["Close", "Text", "True class", "Answer", "Arm", "Subgroup"]
    assert order[:6] == wanted
    heads = ["Case", "True class", "Answer", "Arm", "P(answer)", "P(true class)"]
    places = [order.index(name, 6) for name in [*heads, "Copy as CSV", "Show 100 more of 411 rows"]]
    assert places == sorted(places)
    # Escape closes from a field too.
    page.locator("dialog.cases input").focus()
    page.keyboard.press("Escape")
    assert not page.locator("dialog.cases").is_visible()


@pytest.mark.parametrize("by", ["pointer", "keyboard"])
@pytest.mark.parametrize(
    ("place", "wanted", "count"),
    [
        (
            "#table-arm-2-report tbody button:has-text('MEL')",
            "True class MEL, Class-weighted loss",
            83,
        ),
        ("#arm-3 p.remark button.opens", "Wrong answers, Weighted sampler", 433),
        (".mistake h4 button >> nth=0", "IL_0000001", 3),
    ],
)
def test_a_class_an_arms_errors_and_a_mistake_list_theirs(
    opened: Opened,
    by: str,
    place: str,
    wanted: str,
    count: int,
) -> None:
    page = opened.page
    button = page.locator(place).first
    if by == "pointer":
        button.click()
    else:
        button.focus()
        page.keyboard.press("Enter")
    assert heading(page) == wanted
    n = int(page.locator("dialog.cases [role=status]").inner_text().split()[0])
    assert n == count
    if "mistake" in place:  # the gallery's picture stands in the list
        assert page.locator(f"{ROWS} img[src^='data:image/jpeg']").count() == count
    page.keyboard.press("Escape")
    assert page.evaluate("e => document.activeElement === e", button.element_handle())


def test_errors_come_the_surest_first_and_every_head_sorts(opened: Opened) -> None:
    page = opened.page
    page.locator("#arm-1 p.remark button.opens").click()
    heading(page)
    sure = [float(text) for text in column(page, 5)]
    assert sure == sorted(sure, reverse=True)
    assert all(a != b for a, b in zip(column(page, 2), column(page, 3), strict=True))
    heads = page.locator("dialog.cases thead th")
    assert heads.nth(4).get_attribute("aria-sort") == "descending"
    heads.nth(4).locator("button").click()
    assert heads.nth(4).get_attribute("aria-sort") == "ascending"
    sure = [float(text) for text in column(page, 5)]
    assert sure == sorted(sure)
    heads.nth(4).locator("button").focus()
    page.keyboard.press("Enter")
    assert heads.nth(4).get_attribute("aria-sort") is None
    for index in range(4):
        heads.nth(index).locator("button").click()
        assert heads.nth(index).get_attribute("aria-sort") == "ascending"
    ids = column(page, 1)
    assert len(ids) == 100


def test_filters_narrow_the_list(opened: Opened) -> None:
    page = opened.page
    cell(page, "MEL → NV").click()
    heading(page)
    fields = page.locator("dialog.cases .fields")
    fields.locator("span:text-is('Answer') + *").select_option(label="all")
    assert status(page) == "83 lesions"
    fields.locator("span:text-is('Answer') + *").select_option(label="right")
    assert status(page) == "0 lesions"
    fields.locator("span:text-is('Answer') + *").select_option(label="all")
    fields.locator("span:text-is('Arm') + *").select_option(label="all")
    assert status(page) == "249 answers to 83 lesions"
    fields.locator("span:text-is('Subgroup') + *").select_option(label="site = leg")
    assert status(page) == "123 answers to 41 lesions"
    fields.locator("span:text-is('Text') + *").fill("000004")
    assert status(page) == "18 answers to 6 lesions"
    assert set(column(page, 1)) == {"IL_0000004", *(f"IL_000004{i}" for i in (0, 2, 4, 6, 8))}
    fields.locator("span:text-is('Text') + *").fill("nobody")
    assert status(page) == "0 lesions"
    assert page.locator(ROWS).count() == 0


def test_more_rows_come_on_demand(opened: Opened) -> None:
    page = opened.page
    cell(page, "BCC → BCC").click()
    heading(page)
    assert page.locator(ROWS).count() == 100
    page.get_by_role("button", name="Show 100 more of 411 rows").click()
    assert page.locator(ROWS).count() == 200
    assert page.evaluate("document.querySelectorAll('*').length") < 20_000


def test_the_shown_rows_are_copied_as_the_file_has_them(browser: Any, tmp_path: Path) -> None:
    ids = HOSTILE + [f"plain{i}" for i in range(106)]
    results = scored(ids=ids)
    milkreport.report(results, tmp_path, pdf=False)
    found = Opened(
        browser, tmp_path / "report.html", permissions=["clipboard-read", "clipboard-write"]
    )
    page = found.page
    cell(page, "true class a").click()
    heading(page)
    shown = column(page, 1)
    assert {i for i in ids if i.isprintable()} >= {text for text in shown if "\ufffd" not in text}
    assert page.locator("dialog.cases script, dialog.cases b").count() == 0
    page.get_by_role("button", name="Copy as CSV", exact=True).click()
    page.wait_for_function("navigator.clipboard.readText().then(t => t.startsWith('arm,'))")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert found.said == []
    found.context.close()
    kept = {"dtype": str, "keep_default_na": False}
    mine = pd.read_csv(io.StringIO(copied), **kept)
    file = pd.read_csv(tmp_path / "confusions.csv", **kept)
    file = file[(file["arm"] == "old") & (file["label"] == "a")].reset_index(drop=True)
    names = ["arm", "case_id", "label", "predicted", "n_seeds"]
    assert mine[names].to_dict("list") == file[names].to_dict("list")
    for name in ("probability", "probability_of_label"):
        apart = mine[name].astype(float) - file[name].astype(float)
        assert np.abs(apart).max() <= 0.0005 + 1e-9


def test_seeds_and_hard_labels_have_their_columns(browser: Any, tmp_path: Path) -> None:
    results = scored(seeds=3)
    milkreport.report(results, tmp_path, pdf=False)
    found = Opened(browser, tmp_path / "report.html")
    page = found.page
    count = results.arms[0].part("test").confusion[0][1]
    cell(page, "a → b").click()
    heading(page)
    assert status(page).startswith(f"{count} answers to ")
    seeds = [int(text.split(" of ")[0]) for text in column(page, 7)]
    assert sum(seeds) == count
    found.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1300, 420])
def test_an_open_list_has_no_violation_that_axe_finds(
    browser: Any,
    report: Path,
    theme: str,
    width: int,
) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed"
    )
    found = Opened(browser, report, viewport={"width": width, "height": 900}, color_scheme=theme)
    cell(found.page, "BCC → BCC").click()
    heading(found.page)
    violations = axe.Axe().run(found.page).response["violations"]
    inside = found.page.evaluate(
        "(r => r.left >= 0 && r.right <= innerWidth && r.top >= 0 && r.bottom <= innerHeight)"
        "(document.querySelector('dialog.cases').getBoundingClientRect())"
    )
    found.context.close()
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in violations] == []
    assert inside


def test_cells_lie_on_their_drawing_at_every_width(browser: Any, report: Path) -> None:
    for width in (1300, 800, 420):
        found = Opened(browser, report, viewport={"width": width, "height": 900})
        apart = found.page.evaluate(
            """() => Array.from(document.querySelectorAll('.cells')).flatMap(frame => {
              const spots = frame.querySelectorAll('rect[data-opens]');
              return Array.from(frame.querySelectorAll('.layer button')).map((button, i) => {
                const a = button.getBoundingClientRect(), b = spots[i].getBoundingClientRect();
                const sides = ['left', 'top', 'width'].map(side => Math.abs(a[side] - b[side]));
                return Math.max(...sides);
              }); })"""
        )
        found.context.close()
        assert len(apart) > 100
        assert max(apart) < 1.5


def test_without_script_the_page_says_where_the_cases_are(browser: Any, report: Path) -> None:
    found = Opened(browser, report, java_script_enabled=False)
    page = found.page
    assert "confusions.csv, beside this report" in page.locator("#arms").inner_text()
    assert page.locator("dialog, .layer, button.opens").count() == 0
    assert not page.get_by_text("Most confident errors").first.is_visible()
    assert not page.get_by_text("select a cell of a confusion matrix").is_visible()
    # Values of the marks need no script either.
    titles = page.locator(f"{FIRST} rect title").all_text_contents()
    assert "MEL → NV: 46 of 83 (55%)" in titles
    found.context.close()


def test_print_shows_nothing_of_it(opened: Opened) -> None:
    page = opened.page
    cell(page, "BCC → BCC").click()
    heading(page)
    page.emulate_media(media="print")
    assert not page.locator("dialog.cases").is_visible()
    assert page.locator(".layer:visible").count() == 0
    page.emulate_media(media="screen")
    assert page.locator("dialog.cases").is_visible()


def test_a_browser_that_cannot_unpack_names_the_file(browser: Any, report: Path) -> None:
    found = Opened(browser, report)
    found.page.evaluate("delete window.DecompressionStream")
    cell(found.page, "MEL → NV").click()
    assert heading(found.page) == "No list in this browser"
    assert "confusions.csv" in status(found.page)
    assert page_rows(found) == 0
    found.page.keyboard.press("Escape")
    assert not found.page.locator("dialog.cases").is_visible()
    found.context.close()


def page_rows(found: Opened) -> int:
    return found.page.locator(ROWS).count()


def test_too_many_cases_get_a_line_that_reads_the_file(
    browser: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(packing, "MOST_CASES", 10)
    results = scored()
    milkreport.report(results, tmp_path, pdf=False)
    found = Opened(browser, tmp_path / "report.html")
    cell(found.page, "a → b").click()
    heading(found.page)
    assert "too many to list on this page" in status(found.page)
    code = found.page.locator("dialog.cases pre").inner_text()
    assert found.said == []
    found.context.close()
    # The line does what it says.
    line = code.split("cases.query(")[1].removesuffix(")").strip("'")
    frame = pd.read_csv(tmp_path / "confusions.csv").query(line)
    assert len(frame) == results.arms[0].part("test").confusion[0][1]


def test_without_cases_nothing_opens(browser: Any, tmp_path: Path) -> None:
    results = samples.sample_results()
    path = tmp_path / "report.html"
    view = build_view(results, samples.sample_manifest(), None, None)
    path.write_text(render_html(view), encoding="utf-8")
    found = Opened(browser, path)
    assert found.page.locator("dialog, .layer, button.opens").count() == 0
    assert found.said == []
    found.context.close()
