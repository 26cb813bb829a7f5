"""``compare``, ``check`` and ``audit``, called from Python: nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from milkreport.checks.audit.audit import audit as find
from milkreport.checks.audit.findings import Audit
from milkreport.checks.published import check_published
from milkreport.checks.reference import Reference, load_reference
from milkreport.checks.verdict import Verdict
from milkreport.errors import ConfigError
from milkreport.evaluation.evaluate import evaluate
from milkreport.evaluation.reading.options import TableOptions, as_names
from milkreport.evaluation.records.results import Results
from milkreport.gate.checking import compare_run
from milkreport.runs.evaluated import compare_two
from milkreport.runs.folder import RunFolder


def compare(
    one: Any,
    other: Any,
    y_true: Any = None,
    *,
    names: tuple[str, str] = ("one", "other"),
    arm: str = "",
    classes: Sequence[Any] | None = None,
    groups: Any = None,
    id: str | Sequence[str] = (),
    label: str = "",
    missing: str = "error",
    positive: str | Sequence[str] = (),
    primary: str = "",
    margin: float | None = None,
) -> Results:
    """Two predictions for the same cases, or two run folders, against each other, case by case.

    Args:
        one: predictions as for :func:`milkreport.evaluate`, or the path of a run folder.
        other: the same; differences are ``one - other``.
        y_true: labels, as for :func:`milkreport.evaluate`; runs bring their own.
        names: what the two are called; of paths their own names.
        arm: which one of two runs that have several in common.
        classes: as for :func:`milkreport.evaluate`.
        groups: with arrays, likewise.
        id: with tables, as for :func:`milkreport.evaluate`.
        label: likewise.
        missing: likewise.
        positive: classes that count as disease; by default the runs' own.
        primary: the metric that is tested; by default the runs' own, or ``macro_f1``.
        margin: the difference in it that does not matter; by default the runs' own.

    Returns:
        results of the two, whose ``to_frame("differences")`` is the comparison.

    Raises:
        DataError: not the same cases or labels. ConfigError: no truth, no or several arms in common.
    """
    disease = as_names(positive)
    if not (isinstance(one, str | Path) and isinstance(other, str | Path)):
        if y_true is None:
            raise ConfigError("predictions need their truth", "give y_true", "compare")
        if names[0] == names[1]:
            raise ConfigError(f"both are called {names[0]!r}", "give two names", "compare")
        return evaluate(
            {names[1]: other, names[0]: one},
            y_true,
            classes=classes,
            groups=groups,
            id=id,
            label=label,
            missing=missing,
            positive=disease,
            primary=primary or "macro_f1",
            margin=margin,
        )
    if groups is not None:
        raise ConfigError("groups belong to arrays", "leave them out", "compare")
    truth = None if y_true is None else Path(y_true)
    named = as_names(classes if classes is not None else ())
    options = TableOptions(as_names(id), label, named, disease, missing)
    found = compare_two(Path(one), Path(other), truth, primary, margin, options)
    if arm:
        found = [results for results in found if results.title == arm]
    if len(found) != 1:
        what = f"no arm {arm!r} is in both" if arm else f"{len(found)} arms are in both"
        raise ConfigError(what, "name one of them: arm=...", "compare")
    return found[0]


def check(results: Results | str | Path, against: str | Path | Reference) -> Verdict:
    """Hold results against published figures, or a run folder against those or an earlier run.

    Args:
        results: of :func:`milkreport.evaluate`, or the path of a run folder.
        against: name of a shipped or frozen reference, path of a reference file or, for a run folder, of an
            earlier run.

    Returns:
        the verdict: ``status`` is PASS, FAIL, INCONCLUSIVE or NOT CHECKED, ``rows`` has each figure.

    Raises:
        ConfigError: no such reference, or one whose predictions are needed. DataError: no finished run.
    """
    if isinstance(against, Results):
        do = "compare two predictions with milkreport.compare, or name a reference"
        raise ConfigError("results are no reference", do, "check")
    if not isinstance(results, Results):
        folder = RunFolder(Path(results))
        if isinstance(against, Reference):
            settings = folder.load_suite().flat() if folder.has_suite else {}
            return check_published(folder.load_results(), settings, against)
        return compare_run(folder, str(against))[0]
    if not isinstance(against, Reference):
        if RunFolder(Path(against)).is_run():
            do = "write both into folders (milkreport evaluate --out), or use milkreport.compare"
            raise ConfigError(
                "an earlier run is compared case by case, which needs a folder", do, str(against)
            )
        against = load_reference(str(against))
    if against.frozen is not None:
        do = "check the folder that they were written to (milkreport evaluate --out)"
        raise ConfigError(
            f"{against.name} was frozen from a run, whose predictions are compared", do, "check"
        )
    return check_published(results, {}, against)


def audit(reference: str | Path | Reference) -> Audit:
    """Hold the numbers of a publication against each other; no data are needed.

    Args:
        reference: name of a shipped reference, path of a reference file, or such a file, read.

    Returns:
        every statement that was looked at, with what came of it.

    Raises:
        ConfigError: no such reference, or it is unsound.
    """
    return find(reference if isinstance(reference, Reference) else load_reference(str(reference)))
