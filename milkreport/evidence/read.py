"""The evidence of a report, from its PDF or its page: read, never trusted."""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path
from typing import Any

from milkreport.errors import DataError, EnvironmentProblem
from milkreport.evidence.pdf import attached_files, open_pdf
from milkreport.evidence.record import CONTENTS, RECORD, Evidence, EvidenceRecord
from milkreport.evidence.zips import unpack_zip
from milkreport.inside import refuse_special
from milkreport.limits import MOST_REPORT
from milkreport.parse import parse_json

SUFFIXES = (".pdf", ".html", ".htm")
#: The one place of a page that holds its evidence; ``templates/sections/provenance.html.j2`` writes it.
PLACE = re.compile(
    rb'<a id="evidence" download="[\w.-]+" href="data:application/zip;base64,([^"]*)">'
)
_GENERATOR = b'<meta name="generator" content="milkreport '
_NAMES = (RECORD, *CONTENTS)


class NoEvidence(DataError):
    """A report that carries nothing: nothing of it can be verified (exit code 5)."""

    exit_code = 5


def is_report(path: Path) -> bool:
    """Whether *path* is called like a report: a file that ends in .pdf or .html."""
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def read_report(path: Path) -> bytes:
    """The bytes of a report.

    Raises:
        DataError: not there, no regular file, or larger than any report. EnvironmentProblem: unreadable.
    """
    refuse_special(path)
    try:
        with path.open("rb") as file:
            data = file.read(MOST_REPORT + 1)
    except FileNotFoundError as error:
        raise DataError("no such report", "give a report.pdf or report.html", str(path)) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise EnvironmentProblem(
            f"cannot be read: {reason}", "check the file", str(path)
        ) from error
    if len(data) > MOST_REPORT:
        raise DataError(f"more than {MOST_REPORT / 1e6:,.0f} MB", "no report is", str(path))
    return data


def is_pdf(data: bytes) -> bool:
    """Whether these are the bytes of a PDF."""
    return data[:1024].lstrip().startswith(b"%PDF-")


def read_evidence(data: bytes, where: str, pdf: Any = None) -> Evidence:
    """What the report *data*, a PDF or a page, carries; whether it was changed is not looked at.

    Args:
        where: the report, for errors. pdf: the same opened, where it is a PDF that is read further.

    Raises:
        NoEvidence: it carries nothing. DataError: damaged, or holds what no report of ours does.
    """
    if is_pdf(data):
        files = attached_files(pdf or open_pdf(data, where), where)
        if strange := [name for name in files if name not in _NAMES]:
            what = f"carries {strange[0][:80]!r}, which no report of milkreport does"
            raise DataError(what, "get the report again from whoever made it", where)
    else:
        files = _embedded(data, where)
        if not files and not _is_whole_page(data):
            what = "no report of milkreport, or one that is cut off"
            raise DataError(what, "get the report again from whoever made it", where)
    if not files:
        what = "carries no evidence: it was written with --evidence none, or by an older version"
        do = "verify its run folder, or draw it again: milkreport report RUN"
        raise NoEvidence(what, do, where)
    try:
        record = EvidenceRecord.model_validate(parse_json(files.pop(RECORD)))
    except (KeyError, ValueError) as error:
        what = f"{RECORD} is missing, damaged or of another milkreport version"
        raise DataError(what, "use the version that wrote the report", where) from error
    return Evidence(record, files)


def _is_whole_page(data: bytes) -> bool:
    """Whether *data* begins and ends as a page of ours does."""
    return _GENERATOR in data[:4096] and data.rstrip().endswith(b"</html>")


def _embedded(page: bytes, where: str) -> dict[str, bytes]:
    """The files that a page carries."""
    found = PLACE.findall(page)
    if len(found) > 1:
        raise DataError("carries evidence twice", "get the report again", where)
    if not found:
        return {}
    try:
        packed = base64.b64decode(found[0], validate=True)
    except binascii.Error as error:
        raise DataError("its evidence is damaged", "get the report again", where) from error
    return unpack_zip(packed, _NAMES, where)
