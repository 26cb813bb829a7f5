"""The commands about frozen references: new, update, list, show. See ``cli``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from milkreport.cli.options import JsonOption, RunArgument
from milkreport.errors import ConfigError, printable

if TYPE_CHECKING:
    from milkreport.gate.frozen import Wanted

reference_app = typer.Typer(
    no_args_is_help=True,
    help="Freeze own runs as references for **check**, renew them, look at them.",
)

NameOption = Annotated[str, typer.Option(help="What the reference is called.")]
ReasonOption = Annotated[str, typer.Option(help="Why this run is what others are held to.")]
FolderOption = Annotated[
    Path | None, typer.Option(help="Folder of frozen references. (default: references)")
]


@reference_app.command("new")
def reference_new(
    run: RunArgument,
    name: NameOption,
    reason: ReasonOption,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="Hold later runs to this, or to METRIC:CLASS; repeatable. (default: primary, and the usual)"
        ),
    ] = None,
    per_class: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC", help="Hold every class to this: recall, f1; repeatable."),
    ] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NUMBER|METRIC=NUMBER",
            help="The loss that is tolerable, of all metrics or of one; repeatable. (default: 0.03; "
            "macro_auc 0.02, log_loss 0.05)",
        ),
    ] = None,
    margin_reason: Annotated[str, typer.Option(help="Why so much is tolerable.")] = "",
    min_seeds: Annotated[
        int, typer.Option(min=1, max=1000, help="Fewer shared seeds give no verdict.")
    ] = 1,
    out: FolderOption = None,
) -> None:
    """Freeze a run's results and test predictions into references/NAME, for **check --against NAME**.

    The folder can be committed; it holds case ids, labels and predictions, no images and no metadata.

    Examples:

    - milkreport reference new runs/eval --name main --reason "release 1.2"

    - milkreport reference new runs/eval --name main --reason r --margin macro_auc=0.01 --margin-reason "..."
    """
    from milkreport.checks.reference import FILE, LOCAL, shipped_references
    from milkreport.commands.console import show_files
    from milkreport.gate.frozen import freeze, write_reference
    from milkreport.inside import within
    from milkreport.runs.folder import RunFolder

    folder = out or LOCAL
    target = folder / name
    if name in shipped_references():
        raise ConfigError(f"{name} is a shipped reference", "choose another --name")
    if (target / FILE).is_file():
        do = "renew it: milkreport reference update NAME RUN --reason ..."
        raise ConfigError(f"reference {name} exists", do, str(target))
    wanted = _wanted(metric, per_class, margin, margin_reason, min_seeds)
    source = RunFolder(run)
    made = freeze(source, name, _given(reason), wanted)
    show_files(write_reference(source, made, within(folder, name)))


def _wanted(
    metric: list[str] | None,
    per_class: list[str] | None,
    margin: list[str] | None,
    margin_reason: str,
    min_seeds: int,
) -> Wanted:
    from milkreport.gate.frozen import MARGIN, MARGIN_REASON, OWN_MARGINS, Wanted

    reason = margin_reason.strip()
    if margin and not reason:
        what = "a margin needs its reason, declared beforehand"
        raise ConfigError(what, "give --margin-reason TEXT")
    given = dict(_read_margin(text) for text in margin or [])
    general = given.pop("", None)
    # A metric that was named beside one margin for all gets that margin, whatever its scale.
    named = set(metric or ()) if general is not None else set()
    margins = {m: default for m, default in OWN_MARGINS.items() if m not in named}
    return Wanted(
        metrics=tuple(metric or ()),
        per_class=tuple(per_class or ()),
        margin=MARGIN if general is None else general,
        margin_reason=MARGIN_REASON if general is None else reason,
        margins=margins | {m: (value, reason) for m, value in given.items()},
        min_seeds=min_seeds,
    )


def _read_margin(text: str) -> tuple[str, float]:
    """``METRIC=NUMBER``, or a number for all metrics, whose name is empty."""
    name, equals, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1 or bool(equals) != bool(name):
        raise ConfigError(f"--margin {text}", "give a number from 0 to 1, or METRIC=NUMBER")
    return name, value


def _given(reason: str) -> str:
    if not reason.strip():
        raise ConfigError("the reason is empty", "say why this run is what others are held to")
    return reason.strip()


@reference_app.command("update")
def reference_update(
    name: Annotated[str, typer.Argument(help="Name of the frozen reference, or its folder.")],
    run: RunArgument,
    reason: ReasonOption,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the difference, and change nothing.")
    ] = False,
) -> None:
    """Show how a run differs from a frozen reference, and put it in its place.

    Metrics, margins and demands stay; the reason is added to the history.
    """
    from milkreport.checks.reference import find_reference, load_reference
    from milkreport.commands import verdicts
    from milkreport.commands.console import show_files
    from milkreport.gate.checking import compare_run
    from milkreport.gate.frozen import renew, write_reference
    from milkreport.runs.folder import RunFolder

    old, folder = load_reference(name), RunFolder(run)
    new = renew(old, folder, _given(reason))
    verdicts.show_verdict(compare_run(folder, name)[0])
    if not dry_run:
        target = find_reference(name).parent
        show_files(write_reference(folder, new, target))


@reference_app.command("list")
def reference_list() -> None:
    """Names of the references that ship with milkreport, and of those in references/."""
    from milkreport.checks.reference import list_references

    for name in list_references():
        print(printable(name))


@reference_app.command("show")
def reference_show(
    name: Annotated[str, typer.Argument(help="Name, file or folder of a reference.")],
    as_json: JsonOption = False,
) -> None:
    """Show what a reference holds a run to: values, margins, and why."""
    from milkreport.checks.reference import load_reference
    from milkreport.commands import verdicts

    reference = load_reference(name)
    if as_json:
        print(reference.model_dump_json(indent=1))
    else:
        verdicts.show_reference(reference)
