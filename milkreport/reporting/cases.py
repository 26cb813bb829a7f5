"""The cases behind the page's numbers, packed so that the page lists them without a server or a library."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import numpy as np

from milkreport.evaluation.case_table import ArmAnswers, CaseTable
from milkreport.evaluation.metrics.slices import Slice
from milkreport.evaluation.records.results import Results
from milkreport.reporting.wording.text import whole
from milkreport.reporting.wording.titles import arm_title

#: The table of cases beside a report.
FILE = "confusions.csv"
#: More cases, or more bytes of packed text, and the page names the file instead: it must open at once.
MOST_CASES = 25_000
MOST_BYTES = 500_000


@dataclass(frozen=True)
class CasesView:
    """``note``: where the cases are. ``hint``: how the page lists them. ``packed``: for its script.

    ``packed`` is JSON, deflated, in base64: no letter of an id can be taken for markup.
    """

    note: str
    hint: str
    packed: str


def opens(**query: int | str) -> str:
    """What a place of the page lists: ``arm`` (a name), ``truth`` and ``answer`` (positions of classes, or
    ``wrong``), ``column`` and ``value`` of a subgroup, ``id`` of a case, ``sort``.
    """
    return urlencode(query, errors="replace")


def build_cases(results: Results, table: CaseTable) -> CasesView:
    """Pack the cases; where they are too many, what remains tells the page's script to name the file."""
    n = len(table.case_ids)
    note = f"Each {results.data.unit} with its class and the answers of each arm: {FILE}, beside this report."
    record = _record(results, table)
    packed = _pack(record) if n <= MOST_CASES else ""
    if not packed or len(packed) > MOST_BYTES:
        note += f" The {whole(n)} {results.data.units} are too many to list on this page."
        bare: dict[str, Any] = {"ids": None, "truth": None, "groups": [], "note": note}
        arms = [{"name": a["name"], "title": a["title"], "seeds": 1} for a in record["arms"]]
        return CasesView(note, "", _pack({**record, **bare, "arms": arms}))
    hint = (
        f"To list the {results.data.units} behind a number, select a cell of a confusion matrix, or a class "
        "or subgroup in a table."
    )
    return CasesView(note, hint, packed)


def _record(results: Results, table: CaseTable) -> dict[str, Any]:
    return {
        "file": FILE,
        "unit": results.data.unit,
        "units": results.data.units,
        "classes": list(table.classes),
        "arms": [
            {"name": arm.name, "title": arm_title(results, arm.name)}
            | _columns(table.arms.get(arm.name), len(table.case_ids))
            for arm in results.arms
        ],
        "ids": table.case_ids.tolist(),
        "truth": table.truth.tolist(),
        "groups": _groups(table),
    }


def _columns(found: ArmAnswers | None, n: int) -> dict[str, Any]:
    """One arm's answers by column; probabilities as thousandths, ``case`` only where it is not 0, 1, ..."""
    if found is None:
        return {"seeds": 0, "case": [], "answer": [], "n": None, "top": None, "own": None}
    in_order = np.array_equal(found.case, np.arange(n))
    top, own = (
        None if p is None else np.rint(1000 * p).astype(int).tolist()
        for p in (found.probability, found.probability_of_label)
    )
    return {
        "seeds": found.seeds,
        "case": None if in_order else found.case.tolist(),
        "answer": found.answer.tolist(),
        "n": found.n_seeds.tolist() if found.seeds > 1 else None,
        "top": top,
        "own": own,
    }


def _groups(table: CaseTable) -> list[dict[str, Any]]:
    """Each column of subgroups: its values, and the position of every case's value; -1: withheld."""
    columns: dict[str, list[Slice]] = {}
    for piece in table.slices:
        columns.setdefault(piece.column, []).append(piece)
    groups = []
    for name, pieces in columns.items():
        codes = np.full(len(table.case_ids), -1)
        for position, piece in enumerate(pieces):
            codes[piece.member] = position
        groups.append({"name": name, "values": [p.value for p in pieces], "codes": codes.tolist()})
    return groups


def _pack(record: dict[str, Any]) -> str:
    text = json.dumps(record, separators=(",", ":")).encode("ascii")
    return base64.b64encode(zlib.compress(text, 9)).decode()
