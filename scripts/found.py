"""What a simulation has found so far: printed line by line, and written each time, so nothing is lost."""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import mean, median
from typing import Any


class Found:
    """Results by situation; ``out``: the JSON file that is written, if any."""

    def __init__(self, out: Path | None) -> None:
        self.out = out
        self.results: dict[str, Any] = {}

    def keep(self, key: str, found: dict[str, Any], *, say: bool = True) -> None:
        """Print one situation's results on a line, and write all."""
        self.results[key] = found
        if say:
            print(f"{key:70} {json.dumps(found)}", flush=True)
        if self.out:
            self.out.write_text(json.dumps(self.results, indent=1) + "\n")


class Coverage:
    """How often intervals of several quantities included the truth."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[bool, bool, float]]] = {}

    def add(self, name: str, truth: float, low: float | None, high: float | None) -> None:
        """Count one interval of the quantity *name*; one that was not given counts nothing."""
        if low is None or high is None or not all(map(math.isfinite, (truth, low, high))):
            return
        self.rows.setdefault(name, []).append(
            (bool(low > truth), bool(high < truth), float(high - low))
        )

    def table(self) -> dict[str, dict[str, float]]:
        """By quantity: shares that covered, were too high or too low; median width; number of intervals."""
        return {
            name: {
                "covered": round(1 - mean(a or b for a, b, _ in kept), 3),
                "too high": round(mean(a for a, _, _ in kept), 3),
                "too low": round(mean(b for _, b, _ in kept), 3),
                "width": round(median(w for _, _, w in kept), 3),
                "n": len(kept),
            }
            for name, kept in self.rows.items()
        }
