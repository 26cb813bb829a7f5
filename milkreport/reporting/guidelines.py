"""The appendix: what reporting guidelines ask for, and where a report answers it.

The lists are data: ``templates/guidelines/*.toml``. Answers follow from the results: what
a run does not have is said to be missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from milkreport.evaluation.records.results import SEEDS_TO_RANK, Results
from milkreport.parse import parse_toml
from milkreport.resources import resource_folder
from milkreport.suite.suite import Suite

NOT_HERE = "Not reported here: for the authors to add"


@dataclass(frozen=True)
class Item:
    """One item: its number, what is asked, the answer, and the key of the section that holds it."""

    number: str
    asked: str
    answer: str
    section: str = ""


@dataclass(frozen=True)
class Guideline:
    """A checklist."""

    title: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class GuidelinesView:
    """The appendix."""

    texts: tuple[str, ...]
    lists: tuple[Guideline, ...]


def build_guidelines(results: Results, suite: Suite | None) -> GuidelinesView:
    """The lists that suit the data, answered from what the run holds."""
    facts, words = _facts(results, suite), _words(results)
    lists = [
        Guideline(
            given["title"],
            tuple(_item(n, row, facts, words) for n, row in enumerate(given["items"], 1)),
        )
        for given in _given()
        if not given.get("only_if_named") or given["title"] in results.data.guidelines
    ]
    text = (
        "Items of reporting guidelines, shortened, and the section that answers each. This report speaks of "
        "the evaluation of models. Items about a study's setting, funding or use in care are listed as "
        "missing; the authors add them."
    )
    return GuidelinesView((text,), tuple(lists))


@cache
def _given() -> list[dict[str, Any]]:
    files = sorted((resource_folder("templates") / "guidelines").glob("*.toml"))
    return [parse_toml(path.read_bytes()) for path in files]


def _item(number: int, row: dict[str, str], facts: set[str], words: dict[str, str]) -> Item:
    answer, section = row.get("answer", NOT_HERE), row.get("section", "")
    if "when" in row and row["when"] not in facts:
        answer = row.get("otherwise", NOT_HERE)
        section = row.get("otherwise_section", section) if "otherwise" in row else ""
    return Item(row.get("number", str(number)), row["asked"], answer.format_map(words), section)


def _facts(results: Results, suite: Suite | None) -> set[str]:
    """The names by which ``when`` asks."""
    data, parts = results.data, [part for arm in results.arms for part in arm.parts]
    holds = {
        "images": data.images,
        "columns": data.numeric or data.categorical,
        "synthetic": data.synthetic,
        "trained": suite is not None,
        "subgroups": any(part.slices for part in parts),
        "registered": results.adherence is not None and results.adherence.registration is not None,
        "calibration": any(part.calibration for part in parts),
    }
    return {name for name, is_so in holds.items() if is_so}


def _words(results: Results) -> dict[str, str]:
    """What stands for a name in braces."""
    n_seeds = results.comparison.n_seeds if results.comparison else 1
    seeds = f"{n_seeds} training {'seed' if n_seeds == 1 else 'seeds'} per arm"
    if n_seeds < SEEDS_TO_RANK:
        seeds += ": methods are not ranked"
    filled = "; gaps filled from the training part" if results.data.imputed else ""
    return {
        "unit": results.data.unit,
        "units": results.data.units,
        "units_capital": results.data.units.capitalize(),
        "seeds": seeds,
        "gaps": f"Cleaning rule{filled}",
        "elsewhere": "Saved models" if results.epoch_rule else "Predictions made elsewhere",
    }
