"""The few kinds of error that a user can meet, each with its exit code.

Every error carries *what* is wrong, *where* (file, row, column) and what to *do*, and prints as one line:
``error: FILE:ROW:COLUMN: what — what to do``. Only ``cli`` prints it.
"""

from __future__ import annotations


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
        # One line, whatever a file or id contained.
        return "".join(c if c.isprintable() else "�" for c in line.replace("\n", " "))


class ConfigError(MilkreportError):
    """A suite, option or reference that cannot be used (exit code 2)."""

    exit_code = 2


class DataError(MilkreportError):
    """Bad input data, weights or predictions (exit code 3)."""

    exit_code = 3


class EnvironmentProblem(MilkreportError):
    """The machine lacks something: a lock, space, a permission, a library, a GPU (exit code 4)."""

    exit_code = 4


class PdfProblem(EnvironmentProblem):
    """No PDF can be made here; the HTML report stands (exit code 4 where a PDF is required)."""
