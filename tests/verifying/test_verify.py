"""``milkreport verify``: an honest report passes, and every change that was planted is found and named."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pypdf import PdfReader, PdfWriter
from pypdf.annotations import FreeText
from pypdf.generic import (
    DecodedStreamObject,
    DictionaryObject,
    NameObject,
    NullObject,
    NumberObject,
    RectangleObject,
    TextStringObject,
)

from milkreport import __version__
from milkreport.evidence.pdf import open_pdf
from milkreport.evidence.read import read_evidence
from milkreport.evidence.record import Evidence
from milkreport.evidence.source import lay_out
from milkreport.runs.folder import RunFolder
from milkreport.verifying import verify as verifying
from milkreport.verifying.drawn import Drawn, draw_again
from milkreport.verifying.expected import Expected, Piece, read_expected
from milkreport.verifying.pdf_text import read_pages
from milkreport.verifying.printed import compare_pages
from milkreport.verifying.record import Outcome, Verification
from milkreport.verifying.redrawn import compare_bytes
from milkreport.verifying.registered import compare_registration
from tests.conftest import call_main
from tests.verifying import planted

GROUPED = ("--metadata", "meta.csv", "--group", "patient", "--slice", "side")
BINARY = ("--positive", "wart", "--operating", "sensitivity=0.8", "--prevalence", "0.05")


@dataclass(frozen=True)
class Made:
    """A report, its evidence and the same drawn again."""

    folder: Path
    evidence: Evidence
    drawn: Drawn

    @property
    def pdf(self) -> bytes:
        return (self.folder / "report.pdf").read_bytes()

    @property
    def page(self) -> str:
        return (self.folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    planted.write_tables(folder)
    out = planted.evaluate(folder, *GROUPED, *BINARY, "--pdf", "require")
    evidence = read_evidence((out / "report.pdf").read_bytes(), "report.pdf")
    laid = lay_out(evidence, folder / "laid", "report.pdf")
    return Made(out, evidence, draw_again(laid, laid.load_results(), evidence))


def numbers_of(made: Made, evidence: Evidence, place: Path) -> list[Any]:
    """The groups on hashes and numbers of other evidence."""
    shutil.rmtree(place, ignore_errors=True)
    folder = lay_out(evidence, place, "report.pdf")
    results = folder.load_results()
    return [
        verifying._files(folder, results, evidence),
        verifying._numbers(folder, results, True, "")[0],
    ]


def compared(made: Made, data: bytes, is_pdf: bool = True) -> list[Any]:
    pdf = open_pdf(data, "it") if is_pdf else None
    found, others = verifying._compare(
        verifying._Report("it", data, pdf, made.evidence), made.drawn
    )
    return [*found.differences, *others]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["report.pdf", "report.html"])
def test_a_report_is_verified_in_another_folder(made: Made, tmp_path: Path, name: str) -> None:
    shutil.copy(made.folder / name, tmp_path / name)
    done = call_main(["verify", name, "--json"], tmp_path)
    assert done.returncode == 0, done.stdout
    found = Verification.model_validate_json(done.stdout)
    assert found.outcome is Outcome.VERIFIED
    hashes, numbers, printed = found.groups
    assert (hashes.total, hashes.equal) == (
        5,
        5,
    )  # results, manifest and zip; two tables of predictions
    assert numbers.total == numbers.equal > 1000
    assert printed.total == printed.equal > 500
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.slow
def test_a_run_is_verified_with_its_reports(made: Made) -> None:
    done = call_main(["verify", str(made.folder)], made.folder)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "hashes", "recomputed", "carried by report.pdf", "printed, report.pdf", "carried by report.html",
        "printed, report.html", "taken as given", "VERIFIED",
    ]  # fmt: skip
    assert re.match(r"recomputed: ([\d,]+) of \1 numbers", lines[1])


@pytest.mark.slow
def test_every_changed_letter_of_the_pdf_is_found_on_its_page(made: Made) -> None:
    assert compared(made, made.pdf) == []
    rng = np.random.default_rng(11)
    glyphs = planted.glyphs_of(made.pdf)
    for _ in range(15):
        number, at = glyphs[rng.integers(len(glyphs))]
        data, old, new = planted.pdf_with_glyph(made.pdf, number, at)
        if not old.strip():
            continue  # a blank for a letter changes the text as well, a blank for a blank nothing
        found = compared(made, data)
        assert {d.page for d in found} == {number + 1}, (number, at, old, new)
        assert any(new in d.printed or old in d.expected for d in found)


@pytest.mark.slow
def test_a_pdf_that_was_written_again_unchanged_still_passes(made: Made) -> None:
    """Negative control of the planted changes."""
    assert compared(made, planted.pdf_with(made.pdf, made.evidence.carried)) == []


@pytest.mark.slow
def test_every_changed_letter_of_the_page_is_found(made: Made) -> None:
    assert compared(made, made.page.encode(), is_pdf=False) == []
    rng = np.random.default_rng(12)
    page = made.page.encode()
    # Letters of ASCII, so that UTF-8 stays UTF-8; those of the embedded evidence have tests of their own.
    carried = verifying.PLACE.search(page)
    assert carried is not None
    places = [
        i for i in rng.integers(len(page), size=40) if page[i] < 128 and page[i : i + 1].strip()
    ]
    places = [i for i in places if not carried.start() <= i < carried.end()][:12]
    assert len(places) == 12
    for at in places:
        assert compared(made, planted.change_letter(page, at), is_pdf=False), page[
            at - 20 : at + 20
        ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "is_hidden", [False, True], ids=["hash as it was", "hash brought up to date"]
)
def test_every_changed_number_of_the_results_is_found(
    made: Made, tmp_path: Path, is_hidden: bool
) -> None:
    rng = np.random.default_rng(13)
    text = made.evidence.files["results.json"]
    start, end = text.index(b'"parts"'), text.index(b'"curves"')
    digits = [m.start() for m in re.finditer(rb"(?<=\.\d{3})\d", text[start:end])]
    for at in rng.choice(digits, 6, replace=False):
        changed = planted.change_letter(text, start + int(at))
        groups = numbers_of(
            made,
            planted.with_file(made.evidence, "results.json", changed, is_hidden),
            tmp_path / "run",
        )
        assert groups[1].outcome is Outcome.DIFFERENT
        assert groups[1].faults[0].place.startswith("results.json, arms[one].parts")
        assert (groups[0].outcome is Outcome.DIFFERENT) is not is_hidden


@pytest.mark.slow
@pytest.mark.parametrize(
    "is_hidden", [False, True], ids=["hash as it was", "hash brought up to date"]
)
def test_every_changed_prediction_is_found(made: Made, tmp_path: Path, is_hidden: bool) -> None:
    rng = np.random.default_rng(14)
    name = "two/seed-0/fold-0.csv"
    table = planted.members(made.evidence)[name]
    digits = [m.start() for m in re.finditer(rb"(?<=0\.)\d", table)]
    for at in rng.choice(digits, 6, replace=False):
        changed = planted.change_letter(table, int(at))
        evidence = planted.with_member(made.evidence, name, changed, is_hidden)
        groups = numbers_of(made, evidence, tmp_path / "run")
        assert groups[0].faults[-1].place == "predictions of two, seed 0, fold 0"
        # Of hashes alone the second is in results.json, whose change would be found by the numbers.
        assert len(groups[0].faults) == (1 if is_hidden else 2)


def without_temperature(made: Made, version: str, is_null: bool) -> Evidence:
    """The report's evidence, of *version*, without the first arm's temperature or with null there."""
    record = json.loads(made.evidence.files["results.json"])
    calibration = record["arms"][0]["parts"][0]["calibration"]
    assert calibration.pop("temperature") is not None
    if is_null:
        calibration["temperature"] = None
    manifest = json.loads(made.evidence.files["manifest.json"])
    manifest["milkreport"] = version
    evidence = planted.with_file(made.evidence, "results.json", json.dumps(record).encode(), True)
    return planted.with_file(evidence, "manifest.json", json.dumps(manifest).encode(), True)


@pytest.mark.slow
@pytest.mark.parametrize("is_null", [False, True])
def test_numbers_that_an_older_version_did_not_write_are_counted(
    made: Made, tmp_path: Path, is_null: bool
) -> None:
    evidence = without_temperature(made, "0.1.0", is_null)
    numbers = numbers_of(made, evidence, tmp_path / "run")[1]
    assert numbers.outcome is Outcome.VERIFIED
    assert numbers.remarks[0].startswith("1 more follow that results.json")


@pytest.mark.slow
@pytest.mark.parametrize("is_null", [False, True])
def test_numbers_that_were_taken_out_of_our_own_results_are_missed(
    made: Made, tmp_path: Path, is_null: bool
) -> None:
    evidence = without_temperature(made, __version__, is_null)
    numbers = numbers_of(made, evidence, tmp_path / "run")[1]
    (fault,) = numbers.faults
    assert "calibration.temperature" in fault.place
    missing = "nothing" if is_null else "no such entry"
    assert fault.text.startswith(f"has {missing}, computed is ")


@pytest.mark.slow
def test_numbers_that_were_changed_in_results_and_text_alike_do_not_follow_from_predictions(
    made: Made, tmp_path: Path
) -> None:
    """The forger draws the report again from changed results: only the predictions tell."""
    text = made.evidence.files["results.json"].decode()
    record = json.loads(text)
    metrics = record["arms"][1]["parts"][0]["metrics"]["macro_f1"]
    metrics["value"] += 0.05
    changed = (json.dumps(record) + "\n").encode()
    evidence = planted.with_file(made.evidence, "results.json", changed, True)
    laid = lay_out(evidence, tmp_path / "run", "it")
    drawn = draw_again(laid, laid.load_results(), evidence)
    (tmp_path / "report.html").write_text(drawn.page(), encoding="utf-8")
    done = call_main(["verify", "report.html"], tmp_path)
    assert done.returncode == 1
    assert "hashes: 5 of 5" in done.stderr
    assert "arms[two].parts[0].metrics.macro_f1.value: has 0." in done.stderr
    assert "printed, report.html: " in done.stderr
    followed = done.stderr.partition("printed, by predictions: DIFFERENT")[2]
    assert "the predictions give" in followed


@pytest.mark.slow
def test_arms_whose_predictions_were_swapped_are_found(made: Made, tmp_path: Path) -> None:
    tables = planted.members(made.evidence)
    one, two = "one/seed-0/fold-0.csv", "two/seed-0/fold-0.csv"
    evidence = planted.with_member(made.evidence, one, tables[two], True)
    evidence = planted.with_member(evidence, two, tables[one], True)
    files, numbers = numbers_of(made, evidence, tmp_path / "run")
    assert [fault.place for fault in files.faults] == [
        "predictions of one, seed 0, fold 0", "predictions of two, seed 0, fold 0"
    ]  # fmt: skip
    assert len(numbers.faults) > 100


@pytest.mark.slow
def test_what_is_painted_beside_the_report_is_found(made: Made) -> None:
    """A second text, an annotation and a script: a reader sees them, so they are named."""
    links = verifying._links(made.drawn.paper())
    pages, document = read_pages(open_pdf(made.pdf, "it"), "it", links, False)
    assert document == []
    expected = read_expected(made.drawn.paper(), True)
    runs = [list(page.runs) for page in pages]
    assert compare_pages(expected, runs).differences == ()
    runs[0].insert(3, "0.99")
    found = compare_pages(expected, runs).differences
    assert [(d.page, d.printed) for d in found if "0.99" in d.printed]
    del runs[0][3]
    number, i = next(
        (number, i)
        for number, page in enumerate(runs)
        for i, run in enumerate(page[:-1])
        if re.fullmatch(r"[01]\.\d+", run)
        and re.match(r"[\d.]+\d", page[i + 1])
        and page[i + 1] != run
    )
    runs[number][i : i + 2] = runs[number][i + 1], runs[number][i]
    assert {d.page for d in compare_pages(expected, runs).differences} == {number + 1}
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(made.pdf)))
    writer.add_annotation(0, FreeText(text="0.99", rect=(50, 550, 200, 650)))
    writer.root_object[NameObject("/OpenAction")] = NullObject()
    named = [(d.page, d.printed) for d in compared(made, planted.write_pdf(writer))]
    assert (1, "an annotation (/FreeText)") in named
    assert (0, "/OpenAction in its catalogue") in named


def _painted(page: Any, operators: bytes) -> None:
    """Paint *operators* over a page."""
    data = page.get_contents().get_data() + b"\n" + operators
    stream = DecodedStreamObject()
    stream.set_data(data)
    page[NameObject("/Contents")] = stream.flate_encode()


def _with_picture(writer: PdfWriter) -> None:
    picture = DecodedStreamObject()
    picture.set_data(b"\xff\x00\x00")
    for key, value in {"Width": 1, "Height": 1, "BitsPerComponent": 8}.items():
        picture[NameObject(f"/{key}")] = NumberObject(value)
    picture[NameObject("/Type")] = NameObject("/XObject")
    picture[NameObject("/Subtype")] = NameObject("/Image")
    picture[NameObject("/ColorSpace")] = NameObject("/DeviceRGB")
    page = writer.pages[0]
    forms = page["/Resources"].get_object().setdefault(NameObject("/XObject"), DictionaryObject())
    forms.get_object()[NameObject("/Over")] = writer._add_object(picture)
    _painted(page, b"q 200 0 0 100 50 500 cm /Over Do Q")


def _linked(writer: PdfWriter, action: dict[str, str]) -> None:
    """The first link of the report does something else."""
    links = [a.get_object() for page in writer.pages for a in page.get("/Annots", ())]
    links[0].pop(NameObject("/Dest"), None)
    links[0][NameObject("/A")] = DictionaryObject(
        {
            NameObject(key): NameObject(v) if v.startswith("/") else TextStringObject(v)
            for key, v in action.items()
        }
    )


def _with_other_link(writer: PdfWriter) -> None:
    _linked(writer, {"/S": "/URI", "/URI": "https://example.org/other"})


def _with_launch(writer: PdfWriter) -> None:
    _linked(writer, {"/S": "/Launch"})


def _turned(writer: PdfWriter) -> None:
    writer.pages[0][NameObject("/Rotate")] = NumberObject(180)


def _cropped(writer: PdfWriter) -> None:
    writer.pages[0].cropbox = RectangleObject((0, 0, 300, 300))


def _hidden_text(writer: PdfWriter) -> None:
    _painted(writer.pages[0], b"BT 3 Tr ET")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_with_picture, "a picture"),
        (_with_other_link, "a link to 'https://example.org/other'"),
        (_with_launch, "a link that acts"),
        (_turned, "turned or cropped"),
        (_cropped, "turned or cropped"),
        (_hidden_text, "text that is not shown"),
    ],
)
def test_what_covers_or_leads_elsewhere_is_found(
    made: Made, change: Callable[[PdfWriter], None], said: str
) -> None:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(made.pdf)))
    change(writer)
    assert said in [d.printed for d in compared(made, planted.write_pdf(writer))]


def _with_box(writer: PdfWriter) -> None:
    _painted(writer.pages[1], b"1 g 50 500 200 100 re f")


def _with_alternative(writer: PdfWriter) -> None:
    found = [o for i in range(len(writer._objects)) if "/Alt" in (o := _object(writer, i))]
    found[0][NameObject("/Alt")] = TextStringObject("0.999")


def _object(writer: PdfWriter, i: int) -> Any:
    held = writer._objects[i]
    return held if isinstance(held, DictionaryObject) else {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "page"), [(_with_box, 2), (_with_alternative, 0)], ids=["box", "alternative"]
)
def test_what_no_text_shows_is_found_by_drawing_again(
    made: Made, change: Callable[[PdfWriter], None], page: int
) -> None:
    manifest = RunFolder(made.folder).load_manifest()
    honest = compare_bytes(made.pdf, "it", manifest, made.drawn)
    assert (honest.outcome, honest.total) == (Outcome.VERIFIED, len(made.pdf))
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(made.pdf)))
    change(writer)
    forged = planted.write_pdf(writer)
    assert compared(made, forged) == []  # the text is the same
    (fault,) = compare_bytes(forged, "it", manifest, made.drawn).faults
    assert fault.page == page


@pytest.mark.parametrize(
    ("pages", "found"),
    [
        # The section that cannot be known ends with its page; the next begins on a new one.
        (["Before1x"], ["2LabelsToLookAtNext"]),
        # It ends within a page, and that page within the first words of the next section.
        (["Before1xy2LabelsToLookAt"], ["Next"]),
        (["Before1xy2LabelsToLookAtNext"], []),
    ],
)
def test_a_part_that_cannot_be_known_ends_where_the_next_begins(
    pages: list[str], found: list[str]
) -> None:
    def piece(text: str, section: int, unknown: bool = False) -> Piece:
        return Piece((text,), "", section, -1, is_unknown=unknown)

    pieces = [
        piece("Before", 0),
        piece("1", 1),
        piece("", 1, True),
        piece("2LabelsToLookAt", 2),
        piece("Next", 2),
    ]
    expected = Expected(pieces, ["A", "B", "C"])
    whole = [*pages, *found]
    # A page's margin names the section at its top.
    margins = ["", "C"]
    runs = [
        [t, f"{m}{i}of{len(whole)}"]
        for i, (t, m) in enumerate(zip(whole, margins, strict=False), 1)
    ]
    assert compare_pages(expected, runs).differences == ()
    runs[-1][0] = runs[-1][0].replace("Next", "Text")
    assert compare_pages(expected, runs).differences != ()


@pytest.mark.slow
def test_two_reports_are_compared_and_checked_like_run_folders(made: Made, tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    for place in (a, b):
        place.mkdir()
        shutil.copy(made.folder / "report.pdf", place / "report.pdf")
    as_runs = call_main(["compare", str(made.folder), str(made.folder), "--json"], tmp_path)
    as_reports = call_main(["compare", "a/report.pdf", "b/report.pdf", "--json"], tmp_path)
    assert as_reports.returncode == 0, as_reports.stderr
    mine, theirs = (json.loads(done.stdout) for done in (as_reports, as_runs))
    assert [r["arms"][0]["parts"] for r in mine] == [r["arms"][0]["parts"] for r in theirs]
    shutil.copytree(made.folder, tmp_path / "run")
    checked = call_main(["check", "run", "--against", "a/report.pdf", "--json"], tmp_path)
    folder = call_main(["check", "run", "--against", str(made.folder), "--json"], tmp_path)
    mine, theirs = (json.loads(done.stdout)["rows"] for done in (checked, folder))
    assert mine == theirs
    assert {row["status"] for row in mine if row["metric"] == "macro_f1"} == {"PASS"}


@pytest.mark.slow
def test_a_report_is_drawn_again_from_itself_to_the_same_bytes(made: Made, tmp_path: Path) -> None:
    done = call_main(["report", str(made.folder / "report.pdf"), "--out", "drawn"], tmp_path)
    assert done.returncode == 0, done.stderr
    for name in ("report.pdf", "report.html"):
        assert (tmp_path / "drawn" / name).read_bytes() == (made.folder / name).read_bytes()
    again = call_main(["report", str(made.folder / "report.pdf"), "--out", "drawn"], tmp_path)
    assert again.returncode == 2


@pytest.mark.slow
def test_numbers_alone_are_verified_as_far_as_they_can_be(tmp_path: Path) -> None:
    planted.write_tables(tmp_path)
    out = planted.evaluate(tmp_path, "--no-cases", "--no-pdf")
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "case-00" not in page
    done = call_main(["verify", "out/report.html"], tmp_path)
    assert done.returncode == 0
    assert (
        "recomputed: NOT VERIFIED, numbers are not computed again: it was asked for without"
        in done.stderr
    )
    assert re.search(r"printed, report.html: ([\d,]+) of \1 numbers", done.stderr)
    assert call_main(["verify", "out/report.html", "--strict"], tmp_path).returncode == 5
    value = re.search(r"<bdi>(0\.\d\d)(\d)</bdi>", page)
    assert value is not None
    digit = str((int(value[2]) + 1) % 10)
    changed = page[: value.start(2)] + digit + page[value.end(2) :]
    (out / "report.html").write_text(changed, encoding="utf-8")
    done = call_main(["verify", "out/report.html"], tmp_path)
    assert done.returncode == 1
    assert f"printed '{value[1]}{digit}', the results give '{value[1]}{value[2]}'" in done.stderr
    refused = call_main(["compare", "out/report.html", "out/report.html"], tmp_path)
    assert refused.returncode == 3
    assert "carries no predictions: it was asked for without single cases" in refused.stderr


@pytest.mark.slow
def test_a_report_of_numbers_that_lists_cases_is_verified_but_for_the_cases(tmp_path: Path) -> None:
    planted.write_tables(tmp_path)
    planted.evaluate(tmp_path, "--evidence", "numbers", "--no-pdf")
    done = call_main(["verify", "out/report.html"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "numbers are not computed again" in done.stderr


def test_a_report_without_evidence_says_so_and_ends_with_5(tmp_path: Path) -> None:
    planted.write_tables(tmp_path)
    out = planted.evaluate(tmp_path, "--evidence", "none", "--no-pdf")
    done = call_main(["verify", "out/report.html"], tmp_path)
    assert done.returncode == 5
    assert done.stderr.count("\n") == 1
    assert (
        "carries no evidence: it was written with --evidence none, or by an older version"
        in done.stderr
    )
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "data:application/zip" not in page
    for name, text in (("cut", page[: len(page) // 2]), ("other", "<html><body>0.1</body></html>")):
        (tmp_path / f"{name}.html").write_text(text, encoding="utf-8")
        done = call_main(["verify", f"{name}.html"], tmp_path)
        assert done.returncode == 3
        assert "no report of milkreport, or one that is cut off" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--evidence", "most"], "--evidence is 'most' — give full, numbers, none"),
        (["--evidence", "full", "--no-cases"], "--no-cases leaves all of them out"),
    ],
)
def test_levels_that_do_not_exist_or_contradict_are_refused(
    tmp_path: Path, words: list[str], said: str
) -> None:
    planted.write_tables(tmp_path)
    line = ["evaluate", "one.csv", "--truth", "truth.csv", "--out", "out", *words]
    done = call_main(line, tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "out").exists()


#: Its accuracy is no number of cases of 120 (0.7750 is 93 of them, 0.7833 is 94).
PUBLISHED = """
schema_version = 1
name = "printed"
title = "A paper"
source = "nowhere"
data = "truth.csv"
classes = ["mole", "rash", "wart"]
split = "by case"
comparable = "same split rule"
rounding = "rounded"
margin = 0.03
margin_reason = "a test"
[n]
test = 120
[mean_over]
test = 1
[[arms]]
name = "one"
title = "One"
[[figures]]
arm = "one"
part = "test"
metric = "accuracy"
printed = "0.7790"
"""


@pytest.mark.slow
def test_a_report_with_a_check_and_an_audit_is_verified(tmp_path: Path) -> None:
    planted.write_tables(tmp_path)
    out = planted.evaluate(tmp_path, "--no-pdf")
    (tmp_path / "printed.toml").write_text(PUBLISHED, encoding="utf-8")
    checked = call_main(["check", "out", "--against", "printed.toml"], tmp_path)
    assert checked.returncode == 5, checked.stderr  # inconclusive
    assert call_main(["report", "out", "--no-pdf"], tmp_path).returncode == 0
    page = (out / "report.html").read_text(encoding="utf-8")
    assert 'id="audit"' in page
    done = call_main(["verify", "out/report.html"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "audit.json, what was found of the reference's own figures" in done.stderr
    # One digit of the section.
    at = page.index("0.7790", page.index('id="audit"'))
    (out / "report.html").write_text(page[:at] + "0.7791" + page[at + 6 :], encoding="utf-8")
    done = call_main(["verify", "out/report.html"], tmp_path)
    assert done.returncode == 1
    assert "0.7791" in done.stderr


@pytest.mark.slow
def test_seeds_and_folds_are_recomputed(tmp_path: Path) -> None:
    """Two seeds of two folds each, in one table per arm."""
    import pandas as pd

    planted.write_tables(tmp_path, 90, skills={"x": 1.0, "y": 1.6, "u": 1.2, "v": 1.9})
    for arm, names in (("one", "xy"), ("two", "uv")):
        tables = []
        for seed, name in enumerate(names):
            table = pd.read_csv(tmp_path / f"{name}.csv")
            table["seed"], table["fold"] = seed, np.arange(90) % 2
            tables.append(table)
        pd.concat(tables).to_csv(tmp_path / f"{arm}.csv", index=False)
    planted.evaluate(tmp_path, "--no-pdf")
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert len(results["arms"][0]["cells"]) == 4
    done = call_main(["verify", "out/report.html"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"recomputed: ([\d,]+) of \1 numbers", done.stderr)


@pytest.mark.slow
def test_a_registered_run_carries_its_registration(
    small: Path, cache: Path, tmp_path: Path
) -> None:
    settings = [
        "--set",
        "training.epochs=1",
        "--set",
        "data.image_size=16",
        "--set",
        "training.threads=1",
    ]
    words = ["register", "quick", "--data", str(small), "--out", "registration.json", *settings]
    assert call_main(words, tmp_path).returncode == 0
    run = [
        "run-all",
        "quick",
        "--data",
        str(small),
        "--out",
        "run",
        "--registration",
        "registration.json",
    ]
    done = call_main([*run, *settings, "--no-pdf", "--no-images", "--device", "cpu"], tmp_path)
    assert done.returncode == 0, done.stderr
    evidence = read_evidence((tmp_path / "run" / "report.html").read_bytes(), "report")
    registered = (tmp_path / "registration.json").read_bytes()
    assert evidence.files["registration.json"] == registered
    assert call_main(["verify", "run/report.html"], tmp_path).returncode == 0
    said = call_main(["verify", "run", "--json"], tmp_path)
    kept = next(
        group
        for group in Verification.model_validate_json(said.stdout).groups
        if group.name == "registration"
    )
    assert kept.outcome is Outcome.VERIFIED
    assert kept.total > 60
    # A suite and a record of it that say something else than was registered, hashes brought up to date.
    whole = {path: path.read_bytes() for path in (tmp_path / "run").glob("*.*")}
    suite = RunFolder(tmp_path / "run").load_suite()
    changed = suite.model_copy(
        update={"training": suite.training.model_copy(update={"batch_size": 7})}
    )
    folder = RunFolder(tmp_path / "run")
    folder.write_suite(changed)
    manifest = folder.load_manifest()
    folder.write_manifest(manifest.model_copy(update={"suite_sha256": changed.fingerprint()}))
    results = folder.load_results()
    assert results.adherence is not None
    assert results.adherence.registration is not None
    forged = results.adherence.registration.model_copy(update={"trainings_before": 9})
    adherence = results.adherence.model_copy(update={"registration": forged})
    folder.write_results(results.model_copy(update={"adherence": adherence}), {})
    group = compare_registration(folder, folder.load_results())
    assert group is not None
    assert [fault.place for fault in group.faults] == [
        "results.json, trainings_before",
        "registration.json, training.batch_size",
    ]
    for path, data in whole.items():
        path.write_bytes(data)
    # One that was changed, and one that is sound but of another study.
    path = tmp_path / "run" / "registration.json"
    path.write_bytes(registered.replace(b'"margin":', b'"Margin":'))
    said = call_main(["verify", "run"], tmp_path)
    assert said.returncode != 0
    assert "registration.json" in said.stdout + said.stderr
    other = ["register", "quick", "--data", str(small), "--out", "other.json", *settings]
    assert call_main([*other, "--seeds", "2"], tmp_path).returncode == 0
    path.write_bytes((tmp_path / "other.json").read_bytes())
    said = call_main(["verify", "run"], tmp_path)
    assert said.returncode != 0
    assert "not the one that results.json names" in said.stdout + said.stderr
