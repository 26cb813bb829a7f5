"""What a user says of tables whose column names do not say it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from milkreport.errors import ConfigError

#: What is done with cases that only the truth or only the predictions have.
MISSING = ("error", "drop")


@dataclass(frozen=True)
class TableOptions:
    """What columns are called, and what is in them; empty: as usual.

    ``ids``: id columns; of each table the first that it has. ``label``: the truth's column of labels.
    ``classes``: all classes in the report's order; numbers in the tables are then their positions, from 0.
    ``positive``: the class that a single probability column is of, if one is named. ``missing``: one of
    :data:`MISSING`.
    """

    ids: tuple[str, ...] = ()
    label: str = ""
    classes: tuple[str, ...] = ()
    positive: tuple[str, ...] = ()
    missing: str = "error"

    def __post_init__(self) -> None:
        """Refuse what no table could satisfy.

        Raises:
            ConfigError: a class twice or alone, another word for *missing*.
        """
        if self.missing not in MISSING:
            raise ConfigError(f"unknown missing rule {self.missing!r}", "error or drop")
        if self.classes and len(set(self.classes)) < max(2, len(self.classes)):
            what = f"classes are {join_names(self.classes)}"
            raise ConfigError(what, "name two or more, each once")


NOTHING_SAID = TableOptions()


def split_names(given: str | Sequence[str] | None) -> list[str]:
    """The names that an option holds.

    Given once, they stand between commas, and a name with a comma in double quotes. Given several times, each
    is one name, with its commas.

    Raises:
        ConfigError: a quote that is never closed.
    """
    texts = [given] if isinstance(given, str) else list(given or [])
    if len(texts) > 1:
        return [text.strip() for text in texts if text.strip()]
    try:
        rows = list(csv.reader(io.StringIO("".join(texts)), skipinitialspace=True, strict=True))
    except csv.Error as error:
        what = f"quotes in {texts[0][:80]!r} do not match"
        raise ConfigError(what, "close each quote, or repeat the option for every name") from error
    return [name.strip() for row in rows for name in row if name.strip()]


def join_names(names: Iterable[str]) -> str:
    """Names as :func:`split_names` reads them from one option."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(list(names))
    return line.getvalue()


def as_names(given: object) -> tuple[str, ...]:
    """One name or several, as a call gives them; a class may be called by a number, and "" is none."""
    if isinstance(given, str):
        return (given,) if given else ()
    return tuple(map(str, given)) if isinstance(given, Iterable) else (str(given),)
