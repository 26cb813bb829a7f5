"""One snapshot a component: markup changes are seen, and meant. UPDATE_SNAPSHOTS=1 writes them anew."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from milkreport.reporting.blocks import (
    Badge,
    Cell,
    Chapter,
    Column,
    Fact,
    Figure,
    Footnote,
    Group,
    Row,
    Table,
)
from milkreport.reporting.sections.audit import Item, Items
from milkreport.resources import resource_folder

FOLDER = Path(__file__).parent / "snapshots"
BADGE = Badge("✓", "PASS", "pass", "12", "a note & more")
TABLE = Table(
    "key",
    "A caption <b>",
    (Column("Arm", text=True), Column("Value", "0 to 1"), Column("Finding", text=True)),
    (
        Group("", (Row((Cell("one"), Cell("0.5", "0.4–0.6", "†"), Cell("shown", kind="word"))),)),
        Group(
            "a group",
            (
                Row((Cell("failed"), Cell("why", kind="span"), Cell("", kind="spanned")), "failed"),
                Row((Cell("all"), Cell("—"), Cell("✗ FAIL", kind="status fail")), "total"),
            ),
        ),
    ),
    (Footnote("†", "few cases"),),
    sortable=True,
    dense=True,
)
FIGURE = Figure("figure", "What it shows.", "<svg></svg>")
ITEM = Item(BADGE, "Model 0, accuracy", "table 2", "Printed 0.58.", ("Would agree if cut.",))
COMPONENTS: dict[str, tuple[str, Any]] = {
    "heading": ('blocks.heading("data", "2", x)', "Data & more"),
    "table": ("blocks.table(x)", TABLE),
    "figure": ("blocks.figure(x)", FIGURE),
    "facts": ('blocks.facts(x, "compact")', (Fact("Seeds", "5"), Fact("Device", "<cpu>"))),
    "badge": ("blocks.badge(x)", BADGE),
    "verdict": ("blocks.verdict(x)", BADGE),
    "counts": ("blocks.counts(x)", (BADGE,)),
    "findings": ("blocks.findings(x, 3)", (Items("Metrics", (ITEM,)),)),
    "chapter": (
        "blocks.chapter(x)",
        Chapter(
            "c", "C", ("A text.",), (TABLE,), (FIGURE,), BADGE, (Fact("a", "b"),), ("A remark.",)
        ),
    ),
}


def render(call: str, value: Any) -> str:
    environment = Environment(
        loader=FileSystemLoader(resource_folder("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["drawing"] = lambda figure: Markup(figure.svg)
    source = '{% import "blocks.html.j2" as blocks %}{{ ' + call + " }}"
    return environment.from_string(source).render(x=value).strip() + "\n"


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_is_as_it_was(name: str) -> None:
    found, path = render(*COMPONENTS[name]), FOLDER / f"{name}.html"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8"), "UPDATE_SNAPSHOTS=1 if that is meant"


def test_every_snapshot_has_its_component() -> None:
    assert {path.stem for path in FOLDER.glob("*.html")} == set(COMPONENTS)


def test_text_of_components_is_escaped() -> None:
    assert "A caption &lt;b&gt;" in render(*COMPONENTS["table"])
    assert "&lt;cpu&gt;" in render(*COMPONENTS["facts"])
