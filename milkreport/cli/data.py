"""The commands about data: check, describe, decode, make. See ``cli``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from milkreport.cli.options import (
    PAGE,
    PROBLEMS,
    AllowRootOption,
    CacheOption,
    JsonOption,
    UnlabelledOption,
    cache_of,
    refuse_to_overwrite,
)
from milkreport.errors import ConfigError

if TYPE_CHECKING:
    from milkreport.suite.suite import Data

app = typer.Typer(no_args_is_help=True, help="Check, describe, decode or make data.")
cache_app = typer.Typer(no_args_is_help=True, help="See and clear the decoded images.")
app.add_typer(cache_app, name="cache")

SourceArgument = Annotated[
    Path, typer.Argument(help="Folder or zip of the data, or its milkreport.toml.")
]
AdapterOption = Annotated[
    str, typer.Option(help="auto, milk10k, table or folder; auto tells by content.")
]


@app.command("synth")
def data_synth(
    folder: Annotated[Path, typer.Argument(help="Folder to make; must be absent or empty.")],
    cases: Annotated[int, typer.Option(min=66, help="Number of lesions.")] = 900,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 0,
    size: Annotated[int, typer.Option(min=16, max=1024, help="Side of an image in pixels.")] = 256,
) -> None:
    """Draw a synthetic MILK10k in the official layout. It shows no patient and gives no result."""
    from milkreport.commands import execute

    execute.synthesise(folder, cases, seed, size)


@app.command("check")
def data_check(
    source: SourceArgument,
    allow_root: AllowRootOption = None,
    adapter: AdapterOption = "auto",
    html: Annotated[Path | None, typer.Option(help="Write the data report to this file.")] = None,
    problems: Annotated[
        Path, typer.Option(help="Where all problems are listed, if there are any.")
    ] = Path("data-problems.csv"),
    strict: Annotated[
        bool, typer.Option("--strict", help="Duplicates and other warnings are errors.")
    ] = False,
    allow_unlabelled: UnlabelledOption = False,
    cache_dir: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read every row and decode every image; say in one page whether the data is sound.

    Understands MILK10k in any layout, a folder a class, and any table that a milkreport.toml describes.
    Exit code 0: sound (warnings are listed). 3: not sound; every problem is in the CSV.

    Examples:

    - milkreport data check DIR

    - milkreport data check MILK10k.zip --html data.html
    """
    import json

    from milkreport.commands import check_data, sources
    from milkreport.commands.console import show_files
    from milkreport.commands.progress import progress

    chosen = _data_settings(adapter=adapter)
    if html is not None:
        refuse_to_overwrite("--html", html, PAGE)
    refuse_to_overwrite("--problems", problems, PROBLEMS)
    with progress() as watcher:
        finding = check_data.check_data(
            source,
            chosen.adapter,
            cache_of(cache_dir),
            allow_unlabelled,
            watcher.images,
            watcher.notice,
        )
    if strict:
        finding = finding.strictly()
    if as_json:
        print(json.dumps(check_data.as_record(finding), indent=1, ensure_ascii=False))
    else:
        sources.show_finding(finding, source)
    if finding.errors or finding.warnings or problems.is_file():  # an older list must not stay
        check_data.write_problems(problems, finding)
        show_files([problems])
    if html is not None:
        check_data.write_page(html, finding)
        show_files([html])
    if finding.errors:
        raise typer.Exit(3)


@app.command("init")
def data_init(
    folder: Annotated[Path, typer.Argument(help="Folder with a table (CSV) and images.")],
    table: Annotated[
        str | None, typer.Option(help="Which CSV, where there are several; relative to the folder.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to write. (default: DIR/milkreport.toml)")
    ] = None,
) -> None:
    """Write a milkreport.toml for an unknown table: guesses, with comments on what to look at.

    Look through the file, then: milkreport data check DIR
    """
    from milkreport.commands.console import say, show_files
    from milkreport.data.init.propose import write_proposal

    show_files([write_proposal(folder, table, out, cache_of(None))])
    check = ["milkreport", "data", "check", str(out or folder)]
    if out is not None and not folder.resolve().is_relative_to(out.resolve().parent):
        check += ["--allow-root", str(folder)]
    say("look through it, then: " + shlex.join(check))


@app.command("pack")
def data_pack(
    source: SourceArgument,
    allow_root: AllowRootOption = None,
    size: Annotated[int, typer.Option(min=16, max=1024, help="Side in pixels.")] = 256,
    decoder: Annotated[
        str, typer.Option(help="exact: equal to a plain decode and resize. fast: reduced decode.")
    ] = "exact",
    adapter: AdapterOption = "auto",
    cache_dir: CacheOption = None,
) -> None:
    """Decode all images once, into the cache that all runs share. Goes on where it was stopped."""
    from milkreport.commands import execute

    settings = _data_settings(adapter=adapter, decoder=decoder, image_size=size)
    execute.pack(source, settings, cache_of(cache_dir))


@cache_app.command("list")
def cache_list(cache_dir: CacheOption = None, as_json: JsonOption = False) -> None:
    """Show the stores of decoded images."""
    import json
    from dataclasses import asdict

    from milkreport.commands import sources
    from milkreport.data.pixels.store import list_stores

    folder = cache_of(cache_dir)
    stores = list_stores(folder)
    if as_json:
        print(json.dumps([asdict(store) for store in stores], indent=1))
    else:
        sources.show_stores(stores, folder)


@cache_app.command("clear")
def cache_clear(
    keys: Annotated[
        list[str] | None,
        typer.Argument(help="Stores to delete, by the start of their key. (default: all)"),
    ] = None,
    cache_dir: CacheOption = None,
) -> None:
    """Delete stores of decoded images; they are made again when they are needed."""
    from milkreport.commands.console import say
    from milkreport.data.pixels.store import clear_stores, list_stores

    folder = cache_of(cache_dir)
    known = [store.key for store in list_stores(folder)]
    for start in keys or []:
        if not any(key.startswith(start) for key in known):
            raise ConfigError(f"no store {start!r}", "see: milkreport data cache list")
    chosen = [key for key in known if any(key.startswith(start) for start in keys or [""])]
    freed = clear_stores(folder, chosen)
    say(f"freed {freed / 1e6:,.1f} MB")


def _data_settings(**values: object) -> Data:
    """Options of the data commands, checked as the suite's data section is."""
    from milkreport.suite.suite import Data
    from milkreport.suite.toml import validate

    return validate(Data, values)
