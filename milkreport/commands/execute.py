"""The work of the commands that write something."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from milkreport.checks.audit.findings import Audit
from milkreport.checks.reported import outside_interval
from milkreport.checks.verdict import Verdict
from milkreport.commands import running, sources
from milkreport.commands.console import note, say, show_files, warn
from milkreport.commands.findings import show_findings
from milkreport.commands.progress import bar, progress
from milkreport.data.adapters.load import load_cases
from milkreport.data.pixels.store import list_stores, open_store
from milkreport.data.prepare import image_problems
from milkreport.errors import ConfigError, DataError, DataProblems, PdfProblem
from milkreport.evaluation.case_table import CaseTable
from milkreport.evaluation.records.results import Results
from milkreport.evaluation.review.review import review
from milkreport.evidence.pack import Shows, check_level, pack_run
from milkreport.finetuning.record import NEW, OLD, is_finetuning
from milkreport.inside import refuse_links
from milkreport.runs.collect import collect, load_case_table, plan_cells
from milkreport.runs.elsewhere import name_unlabelled, read_elsewhere
from milkreport.runs.folder import RunFolder
from milkreport.runs.manifest import read_clock
from milkreport.suite.suite import Data, Suite

if TYPE_CHECKING:
    from milkreport.execution.exact import Repeats
    from milkreport.runs.data_sets import Runs


def repeat(run_path: Path, data: Path | None, cache: Path) -> Repeats:
    """Train a run's finished cells again and compare."""
    from milkreport.execution.exact import repeat_run

    folder = RunFolder(run_path)
    suite = folder.load_suite()
    if data is None and not folder.load_data().data.synthetic:
        raise ConfigError("this run was made from data of yours", "give --data DIR")
    root = data or synthetic_folder(suite, cache)
    with progress() as watcher:
        return repeat_run(folder, root, cache, watcher)


def redraw(
    run_path: Path,
    pdf: str,
    images: bool = True,
    cases: bool = True,
    muted: Mapping[str, str] | None = None,
    evidence: str = "",
    prevalence: str = "",
    unlabelled: Sequence[str] = (),
) -> list[Results]:
    """Draw the report of a run folder again; cells that were finished since are scored first.

    A fine-tuning has two reports, of the new cases and of the original ones.

    Args:
        muted: findings that do not count in this report, code to reason.
        evidence: what the report carries, see :func:`draw`.
        prevalence, unlabelled: what forecasts are to be made for; the results are then made again.

    Returns:
        the results that were drawn.
    """
    folders = [RunFolder(run_path)]
    if is_finetuning(run_path):
        refuse_links(run_path)
        folders = [f for f in (RunFolder(run_path / name) for name in (NEW, OLD)) if f.is_run()]
        if not folders:
            do = "do the same finetune again: it goes on where it was stopped"
            raise DataError("this fine-tuning is not finished", do, str(run_path))
    asks = bool(prevalence or unlabelled)
    if asks and (is_finetuning(run_path) or not folders[0].has_suite):
        what = "--prevalence and --unlabelled of report are for the run of a suite"
        raise ConfigError(what, "give them to milkreport evaluate", str(run_path))
    drawn = []
    for folder in folders:
        if folder.is_run() and not folder.has_suite:
            results = folder.load_results()
        else:
            results = _results_so_far(folder)
        if asks:
            arms = [arm.name for arm in results.arms]
            asked = read_elsewhere(prevalence, name_unlabelled(unlabelled, arms))
            data = results.data
            tested = dict.fromkeys(results.classes, 0)
            for split in results.splits:
                for name, n in split.class_counts.items() if split.part == "test" else ():
                    tested[name] += n
            asked.check(tested, data.positive)
            results, tables = collect(folder, asked)
            folder.write_results(results, tables)
        verdict = folder.load_verdict()
        results = reviewed(folder, results, verdict, muted)
        show_findings(results)
        show_files(draw(folder, results, verdict, pdf, images, cases, evidence))
        drawn.append(results)
    return drawn


def unpack_report(report: Path, out: Path) -> Path:
    """Lay out what a report carries as a run folder *out*, without weights; returns *out*.

    Raises:
        ConfigError: *out* holds something. DataError: the report carries nothing, or was changed.
    """
    from milkreport.evidence.source import lay_out, load_unchanged

    evidence = load_unchanged(report, with_predictions=False)
    if out.is_dir() and any(out.iterdir()):
        raise ConfigError("holds something", "choose another --out", str(out))
    return lay_out(evidence, out, str(report)).path


def reviewed(
    folder: RunFolder,
    results: Results,
    verdict: Verdict | None,
    muted: Mapping[str, str] | None = None,
) -> Results:
    """The results with the findings of now, by the verdict of now; ``results.json`` is brought up to date.

    Args:
        muted: code to reason, for this drawing alone, beside those that the suite mutes, or the evaluation
            was made with.
    """
    mute = {f.code: f.muted for f in results.findings if f.muted}
    if folder.has_suite:
        mute = folder.load_suite().findings.mute
    kept = review(results, mute, outside_interval(verdict))
    if kept.findings != results.findings:
        folder.write_results(kept, {})
    return review(results, {**mute, **muted}, outside_interval(verdict)) if muted else kept


def combined(
    runs: Sequence[Path],
    out: Path,
    arms: Sequence[str],
    primary: str,
    command: str,
    pdf: str,
    cases: bool = True,
    replace: bool = False,
    muted: Mapping[str, str] | None = None,
    evidence: str = "",
) -> Results:
    """Write one report of several runs, and show the outcome; *replace*: whatever report *out* holds.

    *command* is recorded; a report by another one is not written over.
    """
    from milkreport.evaluation.reading.inputs import hash_paths
    from milkreport.runs.combined import combine
    from milkreport.runs.evaluated import refuse_other

    check_level(evidence, cases)
    if not replace:
        refuse_other(out, command, hash_paths(runs))
    results = combine(runs, out, arms, primary, command)
    results = reviewed(RunFolder(out), results, None, muted)
    written = draw(RunFolder(out), results, None, pdf, cases=cases, evidence=evidence)
    running.show_results(results, None)
    show_files(written)
    return results


def ranked(runs: Runs, out: Path, arms: Sequence[str], primary: str, pdf: str) -> None:
    """Write the ranking of the arms of runs of different data, and say what it found."""
    from milkreport.reporting.ranking_page import ranking_sentences, write_ranking
    from milkreport.runs.data_sets import rank_runs

    ranking = rank_runs(runs, arms, primary)
    for said in ranking_sentences(ranking):
        say(said)
    show_files(_write_alone(write_ranking, out, ranking, pdf))


def _results_so_far(folder: RunFolder) -> Results:
    cells = plan_cells(folder.load_suite())
    try:
        results = folder.load_results()
        known = sum(c.status == "complete" for arm in results.arms for c in arm.cells)
    except DataError as error:
        known = 0
        if (folder.path / "results.json").is_file():
            warn(f"{error.where}: {error.what}; scored again from the predictions")
    if not any(folder.cell(cell).load_record() for cell in cells):
        raise DataError(
            "no training is finished here", "wait, or run run-all again", str(folder.path)
        )
    if known < len(cells):
        results, tables = collect(folder)
        folder.write_results(results, tables)
    return results


def draw(
    folder: RunFolder,
    results: Results,
    verdict: Verdict | None,
    pdf: str,
    images: bool = True,
    cases: bool = True,
    evidence: str = "",
) -> list[Path]:
    """Write the report; where no PDF can be made, say why in one line and keep the HTML.

    Args:
        images: show the gallery. cases: list single cases, in the report and in tables beside it.
        evidence: what the report carries: full, numbers or none; empty: full where predictions are small.

    Raises:
        ConfigError: another word, or ``full`` without cases.
        DataError: ``full``, and predictions are missing.
    """
    from milkreport.reporting.write import write_report

    level = check_level(evidence, cases)
    suite = folder.load_suite() if folder.has_suite else None
    found = folder.load_audit() if verdict is not None else None
    gallery = folder.load_gallery() if images and cases else None
    table = (results.cases or _load_cases(folder, results)) if cases else None
    labels = folder.load_label_errors() if images and cases else None
    if not cases:
        for name in ("mistakes.csv", "label_errors.csv"):
            (folder.path / name).unlink(missing_ok=True)
    if pdf == "none" and (folder.path / "report.pdf").is_file():
        say("removed the older report.pdf: it would not be of this report")
    manifest = folder.load_manifest()
    pictures = gallery is not None and bool(gallery[1])
    shows = Shows(table is not None, labels is not None, gallery is not None, pictures)
    records = (results, manifest, suite, verdict, found)
    carried = pack_run(folder, *records, level, shows)
    if carried.record.level != "full" and level is None and cases:
        note(f"the report carries no predictions: {carried.record.reason}")
    arguments = (folder.path, *records, gallery, table)
    try:
        return write_report(*arguments, labels=labels, evidence=carried, pdf=pdf != "none")
    except PdfProblem as problem:
        if pdf == "require":
            raise
        warn(f"no PDF: {problem}")
        return [folder.path / "report.html"]


def _load_cases(folder: RunFolder, results: Results) -> CaseTable | None:
    """The cases that the report lists; it stands without them where predictions are missing or damaged."""
    try:
        return load_case_table(folder, results)
    except DataError as error:
        warn(f"no list of cases: {error}")
        return None


def export(run_path: Path, out: Path | None) -> None:
    """Write a run's tables, figures and summary for other documents."""
    from milkreport.reporting.export import write_export
    from milkreport.reporting.figures.svg import keeping_pictures
    from milkreport.reporting.view import build_view

    folder = RunFolder(run_path)
    suite = folder.load_suite() if folder.has_suite else None
    verdict = folder.load_verdict()
    found = folder.load_audit() if verdict is not None else None
    with keeping_pictures() as pictures:
        labels = folder.load_label_errors()
        results, manifest = folder.load_results(), folder.load_manifest()
        view = build_view(results, manifest, suite, verdict, found, labels=labels)
    show_files(write_export(view, pictures, out or run_path / "export"))


def write_audit(out: Path, audit: Audit, pdf: str) -> None:
    """Write an audit as a page, a PDF and a record; where no PDF can be made, say why and keep the rest."""
    from milkreport.reporting.audit_page import write_audit_page

    show_files(_write_alone(write_audit_page, out, audit, pdf))


def _write_alone(
    write: Callable[..., list[Path]], out: Path, record: BaseModel, pdf: str
) -> list[Path]:
    """What *write* wrote of *record*: a page, a record and a PDF, or without one the reason in a line."""
    created = read_clock()
    try:
        return write(out, record, created, pdf=pdf != "none")
    except PdfProblem as problem:
        if pdf == "require":
            raise
        warn(f"no PDF: {problem}")
        return write(out, record, created, pdf=False)


def synthetic_folder(suite: Suite, cache: Path) -> Path:
    """The synthetic data of a suite, made where it is missing."""
    from milkreport.data.synthetic.write import write_synthetic  # here: it brings SciPy along

    if suite.split.kind == "support":
        what = f"suite {suite.name} fixes the test part's {sum(suite.split.test_support.values())} cases"
        raise ConfigError(what, "give the real data by --data DIR, or use the suite quick")
    wanted = suite.data.synthetic
    folder = cache / f"synthetic-1-{wanted.cases}-{wanted.seed}-{wanted.size}"
    if not (folder / "SYNTHETIC.json").is_file():
        with bar("Drawing synthetic lesions", wanted.cases) as advance:
            write_synthetic(
                folder,
                cases=wanted.cases,
                seed=wanted.seed,
                size=wanted.size,
                progress=advance,
            )
    return folder


def synthesise(folder: Path, cases: int, seed: int, size: int) -> None:
    """Make synthetic data where the user wants it."""
    from milkreport.data.synthetic.write import write_synthetic  # here: it brings SciPy along

    with bar("Drawing synthetic lesions", cases) as advance:
        write_synthetic(folder, cases=cases, seed=seed, size=size, progress=advance)
    show_files([folder])


def pack(source: Path, settings: Data, cache: Path) -> None:
    """Decode every image of *source* into the cache, for all runs to share."""
    with progress() as watcher:
        cases = load_cases(source, settings.adapter, cache, watcher.notice)
        store = open_store(
            cases,
            settings.image_size,
            cache,
            decoder=settings.decoder,
            progress=watcher.images,
            notice=watcher.notice,
        )
    problems = image_problems(store.images)
    if problems:
        raise DataProblems(problems)
    sources.show_stores([s for s in list_stores(cache) if s.key == store.key], cache)
