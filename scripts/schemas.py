"""Writes the published JSON schemas to ``docs/schemas``; a test holds them and the records together.

python scripts/schemas.py
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel

from milkreport.checks.audit.findings import Audit
from milkreport.checks.reference import Reference
from milkreport.checks.verdict import Verdict
from milkreport.evaluation.records.results import Results
from milkreport.registration.record import Registration

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "schemas"
#: What each file describes: results.json, checks.json, audit.json, registration.json, a reference's TOML.
PUBLISHED: dict[str, type[BaseModel]] = {
    "results": Results,
    "checks": Verdict,
    "audit": Audit,
    "reference": Reference,
    "registration": Registration,
}


def schema_text(name: str) -> str:
    """One schema, JSON Schema draft 2020-12."""
    record = PUBLISHED[name]
    schema = record.model_json_schema(mode="validation" if name == "reference" else "serialization")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["$id"] = f"milkreport-{name}-{record.model_fields['schema_version'].default}"
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in PUBLISHED:
        (FOLDER / f"{name}.schema.json").write_text(schema_text(name), encoding="utf-8")
