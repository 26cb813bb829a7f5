"""References from own runs: results and test predictions kept in a folder that can be committed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from milkreport.atomic import disk_problem, write_text
from milkreport.checks.reference import (
    FILE,
    MIN_SUPPORT,
    Arm,
    Change,
    Frozen,
    Reference,
    Rule,
    as_toml,
)
from milkreport.checks.statements import Figure
from milkreport.errors import ConfigError
from milkreport.evaluation.definitions import CLASS_DEFINITIONS, DEFINITIONS, HEADLINE
from milkreport.evaluation.results import ArmResult, Results
from milkreport.runs.cells import Cell
from milkreport.runs.folder import RunFolder, refuse_foreign
from milkreport.runs.lock import LOCK, hold
from milkreport.runs.manifest import Manifest, read_clock
from milkreport.settings import validate

#: Loss that an own earlier run may differ by, where nothing else is declared.
MARGIN = 0.03
MARGIN_REASON = "milkreport's default: about the change that an imbalance correction makes"


@dataclass(frozen=True)
class Wanted:
    """What a reference holds a run to. ``metrics``: overall; ``per_class``: of every class."""

    metrics: tuple[str, ...] = ()
    per_class: tuple[str, ...] = ()
    margin: float = MARGIN
    margin_reason: str = MARGIN_REASON
    min_seeds: int = 1
    min_support: int = MIN_SUPPORT


def freeze(folder: RunFolder, name: str, reason: str, wanted: Wanted | None = None) -> Reference:
    """A finished run as a reference; nothing is written.

    Raises:
        ConfigError: an unknown metric, or one that the run has no value of. DataError: not a finished run.
    """
    wanted = wanted or Wanted()
    results, manifest = folder.load_results(), folder.load_manifest()
    if results.status != "complete":
        do = "finish it first: the same run-all command again"
        raise ConfigError("the run is partial", do, str(folder.path))
    metrics = wanted.metrics or tuple(dict.fromkeys((results.primary_metric, *HEADLINE)))
    _refuse_unknown(metrics, wanted.per_class)
    figures = [
        figure for arm in results.arms for figure in _figures(arm, metrics, wanted.per_class)
    ]
    if not figures:
        what = "has no test results of these metrics"
        raise ConfigError(what, "freeze a finished run", str(folder.path))
    known = DEFINITIONS | CLASS_DEFINITIONS
    test = next((arm.part("test") for arm in results.arms if arm.part("test")), None)
    values = {
        "name": name,
        "title": results.title,
        "source": f"own run, frozen: {reason}",
        "data": results.data.name,
        "classes": results.classes,
        "split": results.split_rule,
        "rounding": "exact",
        "n": {"test": test.n_cases} if test else {},
        "margin": wanted.margin,
        "margin_reason": wanted.margin_reason,
        "min_seeds": wanted.min_seeds,
        "min_support": wanted.min_support,
        "rules": [_rule(known[m].metric) for m in dict.fromkeys(f.metric for f in figures)],
        "arms": [Arm(name=a.name, title=a.title, correction=a.correction) for a in results.arms],
        "figures": figures,
        "frozen": _origin(results, manifest, reason),
    }
    return validate(Reference, values)


def write_reference(folder: RunFolder, reference: Reference, out: Path) -> list[Path]:
    """Write *reference*, the run's results and its test predictions into *out*, which is replaced.

    Raises:
        ConfigError: *out* holds something else. EnvironmentProblem: it cannot be written.
    """
    results, target = folder.load_results(), RunFolder(out)
    if not (out / FILE).is_file():
        refuse_foreign(target)
        if target.is_run():
            raise ConfigError("holds a run", "choose another --out or --name", str(out))
    with hold(target.path):
        target.clear()
        try:
            (out / FILE).unlink(missing_ok=True)
            shutil.rmtree(out / "cells", ignore_errors=True)
        except OSError as error:
            raise disk_problem(error, out) from error
        digits = 9 if folder.has_suite else 17
        for arm in results.arms:
            for record in arm.cells:
                cell = Cell(arm.name, record.seed, record.fold)
                if record.status == "complete":
                    parts = folder.cell(cell).load_predictions(results.classes)
                    if "test" in parts:
                        target.cell(cell).write_predictions({"test": parts["test"]}, digits)
        target.write_manifest(folder.load_manifest())
        # Curves are of no use to a check, and most of the bytes.
        arms = [arm.model_copy(update={"curves": []}) for arm in results.arms]
        target.write_results(results.model_copy(update={"arms": arms}), {})
        write_text(out / FILE, as_toml(reference))
    # The folder is made to be committed.
    (out / LOCK).unlink(missing_ok=True)
    return [out / FILE]


def renew(old: Reference, folder: RunFolder, reason: str) -> Reference:
    """The reference *old* with the values of another run: same metrics, margins and demands, longer history.

    Raises:
        ConfigError: *old* was not frozen from a run.
    """
    if old.frozen is None:
        raise ConfigError(f"{old.name} holds published figures", "edit its file", old.name)
    overall = tuple(dict.fromkeys(f.metric for f in old.figures if not f.class_name))
    per_class = tuple(dict.fromkeys(f.metric for f in old.figures if f.class_name))
    wanted = Wanted(
        overall, per_class, old.margin, old.margin_reason, old.min_seeds, old.min_support
    )
    new = freeze(folder, old.name, reason, wanted)
    assert new.frozen is not None
    own = {f.key: f for f in old.figures}
    kept = ("margin", "margin_reason")
    figures = [
        f.model_copy(update={key: getattr(own[f.key], key) for key in kept}) if f.key in own else f
        for f in new.figures
    ]
    history = [*old.frozen.history, *new.frozen.history]
    frozen = new.frozen.model_copy(update={"history": history})
    return new.model_copy(update={"figures": figures, "frozen": frozen})


def differences(manifest: Manifest, frozen: Frozen) -> list[str]:
    """What of settings, data, program and environment differs from those that a reference was made with.

    Nothing: the same bits can be asked for.
    """
    if not manifest.suite_sha256 or not frozen.settings:
        return ["the predictions were made elsewhere"]
    found = []
    if manifest.suite_sha256 != frozen.settings:
        found.append("other settings")
    if manifest.data_sha256 != frozen.data:
        found.append("other data")
    ours, theirs = program(manifest), frozen.milkreport
    if ours != theirs:
        found.append(f"milkreport is {ours}, was {theirs}")
    elif manifest.dirty:
        found.append("milkreport has changes that are not committed")
    here = manifest.environment()
    found += [
        f"{key} is {here.get(key) or 'unknown'}, was {was or 'unknown'}"
        for key, was in frozen.environment.items()
        if here.get(key) != was
    ]
    return found


def program(manifest: Manifest) -> str:
    """milkreport's version, with the commit where it ran from a checkout."""
    commit = f" ({manifest.commit[:12]})" if manifest.commit else ""
    return f"{manifest.milkreport}{commit}{' with changes' if manifest.dirty else ''}"


def _figures(arm: ArmResult, metrics: Sequence[str], per_class: Sequence[str]) -> list[Figure]:
    part = arm.part("test")
    if part is None:
        return []
    values = [(m, "", e.value) for m in metrics if (e := part.metrics.get(m)) is not None]
    values += [(m, row.name, getattr(row, m)) for m in per_class for row in part.classes]
    return [
        Figure(arm=arm.name, part="test", metric=m, class_name=c, printed=repr(float(v)))
        for m, c, v in values
        if v is not None
    ]


def _rule(metric: str) -> Rule:
    d = (DEFINITIONS | CLASS_DEFINITIONS)[metric]
    return Rule(
        metric=metric,
        decision=d.decision,
        averaging=d.averaging,
        zero_division=d.zero_division,
        better=d.better,
    )


def _origin(results: Results, manifest: Manifest, reason: str) -> Frozen:
    return Frozen(
        suite=results.suite,
        settings=manifest.suite_sha256,
        data=manifest.data_sha256,
        milkreport=program(manifest),
        environment=manifest.environment() if manifest.suite_sha256 else {},
        synthetic=results.data.synthetic,
        history=[Change(created=read_clock(), reason=reason)],
    )


def _refuse_unknown(metrics: Sequence[str], per_class: Sequence[str]) -> None:
    for given, known in ((metrics, DEFINITIONS), (per_class, CLASS_DEFINITIONS)):
        for metric in given:
            if metric not in known:
                raise ConfigError(f"unknown metric {metric!r}", f"known: {', '.join(known)}")
