"""Patterns that a description holds, matched in time that grows with the text alone.

A pattern comes with the data, and Python's engine can be kept busy for ever by one of twenty characters.
RE2 cannot; it has no look-arounds and no back-references.
"""

from __future__ import annotations

import re
from typing import Any

#: How brackets open, and what Python takes for "at most so many" and RE2 for text.
_OPENING, _AT_MOST = re.compile(r"\[\^?\]?"), re.compile(r"\{,(?=[0-9]+\})")
#: What a class holds in Python; in RE2 it is ASCII alone.
_IN_BRACKETS = {"d": r"\p{Nd}", "D": r"\P{Nd}", "w": r"\pL\pN_", "s": r"\s\v\x1c-\x1f\x85\p{Z}"}
_ALONE = {
    "d": r"\p{Nd}", "D": r"\P{Nd}", "Z": r"\z",
    "w": f"[{_IN_BRACKETS['w']}]", "W": f"[^{_IN_BRACKETS['w']}]",
    "s": f"[{_IN_BRACKETS['s']}]", "S": f"[^{_IN_BRACKETS['s']}]",
}  # fmt: skip


def compile_pattern(text: str) -> Any:
    """A regular expression of Python's as a pattern of RE2: ``search`` and ``groups`` as of ``re``.

    ``\\d``, ``\\w`` and ``\\s`` mean what they mean in Python; ``\\b``, and ``\\W`` or ``\\S`` in brackets,
    take letters and digits beyond ASCII for other characters.

    Raises:
        ValueError: not a regular expression, or one that RE2 does not have.
    """
    import re2  # here: most data has no pattern

    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"not a regular expression: {error}") from error
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(_translate(text), options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if error.args else "too large"
        what = "look-arounds, back-references and repeats above 1,000 are not available"
        raise ValueError(f"{what}, so that every match ends in time ({reason})") from error


def _translate(text: str) -> str:
    """*text*, a regular expression of Python's, in the words of RE2."""
    parts, inside, at = [], False, 0
    while at < len(text):
        token = text[at]
        if token == "\\":
            token = text[at : at + 2]
            parts.append((_IN_BRACKETS if inside else _ALONE).get(token[1:], token))
        elif inside:
            parts.append("\\[" if token == "[" else token)
            inside = token != "]"
        elif opening := _OPENING.match(text, at):
            token, inside = opening[0], True
            parts.append(token)
        elif at_most := _AT_MOST.match(text, at):
            token = at_most[0]
            parts.append("{0,")
        else:
            parts.append(token)
        at += len(token)
    return "".join(parts)
