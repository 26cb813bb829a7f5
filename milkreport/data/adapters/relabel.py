"""Classes as a description wants them: left out, merged, or, if they are rare, folded into one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from milkreport.columns import read_number
from milkreport.data.adapters.spec import DataSpec
from milkreport.data.cases import Cases
from milkreport.errors import DataError


def relabel(cases: Cases, spec: DataSpec) -> Cases:
    """*cases* after ``drop``, ``merge`` and ``rare`` of *spec*, in this order; what was done is a remark.

    Raises:
        DataError: fewer than two classes are left.
    """
    counts = cases.class_counts()
    spec = spec.model_copy(update={"drop": [_label_of(name, counts) for name in spec.drop]})
    dropped = [name for name in spec.drop if counts.get(name)]
    out = cases.table["label"].isin(dropped)
    ids = cases.table.loc[out, ["case_id", "label"]].itertuples(index=False)
    named = {*spec.drop, *(label for labels in spec.merge.values() for label in labels)}
    remarks = [
        f"drop or merge names {name!r}, which is not the label of any case"
        for name in sorted(named - set(counts))
    ]
    if dropped:
        remarks.append(f"classes left out: {_counted(dropped, counts)}")
    for into, names in spec.merge.items():
        if some := [name for name in names if counts.get(name) and name not in dropped]:
            remarks.append(f"merged into {into}: {_counted(some, counts)}")
    kept = replace(
        cases,
        table=cases.table[~out].reset_index(drop=True),
        classes=tuple(name for name in cases.classes if name not in spec.drop),
        left_out=tuple((case, f"class {label} is dropped") for case, label in ids),
    ).with_merged(spec.merge)
    if spec.rare and kept.is_labelled:
        counts = kept.class_counts()
        rare = [n for n in kept.classes if counts[n] < spec.rare.below and n != spec.rare.into]
        if rare:
            kept = kept.with_merged({spec.rare.into: rare})
            few = f"fewer than {spec.rare.below} {cases.card.units} each"
            remarks.append(f"folded into {spec.rare.into}, {few}: {_counted(rare, counts)}")
    if (spec.drop or spec.rare) and len(kept.classes) < 2:
        what = f"{len(kept.classes)} class is left after drop, merge and rare: two are needed"
        raise DataError(what, "drop or fold fewer classes", "milkreport.toml")
    lost = sorted(set(spec.positive) & set(cases.classes) - {*kept.classes, *dropped})
    if lost:
        became = "no class any more: name the class that it became"
        remarks.append(f"positive names {', '.join(lost)}, which is {became}")
    return replace(kept, remarks=(*cases.remarks, *remarks))


def _label_of(name: str, counts: Mapping[str, int]) -> str:
    """The label that *name* means: itself, or one that is the same number (-1 for -1.0)."""
    number = read_number(name)
    alike = (label for label in counts if not np.isnan(number) and read_number(label) == number)
    return name if name in counts else next(alike, name)


def _counted(names: Iterable[str], counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({counts[name]:,})" for name in names)
