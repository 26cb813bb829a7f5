"""What a report says of the data: the record's numbers, nothing else, and never a blank."""

from __future__ import annotations

import html
import io
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from pydantic import BaseModel
from pypdf import PdfReader

from milkreport.evaluation.records.data import (
    CategoricalSummary,
    DataSummary,
    DuplicateSummary,
    Exclusion,
    ImageSummary,
    NumericSummary,
)
from milkreport.evaluation.records.results import Results
from milkreport.reporting.blocks import Chapter
from milkreport.reporting.data_page import write_data_page
from milkreport.reporting.figures.distributions import level_bars, top_values
from milkreport.reporting.figures.median_table import panels_of
from milkreport.reporting.html import render_html, render_print
from milkreport.reporting.pdf import write_pdf
from milkreport.reporting.sections.data import DataView, build_data
from milkreport.reporting.view import ReportView, build_view
from milkreport.reporting.wording.text import decimal, digits_of, fit, measure, percent, span, whole
from tests import report_samples as samples

CLASSES = list(samples.COUNTS)
HOSTILE = (
    "<script>alert(1)</script>",
    "\u202eevil =HYPERLINK()",
    "x" * 10_000,
    "a&b\0\n",
    "👩‍🔬🔥" * 30,
    "مرحبا بالعالم " * 6,
    "病変" * 40,
    '=cmd|"/c calc"!A1',
    "$x^2$",
    "",
)


def changed(**update: Any) -> DataSummary:
    return samples.sample_data().model_copy(update=update)


def view_of(data: DataSummary, results: Results | None = None) -> ReportView:
    results = (results or samples.sample_results()).model_copy(update={"data": data})
    return build_view(results, samples.sample_manifest(), samples.sample_suite(), None)


def chapters_of(data: DataSummary, splits: bool = True) -> dict[str, Chapter]:
    view = build_data(data, CLASSES, samples.sample_results().splits if splits else ())
    return {chapter.key: chapter for chapter in view.chapters}


def said(chapter: Chapter) -> str:
    """Everything a chapter says, drawings included."""
    parts = [chapter.title, *chapter.texts, *chapter.remarks]
    parts += [f"{fact.name}: {fact.text}" for fact in chapter.facts]
    if chapter.badge:
        parts += [chapter.badge.word, chapter.badge.text, chapter.badge.note]
    for table in chapter.tables:
        parts += [table.caption, *(column.title for column in table.columns)]
        parts += [group.title for group in table.groups]
        cells = [c for g in table.groups for row in g.rows for c in row.cells]
        parts += [f"{cell.text} {cell.note}" for cell in cells]
    for figure in chapter.figures:
        parts += [figure.caption, *re.findall(r"<(?:text|title|desc)[^>]*>([^<]*)<", figure.svg)]
    return html.unescape("\n".join(parts))


def page_of(path: Path, data: DataSummary, **update: Any) -> str:
    arguments: dict[str, Any] = {
        "problems": [],
        "remarks": [],
        "created": "2026-11-22T14:05:00Z",
        "generator": "milkreport 0.1.0",
    }
    write_data_page(path / "data.html", data, CLASSES, **{**arguments, **update})
    return (path / "data.html").read_text(encoding="utf-8")


def unlabelled() -> DataSummary:
    data = changed(class_counts=dict.fromkeys(CLASSES, 0), proof=None)
    numeric = [column.model_copy(update={"quartiles": {}}) for column in data.numeric]
    return data.model_copy(update={"numeric": numeric})


def crowded(classes: list[str]) -> DataSummary:
    """60 numeric and 50 categorical columns, 30 reasons, 400 image sizes."""
    views = ("case", "front", "side")
    numeric = [
        NumericSummary(
            column=f"radiomics_{'x' * (i % 30)}_{i}",
            view=views[i % 3],
            n=700,
            missing=7 * i,
            minimum=-(10.0 ** (i % 7)),
            median=3 * 10.0 ** (i % 7 - 4),
            maximum=10.0 ** (i % 7),
            edges=[-(10.0 ** (i % 7)), 0, 10.0 ** (i % 7)],
            counts=[100, 600],
            quartiles={c: (0, k * 0.1, 9) for k, c in enumerate(classes) if (k + i) % 5},
        )
        for i in range(60)
    ]
    categorical = [
        CategoricalSummary(
            column=f"kind_{i}",
            view=views[i % 2],
            n=700,
            missing=3,
            counts={f"value {j}": 700 // (j + 1) for j in range(i)},
        )
        for i in range(50)
    ]
    images = ImageSummary(
        view="front",
        n=5000,
        sizes={f"{1000 + i} x {900 + i}": 600 - i for i in range(400)},
        modes={"RGB": 4000, "L": 1000},
        formats={"JPEG": 5000},
    )
    return changed(
        views=["front", "side"],
        class_counts={name: 900 - k for k, name in enumerate(classes)},
        class_titles={},
        numeric=numeric,
        categorical=categorical,
        exclusions=[Exclusion(reason=f"reason {i} " + "long " * 40, n=100 - i) for i in range(30)],
        images=[images],
        tables={f"t{i}.csv": "ab" * 32 for i in range(9)},
    )


def hostile() -> DataSummary:
    """Every text of the record is one that somebody made to do harm."""
    data = samples.sample_data(rename=dict(zip(CLASSES, HOSTILE, strict=False)))
    names = (*HOSTILE, *HOSTILE)
    numeric = [
        column.model_copy(update={"column": name, "title": name})
        for column, name in zip(data.numeric, names, strict=False)
    ]
    categorical = [
        CategoricalSummary(
            column=name,
            title=name,
            view=view,
            n=100,
            missing=1,
            counts={value: 40 - i for i, value in enumerate(HOSTILE)},
        )
        for name in HOSTILE[:5]
        for view in ("case", HOSTILE[2])
    ]
    spread = {value: 9 - i for i, value in enumerate(HOSTILE)}
    images = ImageSummary(view=HOSTILE[0], n=3, sizes=spread, modes=spread, formats=spread)
    words = dict.fromkeys(
        ("layout", "cleaning", "decoder", "on_bad_image", "licence", "attribution", "name"),
        HOSTILE[2] + HOSTILE[0],
    )
    return data.model_copy(
        update={
            **words,
            "unit": HOSTILE[2],
            "units": HOSTILE[0],
            "views": [HOSTILE[0], HOSTILE[2]],
            "numeric": numeric,
            "categorical": categorical,
            "images": [images],
            "exclusions": [Exclusion(reason=text, n=5) for text in HOSTILE],
            "tables": dict.fromkeys(HOSTILE, HOSTILE[2]),
            "notes": list(HOSTILE),
        }
    )


class _Balance(HTMLParser):
    """Raises where an element is closed that is not the last one opened."""

    VOID = {"meta", "br", "link", "img", "hr", "input"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        return

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()


def check_page(page: str) -> None:
    """What holds for every page, whatever the record."""
    parser = _Balance()
    parser.feed(page)
    assert parser.open == []
    body = re.sub(r"<(style|script)\b.*?</\1>", "", page, flags=re.DOTALL)
    assert "{{" not in body
    assert "{%" not in body
    words = html.unescape(re.sub(r"<[^>]+>", " ", body))
    assert not re.search(r"\b(None|nan|inf)\b", words)
    ids = Counter(re.findall(r'\bid="([^"]+)"', body))
    assert [name for name, n in ids.items() if n > 1] == []
    wanted = set(re.findall(r'(?:href="#|url\(#)([^")]+)', body))
    for group in re.findall(r'aria-labelledby="([^"]+)"', body):
        wanted |= set(group.split())
    assert wanted <= set(ids)
    for reference in re.findall(r'(?:src|href)="([^"]*)"', body):
        assert reference.startswith("#"), reference
    assert "default-src 'none'" in page
    assert page.count("<script>") == 1  # our own
    assert body.count('role="img"') == body.count("<title id=") == body.count("<desc id=")
    assert not re.search(r"<(title|desc) id=[^>]*></", body)
    for table in re.findall(r"<table.*?</table>", body, flags=re.DOTALL):
        assert "<caption>" in table
        assert table.count('scope="col"') >= 2
        assert 'scope="row"' in table


def numbers_in(value: object) -> Iterator[float]:
    """Every number of a record, at any depth, those inside of names and texts as well."""
    if isinstance(value, BaseModel):
        value = dict(value)
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, str):
        found = (n.replace(",", "") for n in re.findall(r"\d[\d,]*", value))
        yield from (float(n) for n in found if len(n) < 12)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from numbers_in(item)
    elif isinstance(value, int | float):
        yield float(value)


def test_every_number_stands_in_the_record() -> None:
    results = samples.sample_results(folds=5, validation=True)
    data = results.data
    totals = [column.n for column in data.numeric] + [data.n_used]
    known = set(numbers_in([data, results.splits]))
    known |= {len(data.numeric), len(data.categorical), len(data.features), len(results.classes)}
    known |= {sum(e.n for e in data.exclusions), *range(1, 6)}  # removed; folds
    known |= {len(c.counts) - 3 for c in data.categorical}  # values not named
    counted = [n for n in known if float(n).is_integer()]
    allowed = {text for n in known for text in (whole(n), f"{n:g}")} | {
        decimal(n, d) for n in known for d in range(5)
    }
    allowed |= {percent(n / total, 1).rstrip("%") for n in counted for total in totals}
    for chapter in build_data(data, results.classes, results.splits).chapters:
        text = "\n".join(line for line in said(chapter).splitlines() if "SHA-256" not in line)
        # Ticks of an axis stand alone on a line and are no claim.
        drawn = "\n".join(line for line in text.splitlines() if not re.fullmatch(r"[\d,.]+", line))
        for number in re.findall(r"(?<![\w.,])\d+(?:,\d{3})*(?:\.\d+)?(?!\w)", drawn):
            assert number in allowed, (chapter.key, number)


def test_the_heat_table_prints_the_medians() -> None:
    data = samples.sample_data()
    (figure,) = [f for f in chapters_of(data)["data-columns"].figures if "medians" in f.key]
    printed = Counter(html.unescape(t) for t in re.findall(r"<text[^>]*>([^<]*)<", figure.svg))
    wanted: Counter[str] = Counter()
    for column in data.numeric:
        medians = [column.quartiles[name][1] for name in CLASSES]
        wanted.update(measure(m, digits_of(medians)) for m in medians)
    assert not wanted - printed
    assert {f"{name} ({whole(n)})" for name, n in data.class_counts.items()} <= set(printed)


def test_a_class_without_values_has_a_dash() -> None:
    data = samples.sample_data()
    first = data.numeric[0]
    some = {k: q for k, q in first.quartiles.items() if k not in ("BCC", "NV")}
    lacking = first.model_copy(update={"quartiles": some})
    chapter = chapters_of(changed(numeric=[lacking]))["data-columns"]
    assert chapter.figures[-1].svg.count(">—</text>") == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("update", "key", "there", "elsewhere"),
    [
        ({"n_found": 6001}, "data-inclusion", "6,001 lesions found", "5,240 lesions found"),
        ({"n_used": 5188}, "data-inclusion", "5,188 lesions used", "5,189 lesions used"),
        ({"exclusions": []}, "data-inclusion", "No lesion was removed", "51 removed"),
        ({"cleaning": "impute"}, "data-inclusion", "filled from", "with a missing value"),
        ({"on_bad_image": "skip"}, "data-inclusion", "cannot be decoded is removed", "stops"),
        ({"decoder": "fast"}, "data-images", "reduced scale", "decoded whole"),
        ({"image_size": None}, "data-images", "10,378, by view", "256"),
        ({"layout": "one zip"}, "data-source", "one zip", "a folder a lesion"),
    ],
    ids=lambda value: str(value)[:24] if isinstance(value, dict) else "",
)
def test_the_text_follows_the_record(
    update: dict[str, Any], key: str, there: str, elsewhere: str
) -> None:
    before, after = said(chapters_of(changed())[key]), said(chapters_of(changed(**update))[key])
    assert there in after
    assert elsewhere not in after
    assert there not in before
    assert elsewhere in before


@pytest.mark.slow
def test_shared_parts_are_shown_as_a_failure() -> None:
    data = samples.sample_data(folds=5, parts=3)
    badge = chapters_of(data)["data-inclusion"].badge
    assert badge is not None
    assert (badge.word, badge.kind) == ("NOTHING SHARED", "pass")
    assert badge.text == (
        "In 5 folds, 15 comparisons of parts: 0 lesions, 0 groups and 0 images stand in two parts."
    )
    assert "c5" * 32 in badge.note
    for field, text in (
        ("shared_cases", "2 lesions, 0 groups and 0 images"),
        ("shared_groups", "0 lesions, 2 groups and 0 images"),
        ("shared_images", "0 lesions, 0 groups and 2 images"),
    ):
        assert data.proof is not None
        broken = data.model_copy(update={"proof": data.proof.model_copy(update={field: 2})})
        page = render_html(view_of(broken))
        assert "PARTS SHARE DATA" in page
        assert "NOTHING SHARED" not in page
        assert f"{text} stand in two parts" in page
        assert page.count('class="verdict fail"') == 1


def test_what_was_not_compared_is_not_called_proven() -> None:
    proof = samples.sample_data().proof
    assert proof is not None
    alone = changed(proof=proof.model_copy(update={"comparisons": 0}))
    badge = chapters_of(alone)["data-inclusion"].badge
    assert badge is not None
    assert (badge.word, badge.kind) == ("NOT COMPARED", "none")


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ((0, 0, 0, 0), "0 images stand under two lesions"),
        ((5, 0, 5, 2), "5 links by identical images and 0 by images that look alike"),
        ((5, 0, 5, 2), "They make 5 groups, the largest of 2 lesions"),
        ((1, 7, 1, 9), "1 link by identical images and 7 by images that look alike"),
        ((1, 7, 1, 9), "They make 1 group of 9 lesions, which stays in one part."),
        ((0, 3, 0, 0), "None of these lesions are kept together"),
    ],
)
def test_duplicates_are_told_whether_or_not_there_are_any(
    found: tuple[int, int, int, int], text: str
) -> None:
    values = dict(zip(("identical", "near", "groups", "largest"), found, strict=True))
    data = changed(duplicates=DuplicateSummary(**values, rule="the same pixels"))
    told = said(chapters_of(data)["data-duplicates"])
    assert text in told
    assert "Another photograph of the same lesion" in told
    assert "The same pixels." in told


def test_levels_between_others_have_a_bar() -> None:
    assert level_bars({"0": 5, "3": 2}) == [("0", 5), ("1", 0), ("2", 0), ("3", 2)]
    assert level_bars({"-1": 1, "1": 2}) == [("−1", 1), ("0", 0), ("1", 2)]
    assert level_bars({"0": 1, "1000": 2}) == [("0", 1), ("1,000", 2)]


def test_values_that_do_not_fit_are_added_up() -> None:
    counts = {f"v{i}": 20 - i for i in range(12)}
    shown = top_values(counts)
    assert len(shown) == 8
    assert shown[-1] == ("5 other values", sum(20 - i for i in range(7, 12)))
    assert top_values({"a": 1, "b": 2}) == [("b", 2), ("a", 1)]


def test_views_are_parted_only_where_they_fill_a_figure() -> None:
    column = samples.sample_data().numeric[0]
    triples = [(view, f"{view}{i}", column) for view in "abc" for i in range(7)]
    drawn = panels_of(triples, 16)
    assert [[panel.title for panel in panels] for panels in drawn] == [["a", "b"], ["c"]]
    many = panels_of([("a", str(i), column) for i in range(40)], 16)
    assert [sum(len(panel.columns) for panel in panels) for panels in many] == [16, 16, 8]


def test_numbers_of_a_column_have_as_many_decimals_as_they_need() -> None:
    assert [digits_of(v) for v in ([5, 85], [0.1, 0.98], [0.011], [12.5], [340.2])] == [
        0,
        2,
        3,
        1,
        0,
    ]
    assert measure(-1_000_000, 0) == "−1.0e6"
    assert measure(0.00003, 4) == "3.0e−5"
    assert measure(0, 4) == "0.0000"
    assert measure(None, 2) == "—"


def test_drawn_names_keep_their_room() -> None:
    for name in HOSTILE:
        assert span(fit(name, 20)) <= 20
    assert fit("abc", 3) == "abc"


@pytest.mark.slow
def test_what_does_not_fit_is_left_out_and_told() -> None:
    results = samples.many_classes(45)
    data = crowded(results.classes)
    page = render_html(view_of(data, results))
    check_page(page)
    assert len(page.encode()) < 2_000_000
    view = build_data(data, results.classes, results.splits)
    chapters = {chapter.key: chapter for chapter in view.chapters}
    columns = chapters["data-columns"]
    assert columns.tables[0].rows == 40
    assert "The first 40 are shown, 70 are left out here." in columns.tables[0].caption
    assert columns.remarks == (
        "8 more numeric columns: distribution not drawn here.",
        "38 more categorical columns: distribution not drawn here.",
        "28 more numeric columns: medians by class not drawn here.",
    )
    assert "395 others" in said(chapters["data-images"])
    assert "and three more" in said(chapters["data-source"])
    assert "for 22 other reasons" in said(chapters["data-inclusion"])
    assert "The 40 largest of 45 classes" in said(chapters["data-classes"])
    assert sum(len(figure.svg) for figure in view.figures) < 700_000


@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 100])
def test_few_and_many_classes(n: int) -> None:
    classes = [f"class {i}" for i in range(n)]
    view = build_data(crowded(classes), classes, ())
    assert all(ElementTree.fromstring(figure.svg) is not None for figure in view.figures)


def test_no_columns_at_all() -> None:
    data = changed(numeric=[], categorical=[], features=[])
    assert "Features (0): none" in said(chapters_of(data)["data-columns"])


def test_a_column_without_a_value_says_so() -> None:
    empty = NumericSummary(column="empty", view="case", n=0, missing=5189)
    none = CategoricalSummary(column="none", view="case", n=0, missing=5189, counts={})
    chapter = chapters_of(changed(numeric=[empty], categorical=[none]))["data-columns"]
    told = said(chapter)
    assert told.count("5,189 (100.0%)") == 2
    assert told.count("no value") >= 4  # in the table and in both drawings


@pytest.mark.slow
def test_hostile_text_stays_text(tmp_path: Path) -> None:
    data = hostile()
    results = samples.sample_results(rename=dict(zip(CLASSES, HOSTILE, strict=False)))
    pages = [render_html(view_of(data, results))]
    write_data_page(
        tmp_path / "data.html",
        data,
        results.classes,
        problems=[(text, 3) for text in HOSTILE] * 2,
        remarks=list(HOSTILE) * 3,
        created=HOSTILE[0],
        generator=HOSTILE[0],
    )
    pages.append((tmp_path / "data.html").read_text(encoding="utf-8"))
    for page in pages:
        check_page(page)
        assert HOSTILE[0] not in page
        assert html.escape(HOSTILE[0]) in page
        assert "x" * 601 not in page
        assert "\0" not in page
        assert "\u202e" not in page
    for figure in build_data(data, results.classes, results.splits).figures:
        ElementTree.fromstring(figure.svg)


def test_no_path_of_a_machine_is_printed(tmp_path: Path) -> None:
    path = "/srv/ann/data/x.csv"
    data = changed(
        layout=f"read from {path}",
        tables={path: "ab" * 32},
        exclusions=[Exclusion(reason=f"no file {path}", n=1)],
        notes=[f"see {path}"],
    )
    page = page_of(tmp_path, data, problems=[(f"bad {path}", 1)], remarks=[f"look at {path}"])
    assert "x.csv" in page
    assert "/srv/" not in page


@pytest.mark.slow
def test_an_older_record_leaves_the_new_blocks_out(tmp_path: Path) -> None:
    old = samples.old_data()
    page = render_html(view_of(old))
    check_page(page)
    chapters = chapters_of(old)
    assert [figure.key for c in chapters.values() for figure in c.figures] == [
        "data-flow",
        "distribution",
    ]
    assert chapters["data-inclusion"].badge is None
    assert "sex, age_approx" in said(chapters["data-columns"])
    assert "5 groups of lesions" in said(chapters["data-duplicates"])
    for absent in ("NOTHING SHARED", "SHA-256 1d", "Decoder", "look alike", "cannot be decoded"):
        assert absent not in page
    check_page(page_of(tmp_path, old))


def test_unlabelled_data_says_so_and_draws_no_class(tmp_path: Path) -> None:
    data = unlabelled()
    chapters = chapters_of(data, splits=False)
    assert chapters["data-classes"].texts == ("No labels: none of the 5,189 lesions has one.",)
    assert not chapters["data-classes"].tables
    keys = [figure.key for chapter in chapters.values() for figure in chapter.figures]
    assert keys == ["data-flow", "data-numeric", "data-categories"]
    page = page_of(tmp_path, data)
    check_page(page)
    assert "10,378 images (clinical and dermoscopic), without labels." in page


def test_the_data_page_names_classes_that_are_too_small_to_judge(tmp_path: Path) -> None:
    first, second, *others = CLASSES
    counts = {first: 49, second: 9} | dict.fromkeys(others, 50)
    page = page_of(tmp_path, changed(class_counts=counts))
    assert (
        f"2 classes have fewer than 50 lesions ({second} 9 and {first} 49): a test part of a fifth holds "
        "fewer than ten of such a class, too few to judge it." in page
    )
    assert "fewer than 50" not in page_of(
        tmp_path, changed(class_counts=dict.fromkeys(CLASSES, 50))
    )
    # A class without a case is said elsewhere.
    assert "fewer than 50" not in page_of(tmp_path, changed(class_counts={first: 50, second: 0}))


def test_the_data_page_stands_alone(tmp_path: Path) -> None:
    data = changed(proof=None)
    page = page_of(tmp_path, data, remarks=["5 identical images"])
    check_page(page)
    assert "<title>MILK10k: data report</title>" in page
    assert len(page.encode()) < 2_000_000
    for text in ("CC-BY-NC 4.0", "doi 10.34970/262082", "ab" * 32, "5 identical images"):
        assert text in page
    assert "22 November 2026" in page
    assert "milkreport 0.1.0" in page
    assert page == page_of(tmp_path, data, remarks=["5 identical images"])
    body = page[page.index("<body") :]
    numbers = re.findall(r'<h2 id="([\w-]+)-title"><span class="number">(\d)</span>', body)
    assert [int(number) for _, number in numbers] == list(range(1, 7))
    assert "test once" not in page


@pytest.mark.slow
def test_the_verdict_is_that_of_the_problems(tmp_path: Path) -> None:
    sound = page_of(tmp_path, changed())
    assert "SOUND" in sound
    assert "verdict pass" in sound
    assert "verdict fail" not in sound
    found = [("truncated", 12), ("missing", 3), ("no label", 1)]
    bad = page_of(tmp_path, changed(), problems=found)
    assert "3 kinds of problems:" in bad
    assert "truncated 12, missing 3 and no label 1." in bad
    assert "verdict fail" in bad
    assert "SOUND" not in bad
    assert "1 kind of problem:" in page_of(tmp_path, changed(), problems=found[:1])


@pytest.mark.slow
def test_synthetic_data_carries_its_banner(tmp_path: Path) -> None:
    assert 'class="banner"' in page_of(tmp_path, samples.sample_data(synthetic=True))
    assert 'class="banner"' not in page_of(tmp_path, samples.sample_data())


@pytest.mark.slow
def test_the_pdf_holds_every_chapter_and_is_tagged(tmp_path: Path) -> None:
    data = samples.sample_data()
    assert data.proof is not None
    proof = data.proof.model_copy(update={"shared_images": 4})
    view = view_of(data.model_copy(update={"proof": proof}))
    write_pdf(render_print(view), tmp_path / "r.pdf", created="2026-11-22T14:05:00Z")
    reader = PdfReader(io.BytesIO((tmp_path / "r.pdf").read_bytes()))
    assert reader.root_object["/MarkInfo"]["/Marked"]
    titles: list[str] = []
    for entry in reader.outline:
        titles += [e.title for e in entry] if isinstance(entry, list) else [entry.title]
    text = "".join(page.extract_text() for page in reader.pages)
    for number, chapter in enumerate(view.data.chapters, 1):
        assert f"2.{number} {chapter.title}" in titles
        assert chapter.title in text
    assert "PARTS SHARE DATA" in text
    assert "4 images" in text
    there = re.sub(r"\s+", "", text)
    for chapter in view.data.chapters:
        for table in chapter.tables:
            for row in (row for group in table.groups for row in group.rows):
                assert all(re.sub(r"\s+", "", cell.text) in there for cell in row.cells[1:])


@pytest.mark.slow
def test_hostile_text_renders_on_paper(tmp_path: Path) -> None:
    results = samples.sample_results(rename=dict(zip(CLASSES, HOSTILE, strict=False)))
    page = render_print(view_of(hostile(), results))
    write_pdf(page, tmp_path / "r.pdf", created="", seconds=60)
    assert len(PdfReader(tmp_path / "r.pdf").pages) < 30


@pytest.mark.slow
def test_figures_belong_to_the_report() -> None:
    view = view_of(samples.sample_data())
    assert isinstance(view.data, DataView)
    assert set(view.data.figures) <= set(view.figures)
    check_page(render_html(view))
