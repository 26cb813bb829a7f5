"""One object of options from the command line, and the command that a run records."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from milkreport.cli.app import app
from milkreport.cli.parsed import recorded_command, takes
from milkreport.execution.options import RunOptions
from milkreport.finetuning.options import FinetuneOptions


def params_of(command: str) -> dict[str, Any]:
    return {p.name: p for p in typer.main.get_command(app).commands[command].params}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("command", "options", "not_asked"),
    [("run-all", RunOptions, set()), ("finetune", FinetuneOptions, {"checkpoint_every"})],
)
def test_each_field_is_an_option_with_the_fields_default(
    command: str, options: type[Any], not_asked: set[str]
) -> None:
    found = params_of(command)
    for field in fields(options):
        if field.name in not_asked:
            assert field.name not in found
        else:
            assert field.default is not MISSING
            assert found[field.name].default == field.default, field.name


@dataclass(frozen=True)
class Taken:
    """Two of its three fields are options."""

    size: int = 3
    whole: bool = True
    hidden: str = "kept"


def small_app(said: list[Any]) -> typer.Typer:
    small = typer.Typer()

    @small.command()
    @takes(Taken, {"size": typer.Option(min=1), "whole": typer.Option(" /--in-part")})
    def act(
        context: typer.Context,
        files: list[str],
        *,
        options: Taken,
        near: Path | None = None,
        tag: Annotated[list[str] | None, typer.Option()] = None,
    ) -> None:
        said.append(options)
        shown = {"files": [Path(file).name for file in files], "tag": tag or []}
        said.append(recorded_command(context, shown, {"whole"}))

    @small.command()
    def other() -> None: ...

    return small


@pytest.mark.parametrize(
    ("typed", "taken", "recorded"),
    [
        (["a"], Taken(), "milkreport act a"),
        (["/x/a", "b c", "--in-part"], Taken(whole=False), "milkreport act a 'b c'"),
        (["a", "--size", "7"], Taken(size=7), "milkreport act a --size 7"),
        # Named though it is the default: what is typed is recorded.
        (["a", "--size", "3"], Taken(), "milkreport act a --size 3"),
        (["a", "--tag", "x", "--tag", "$OUT"], Taken(), "milkreport act a --tag x --tag $OUT"),
    ],
)
def test_what_is_typed_comes_as_one_object_and_is_recorded(
    typed: list[str], taken: Taken, recorded: str
) -> None:
    said: list[Any] = []
    done = CliRunner().invoke(small_app(said), ["act", *typed])
    assert done.exit_code == 0, done.output
    assert said == [taken, recorded]


def test_a_path_that_nobody_thought_of_is_not_recorded() -> None:
    done = CliRunner().invoke(small_app([]), ["act", "a", "--near", "/home/me"])
    assert isinstance(done.exception, TypeError)
    assert "near is a path" in str(done.exception)


def test_a_value_out_of_range_is_refused_as_ever() -> None:
    done = CliRunner().invoke(small_app([]), ["act", "a", "--size", "0"])
    assert done.exit_code == 2
