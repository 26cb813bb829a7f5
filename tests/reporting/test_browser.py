"""The HTML report in a real browser: no errors, no requests, what the script adds, accessibility."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from milkreport.reporting.audit_page import write_audit_page
from milkreport.reporting.html import render_html
from milkreport.reporting.view import build_view
from tests import report_samples as samples

CHROMIUM = next(
    (p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))),
    None,
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as running:
        found = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = samples.sample_results()
    verdict = samples.sample_verdict(results)
    view = build_view(
        results, samples.sample_manifest(), samples.sample_suite(), verdict, samples.sample_audit(),
        samples.sample_gallery(), samples.sample_cases(results),
    )  # fmt: skip
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_html(view), encoding="utf-8")
    return path


class Opened:
    """A page with all that it said and asked for."""

    def __init__(self, browser: Any, path: Path, **context: Any) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())


@pytest.fixture
def opened(browser: Any, report: Path) -> Iterator[Opened]:
    found = Opened(browser, report, viewport={"width": 1300, "height": 900})
    yield found
    found.context.close()


@pytest.mark.slow
def test_the_page_says_nothing_and_asks_for_nothing(opened: Opened, report: Path) -> None:
    opened.page.mouse.wheel(0, 20_000)
    assert opened.said == []
    assert [url for url in opened.asked if not url.startswith("data:")] == [report.as_uri()]


def test_it_stays_within_its_budgets(opened: Opened, report: Path) -> None:
    assert report.stat().st_size < 5_000_000
    assert opened.page.evaluate("document.querySelectorAll('*').length") < 20_000


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1300, 420])
def test_it_has_no_violation_that_axe_finds(
    browser: Any, report: Path, theme: str, width: int
) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed"
    )
    found = Opened(browser, report, viewport={"width": width, "height": 900}, color_scheme=theme)
    violations = axe.Axe().run(found.page).response["violations"]
    found.context.close()
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in violations] == []


def test_the_theme_switches_and_is_kept(opened: Opened) -> None:
    page = opened.page
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    before = page.evaluate(ground)
    page.click("#theme")
    after = page.evaluate(ground)
    assert after != before
    page.reload()
    assert page.evaluate(ground) == after


def test_tables_sort_and_totals_stay_last(opened: Opened) -> None:
    table = opened.page.locator("#table-arm-1-report")
    column = table.locator("thead th").nth(1)
    column.locator("button").click()
    assert column.get_attribute("aria-sort") == "descending"
    rows = table.locator("tbody tr").all()
    support = [int(row.locator("td").first.inner_text().replace(",", "")) for row in rows]
    own, totals = support[:-2], support[-2:]
    assert own == sorted(own, reverse=True)
    assert len(set(own)) > 5
    assert totals == [sum(own)] * 2
    column.locator("button").click()
    assert column.get_attribute("aria-sort") == "ascending"
    column.locator("button").click()
    assert column.get_attribute("aria-sort") is None


def test_an_arm_can_be_left_out_and_brought_back(opened: Opened) -> None:
    page = opened.page
    ticks = page.locator("fieldset.filter input")
    assert ticks.count() == 3
    heads = page.locator("#table-metrics thead th:visible")
    sections, before = page.locator("section.arm:visible"), heads.count()
    rows = page.locator("#table-pairs tbody tr:visible")
    assert (sections.count(), rows.count()) == (3, 3)
    ticks.nth(1).uncheck()
    assert (sections.count(), rows.count()) == (2, 1)
    assert heads.count() == before - 1 if before else True
    ticks.nth(1).check()
    assert (sections.count(), rows.count()) == (3, 3)


@pytest.mark.slow
def test_the_filter_acts_on_arms_of_alike_titles(browser: Any, tmp_path: Path) -> None:
    titles = [f"Weighted random sampler of rare classes (learning_rate-{v})" for v in (1, 10, 100)]
    results = samples.retitled(samples.sample_results(), titles)
    path = tmp_path / "report.html"
    path.write_text(
        render_html(build_view(results, samples.sample_manifest(), None, None)), encoding="utf-8"
    )
    found = Opened(browser, path, viewport={"width": 1300, "height": 900})
    page = found.page

    def counted() -> list[int]:
        shown = ("#table-headline tbody tr", "#table-pairs tbody tr", "#table-arms tbody tr",
                 "#table-metrics thead th", "section.arm")  # fmt: skip
        return [page.locator(f"{place}:visible").count() for place in shown]

    before = counted()
    page.locator("fieldset.filter input").nth(1).uncheck()
    n_parts = len(results.arms[0].parts)
    assert [a - b for a, b in zip(before, counted(), strict=True)] == [n_parts, 2, 1, 1, 1]
    page.locator("fieldset.filter input").nth(1).check()
    assert counted() == before
    found.context.close()


def test_a_table_is_copied_as_csv_and_as_markdown(browser: Any, report: Path) -> None:
    found = Opened(browser, report, permissions=["clipboard-read", "clipboard-write"])
    page = found.page
    box = page.locator("#table-differences")
    box.hover()
    box.get_by_text("CSV", exact=True).click()
    text = page.evaluate("navigator.clipboard.readText()")
    lines = text.strip().split("\n")
    assert lines[0].startswith("Arm,against,Difference,95% interval,p")
    assert len(lines) == 4
    box.get_by_text("Markdown", exact=True).click()
    page.wait_for_function("navigator.clipboard.readText().then(t => t.startsWith('| Arm'))")
    markdown = page.evaluate("navigator.clipboard.readText()")
    assert markdown.split("\n")[1].count("---") == len(lines[0].split(","))
    found.context.close()


#: Tables of which a reader cannot see all: cut off, beyond the window, or beside something in their line.
_CLIPPED = """() => Array.from(document.querySelectorAll('div.table')).filter(box => {
  const scroll = box.querySelector('.scroll'), table = scroll.querySelector('table');
  if (!scroll.checkVisibility()) { return false; }
  const hint = box.querySelector('.hint'), place = scroll.getBoundingClientRect();
  const fits = scroll.scrollWidth <= scroll.clientWidth + 1;
  const scrolls = getComputedStyle(scroll).overflowX === 'auto' && hint.checkVisibility();
  const whole = Math.abs(place.width - box.getBoundingClientRect().width) < 1
    && place.right <= document.documentElement.clientWidth + 1;
  return !(whole && (fits ? !hint.checkVisibility() : scrolls)
    && scroll.scrollWidth + 1 >= table.getBoundingClientRect().width);
}).map(box => box.id)"""


@pytest.mark.parametrize("width", [1280, 500])
def test_no_table_is_clipped(browser: Any, report: Path, width: int) -> None:
    found = Opened(browser, report, viewport={"width": width, "height": 900})
    page = found.page
    assert page.evaluate(_CLIPPED) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    if width == 1280:
        rows = page.evaluate(
            "Array.from(document.querySelectorAll('#arms div.table .scroll'))"
            ".filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.parentNode.id)"
        )
        assert rows == []
    # The check sees what it is for: buttons in the tables' line, and a container that cuts.
    for style in (
        ".scroll { margin-right: 115px }",
        ".scroll { overflow-x: hidden !important } table { width: 2000px !important }",
    ):
        page.evaluate("s => { const e = document.createElement('style'); e.id = 'worse';"
                      " e.textContent = s; document.head.append(e); }", style)  # fmt: skip
        assert len(page.evaluate(_CLIPPED)) > 5
        page.evaluate("document.getElementById('worse').remove()")
    found.context.close()


#: Links whose text is drawn, at least in part, outside the cell that holds them.
_STRAYS = """() => Array.from(document.querySelectorAll('td a, th a')).filter(link => {
  const cell = link.closest('td, th').getBoundingClientRect(), text = document.createRange();
  text.selectNodeContents(link);
  return Array.from(text.getClientRects()).some(r => r.left < cell.left - 1 || r.top < cell.top - 1
    || r.right > cell.right + 1 || r.bottom > cell.bottom + 1);
}).map(link => link.outerHTML)"""


@pytest.mark.parametrize("width", [1280, 900, 420])
def test_every_link_of_a_table_stays_within_its_cell(
    browser: Any, report: Path, width: int
) -> None:
    found = Opened(browser, report, viewport={"width": width, "height": 900})
    page = found.page
    assert page.locator("table.guideline td a").count() > 20
    assert page.evaluate(_STRAYS) == []
    # The check sees what it is for: the page's own grid on a link.
    page.add_style_tag(content=".guideline a { display: grid; grid-template-columns: 15rem 50rem }"
                       " .guideline a { padding: 0 2rem; justify-content: center }")  # fmt: skip
    assert len(page.evaluate(_STRAYS)) > 20
    found.context.close()


def test_every_link_of_the_page_has_its_target(opened: Opened) -> None:
    lost = opened.page.evaluate(
        "Array.from(document.querySelectorAll('a[href^=\"#\"]'))"
        ".filter(a => !document.getElementById(a.getAttribute('href').slice(1))).map(a => a.outerHTML)"
    )
    assert lost == []
    assert opened.page.locator("a.anchor").count() > 30


def test_it_reads_without_script(browser: Any, report: Path) -> None:
    found = Opened(browser, report, java_script_enabled=False)
    assert found.page.locator("h2").count() >= 10
    assert found.page.locator("section.arm").count() == 3
    assert found.page.locator("#theme").is_hidden()
    found.context.close()


def test_the_print_view_has_no_controls(opened: Opened) -> None:
    opened.page.emulate_media(media="print")
    assert opened.page.locator(".copy:visible, .anchor:visible, .filter:visible").count() == 0
    assert opened.page.locator("h2:visible").count() >= 10


@pytest.mark.slow
def test_the_keyboard_reaches_the_controls(opened: Opened) -> None:
    reached = set()
    for _ in range(80):
        opened.page.keyboard.press("Tab")
        reached.add(opened.page.evaluate("document.activeElement.tagName"))
    assert {"A", "BUTTON", "INPUT"} <= reached


@pytest.mark.slow
def test_the_audits_page_is_sound_too(browser: Any, tmp_path: Path) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed"
    )
    write_audit_page(tmp_path, samples.sample_audit(), "2026-01-01T00:00:00Z", pdf=False)
    found = Opened(browser, tmp_path / "audit.html")
    violations = axe.Axe().run(found.page).response["violations"]
    assert found.said == []
    found.context.close()
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in violations] == []
