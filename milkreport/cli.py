"""The command line: parse, call, print, exit code. Loads torch only to train."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import tempfile
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from milkreport import __version__
from milkreport.errors import (
    ConfigError,
    DataProblems,
    EnvironmentProblem,
    MilkreportError,
    Stopped,
)

if TYPE_CHECKING:
    from milkreport.suite import Data

app = typer.Typer(
    name="milkreport",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Compare classifiers on imbalanced medical images, and report what can be claimed.

    **milkreport run-all** trains the arms of a comparison (no correction, class-weighted loss, weighted
    sampler), evaluates them on the same cases and writes an HTML and a PDF report. Without --data it
    makes and uses synthetic data, to show the way; with **--data DIR** it runs on MILK10k.

    **milkreport evaluate** scores anybody's predictions by the same rules, without training.""",
)
data_app = typer.Typer(no_args_is_help=True, help="Check, describe, decode or make data.")
cache_app = typer.Typer(no_args_is_help=True, help="See and clear the decoded images.")
app.add_typer(data_app, name="data")
data_app.add_typer(cache_app, name="cache")

_STATE = {"debug": False}

RunArgument = Annotated[Path, typer.Argument(help="Run folder: the --out of a run-all.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Complete, unrounded JSON on stdout.")]
CacheOption = Annotated[
    Path | None,
    typer.Option("--cache-dir", help="Where decoded images are kept. (default: the user's cache)"),
]
SourceArgument = Annotated[
    Path, typer.Argument(help="Folder or zip of the data, or its milkreport.toml.")
]
AdapterOption = Annotated[
    str, typer.Option(help="auto, milk10k, table or folder; auto tells by content.")
]
UnlabelledOption = Annotated[
    bool, typer.Option("--allow-unlabelled", help="Leave out what has no label, or only a label.")
]
NoPdfOption = Annotated[bool, typer.Option("--no-pdf", help="Write the HTML report only.")]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"milkreport {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    _STATE["debug"] = debug
    from milkreport.runs.manifest import read_clock

    read_clock()  # refuses a bad SOURCE_DATE_EPOCH before a library stumbles over it


@app.command("run-all")
def run_all(
    suite: Annotated[
        str, typer.Argument(help="Name of a shipped suite, or path of a TOML file.")
    ] = "quick",
    data: Annotated[
        Path | None,
        typer.Option(
            envvar="MILKREPORT_DATA",
            help="Folder or zip of the data, or its milkreport.toml. Without it: synthetic data, no result.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder. (default: runs/SUITE)")] = None,
    seeds: Annotated[int | None, typer.Option(help="Training seeds an arm.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a setting of the suite; repeatable."
        ),
    ] = None,
    cache_dir: CacheOption = None,
    allow_unlabelled: UnlabelledOption = False,
    no_pdf: NoPdfOption = False,
    no_images: Annotated[
        bool, typer.Option("--no-images", help="Keep case images out of the report (now: always).")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be trained, and stop.")
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
) -> None:
    """Train all arms of a suite, evaluate, check, and write the report.

    The same command again resumes, wherever it was stopped or killed, and ends with the same weights.
    Shipped suites: **quick** (synthetic, minutes), **paper** and **paper_as_published** (the paper's
    protocol), **cv5** (five folds, the protocol to draw conclusions from).

    Examples:

    - milkreport run-all

    - milkreport run-all paper --data DIR

    - milkreport run-all cv5 --data DIR --seeds 5 --set data.image_size=128
    """
    from milkreport.checks.verdict import exit_code
    from milkreport.commands import execute, screen
    from milkreport.runs.checking import refuse_unknown
    from milkreport.suite import load_suite

    settings = [*(overrides or []), *(["data.unlabelled=drop"] if allow_unlabelled else [])]
    chosen = load_suite(suite, settings)
    if seeds is not None:
        chosen = chosen.with_seeds(seeds)
    folder = out or Path("runs") / chosen.name
    if dry_run:
        refuse_unknown(gate or chosen.reference)
        screen.show_plan(chosen, folder, data)
        return
    named = suite if not suite.endswith(".toml") else "$OUT/suite.toml"
    command = ["milkreport", "run-all", named]
    command += ["--data", "$MILKREPORT_DATA"] if data else []
    command += ["--out", "$OUT"]
    command += ["--seeds", str(seeds)] if seeds is not None else []
    command += ["--device", device] if device != "auto" else []
    for override in settings:
        command += ["--set", override]
    # Quoted for a shell, except the two variables, which are meant to be expanded.
    line = " ".join(part if part.startswith("$") else shlex.quote(part) for part in command)
    results, verdict = execute.run(
        chosen,
        data,
        folder,
        device,
        line,
        gate,
        not no_pdf,
        _cache(cache_dir),
        checkpoint_every,
        restart,
    )
    if results.status == "partial":
        raise typer.Exit(6)
    if gate is not None:
        raise typer.Exit(exit_code(verdict) if verdict else 5)


@app.command()
def report(run: RunArgument, no_pdf: NoPdfOption = False) -> None:
    """Draw the report of a run folder again, without training."""
    from milkreport.commands import execute

    execute.redraw(run, pdf=not no_pdf)


@app.command()
def check(
    run: RunArgument,
    against: Annotated[
        str | None,
        typer.Option(
            help="Shipped reference, reference file, or run folder. (default: the suite's)"
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="An inconclusive check exits with 5.")
    ] = False,
    exact: Annotated[
        bool, typer.Option("--exact", help="Train every cell again: are the weights the same bits?")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(envvar="MILKREPORT_DATA", help="The run's data, for --exact."),
    ] = None,
    cache_dir: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a run against published figures or an earlier run, or against itself trained again.

    PASS: not worse by more than the margin. FAIL: worse. INCONCLUSIVE: the cases do not tell. NOT CHECKED:
    unlike with unlike. Exit code 0, 1 (a FAIL), or 5 (nothing could be told).

    With **--exact** every finished cell is trained again, in memory: equal, or the first epoch that differs.
    Exit code 0 (all equal) or 1.
    """
    if exact:
        raise typer.Exit(_check_exact(run, against, data, _cache(cache_dir), as_json))
    from milkreport.checks.verdict import exit_code
    from milkreport.commands import screen
    from milkreport.runs.checking import check_run
    from milkreport.runs.folder import RunFolder

    folder = RunFolder(run)
    reference = against or folder.load_suite().reference
    if not reference:
        raise ConfigError("this run's suite names no reference", "give --against")
    verdict = check_run(folder, reference)
    if as_json:
        print(verdict.model_dump_json(indent=1))
    else:
        screen.show_verdict(verdict)
    raise typer.Exit(exit_code(verdict, strict))


def _check_exact(
    run: Path, against: str | None, data: Path | None, cache: Path, as_json: bool
) -> int:
    from milkreport.commands import execute, screen

    if against:
        raise ConfigError("--exact compares a run with itself", "leave --against out")
    repeats = execute.repeat(run, data, cache)
    if as_json:
        print(json.dumps(asdict(repeats) | {"equal": repeats.equal}, indent=1))
    screen.show_repeats(repeats)
    return 0 if repeats.equal else 1


@app.command()
def evaluate(
    predictions: Annotated[
        Path, typer.Argument(help="CSV: an id column and one probability column a class.")
    ],
    truth: Annotated[
        Path, typer.Option(help="CSV: an id column, and a label column or one-hot columns.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Score any model's predictions: metrics with intervals, classification report, confusion matrix."""
    from milkreport.commands import screen
    from milkreport.evaluation.evaluate import evaluate_files

    evaluation = evaluate_files(predictions, truth)
    if as_json:
        print(evaluation.model_dump_json(indent=1))
    else:
        screen.show_evaluation(evaluation)


@app.command()
def doctor() -> None:
    """Show what this installation can do, and what it lacks."""
    from milkreport.commands import doctor as examination

    examination.show()


@data_app.command("synth")
def data_synth(
    folder: Annotated[Path, typer.Argument(help="Folder to make; must be absent or empty.")],
    cases: Annotated[int, typer.Option(min=66, help="Number of lesions.")] = 900,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 0,
    size: Annotated[int, typer.Option(min=16, max=1024, help="Side of an image in pixels.")] = 256,
) -> None:
    """Draw a synthetic MILK10k in the official layout. It shows no patient and gives no result."""
    from milkreport.commands import execute

    execute.synthesise(folder, cases, seed, size)


@data_app.command("check")
def data_check(
    source: SourceArgument,
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

    from milkreport.commands import check_data, screen

    chosen = _data_settings(adapter=adapter)
    if html is not None and not html.parent.is_dir():
        raise EnvironmentProblem("no such folder", "make it first", f"--html {html}")
    with screen.progress() as watcher:
        finding = check_data.check_data(
            source,
            chosen.adapter,
            _cache(cache_dir),
            allow_unlabelled,
            watcher.images,
            watcher.notice,
        )
    if strict:
        finding = finding.strictly()
    if as_json:
        print(json.dumps(check_data.as_record(finding), indent=1, ensure_ascii=False))
    else:
        screen.show_finding(finding, source)
    if finding.errors or finding.warnings or problems.is_file():  # an older list must not stay
        check_data.write_problems(problems, finding)
        screen.show_files([problems], None)
    if html is not None:
        check_data.write_page(html, finding)
        screen.show_files([html], None)
    if finding.errors:
        raise typer.Exit(3)


@data_app.command("init")
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
    from milkreport.commands import screen
    from milkreport.data.propose import write_proposal

    screen.show_files([write_proposal(folder, table, out, _cache(None))], None)
    screen.say("look through it, then: milkreport data check " + shlex.quote(str(out or folder)))


@data_app.command("pack")
def data_pack(
    source: SourceArgument,
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
    execute.pack(source, settings, _cache(cache_dir))


@cache_app.command("list")
def cache_list(cache_dir: CacheOption = None, as_json: JsonOption = False) -> None:
    """Show the stores of decoded images."""
    import json
    from dataclasses import asdict

    from milkreport.commands import screen
    from milkreport.data.store import list_stores

    folder = _cache(cache_dir)
    stores = list_stores(folder)
    if as_json:
        print(json.dumps([asdict(store) for store in stores], indent=1))
    else:
        screen.show_stores(stores, folder)


@cache_app.command("clear")
def cache_clear(
    keys: Annotated[
        list[str] | None,
        typer.Argument(help="Stores to delete, by the start of their key. (default: all)"),
    ] = None,
    cache_dir: CacheOption = None,
) -> None:
    """Delete stores of decoded images; they are made again when they are needed."""
    from milkreport.commands import screen
    from milkreport.data.store import clear_stores, list_stores

    folder = _cache(cache_dir)
    known = [store.key for store in list_stores(folder)]
    for start in keys or []:
        if not any(key.startswith(start) for key in known):
            raise ConfigError(f"no store {start!r}", "see: milkreport data cache list")
    chosen = [key for key in known if any(key.startswith(start) for start in keys or [""])]
    freed = clear_stores(folder, chosen)
    screen.say(f"freed {freed / 1e6:,.1f} MB")


def _cache(named: Path | None) -> Path:
    from milkreport.data.store import cache_folder

    return named or cache_folder()


def _data_settings(**values: object) -> Data:
    """Options of the data commands, checked as the suite's data section is."""
    from milkreport.settings import validate
    from milkreport.suite import Data

    return validate(Data, values)


def main() -> NoReturn:
    """Entry point: every error becomes one line and the exit code of its kind."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code: Any = app(standalone_mode=False)
        sys.stdout.flush()
        if code == 130:  # typer turns Ctrl-C into this
            _stopped()
    except DataProblems as error:
        code = _fail(_listed(error), error.exit_code)
    except MilkreportError as error:
        code = _fail(str(error), error.exit_code)
    except typer.TyperException as error:
        line = " ".join(error.format_message().split())
        code = _fail(line, 2) if line else 2  # without arguments the help was shown
    except Stopped as stop:
        _stopped()
        code = 128 + stop.signum
    except typer.Abort:
        code = 130
    except SystemExit as stop:
        # Our own handler of SIGTERM; anything else is typer's answer to a closed pipe.
        code = 143 if stop.code == 143 else 0
    except BrokenPipeError:
        # The reader of our output is gone; nothing is left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception:
        code = _bug()
    sys.exit(code if isinstance(code, int) else 0)


def _listed(error: DataProblems) -> str:
    """The error's line, and where all its problems are listed."""
    from milkreport.commands.check_data import Finding, write_problems

    path = Path("data-problems.csv")
    try:
        write_problems(path, Finding(error.problems, (), None, None))
    except MilkreportError:
        return str(error)  # a folder that cannot be written keeps nobody from the message
    return f"{error}; all {len(error.problems):,} are listed in {path}"


def _terminate(*_: object) -> NoReturn:
    _stopped()
    sys.exit(143)


def _stopped() -> None:
    # Given again, --restart would throw away what was kept.
    again = shlex.join(["milkreport", *(word for word in sys.argv[1:] if word != "--restart")])
    print(f"stopped: what is done is kept; to go on: {again}", file=sys.stderr)


def _fail(line: str, code: int) -> int:
    if _STATE["debug"]:
        traceback.print_exc()
    print(f"error: {line}", file=sys.stderr)
    return code


def _bug() -> int:
    missing = sys.exc_info()[1]
    if isinstance(missing, ModuleNotFoundError) and missing.name in ("torch", "safetensors"):
        problem = EnvironmentProblem(
            f"training needs {missing.name}", 'pip install "milkreport[train]"'
        )
        return _fail(str(problem), problem.exit_code)
    if _STATE["debug"]:
        traceback.print_exc()
    with tempfile.NamedTemporaryFile(
        "w", prefix="milkreport-", suffix=".log", delete=False, encoding="utf-8"
    ) as log:
        traceback.print_exc(file=log)
    last = traceback.format_exception_only(*sys.exc_info()[:2])[-1].strip()
    return _fail(f"a defect of milkreport: {last[:200]} — traceback saved in {log.name}", 70)
