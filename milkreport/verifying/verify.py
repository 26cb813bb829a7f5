"""A report or run verified: are its files, numbers and words what they must be, given its predictions?"""

from __future__ import annotations

import html
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from milkreport import __version__
from milkreport.errors import DataError, MilkreportError
from milkreport.evaluation.records.results import Results
from milkreport.evidence.pack import corrupted_files, prediction_files
from milkreport.evidence.pdf import open_pdf
from milkreport.evidence.read import PLACE, NoEvidence, is_pdf, read_evidence, read_report
from milkreport.evidence.record import Evidence
from milkreport.evidence.source import lay_out
from milkreport.inside import within
from milkreport.runs.cells import PREDICTIONS, hash_file
from milkreport.runs.corrupted import FILE as CORRUPTED
from milkreport.runs.external import external_files
from milkreport.runs.folder import RunFolder
from milkreport.runs.manifest import read_versions
from milkreport.verifying.drawn import Drawn, draw_again
from milkreport.verifying.expected import read_expected
from milkreport.verifying.pdf_text import read_pages
from milkreport.verifying.printed import (
    Difference,
    Printed,
    compare_pages,
    compare_texts,
    strangers_as_differences,
)
from milkreport.verifying.recompute import Compared, compare, derive, has_corrupted, recompute
from milkreport.verifying.record import Fault, Group, Outcome, Verification, judge
from milkreport.verifying.redrawn import compare_bytes
from milkreport.verifying.registered import compare_registration

#: The reports that a run folder may hold.
DOCUMENTS = ("report.pdf", "report.html")
#: Letters around the first difference of a page's markup that are shown.
_AROUND = 30


@dataclass(frozen=True)
class _Report:
    """A report that was read. ``pdf``: opened; ``None`` of a page."""

    name: str
    data: bytes
    pdf: Any
    evidence: Evidence


def _open(path: Path, where: str) -> _Report:
    data = read_report(path)
    pdf = open_pdf(data, where) if is_pdf(data) else None
    return _Report(path.name, data, pdf, read_evidence(data, where, pdf))


def verify(path: Path, redraw: bool = False) -> Verification:
    """Verify a report, or a run folder with the reports in it. Needs no data and opens no connection.

    Args:
        redraw: also draw each PDF again, and compare its bytes.

    Raises:
        NoEvidence: a report that carries nothing. DataError: damaged, or no report and no run.
    """
    return _verify_run(RunFolder(path), redraw) if path.is_dir() else _verify_report(path, redraw)


def _verify_report(path: Path, redraw: bool) -> Verification:
    report = _open(path, str(path))
    evidence = report.evidence
    with _laid_out(evidence, path) as folder:
        results = folder.load_results()
        groups = [_files(folder, results, evidence), *_registered(folder, results)]
        numbers, computed = _numbers(
            folder, results, evidence.record.level == "full", evidence.record.reason
        )
        groups.append(numbers)
        groups += _printed(report, folder, results, redraw)
        if numbers.faults and computed is not None and computed != results:
            groups.append(_followed(report, folder, computed))
        return Verification(
            source=path.name,
            milkreport=evidence.record.milkreport,
            level=evidence.record.level,
            groups=groups,
            given=_given(folder, results),
            notes=_notes(evidence.record.milkreport),
        )


@contextmanager
def _laid_out(evidence: Evidence, path: Path) -> Iterator[RunFolder]:
    """What the report *path* carries as a run folder, while it is looked at.

    Raises:
        MilkreportError: naming the report where it would name a folder that is gone then.
    """
    with tempfile.TemporaryDirectory(prefix="milkreport-") as place:
        try:
            yield lay_out(evidence, Path(place) / "run", str(path))
        except MilkreportError as error:
            inside = error.where.removeprefix(str(Path(place) / "run")).lstrip("/\\")
            if inside == error.where:
                raise
            raise type(error)(error.what, error.do, f"{path}, {inside}") from error


def _verify_run(folder: RunFolder, redraw: bool) -> Verification:
    results, manifest = folder.load_results(), folder.load_manifest()
    groups = [_files(folder, results, None), *_registered(folder, results)]
    groups.append(_numbers(folder, results, True, "")[0])
    notes = _notes(manifest.milkreport)
    for name in DOCUMENTS:
        if not (folder.path / name).is_file():
            continue
        try:
            report = _open(folder.path / name, name)
        except NoEvidence as error:
            groups.append(
                Group(name=f"printed, {name}", outcome=Outcome.NOT_VERIFIED, remarks=[error.what])
            )
            continue
        with _laid_out(report.evidence, folder.path / name) as carried:
            theirs = carried.load_results()
            faults = [Fault(place=n, text=fault) for n, fault in report.evidence.changed().items()]
            # Findings may be muted for one drawing.
            if theirs.model_copy(update={"findings": results.findings}) != results:
                faults.append(Fault(place="results.json", text="is not that of this run folder"))
            groups.append(
                judge(f"carried by {name}", "files", len(report.evidence.record.files), faults)
            )
            groups += _printed(report, carried, theirs, redraw)
    return Verification(
        source=folder.path.name,
        milkreport=manifest.milkreport,
        level="full",
        groups=groups,
        given=_given(folder, results),
        notes=notes,
    )


def _files(folder: RunFolder, results: Results, evidence: Evidence | None) -> Group:
    """Hashes: of what is carried, of predictions as results have them, of the suite."""
    faults, total = [], 0
    if evidence is not None:
        total += len(evidence.record.files)
        faults += [Fault(place=name, text=fault) for name, fault in evidence.changed().items()]
    if evidence is None or evidence.record.level == "full":
        for sha256, cell in prediction_files(results).values():
            if sha256:
                total += 1
                if hash_file(folder.cell(cell).path / PREDICTIONS) != sha256:
                    text = "are not those whose SHA-256 results.json has"
                    faults.append(Fault(place=f"predictions of {cell}", text=text))
        for sha256, cell in corrupted_files(results).values():
            path = folder.cell(cell).path / CORRUPTED
            if evidence is None or path.is_file():
                total += 1
                if hash_file(path) != sha256:
                    text = "are not those whose SHA-256 results.json has"
                    faults.append(Fault(place=f"answers to corrupted images of {cell}", text=text))
        for name, sha256 in external_files(results).items():
            total += 1
            if hash_file(within(folder.path, *name.split("/"))) != sha256:
                text = "are not those whose SHA-256 results.json has"
                faults.append(Fault(place=f"predictions in {name}", text=text))
    if folder.has_suite:
        total += 1
        if folder.load_suite().fingerprint() != folder.load_manifest().suite_sha256:
            text = "is not the one whose SHA-256 manifest.json has"
            faults.append(Fault(place="suite.toml", text=text))
    return judge("hashes", "hashes", total, faults)


def _registered(folder: RunFolder, results: Results) -> list[Group]:
    found = compare_registration(folder, results)
    return [] if found is None else [found]


def _numbers(
    folder: RunFolder, results: Results, is_full: bool, reason: str
) -> tuple[Group, Results | None]:
    """Results against their predictions; without these, what follows from results alone."""
    try:
        verdict = folder.load_verdict()
        computed = recompute(folder, results, verdict) if is_full else derive(results, verdict)
    except MilkreportError as error:
        fault = Fault(place="predictions", text=f"cannot be scored: {error.what}")
        return judge("recomputed", "numbers", 0, [fault]), None
    except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError) as error:
        # Settings and predictions that no version of ours writes together.
        fault = Fault(
            place="results.json", text=f"cannot be computed again ({type(error).__name__})"
        )
        return judge("recomputed", "numbers", 0, [fault]), None
    is_ours = folder.load_manifest().milkreport == __version__
    found = compare(results, computed, is_full, is_ours, has_corrupted(folder, results))
    faults = [
        Fault(place=f"results.json, {m.place}", text=f"has {m.recorded}, computed is {m.computed}")
        for m in found.wrong
    ]
    group = judge("recomputed", "numbers", found.total, faults)
    if is_full:
        return group.model_copy(update={"remarks": _remarks(found)}), computed
    if faults:
        return group, None
    text = f"numbers are not computed again: {reason}"
    return Group(name="recomputed", outcome=Outcome.NOT_VERIFIED, remarks=[text]), None


def _remarks(found: Compared) -> list[str]:
    said = []
    if found.close:
        said.append(f"{found.close:,} differ by rounding alone, as on another processor or library")
    if found.absent:
        said.append(
            f"{found.absent:,} more follow that results.json, of an older version, does not have"
        )
    if found.given:
        said.append(f"{found.given:,} other numbers of results.json are taken as given")
    return said


def _printed(report: _Report, folder: RunFolder, results: Results, redraw: bool) -> list[Group]:
    """The text of a report against its results; if *redraw*, all of a PDF."""
    name, written_by = f"printed, {report.name}", report.evidence.record.milkreport
    if written_by != __version__:
        text = f"written by milkreport {written_by}, which may word it otherwise than {__version__}"
        return [Group(name=name, outcome=Outcome.NOT_VERIFIED, remarks=[text])]
    drawn = draw_again(folder, results, report.evidence)
    found, others = _compare(report, drawn)
    faults = [_fault(d) for d in [*found.differences, *others]]
    group = judge(name, "numbers", found.total, faults, found.wrong)
    remarks = [f"{found.letters:,} letters compared"]
    if drawn.unknown:
        remarks.append(f"not compared: section {' and '.join(drawn.unknown)}")
    groups = [group]
    if report.pdf is not None and redraw:
        manifest = folder.load_manifest()
        groups.append(compare_bytes(report.data, report.name, manifest, drawn))
    elif report.pdf is not None:
        remarks.append("drawings and metadata only with --redraw")
    return [group.model_copy(update={"remarks": remarks}), *groups[1:]]


def _followed(report: _Report, folder: RunFolder, computed: Results) -> Group:
    """Where the report prints what its predictions do not give."""
    found, _ = _compare(report, draw_again(folder, computed, report.evidence))
    faults = [
        Fault(
            page=d.page,
            place=d.place,
            text=f"printed {d.printed!r}, the predictions give {d.expected!r}",
        )
        for d in found.differences
    ]
    return judge("printed, by predictions", "numbers", found.total, faults, found.wrong)


def _compare(report: _Report, drawn: Drawn) -> tuple[Printed, list[Difference]]:
    """Its text, and what else in the document differs."""
    if report.pdf is not None:
        markup, pictures = drawn.paper(), report.evidence.record.pictures
        pages, document = read_pages(report.pdf, report.name, _links(markup), pictures)
        expected = read_expected(markup, True, drawn.unknown)
        found = compare_pages(expected, [page.runs for page in pages])
        return found, [*strangers_as_differences([page.strangers for page in pages], document)]
    try:
        text = report.data.decode("utf-8")
    except UnicodeDecodeError as error:
        what = f"not UTF-8 at byte {error.start:,}"
        raise DataError(what, "get the report again", report.name) from error
    page = drawn.page()
    found = compare_texts(
        read_expected(page, False, drawn.unknown), read_expected(text, False, drawn.unknown)
    )
    return found, [] if found.differences else [*_markup(page, text, drawn)]


def _links(markup: str) -> set[str]:
    return {html.unescape(link) for link in re.findall(r'href="([^"#][^"]*)"', markup)}


def _markup(expected: str, found: str, drawn: Drawn) -> Iterator[Difference]:
    """The first difference of markup, drawings, styles and scripts, where the same programs drew both."""
    versions = read_versions()
    if any(
        versions.get(name) != version for name, version in drawn.evidence.record.drawn_with.items()
    ):
        return
    one, other = (_without_unknown(text, drawn) for text in (expected, found))
    if one == other:
        return
    at = next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )
    around = slice(max(at - _AROUND, 0), at + _AROUND)
    before = re.findall(r'<section id="([\w-]+)"', one[:at])
    place = f"markup or drawings of section {before[-1]}" if before else "its head"
    yield Difference(0, place, one[around], other[around])


def _without_unknown(page: str, drawn: Drawn) -> str:
    """The page without what it carries, which is compared by itself, and without what cannot be known."""
    page = PLACE.sub(b"", page.encode()).decode()
    for key in drawn.unknown:
        page = re.sub(rf'<section id="{key}".*?</section>', "", page, flags=re.DOTALL)
    if drawn.evidence.record.level != "full":
        page = re.sub(r'(id="cases">)[^<]*', r"\1", page)
    return page


def _fault(d: Difference) -> Fault:
    text = str(d).removeprefix(f"page {d.page}, ").removeprefix(f"{d.place}: ")
    return Fault(page=d.page, place=d.place, text=text)


def _given(folder: RunFolder, results: Results) -> list[str]:
    """What no prediction proves."""
    given = [
        "the predictions and labels themselves",
        "what is said of the data and of how it was split",
    ]
    cells = [cell for arm in results.arms for cell in arm.cells]
    if any(cell.seconds is not None for cell in cells):
        given.append("training curves, times, epochs and hashes of weights")
    if folder.load_verdict() is not None:
        given.append("checks.json, the comparison with a reference")
        if folder.load_audit() is not None:
            given.append("audit.json, what was found of the reference's own figures")
    if results.readers is not None:
        given.append("the answers of human readers")
    if results.robustness is not None and not has_corrupted(folder, results):
        given.append("answers to corrupted images, which are not carried")
    if results.external:
        given.append("what an external test set is")
    if results.unlabelled:
        given.append("shares and forecasts from unlabelled predictions, which are not carried")
    return given


def _notes(written_by: str) -> list[str]:
    if written_by == __version__:
        return []
    return [
        f"written by milkreport {written_by}, verified by {__version__}: what both know is compared"
    ]
