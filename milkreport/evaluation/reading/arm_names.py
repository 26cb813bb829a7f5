"""Names of arms: plain ones that serve as folders, and the titles that they were given."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

from milkreport.errors import ConfigError

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
#: Letters that are none with an accent, spelled as their languages do.
_SPELLED = str.maketrans(
    {
        "ß": "ss",
        "ø": "oe",
        "Ø": "Oe",
        "æ": "ae",
        "Æ": "Ae",
        "œ": "oe",
        "Œ": "Oe",
        "ł": "l",
        "Ł": "L",
    }
    | {"đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i"}
)
#: Characters of a name at most.
MOST_LETTERS = 64


def name_of_file(stem: str) -> str:
    """An arm's name: letters without their accents, and a hyphen for what a name cannot have."""
    plain = unicodedata.normalize("NFKD", stem.translate(_SPELLED))
    letters = "".join(c for c in plain if not unicodedata.combining(c))
    return _UNSAFE.sub("-", letters).strip("-._")[:MOST_LETTERS] or "predictions"


def check_name(name: str, where: str) -> str:
    """*name*, which *where* gives, if it can be that of a file.

    Raises:
        ConfigError: it cannot.
    """
    if name_of_file(name) != name:
        do = f"use letters, digits, '.', '_' and '-', {MOST_LETTERS} at most"
        raise ConfigError(f"{where}: {name[:80]!r} is not a name", do)
    return name


def free_name(title: str, taken: Collection[str]) -> str:
    """The name of *title*, with a number behind it where another arm has that name."""
    name = plain = name_of_file(title)
    n = 1
    while name in taken:
        n += 1
        name = f"{plain}-{n}"
    return name


def is_title(text: str) -> bool:
    """Whether an arm may be called so: letters of any script, but nothing like a path."""
    return (
        0 < len(text) <= MOST_LETTERS
        and text.isprintable()
        and not set(text) & set("/\\")
        and text == text.strip()
        and text[0] not in ".-"
    )
