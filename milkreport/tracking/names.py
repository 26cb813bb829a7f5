"""How trackers name what they log: curves as ``metric/part``, settings as in the suite's file."""

from __future__ import annotations

import math
from collections.abc import Iterator

from milkreport.evaluation.records.results import Results
from milkreport.execution.tasks import Study, Task
from milkreport.runs.cells import cell_folder


def curve_points(row: dict[str, float]) -> Iterator[tuple[str, float]]:
    """``test_macro_f1`` as ``macro_f1/test``: the parts of one metric lie in one chart."""
    for name, value in row.items():
        part, _, metric = name.partition("_")
        if metric and math.isfinite(value):
            # As history.csv has it: what is told during a run is what would be told after it.
            yield f"{metric}/{part}", float(f"{value:.9g}")


def history(study: Study, task: Task) -> Iterator[tuple[int, dict[str, float]]]:
    """Epochs of a finished training with their rows."""
    columns = cell_folder(study.out, task.cell).load_history()
    for i, epoch in enumerate(columns.pop("epoch")):
        row = {name: value for name, values in columns.items() if (value := values[i]) is not None}
        yield int(epoch or i + 1), row


def cell_settings(study: Study, task: Task) -> dict[str, str | int | float | bool]:
    """What the training was: its arm, seed and fold, and all settings but those of other arms."""
    cell = task.cell
    named: dict[str, str | int | float | bool] = {
        "arm": cell.arm,
        "seed": cell.seed,
        "fold": cell.fold,
        "correction": study.suite.arm(cell.arm).correction,
    }
    for key, value in study.suite.flat().items():
        if not key.startswith("arms.") and key not in ("seeds", "title", "question"):
            named[key] = value if isinstance(value, (str, int, float, bool)) else str(value)
    return named


def final_metrics(results: Results) -> Iterator[tuple[str, float]]:
    """The test part's metrics of every arm: ``macro_f1/ARM``, the primary one's interval beside it."""
    for arm in results.arms:
        part = arm.part("test")
        if part is None:
            continue
        primary = results.primary_metric
        found = {name: estimate.value for name, estimate in part.metrics.items()}
        if (estimate := part.estimate(primary)) is not None:
            found |= {
                primary: estimate.value,
                f"{primary}_low": estimate.low,
                f"{primary}_high": estimate.high,
            }
        for name, value in found.items():
            if value is not None:
                yield f"{name}/{arm.name}", value
