"""What a fine-tuning was and what came of it: ``finetune.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from milkreport.errors import DataError
from milkreport.evaluation.records.data import Record
from milkreport.evaluation.records.parts import Estimate
from milkreport.evaluation.records.results import PairFinding
from milkreport.inside import refuse_links
from milkreport.parse import parse_json

#: What lies in the folder of a fine-tuning.
NEW, OLD, SUMMARY, RECORD = "new", "old", "summary.md", "finetune.json"
Setting = str | int | float | bool


class Gap(Record):
    """A paired difference, after minus before. ``p``: of the primary metric alone."""

    value: float
    low: float
    high: float
    low90: float | None = None
    high90: float | None = None
    detectable: float | None = None
    p: float | None = None


class Pair(Record):
    """One metric before and after. ``difference`` is ``None`` where it is undefined."""

    before: Estimate
    after: Estimate
    difference: Gap | None = None


class Compared(Record):
    """Both models on the same test cases.

    ``left_out``: test cases that are not scored, because the fine-tuning was trained on them. ``shown``:
    whether the difference in the primary metric can be told from chance. ``finding``: what may be said of
    it; ``margin``: the difference that does not matter.
    """

    n_cases: int
    class_counts: dict[str, int]
    left_out: int = 0
    synthetic: bool
    metrics: dict[str, Pair]
    shown: bool
    finding: PairFinding | None = None
    margin: float | None = None


class Origin(Record):
    """The model that was fine-tuned. ``name``: of its run, or of its folder."""

    name: str
    suite: str
    arm: str
    seed: int
    fold: int
    architecture: str
    correction: str
    data: str
    weights_sha256: str


class NewCases(Record):
    """The new data: counts only, no case.

    ``renamed``: label to the class that it became, for labels that are called otherwise. ``dropped``:
    labels that the map leaves out, with their cases. ``removed``: reason to cases that cleaning removed.
    ``unknown``: column to values that the encoder has not seen. ``known_by_id``, ``known_by_pixels``: cases
    that the model was trained or chosen on, ``None`` where the original cases are not known;
    ``kept_from_test``: these and their groups, which can only be trained on.
    """

    name: str
    synthetic: bool
    unit: str
    units: str
    n_found: int
    n_used: int
    renamed: dict[str, str] = {}
    dropped: dict[str, int] = {}
    removed: dict[str, int] = {}
    unknown: dict[str, dict[str, int]] = {}
    missing_classes: list[str] = []
    known_by_id: int | None = None
    known_by_pixels: int | None = None
    kept_from_test: int = 0


class Trained(Record):
    """The training. ``weights_before`` and ``weights``: what the correction makes of the counts; empty where
    it weighs no class.
    """

    frozen: list[str]
    trained: list[str]
    epoch_used: int
    device: str
    weights_sha256: str
    class_counts_before: dict[str, int]
    class_counts: dict[str, int]
    weights_before: dict[str, float] = {}
    weights: dict[str, float] = {}


class FineTuning(Record):
    """Everything, unrounded. While it is trained only ``settings`` are known.

    ``splits``: part to class to cases. ``forgetting``: old after minus old before, on the primary metric.
    ``old_reason``: why the original test part was not scored, and how it can be.
    """

    schema_version: int = 1
    milkreport: str
    status: Literal["begun", "complete"]
    settings: dict[str, Setting]
    data_sha256: str
    primary_metric: str
    origin: Origin
    cases: NewCases | None = None
    splits: dict[str, dict[str, int]] = {}
    training: Trained | None = None
    new: Compared | None = None
    old: Compared | None = None
    old_status: Literal["CHECKED", "NOT CHECKED"] = "NOT CHECKED"
    old_reason: str = ""
    forgetting: Gap | None = None
    notices: list[str] = []


def is_finetuning(folder: Path) -> bool:
    """Whether a fine-tuning was begun in *folder*."""
    return (folder / RECORD).is_file()


def load_record(folder: Path) -> FineTuning:
    """The record of the fine-tuning in *folder*.

    Raises:
        DataError: damaged, or of another version; a link lies in the folder.
    """
    refuse_links(folder)
    path = folder / RECORD
    try:
        return FineTuning.model_validate(parse_json(path.read_bytes()))
    except ValueError as error:
        what = "damaged, or of another milkreport version"
        raise DataError(what, "choose another --out, or --restart", str(path)) from error
