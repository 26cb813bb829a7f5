"""The command that plans a comparison. See ``cli``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from milkreport.cli.options import PAGE, JsonOption, refuse_to_overwrite
from milkreport.errors import ConfigError


def plan(
    difference: Annotated[
        float, typer.Option(help="Difference of the metric that is worth finding.")
    ] = 0.02,
    from_run: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Finished run of two arms and two seeds or more: its noise, its cases.",
        ),
    ] = None,
    classes: Annotated[
        str,
        typer.Option(
            metavar="N,...",
            help="Without a run: scored cases of each class, as in 300,2500,40. Noise as measured elsewhere.",
        ),
    ] = "",
    seeds: Annotated[int, typer.Option(help="Training seeds per arm.")] = 5,
    metric: Annotated[
        str, typer.Option(help="Metric to compare. (default: the run's primary, or macro_f1)")
    ] = "",
    folds: Annotated[
        int | None,
        typer.Option(
            help="Folds over which test predictions are pooled. (default: the run's, or 1: a hold-out)"
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the plan as a page.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Plan a comparison of two arms: how many cases and seeds find a difference with 80% power?

    And what can the cases at hand find? By the model that analyses a comparison: training noise averages
    over seeds, case noise over cases. The plan states which noise it assumes, and how the answer changes if
    the noise is half or twice as large.

    Examples:

    - milkreport plan --from runs/pilot --difference 0.03

    - milkreport plan --classes 300,2500,40,540,50 --seeds 10 --html plan.html
    """
    from milkreport.evaluation.planning import design
    from milkreport.evaluation.planning.noise import assume_components
    from milkreport.runs.planning import load_components

    if (from_run is None) == (not classes):
        what = "no noise to plan with" if from_run is None else "--from and --classes"
        raise ConfigError(what, "give one of --from RUN and --classes N,...")
    if folds is not None and not 1 <= folds <= design.MOST_FOLDS:
        raise ConfigError(f"--folds {folds}", f"give 1 to {design.MOST_FOLDS}")
    if html is not None:
        refuse_to_overwrite("--html", html, PAGE)
    if from_run is not None:
        components = load_components(from_run, metric)
        if folds is not None:
            components = components.model_copy(update={"folds": folds})
    else:
        counts = _read_counts(classes)
        components = assume_components(metric or "macro_f1", counts, folds or 1)
    found = design.plan(components, difference, seeds)
    if html is not None:
        from milkreport.commands.console import show_files
        from milkreport.reporting.plan_page import write_plan_page
        from milkreport.runs.manifest import read_clock

        write_plan_page(html, found, read_clock())
        show_files([html])
    if as_json:
        print(found.model_dump_json(indent=1))
    else:
        from milkreport.commands import planning

        planning.show(found)


def _read_counts(text: str) -> list[int]:
    """Counts between commas."""
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if not (word.isascii() and word.isdigit() and len(word) < 10):
            what = f"--classes: {word[:30]!r} is not a whole number of cases"
            raise ConfigError(what, "give counts, as in 300,2500,40")
    return [int(word) for word in words]
