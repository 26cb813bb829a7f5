"""``milkreport data check``: everything wrong with a data folder, in one pass and on one page."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from milkreport import __version__
from milkreport.data.adapters.load import Adapter, find_data, load_cases
from milkreport.data.cases import IMAGE_PREFIX, Card, Cases
from milkreport.data.cleaning import clean
from milkreport.data.files.discovery import Tree
from milkreport.data.pixels.store import PixelStore, Progress, open_store
from milkreport.data.prepare import Prepared, group, image_problems
from milkreport.data.splits import RARE, count_groups, list_shortages
from milkreport.errors import DataError, DataProblems, Problem
from milkreport.evaluation.records.data import DataSummary
from milkreport.runs.csv_files import write_csv
from milkreport.runs.describe import summarise_data
from milkreport.runs.manifest import read_clock
from milkreport.suite.suite import Data, Split
from milkreport.tables import plural

#: Images are decoded whole; the resized copy is thrown away, so it is small.
SIZE = 16
SETTINGS = Data(image_size=SIZE, cleaning="impute", unlabelled="drop", on_bad_image="skip")

#: Splits that every class is tried on, the least demanding first.
SPLITS = (
    ("a hold-out split needs", Split()),
    ("5 folds need", Split(kind="kfold", folds=5)),
    ("5 folds and a validation part (cv5) need", Split(kind="kfold", folds=5, validation=0.1)),
)


@dataclass(frozen=True)
class Finding:
    """What a check found. ``summary``: None where the tables are too unsound to say more."""

    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    summary: DataSummary | None
    prepared: Prepared | None

    @property
    def n_groups(self) -> int | None:
        """Groups, identical and look-alike images joined; None where the tables are too unsound."""
        if self.prepared is None:
            return None
        return int(self.prepared.cases.table["group_id"].nunique())

    def strictly(self) -> Finding:
        """The same with every warning an error."""
        return replace(self, errors=(*self.errors, *self.warnings), warnings=())


def count_kinds(problems: Sequence[Problem]) -> list[tuple[str, int]]:
    """Kinds of problems, the most frequent first."""
    return Counter(problem.kind for problem in problems).most_common()


def check_data(
    source: Path,
    adapter: Adapter,
    cache: Path,
    allow_unlabelled: bool,
    progress: Progress | None = None,
    notice: Callable[[str], None] = lambda line: None,
) -> Finding:
    """Read every row and decode every image of *source*.

    Raises:
        DataError, ConfigError: there is nothing that could be checked.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        try:
            cases = load_cases(source, adapter, cache, notice)
        except DataError as error:
            # The images are looked at all the same: one pass tells everything.
            _, tree = find_data(source, cache)
            if not tree.tables:
                raise
            found = _problems_of(error, tree)
            if tree.images:
                store = open_store(_files_alone(tree), SIZE, folder, progress=progress)
                found += image_problems(store.images)
            return Finding(tuple(found), (), None, None)
        store = open_store(cases, SIZE, folder, progress=progress)
        errors = [
            *_unlabelled(cases, allow_unlabelled),
            *image_problems(store.images, cases.is_labelled),
        ]
        try:
            prepared = _describe(cases, store)
        except DataError as error:
            errors.append(Problem("nothing usable", error.where, error.what, error.do))
            return Finding(tuple(errors), tuple(_warnings(cases, None)), None, None)
        summary = summarise_data(prepared, SETTINGS, None)
        # Nothing is trained and nothing removed: what is said of a run does not hold here.
        shown = {
            "notes": [*summary.notes, *_cleaning(cases)],
            "cleaning": f"Shown are the {summary.units} whose images can all be decoded.",
            "on_bad_image": "",
            "imputed": {},
        }
        summary = summary.model_copy(update=shown)
        return Finding(tuple(errors), tuple(_warnings(cases, prepared)), summary, prepared)


def _problems_of(error: DataError, tree: Tree) -> list[Problem]:
    """What *error* says, with files as they are called below the data's folder."""
    whole = (Problem("bad table", error.where, error.what, error.do),)
    problems = error.problems if isinstance(error, DataProblems) else whole
    return [replace(p, where=p.where.replace(f"{tree.root}{os.sep}", "")) for p in problems]


def _describe(cases: Cases, store: PixelStore) -> Prepared:
    """All cases that have their images; those of an unlabelled set too, which cleaning would remove."""
    if cases.is_labelled:
        return group(cases, store, SETTINGS)
    prepared = group(replace(cases, table=cases.table.assign(label="")), store, SETTINGS)
    table = prepared.cases.table.assign(label=None)
    return replace(prepared, cases=replace(prepared.cases, table=table))


def _cleaning(cases: Cases) -> list[str]:
    """What the default cleaning of the suites would leave out."""
    if not cases.is_labelled:
        return []
    whole = clean(cases, "impute", unlabelled="drop")
    try:
        used = len(clean(whole.cases, "paper").cases.table)
    except DataError:
        used = 0
    gaps = whole.imputed
    if not gaps:
        return []
    text = ", ".join(f"{column} {n:,}" for column, n in list(gaps.items())[:6])
    n = len(whole.cases.table) - used
    return [
        f'Missing values ({text}): the suites\' cleaning = "paper" leaves out {n:,} '
        f'{cases.card.units} for them, cleaning = "impute" fills them from the training part.'
    ]


def write_problems(path: Path, finding: Finding) -> None:
    """Write every error and warning as a table."""
    rows = [
        {"severity": severity, **vars(problem)}
        for severity, problems in (("error", finding.errors), ("warning", finding.warnings))
        for problem in problems
    ]
    columns = ["severity", "kind", "where", "case", "what", "do"]
    write_csv(path, pd.DataFrame(rows, columns=columns))


def as_record(finding: Finding) -> dict[str, Any]:
    """The finding as plain values, complete."""
    return {
        "sound": not finding.errors,
        "groups": finding.n_groups,
        "errors": [vars(problem) for problem in finding.errors],
        "warnings": [vars(problem) for problem in finding.warnings],
        "data": finding.summary.model_dump() if finding.summary else None,
    }


def write_page(path: Path, finding: Finding) -> None:
    """Write the data report as one HTML page.

    Raises:
        DataError: the tables are too unsound for one.
    """
    from milkreport.reporting.data_page import write_data_page

    if finding.summary is None or finding.prepared is None:
        raise DataError("no page: the tables are unsound", "mend them first", str(path))
    write_data_page(
        path,
        finding.summary,
        list(finding.prepared.cases.classes),
        problems=count_kinds(finding.errors),
        remarks=[f"{kind}: {n:,}" for kind, n in count_kinds(finding.warnings)],
        created=read_clock(),
        generator=f"milkreport {__version__}",
    )


def _unlabelled(cases: Cases, allowed: bool) -> Sequence[Problem]:
    if allowed or not cases.is_labelled:
        return ()
    table, do = cases.table, "complete the tables, or --allow-unlabelled"
    names = ", ".join(file.name for file in cases.files)
    lacking = table.loc[table["label"].isna(), "case_id"]
    return [
        *(Problem("no label", names, f"{c} has no label", do, c) for c in lacking),
        *(Problem("label alone", names, f"{c} has a label, no row", do, c) for c in cases.orphans),
    ]


def _warnings(cases: Cases, prepared: Prepared | None) -> list[Problem]:
    found = [
        Problem("extra image", path.relative_to(cases.root).as_posix(), "belongs to no case")
        for path in cases.extra
    ]
    found += [Problem("remark", "", remark) for remark in cases.remarks]
    if not cases.is_labelled:
        do = "can be predicted on, not trained or scored on"
        found.append(Problem("no labels", "", f"no {cases.card.unit} has a label", do))
    if prepared is None:
        return found
    removed = prepared.cleaned.removed
    for case, reason in zip(removed["case_id"], removed["reason"], strict=True):
        if "not exactly one" in reason:
            found.append(Problem("incomplete case", "", f"{case}: {reason}", "left out", case))
    found += _rare_classes(prepared.cases)
    found += _same_image_twice(prepared.images)
    for link in prepared.duplicates.itertuples():
        alike = "identical images" if link.kind == "identical" else "images alike"
        what = f"{link.case_a} ({link.view_a}) and {link.case_b} ({link.view_b}): {alike}"
        labels = [str(link.label_a), str(link.label_b)]
        if labels[0] != labels[1]:
            what += f" with different labels, {labels[0]} and {labels[1]}"
        do = "kept in one part of every split"
        found.append(Problem(f"{alike}", "", what, do, str(link.case_a)))
    return found


def _rare_classes(cases: Cases) -> list[Problem]:
    """Every class that a usual split cannot hold, with what each of these splits needs."""
    if not cases.is_labelled:
        return []
    has: dict[str, str] = {}
    needs: dict[str, list[str]] = {}
    for split, settings in SPLITS:
        for s in list_shortages(cases, settings):
            n = plural(s.n, cases.card.unit, cases.card.units)
            has[s.name] = f"class {s.name} has {n} in {count_groups(s.n_groups)}"
            what = f"{split} {s.needed} in {count_groups(s.needed_groups)}"
            needs.setdefault(s.name, []).append(what)
    return [
        Problem("rare class", "", f"{has[name]}: {', '.join(needs[name])}", RARE)
        for name in cases.classes
        if name in needs
    ]


def _same_image_twice(images: pd.DataFrame) -> list[Problem]:
    """Cases of which two views are one image."""
    sound = images[(images["problem"] == "") & (images["file"] != "")]
    twice = sound.loc[sound.duplicated(["case_id", "image_hash"]), "case_id"]
    return [
        Problem("one image twice", "", f"{case}: two of its views are one image", "", str(case))
        for case in twice
    ]


def _files_alone(tree: Tree) -> Cases:
    """Every image file as a case of its own: what can be decoded while the tables are unsound."""
    ids = [path.relative_to(tree.root).as_posix() for path in tree.images]
    table = pd.DataFrame({"case_id": ids, "group_id": ids, "label": None})
    table[IMAGE_PREFIX + "image"] = [str(path) for path in tree.images]
    return Cases(table, ("image",), (), (), Card("", "", ""), tree.root)
