"""The work of the commands that write something."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from milkreport.checks.verdict import Verdict
from milkreport.commands import screen
from milkreport.data.images import cache_folder
from milkreport.data.prepare import prepare
from milkreport.data.synthetic import write_synthetic
from milkreport.errors import ConfigError, DataError, PdfProblem
from milkreport.evaluation.results import Results
from milkreport.runs.checking import check_run, refuse_unknown
from milkreport.runs.collect import collect, plan_cells
from milkreport.runs.folder import RunFolder
from milkreport.suite import Data, Suite

#: Images are decoded whole by ``data check``; the resized copy is thrown away, so it is small.
CHECK_SIZE = 16


def run(
    suite: Suite,
    data: Path | None,
    out: Path,
    device: str,
    command: str,
    gate: str | None,
    pdf: bool,
) -> tuple[Results, Verdict | None]:
    """Carry a suite out, check it, write the report, and show the outcome."""
    from milkreport.runs.runner import Job, run_suite

    started = time.monotonic()
    reference = gate or suite.reference
    refuse_unknown(reference)  # before hours of training, not after
    root = data or synthetic_folder(suite)
    screen.show_start(suite, root, out, synthetic=data is None)
    with screen.progress() as watcher:
        results = run_suite(Job(suite, root, out, device, command), watcher)
    folder = RunFolder(out)
    verdict = None
    if reference and (gate or not results.data.synthetic):
        verdict = check_run(folder, reference)
    written = draw(folder, results, verdict, pdf)
    screen.show_results(results, verdict)
    screen.show_files(written, time.monotonic() - started)
    return results, verdict


def redraw(run_path: Path, pdf: bool) -> None:
    """Draw the report of a run folder again; cells that were finished since are scored first."""
    folder = RunFolder(run_path)
    cells = plan_cells(folder.load_suite())
    try:
        results = folder.load_results()
        known = sum(c.status == "complete" for arm in results.arms for c in arm.cells)
    except DataError:
        known = 0
    if not any(folder.load_cell(cell) for cell in cells):
        raise DataError("no training is finished here", "wait, or run run-all again", str(run_path))
    if known < len(cells):
        results, metrics = collect(folder)
        folder.write_results(results, metrics)
    screen.show_files(draw(folder, results, folder.load_verdict(), pdf), None)


def draw(folder: RunFolder, results: Results, verdict: Verdict | None, pdf: bool) -> list[Path]:
    """Write the report; where no PDF can be made, say why in one line and keep the HTML."""
    from milkreport.reporting.write import write_report

    arguments = (folder.path, results, folder.load_manifest(), folder.load_suite(), verdict)
    try:
        return write_report(*arguments, pdf=pdf)
    except PdfProblem as problem:
        screen.warn(f"no PDF: {problem}")
        return [folder.path / "report.html"]


def synthetic_folder(suite: Suite) -> Path:
    """The synthetic data of a suite, made where it lacks."""
    if suite.split.kind == "support":
        what = f"suite {suite.name} fixes the test part's {sum(suite.split.test_support.values())} cases"
        raise ConfigError(what, "give the real data by --data DIR, or use the suite quick")
    wanted = suite.data.synthetic
    folder = cache_folder() / f"synthetic-1-{wanted.cases}-{wanted.seed}-{wanted.size}"
    if not (folder / "SYNTHETIC.json").is_file():
        with screen.bar("Drawing synthetic lesions", wanted.cases) as advance:
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
    with screen.bar("Drawing synthetic lesions", cases) as advance:
        write_synthetic(folder, cases=cases, seed=seed, size=size, progress=advance)
    screen.show_files([folder], None)


def check_data(root: Path) -> None:
    """Read and decode everything below *root*, and show what was found."""
    with tempfile.TemporaryDirectory() as scratch, screen.progress() as watcher:
        settings = Data(image_size=CHECK_SIZE)
        prepared = prepare(root, settings, Path(scratch), watcher.images)
        screen.show_data(prepared)
