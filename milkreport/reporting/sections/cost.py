"""What the trainings cost: parameters, time, device, memory."""

from __future__ import annotations

from milkreport.evaluation.records.results import ArmResult, Results
from milkreport.reporting.blocks import Cell, Chapter, Column, Row, table
from milkreport.reporting.wording.text import MISSING, duration, several, whole
from milkreport.reporting.wording.titles import arm_title
from milkreport.runs.manifest import Manifest


def build_cost(results: Results, manifest: Manifest) -> Chapter | None:
    """One row an arm; ``None`` where nothing was trained."""
    rows = [
        _row(results, arm) for arm in results.arms if any(c.seconds is not None for c in arm.cells)
    ]
    if not rows:
        return None
    columns = (
        Column("Arm", text=True),
        Column("Parameters"),
        Column("Trainings"),
        Column("Time, all"),
        Column("Time, each"),
        Column("Peak memory"),
    )
    device = manifest.device_name or manifest.device
    seconds = sum(c.seconds or 0 for arm in results.arms for c in arm.cells)
    text = (
        f"Trained on {device}, {whole(manifest.threads)} threads, in {duration(seconds)} altogether. Times "
        "are wall clock of the trainings themselves, evaluation after each epoch included; peak memory is "
        f"{'the device’s' if manifest.device == 'cuda' else 'the whole process’s so far'}."
    )
    caption = "Cost of each arm."
    return Chapter("cost", "Cost", (text,), (table("cost", caption, columns, rows),))


def _row(results: Results, arm: ArmResult) -> Row:
    done = [cell for cell in arm.cells if cell.seconds is not None]
    seconds = [cell.seconds or 0.0 for cell in done]
    sizes = {cell.parameters for cell in done if cell.parameters is not None}
    memory = [cell.peak_memory_bytes for cell in done if cell.peak_memory_bytes]
    each = duration(sum(seconds) / len(seconds))
    if len(seconds) > 1:
        each = f"{duration(min(seconds))} to {duration(max(seconds))}"
    return Row(
        (
            Cell(arm_title(results, arm.name)),
            Cell(several(sizes) or MISSING),
            Cell(whole(len(done))),
            Cell(duration(sum(seconds))),
            Cell(each),
            Cell(f"{max(memory) / 1e9:.2f} GB" if memory else MISSING),
        )
    )
