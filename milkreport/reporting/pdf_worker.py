"""Child process of :mod:`milkreport.reporting.pdf`: HTML on stdin, PDF on stdout.

Runs as a script, with nothing of milkreport but this file: it starts fast, its memory is its own.
Exit codes: 0 done, 3 a library lacks, 4 out of memory, 5 anything else; stderr then says why.
"""

from __future__ import annotations

import logging
import sys


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


def render(text: str) -> bytes:
    """Lay *text* out. Nothing is fetched but ``data:`` URIs, so no file of the machine gets in."""
    from weasyprint import HTML
    from weasyprint.urls import URLFetcher

    logging.getLogger("weasyprint").addHandler(logging.NullHandler())
    fetcher = URLFetcher(allowed_protocols={"data"})
    document = HTML(string=text, url_fetcher=fetcher)
    pdf: bytes = document.write_pdf(pdf_variant="pdf/ua-1")
    return pdf


def main() -> int:
    """Read, render, write."""
    if len(sys.argv) > 1:
        limit_memory(int(sys.argv[1]))
    try:
        pdf = render(sys.stdin.buffer.read().decode("utf-8"))
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
