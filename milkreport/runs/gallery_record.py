"""The mistakes gallery as it lies in a run folder: ``gallery/gallery.json`` and thumbnails."""

from __future__ import annotations

from typing import Literal

from milkreport.evaluation.records.data import Record
from milkreport.inside import FileName

FOLDER = "gallery"


class Shown(Record):
    """One image of a case: its thumbnail, and the same with the regions that raised the score tinted.

    File names below the gallery's folder; ``heat`` is empty where nothing was explained.
    """

    view: str
    file: FileName
    heat: FileName | Literal[""] = ""


class Mistake(Record):
    """One confident wrong answer.

    ``probabilities``: class to probability, the most likely first. ``metadata``: column to value as text.
    ``attributions``: column to what it adds to the answer's log probability, the strongest first.
    ``seed``, ``fold``: the training that is explained. ``images``: those that the model reads.
    """

    arm: str
    rank: int
    case_id: str
    label: str
    predicted: str
    probability: float
    seed: int
    fold: int
    probabilities: dict[str, float]
    metadata: dict[str, str]
    attributions: dict[str, float] = {}
    images: list[Shown]


class Gallery(Record):
    """All of them. ``key``: hash of what it was made from, so that it is made once."""

    schema_version: int = 1
    key: str
    explained: bool
    mistakes: list[Mistake]
