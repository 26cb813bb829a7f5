"""A verdict for machines that build software: JUnit XML, a Markdown summary, GitHub's annotations."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as xml

from milkreport.checks.verdict import CheckRow, Status, Verdict, exit_code
from milkreport.errors import printable
from milkreport.markdown import head, line, plain

_SYMBOLS = {
    Status.PASS: "✓",
    Status.FAIL: "✗",
    Status.INCONCLUSIVE: "≈",
    Status.NOT_CHECKED: "○",
}


def as_junit(verdict: Verdict, strict: bool = False, allow_inconclusive: bool = False) -> str:
    """One test case a figure, and one of the whole, which fails whenever the exit code is not 0.

    A FAIL is a failure, a refused metric an error; what is inconclusive or was not checked counts as skipped
    (inconclusive as a failure if *strict*), so that it never looks green.
    """
    cases = [_case(verdict, row, strict) for row in verdict.rows]
    whole = xml.Element("testcase", classname=verdict.reference, name="verdict", time="0")
    if code := exit_code(verdict, strict, allow_inconclusive):
        message = f"{verdict.status}: exit code {code}"
        xml.SubElement(whole, "failure", message=message).text = _counted(verdict)
    cases.append(whole)
    suite = xml.Element(
        "testsuite",
        name=f"milkreport check against {verdict.reference}",
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors=str(sum(case.find("error") is not None for case in cases)),
        skipped=str(sum(case.find("skipped") is not None for case in cases)),
        time="0",
    )
    suite.extend(cases)
    root = xml.Element("testsuites")
    root.append(suite)
    xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + _legal(xml.tostring(root, "unicode")) + "\n"


def as_markdown(verdict: Verdict, strict: bool = False, allow_inconclusive: bool = False) -> str:
    """The verdict as a summary: what decides first, then every figure."""
    columns = [
        "",
        "Arm",
        "Part",
        "Metric",
        "Reference",
        "This run",
        "Difference",
        "95% interval",
        "Why",
    ]
    lines = [
        f"### {_SYMBOLS[verdict.status]} {verdict.status}: against {plain(verdict.reference)}",
        "",
        f"{plain(verdict.title)} ({verdict.kind}). {_counted(verdict)}; exit code "
        f"{exit_code(verdict, strict, allow_inconclusive)}.",
        "",
        *[f"- {plain(said)}" for said in (*verdict.warnings, *verdict.remarks)],
        *([""] if verdict.warnings or verdict.remarks else []),
        head(columns),
        *[line(_cells(row)) for row in verdict.rows],
    ]
    return "\n".join(lines) + "\n"


def as_annotations(
    verdict: Verdict, strict: bool = False, allow_inconclusive: bool = False
) -> Iterator[str]:
    """GitHub's workflow commands: an error for each failing row, a warning for each that tells nothing."""
    for row in verdict.rows:
        bad = row.status is Status.FAIL or row.refused
        bad = bad or (strict and row.status is Status.INCONCLUSIVE)
        if row.status is Status.PASS or (row.status is Status.NOT_CHECKED and not row.refused):
            continue
        title = f"{row.status}: {row.arm} {row.name}"
        yield f"::{'error' if bad else 'warning'} title={_property(title)}::{_message(_said(row))}"
    for warning in verdict.warnings:
        yield f"::warning title={_property(f'against {verdict.reference}')}::{_message(warning)}"
    if exit_code(verdict, strict, allow_inconclusive) == 5:
        yield f"::error title={verdict.status}::{_message('not passed: ' + _counted(verdict))}"


def _case(verdict: Verdict, row: CheckRow, strict: bool) -> xml.Element:
    case = xml.Element(
        "testcase",
        classname=f"{verdict.reference}.{row.arm}",
        name=f"{row.part} {row.name}",
        time="0",
    )
    message = f"{row.status}: {row.reason}"
    if row.refused:
        xml.SubElement(case, "error", message=message).text = _said(row)
    elif row.status is Status.FAIL or (strict and row.status is Status.INCONCLUSIVE):
        xml.SubElement(case, "failure", message=message).text = _said(row)
    elif row.status is not Status.PASS:
        xml.SubElement(case, "skipped", message=message)
    else:
        xml.SubElement(case, "system-out").text = _said(row)
    return case


def _said(row: CheckRow) -> str:
    values = [f"reference {row.printed}"]
    if row.ours is not None:
        values.append(f"this run {row.ours:.4f}")
    if row.low is not None and row.high is not None:
        values.append(f"difference {row.difference:+.4f}, 95% {row.low:+.4f} to {row.high:+.4f}")
    return printable(f"{', '.join(values)}: {row.reason}")


def _cells(row: CheckRow) -> list[str]:
    bounds = row.low is not None and row.high is not None
    return [
        f"{_SYMBOLS[row.status]} {row.status}",
        row.arm,
        row.part,
        row.name,
        row.printed,
        "—" if row.ours is None else f"{row.ours:.4f}",
        "—" if row.difference is None else f"{row.difference:+.4f}",
        f"{row.low:+.4f} to {row.high:+.4f}" if bounds else "—",
        row.reason,
    ]


def _counted(verdict: Verdict) -> str:
    return ", ".join(f"{n} {status}" for status, n in verdict.counts.items() if n) or "no figure"


def _message(text: str) -> str:
    return printable(text).replace("%", "%25")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def _legal(text: str) -> str:
    """Without the characters that XML 1.0 has no form for; others that act on a terminal become U+FFFD."""
    return "\n".join(printable(part) for part in text.split("\n"))
