"""What a source states, each number as printed: figures, confusion matrices, counts, shares, claims."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from milkreport.evaluation.records.data import Part
from milkreport.limits import MOST_CLASSES, Published
from milkreport.suite.toml import Section

#: How digits were lost: to the nearest, perhaps by cutting, not at all, or "about" (one unit either way).
Rounding = Literal["rounded", "rounded or cut", "exact", "about"]
#: Whether a run's cases are drawn by the same rule, by another, or from other data.
Comparable = Literal["same split rule", "other split", "other data"]
#: A number that is added up and compared with others, and nothing is made of.
Count = Annotated[int, Field(ge=0, le=2**53)]
Margin = Annotated[float, Field(ge=0, le=1)]


class Value(Section):
    """A printed number. "0.590" was rounded more finely than "0.59"."""

    printed: str
    stands: str = ""
    rounding: Rounding | None = None

    @field_validator("printed", mode="before")
    @classmethod
    def _percent(cls, value: object) -> object:
        """A percentage as the fraction that it is: "87.6%" as "0.876"."""
        if isinstance(value, (int, float)):
            raise ValueError('write it in quotes, as printed: "0.80" says more than 0.8')
        if not isinstance(value, str) or not value.rstrip().endswith("%"):
            return value
        try:
            return str(Decimal(value.rstrip()[:-1].strip()).scaleb(-2))
        except InvalidOperation:
            return value

    @field_validator("printed")
    @classmethod
    def _number(cls, value: str) -> str:
        try:
            number = Decimal(value)
        except InvalidOperation:
            number = Decimal("nan")
        # Beyond these a print is none, and a power of ten no float.
        exponent = number.as_tuple().exponent
        if not isinstance(exponent, int) or len(value) > 40 or not -400 <= exponent <= 6:
            hint = "; write a decimal point" if "," in value else ""
            what = "not a number as it is printed: at most 40 characters, below 1e40"
            raise ValueError(what + hint)
        return value

    @property
    def value(self) -> float:
        """The printed value as a number."""
        return float(self.printed)

    @property
    def digits(self) -> int:
        """Decimal places of the print."""
        return max(0, -int(Decimal(self.printed).as_tuple().exponent))

    @property
    def unit(self) -> float:
        """One unit of the last printed digit."""
        return float(10.0**-self.digits)

    def bounds(self, rounding: Rounding) -> tuple[float, float]:
        """Least and greatest value that prints so; *rounding* where the value itself states none."""
        unit = self.unit
        below, above = {
            "rounded": (unit / 2, unit / 2),
            "rounded or cut": (unit / 2, unit),
            "about": (unit, unit),
            "exact": (0.0, 0.0),
        }[self.rounding or rounding]
        return self.value - below, self.value + above


class Figure(Value):
    """One reported value of one arm on one part; ``class_name`` for a metric of one class.

    ``margin``, ``margin_reason`` and ``comparable`` default to the reference's.
    """

    arm: str
    part: Part
    metric: str
    class_name: str = ""
    comparable: Comparable | None = None
    margin: Margin | None = None
    margin_reason: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What the figure is of."""
        return self.arm, self.part, self.metric, self.class_name

    @model_validator(mode="after")
    def _in_range(self) -> Figure:
        least = -1 if self.metric in ("mcc", "kappa") else 0
        greatest = float("inf") if self.metric == "log_loss" else 1
        greatest = 2 if self.metric == "brier" else greatest
        if not least <= self.value <= greatest:
            hint = (
                '; a percentage is written with its sign, "87.6%"' if 1 < self.value <= 100 else ""
            )
            raise ValueError(f"{self.printed} is outside {least} to {greatest}{hint}")
        return self


class Matrix(Section):
    """A reported confusion matrix; rows true, columns predicted, in the order of the classes.

    Rows are kept as printed, a number too many included: :mod:`milkreport.checks.audit.matrices` reads them.
    """

    arm: str
    part: Part
    rows: Annotated[
        list[Annotated[list[Published], Field(max_length=MOST_CLASSES + 1)]],
        Field(max_length=2 * MOST_CLASSES),
    ]
    stands: str = ""
    note: str = ""


class Sum(Section):
    """Stated counts that must add up."""

    what: str
    total: Count
    parts: dict[str, Count]
    stands: str = ""


class Share(Value):
    """A stated share of a whole, both counted in the source."""

    what: str
    part: Count
    whole: Annotated[Count, Field(gt=0)]


class Claim(Section):
    """What the source says of an arm beside others; ``class_name`` for a metric of one class.

    ``than``: arms; none: all others with such a figure. "highest" and "lowest" say the same as "higher" and
    "lower" than all.
    """

    text: str
    arm: str
    part: Part
    metric: str
    class_name: str = ""
    relation: Literal["highest", "lowest", "higher", "lower"]
    than: list[str] = []
    stands: str = ""
