"""Options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from milkreport.cli.parsed import takes
from milkreport.errors import ConfigError, EnvironmentProblem

if TYPE_CHECKING:
    from milkreport.evaluation.reading.options import TableOptions
    from milkreport.evaluation.records.results import Results

#: Text near the head of every page of ours, list of problems and JUnit file.
PAGE, PROBLEMS, JUNIT = '"generator" content="milkreport', "severity,", "milkreport check against"

PRIMARY_HELP = (
    "The metric that the comparison tests, chosen beforehand: macro_f1, log_loss, positive_auc, "
    "recall:CLASS, ..."
)
MarginOption = Annotated[
    float | None,
    typer.Option(
        metavar="M",
        help="A difference in the primary metric that does not matter: within it arms are equivalent.",
    ),
]
GroupOption = Annotated[
    str,
    typer.Option(
        metavar="COLUMN",
        help="Cluster column of --metadata, for example the patient id. Clusters are kept whole.",
    ),
]
OperatingOption = Annotated[
    str,
    typer.Option(
        metavar="POINT",
        help="Where cases are called positive: sensitivity=0.95, specificity=0.9, youden, cost=FN:FP or a "
        "threshold. Chosen on the validation part, or else nested. (default: the predicted class)",
    ),
]
PrevalenceOption = Annotated[
    str,
    typer.Option(
        metavar="SHARE,...|CLASS=SHARE,...|FILE",
        help="Predictive values at these shares of positive cases: 0.01,0.05. Or class shares elsewhere, for "
        "which a forecast is made: CLASS=0.01,... (the other classes share the rest), or a table with the "
        "columns class and share or count.",
    ),
]
UnlabelledPredictions = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[NAME=]FILE",
        help="Predictions of unlabelled cases by the same model: their class shares are estimated and a "
        "forecast is made, if other shares alone explain them. Repeatable, with the NAME of the predictions.",
    ),
]
ReaderOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=FILE",
        help="A human reader's answers to the same cases, in a column *prediction*; repeatable.",
    ),
]
RunArgument = Annotated[Path, typer.Argument(help="Run folder: the --out of a run-all.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Complete, unrounded JSON on stdout.")]
CacheOption = Annotated[
    Path | None,
    typer.Option("--cache-dir", help="Where decoded images are kept. (default: the user's cache)"),
]


def _allow(folders: list[Path] | None) -> list[Path]:
    from milkreport.data.roots import allow_roots

    allow_roots(folders or [])
    return folders or []


AllowRootOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--allow-root",
        metavar="DIR",
        callback=_allow,
        help="A milkreport.toml may also name what is below DIR, outside its own folder; repeatable.",
    ),
]
DEVICE = typer.Option(help="auto, cpu or cuda.")
DeviceOption = Annotated[str, DEVICE]
UNLABELLED = typer.Option(
    "--allow-unlabelled", help="Leave out what has no label, or only a label."
)
UnlabelledOption = Annotated[bool, UNLABELLED]
ArmOption = Annotated[str | None, typer.Option(help="Arm of the run. (default: the only one)")]
SeedOption = Annotated[
    int | None, typer.Option(help="Its training with this seed. (default: the first finished)")
]
FoldOption = Annotated[
    int | None, typer.Option(help="Its training of this fold. (default: the first finished)")
]
ModelArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="Run folder, or a folder with model.json.")
]
IMAGES = typer.Option(
    " /--no-images",
    show_default=False,
    help="No mistakes gallery: no image and no metadata of a case.",
)
ImagesOption = Annotated[bool, IMAGES]
CASES = typer.Option(
    " /--no-cases",
    show_default=False,
    help="Nothing about single cases in the report and the tables beside it: no list, no id, no gallery.",
)
CasesOption = Annotated[bool, CASES]
EVIDENCE = typer.Option(
    metavar="full|numbers|none",
    help="What the report carries, for milkreport verify. full: predictions too, case by case. numbers: "
    "nothing of single cases. (default: full, if predictions are below 10 MB; numbers with --no-cases)",
)
EvidenceOption = Annotated[str, EVIDENCE]
SeedsOption = Annotated[int | None, typer.Option(help="Training seeds per arm.")]
OverridesOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of the suite; repeatable."),
]
ExactDataOption = Annotated[
    Path | None, typer.Option(envvar="MILKREPORT_DATA", help="The run's data, for --exact.")
]
RESTART = typer.Option("--restart", help="Delete what the folder holds, and begin anew.")
NoPdfOption = Annotated[bool, typer.Option("--no-pdf", help="Write the HTML report only.")]
PdfOption = Annotated[
    str,
    typer.Option(
        metavar="auto|require|none",
        help="require: exit code 4 where no PDF can be made. auto: say so, and keep the HTML.",
    ),
]
_MODULE_DIR = typer.Option(
    metavar="DIR",
    help="Look for own models here, too; repeatable. (default: what is installed, PYTHONPATH)",
)
ModuleDirOption = Annotated[list[Path] | None, _MODULE_DIR]


@dataclass(frozen=True)
class TrustOptions:
    """What the user allows models to import, fetch and open."""

    trust_module: list[str] | None = None
    module_dir: list[Path] | None = None
    allow_download: bool = False
    backbone_weights: Path | None = None


#: A command with these options gets them as ``allowed``.
takes_trust = takes(
    TrustOptions,
    {
        "trust_module": typer.Option(
            metavar="NAME",
            help="Run this module of an own model, if it is as it was in training: package.module, or "
            "package.module:function; repeatable.",
        ),
        "module_dir": _MODULE_DIR,
        "allow_download": typer.Option(
            "--allow-download", help="Open a connection for the weights of a model's backbone."
        ),
        "backbone_weights": typer.Option(
            metavar="FILE",
            help="The weights of the model's backbone, where it was trained with a file.",
        ),
    },
    into="allowed",
)


def allow(allowed: TrustOptions) -> None:
    """Grant it to this process; what runs is said on the console.

    Raises:
        ConfigError: no such folder.
    """
    from milkreport import trust
    from milkreport.commands.console import note

    trust.grant(
        allowed.trust_module or (),
        allowed.module_dir or (),
        allowed.allow_download,
        allowed.backbone_weights,
        note,
    )


@dataclass(frozen=True)
class TableSettings:
    """What the user says of other people's tables, as it was typed."""

    positive: list[str] | None = None
    ids: list[str] | None = None
    label: str = ""
    classes: list[str] | None = None
    missing: str = "error"

    def read(self) -> TableOptions:
        """The same, with names taken apart."""
        from milkreport.evaluation.reading.options import TableOptions, split_names

        return TableOptions(
            tuple(filter(None, self.ids or [])),
            self.label,
            tuple(split_names(self.classes)),
            tuple(split_names(self.positive)),
            self.missing,
        )


_TABLES = {
    "positive": typer.Option(
        metavar="CLASS,...",
        help="Classes that count as disease. Repeatable, one name each, or a name with a comma in quotes.",
    ),
    "ids": typer.Option(
        "--id",
        metavar="COLUMN",
        help="Id column of the tables; repeatable, if they call it differently. "
        "(default: a usual name, such as case_id, image or id)",
    ),
    "label": typer.Option(
        metavar="COLUMN",
        help="The truth's column of labels. (default: label, or one-hot columns)",
    ),
    "classes": typer.Option(
        metavar="A,B,...",
        help="All classes in their order; numbers in the tables are then positions, from 0. "
        "Repeatable, one name each, or a name with a comma in quotes.",
    ),
    "missing": typer.Option(
        metavar="error|drop",
        help="drop: score the cases that the truth and all predictions have, and say how many "
        "others there are.",
    ),
}
#: A command with these options gets them as ``tables``.
takes_tables = takes(TableSettings, _TABLES, into="tables")
takes_tables_alone = takes(
    TableSettings, {name: _TABLES[name] for name in _TABLES if name != "positive"}, into="tables"
)


@dataclass(frozen=True)
class FindingOptions:
    """What becomes of a reviewer's findings, as it was typed."""

    mute: list[str] | None = None
    fail_on: str = ""

    @property
    def muted(self) -> dict[str, str]:
        """Reasons by code.

        Raises:
            ConfigError: no such code, no reason, or a *fail_on* that is no severity.
        """
        from milkreport.evaluation.review.review import parse_mutes

        if self.fail_on not in ("", "error", "warning"):
            raise ConfigError(f"--fail-on is {self.fail_on!r}", "give error or warning")
        return parse_mutes(self.mute or [])

    def exit_on(self, found: Iterable[Results]) -> None:
        """Exit with code 1 where a finding is as bad as *fail_on*."""
        from milkreport.evaluation.review.review import reaches

        if self.fail_on and any(reaches(r.findings, self.fail_on) for r in found):  # type: ignore[arg-type]
            raise typer.Exit(1)


#: A command with these options gets them as ``findings``.
takes_findings = takes(
    FindingOptions,
    {
        "mute": typer.Option(
            metavar="CODE=REASON",
            help="Do not count a finding, as in MR011='few by design'; the report prints why. Repeatable.",
        ),
        "fail_on": typer.Option(
            metavar="error|warning",
            help="Exit with code 1 if a finding is as bad as this and not muted.",
        ),
    },
    into="findings",
)


def pdf_mode(pdf: str, no_pdf: bool) -> str:
    """auto, require or none."""
    if pdf not in ("auto", "require", "none"):
        raise ConfigError(f"--pdf is {pdf!r}", "give auto, require or none")
    if no_pdf and pdf == "require":
        raise ConfigError(
            "--no-pdf and --pdf require contradict each other", "leave one of them out"
        )
    return "none" if no_pdf else pdf


def cache_of(named: Path | None) -> Path:
    """The named folder of decoded images, or the user's own."""
    from milkreport.data.pixels.store import cache_folder

    return named or cache_folder()


def refuse_to_overwrite(option: str, out: Path, mark: str = "", reads: Sequence[Path] = ()) -> None:
    """Refuse an output file that would replace what this command reads, or what milkreport did not write.

    Args:
        mark: text near the head of every such file of ours; empty: files of ours cannot be told.
        reads: what the command reads, files or folders.

    Raises:
        ConfigError: it would. EnvironmentProblem: a folder stands there, or its own is missing.
    """
    if not out.parent.is_dir():
        raise EnvironmentProblem("no such folder", "make it first", f"{option} {out}")
    if out.is_dir():
        raise EnvironmentProblem("is a folder", "name a file in it", f"{option} {out}")
    if not out.exists():
        return
    do = "name another file, or move that one away"
    if any(path.exists() and path.samefile(out) for path in reads):
        raise ConfigError("is a file that this command reads", do, f"{option} {out}")
    with out.open("rb") as file:
        head = file.read(4096)
    if mark and head.strip() and mark.encode() not in head:
        raise ConfigError("holds something that milkreport did not write", do, f"{option} {out}")
