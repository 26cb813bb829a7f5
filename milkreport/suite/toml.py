"""Settings files: strict TOML sections whose errors name the key, all of them at once."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from milkreport.errors import ConfigError
from milkreport.inside import refuse_special
from milkreport.parse import parse_toml

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]

MAX_BYTES = 1_000_000

#: Begins the name of a choice between sections, which pydantic puts into locations; no user's key.
TAG = "tag:"


class Section(BaseModel):
    """Base of all sections: frozen, strict about keys and about nan."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


S = TypeVar("S", bound=Section)


def load_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file.

    Raises:
        ConfigError: it cannot be read, is a pipe, larger than 1 MB, or is not TOML (with line and column).
    """
    refuse_special(path, ConfigError)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError("more than 1 MB, too large for settings", "", str(path))
        return parse_toml(path.read_bytes())
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not valid TOML: {error}", "mend the file", str(path)) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"cannot be read: {reason}", "check the path", str(path)) from error
    except ValueError as error:
        raise ConfigError(f"cannot be read: {error}", "mend the file", str(path)) from error


def validate(kind: type[S], values: Mapping[str, Any], where: str = "") -> S:
    """*values* as settings of *kind*; *where* names their source in errors.

    Raises:
        ConfigError: unknown keys, with the nearest known one, and bad values, all of them.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        known = [*_keys(kind)]
        problems = "; ".join(_explain(item, known) for item in error.errors())
        raise ConfigError(problems, where=where) from error


def _explain(item: Any, known: Sequence[tuple[str, str]]) -> str:
    location = [part for part in item["loc"] if not str(part).startswith(TAG)]
    # Entries of a list are counted from 1, as people do.
    key = ".".join(str(part + 1) if isinstance(part, int) else part for part in location)
    if item["type"] == "extra_forbidden":
        # A key of the same section is nearer than any other.
        section = [part for part in location[:-1] if isinstance(part, str)]
        beside = [pair for pair in known if pair[1].split(".")[:-1] == section]
        hint = ""
        for names in (dict(beside), dict(known)):
            near = difflib.get_close_matches(location[-1], names, n=1)
            if near and names[near[0]] != key:  # a key of another model is no misspelling
                hint = f", did you mean {names[near[0]]}?"
                break
        return f"unknown key {key}{hint}"
    if item["type"] == "missing":
        return f"{key} is missing"
    message: str = item["msg"].removeprefix("Value error, ")
    if not location:
        return message
    return (
        f"{key}: {message}"
        if isinstance(item["input"], dict)
        else f"{key} = {item['input']!r}: {message}"
    )


def _keys(kind: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every key of *kind* and of the sections in it, with its dotted name."""
    for name, field in kind.model_fields.items():
        yield name, prefix + name
        for inner in _within(field.annotation):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from _keys(inner, f"{prefix}{name}.")


def _within(annotation: Any) -> Iterator[Any]:
    """A type and all that it is made of."""
    yield annotation
    for inner in get_args(annotation):
        yield from _within(inner)
