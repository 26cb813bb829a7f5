"""The command that a run writes down, to do it again."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

#: ``$OUT``, ``$OUT/suite.toml``: stands for a path of the machine, and is meant to be expanded.
_VARIABLE = re.compile(r"\$[A-Z_]+(/[\w.]+)?")


def shell_line(words: Sequence[str]) -> str:
    """*words* as a shell takes them; variables are left to be expanded."""
    return " ".join(w if _VARIABLE.fullmatch(w) else shlex.quote(w) for w in words)
