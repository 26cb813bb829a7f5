"""PDFs from elsewhere, read with distrust: streams and counts are capped, loops end, nothing is executed."""

from __future__ import annotations

import io
import logging
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from milkreport.errors import DataError, MilkreportError
from milkreport.limits import MOST_CARRIED, MOST_EVIDENCE

T = TypeVar("T")
_AGAIN = "get the report again from whoever made it"
#: Levels of the tree of names, and its nodes: a report of ours has one.
_DEEPEST, _MOST_NODES = 8, 200


def open_pdf(data: bytes, where: str) -> Any:
    """A ``pypdf.PdfReader`` of *data*, to be used under :func:`guarded`.

    Raises:
        DataError: encrypted, damaged or truncated.
    """
    from pypdf import PdfReader

    logging.getLogger("pypdf").addHandler(logging.NullHandler())
    logging.getLogger("pypdf").propagate = False
    with guarded(where):
        reader = PdfReader(io.BytesIO(data), strict=False)
        if reader.is_encrypted:
            raise DataError("an encrypted PDF", "get it without a password", where)
        return reader


@contextmanager
def guarded(where: str) -> Iterator[None]:
    """Whatever goes wrong while a PDF is read becomes one line.

    Raises:
        DataError: damaged, truncated, or built to exhaust its reader.
    """
    try:
        yield
    except MilkreportError:
        raise
    except Exception as error:  # pypdf fails in every way there is on files that are built for it
        what = f"a damaged PDF: {type(error).__name__}"
        raise DataError(what, _AGAIN, where) from error


def stream_bytes(stream: Any, most: int, where: str) -> bytes:
    """The content of a stream, by DEFLATE or plain as we write them.

    Raises:
        DataError: another filter, damaged, or larger than *most* bytes.
    """
    raw: bytes = stream._data  # what get_data() gives is unpacked without our cap
    kind = stream.get("/Filter")
    if isinstance(kind, list) and len(kind) == 1:
        kind = kind[0]
    if kind is None and len(raw) <= most:
        return raw
    if kind != "/FlateDecode" or stream.get("/DecodeParms"):
        raise DataError(f"a stream that no report has ({str(kind)[:40]})", _AGAIN, where)
    unpacking = zlib.decompressobj()
    try:
        data = unpacking.decompress(raw, most + 1)
    except zlib.error as error:
        raise DataError("a damaged stream", _AGAIN, where) from error
    if len(data) > most:
        raise DataError(f"a stream of more than {most / 1e6:,.0f} MB", _AGAIN, where)
    if not unpacking.eof:
        raise DataError("a truncated stream", _AGAIN, where)
    return data


def attached_files(reader: Any, where: str) -> dict[str, bytes]:
    """The files that a PDF carries, by name.

    Raises:
        DataError: see :func:`guarded`; a name twice, or too many or too large files.
    """
    with guarded(where):
        root = reader.trailer["/Root"].get_object()
        names = _get(root.get("/Names"), "/EmbeddedFiles")
        found: dict[str, bytes] = {}
        left = MOST_EVIDENCE
        for name, specification in _leaves(names, where):
            if name in found:
                raise DataError(f"carries {name[:80]!r} twice", _AGAIN, where)
            if len(found) == MOST_CARRIED:
                raise DataError(f"carries more than {MOST_CARRIED} files", _AGAIN, where)
            stream = _get(_get(specification, "/EF"), "/F")
            if not hasattr(stream, "_data"):
                raise DataError(f"carries {name[:80]!r} without a content", _AGAIN, where)
            found[name] = stream_bytes(stream, left, where)
            left -= len(found[name])
        return found


def _leaves(tree: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Names and values of a tree of names."""
    level, seen = [tree] if tree is not None else [], 0
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for node in level:
            seen += 1
            if seen > _MOST_NODES:
                raise DataError("a tree of names that no report has", _AGAIN, where)
            flat = _array(node, "/Names")
            for name, value in zip(flat[::2], flat[1::2], strict=False):
                yield str(_resolve(name)), _resolve(value)
            below += map(_resolve, _array(node, "/Kids")[:_MOST_NODES])
        if not below:
            return
        level = below
    raise DataError("a tree of names that no report has", _AGAIN, where)


def _array(node: Any, key: str) -> list[Any]:
    found = _get(node, key)
    return list(found[: 2 * _MOST_NODES]) if isinstance(found, list) else []


def _get(node: Any, key: str) -> Any:
    node = _resolve(node)
    return _resolve(node.get(key)) if isinstance(node, dict) else None


def _resolve(value: Any) -> Any:
    """What a reference points to; a chain of references is no longer than two."""
    for _ in range(2):
        resolve: Callable[[], Any] | None = getattr(value, "get_object", None)
        value = resolve() if resolve is not None else value
    return value
