"""What scoring under corruptions takes: how many scorings, and seconds from a few cases that are measured."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from milkreport.data.corruptions.corrupt import corrupt_cases
from milkreport.data.pixels.store import PixelStore
from milkreport.data.prepare import Prepared
from milkreport.suite.arms import Arm
from milkreport.suite.corruptions import SEVERITIES, TABLE_SEVERITY
from milkreport.suite.models import sees_images
from milkreport.suite.suite import Suite
from milkreport.training.answer import time_untrained
from milkreport.training.card import fit_reads
from milkreport.training.device import Device, pin, resolve_device
from milkreport.training.pixels import choose_pixel_source

#: Cases that are corrupted, and scored, to measure.
_CORRUPTED, _SCORED = 4, 32


@dataclass(frozen=True)
class ScoringCost:
    """What is to be done: cells, scorings of a whole test part, images to make; and seconds, about."""

    cells: int
    scorings: int
    images: int
    seconds: float

    def sentence(self, done_after: str = "after the training") -> str:
        """The cost in a line."""
        cells = "1 training" if self.cells == 1 else f"{self.cells:,} trainings"
        return (
            f"corruptions: {self.scorings:,} scorings of a test part of {cells} {done_after}, "
            f"{self.images:,} images to make, about {_duration(self.seconds)}"
        )


def cost_of(
    suite: Suite,
    prepared: Prepared,
    device_name: str,
    names: Sequence[str],
    n_test: int,
    open_cells: Mapping[str, int],
    workers: int = 1,
) -> ScoringCost:
    """Corrupt a few cases by each of *names*, score a few by untrained networks, and extrapolate.

    Args:
        n_test: cases of one cell's test part. open_cells: cells to score by arm.

    Raises:
        ConfigError, EnvironmentProblem: as the run itself would.
    """
    store = prepared.store
    device = resolve_device(device_name)
    pin(suite.training, device)
    views = prepared.cases.views
    few = np.arange(min(_CORRUPTED, len(store.rows)))
    ids = prepared.cases.table["case_id"].astype(str).iloc[few].tolist()
    pixels = store.batch(few)
    corrupt_cases(pixels[:1], "defocus_blur", TABLE_SEVERITY, ids[:1], views)  # what loads once
    started = time.perf_counter()
    for name in names:
        corrupt_cases(pixels, name, TABLE_SEVERITY, ids, views)
    making = (time.perf_counter() - started) / len(few)  # of a case, each corruption once
    seconds, known = 0.0, {}
    n_images = 0
    for arm_name, n_cells in open_cells.items():
        arm = suite.arm(arm_name)
        kind = str([suite.recipe(arm)[key] for key in ("model", "inputs", "training")])
        if kind not in known:
            known[kind] = _scoring(suite, arm, prepared, store, device)
        if sees_images(suite.model_of(arm), arm.inputs.images):
            seconds += n_cells * n_test * len(SEVERITIES) * (making + len(names) * known[kind])
            n_images += n_cells * n_test * len(SEVERITIES) * len(names) * len(views)
    n_open = sum(open_cells.values())
    return ScoringCost(
        cells=n_open,
        scorings=n_open * len(names) * len(SEVERITIES),
        images=n_images,
        seconds=seconds / max(min(workers, n_open), 1),
    )


def _scoring(
    suite: Suite, arm: Arm, prepared: Prepared, store: PixelStore, device: Device
) -> float:
    """Seconds that the scoring of one case takes, with the features of a frozen backbone where it has one."""
    model, cases = suite.model_of(arm), prepared.cases
    if not sees_images(model, arm.inputs.images):
        return 0.0
    n = min(_SCORED, len(store.rows))
    own = store.rows_at(np.arange(n))
    everyone, decoder = np.arange(len(cases.table)), suite.data.decoder
    reads = fit_reads(cases, arm.inputs, everyone, store.size, decoder)
    few = cases.table.iloc[:n].reset_index(drop=True)
    pixels = choose_pixel_source(own, device)
    return time_untrained(reads, model, few, own, pixels, len(cases.classes)) / n


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
