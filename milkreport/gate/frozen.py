"""References from own runs: results and test predictions kept in a folder that can be committed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from milkreport.evaluation.metrics.definitions import CLASS_DEFINITIONS, DEFINITIONS, HEADLINE
from milkreport.evaluation.metrics.named import check_name
from milkreport.evaluation.records.parts import POSITIVE
from milkreport.evaluation.records.results import ArmResult, Results
from milkreport.runs.cells import Cell
from milkreport.runs.folder import RunFolder, refuse_foreign
from milkreport.runs.lock import LOCK, hold
from milkreport.runs.manifest import Manifest, read_clock
from milkreport.suite.toml import validate

#: Loss that an own earlier run may differ by, where nothing else is declared.
MARGIN = 0.03
MARGIN_REASON = "milkreport's default: about the change that an imbalance correction makes"
#: Metrics on a scale of their own: margin and reason.
OWN_MARGINS = {
    "macro_auc": (
        0.02,
        "milkreport's default: of 100 pairs of a case of a class and another case, two more are ranked wrong",
    ),
    "log_loss": (
        0.05,
        "milkreport's default: the true class gets 5% less probability, as a geometric mean",
    ),
}
#: What later runs are held to beside the primary metric.
GATED = (*HEADLINE, *OWN_MARGINS)


def margin_for(metric: str) -> tuple[float, str]:
    """The default margin of a metric, and its reason."""
    return OWN_MARGINS.get(metric, (MARGIN, MARGIN_REASON))


@dataclass(frozen=True)
class Wanted:
    """What a reference holds a run to.

    ``metrics``: overall, by default the primary metric and :data:`GATED`. ``per_class``: of every class.
    ``margins``: of single metrics, with their reasons; ``margin`` of all others.
    """

    metrics: tuple[str, ...] = ()
    per_class: tuple[str, ...] = ()
    margin: float = MARGIN
    margin_reason: str = MARGIN_REASON
    margins: Mapping[str, tuple[float, str]] = field(default_factory=lambda: OWN_MARGINS)
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
    primary = results.primary_metric
    metrics = wanted.metrics or (primary, *GATED)
    named = _named(metrics, wanted.per_class, results.classes)
    figures = [figure for arm in results.arms for figure in _figures(arm, named, wanted)]
    gated = {f.metric for f in figures}
    if unused := [m for m in wanted.margins if m not in gated | OWN_MARGINS.keys()]:
        what = f"a margin of {unused[0]}, which is not gated"
        raise ConfigError(what, f"gated: {', '.join(sorted(gated))}")
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
        "support": {"test": {row.name: row.support for row in test.classes}} if test else {},
        "primary": primary if primary in named else "",
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
    # Every figure of every arm, classes by name: what was gated stays gated, and nothing else is.
    named = dict.fromkeys(
        f"{f.metric}:{f.class_name}" if f.class_name else f.metric for f in old.figures
    )
    margins = {f.metric: (f.margin, f.margin_reason) for f in old.figures if f.margin is not None}
    wanted = Wanted(
        tuple(named),
        margin=old.margin,
        margin_reason=old.margin_reason,
        margins=margins,
        min_seeds=old.min_seeds,
        min_support=old.min_support,
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
    update = {"figures": figures, "frozen": frozen, "primary": old.primary}
    return new.model_copy(update=update)


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


def _figures(arm: ArmResult, named: Sequence[str], wanted: Wanted) -> list[Figure]:
    part = arm.part("test")
    if part is None:
        return []
    rows = {row.name: row for row in part.classes}
    figures = []
    for metric, _, class_name in (name.partition(":") for name in named):
        found = rows[class_name].estimate(metric) if class_name else part.metrics.get(metric)
        if found is not None and found.value is not None:
            margin, reason = wanted.margins.get(metric, (None, ""))
            printed = repr(float(found.value))
            figures.append(
                Figure(
                    arm=arm.name,
                    part="test",
                    metric=metric,
                    class_name=class_name,
                    printed=printed,
                    margin=margin,
                    margin_reason=reason,
                )
            )
    return figures


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


def _named(metrics: Sequence[str], per_class: Sequence[str], classes: list[str]) -> list[str]:
    """Metrics by their kept names, ``metric`` or ``metric:class``; raises ConfigError for an unknown one."""
    for given, known in ((metrics, DEFINITIONS), (per_class, CLASS_DEFINITIONS)):
        for metric in given:
            if metric in POSITIVE:
                do = "name others by --metric, as in --metric recall:CLASS"
                raise ConfigError(f"{metric} cannot be gated", do)
            if metric not in known and ":" not in metric:
                raise ConfigError(f"unknown metric {metric!r}", f"known: {', '.join(known)}")
    named = [check_name(m, classes, []) if ":" in m else m for m in metrics]
    return [*dict.fromkeys([*named, *(f"{m}:{c}" for m in per_class for c in classes)])]
