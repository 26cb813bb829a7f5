"""What was parsed: as one object of options, and as the command that a run records."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from milkreport.commands.shell import shell_line

Command = Callable[..., None]


def takes(
    options: type[Any], texts: Mapping[str, Any], into: str = "options"
) -> Callable[[Command], Command]:
    """Give a command an option for each field of a dataclass; it is called with one object of it.

    They stand in the help where the object stands in the command's signature. Types and defaults are those of
    the fields and stand nowhere else.

    Args:
        options: a dataclass.
        texts: ``typer.Option(...)`` of each field, in the order of the help. A field that is not named keeps
            its default.
        into: the command's parameter for the object.
    """
    hints = get_type_hints(options)
    known = {field.name: field for field in fields(options)}
    added = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_default(known[name]),
            annotation=Annotated[hints[name], text],
        )
        for name, text in texts.items()
    ]

    def decorate(command: Command) -> Command:
        own = inspect.signature(command, eval_str=True)
        expanded: list[inspect.Parameter] = []
        for parameter in own.parameters.values():
            is_ours = parameter.name == into
            expanded += added if is_ours else [parameter.replace(kind=parameter.KEYWORD_ONLY)]

        @functools.wraps(command)
        def parsed(**values: Any) -> None:
            chosen = options(**{name: values.pop(name) for name in texts})
            command(**values, **{into: chosen})

        parsed.__signature__ = own.replace(parameters=expanded)  # type: ignore[attr-defined]
        parsed.__annotations__ = {p.name: p.annotation for p in expanded}
        del parsed.__wrapped__  # its signature is another
        return parsed

    return decorate


def _default(field: Field[Any]) -> Any:
    return inspect.Parameter.empty if field.default is MISSING else field.default


def recorded_command(
    context: typer.Context,
    shown: Mapping[str, str | Sequence[str]],
    leave_out: Collection[str] = (),
) -> str:
    """The command as it was typed, to do it again, without a path of this machine.

    Options that were left at their defaults are left out.

    Args:
        shown: by parameter, what stands in place of its value (a variable, or a file's name; several for a
            repeated one), also where it was left at its default.
        leave_out: parameters that change nothing in the results.

    Raises:
        TypeError: a path was typed for which nothing is shown.
    """
    words = ["milkreport", str(context.info_name)]
    for parameter in context.command.params:
        name = str(parameter.name)
        value = context.params.get(name)
        source = context.get_parameter_source(name)
        if name in leave_out:
            continue
        if name in shown:
            value = shown[name]
        elif source is None or source.name == "DEFAULT":
            continue
        option = next((opt for opt in parameter.opts if opt.startswith("--")), "")
        for one in value if isinstance(value, list | tuple) else [value]:
            if isinstance(one, Path):
                raise TypeError(f"{name} is a path: give a word to show for it")
            if one is True:
                words.append(option)
            elif one is False and parameter.secondary_opts:  # --no-...
                words.append(parameter.secondary_opts[0])
            elif one not in (None, False, ""):
                words += [option, str(one)] if option else [str(one)]
    return shell_line(words)
