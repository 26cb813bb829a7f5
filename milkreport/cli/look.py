"""The commands that look at runs: status, list. See ``cli``."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from milkreport.cli.options import JsonOption, RunArgument


def status(run: RunArgument, as_json: JsonOption = False) -> None:
    """Show how far a run is: done, running with its epoch, failed, interrupted, waiting.

    May be asked while the run goes on; epochs are those of the last checkpoint. Of a finetune: its tables.
    """
    from milkreport.commands import looking
    from milkreport.finetuning.record import is_finetuning, load_record
    from milkreport.runs.folder import RunFolder
    from milkreport.runs.status import load_status

    if is_finetuning(run):
        from milkreport.commands import finetuned

        record = load_record(run)
        if as_json:
            print(record.model_dump_json(indent=1))
        else:
            finetuned.show_status(record)
        return
    found = load_status(RunFolder(run))
    if as_json:
        print(json.dumps(found.model_dump() | {"counts": found.counts}, indent=1))
    else:
        looking.show_status(found)


def list_runs(
    folder: Annotated[Path, typer.Argument(help="Folder with runs below it.")] = Path("runs"),
    arm: Annotated[str, typer.Option(help="Runs with this arm.")] = "",
    data: Annotated[str, typer.Option(help="Runs on this data.")] = "",
    since: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="Begun on this day or later.")
    ] = None,
    metric: Annotated[str, typer.Option(help="Runs with this primary metric.")] = "",
    as_json: JsonOption = False,
) -> None:
    """List the runs and evaluations below a folder, from their own files.

    Example:

    - milkreport list runs --data MILK10k --since 2026-01-01
    """
    from milkreport.commands import looking
    from milkreport.errors import ConfigError
    from milkreport.runs.finding import find_runs

    if not folder.is_dir():
        raise ConfigError("no such folder", "give a folder with runs", str(folder))
    if since is not None:  # an empty one is a variable that was not set
        try:
            since = date.fromisoformat(since.strip()).isoformat()
        except ValueError as error:
            what = f"--since {since!r}: not a date"
            raise ConfigError(what, "write YYYY-MM-DD, as 2026-01-31") from error
    entries = [
        entry
        for entry in find_runs(folder)
        if (not arm or arm in entry.arms)
        and (not data or entry.data == data)
        and (not since or entry.started >= since)
        and (not metric or entry.primary_metric == metric)
    ]
    if as_json:
        print(json.dumps([entry.model_dump() for entry in entries], indent=1))
    else:
        looking.show_entries(entries)
