"""The command that trains a saved model further: finetune. See ``cli``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from milkreport.cli.options import (
    CASES,
    DEVICE,
    EVIDENCE,
    RESTART,
    UNLABELLED,
    AllowRootOption,
    ArmOption,
    CacheOption,
    FoldOption,
    ModelArgument,
    NoPdfOption,
    PdfOption,
    SeedOption,
    TrustOptions,
    allow,
    cache_of,
    pdf_mode,
    takes_trust,
)
from milkreport.cli.parsed import recorded_command, takes
from milkreport.finetuning.options import FinetuneOptions


@takes_trust
@takes(
    FinetuneOptions,
    {
        "freeze": typer.Option(
            metavar="STAGE|none",
            help="Freeze this stage and all before it, batch statistics too; none freezes nothing. The "
            "paper's network: block_1, block_2, metadata, fusion, classifier. (default: block_1, where "
            "there is one: the paper freezes the early convolutions, whose edges and colours a few new "
            "images would only blur; what follows may still fit the new pictures)",
        ),
        "learning_rate": typer.Option(
            "--lr", help="Learning rate. (default: a tenth of the original)"
        ),
        "epochs": typer.Option(min=1, max=10_000, help="Epochs; the validation part chooses one."),
        "map_file": typer.Option(
            "--map",
            metavar="FILE",
            help="CSV new,old: a label of the new data to a class of the model; an empty old leaves it out.",
        ),
        "allow_missing": typer.Option(
            "--allow-missing-classes", help="Go on where no new case is of some class of the model."
        ),
        "allow_unlabelled": UNLABELLED,
        "ignore_ids": typer.Option(
            "--ignore-ids",
            help="Equal case ids in new and original data are chance: compare pixels alone.",
        ),
        "test_fraction": typer.Option(help="Share of the new cases that is tested on."),
        "split_seed": typer.Option(min=0, help="Of the split of the new cases."),
        "device": DEVICE,
        "restart": RESTART,
        "cases": CASES,
        "evidence": EVIDENCE,
    },
)
def finetune(
    context: typer.Context,
    run: ModelArgument,
    data: Annotated[
        Path, typer.Option(help="New labelled data: folder, zip or milkreport.toml, of any layout.")
    ],
    out: Annotated[Path, typer.Option(help="Where model, reports and summary go.")],
    allow_root: AllowRootOption = None,
    arm: ArmOption = None,
    seed: SeedOption = None,
    fold: FoldOption = None,
    *,
    options: FinetuneOptions,
    old_data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Data of the original run, to see what was forgotten. (default: drawn again, if synthetic)",
        ),
    ] = None,
    cache_dir: CacheOption = None,
    allowed: TrustOptions,
    pdf: PdfOption = "auto",
    no_pdf: NoPdfOption = False,
) -> None:
    """Train a saved model further on new labelled data, and show what that gained and what was forgotten.

    Classes keep the model's order and are matched by name; weights, sampler or loss of the arm are
    recomputed from the new counts. Before and after are compared on new and on original test cases. The
    same command again goes on where it was stopped.

    Example:

    - milkreport finetune runs/paper --arm weighted_loss --data NEW --old-data DIR --out runs/finetuned
    """
    from milkreport.commands import finetune as work
    from milkreport.finetuning.finetune import Job
    from milkreport.finetuning.parent import load_parent

    allow(allowed)
    shown = {
        "run": "$RUN",
        "data": "$NEW",
        "out": "$OUT",
        "allow_root": ["$ROOT"] * len(allow_root or []),
        "map_file": "$MAP" if options.map_file else "",
        "old_data": "$OLD" if old_data else "",
        "module_dir": ["$MODULES"] * len(allowed.module_dir or []),
        "backbone_weights": "$WEIGHTS" if allowed.backbone_weights else "",
    }
    job = Job(
        parent=load_parent(run, arm, seed, fold),
        data=data,
        out=out,
        cache=cache_of(cache_dir),
        command=recorded_command(
            context, shown, {"cache_dir", "pdf", "no_pdf", "restart", "cases", "evidence"}
        ),
        options=options,
        old_data=old_data,
    )
    work.run(job, pdf_mode(pdf, no_pdf))
