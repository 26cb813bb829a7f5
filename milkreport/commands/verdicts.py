"""Verdicts, audits and references on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from milkreport.checks.audit.findings import Audit, Finding, Outcome
from milkreport.checks.audit.ranking import describe_ranking
from milkreport.checks.reference import Reference
from milkreport.checks.verdict import CheckRow, Status, Verdict
from milkreport.commands.console import console, note, number, say, warn
from milkreport.gate.self_test import Control
from milkreport.tables import first_few
from milkreport.verifying.record import Group, Verification
from milkreport.verifying.record import Outcome as Found

STYLES = {
    Status.PASS: "green",
    Status.FAIL: "red",
    Status.INCONCLUSIVE: "yellow",
    Status.NOT_CHECKED: "dim",
}
_COLOURS = {
    Outcome.DIFFERS: "red",
    Outcome.QUESTIONABLE: "yellow",
    Outcome.CANNOT_TELL: "dim",
    Outcome.AGREES: "green",
}


def show_verdict(verdict: Verdict) -> None:
    """Every row of a check."""
    table = Table(box=None, pad_edge=False)
    parts = {row.part for row in verdict.rows}
    for head in ("", "part", "reference", "ours", "difference", "95%", "status"):
        if head != "part" or len(parts) > 1:
            table.add_column(head, no_wrap=head != "", overflow="fold")
    for arm in dict.fromkeys(row.arm for row in verdict.rows):
        table.add_row(f"[bold]{escape(arm)}[/bold]")
        for row in verdict.rows:
            if row.arm == arm:
                table.add_row(*_cells(row, len(parts) > 1))
    console.print(table)
    for reason in dict.fromkeys(row.reason for row in verdict.rows if row.reason):
        rows = [row for row in verdict.rows if row.reason == reason]
        names = "all" if len(rows) == len(verdict.rows) else first_few({r.name: 0 for r in rows}, 5)
        console.print(f"[dim]{escape(names)}: {escape(reason)}[/dim]", soft_wrap=True)
    for remark in verdict.remarks:
        console.print(f"[dim]{escape(remark)}[/dim]", soft_wrap=True)
    for warning in verdict.warnings:
        warn(warning)
    show_status(verdict)


def _cells(row: CheckRow, with_part: bool) -> list[str]:
    bounds = row.low is not None and row.high is not None
    return [
        f"  {escape(row.name)}",
        *([row.part] if with_part else []),
        escape(row.printed),
        number(row.ours),
        "—" if row.difference is None else f"{row.difference:+.4f}",
        f"{row.low:+.3f}..{row.high:+.3f}" if bounds else "—",
        f"[{STYLES[row.status]}]{row.status}[/{STYLES[row.status]}]",
    ]


def show_status(verdict: Verdict) -> None:
    """The verdict in one line."""
    counts = ", ".join(f"{n} {status}" for status, n in verdict.counts.items() if n)
    style = STYLES[verdict.status]
    console.print(
        f"against {escape(verdict.reference)} ({verdict.kind}): "
        f"[{style}]{verdict.status}[/{style}] ({counts})"
        + (f"; decided by {escape(verdict.primary)}" if verdict.primary else ""),
        soft_wrap=True,
    )


def show_audit(audit: Audit) -> None:
    """What does not agree first, each with what could explain it; what agrees last."""
    console.print(f"[bold]{escape(audit.title)}[/bold]", soft_wrap=True)
    console.print(f"[dim]{escape(audit.source)}[/dim]", soft_wrap=True)
    for outcome in Outcome:
        found = audit.of(outcome)
        if found:
            colour = _COLOURS[outcome]
            console.print()
            console.print(f"[{colour}]{outcome}[/{colour}] ({len(found)})")
        for finding in audit.gathered(outcome):
            _show_finding(audit, finding)
    console.print()
    counts = ", ".join(f"{n} {outcome}" for outcome, n in audit.counts.items() if n)
    if ranking := describe_ranking(audit):
        console.print(escape(ranking), soft_wrap=True)
    console.print(f"{escape(audit.reference)}: {counts}")


def show_shelf(audits: Sequence[Audit]) -> None:
    """A row per audited publication: how many findings have each outcome."""
    table = Table(box=None, pad_edge=False)
    # A name is typed again, so that it stays whole; its title stands below.
    table.add_column("reference, publication", overflow="fold", min_width=32)
    for outcome in Outcome:
        table.add_column(str(outcome), justify="right")
    for audit in audits:
        counts = [str(n) for n in audit.counts.values()]
        table.add_row(escape(audit.reference), *counts)
        table.add_row(f"[dim]{escape(audit.title)}[/dim]")
    console.print(table)
    console.print("[dim]each in full: milkreport audit NAME[/dim]")


def _show_finding(audit: Audit, finding: Finding) -> None:
    about = [audit.arms.get(finding.arm, finding.arm), finding.part, finding.metric]
    lead = ", ".join(part for part in (*about, finding.class_name) if part)
    lead = f"{lead}: " if lead and finding.topic != "claim" else ""
    place = f" [dim]({finding.stands})[/dim]" if finding.stands else ""
    console.print(f"  {escape(lead + finding.what)}{place}", soft_wrap=True)
    if finding.outcome is not Outcome.AGREES:
        for note in (*finding.arithmetic, *finding.notes, finding.settle):
            if note:
                console.print(f"    [dim]{escape(note)}[/dim]", soft_wrap=True)


def show_reference(reference: Reference) -> None:
    """What a reference holds a run to."""
    console.print(f"[bold]{escape(reference.title)}[/bold]", soft_wrap=True)
    console.print(f"{escape(reference.source)}; data {escape(reference.data)}", soft_wrap=True)
    console.print(f"split: {escape(reference.split)}", soft_wrap=True)
    table = Table("arm", "part", "metric", "value", "margin", "stands", box=None, pad_edge=False)
    for figure in reference.figures:
        name = f"{figure.metric} ({figure.class_name})" if figure.class_name else figure.metric
        value = f"{figure.value:.4f}" if reference.rounding == "exact" else figure.printed
        margin, _ = reference.margin_of(figure)
        row = (figure.arm, figure.part, name, value, f"{margin:g}", figure.stands)
        table.add_row(*map(escape, row))
    console.print(table)
    if reference.primary:
        console.print(f"primary metric: {escape(reference.primary)}", soft_wrap=True)
    reasons = dict.fromkeys(reference.margin_of(figure) for figure in reference.figures)
    for margin, reason in reasons:
        console.print(f"[dim]margin {margin:g}: {escape(reason)}[/dim]", soft_wrap=True)
    if reference.frozen:
        for change in reference.frozen.history:
            console.print(f"[dim]{change.created}: {escape(change.reason)}[/dim]", soft_wrap=True)


def show_self_test(controls: Sequence[Control]) -> None:
    """Every control with what was asked of it and what came."""
    table = Table("control", "must give", "gave", "", box=None, pad_edge=False)
    for control in controls:
        mark = "[green]as required[/green]" if control.holds else "[red]FAILED[/red]"
        table.add_row(escape(control.name), escape(control.wanted), escape(control.found), mark)
    console.print(table)
    wrong = sum(not control.holds for control in controls)
    said = f"[red]{wrong} of {len(controls)} controls fail[/red]" if wrong else "all controls hold"
    console.print(f"{said}: the gate {'cannot be trusted here' if wrong else 'works here'}")


#: Differences of one group that the screen shows; --json has all.
_MOST_FAULTS = 12
_OUTCOMES = {Found.VERIFIED: "green", Found.DIFFERENT: "red", Found.NOT_VERIFIED: "yellow"}


def show_verification(found: Verification) -> None:
    """Groups, differences, what is taken as given, and the outcome."""
    for group in found.groups:
        _show_group(group)
    if found.given:
        say(f"taken as given: {'; '.join(found.given)}")
    for line in found.notes:
        note(line)
    colour = _OUTCOMES[found.outcome]
    console.print(f"[{colour}]{found.outcome}[/{colour}]", end=": ")
    say(_MEANING[found.outcome].format(level=found.level))


_MEANING = {
    Found.VERIFIED: "nothing differs (docs/verify.md says what that proves)",
    Found.DIFFERENT: "the report is not what its evidence gives",
    Found.NOT_VERIFIED: "nothing could be verified",
}


def _show_group(group: Group) -> None:
    parts = (
        [f"{group.equal:,} of {group.total:,} {group.what}"] if group.total or group.faults else []
    )
    parts += group.remarks
    mark = "" if group.outcome is Found.VERIFIED else f"{group.outcome}, "
    say(f"{group.name}: {mark}{'; '.join(parts)}")
    for fault in group.faults[:_MOST_FAULTS]:
        say(f"  {fault}")
    if len(group.faults) > _MOST_FAULTS:
        say(f"  ... and {len(group.faults) - _MOST_FAULTS:,} more differences: --json")
