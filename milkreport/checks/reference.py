"""Published figures as a file: value as printed, how it was rounded, and the protocol behind it."""

from __future__ import annotations

import difflib
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator

from milkreport.errors import ConfigError
from milkreport.evaluation.data_record import Record
from milkreport.resources import resource_folder


class Figure(Record):
    """One reported value. ``printed`` keeps its digits: "0.590" was rounded more finely than "0.59"."""

    arm: str
    part: Literal["train", "validation", "test"]
    metric: str
    printed: str
    stands: str  # where it stands in the source

    @field_validator("printed")
    @classmethod
    def _fraction(cls, value: str) -> str:
        number = Decimal(value)
        if not 0 <= number <= 1:
            hint = "; percent must be written as a fraction" if 1 < number <= 100 else ""
            raise ValueError(f"{value} is outside 0 to 1{hint}")
        return value

    @property
    def value(self) -> float:
        """The printed value as a number."""
        return float(self.printed)

    def bounds(self, rounding: str) -> tuple[float, float]:
        """Least and greatest value that prints so; a cut value may lie a whole unit higher."""
        unit = 10.0 ** int(Decimal(self.printed).as_tuple().exponent)
        high = unit if rounding == "rounded or cut" else unit / 2
        return self.value - unit / 2, self.value + high


class Matrix(Record):
    """A reported confusion matrix; rows true, columns predicted, in the order of the classes."""

    arm: str
    part: Literal["train", "validation", "test"]
    rows: list[list[Annotated[int, Field(ge=0)]]]
    note: str = ""


class Reference(Record):
    """All figures of one publication, with what a run must share to be compared with them."""

    name: str
    title: str
    source: str
    data: str
    classes: list[str]
    rounding: Literal["rounded", "rounded or cut"]
    definition: str
    n: dict[str, int]
    margin: Annotated[float, Field(ge=0, le=1)]
    margin_reason: str
    protocol: dict[str, Any]  # suite settings, dotted, that must agree
    figures: Annotated[list[Figure], Field(min_length=1)]
    matrices: list[Matrix] = []

    def matrix(self, arm: str, part: str) -> Matrix | None:
        """The confusion matrix of one arm and part, if it was reported."""
        return next((m for m in self.matrices if (m.arm, m.part) == (arm, part)), None)


def list_references() -> list[str]:
    """Names of the references that ship with milkreport."""
    return sorted(p.stem for p in (resource_folder("experiments") / "references").glob("*.toml"))


def load_reference(name_or_path: str) -> Reference:
    """Read a reference by shipped name or by path to a TOML file.

    Raises:
        ConfigError: not found, not TOML, or not a reference.
    """
    path = Path(name_or_path)
    if not name_or_path.endswith(".toml"):
        path = resource_folder("experiments") / "references" / f"{name_or_path}.toml"
        if name_or_path not in list_references():
            near = difflib.get_close_matches(name_or_path, list_references(), n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(list_references())}"
            raise ConfigError(f"unknown reference {name_or_path!r}", hint)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        return Reference.model_validate(values)
    except OSError as error:
        raise ConfigError("no such reference file", where=str(path)) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not valid TOML: {error}", "mend the file", str(path)) from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()
        )
        raise ConfigError(problems, "mend the file", str(path)) from error
