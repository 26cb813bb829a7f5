"""The command that trains a saved model further: finetune. See ``cli``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from milkreport.cli.options import (
    AllowRootOption,
    ArmOption,
    CacheOption,
    DeviceOption,
    DownloadOption,
    FoldOption,
    ModelArgument,
    ModuleDirOption,
    NoPdfOption,
    PdfOption,
    SeedOption,
    TrustOption,
    UnlabelledOption,
    WeightsOption,
    allow,
    cache_of,
    pdf_wish,
)


def finetune(
    run: ModelArgument,
    data: Annotated[
        Path, typer.Option(help="New labelled data: folder, zip or milkreport.toml, of any layout.")
    ],
    out: Annotated[Path, typer.Option(help="Where model, reports and summary go.")],
    allow_root: AllowRootOption = None,
    arm: ArmOption = None,
    seed: SeedOption = None,
    fold: FoldOption = None,
    freeze: Annotated[
        str | None,
        typer.Option(
            metavar="STAGE|none",
            help="Freeze this stage and all before it, batch statistics too; none freezes nothing. The "
            "paper's network: block_1, block_2, metadata, fusion, classifier. (default: block_1, where "
            "there is one: the paper freezes the early convolutions, whose edges and colours a few new "
            "images would only blur; what follows may still fit the new pictures)",
        ),
    ] = None,
    lr: Annotated[
        float | None, typer.Option(help="Learning rate. (default: a tenth of the original)")
    ] = None,
    epochs: Annotated[
        int, typer.Option(min=1, max=10_000, help="Epochs; the validation part chooses one.")
    ] = 10,
    map_file: Annotated[
        Path | None,
        typer.Option(
            "--map",
            metavar="FILE",
            help="CSV new,old: a label of the new data to a class of the model; an empty old leaves it out.",
        ),
    ] = None,
    allow_missing_classes: Annotated[
        bool,
        typer.Option(
            "--allow-missing-classes", help="Go on where no new case is of some class of the model."
        ),
    ] = False,
    allow_unlabelled: UnlabelledOption = False,
    ignore_ids: Annotated[
        bool,
        typer.Option(
            "--ignore-ids",
            help="Equal case ids in new and original data are chance: compare pixels alone.",
        ),
    ] = False,
    old_data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Data of the original run, to see what was forgotten. (default: drawn again, if synthetic)",
        ),
    ] = None,
    test_fraction: Annotated[
        float, typer.Option(help="Share of the new cases that is tested on.")
    ] = 0.2,
    split_seed: Annotated[int, typer.Option(min=0, help="Of the split of the new cases.")] = 0,
    device: DeviceOption = "auto",
    cache_dir: CacheOption = None,
    trust_module: TrustOption = None,
    module_dir: ModuleDirOption = None,
    allow_download: DownloadOption = False,
    backbone_weights: WeightsOption = None,
    pdf: PdfOption = "auto",
    no_pdf: NoPdfOption = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Delete what the folder holds, and begin anew.")
    ] = False,
) -> None:
    """Train a saved model further on new labelled data, and show what that gained and what was forgotten.

    Classes keep the model's order and are matched by name; weights, sampler or loss of the arm are
    recomputed from the new counts. Before and after are compared on new and on original test cases. The
    same command again goes on where it was stopped.

    Example:

    - milkreport finetune runs/paper --arm weighted_loss --data NEW --old-data DIR --out runs/finetuned
    """
    from milkreport.commands import finetune as work
    from milkreport.commands.shell import shell_line
    from milkreport.finetuning.finetune import Job
    from milkreport.finetuning.parent import load_parent
    from milkreport.finetuning.plan import FinetuneOptions

    allow(trust_module, module_dir, allow_download, backbone_weights)
    wish = FinetuneOptions(
        freeze=freeze,
        learning_rate=lr,
        epochs=epochs,
        test_fraction=test_fraction,
        split_seed=split_seed,
        map_file=map_file,
        allow_missing=allow_missing_classes,
        allow_unlabelled=allow_unlabelled,
        ignore_ids=ignore_ids,
    )
    command = ["milkreport", "finetune", "$RUN", "--data", "$NEW", "--out", "$OUT"]
    command += ["--allow-root", "$ROOT"] * len(allow_root or [])
    for option, value in (
        ("--arm", arm), ("--seed", seed), ("--fold", fold), ("--freeze", freeze), ("--lr", lr),
        ("--epochs", epochs if epochs != 10 else None),
        ("--test-fraction", test_fraction if test_fraction != 0.2 else None),
        ("--split-seed", split_seed or None),
        ("--map", "$MAP" if map_file else None), ("--old-data", "$OLD" if old_data else None),
        ("--device", device if device != "auto" else None),
        ("--backbone-weights", "$WEIGHTS" if backbone_weights else None),
    ):  # fmt: skip
        command += [option, str(value)] if value is not None else []
    for module in trust_module or ():
        command += ["--trust-module", module]
    command += ["--module-dir", "$MODULES"] if module_dir else []
    for option, wanted in (
        ("--allow-missing-classes", allow_missing_classes),
        ("--allow-unlabelled", allow_unlabelled),
        ("--ignore-ids", ignore_ids),
        ("--allow-download", allow_download),
    ):
        command += [option] if wanted else []
    job = Job(
        parent=load_parent(run, arm, seed, fold),
        data=data,
        out=out,
        cache=cache_of(cache_dir),
        command=shell_line(command),
        wish=wish,
        device=device,
        old_data=old_data,
        restart=restart,
    )
    work.run(job, pdf_wish(pdf, no_pdf))
