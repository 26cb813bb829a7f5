"""Registers a study from a suite and data, and says what to do with the hash."""

from __future__ import annotations

from pathlib import Path

from milkreport.commands.console import note, say, show_files
from milkreport.commands.execute import synthetic_folder
from milkreport.commands.progress import progress
from milkreport.evaluation.planning.noise import Components
from milkreport.registration.record import BINDING, SHORT, Registration
from milkreport.suite.suite import Suite
from milkreport.tables import plural


def register(
    suite: Suite,
    data: Path | None,
    out: Path,
    run: Path,
    difference: float,
    pilot: Path | None,
    cache: Path,
) -> Registration:
    """Prepare the data, write the registration, show it.

    Args:
        data: ``None``: synthetic data. run: the run folder that will be trained.
        difference: of the primary metric, that the planner's power is for.
        pilot: a finished run that the planner's noise is from; ``None``: as measured elsewhere.
    """
    from milkreport.data.prepare import prepare
    from milkreport.data.splits import make_folds
    from milkreport.execution.validate_arms import validate_arms
    from milkreport.registration import register as registering
    from milkreport.registration.declare import declare, plan_power, suite_key

    registering.refuse_late(out, run)
    noise = _load_noise(pilot, suite.primary_metric) if pilot else None
    root = data or synthetic_folder(suite, cache)
    with progress() as watcher:
        prepared = prepare(root, suite.data, cache, watcher.images, watcher.notice, may_skip=True)
    folds = make_folds(prepared.cases, suite.split)
    validate_arms(prepared, suite, folds[0])
    registration = registering.register(
        out,
        suite.title,
        prepared.cases.card.name,
        declare(suite, prepared, folds),
        plan_power(suite, prepared, folds, difference, noise),
        suite_key(suite),
        cache,
        note,
    )
    show(registration)
    show_files([out])
    return registration


def _load_noise(pilot: Path, metric: str) -> Components:
    from milkreport.runs.planning import load_components

    return load_components(pilot, metric)


def show(registration: Registration) -> None:
    """What was registered, and the hash in its two forms."""
    declared, planned, before = registration.declared, registration.planned, registration.before
    say(registration.title)
    n = len(declared.arms) * len(declared.seeds) * declared.folds
    say(
        f"{plural(n, 'training', 'trainings')}: arms {', '.join(declared.arms)}; "
        f"{plural(len(declared.seeds), 'seed', 'seeds')}, {plural(declared.folds, 'fold', 'folds')}"
    )
    margin = "none" if declared.margin is None else f"{declared.margin:g}"
    say(f"primary metric {declared.primary_metric}, margin {margin}; {declared.multiplicity}")
    left_out = sum(declared.exclusions.values())
    say(f"{sum(declared.class_counts.values()):,} cases, {left_out:,} left out")
    if planned is None:
        say(f"power: not planned, no measured noise of {declared.primary_metric}; give --from RUN")
    else:
        say(
            f"power {planned.power:.0%} to find {planned.difference:g}, 80% to find "
            f"{planned.detectable:.3f} ({planned.noise})"
        )
    if before.trainings is not None:
        say(
            f"in the ledger before: {plural(before.trainings, 'training', 'trainings')} of this data and "
            f"suite, {before.other_settings:,} of this data with other settings"
        )
    say(f"hash {registration.hash}")
    say(
        f"short {registration.hash[:SHORT]}: tells registrations apart. To date it, publish all 64 "
        f"characters, or at least the first {BINDING}; two studies can be made that share fewer."
    )
