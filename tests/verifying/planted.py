"""Reports on small synthetic predictions, and ways to change them as a forger would."""

from __future__ import annotations

import base64
import io
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, NameObject

from milkreport.evidence.read import PLACE
from milkreport.evidence.record import PREDICTIONS, Evidence, hash_bytes
from milkreport.evidence.zips import pack_zip
from milkreport.verifying.pdf_text import read_glyphs
from tests.conftest import call_main

CLASSES = ("rash", "mole", "wart")
SHARES = (0.6, 0.3, 0.1)


def write_tables(
    folder: Path, n: int = 120, seed: int = 5, skills: Mapping[str, float] | None = None
) -> None:
    """``truth.csv``, ``meta.csv`` and a table of probabilities for each of *skills*."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    truth = rng.choice(len(CLASSES), n, p=SHARES)
    ids = [f"case-{i:04d}" for i in range(n)]
    labels = [CLASSES[k] for k in truth]
    pd.DataFrame({"case_id": ids, "label": labels}).to_csv(folder / "truth.csv", index=False)
    facts = {
        "case_id": ids,
        "patient": [f"p{i // 3}" for i in range(n)],
        "side": rng.choice(["l", "r"], n),
    }
    pd.DataFrame(facts).to_csv(folder / "meta.csv", index=False)
    for name, skill in (skills or {"one": 1.2, "two": 2.0}).items():
        scores = rng.normal(size=(n, len(CLASSES)))
        scores[np.arange(n), truth] += skill
        p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        table = pd.DataFrame(p, columns=list(CLASSES))
        table.insert(0, "case_id", ids)
        table.to_csv(folder / f"{name}.csv", index=False)


def evaluate(folder: Path, *options: str, out: str = "out") -> Path:
    """Evaluate the tables of *folder* into its folder *out*."""
    words = ["evaluate", "one.csv", "two.csv", "--truth", "truth.csv", "--out", out, *options]
    done = call_main(words, folder)
    assert done.returncode == 0, done.stderr
    return folder / out


def with_file(evidence: Evidence, name: str, data: bytes, is_hidden: bool) -> Evidence:
    """*evidence* with another file *name*; *is_hidden*: the record's hash is brought up to date, too."""
    files = {**evidence.files, name: data}
    if not is_hidden:
        return replace(evidence, files=files)
    listed = [
        f.model_copy(update={"sha256": hash_bytes(data), "bytes": len(data)})
        if f.name == name
        else f
        for f in evidence.record.files
    ]
    return Evidence(evidence.record.model_copy(update={"files": listed}), files)


def change_letter(data: bytes, at: int) -> bytes:
    """Another digit for a digit, another letter for anything else."""
    new = b"%d" % ((int(data[at : at + 1]) + 1) % 10) if data[at : at + 1].isdigit() else b"x"
    return data[:at] + (new if data[at : at + 1] != b"x" else b"y") + data[at + 1 :]


def members(evidence: Evidence) -> dict[str, bytes]:
    """The files in the zip of predictions."""
    with zipfile.ZipFile(io.BytesIO(evidence.files[PREDICTIONS])) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def with_member(evidence: Evidence, name: str, data: bytes, is_hidden: bool) -> Evidence:
    """*evidence* with another file *name* in the zip of predictions."""
    packed = pack_zip({**members(evidence), name: data})
    return with_file(evidence, PREDICTIONS, packed, is_hidden)


def page_with(page: str, files: Mapping[str, bytes]) -> str:
    """A page that carries *files* instead."""
    packed = base64.b64encode(pack_zip(files))
    old = PLACE.search(page.encode())
    assert old is not None
    return page.replace(old[1].decode(), packed.decode(), 1)


def write_pdf(writer: PdfWriter) -> bytes:
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def pdf_with(pdf: bytes, files: Mapping[str, bytes]) -> bytes:
    """A PDF that carries *files* instead."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf)))
    names = writer.root_object[NameObject("/Names")].get_object()
    assert isinstance(names, DictionaryObject)
    names[NameObject("/EmbeddedFiles")] = DictionaryObject({NameObject("/Names"): ArrayObject()})
    for name, data in files.items():
        writer.add_attachment(name, data)
    return write_pdf(writer)


def glyphs_of(pdf: bytes) -> list[tuple[int, int]]:
    """Every glyph that is painted: page, and position of its four digits in the page's content."""
    found = []
    for number, page in enumerate(PdfReader(io.BytesIO(pdf)).pages):
        content = page.get_contents()
        assert content is not None
        for string in re.finditer(rb"<([0-9a-f]+)>", content.get_data()):
            found += [(number, string.start(1) + i) for i in range(0, len(string[1]), 4)]
    return found


def pdf_with_glyph(
    pdf: bytes, number: int, at: int, only_digits: bool = False
) -> tuple[bytes, str, str]:
    """A PDF with another glyph at *at* of page *number* (from 0), the old letter and the new one."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf)))
    page = writer.pages[number]
    stream = page["/Contents"].get_object()
    data = page.get_contents().get_data()  # type: ignore[union-attr]
    font = re.findall(rb"/(\w+) [\d.-]+ Tf", data[:at])[-1].decode()
    fonts = page["/Resources"].get_object()["/Font"].get_object()
    table = fonts[f"/{font}"].get_object()["/ToUnicode"].get_object().get_data()
    glyphs = read_glyphs(table.decode("latin-1"))
    old = glyphs[int(data[at : at + 4], 16)]
    wanted = str.isdigit if only_digits and old.isdigit() else str.isalnum
    code, new = next((c, t) for c, t in sorted(glyphs.items()) if wanted(t) and t != old)
    stream._data = zlib.compress(data[:at] + b"%04x" % code + data[at + 4 :])
    stream[NameObject("/Filter")] = NameObject("/FlateDecode")
    return write_pdf(writer), old, new
