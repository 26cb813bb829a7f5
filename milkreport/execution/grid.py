"""A grid over settings: each point is a suite of its own, with a run folder of its own."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from milkreport.errors import ConfigError

MOST_POINTS = 1000


@dataclass(frozen=True)
class Point:
    """One combination of values. ``name``: also its folder's; empty where there is no grid."""

    name: str
    overrides: tuple[str, ...]

    @property
    def settings(self) -> str:
        """The point in words."""
        return ", ".join(self.overrides)


def parse_grid(axes: Sequence[str]) -> list[Point]:
    """Points of ``KEY=VALUE,VALUE,...`` axes, the last one changing fastest; one empty point without axes.

    Raises:
        ConfigError: an axis is not of that form, names a key twice or a value twice, or belongs to
            what has options of its own.
    """
    parsed = [_parse_axis(axis) for axis in axes]
    keys = [key for key, _ in parsed]
    if doubled := [key for key in keys if keys.count(key) > 1]:
        raise ConfigError(f"--grid names {doubled[0]} twice", "give all its values in one --grid")
    choices = [[f"{key}={value}" for value in values] for key, values in parsed]
    if (n := math.prod(map(len, choices))) > MOST_POINTS:
        raise ConfigError(f"--grid makes {n:,} runs", f"at most {MOST_POINTS:,}")
    points = [Point(_name(point), point) for point in itertools.product(*choices)]
    if len({point.name for point in points}) < len(points):
        raise ConfigError("--grid gives two points one folder name", "drop a value that is doubled")
    return points


def _parse_axis(axis: str) -> tuple[str, list[str]]:
    key, equals, text = axis.partition("=")
    key = key.strip()
    values = [value.strip() for value in _split(text)]
    if not equals or not key or not all(values):
        raise ConfigError(f"--grid {axis}", "write --grid section.key=VALUE,VALUE")
    if key.split(".")[0] in ("seeds", "arms", "name", "primary_metric"):
        what = f"--grid {axis}: {key} is no setting of a grid"
        raise ConfigError(what, "seeds have --seeds; arms and metric belong to the suite's file")
    return key, values


def _split(text: str) -> list[str]:
    """At commas outside brackets, so that a list can be a value."""
    return re.split(r",(?![^\[]*\])", text)


def _name(point: Sequence[str]) -> str:
    parts = []
    for override in point:
        key, _, value = override.partition("=")
        parts.append(f"{key.rpartition('.')[2]}-{value}")
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "_".join(parts)).strip("-.")[:120]
