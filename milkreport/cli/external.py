"""External test sets as they are typed: NAME=DIR of a run, NAME=FILE and NAME/ARM=FILE of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from milkreport.errors import ConfigError, DataError
from milkreport.tables import first_few

if TYPE_CHECKING:
    from milkreport.evaluation.reading.external import ExternalFiles

ExternalPredictionsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--external",
        metavar="SET[/NAME]=FILE",
        help="Predictions of an external test set by the same model: scored beside the test part, nothing is "
        "chosen on it. Repeatable; with several models, the NAME of the predictions.",
    ),
]
ExternalTruthOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SET=FILE",
        help="Truth of the external test set. Without it, its predictions are taken as --unlabelled.",
    ),
]
ExternalMetadataOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SET=FILE",
        help="Table of the external test set with the column of --group, so that clusters are kept whole.",
    ),
]

ExternalDataOption = Annotated[
    list[str] | None,
    typer.Option(
        "--external",
        metavar="NAME=DIR",
        help="External test set: other data of the same form, answered by every training and reported beside "
        "the test part. Nothing is chosen on it; a finished run takes one without training. Repeatable.",
    ),
]


def external_folders(arguments: Sequence[str] | None) -> dict[str, Path]:
    """The external test sets of ``run-all``: name to folder.

    Raises:
        ConfigError: a name twice. DataError: no such folder.
    """
    found: dict[str, Path] = {}
    for name, folder in split_named(arguments, "--external"):
        if "/" in name:
            raise ConfigError(
                f"--external: {name[:80]!r} is not a name", "give --external NAME=DIR"
            )
        if name in found:
            raise ConfigError(f"--external names {name} twice", "give each set a name of its own")
        found[name] = _file(folder, f"--external {name}")
    return found


def split_named(arguments: Sequence[str] | None, option: str) -> list[tuple[str, str]]:
    """``NAME=VALUE`` as pairs.

    Raises:
        ConfigError: no ``=``, or a name that cannot be one of a file.
    """
    from milkreport.evaluation.reading.arm_names import check_name

    found = []
    for argument in arguments or []:
        name, equals, value = argument.partition("=")
        if not equals or not value:
            raise ConfigError(
                f"{option} {argument!r} has no name", f"give {option} NAME={argument}"
            )
        check_name(name.partition("/")[0], option)
        found.append((name, value))
    return found


def external_files(
    predictions: Sequence[str] | None,
    truth: Sequence[str] | None,
    metadata: Sequence[str] | None,
    group: str,
) -> list[ExternalFiles]:
    """The external test sets that the options of ``evaluate`` name.

    Raises:
        ConfigError: a truth or metadata of no set, twice, or that belong to nothing. DataError: no such file.
    """
    from milkreport.evaluation.reading.arm_names import name_of_file
    from milkreport.evaluation.reading.external import ExternalFiles

    sets: dict[str, dict[str, list[Path]]] = {}
    for name, file in split_named(predictions, "--external"):
        one, slash, arm = name.partition("/")
        files = sets.setdefault(one, {}).setdefault(name_of_file(arm) if slash else "", [])
        files.append(_file(file, f"--external {name}"))
    truths = _once(truth, "--external-truth", sets)
    facts = _once(metadata, "--external-metadata", sets)
    if facts and not group:
        what = "--external-metadata holds the clusters of external cases"
        raise ConfigError(what, "name their column by --group COLUMN")
    return [
        ExternalFiles(name, files, truths.get(name), facts.get(name))
        for name, files in sets.items()
    ]


def _once(
    arguments: Sequence[str] | None, option: str, sets: Mapping[str, object]
) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for name, file in split_named(arguments, option):
        if name not in sets:
            known = f"sets are: {first_few(sets, 30)}" if sets else "give --external NAME=FILE"
            raise ConfigError(f"{option}: no external set is called {name!r}", known)
        if name in found:
            raise ConfigError(f"{option} names {name} twice", "give one file per set")
        found[name] = _file(file, f"{option} {name}")
    return found


def _file(text: str, option: str) -> Path:
    path = Path(text)
    if not path.exists():
        raise DataError(f"{option}: no such file", "check its path", text)
    return path
