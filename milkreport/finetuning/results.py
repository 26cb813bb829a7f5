"""What came of a fine-tuning: both comparisons, the counts, and what was forgotten."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from milkreport.data.cases import Cases
from milkreport.evaluation.metrics.measures import Plan
from milkreport.evaluation.metrics.named import check_name
from milkreport.evaluation.pooled_predictions import CaseFacts
from milkreport.evaluation.records.results import Curve
from milkreport.finetuning.before_after import AFTER, BEFORE, Scene, compare_both
from milkreport.finetuning.old_data import OldData
from milkreport.finetuning.overlap import find_overlap, load_original
from milkreport.finetuning.parent import Parent
from milkreport.finetuning.plan import Plans
from milkreport.finetuning.record import (
    NEW,
    OLD,
    FineTuning,
    NewCases,
    Origin,
    Trained,
)
from milkreport.runs.cells import load_history
from milkreport.runs.collect import split_rule
from milkreport.runs.describe import summarise_data, summarise_splits
from milkreport.suite.suite import Suite
from milkreport.tables import first_few
from milkreport.training.continued import correction_weights
from milkreport.training.device import Device
from milkreport.training.files import FINE_TUNED
from milkreport.training.pixels import Pixels, choose_pixel_source
from milkreport.training.saved import SavedModel

if TYPE_CHECKING:
    from milkreport.finetuning.finetune import Job, NewData

_ONE_TRAINING = (
    "One training of one model: the numbers apply to this model only; methods are not ranked"
)
EPOCH_RULE = (
    "The model before is that of the original training. The model after is that of the epoch with the "
    "highest primary metric on the validation part of the new data; no test part chose anything"
)
QUESTION = "What did fine-tuning change on {which} test {units} of {data}?"


def describe_origin(parent: Parent) -> Origin:
    """The model that is fine-tuned, without a path of the machine."""
    card = parent.card
    return Origin(
        name=parent.name,
        suite=card.suite,
        arm=card.arm,
        seed=card.seed,
        fold=card.fold,
        architecture=card.architecture,
        correction=card.correction,
        data=card.data,
        weights_sha256=card.weights_sha256,
    )


def compare_on_both(
    job: Job,
    plans: Plans,
    begun: FineTuning,
    model: SavedModel,
    new: NewData,
    old: OldData,
    pixels: Pixels,
    device: Device,
    pause: Callable[[], None],
    notice: Callable[[str], None],
) -> FineTuning:
    """Compare before and after on the new and, where they are at hand, the original test cases.

    Returns:
        the record of everything; ``new/`` and ``old/`` are written.
    """
    told = tell(new)
    for line in told:
        notice(line)
    models = {BEFORE: job.parent.model, AFTER: model}
    about = _describe_models(job.parent, plans, new)
    curves = [Curve(seed=model.card.seed, fold=0, columns=load_history(job.out / FINE_TUNED))]
    scene = _new_scene(plans, new, about, told, curves)
    plan = plan_for(plans.suite, job.parent, new.prepared.cases)
    scene = _with_plan(scene, plan)
    compared = compare_both(job.out / NEW, models, scene, pixels, plan, job.command, pause)
    forgotten, reason = None, old.reason
    scene_or_reason = _old_scene(job, new, old, about)
    if isinstance(scene_or_reason, Scene):
        scene = _with_plan(scene_or_reason, plan)
        place = choose_pixel_source(scene.prepared.store, device)
        forgotten = compare_both(job.out / OLD, models, scene, place, plan, job.command, pause)
        if forgotten.left_out:
            notice(scene.notices[0])
            told = [*told, scene.notices[0]]
    else:
        reason = scene_or_reason
    cases = new.prepared.cases
    return begun.model_copy(
        update={
            "status": "complete",
            "cases": count_cases(new),
            "splits": {s.part: s.class_counts for s in summarise_splits(cases, [new.fold])},
            "training": _describe_training(job.parent, plans, model),
            "new": compared,
            "old": forgotten,
            "old_status": "CHECKED" if forgotten else "NOT CHECKED",
            "old_reason": "" if forgotten else reason,
            "forgetting": forgotten.metrics[plan.primary].difference if forgotten else None,
            "notices": told,
        }
    )


def plan_for(suite: Suite, parent: Parent, cases: Cases) -> Plan:
    """What is measured: positive classes and rules of the original data, where these are known.

    Raises:
        ConfigError: the primary metric is of positive classes, and none are known.
    """
    positive, rules = cases.card.positive, cases.card.rules
    if parent.run is not None:
        data = parent.run.load_data().data
        positive, rules = tuple(data.positive), tuple(data.rules)
    positive = tuple(name for name in positive if name in parent.card.classes)
    if len(positive) == len(parent.card.classes):
        positive = ()
    primary = check_name(suite.primary_metric, parent.card.classes, positive)
    return Plan(primary, positive, rules, margin=suite.margin)


def _with_plan(scene: Scene, plan: Plan) -> Scene:
    update = {"positive": list(plan.positive), "rules": list(plan.rules)}
    return replace(scene, data=scene.data.model_copy(update=update))


def _new_scene(
    plans: Plans, new: NewData, about: dict[str, str], told: list[str], curves: list[Curve]
) -> Scene:
    cases = new.prepared.cases
    groups = dict(zip(cases.table["case_id"], cases.table["group_id"], strict=True))
    if len(set(groups.values())) > 0.98 * len(groups):  # as RunFolder.load_case_facts
        groups = {}
    facts = CaseFacts(groups, cases.subgroup_columns().set_index("case_id"))
    return Scene(
        title=f"Before and after fine-tuning of {plans.arm.name}: the new cases",
        question=QUESTION.format(which="the new", units=cases.card.units, data=cases.card.name),
        split_rule=split_rule(plans.suite, cases.card.units),
        epoch_rule=EPOCH_RULE,
        prepared=new.prepared,
        positions=new.fold.test,
        facts=facts,
        data=summarise_data(new.prepared, plans.suite.data, plans.suite.data.image_size),
        splits=summarise_splits(cases, [new.fold]),
        about=about,
        notices=[_ONE_TRAINING, *told],
        curves=curves,
    )


def _old_scene(job: Job, new: NewData, old: OldData, about: dict[str, str]) -> Scene | str:
    """The original test part without the cases that the fine-tuning was trained on; or why there is none."""
    run, suite = job.parent.run, job.parent.suite
    if old.prepared is None or old.fold is None or run is None or suite is None:
        return old.reason
    cases, fold = old.prepared.cases, old.fold
    original = load_original(run, job.parent.card.fold)
    learned = np.concatenate([new.fold.train, new.fold.validation])
    ids = new.prepared.cases.table["case_id"].iloc[learned]
    taught = (
        find_overlap(new.prepared, ids, original, job.options.ignore_ids) if original else set()
    )
    is_taught = cases.table["case_id"].iloc[fold.test].isin(taught).to_numpy()
    positions = fold.test[~is_taught]
    if not len(positions):
        return "every original test case stands among the new training cases: there is none left"
    notices = [_ONE_TRAINING]
    if left_out := int(is_taught.sum()):
        units = cases.card.units if left_out > 1 else cases.card.unit
        line = (
            f"{left_out:,} original test {units} stand among the new training or validation cases: "
        )
        notices.insert(0, line + "they are not scored, for what was just learned is not forgotten")
    kept = replace(fold, index=0, test=positions)
    record = run.load_data()
    return Scene(
        title=f"Before and after fine-tuning of {job.parent.card.arm}: the original cases",
        question=QUESTION.format(
            which="the original", units=cases.card.units, data=cases.card.name
        ),
        split_rule=f"the test part of the original run, fold {fold.index}: "
        + split_rule(suite, cases.card.units),
        epoch_rule=EPOCH_RULE,
        prepared=old.prepared,
        positions=positions,
        facts=run.load_case_facts(),
        data=record.data,
        splits=summarise_splits(cases, [kept]),
        about=about,
        notices=notices,
        curves=[],
        left_out=left_out,
    )


def _describe_models(parent: Parent, plans: Plans, new: NewData) -> dict[str, str]:
    card, name = parent.card, new.prepared.cases.card.name
    frozen = ", ".join(plans.frozen) or "no stage"
    what = "the arm's own correction"
    correction = (
        f"{what} ({card.correction}), from the new counts" if card.correction != "none" else ""
    )
    rate = f"learning rate {plans.training.learning_rate:g}"
    return {
        BEFORE: f"The saved model: trained on {card.data or 'data that its card does not name'}.",
        AFTER: f"The same model, trained on {len(new.fold.train):,} cases of {name}: {frozen} frozen, {rate}"
        + (f", {correction}." if correction else "."),
    }


def _describe_training(parent: Parent, plans: Plans, model: SavedModel) -> Trained:
    card = parent.card
    before = {name: card.class_counts.get(name, 0) for name in card.classes}
    now = {name: model.card.class_counts[name] for name in card.classes}

    def weigh(counts: dict[str, int]) -> dict[str, float]:
        if not any(counts.values()):
            return {}
        found = correction_weights(plans.arm.correction, plans.arm.amount, [*counts.values()])
        return dict(zip(counts, found, strict=True)) if found else {}

    return Trained(
        frozen=list(plans.frozen),
        trained=list(plans.trained),
        epoch_used=model.card.epoch_used,
        device=model.card.device,
        weights_sha256=model.card.weights_sha256,
        class_counts_before=before,
        class_counts=now,
        weights_before=weigh(before),
        weights=weigh(now),
    )


if TYPE_CHECKING:
    from milkreport.finetuning.finetune import NewData


def count_cases(new: NewData) -> NewCases:
    """The new data in numbers."""
    prepared, conformer, known = new.prepared, new.conformer, new.known
    cases = prepared.cases
    renamed = {label: old for label, (old, _) in conformer.renamed.items() if label != old}
    removed = prepared.cleaned.removed["reason"].value_counts()
    return NewCases(
        name=cases.card.name,
        synthetic=cases.card.synthetic,
        unit=cases.card.unit,
        units=cases.card.units,
        n_found=prepared.cleaned.n_found + sum(conformer.dropped.values()),
        n_used=len(cases.table),
        renamed=renamed,
        dropped=conformer.dropped,
        removed={str(reason): int(n) for reason, n in removed.items()},
        unknown=conformer.card.reads.encoder.unseen(cases.table),
        missing_classes=new.missing,
        known_by_id=None if known is None else len(known.by_id),
        known_by_pixels=None if known is None else len(known.by_pixels),
        kept_from_test=_kept_from_test(new),
    )


def _kept_from_test(new: NewData) -> int:
    """Cases that the model knows, and those of their groups."""
    if new.known is None:
        return 0
    table = new.prepared.cases.table
    groups = set(table.loc[table["case_id"].isin(new.known.all), "group_id"])
    return int(table["group_id"].isin(groups).sum())


def tell(new: NewData) -> list[str]:
    """What a reader must know of the new data, a line each."""
    counts = count_cases(new)
    lines = []
    if counts.dropped:
        listed = first_few((f"{label} ({n:,})" for label, n in counts.dropped.items()), 30)
        lines.append(f"the map leaves out: {listed}")
    for column, values in counts.unknown.items():
        listed = first_few((f"{value} ({n:,})" for value, n in values.items()), 10)
        lines.append(f"{column}: values that the model has never seen, all zeros to it: {listed}")
    if counts.missing_classes:
        listed = first_few(counts.missing_classes, 30)
        lines.append(
            f"classes without a new case, trained without any, which the model may unlearn: {listed}"
        )
    if new.known is None:
        lines.append(
            "whether new cases stood in the original training data is NOT CHECKED: name the run folder, "
            "which lists them"
        )
    elif counts.kept_from_test:
        lines.append(
            f"{counts.kept_from_test:,} new {counts.units} stood in the original training or validation part "
            f"(same pixels: {counts.known_by_pixels:,}, same id: {counts.known_by_id:,}, with their groups): "
            "they are trained on and never tested on; where equal ids are chance: --ignore-ids"
        )
    return lines
