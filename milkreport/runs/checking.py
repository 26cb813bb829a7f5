"""Checks a run folder against a reference or another run folder, and keeps the verdict beside it."""

from __future__ import annotations

from pathlib import Path

from milkreport.checks.earlier import check_earlier
from milkreport.checks.published import check_published
from milkreport.checks.reference import load_reference
from milkreport.checks.verdict import Verdict
from milkreport.evaluation.predictions import Predictions
from milkreport.evaluation.results import Results
from milkreport.runs.folder import Cell, RunFolder

#: Loss that an own earlier run may differ by, where nothing else is declared.
DEFAULT_MARGIN = 0.03


def check_run(folder: RunFolder, against: str) -> Verdict:
    """Check a run against a shipped reference, a reference file, or the folder of an earlier run.

    The verdict is written to ``checks.json``.

    Raises:
        ConfigError: no such reference. DataError: not a finished run.
    """
    results = folder.load_results()
    earlier = RunFolder(Path(against))
    if earlier.is_run():
        before = earlier.load_results()
        verdict = check_earlier(
            results,
            before,
            load_test_predictions(folder, results),
            load_test_predictions(earlier, before),
            DEFAULT_MARGIN,
            earlier.path.name,
        )
    else:
        # Predictions that were made elsewhere state no protocol.
        settings = folder.load_suite().flat() if folder.has_suite else {}
        verdict = check_published(results, settings, load_reference(against))
    folder.write_verdict(verdict)
    return verdict


def is_comparable(results: Results, reference: str) -> bool:
    """Whether the figures that a suite names say anything of these results: real, and of the same data."""
    if results.data.synthetic or not reference:
        return False
    if RunFolder(Path(reference)).is_run():
        return True
    return load_reference(reference).data == results.data.name


def refuse_unknown(reference: str) -> None:
    """Raise a ConfigError if *reference* names neither a run folder nor published figures."""
    if reference and not RunFolder(Path(reference)).is_run():
        load_reference(reference)


def load_test_predictions(
    folder: RunFolder, results: Results
) -> dict[str, dict[tuple[int, int], Predictions]]:
    """Test predictions of a run's arms by (seed, fold), of the cells that its results rest on."""
    found = {}
    for arm in results.arms:
        if arm.part("test") is None:
            continue
        n_folds = arm.part("test").n_folds  # type: ignore[union-attr]
        done = [cell for cell in arm.cells if cell.status == "complete"]
        seeds = [cell.seed for cell in done]
        found[arm.name] = {
            (cell.seed, cell.fold): parts["test"]
            for cell in done
            if seeds.count(cell.seed) == n_folds
            and "test"
            in (
                parts := folder.load_predictions(
                    Cell(arm.name, cell.seed, cell.fold), results.classes
                )
            )
        }
    return found
