"""What a simulation has found so far: printed line by line, and written each time, so nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path
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
