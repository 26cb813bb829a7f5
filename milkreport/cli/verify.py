"""The command that verifies a report against what it carries: verify. See ``cli``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from milkreport.cli.options import (
    AllowRootOption,
    CacheOption,
    ExactDataOption,
    JsonOption,
    TrustOptions,
    allow,
    cache_of,
    takes_trust,
)
from milkreport.errors import ConfigError


@takes_trust
def verify(
    source: Annotated[
        Path,
        typer.Argument(metavar="FILE|RUN", help="A report.pdf or report.html, or a run folder."),
    ],
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 5 unless everything could be verified.")
    ] = False,
    redraw: Annotated[
        bool,
        typer.Option(
            "--redraw",
            help="Also draw each PDF again and compare every byte: drawings, links, metadata.",
        ),
    ] = False,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact", help="Of a run folder: also train every cell again, as check --exact."
        ),
    ] = False,
    data: ExactDataOption = None,
    allow_root: AllowRootOption = None,
    cache_dir: CacheOption = None,
    *,
    allowed: TrustOptions,
    as_json: JsonOption = False,
) -> None:
    """Verify a report against the evidence that it carries. Needs no data and no network.

    Compares the hashes of all files, computes every point, interval and p again from the predictions,
    compares them with the results, and compares the whole printed text with what the results give.
    docs/verify.md says what that proves.

    Exit code 0 (nothing differs), 1 (something does), or 5 (nothing could be verified; with --strict, not
    everything).

    Examples:

    - milkreport verify report.pdf

    - milkreport verify report.pdf --redraw

    - milkreport verify runs/paper --json
    """
    from milkreport.commands import verdicts
    from milkreport.verifying.verify import verify as find

    allow(allowed)
    if exact and not source.is_dir():
        what = "--exact trains again, and a report carries no folds, weights or curves"
        raise ConfigError(what, "give the run folder", str(source))
    found = find(source, redraw)
    if as_json:
        print(found.model_dump_json(indent=1))
    else:
        verdicts.show_verification(found)
    code = found.exit_code(strict)
    if exact:
        from milkreport.commands import execute, running

        repeats = execute.repeat(source, data, cache_of(cache_dir))
        running.show_repeats(repeats)
        code = code or (0 if repeats.equal else 1)
    raise typer.Exit(code)
