"""What new data hold, and what became of them: in numbers, and in words for the notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from milkreport.finetuning.record import NewCases
from milkreport.tables import first_few

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
