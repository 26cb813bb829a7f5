"""Writes the published JSON schema of ``results.json`` to ``docs/schemas``; a test holds both together.

python scripts/schemas.py
"""

from __future__ import annotations

import json
from pathlib import Path

from milkreport.evaluation.results import Results

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "schemas"


def schema_text() -> str:
    """The schema of a run's results, JSON Schema draft 2020-12."""
    schema = Results.model_json_schema(mode="serialization")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["$id"] = f"milkreport-results-{Results.model_fields['schema_version'].default}"
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "results.schema.json").write_text(schema_text(), encoding="utf-8")
