"""The commands about trained models: predict, export, import-pickle. See ``cli``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from milkreport.cli.options import (
    AllowRootOption,
    ArmOption,
    CacheOption,
    DeviceOption,
    FoldOption,
    ModelArgument,
    RunArgument,
    SeedOption,
    TrustOptions,
    allow,
    cache_of,
    takes_trust,
)
from milkreport.errors import ConfigError


@takes_trust
def predict(
    run: ModelArgument,
    data: Annotated[
        Path,
        typer.Option(help="Folder or zip of the cases, or its milkreport.toml. No labels needed."),
    ],
    out: Annotated[Path, typer.Option(help="The CSV to write: id, then one column per class.")],
    allow_root: AllowRootOption = None,
    arm: ArmOption = None,
    seed: SeedOption = None,
    fold: FoldOption = None,
    ensemble: Annotated[
        bool,
        typer.Option("--ensemble", help="Mean probabilities of all finished trainings of the arm."),
    ] = False,
    thresholds: Annotated[
        str | None,
        typer.Option(
            metavar="validation|FILE",
            help="Fold thresholds in: found on the validation parts of the model's own run, or a file that "
            "*milkreport thresholds --json* printed.",
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="A case without one of its images is an error. (default: its row holds the classes' shares "
            "in training, with a warning)",
        ),
    ] = False,
    robustness: Annotated[
        str,
        typer.Option(
            metavar="all|NAME,...",
            help="Predict under graded corruptions too (brightness, contrast, blur, noise, jpeg, resolution, "
            "hair, gel, or all): the run's primary metric, or without labels how often the answer stays.",
        ),
    ] = "",
    device: DeviceOption = "auto",
    cache_dir: CacheOption = None,
    *,
    allowed: TrustOptions,
) -> None:
    """Predict the cases of a folder with a trained model, as a submission to the ISIC archive.

    Every case of the tables gets a row. Missing values are filled as the model learned on its training
    part. No value lies within 1e-6 of 0.5.

    Examples:

    - milkreport predict runs/cv5 --arm baseline --data DIR --out submission.csv

    - milkreport predict runs/cv5 --arm baseline --ensemble --thresholds validation --data DIR --out s.csv

    - milkreport predict runs/cv5 --arm baseline --data DIR --out s.csv --robustness blur,noise
    """
    from milkreport.commands import models

    allow(allowed)
    models.predict(
        *(run, arm, seed, fold, ensemble, data, out, thresholds, device, cache_of(cache_dir)),
        strict,
        robustness,
    )


@takes_trust
def export(
    run: RunArgument,
    out: Annotated[Path | None, typer.Option(help="Where to. (default: RUN/export)")] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="safetensors|onnx|pickle",
            help="A trained model instead of the report's tables.",
        ),
    ] = None,
    arm: ArmOption = None,
    seed: SeedOption = None,
    fold: FoldOption = None,
    data: Annotated[
        Path | None, typer.Option(help="With onnx: compare on cases of this folder, too.")
    ] = None,
    allow_root: AllowRootOption = None,
    cache_dir: CacheOption = None,
    *,
    allowed: TrustOptions,
) -> None:
    """Write a report's tables as LaTeX and Markdown, its figures as SVG and PNG (300 dpi), and a summary.

    summary.md is the first page, for a pull request. With --format: a trained model instead, for use
    elsewhere, into RUN/export/ARM-seed-S-fold-F. An ONNX is written only if ONNX Runtime answers as PyTorch.

    Examples:

    - milkreport export runs/cv5

    - milkreport export runs/cv5 --arm baseline --format onnx
    """
    if kind is None:
        if any(option is not None for option in (arm, seed, fold, data)):
            raise ConfigError("--arm, --seed, --fold and --data are for a model", "give --format")
        from milkreport.commands import execute

        execute.export(run, out)
        return
    from milkreport.commands import models

    allow(allowed)
    models.export(run, kind, arm, seed, fold, out, data, cache_of(cache_dir))


@takes_trust
def import_pickle(
    file: Annotated[Path, typer.Argument(help="A pickle: a state dict, or a file of torch.save.")],
    out: Annotated[
        Path, typer.Option(help="Folder for model.safetensors and model.json; new or empty.")
    ],
    trusted: Annotated[
        bool,
        typer.Option("--i-trust-this-file", help="Needed: opening a pickle can execute anything."),
    ] = False,
    like: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Run or model of the same architecture, whose card is taken. (default: the file's own)",
        ),
    ] = None,
    arm: ArmOption = None,
    seed: SeedOption = None,
    fold: FoldOption = None,
    execute: Annotated[
        bool,
        typer.Option(
            "--execute-its-code",
            help="Run what the pickle says, where it holds more than data: whole networks do.",
        ),
    ] = False,
    *,
    allowed: TrustOptions,
) -> None:
    """Make a model of a pickle, the paper's way to save one: weights as safetensors, with a card.

    Tensors, arrays, dicts, numbers and strings are read without executing anything. Whatever else the
    file asks for is named, and stops it, unless --execute-its-code allows all.

    Example:

    - milkreport import-pickle model.pt --i-trust-this-file --like runs/paper --arm baseline --out model
    """
    from milkreport.commands import models

    allow(allowed)
    models.import_pickle(file, trusted, out, like, arm, seed, fold, execute)
