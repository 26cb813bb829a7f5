"""Checks a run folder against a reference or another run folder, and keeps the verdict beside it."""

from __future__ import annotations

from pathlib import Path

from milkreport.checks.audit.audit import audit
from milkreport.checks.audit.findings import Audit
from milkreport.checks.earlier import check_earlier
from milkreport.checks.published import check_published
from milkreport.checks.reference import (
    FILE,
    Reference,
    find_reference,
    list_references,
    load_reference,
)
from milkreport.checks.verdict import Verdict
from milkreport.errors import DataError
from milkreport.evaluation.records.results import Results
from milkreport.gate.frozen import differences, freeze
from milkreport.runs.collect import load_test_predictions
from milkreport.runs.folder import RunFolder


def check_run(folder: RunFolder, against: str) -> Verdict:
    """Check a run against a shipped or frozen reference, a reference file, or the folder of an earlier run.

    The verdict is written to ``checks.json``, and what was found of published figures themselves to
    ``audit.json``.

    Raises:
        ConfigError: no such reference. DataError: not a finished run.
    """
    verdict, found = compare_run(folder, against)
    folder.write_audit(found)
    folder.write_verdict(verdict)
    return verdict


def compare_run(folder: RunFolder, against: str) -> tuple[Verdict, Audit | None]:
    """The same without writing anything."""
    results = folder.load_results()
    reference, earlier = _find(against)
    if earlier is None:
        # Predictions that were made elsewhere state no protocol.
        settings = folder.load_suite().flat() if folder.has_suite else {}
        return check_published(results, settings, reference), audit(reference)
    assert reference.frozen is not None
    verdict = check_earlier(
        results,
        reference,
        load_test_predictions(folder, results),
        load_test_predictions(earlier, earlier.load_results()),
        differences(folder.load_manifest(), reference.frozen),
        folder.load_case_facts(),
    )
    return verdict, None


def _find(against: str) -> tuple[Reference, RunFolder | None]:
    """A reference, and the folder of its predictions where it was frozen from a run."""
    folder = RunFolder(Path(against))
    if _is_run(against) and not (folder.path / FILE).is_file():
        return freeze(folder, _name(folder.path), "not frozen: an earlier run as it is"), folder
    reference = load_reference(against)
    if reference.frozen is None:
        return reference, None
    return reference, RunFolder(find_reference(against).parent)


def _is_run(against: str) -> bool:
    """Whether a run folder is meant; one with the name of a reference is named by a path: ``./paper``."""
    return against not in list_references() and RunFolder(Path(against)).is_run()


def _name(path: Path) -> str:
    """A folder's name as a reference may be called."""
    safe = "".join(
        c if c.isascii() and (c.isalnum() or c in "_.-") else "-" for c in path.resolve().name
    )
    return safe.lstrip("_.-")[:64] or "run"


def stored_reference(folder: RunFolder) -> str:
    """The reference that the suite of a run names; empty if it has none.

    Raises:
        DataError: it is a file or folder. Which of these is opened is the user's to say, not a folder's.
    """
    reference = folder.load_suite().reference if folder.has_suite else ""
    if reference and reference not in list_references():
        what = f"its suite names {reference[:200]!r}, neither a shipped nor a frozen reference"
        raise DataError(what, "name the file or folder: --against", str(folder.path))
    return reference


def is_comparable(results: Results, reference: str) -> bool:
    """Whether the figures that a suite names say anything of these results: real, and of the same data."""
    if results.data.synthetic or not reference:
        return False
    if _is_run(reference):
        return True
    return load_reference(reference).data == results.data.name


def refuse_unknown(reference: str) -> None:
    """Raise a ConfigError if *reference* names neither a run folder nor a reference."""
    if reference and not _is_run(reference):
        load_reference(reference)
