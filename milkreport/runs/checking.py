"""Checks a run folder against a reference or another run folder, and keeps the verdict beside it."""

from __future__ import annotations

from pathlib import Path

from milkreport.checks.earlier import check_earlier
from milkreport.checks.published import check_published
from milkreport.checks.reference import load_reference
from milkreport.checks.verdict import Verdict
from milkreport.evaluation.predictions import Predictions
from milkreport.evaluation.results import Results
from milkreport.runs.collect import load_parts
from milkreport.runs.folder import RunFolder

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
        verdict = check_earlier(
            results,
            earlier.load_results(),
            _test_predictions(folder),
            _test_predictions(earlier),
            DEFAULT_MARGIN,
            earlier.path.name,
        )
    else:
        settings = folder.load_suite().flat()
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


def _test_predictions(folder: RunFolder) -> dict[str, dict[tuple[int, int], Predictions]]:
    suite, classes = folder.load_suite(), list(folder.load_data().data.class_counts)
    arms = {arm.name: load_parts(folder, suite, arm.name, classes) for arm in suite.arms}
    return {name: parts["test"] for name, parts in arms.items() if "test" in parts}
