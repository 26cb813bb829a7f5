"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RunArgument = Annotated[Path, typer.Argument(help="Run folder: the --out of a run-all.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Complete, unrounded JSON on stdout.")]
CacheOption = Annotated[
    Path | None,
    typer.Option("--cache-dir", help="Where decoded images are kept. (default: the user's cache)"),
]
UnlabelledOption = Annotated[
    bool, typer.Option("--allow-unlabelled", help="Leave out what has no label, or only a label.")
]
NoPdfOption = Annotated[bool, typer.Option("--no-pdf", help="Write the HTML report only.")]


def cache_of(named: Path | None) -> Path:
    """The named folder of decoded images, or the user's own."""
    from milkreport.data.store import cache_folder

    return named or cache_folder()
