"""The registration that a report may carry: whether it is the one that its own hash was taken of."""

from __future__ import annotations

import json

from milkreport.evidence.record import hash_bytes
from milkreport.parse import parse_json


def find_fault(data: bytes) -> str:
    """What is wrong with ``registration.json``; empty if nothing is, or if it states no ``hash``.

    The hash is SHA-256 of the same object without ``hash``, as ASCII JSON with sorted keys, without blanks.
    """
    try:
        record = parse_json(data)
    except ValueError as error:
        return f"is damaged: {error}"
    if not isinstance(record, dict) or "hash" not in record:
        return ""
    stated = record.pop("hash")
    canonical = json.dumps(record, sort_keys=True, separators=(",", ":"))
    return "" if stated == hash_bytes(canonical.encode()) else "is not what its hash was taken of"
