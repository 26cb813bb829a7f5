"""What the report carries so that others can compute it again, and what that reveals."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from milkreport.evidence.record import CONTENTS, RECORD, Evidence
from milkreport.evidence.zips import pack_zip
from milkreport.reporting.blocks import Cell, Chapter, Column, Row, table
from milkreport.reporting.wording.text import whole

#: Digits of a SHA-256 that are printed.
_DIGITS = 16
_REVEALS = {
    "full": (
        "Whoever has this report has, for every case in the predictions, its id, its class, the predicted "
        "probabilities, and its group and subgroups if the run has any. --evidence numbers leaves them out."
    ),
    "numbers": "It holds counts, scores and settings: no id, no prediction, nothing of a single case.",
    "none": "",
}


@dataclass(frozen=True)
class EvidenceView:
    """``packed``: a zip of all in base64, for a page; empty on paper, which carries the files themselves."""

    chapter: Chapter
    packed: str = ""
    link: str = ""


def build_evidence(evidence: Evidence, on_page: bool = False) -> EvidenceView:
    """The statement; *on_page*: with the evidence itself, for the page to embed."""
    record, files = evidence.record, evidence.carried
    title = "What this report carries"
    if record.level == "none":
        text = "Nothing: it was asked for without evidence (--evidence none). Its run folder can be verified."
        return EvidenceView(Chapter("evidence", title, (text,)))
    can = "all numbers from the predictions, and the printed text from the numbers"
    if record.level == "numbers":
        can = f"the printed text from the numbers, but not the numbers, because {record.reason}"
    texts = (
        f"This report carries the files below. With them, milkreport verify FILE checks {can}. It needs no "
        "data. It does not find invented predictions; docs/verify.md of milkreport says what is proved.",
        f"What that reveals: {_REVEALS[record.level]}",
    )
    columns = tuple(
        Column(name, text=name != "Bytes") for name in ("File", "What it holds", "Bytes", "SHA-256")
    )
    rows = [
        Row(
            (
                Cell(file.name),
                Cell(CONTENTS.get(file.name, ""), kind="text"),
                Cell(whole(file.bytes)),
                Cell(file.sha256[:_DIGITS], kind="code"),
            )
        )
        for file in record.files
    ]
    caption = (
        f"Files that this report carries, beside {RECORD}, which lists them; SHA-256 begins so."
    )
    shown = Chapter(
        "evidence", title, texts, (table("evidence", caption, columns, rows, dense=True),)
    )
    if not on_page:
        return EvidenceView(shown)
    packed = base64.b64encode(pack_zip(files)).decode()
    return EvidenceView(shown, packed, "Save what this page carries, as evidence.zip")
