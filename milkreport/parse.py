"""The one way JSON and TOML from files are read: under caps, without guessing, every failure a ValueError.

What a library would accept in silence (a key twice, NaN, another encoding) or fail on in its own way
(nesting, integers of thousands of digits) is refused with a reason that fits in one line.
"""

from __future__ import annotations

import json
import tomllib
from typing import Any, NoReturn

#: Bytes of a file of settings, and of a record: results of 30 arms on 100,000 cases have a tenth of it.
MOST_TOML, MOST_JSON = 1_000_000, 256_000_000
#: Levels of nesting: no file of ours has ten.
_DEEPEST = 64
#: Digits of an integer: those of 64 bits.
_MOST_DIGITS = 20


def parse_json(data: bytes | str) -> Any:
    """The value of a JSON document.

    Raises:
        ValueError: not JSON in UTF-8, too large, too deep, a key twice in one object, NaN or infinity, or an
            integer beyond 64 bits.
    """
    text = _decode(data, MOST_JSON)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_refuse_twins,
            parse_constant=_refuse_constant,
            parse_int=_read_int,
        )
    except RecursionError:
        raise ValueError(f"nested more than {_DEEPEST} levels deep") from None
    refuse_depth(value)
    return value


def parse_toml(data: bytes | str) -> dict[str, Any]:
    """The table of a TOML document, a byte order mark accepted.

    Raises:
        ValueError: not TOML in UTF-8, too large, too deep, or an integer beyond 64 bits;
            ``tomllib.TOMLDecodeError`` with line and column where the syntax is wrong.
    """
    text = _decode(data, MOST_TOML)
    try:
        value = tomllib.loads(text)
    except RecursionError:
        raise ValueError(f"nested more than {_DEEPEST} levels deep") from None
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:  # Python's own limit on the digits of an integer
        raise ValueError("an integer beyond 64 bits") from None
    refuse_depth(value)
    return value


def refuse_depth(value: Any) -> None:
    """Raise a ValueError for a value that is nested too deeply, or holds an integer beyond 64 bits."""
    level = [value]
    for _ in range(_DEEPEST):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner += item.values()
            elif isinstance(item, list):
                inner += item
            elif isinstance(item, int) and abs(item) >= 2**64:
                raise ValueError("an integer beyond 64 bits")
        if not inner:
            return
        level = inner
    raise ValueError(f"nested more than {_DEEPEST} levels deep")


def _decode(data: bytes | str, most: int) -> str:
    if len(data) > most:
        raise ValueError(f"{len(data):,} bytes, at most {most:,} are read")
    if isinstance(data, str):
        return data.removeprefix("\ufeff")
    return data.decode("utf-8-sig")


def _refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twin = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twin[:60]!r} stands twice in one object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _read_int(digits: str) -> int:
    if len(digits) > _MOST_DIGITS + 1:
        raise ValueError("an integer beyond 64 bits")
    return int(digits)
