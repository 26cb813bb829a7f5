"""The commands about reported figures: check, audit. See ``cli``."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from milkreport.cli.options import (
    JUNIT,
    AllowRootOption,
    CacheOption,
    ExactDataOption,
    JsonOption,
    NoPdfOption,
    PdfOption,
    TrustOptions,
    allow,
    cache_of,
    pdf_mode,
    refuse_to_overwrite,
    takes_trust,
)
from milkreport.errors import ConfigError

if TYPE_CHECKING:
    from milkreport.checks.verdict import Verdict


@takes_trust
def check(
    run: Annotated[
        Path | None, typer.Argument(help="Run folder: the --out of a run-all or of an evaluate.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE|RUN",
            help="Shipped or frozen reference, reference file, run folder, or report that carries its "
            "predictions. (default: the suite's)",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Any inconclusive metric exits with 5.")
    ] = False,
    allow_inconclusive: Annotated[
        bool,
        typer.Option(
            "--allow-inconclusive", help="An inconclusive primary metric exits with 0, not 5."
        ),
    ] = False,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the verdict as JUnit XML.")
    ] = None,
    github: Annotated[
        bool,
        typer.Option(
            "--github",
            help="Add the verdict to the job's summary ($GITHUB_STEP_SUMMARY), and print annotations.",
        ),
    ] = False,
    exact: Annotated[
        bool, typer.Option("--exact", help="Train every cell again: are the weights the same bits?")
    ] = False,
    self_test: Annotated[
        bool,
        typer.Option("--self-test", help="No RUN: does the check fail what it must fail, here?"),
    ] = False,
    data: ExactDataOption = None,
    allow_root: AllowRootOption = None,
    cache_dir: CacheOption = None,
    *,
    allowed: TrustOptions,
    as_json: JsonOption = False,
) -> None:
    """Check a run against published figures or an earlier run, or against itself trained again.

    PASS: not worse by more than the margin, on enough cases to show it. FAIL: worse. INCONCLUSIVE: the
    interval includes the margin, or the cases are too few. NOT CHECKED: not comparable.

    Exit code 0 (the primary metric passes and nothing fails), 1 (a FAIL), 2 (a metric that both sides define
    differently), or 5 (the primary metric is INCONCLUSIVE or NOT CHECKED).

    Against an earlier run the predictions are compared case by case; they must be the same to the bit where
    settings, data, program and environment are the same.

    With **--exact** every finished cell is trained again, in memory: equal, or the first epoch that differs.
    Exit code 0 (all equal) or 1.

    Examples:

    - milkreport check runs/paper

    - milkreport check runs/now --against runs/before

    - milkreport check runs/now --against main --strict --junit check.xml --github
    """
    if self_test:
        if run is not None or against or exact:
            raise ConfigError("--self-test takes no run", "leave everything else out")
        raise typer.Exit(_test_itself(as_json))
    if strict and allow_inconclusive:
        raise ConfigError("--strict and --allow-inconclusive contradict each other", "give one")
    if run is None:
        raise ConfigError("no run is named", "give RUN, or --self-test")
    allow(allowed)
    if exact:
        raise typer.Exit(_check_exact(run, against, data, cache_of(cache_dir), as_json))
    from milkreport.checks.verdict import exit_code
    from milkreport.commands import verdicts
    from milkreport.evidence.read import is_report
    from milkreport.evidence.source import as_runs
    from milkreport.gate.checking import check_run, stored_reference
    from milkreport.runs.folder import RunFolder

    if junit is not None:
        refuse_to_overwrite("--junit", junit, JUNIT)
    folder = RunFolder(run)
    reference = against
    if reference is None:
        folder.load_results()  # no run, or none that is finished, is said first
        reference = stored_reference(folder)
    if not reference:
        raise ConfigError("this run names no reference", "give --against NAME|FILE|RUN")
    path = Path(reference)
    with as_runs(*([path] if is_report(path) else [])) as places:
        verdict = check_run(folder, str(places[0]) if places else reference)
    if as_json:
        print(verdict.model_dump_json(indent=1))
    else:
        verdicts.show_verdict(verdict)
    if junit is not None:
        from milkreport.atomic import write_text
        from milkreport.checks.formats import as_junit

        write_text(junit, as_junit(verdict, strict, allow_inconclusive))
    if github:
        _tell_github(verdict, strict, allow_inconclusive, as_json)
    raise typer.Exit(exit_code(verdict, strict, allow_inconclusive))


def _tell_github(verdict: Verdict, strict: bool, allow_inconclusive: bool, as_json: bool) -> None:
    """The summary into the file that GitHub names, else onto stdout; annotations where it reads them."""
    from milkreport.atomic import disk_problem
    from milkreport.checks.formats import as_annotations, as_markdown

    summary = as_markdown(verdict, strict, allow_inconclusive)
    place = os.environ.get("GITHUB_STEP_SUMMARY", "")
    if place:
        try:
            with open(place, "a", encoding="utf-8") as file:
                file.write(summary)
        except OSError as error:
            raise disk_problem(error, Path(place)) from error
    elif not as_json:
        print(summary, end="")
    for line in as_annotations(verdict, strict, allow_inconclusive):
        print(line, file=sys.stderr if as_json else sys.stdout)


def _check_exact(
    run: Path, against: str | None, data: Path | None, cache: Path, as_json: bool
) -> int:
    from milkreport.commands import execute, running

    if against:
        raise ConfigError("--exact compares a run with itself", "leave --against out")
    repeats = execute.repeat(run, data, cache)
    if as_json:
        print(json.dumps(asdict(repeats) | {"equal": repeats.equal}, indent=1))
    running.show_repeats(repeats)
    return 0 if repeats.equal else 1


def _test_itself(as_json: bool) -> int:
    from milkreport.commands import verdicts
    from milkreport.gate.self_test import run_controls

    controls = list(run_controls())
    if as_json:
        print(json.dumps([asdict(c) | {"holds": c.holds} for c in controls], indent=1))
    else:
        verdicts.show_self_test(controls)
    return 0 if all(c.holds for c in controls) else 1


def audit(
    reference: Annotated[
        str | None,
        typer.Argument(help="Shipped reference, reference file, or **new** to write such a file."),
    ] = None,
    file: Annotated[
        Path | None, typer.Argument(help="With **new**: the reference file to write.")
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With **new**: a results table, pasted as CSV, Markdown, LaTeX or classification report.",
        ),
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(
            metavar="classes|models",
            help="With --table: what its rows are of. (default: seen from it)",
        ),
    ] = None,
    average: Annotated[
        str | None,
        typer.Option(
            metavar="macro|weighted",
            help="With --table: what a model's precision, recall and F1 are, where the table does not say.",
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Audit every shipped reference; a row for each.")
    ] = False,
    numbers_alone: Annotated[
        bool, typer.Option("--numbers-alone", help="Leave printed confusion matrices out.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write audit.html, audit.pdf and audit.json here.")
    ] = None,
    pdf: PdfOption = "auto",
    no_pdf: NoPdfOption = False,
    as_json: JsonOption = False,
) -> None:
    """Do the numbers of a publication agree with each other? No data and no run are needed.

    Recomputes every metric from the published matrices. Without a matrix: is there any that prints all
    numbers of a model, and what do they allow of numbers that are not printed? Checks row sums, totals and
    shares, printed numbers against their rounding, and what is said of the arms against the numbers.
    Findings are no failure: exit code 0.

    Examples:

    - milkreport audit paper

    - milkreport audit new my_paper.toml --table table2.md

    - milkreport audit my_paper.toml --out audit

    - milkreport audit --all
    """
    from milkreport.checks.audit.audit import audit as find
    from milkreport.checks.audit.audit import without_matrices
    from milkreport.checks.reference import load_reference, shipped_references
    from milkreport.commands import execute, verdicts

    if reference == "new":
        _write_draft(file, table, rows, average)
        return
    if file is not None or table is not None or rows or average:
        do = "type: milkreport audit new FILE [--table FILE]"
        raise ConfigError("a second file, --table, --rows and --average belong to new", do)
    if every == (reference is not None):
        raise ConfigError("name one reference, or give --all", "see: milkreport audit --help")
    names = sorted(shipped_references()) if reference is None else [reference]
    if every and out is not None:
        raise ConfigError("--out takes one reference", "leave --all out, and name it")
    loaded = [load_reference(name) for name in names]
    audits = [find(without_matrices(r) if numbers_alone else r) for r in loaded]
    if as_json:
        print(json.dumps([a.model_dump(mode="json") for a in audits], indent=1) if every
              else audits[0].model_dump_json(indent=1))  # fmt: skip
    elif every:
        verdicts.show_shelf(audits)
    else:
        verdicts.show_audit(audits[0])
    if out is not None:
        execute.write_audit(out, audits[0], pdf=pdf_mode(pdf, no_pdf))


def _write_draft(
    file: Path | None, table: Path | None, rows: str | None, average: str | None
) -> None:
    """A reference file, from a table or with its keys explained."""
    from milkreport.checks.audit.draft import write_draft
    from milkreport.commands.console import console, show_files

    if file is None or file.suffix != ".toml":
        raise ConfigError("new needs the file to write", "type: milkreport audit new my_paper.toml")
    for option, value, known in (
        ("--rows", rows, ("classes", "models")),
        ("--average", average, ("macro", "weighted")),
    ):
        if value is not None and (value not in known or table is None):
            what = f"{option} {value}" if value not in known else f"{option} without --table"
            raise ConfigError(what, f"known: {', '.join(known)}; with --table FILE")
    refuse_to_overwrite("new", file)
    draft = write_draft(file, table, rows, average)
    show_files([file])
    if draft is not None:
        n = len(draft.figures)
        console.print(f"read {n} numbers; fill in what says FILL IN, then: milkreport audit {file}")
        for hint in draft.hints:
            console.print(hint, markup=False)
    else:
        console.print(f"fill it in, then: milkreport audit {file}", markup=False)
