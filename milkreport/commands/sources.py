"""Data on the terminal: what a folder holds and what is wrong with it, and the cache of decoded images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from milkreport.commands.check_data import Finding, count_kinds
from milkreport.commands.console import console
from milkreport.data.pixels.store import StoreInfo
from milkreport.errors import DataError
from milkreport.evaluation.records.data import DataSummary
from milkreport.tables import plural

#: Letters of a store's key that tell it from any other.
SHOWN_KEY = 8

#: Problems that the screen shows; the file holds all.
MOST_SHOWN = 20


def show_finding(finding: Finding, source: Path) -> None:
    """What a data folder holds, and what is wrong with it, on one page."""
    if finding.summary is not None:
        _show_summary(finding, finding.summary)
    problems = [("[red]error:[/red]", p) for p in finding.errors]
    problems += [("[yellow]warning:[/yellow]", p) for p in finding.warnings]
    for mark, problem in problems[:MOST_SHOWN]:
        line = str(DataError(problem.what, problem.do, problem.where))
        console.print(f"{mark} {escape(line)}", soft_wrap=True)
    if len(problems) > MOST_SHOWN:
        console.print(f"... and {len(problems) - MOST_SHOWN:,} more")
    if finding.errors:
        kinds = ", ".join(f"{n:,} × {kind}" for kind, n in count_kinds(finding.errors)[:8])
        console.print(f"[red]NOT SOUND[/red]: {escape(kinds)}", soft_wrap=True)
    else:
        n = len(finding.warnings)
        more = f" ({n:,} {'warning' if n == 1 else 'warnings'})" if n else ""
        console.print(f"[green]SOUND[/green]: {escape(str(source))}{more}", soft_wrap=True)


def _show_summary(finding: Finding, data: DataSummary) -> None:
    console.print(f"[bold]{escape(data.name)}[/bold], {escape(data.licence)}")
    console.print(f"found: {escape(data.layout)}", soft_wrap=True)
    whole = data.n_found - sum(exclusion.n for exclusion in data.exclusions)
    labelled = " and a label" if any(data.class_counts.values()) else ", no labels"
    console.print(
        f"{data.n_found:,} {escape(data.units)}, {whole:,} with all images{labelled}; views: "
        f"{escape(', '.join(data.views))}"
    )
    for exclusion in data.exclusions:
        console.print(f"  without: {exclusion.n:,} {escape(exclusion.reason)}")
    if any(data.class_counts.values()):
        table = Table("class", data.units, "share", box=None)
        for name, n in data.class_counts.items():
            table.add_row(escape(name[:40]), f"{n:,}", f"{n / data.n_used:.1%}")
        console.print(table)
    for image in data.images:
        kinds = [*_most(image.sizes), *_most(image.modes), *_most(image.formats)]
        console.print(
            f"{escape(image.view)}: {plural(image.n, 'image', 'images')}, {escape(', '.join(kinds))}"
        )
    gaps = {f.column: f.missing for f in data.numeric if f.missing}
    gaps |= {f.column: f.missing for f in data.categorical if f.missing}
    if gaps:
        text = ", ".join(f"{column} {n:,}" for column, n in gaps.items())
        console.print(f"missing values: {escape(text)}", soft_wrap=True)
    if finding.n_groups is not None:
        console.print(
            f"{plural(finding.n_groups, 'group', 'groups')}: a group stays in one part of every split"
        )
    if data.duplicates is not None:
        d = data.duplicates
        console.print(f"images under several cases: {d.identical} identical, {d.near} alike")
    for note in data.notes:
        console.print(f"[dim]{escape(note)}[/dim]", soft_wrap=True)
    console.print(f"data sha256 {data.fingerprint}")


def _most(counts: Mapping[str, int], n: int = 3) -> list[str]:
    shown = [f"{name} ({count:,})" for name, count in list(counts.items())[:n]]
    return [*shown, f"{len(counts) - n} others"] if len(counts) > n else shown


def show_stores(stores: Sequence[StoreInfo], folder: Path) -> None:
    """What the cache holds."""
    table = Table("store", "data", "images", "size", "rule", "MB", "state", box=None)
    for store in stores:
        table.add_row(
            store.key[:SHOWN_KEY],
            escape(store.name[:30]),
            f"{store.n_images:,}",
            f"{store.size} px",
            store.rule,
            f"{store.n_bytes / 1e6:,.1f}",
            "whole" if store.complete else "partial",
        )
    console.print(table)
    total = sum(store.n_bytes for store in stores) / 1e6
    n = f"{len(stores)} {'store' if len(stores) == 1 else 'stores'}"
    console.print(f"{n}, {total:,.1f} MB in {escape(str(folder))}", soft_wrap=True)
