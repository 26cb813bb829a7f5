"""The commands about given predictions: evaluate, compare, thresholds. See ``cli``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from milkreport.cli.external import (
    ExternalMetadataOption,
    ExternalPredictionsOption,
    ExternalTruthOption,
    external_files,
    split_named,
)
from milkreport.cli.options import (
    PRIMARY_HELP,
    CasesOption,
    EvidenceOption,
    FindingOptions,
    GroupOption,
    JsonOption,
    MarginOption,
    NoPdfOption,
    OperatingOption,
    PdfOption,
    PrevalenceOption,
    ReaderOption,
    TableSettings,
    UnlabelledPredictions,
    pdf_mode,
    refuse_to_overwrite,
    takes_findings,
    takes_tables,
    takes_tables_alone,
)
from milkreport.cli.parsed import recorded_command
from milkreport.errors import ConfigError


@takes_tables
@takes_findings
def evaluate(
    context: typer.Context,
    predictions: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]FILE...",
            help="CSV or Parquet: an id column, and one probability column per class (of two classes, one "
            "is enough) or one column *prediction* of hard labels. Several are compared; several of one "
            "NAME are its training seeds. A column model, seed or fold makes arms, seeds or folds.",
        ),
    ],
    truth: Annotated[
        Path, typer.Option(help="Table: an id column, and a label column or one-hot columns.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Write results, tables and report into this folder.")
    ] = None,
    primary: Annotated[str, typer.Option(metavar="METRIC", help=PRIMARY_HELP)] = "macro_f1",
    margin: MarginOption = None,
    *,
    tables: TableSettings,
    operating: OperatingOption = "",
    prevalence: PrevalenceOption = "",
    unlabelled: UnlabelledPredictions = None,
    external: ExternalPredictionsOption = None,
    external_truth: ExternalTruthOption = None,
    external_metadata: ExternalMetadataOption = None,
    reader: ReaderOption = None,
    metadata: Annotated[
        Path | None, typer.Option(help="Table with an id column, for --slice and --group.")
    ] = None,
    slices: Annotated[
        list[str] | None,
        typer.Option(
            "--slice",
            metavar="COLUMN",
            help="Subgroups by this column; repeatable. (default: every column of few values)",
        ),
    ] = None,
    group: GroupOption = "",
    rules: Annotated[
        str, typer.Option(help="isic: the archive's decision rule, beside argmax.")
    ] = "argmax",
    no_intervals: Annotated[
        bool,
        typer.Option(
            "--no-intervals", help="Point estimates only: no intervals, tests or thresholds."
        ),
    ] = False,
    title: Annotated[str, typer.Option(help="Title of the report.")] = "",
    findings: FindingOptions,
    pdf: PdfOption = "auto",
    no_pdf: NoPdfOption = False,
    cases: CasesOption = True,
    evidence: EvidenceOption = "",
    as_json: JsonOption = False,
) -> None:
    """Score any model's predictions, and compare them where there are several.

    Metrics with intervals, classification report, confusion matrix, calibration, subgroups, thresholds;
    several files are compared case by case. With --out: the same results and report as a run's.

    Examples:

    - milkreport evaluate mine.csv --truth truth.csv

    - milkreport evaluate old=a.csv new=b.csv --truth truth.csv --rules isic --out runs/eval

    - milkreport evaluate old=a.csv new=b.csv --truth truth.csv --primary macro_auc --margin 0.01

    - milkreport evaluate scores.csv --truth labels.csv --id image_name --label target --missing drop

    - milkreport evaluate mine.csv --truth truth.csv --positive CLASS --operating sensitivity=0.95

    - milkreport evaluate mine.csv --truth truth.csv --prevalence CLASS=0.01 --unlabelled clinic.csv

    - milkreport evaluate mine.csv --truth truth.csv --external B=b.csv --external-truth B=b_truth.csv
    """
    from milkreport.commands import evaluate as work
    from milkreport.evaluation.beyond.shares import parse_prevalence
    from milkreport.evaluation.binary.rules import parse_rule
    from milkreport.evaluation.metrics.measures import Plan
    from milkreport.evaluation.metrics.named import check_margin, check_metric
    from milkreport.evaluation.reading.inputs import load_inputs
    from milkreport.evaluation.reading.options import join_names, split_names

    named, titles = _named_files(predictions)
    options = tables.read()
    if margin is not None:
        check_margin(margin, check_metric(primary))
    readers = {name: paths[0] for name, paths in _named_files(reader or [])[0].items()}
    if len(readers) < len(reader or []):
        raise ConfigError("--reader names a reader twice", "give each a name of its own")
    others = {name: paths[0] for name, paths in _named_files(unlabelled or [])[0].items()}
    if len(others) < len(unlabelled or []):
        raise ConfigError("--unlabelled names predictions twice", "give one file per NAME")
    sets = external_files(external, external_truth, external_metadata, group)
    prevalences, shares = parse_prevalence(prevalence)
    inputs = load_inputs(
        named,
        truth,
        metadata=metadata,
        group=group,
        slices=slices or [],
        options=options,
        titles=titles,
        readers=readers,
        unlabelled=others or None,
        external=sets,
    )
    asked = tuple(rule for rule in split_names(rules) if rule != "argmax")
    plan = Plan(
        check_metric(primary),
        options.positive,
        asked,
        not no_intervals,
        margin=margin,
        operating=parse_rule(operating),
        prevalences=prevalences,
        shares=shares,
    )
    shown = {
        "predictions": [
            f"{titles.get(n, n)}={f.name}" for n, files in named.items() for f in files
        ],
        "truth": truth.name,
        "out": "$OUT",
        "primary": primary,
        "positive": join_names(options.positive),
        "classes": join_names(options.classes),
        "reader": [f"{name}={path.name}" for name, path in readers.items()],
        "prevalence": Path(prevalence).name if shares and "=" not in prevalence else prevalence,
        "unlabelled": [f"{name}={path.name}" for name, path in others.items()],
        "external": [f"{name}={Path(f).name}" for name, f in split_named(external, "")],
        "external_truth": [f"{n}={Path(f).name}" for n, f in split_named(external_truth, "")],
        "external_metadata": [f"{n}={Path(f).name}" for n, f in split_named(external_metadata, "")],
        "metadata": metadata.name if metadata else "",
        "rules": ",".join(asked),
    }
    line = recorded_command(
        context, shown, {"pdf", "no_pdf", "as_json", "cases", "evidence", "mute", "fail_on"}
    )
    mode = pdf_mode(pdf, no_pdf)
    results = work.evaluate(inputs, plan, title, out, line, mode, findings.muted, cases, evidence)
    if as_json:
        print(results.model_dump_json(indent=1))
    else:
        from milkreport.commands import scores

        scores.show(results)
    findings.exit_on([results])


@takes_tables
@takes_findings
def compare(
    one: Annotated[
        Path, typer.Argument(metavar="A", help="Run folder, report, or predictions file.")
    ],
    other: Annotated[
        Path, typer.Argument(metavar="B", help="The same; differences are A minus B.")
    ],
    truth: Annotated[
        Path | None, typer.Option(help="Truth of prediction files; a run brings its own.")
    ] = None,
    primary: Annotated[
        str,
        typer.Option(
            metavar="METRIC",
            help="The metric that is tested. (default: the runs' own, or macro_f1)",
        ),
    ] = "",
    margin: MarginOption = None,
    *,
    tables: TableSettings,
    findings: FindingOptions,
    as_markdown: Annotated[bool, typer.Option("--md", help="Markdown on stdout.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare two runs or two prediction files, case by case.

    Runs are compared arm by arm, where both have an arm of that name. Both must have been scored on the
    same cases with the same labels. Without --positive, the runs' own classes count as disease.

    Examples:

    - milkreport compare runs/new runs/old

    - milkreport compare new/report.pdf old/report.pdf

    - milkreport compare new.csv old.csv --truth truth.csv --primary recall:CLASS --margin 0.02 --md
    """
    from milkreport.commands import comparing
    from milkreport.commands.findings import show_findings
    from milkreport.evaluation.review.review import review
    from milkreport.evidence.source import as_runs
    from milkreport.runs.evaluated import compare_two

    if as_markdown and as_json:
        raise ConfigError("--md and --json", "choose one")
    options = tables.read()
    with as_runs(one, other) as (a, b):
        found = compare_two(a, b, truth, primary, margin, options)
    found = [review(results, findings.muted) for results in found]
    if as_json:
        print(json.dumps([json.loads(r.model_dump_json()) for r in found], indent=1))
    elif as_markdown:
        print("\n".join(comparing.as_markdown(r) for r in found))
    else:
        for results in found:
            comparing.show(results, results.title if len(found) > 1 else "")
    if not as_json:
        notices = [notice for results in found for notice in results.notices]
        comparing.show_remarks(found[0].data.notes, notices)
        for results in found:
            show_findings(results)
    findings.exit_on(found)


@takes_tables_alone
def thresholds(
    predictions: Annotated[
        Path,
        typer.Argument(help="Labelled cases' probabilities; rows of a validation part, if any."),
    ],
    truth: Annotated[
        Path, typer.Option(help="Table: an id column, and a label column or one-hot columns.")
    ],
    apply: Annotated[
        Path | None, typer.Option(help="Predictions of other cases, to fold the thresholds into.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the folded predictions go; belongs to --apply.")
    ] = None,
    metadata: Annotated[
        Path | None, typer.Option(help="Table with an id column, for --group.")
    ] = None,
    group: GroupOption = "",
    *,
    tables: TableSettings,
    as_json: JsonOption = False,
) -> None:
    """Find a threshold per class for the archive's rule (p > 0.5), and fold them into a submission.

    Each threshold is the best for its class's F1, found exactly. The nested figures are the ones to
    quote: each case is answered at thresholds that were found without it. In a folded file a reader with
    the threshold 0.5 decides as the thresholds do; nothing lies within 1e-6 of 0.5.

    Example:

    - milkreport thresholds validation.csv --truth truth.csv --apply test.csv --out submission.csv
    """
    from milkreport.evaluation.apply_thresholds import apply_thresholds, fit_thresholds

    if (apply is None) != (out is None):
        raise ConfigError("--apply and --out belong together", "give both, or neither")
    if apply is not None and out is not None:
        reads = [predictions, truth, apply, *([metadata] if metadata else [])]
        refuse_to_overwrite("--out", out, reads=reads)
    options = tables.read()
    found = fit_thresholds(predictions, truth, metadata=metadata, group=group, options=options)
    if apply is not None and out is not None:
        from milkreport.commands.console import show_files
        from milkreport.runs.csv_files import write_csv

        write_csv(out, apply_thresholds(found, apply, options), digits=17)
        show_files([out])
    if as_json:
        print(found.model_dump_json(indent=1))
    else:
        from milkreport.commands import scores

        scores.show_thresholds(found)


def _named_files(arguments: list[str]) -> tuple[dict[str, list[Path]], dict[str, str]]:
    """``NAME=FILE`` or ``FILE`` to files by name, and what names stand for that a folder cannot have.

    A file's own name serves where none is given.
    """
    from milkreport.evaluation.reading.arm_names import free_name, is_title

    named: dict[str, list[Path]] = {}
    typed: dict[str, str] = {}
    for argument in arguments:
        title, equals, file = argument.partition("=")
        if not equals or Path(argument).exists():
            path = Path(argument)
            named[free_name(path.stem, named)] = [path]
            continue
        if not is_title(title):
            do = "use letters, digits and blanks, 64 at most, and no slash"
            raise ConfigError(f"{title[:80]!r} is no name", do, argument)
        if title not in typed:
            typed[title] = free_name(title, named)
        named.setdefault(typed[title], []).append(Path(file))
    return named, {name: title for title, name in typed.items() if name != title}
