"""What may be asked of a fine-tuning, and the defaults."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from milkreport.execution.options import RunOptions


@dataclass(frozen=True)
class FinetuneOptions:
    """What was asked for, and the defaults; ``None``: as the original training suggests.

    ``map_file``: a table of labels. ``allow_missing``: classes without new cases. ``ignore_ids``: equal case
    ids mean nothing. ``restart``: forget what the folder holds. ``checkpoint_every``: seconds.
    ``evidence``: what the reports carry. ``cases``: whether reports and tables may tell of single cases.
    """

    freeze: str | None = None
    learning_rate: float | None = None
    epochs: int = 10
    test_fraction: float = 0.2
    split_seed: int = 0
    map_file: Path | None = None
    allow_missing: bool = False
    allow_unlabelled: bool = False
    ignore_ids: bool = False
    device: str = "auto"
    restart: bool = False
    cases: bool = RunOptions.cases
    evidence: str = RunOptions.evidence
    checkpoint_every: float = RunOptions.checkpoint_every
