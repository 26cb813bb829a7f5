"""``evidence.json``: what a report carries, with a hash of each file, and what the report shows of cases."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from milkreport.evaluation.records.data import Record
from milkreport.inside import FileName
from milkreport.limits import MOST_CARRIED

#: ``full``: all that the numbers are made of. ``numbers``: nothing of single cases. ``none``: nothing.
Level = Literal["full", "numbers", "none"]
LEVELS: tuple[Level, ...] = ("full", "numbers", "none")

#: The record itself, and the zip of predictions.
RECORD, PREDICTIONS = "evidence.json", "predictions.zip"
#: What a report may carry beside its record: name to what it is, in the order in which it is attached.
CONTENTS = {
    "results.json": "every number of this report, unrounded",
    "suite.toml": "the settings of the run",
    "manifest.json": "command, time, versions and environment",
    "checks.json": "the comparison with reported figures",
    "audit.json": "what was found of the reported figures themselves",
    "registration.json": "the registration",
    "registration.tsr": "the time stamp of the registration",
    "registration.commit": "the git commit that dates the registration",
    PREDICTIONS: "class, predicted probabilities, groups and subgroups of every case, by case id",
}


class EvidenceFile(Record):
    """One file that a report carries: its name, size in bytes and SHA-256."""

    name: FileName
    bytes: int
    sha256: str


class EvidenceRecord(Record):
    """What a report carries.

    ``milkreport``: the version that wrote the report. ``reason``: why not everything is carried; empty where
    it is. ``drawn_with``: versions of the packages that drew it. ``cases``, ``labels``, ``gallery``,
    ``pictures``: whether the report lists test cases, shows labels to look at again, and the gallery of
    mistakes with or without pictures.
    """

    schema_version: int = 1
    milkreport: str
    level: Level
    drawn_with: dict[str, str] = {}
    reason: str = ""
    cases: bool = False
    labels: bool = False
    gallery: bool = False
    pictures: bool = False
    files: Annotated[list[EvidenceFile], Field(max_length=MOST_CARRIED)] = []


@dataclass(frozen=True)
class Evidence:
    """The record and the files that it names, by name."""

    record: EvidenceRecord
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def carried(self) -> dict[str, bytes]:
        """All that a report carries, its record first; empty at level ``none``."""
        if self.record.level == "none":
            return {}
        text = self.record.model_dump_json(indent=1) + "\n"
        return {RECORD: text.encode(), **self.files}

    def changed(self) -> dict[str, str]:
        """Files that are not what the record says, with what is wrong."""
        known = {file.name: file for file in self.record.files}
        found = {name: "is not carried" for name in known if name not in self.files}
        for name, data in self.files.items():
            if name not in known:
                found[name] = f"is not named in {RECORD}"
            elif hash_bytes(data) != known[name].sha256:
                found[name] = f"is not the file that {RECORD} names: its SHA-256 is another"
        return found


def hash_bytes(data: bytes) -> str:
    """SHA-256 as hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()
