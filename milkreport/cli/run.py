"""The main commands: run-all and report. See ``cli``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from milkreport.cli.options import (
    AllowRootOption,
    CacheOption,
    DeviceOption,
    ModuleDirOption,
    NoCasesOption,
    NoImagesOption,
    NoPdfOption,
    PdfOption,
    UnlabelledOption,
    allow,
    cache_of,
    pdf_wish,
)
from milkreport.errors import ConfigError


def _suites() -> list[str]:
    """For the shell's completion."""
    from milkreport.suite.suite import list_suites

    return list_suites()


def run_all(
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
    allow_root: AllowRootOption = None,
    out: Annotated[Path | None, typer.Option(help="Run folder. (default: runs/SUITE)")] = None,
    seeds: Annotated[int | None, typer.Option(help="Training seeds per arm.")] = None,
    device: DeviceOption = "auto",
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a setting of the suite; repeatable."
        ),
    ] = None,
    cache_dir: CacheOption = None,
    module_dir: ModuleDirOption = None,
    allow_unlabelled: UnlabelledOption = False,
    pdf: PdfOption = "auto",
    no_pdf: NoPdfOption = False,
    no_images: NoImagesOption = False,
    no_cases: NoCasesOption = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Show what would be trained, and what it takes; then stop.",
        ),
    ] = False,
    gate: Annotated[
        str | None,
        typer.Option(help="Check against this reference or run; the verdict is the exit code."),
    ] = None,
    checkpoint_every: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="Keep a training's progress this often.")
    ] = 30,
    restart: Annotated[
        bool, typer.Option("--restart", help="Delete what the run folder holds, and begin anew.")
    ] = False,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--grid", metavar="KEY=V,V", help="A run for each value of a setting; repeatable."
        ),
    ] = None,
    workers: Annotated[
        str,
        typer.Option(
            envvar="MILKREPORT_WORKERS",
            metavar="N|auto",
            help="Trainings at a time here. auto: one for each GPU, or what cores and memory take.",
        ),
    ] = "auto",
    reuse: Annotated[
        Path | None,
        typer.Option(help="Take over equal trainings that runs below this folder have finished."),
    ] = None,
    executor: Annotated[
        str, typer.Option(metavar="local|ray", help="Where trainings run; ray needs the extra ray.")
    ] = "local",
    ray_address: Annotated[
        str,
        typer.Option(
            envvar="RAY_ADDRESS",
            metavar="ADDRESS",
            help="A running Ray cluster. (default: one of its own on this machine)",
        ),
    ] = "",
    cells_per_gpu: Annotated[
        int,
        typer.Option(
            min=1, max=64, help="Trainings that share a GPU, as far as its memory allows."
        ),
    ] = 1,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write event files to OUT/tensorboard.")
    ] = False,
    mlflow: Annotated[
        str,
        typer.Option(metavar="URI", help="Log to this MLflow server; artefacts are sent to it."),
    ] = "",
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Stop after the first training that fails.")
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

    - milkreport run-all cv5 --data DIR --grid training.learning_rate=0.001,0.0003 --workers 4
    """
    from milkreport.checks.verdict import exit_code
    from milkreport.commands import run_all as main_job
    from milkreport.commands.shell import shell_line
    from milkreport.execution.grid import parse_grid
    from milkreport.suite.suite import load_suite
    from milkreport.trust import trust_suite

    wish = pdf_wish(pdf, no_pdf)
    allow(folders=module_dir)
    settings = [*(overrides or []), *(["data.unlabelled=drop"] if allow_unlabelled else [])]
    runs = []
    for point in parse_grid(grid or []):
        chosen = load_suite(suite, [*settings, *point.overrides])
        if seeds is not None:
            chosen = chosen.with_seeds(seeds)
        if point.name:
            title = f"{chosen.title} ({point.settings})"
            chosen = chosen.model_copy(update={"title": title})
        trust_suite(chosen)
        runs.append((point, chosen))
    if gate is not None and len(runs) > 1:
        raise ConfigError("--gate and --grid", "gate one run: milkreport check RUN")
    folder = out or Path("runs") / chosen.name
    named = suite if not suite.endswith(".toml") else "$OUT/suite.toml"
    command = ["milkreport", "run-all", named]
    command += ["--data", "$MILKREPORT_DATA"] if data else []
    command += ["--allow-root", "$ROOT"] * len(allow_root or [])
    command += ["--out", "$OUT"]
    command += ["--seeds", str(seeds)] if seeds is not None else []
    command += ["--device", device] if device != "auto" else []
    command += ["--module-dir", "$MODULES"] if module_dir else []
    for override in settings:
        command += ["--set", override]
    for axis in grid or []:
        command += ["--grid", axis]
    order = main_job.Order(
        runs=runs,
        data=data,
        out=folder,
        device=device,
        command=shell_line(command),
        cache=cache_of(cache_dir),
        gate=gate,
        pdf=wish,
        images=not no_images,
        cases=not no_cases,
        workers=workers,
        executor=executor,
        ray_address=ray_address,
        cells_per_gpu=cells_per_gpu,
        tensorboard=tensorboard,
        mlflow=mlflow,
        checkpoint_every=checkpoint_every,
        restart=restart,
        fail_fast=fail_fast,
        reuse=reuse,
    )
    if dry_run:
        main_job.show_plan(order)
        return
    found, verdict = main_job.run(order)
    if any(results.status == "partial" for results in found):
        raise typer.Exit(6)
    if gate is not None:
        raise typer.Exit(exit_code(verdict) if verdict else 5)


def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Run folder; several for one report.")
    ],
    out: Annotated[Path | None, typer.Option(help="Where the report of several runs goes.")] = None,
    arm: Annotated[
        list[str] | None,
        typer.Option("--arm", help="Of several runs, take this arm; repeatable. (default: all)"),
    ] = None,
    primary: Annotated[
        str, typer.Option(help="Of several runs, the metric that is tested. (default: theirs)")
    ] = "",
    pdf: PdfOption = "auto",
    no_pdf: NoPdfOption = False,
    no_images: NoImagesOption = False,
    no_cases: NoCasesOption = False,
) -> None:
    """Draw the report of a run folder again, without training; or one report of several runs.

    The --out of a finetune has two reports, in new and old; both are drawn.

    Several runs must have been made from the same data, split alike: their arms are paired case by case.

    Examples:

    - milkreport report runs/paper

    - milkreport report runs/cv5 runs/cv5-128px --arm baseline --out runs/sizes
    """
    from milkreport.commands import execute

    wish = pdf_wish(pdf, no_pdf)
    if len(runs) == 1:
        if out or arm or primary:
            raise ConfigError("--out, --arm and --primary are for several runs", "name two or more")
        execute.redraw(runs[0], pdf=wish, images=not no_images, cases=not no_cases)
        return
    if out is None:
        raise ConfigError("a report of several runs needs a place", "give --out FOLDER")
    execute.combined(runs, out, arm or [], primary, wish, cases=not no_cases)
