"""Child process of :mod:`milkreport.reporting.pdf`: files to attach and HTML on stdin, PDF on stdout.

Stdin begins with a line of JSON: name, description and size of each file. Their bytes follow, then the HTML.

Runs as a script, with nothing of milkreport but this file: it starts fast, its memory is its own.
Exit codes: 0 done, 3 a library is missing, 4 out of memory, 5 anything else; stderr then says why.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any, BinaryIO


def limit_memory(n_bytes: int) -> None:
    """Cap this process's address space, where the system can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    try:
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        if most != resource.RLIM_INFINITY:
            n_bytes = min(n_bytes, most)
        resource.setrlimit(resource.RLIMIT_AS, (n_bytes, most))
    except (OSError, ValueError):  # macOS refuses; the time cap stays
        return


def read_attachments(source: BinaryIO) -> list[tuple[str, str, bytes]]:
    """Name, description and bytes of each file to attach."""
    return [(name, about, source.read(size)) for name, about, size in json.loads(source.readline())]


def render(text: str, attachments: list[tuple[str, str, bytes]]) -> bytes:
    """Lay *text* out. Nothing is fetched but ``data:`` URIs, so no file of the machine gets in."""
    from weasyprint import HTML
    from weasyprint.urls import URLFetcher

    logging.getLogger("weasyprint").addHandler(logging.NullHandler())
    fetcher = URLFetcher(allowed_protocols={"data"})
    document = HTML(string=text, url_fetcher=fetcher)
    files = [_attach(*file) for file in attachments]
    pdf: bytes = document.write_pdf(pdf_variant="pdf/ua-1", attachments=files)
    return pdf


def _attach(name: str, about: str, data: bytes) -> Any:
    """A file dated like the PDF, so that the same report gives the same bytes."""
    from weasyprint import Attachment

    date = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), UTC)
    return Attachment(
        string=data, name=name, description=about, created=date, modified=date, relationship="Data"
    )


def main() -> int:
    """Read, render, write."""
    if len(sys.argv) > 1:
        limit_memory(int(sys.argv[1]))
    try:
        attachments = read_attachments(sys.stdin.buffer)
        pdf = render(sys.stdin.buffer.read().decode("utf-8"), attachments)
    except (ImportError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 3
    except MemoryError:
        return 4
    except Exception as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 5
    sys.stdout.buffer.write(pdf)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
