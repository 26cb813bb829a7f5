"""HTML to PDF in a child process under a time and a memory cap. On failure the HTML stands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from pydantic import BaseModel

from milkreport.atomic import write_bytes, write_text
from milkreport.errors import PdfProblem
from milkreport.reporting import pdf_worker

SECONDS = 300.0
MEMORY_BYTES = 3 * 2**30

_HTML = "report.html is complete, print it from a browser"
_LIBRARIES = (
    "report.html is complete; for the PDF, Debian or Ubuntu: apt install "
    "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0; "
    "macOS: brew install pango; or use --no-pdf"
)


def write_pdf(
    html_for_print: str,
    path: Path,
    *,
    seconds: float = SECONDS,
    memory_bytes: int = MEMORY_BYTES,
    created: str = "",
    attachments: Sequence[tuple[str, str, bytes]] = (),
) -> None:
    """Write *html_for_print* to *path* as a tagged PDF, whole or not at all.

    Args:
        created: ISO 8601 moment that dates the PDF where SOURCE_DATE_EPOCH is not set, so that the
            same report gives the same bytes.
        attachments: name, description and bytes of each file that the PDF carries.

    Raises:
        PdfProblem: a system library is missing, or a cap was hit.
        EnvironmentProblem: the folder cannot be written.
    """
    environment = dict(os.environ)
    if not environment.get("SOURCE_DATE_EPOCH", "").isdigit():
        environment["SOURCE_DATE_EPOCH"] = str(_epoch(created))
    head = json.dumps([[name, about, len(data)] for name, about, data in attachments])
    sent = [head.encode(), b"\n", *(data for _, _, data in attachments), html_for_print.encode()]
    # -P: the worker's own folder, where a module is called html, stays off the path.
    command = [sys.executable, "-P", str(Path(pdf_worker.__file__)), str(memory_bytes)]
    try:
        done = subprocess.run(
            command,
            input=b"".join(sent),
            capture_output=True,
            timeout=seconds,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _too_large(f"took more than {seconds:g} s", html_for_print) from error
    except OSError as error:
        raise PdfProblem(f"the renderer: {error.strerror}", _HTML) from error
    said = done.stderr.decode("utf-8", "replace")
    if done.returncode == 4 or "MemoryError" in said or "cannot allocate" in said.lower():
        raise _too_large(f"needs more than {memory_bytes / 2**20:,.0f} MiB", html_for_print)
    if done.returncode == 3:
        raise PdfProblem(_missing(said), _LIBRARIES)
    if done.returncode != 0 or not done.stdout.startswith(b"%PDF"):
        reason = (said.strip().splitlines() or [f"the renderer ended with {done.returncode}"])[-1]
        raise PdfProblem(f"the renderer failed: {reason[:300]}", _HTML)
    write_bytes(path, done.stdout)


def write_alone(
    out: Path, name: str, page: str, paper: str, record: BaseModel, created: str
) -> list[Path]:
    """Write a page of its own as ``NAME.html`` and ``NAME.json`` and, if *paper* has text, ``NAME.pdf``.

    Args:
        page, paper: markup for screen and print. created: ISO 8601 moment that dates the PDF.

    Raises:
        EnvironmentProblem: nothing can be written there. PdfProblem: no PDF; the others stand.
    """
    paths = [out / f"{name}.{kind}" for kind in ("html", "pdf", "json")]
    write_text(paths[0], page)
    write_text(paths[2], record.model_dump_json(indent=1) + "\n")
    # An older PDF must not stand beside this page.
    paths[1].unlink(missing_ok=True)
    if not paper:
        return [paths[0], paths[2]]
    write_pdf(paper, paths[1], created=created)
    return paths


def _epoch(created: str) -> int:
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return 0
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _missing(said: str) -> str:
    """What the worker could not load, in one phrase."""
    if module := re.search(r"No module named '([\w.]+)'", said):
        return f"the Python package {module[1]} is missing"
    if library := re.search(r"cannot load library '([^']+)'", said):
        return f"WeasyPrint's system library {Path(library[1]).name} is missing (it needs Pango)"
    return (said.strip().splitlines() or ["a system library is missing"])[-1][:300]


def _too_large(what: str, html: str) -> PdfProblem:
    """A cap was hit; say which section weighs most."""
    found = list(re.finditer(r'<section id="([\w-]+)"', html))
    sizes = [end - start for start, end in pairwise([*(m.start() for m in found), len(html)])]
    largest = ""
    if sizes:
        index = max(range(len(sizes)), key=sizes.__getitem__)
        largest = f"; the largest section is {found[index][1]}, {sizes[index] / 1e6:.1f} MB"
    return PdfProblem(f"the renderer {what}{largest}", _HTML)
