"""The few kinds of error that a user can meet, each with its exit code.

Every error carries *what* is wrong, *where* (file, row, column) and what to *do*, and prints as one line:
``error: FILE:ROW:COLUMN: what — what to do``. Only ``cli`` prints it.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


def printable(text: str) -> str:
    """*text* on one line, with nothing in it that a terminal or a log would obey.

    Whatever is printed passes here: names, ids and titles come from files. Line breaks and tabs become
    spaces; control and format characters (escape sequences, bidirectional marks, zero-width characters) and
    lone surrogates become U+FFFD.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text)


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """A hint for a name that is unknown: the nearest known one, and else *otherwise*."""
    near = difflib.get_close_matches(name, [*known], n=1)
    return f"did you mean {printable(near[0])}?" if near else otherwise


class MilkreportError(Exception):
    """A problem a user can act on.

    Args:
        what: what is wrong, without a trailing full stop.
        do: what to do about it; may be empty.
        where: file, row or column, or a setting's name; may be empty.
    """

    exit_code = 70

    def __init__(self, what: str, do: str = "", where: str = "") -> None:
        self.what, self.do, self.where = what, do, where
        super().__init__(str(self))

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}" if self.where else self.what
        line = f"{line} — {self.do}" if self.do else line
        return printable(line)

    def __reduce__(self) -> tuple[object, ...]:
        """Errors come home from other processes."""
        return type(self), (self.what, self.do, self.where)


class ConfigError(MilkreportError):
    """A suite, option or reference that cannot be used (exit code 2)."""

    exit_code = 2


class DataError(MilkreportError):
    """Bad input data, weights or predictions (exit code 3)."""

    exit_code = 3


class NeedsOption(DataError):
    """Data that can be read once an option says what they are.

    Args:
        options: the words to add to the command, as in ``["--id", "image_name"]``.
        do: what stands before "add ..." or "type: ..."; may be empty.
    """

    def __init__(self, what: str, options: Sequence[str], where: str = "", do: str = "") -> None:
        self.options, self.before = tuple(options), do
        super().__init__(what, self._advise(f"add {shlex.join(self.options)}"), where)

    def as_typed(self, words: Sequence[str]) -> str:
        """The line with the whole command that works.

        Args:
            words: the command that was typed.
        """
        do = self._advise(f"type: {shlex.join([*words, *self.options])}")
        return str(DataError(self.what, do, self.where))

    def _advise(self, typing: str) -> str:
        return f"{self.before} {typing}" if self.before else typing

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.what, self.options, self.where, self.before)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the data.

    ``kind``: a few words that can be counted ("truncated", "bad value"). ``where``: file, row and
    column, the file relative to the data's folder. ``case``: the case it belongs to, if any.
    """

    kind: str
    where: str
    what: str
    do: str = ""
    case: str = ""


class DataProblems(DataError):
    """Everything that is wrong with the data at once; prints the first and counts the others."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        first, more = problems[0], len(problems) - 1
        what = f"{first.what} (and {more:,} more problems)" if more else first.what
        super().__init__(what, first.do, first.where)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.problems,)


class Stopped(Exception):
    """A signal asked to stop, and what was done is kept. ``signum``: SIGINT or SIGTERM."""

    def __init__(self, signum: int) -> None:
        self.signum = signum
        super().__init__(f"stopped by signal {signum}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.signum,)


class EnvironmentProblem(MilkreportError):
    """Something is missing on the machine: a lock, space, a permission, a library, a GPU (exit code 4)."""

    exit_code = 4


class PdfProblem(EnvironmentProblem):
    """No PDF can be made here; the HTML report stands (exit code 4 where a PDF is required)."""
