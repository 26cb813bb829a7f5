"""The command line: parse, call, print, exit code. Loads torch only to train."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from milkreport import __version__
from milkreport.cli import (
    check,
    data,
    evaluate,
    finetune,
    look,
    models,
    plan,
    reference,
    register,
    run,
    verify,
)
from milkreport.errors import (
    DataProblems,
    EnvironmentProblem,
    MilkreportError,
    NeedsOption,
    Stopped,
    printable,
)

app = typer.Typer(
    name="milkreport",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Compare classifiers on imbalanced medical images, and report what can be claimed.

    **milkreport run-all** trains the arms of a comparison (no correction, class-weighted loss, weighted
    sampler), evaluates them on the same cases and writes an HTML and a PDF report. Without --data it
    makes and uses synthetic data, to show the way; with **--data DIR** it runs on MILK10k.

    **milkreport evaluate** scores anybody's predictions by the same rules, without training.""",
)
app.add_typer(data.app, name="data")
app.add_typer(reference.reference_app, name="reference")

_STATE = {"debug": False}


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


app.command("run-all")(run.run_all)
app.command()(run.report)
app.command()(models.export)
app.command()(models.predict)
app.command("import-pickle")(models.import_pickle)
app.command()(finetune.finetune)
app.command()(look.status)
app.command("list")(look.list_runs)
app.command()(check.check)
app.command()(check.audit)
app.command()(verify.verify)
app.command()(evaluate.evaluate)
app.command()(evaluate.compare)
app.command()(evaluate.thresholds)
app.command()(plan.plan)
app.command()(register.register)
app.command()(register.ledger)


@app.command()
def doctor() -> None:
    """Show what this installation can do, and what is missing."""
    from milkreport.commands import doctor as examination

    examination.show()


def main() -> NoReturn:
    """Entry point: every error becomes one line and the exit code of its kind."""
    signal.signal(signal.SIGTERM, _terminate)
    # Else Python would look for modules in the working folder first, in every process that is started.
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        code: Any = app(standalone_mode=False)
        sys.stdout.flush()
        if code == 130:  # typer turns Ctrl-C into this
            _stopped()
    except DataProblems as error:
        code = _fail(_listed(error), error.exit_code)
    except NeedsOption as error:
        code = _fail(error.as_typed(["milkreport", *sys.argv[1:]]), error.exit_code)
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
        code = _left(stop)
    except BrokenPipeError:
        # The reader of our output is gone; nothing is left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        line = _odd_name(error)
        code = _fail(line, 2) if line else _bug()
    sys.exit(code if isinstance(code, int) else 0)


def _left(stop: SystemExit) -> int:
    """The code of a SystemExit: our handler of SIGTERM, typer's answer to a closed pipe, or somebody else's.

    A user's own module that calls ``sys.exit`` has not finished our work, whatever it says.
    """
    if stop.code == 143:
        return 143
    frame = stop.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    origin = frame.tb_frame.f_globals.get("__name__", "") if frame is not None else ""
    if origin.partition(".")[0] in ("typer", "click", "rich"):
        return 0
    return _fail(f"{origin or 'a module'} ended the program (sys.exit({stop.code!r}))", 70)


def _odd_name(error: Exception) -> str:
    """A line for names that the operating system takes for no path; empty for any other error."""
    if isinstance(error, OSError) and error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
        name = str(error.filename)
        shown = name if len(name) < 80 else f"{name[:60]}..."
        return f"{shown}: {(error.strerror or '').lower()} — give another path"
    if isinstance(error, ValueError) and "null byte" in str(error):
        return "a path holds a NUL character — give another path"
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        return f"{error.object[:60]!r} holds bytes that are no text — give another name"
    return ""


def _listed(error: DataProblems) -> str:
    """The error's line, and where all its problems are listed."""
    from milkreport.commands.check_data import Finding, write_problems

    # Never over a list that is there: it may be of other data.
    places = [Path("data-problems.csv"), *(Path(f"data-problems-{n}.csv") for n in range(2, 100))]
    path = next((place for place in places if not os.path.lexists(place)), None)
    if path is None:
        return str(error)
    try:
        write_problems(path, Finding(error.problems, (), None, None))
        for older in places[: places.index(path)]:
            if older.is_file() and older.read_bytes() == path.read_bytes():
                path.unlink()
                path = older
                break
    except (MilkreportError, OSError):
        return str(error)  # a folder that cannot be written keeps nobody from the message
    return f"{error}; all {len(error.problems):,} are listed in {path}"


def _terminate(*_: object) -> NoReturn:
    _stopped()
    sys.exit(143)


def _stopped() -> None:
    # Given again, --restart would throw away what was kept.
    again = shlex.join(["milkreport", *(word for word in sys.argv[1:] if word != "--restart")])
    print(f"stopped: what is done is kept; to go on: {printable(again)}", file=sys.stderr)


def _fail(line: str, code: int) -> int:
    if _STATE["debug"]:
        traceback.print_exc()
    print(f"error: {printable(line)}", file=sys.stderr)
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
