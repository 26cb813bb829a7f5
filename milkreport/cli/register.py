"""The commands about what is declared before training: register, ledger. See ``cli``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from milkreport.cli.options import (
    AllowRootOption,
    CacheOption,
    JsonOption,
    ModuleDirOption,
    OverridesOption,
    SeedsOption,
    TrustOptions,
    UnlabelledOption,
    allow,
    cache_of,
)


def register(
    suite: Annotated[str, typer.Argument(help="Name of a shipped suite, or path of a TOML file.")],
    data: Annotated[
        Path | None,
        typer.Option(
            envvar="MILKREPORT_DATA",
            help="Folder or zip of the data, or its milkreport.toml. Without it: synthetic data.",
        ),
    ] = None,
    allow_root: AllowRootOption = None,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Where the registration goes; never written over.")
    ] = Path("registration.json"),
    run: Annotated[
        Path | None,
        typer.Option(
            help="Run folder that will be trained; refused if it has trainings. (default: runs/SUITE)"
        ),
    ] = None,
    seeds: SeedsOption = None,
    *,
    overrides: OverridesOption = None,
    difference: Annotated[
        float | None,
        typer.Option(
            help="Difference of the primary metric that the power is for. (default: the margin, or 0.02)"
        ),
    ] = None,
    from_run: Annotated[
        Path | None,
        typer.Option("--from", metavar="RUN", help="Pilot run that the planner's noise is from."),
    ] = None,
    cache_dir: CacheOption = None,
    module_dir: ModuleDirOption = None,
    allow_unlabelled: UnlabelledOption = False,
    as_json: JsonOption = False,
) -> None:
    """Register a study before it is trained: what is compared on which data, by which metric.

    Writes question, arms, primary metric, margin, correction, seeds, folds, exclusions, planned sample and
    power, and the hashes of data and splits, with a hash of all that. run-all --registration FILE then
    refuses whatever differs. What it proves, and what it does not: docs/registering.md.

    Example:

    - milkreport register cv5 --data DIR --seeds 5
    """
    from milkreport.commands.registering import register as job
    from milkreport.suite.suite import load_suite
    from milkreport.trust import trust_suite

    allow(TrustOptions(module_dir=module_dir))
    settings = [*(overrides or []), *(["data.unlabelled=drop"] if allow_unlabelled else [])]
    chosen = load_suite(suite, settings)
    if seeds is not None:
        chosen = chosen.with_seeds(seeds)
    trust_suite(chosen)
    registration = job.register(
        chosen,
        data,
        out,
        run or Path("runs") / chosen.name,
        difference if difference is not None else chosen.margin or 0.02,
        from_run,
        cache_of(cache_dir),
    )
    if as_json:
        print(registration.model_dump_json(indent=1))


def ledger(cache_dir: CacheOption = None, as_json: JsonOption = False) -> None:
    """Show which trainings were ever begun with this cache, and whether the chain of entries is whole.

    Exit code 0, or 3 if a line was changed, removed or moved: it is named.
    """
    from milkreport.commands.registering import ledger as screen
    from milkreport.registration.ledger import Ledger

    found = Ledger(cache_of(cache_dir))
    chain = found.load()
    if as_json:
        shown = asdict(chain) | {"entries": [e.model_dump() for e in chain.entries]}
        print(json.dumps(shown, indent=1))
    else:
        screen.show(chain, found.path)
    if chain.problem:
        raise typer.Exit(3)
