"""The appendix: what reporting guidelines ask for, and where a report answers it.

CLEAR Derm: Daneshjou et al., JAMA Dermatology 2022; for images of the skin alone. TRIPOD+AI: Collins et al.,
BMJ 2024, its 27 items, shortened. Answers follow from the results: what a run lacks is said to be missing.
"""

from __future__ import annotations

from dataclasses import dataclass

from milkreport.evaluation.records.results import SEEDS_TO_RANK, Results
from milkreport.suite.suite import Suite

NOT_HERE = "Not reported here: for the authors to add"
NOT_APPLICABLE = "Not applicable"


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
    facts = _Facts(results, suite)
    lists = [_tripod(facts)]
    if "CLEAR Derm" in results.data.guidelines:
        lists.insert(0, _clear_derm(facts))
    text = (
        "Items of reporting guidelines, shortened, and the section that answers each. This report speaks of "
        "the evaluation of models. Items about a study's setting, funding or use in care are listed as "
        "missing; the authors add them."
    )
    return GuidelinesView((text,), tuple(lists))


class _Facts:
    """What answers depend on."""

    def __init__(self, results: Results, suite: Suite | None) -> None:
        self.data = results.data
        self.trained = suite is not None
        self.elsewhere = "Saved models" if results.epoch_rule else "Predictions made elsewhere"
        self.n_seeds = results.comparison.n_seeds if results.comparison else 1
        self.has_slices = any(part.slices for arm in results.arms for part in arm.parts)
        self.has_columns = bool(self.data.numeric or self.data.categorical)
        self.units = self.data.units
        self.calibrated = any(part.calibration for arm in results.arms for part in arm.parts)

    def if_trained(self, answer: str, section: str) -> tuple[str, str]:
        """An answer about training, or where these predictions come from."""
        return (answer, section) if self.trained else (self.elsewhere, "protocol")


def _clear_derm(f: _Facts) -> Guideline:
    external = "No external test set; cases of the same source"
    split = "Split, its rule and seed; groups kept whole, with proof"
    missing = (NOT_HERE, "")
    rows: list[tuple[str, tuple[str, str]]] = [
        ("Image types", ("Views and their number", "data") if f.data.images else missing),
        (
            "Image artefacts",
            ("As annotated by the data, where it has such columns", "data")
            if f.has_columns
            else missing,
        ),
        ("Technical acquisition details", missing),
        (
            "Pre-processing of images",
            ("Size, decoder, colour handling", "protocol") if f.trained else missing,
        ),
        (
            "Synthetic images",
            ("All images are synthetic", "data") if f.data.synthetic else ("None", "data"),
        ),
        ("Public images", ("Source, licence, attribution", "ethics")),
        (
            "Patient-level metadata",
            ("Columns and their distribution by class", "data") if f.has_columns else missing,
        ),
        (
            "Skin tone",
            ("Distribution, and results by group", "subgroups") if f.has_slices else missing,
        ),
        ("Potential biases of the data", ("Class imbalance, groups too small to judge", "ethics")),
        (
            "Partitions of the data",
            (split, "protocol") if f.trained else (f"One test part of {f.units}", "data"),
        ),
        ("Sizes of training, validation and test sets", ("Flow diagram", "data")),
        ("External test dataset", (external, "ethics")),
        ("Images of several vendors or sites", missing),
        ("Class distribution and balance", ("Cases by class and part", "data")),
        ("Out-of-distribution images", ("Not examined", "")),
        ("Labelling methods", missing),
        ("Accepted diagnostic labels", ("Class names and titles of the data", "data")),
        ("Histopathology of malignancies", missing),
        (
            "Detailed description of the algorithm",
            f.if_trained("Network, training, corrections", "protocol"),
        ),
        ("How to evaluate the algorithm publicly", ("The command to reproduce", "provenance")),
        ("Performance measures", ("With definitions and intervals", "comparison")),
        (
            "Benchmarking and comparison",
            ("Arms against one another, and against a reference where one was named", "comparison"),
        ),
        (
            "Bias assessment",
            ("Results by subgroup, with gaps", "subgroups")
            if f.has_slices
            else ("No subgroups given", "subgroups"),
        ),
        ("Use cases and target conditions", missing),
        ("Impact on the health care team and patients", ("Research only", "ethics")),
    ]
    return _numbered("CLEAR Derm", rows)


def _tripod(f: _Facts) -> Guideline:
    missing = (NOT_HERE, "")
    seeds = f"{f.n_seeds} training {'seed' if f.n_seeds == 1 else 'seeds'} per arm"
    if f.n_seeds < SEEDS_TO_RANK:
        seeds += ": methods are not ranked"
    gaps = (
        "Cleaning rule; gaps filled from the training part" if f.data.imputed else "Cleaning rule"
    )
    rows: list[tuple[str, tuple[str, str]]] = [
        ("Title", ("Names the comparison", "summary")),
        ("Abstract", ("One-page summary", "summary")),
        ("Background", missing),
        ("Objectives", ("The question, declared beforehand", "summary")),
        ("Data sources", ("Files with their hashes", "data")),
        ("Participants", (f"Which {f.units} were used, and why others were not", "data")),
        ("Data preparation", ("Cleaning, encoding, images", "protocol") if f.trained else missing),
        ("Outcome", ("The classes", "data")),
        ("Predictors", ("Views and columns", "data") if f.trained else missing),
        ("Sample size", ("Given by the data; the detectable difference is stated", "comparison")),
        ("Missing data", (gaps, "data") if f.trained else missing),
        ("Analytical methods", ("Metrics, intervals, tests, their definitions", "comparison")),
        ("Class imbalance", f.if_trained("The arms' corrections, exposure by class", "protocol")),
        (
            "Fairness",
            ("Subgroups and gaps", "subgroups")
            if f.has_slices
            else ("No subgroups given", "subgroups"),
        ),
        (
            "Model output",
            ("Probabilities, calibration, decision rules", "comparison")
            if f.calibrated
            else ("Classes", "comparison"),
        ),
        (
            "Training and evaluation data",
            f.if_trained("Parts of one data set, disjoint by group", "protocol"),
        ),
        ("Ethical approval", missing),
        (
            "Open science: funding, protocol, registration, data, code",
            ("Data, code, command; the rest is for the authors", "provenance"),
        ),
        ("Patient and public involvement", missing),
        (
            "Participants and their characteristics",
            ("Distributions by class", "data") if f.has_columns else ("Cases by class", "data"),
        ),
        ("Model development", f.if_trained(f"Cases in each part; {seeds}", "arms")),
        (
            "Model specification",
            f.if_trained("Settings; weights by hash in the run folder", "provenance"),
        ),
        ("Model performance", ("With intervals, by class and subgroup", "arms")),
        ("Model updating", (NOT_APPLICABLE, "")),
        ("Interpretation", ("What can be claimed, and what not", "summary")),
        ("Limitations", ("Listed", "ethics")),
        ("Usability in the context of care", (f"{NOT_APPLICABLE}: research only", "ethics")),
    ]
    return _numbered("TRIPOD+AI", rows)


def _numbered(title: str, rows: list[tuple[str, tuple[str, str]]]) -> Guideline:
    items = tuple(
        Item(str(i), asked, answer, section) for i, (asked, (answer, section)) in enumerate(rows, 1)
    )
    return Guideline(title, items)
