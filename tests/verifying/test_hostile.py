"""Reports that were built to harm whoever verifies them: one line, a code, nothing written, nothing run."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, NameObject, create_string_object

from milkreport.evidence.read import read_evidence
from milkreport.evidence.record import PREDICTIONS, RECORD, Evidence
from tests.conftest import call_main
from tests.verifying import planted

BLANK = 595


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Evidence]:
    """A page, and what it carries."""
    folder = tmp_path_factory.mktemp("honest")
    planted.write_tables(folder, 60)
    out = planted.evaluate(folder, "--no-pdf", "--no-intervals")
    page = (out / "report.html").read_text(encoding="utf-8")
    return page, read_evidence(page.encode(), "report.html")


def blank() -> PdfWriter:
    writer = PdfWriter()
    writer.add_blank_page(BLANK, BLANK)
    return writer


def raw_zip(*entries: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return out.getvalue()


class Harm:
    """A pickle that leaves a mark where it is opened."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("HARMED"),)


def carrying(zipped: bytes) -> Callable[[Evidence], dict[str, bytes]]:
    return lambda evidence: planted.with_file(evidence, PREDICTIONS, zipped, True).carried


def with_results(data: bytes) -> Callable[[Evidence], dict[str, bytes]]:
    return lambda evidence: planted.with_file(evidence, "results.json", data, True).carried


def results_with(name: str) -> Callable[[Evidence], dict[str, bytes]]:
    def change(evidence: Evidence) -> dict[str, bytes]:
        record = json.loads(evidence.files["results.json"])
        record["arms"][0]["name"] = name
        data = json.dumps(record).encode()
        return planted.with_file(evidence, "results.json", data, True).carried

    return change


def record_with(**fields: object) -> Callable[[Evidence], dict[str, bytes]]:
    def change(evidence: Evidence) -> dict[str, bytes]:
        record = json.loads(evidence.carried[RECORD]) | fields
        return evidence.carried | {RECORD: json.dumps(record).encode()}

    return change


DEEP = b"[" * 5000 + b"]" * 5000
ATTACKS: dict[str, Callable[[Evidence], dict[str, bytes]]] = {
    "a zip bomb": carrying(raw_zip(("one/seed-0/fold-0.csv", b"0" * 400_000_000))),
    "a name that leads out": carrying(raw_zip(("../../HARMED", b"x"))),
    "an absolute name": carrying(raw_zip(("/tmp/HARMED", b"x"))),
    "a pickle in the zip": carrying(raw_zip(("model.pkl", pickle.dumps(Harm())))),
    "a pickle for a zip": carrying(pickle.dumps(Harm())),
    "half a zip": lambda e: carrying(e.files[PREDICTIONS][:900])(e),
    "a pickle for results": lambda e: (
        planted.with_file(e, "results.json", pickle.dumps(Harm()), True).carried
    ),
    "results that are not UTF-8": lambda e: (
        planted.with_file(e, "results.json", b'{"a": "\xff"}', True).carried
    ),
    "results nested deeply": lambda e: planted.with_file(e, "results.json", DEEP, True).carried,
    "an arm whose name leads out": results_with("../../HARMED"),
    "an arm whose name is a path": results_with("/tmp/HARMED"),
    "a file name that leads out": record_with(
        files=[{"name": "../HARMED", "bytes": 1, "sha256": ""}]
    ),
    "a record that is none": lambda e: e.carried | {RECORD: b"[]"},
    "no record": lambda e: {k: v for k, v in e.carried.items() if k != RECORD},
    "a suite that is none": lambda e: e.carried | {"suite.toml": b"\xff\xfe"},
}


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_hostile_page_and_a_hostile_pdf_are_refused(
    honest: tuple[str, Evidence], tmp_path: Path, name: str
) -> None:
    page, evidence = honest
    files = ATTACKS[name](evidence)
    writer = blank()
    for file, data in files.items():
        writer.add_attachment(file, data)
    place = tmp_path / "below" / "here"  # so that a name that leads out stays in this test's folder
    place.mkdir(parents=True)
    (place / "report.html").write_text(planted.page_with(page, files), encoding="utf-8")
    (place / "report.pdf").write_bytes(planted.write_pdf(writer))
    before = set(tmp_path.rglob("*"))
    for report in ("report.html", "report.pdf"):
        done = call_main(["verify", report], place)
        assert done.returncode == 3, done.stderr
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        assert "Traceback" not in done.stderr
        assert call_main(["report", report, "--out", "drawn", "--no-pdf"], place).returncode == 3
        assert call_main(["compare", report, report], place).returncode == 3
    written = set(tmp_path.rglob("*")) - before
    assert not [path for path in written if "HARMED" in path.name]
    assert not Path("HARMED").exists()
    assert not Path("/tmp/HARMED").exists()


def encrypted(writer: PdfWriter) -> bytes:
    writer.encrypt("secret", algorithm="RC4-128")
    return planted.write_pdf(writer)


def cyclic_names(writer: PdfWriter) -> bytes:
    tree = DictionaryObject()
    place = writer._add_object(tree)
    tree[NameObject("/Kids")] = ArrayObject([place, place])
    writer.root_object[NameObject("/Names")] = DictionaryObject(
        {NameObject("/EmbeddedFiles"): place}
    )
    return planted.write_pdf(writer)


def twice(writer: PdfWriter) -> bytes:
    writer.add_attachment("results.json", b"{}")
    writer.add_attachment("results.json", b"[]")
    return planted.write_pdf(writer)


def many(writer: PdfWriter) -> bytes:
    for i in range(60):
        writer.add_attachment(f"f{i}", b"x")
    return planted.write_pdf(writer)


def bomb(writer: PdfWriter) -> bytes:
    attached = writer.add_attachment("results.json", b"x")
    stream = attached.pdf_object["/EF"].get_object()["/F"].get_object()  # type: ignore[index]
    squeezing = zlib.compressobj(9)
    piece = squeezing.compress(b"\0" * 10_000_000)
    stream._data = b"".join([piece, *(squeezing.compress(b"\0" * 10_000_000) for _ in range(60))])
    stream._data += squeezing.flush()
    stream[NameObject("/Filter")] = NameObject("/FlateDecode")
    return planted.write_pdf(writer)


def other_filter(writer: PdfWriter) -> bytes:
    attached = writer.add_attachment("results.json", b"x")
    stream = attached.pdf_object["/EF"].get_object()["/F"].get_object()  # type: ignore[index]
    stream[NameObject("/Filter")] = NameObject("/Crypt")
    return planted.write_pdf(writer)


def name_that_leads_out(writer: PdfWriter) -> bytes:
    writer.add_attachment("../HARMED", b"x")
    return planted.write_pdf(writer)


def odd_name(writer: PdfWriter) -> bytes:
    writer.add_attachment("results.json\x1b[31m", b"x")
    return planted.write_pdf(writer)


def content_that_is_none(writer: PdfWriter) -> bytes:
    attached = writer.add_attachment("results.json", b"x")
    files = attached.pdf_object["/EF"].get_object()  # type: ignore[index]
    files[NameObject("/F")] = create_string_object("no stream")
    return planted.write_pdf(writer)


@pytest.mark.parametrize(
    "build",
    [
        *(encrypted, cyclic_names, twice, many, bomb, other_filter, name_that_leads_out, odd_name),
        content_that_is_none,
    ],
    ids=lambda build: build.__name__,
)
def test_a_hostile_pdf_is_refused(tmp_path: Path, build: Callable[[PdfWriter], bytes]) -> None:
    (tmp_path / "report.pdf").write_bytes(build(blank()))
    done = call_main(["verify", "report.pdf"], tmp_path)
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("error: report.pdf")
    assert done.stderr.count("\n") == 1
    assert "\x1b" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["report.pdf"]


def test_a_truncated_or_garbled_pdf_is_refused(
    tmp_path: Path, honest: tuple[str, Evidence]
) -> None:
    writer = blank()
    for name, data in honest[1].carried.items():
        writer.add_attachment(name, data)
    whole = planted.write_pdf(writer)
    assert PdfReader(io.BytesIO(whole)).pages
    for data in (whole[: len(whole) // 2], whole[:20], b"%PDF-1.7\n" + b"\0" * 1000, b"%PDF-"):
        (tmp_path / "report.pdf").write_bytes(data)
        done = call_main(["verify", "report.pdf"], tmp_path)
        assert done.returncode in (3, 5)
        assert done.stderr.count("\n") == 1


def test_what_is_no_report_is_named(tmp_path: Path, honest: tuple[str, Evidence]) -> None:
    page, evidence = honest
    twice = planted.page_with(page, evidence.carried).replace("</main>", "</main>" + page)
    (tmp_path / "twice.html").write_text(twice, encoding="utf-8")
    (tmp_path / "latin.html").write_bytes(
        planted.page_with(page, evidence.carried).encode() + b"\xff"
    )
    for words, said in (
        (["verify", "missing.pdf"], "no such report"),
        (["verify", "twice.html"], "carries evidence twice"),
        (["verify", "latin.html"], "not UTF-8 at byte"),
        (["report", "missing.pdf", "--out", "x"], "no such report"),
    ):
        done = call_main(words, tmp_path)
        assert done.returncode == 3, done.stderr
        assert said in done.stderr
    (tmp_path / "empty").mkdir()
    assert call_main(["verify", "empty"], tmp_path).returncode == 3
    done = call_main(["verify", "twice.html", "--exact"], tmp_path)
    assert (done.returncode, "give the run folder" in done.stderr) == (2, True)
