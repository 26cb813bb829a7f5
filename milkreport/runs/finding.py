"""Runs below a folder, read from their own files: what they are, how far, what they reached."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from milkreport.errors import MilkreportError
from milkreport.evaluation.records.data import Record
from milkreport.runs.folder import RunFolder


class RunEntry(Record):
    """One run. ``values``: arm to the primary metric on the test part; empty until something is scored."""

    path: str
    suite: str
    title: str
    data: str
    synthetic: bool
    started: str  # ISO 8601, UTC
    commit: str
    arms: list[str]
    done: int
    cells: int
    primary_metric: str
    values: dict[str, float]
    verdict: str
    problem: str = ""


def find_runs(root: Path) -> Iterator[RunEntry]:
    """Every run and evaluation below *root*, in the order of their paths; damaged ones with what is wrong."""
    return map(load_entry, find_run_folders(root))


def find_run_folders(root: Path) -> Iterator[Path]:
    """The folders of all runs and evaluations below *root*, in the order of their paths."""
    for place, folders, files in os.walk(root):
        if "manifest.json" in files:
            folders[:] = []  # no run lies within another
            yield Path(place)
        else:
            folders.sort()


def load_entry(path: Path) -> RunEntry:
    """One run, as far as it can be read."""
    entry = RunEntry(
        path=str(path), suite="", title="", data="", synthetic=False, started="", commit="", arms=[],
        done=0, cells=0, primary_metric="", values={}, verdict="",
    )  # fmt: skip
    try:
        folder = RunFolder(path)
        manifest = folder.load_manifest()
        found = {
            "suite": manifest.suite,
            "started": manifest.started,
            "commit": (manifest.commit or "")[:12],
        }
        entry = entry.model_copy(update=found)
        if not (path / "results.json").is_file():
            return entry.model_copy(update=_unscored(folder))
        results = folder.load_results()
        verdict = folder.load_verdict()
    except MilkreportError as error:
        return entry.model_copy(update={"problem": str(error)})
    cells = [cell for arm in results.arms for cell in arm.cells]
    values = {}
    for arm in results.arms:
        part = arm.part("test")
        estimate = part.estimate(results.primary_metric) if part else None
        if estimate is not None and estimate.value is not None:
            values[arm.name] = estimate.value
    return entry.model_copy(
        update={
            "suite": results.suite,
            "title": results.title,
            "data": results.data.name,
            "synthetic": results.data.synthetic,
            "arms": [arm.name for arm in results.arms],
            "done": sum(cell.status == "complete" for cell in cells),
            "cells": len(cells),
            "primary_metric": results.primary_metric,
            "values": values,
            "verdict": str(verdict.status) if verdict else "",
        }
    )


def _unscored(folder: RunFolder) -> dict[str, object]:
    """What the run of a suite says before anything of it is scored."""
    from milkreport.runs.status import load_status

    status = load_status(folder)
    return {
        "title": status.title,
        "arms": list(dict.fromkeys(cell.arm for cell in status.cells)),
        "done": status.counts.get("done", 0),
        "cells": len(status.cells),
        "primary_metric": folder.load_suite().primary_metric,
    }
