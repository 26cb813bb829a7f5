"""The main commands: run-all and report. See ``cli``."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from milkreport.cli.external import ExternalDataOption, external_folders
from milkreport.cli.options import (
    CASES,
    DEVICE,
    EVIDENCE,
    IMAGES,
    RESTART,
    AllowRootOption,
    CacheOption,
    CasesOption,
    EvidenceOption,
    FindingOptions,
    ImagesOption,
    ModuleDirOption,
    NoPdfOption,
    OverridesOption,
    PdfOption,
    PrevalenceOption,
    SeedsOption,
    TrustOptions,
    UnlabelledOption,
    UnlabelledPredictions,
    allow,
    cache_of,
    pdf_mode,
    takes_findings,
)
from milkreport.cli.parsed import recorded_command, takes
from milkreport.errors import ConfigError
from milkreport.execution.options import RunOptions

#: What a run's command is recorded without: where it ran and what was kept changes no number of it.
_NOT_RECORDED = {
    *({f.name for f in fields(RunOptions)} - {"device", "images", "cases", "robustness", "prevalence"}),
    "allow_unlabelled", "cache_dir", "pdf", "no_pdf", "dry_run", "fail_on",
}  # fmt: skip

#: What a report of several runs is recorded without.
_REDRAWN = {"pdf", "no_pdf", "images", "cases", "evidence", "mute", "fail_on"}


def _suites() -> list[str]:
    """For the shell's completion."""
    from milkreport.suite.suite import list_suites

    return list_suites()


@takes_findings
@takes(
    RunOptions,
    {
        "device": DEVICE,
        "gate": typer.Option(
            help="Check against this reference or run; the verdict is the exit code."
        ),
        "images": IMAGES,
        "cases": CASES,
        "evidence": EVIDENCE,
        "checkpoint_every": typer.Option(
            metavar="SECONDS", min=0, help="Keep a training's progress this often."
        ),
        "restart": RESTART,
        "workers": typer.Option(
            envvar="MILKREPORT_WORKERS",
            metavar="N|auto",
            help="Trainings at a time here. auto: one for each GPU, or what cores and memory take.",
        ),
        "reuse": typer.Option(
            help="Take over equal trainings that runs below this folder have finished."
        ),
        "executor": typer.Option(
            metavar="local|ray", help="Where trainings run; ray needs the extra ray."
        ),
        "ray_address": typer.Option(
            envvar="RAY_ADDRESS",
            metavar="ADDRESS",
            help="A running Ray cluster. (default: one of its own on this machine)",
        ),
        "cells_per_gpu": typer.Option(
            min=1, max=64, help="Trainings that share a GPU, as far as its memory allows."
        ),
        "tensorboard": typer.Option("--tensorboard", help="Write event files to OUT/tensorboard."),
        "mlflow": typer.Option(
            metavar="URI", help="Log to this MLflow server; artefacts are sent to it."
        ),
        "fail_fast": typer.Option("--fail-fast", help="Stop after the first training that fails."),
        "registration": typer.Option(
            metavar="FILE",
            help="Registration of this study: a deviation from it is refused. (default: the run folder's)",
        ),
        "deviate": typer.Option(
            metavar="REASON",
            help="Deviate from the registration; the report prints each deviation.",
        ),
        "timestamp": typer.Option(
            metavar="FILE",
            help="Dates the registration: RFC 3161 token (.tsr), or output of git cat-file commit.",
        ),
        "robustness": typer.Option(
            metavar="all|NAME,...",
            help="Score the test part under graded corruptions too: brightness, contrast, blur, noise, jpeg, "
            "resolution, hair, gel, or all.",
        ),
        "prevalence": typer.Option(
            metavar="SHARE,...|CLASS=SHARE,...|FILE",
            help="Predictive values at these shares of positive cases; or class shares, for a forecast.",
        ),
        "timestamp_ca": typer.Option(
            metavar="FILE", help="Certificates (PEM) that verify the token's signature."
        ),
    },
)
def run_all(
    context: typer.Context,
    suite: Annotated[
        str,
        typer.Argument(
            help="Name of a shipped suite, or path of a TOML file.", autocompletion=_suites
        ),
    ] = "quick",
    data: Annotated[
        Path | None,
        typer.Option(
            envvar="MILKREPORT_DATA",
            help="Folder or zip of the data, or its milkreport.toml. Without it: synthetic data, no result.",
        ),
    ] = None,
    external: ExternalDataOption = None,
    allow_root: AllowRootOption = None,
    out: Annotated[Path | None, typer.Option(help="Run folder. (default: runs/SUITE)")] = None,
    seeds: SeedsOption = None,
    *,
    overrides: OverridesOption = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--grid", metavar="KEY=V,V", help="A run for each value of a setting; repeatable."
        ),
    ] = None,
    options: RunOptions,
    findings: FindingOptions,
    cache_dir: CacheOption = None,
    module_dir: ModuleDirOption = None,
    allow_unlabelled: UnlabelledOption = False,
    pdf: PdfOption = "auto",
    no_pdf: NoPdfOption = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Show what would be trained, and what it takes; then stop.",
        ),
    ] = False,
) -> None:
    """Train all arms of a suite, evaluate, check, and write the report.

    The same command again resumes, wherever it was stopped or killed, and ends with the same weights.
    Shipped suites: **quick** (synthetic, minutes), **paper** and **paper_as_published** (the paper's
    protocol), **cv5** (five folds, the protocol to draw conclusions from).

    Examples:

    - milkreport run-all

    - milkreport run-all paper --data DIR

    - milkreport run-all cv5 --data DIR --seeds 5 --set data.image_size=128

    - milkreport run-all cv5 --data DIR --external clinic=DIR2 --out runs/clinic

    - milkreport run-all cv5 --data DIR --grid training.learning_rate=0.001,0.0003 --workers 4
    """
    from milkreport.checks.verdict import exit_code
    from milkreport.commands import run_all as main_job
    from milkreport.execution.grid import parse_grid
    from milkreport.suite.suite import load_suite
    from milkreport.trust import trust_suite

    muted, mode = findings.muted, pdf_mode(pdf, no_pdf)
    sets = external_folders(external)
    allow(TrustOptions(module_dir=module_dir))
    settings = [*(overrides or []), *(["data.unlabelled=drop"] if allow_unlabelled else [])]
    runs = []
    for point in parse_grid(grid or []):
        chosen = load_suite(suite, [*settings, *point.overrides]).with_mutes(muted)
        if seeds is not None:
            chosen = chosen.with_seeds(seeds)
        if point.name:
            title = f"{chosen.title} ({point.settings})"
            chosen = chosen.model_copy(update={"title": title})
        trust_suite(chosen)
        runs.append((point, chosen))
    if options.gate is not None and len(runs) > 1:
        raise ConfigError("--gate and --grid", "gate one run: milkreport check RUN")
    if options.registration is not None and len(runs) > 1:
        do = "choose a point first; its trainings are in the ledger"
        raise ConfigError("--registration and --grid: a registration is of one suite", do)
    shown = {
        "suite": suite if not suite.endswith(".toml") else "$OUT/suite.toml",
        "data": "$MILKREPORT_DATA" if data else "",
        "external": [f"{name}=$EXTERNAL" for name in sets],
        "allow_root": ["$ROOT"] * len(allow_root or []),
        "out": "$OUT",
        "overrides": settings,
        "module_dir": ["$MODULES"] * len(module_dir or []),
        "prevalence": options.prevalence
        if "=" in options.prevalence
        else Path(options.prevalence).name,
    }
    order = main_job.Order(
        runs=runs,
        data=data,
        out=out or Path("runs") / chosen.name,
        command=recorded_command(context, shown, _NOT_RECORDED),
        cache=cache_of(cache_dir),
        pdf=mode,
        options=options,
        external=sets,
    )
    if dry_run:
        main_job.show_plan(order)
        return
    found, verdict = main_job.run(order)
    if any(results.status == "partial" for results in found):
        raise typer.Exit(6)
    if options.gate is not None and (code := exit_code(verdict) if verdict else 5):
        raise typer.Exit(code)
    findings.exit_on(found)


@takes_findings
def report(
    context: typer.Context,
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Run folder or report; several for one report."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Where the report of several runs, or of a report, goes."),
    ] = None,
    arm: Annotated[
        list[str] | None,
        typer.Option("--arm", help="Of several runs, take this arm; repeatable. (default: all)"),
    ] = None,
    primary: Annotated[
        str, typer.Option(help="Of several runs, the metric that is tested. (default: theirs)")
    ] = "",
    pdf: PdfOption = "auto",
    no_pdf: NoPdfOption = False,
    images: ImagesOption = RunOptions.images,
    cases: CasesOption = RunOptions.cases,
    evidence: EvidenceOption = RunOptions.evidence,
    prevalence: PrevalenceOption = "",
    unlabelled: UnlabelledPredictions = None,
    *,
    findings: FindingOptions,
) -> None:
    """Draw the report of a run folder again, without training; or one report of several runs.

    A report in place of a run folder is drawn from what it carries; --out gets that as a run folder, without
    weights. The --out of a finetune has two reports, in new and old; both are drawn.

    Several runs of the same data, split alike, make one report: their arms are paired case by case. Runs of
    different data make a ranking of the arms that they share, over the data sets and without pooling them.

    Examples:

    - milkreport report runs/paper

    - milkreport report runs/paper --prevalence 0.02,0.05

    - milkreport report report.pdf --out drawn

    - milkreport report runs/cv5 runs/cv5-128px --arm baseline --out runs/sizes

    - milkreport report runs/clinic-a runs/clinic-b runs/clinic-c --out runs/ranking
    """
    from milkreport.commands import execute
    from milkreport.evidence.read import is_report
    from milkreport.evidence.source import as_runs
    from milkreport.runs.combined import load_runs
    from milkreport.runs.data_sets import are_of_different_data

    if is_report(runs[0]) and out is None:
        raise ConfigError("a report that is drawn again needs a place", "give --out FOLDER")
    muted, mode = findings.muted, pdf_mode(pdf, no_pdf)
    if len(runs) == 1:
        if arm or primary or (out and not is_report(runs[0])):
            raise ConfigError("--out, --arm and --primary are for several runs", "name two or more")
        run = runs[0] if out is None else execute.unpack_report(runs[0], out)
        asked = (prevalence, unlabelled or [])
        findings.exit_on(execute.redraw(run, mode, images, cases, muted, evidence, *asked))
        return
    if prevalence or unlabelled:
        raise ConfigError("--prevalence and --unlabelled are for one run", "name one")
    if out is None:
        raise ConfigError("a report of several runs needs a place", "give --out FOLDER")
    shown = {"runs": [path.name or str(path) for path in runs], "out": "$OUT"}
    line = recorded_command(context, shown, _REDRAWN)
    with as_runs(*runs) as places:
        known = load_runs(places)
        if are_of_different_data(known):
            if evidence or muted or findings.fail_on:
                what = "runs of different data make a ranking, without --evidence, --mute and --fail-on"
                raise ConfigError(what, "leave these out")
            execute.ranked(known, out, arm or [], primary, mode)
            return
        results = execute.combined(
            places, out, arm or [], primary, line, mode, cases, muted=muted, evidence=evidence
        )
    findings.exit_on([results])
