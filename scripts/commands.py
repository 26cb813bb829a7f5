"""Writes ``docs/commands.md`` from the command line's own help; a test holds both together.

python scripts/commands.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from milkreport.cli.app import app

PAGE = Path(__file__).resolve().parents[1] / "docs" / "commands.md"
HEAD = """\
<!-- Written by scripts/commands.py from the help texts: change those, and run it. -->

# Commands

What `milkreport COMMAND --help` says, on one page. Every command takes `--help`. `--debug` before the
command shows the traceback of an error, `--version` alone prints the version.
`--install-completion` lets the shell complete commands, options and shipped suites.

| exit code | meaning |
|---|---|
| 0 | done; for a check: passed |
| 1 | a check says FAIL, `verify` or `check --exact` found a difference, a finding is as bad as `--fail-on` |
| 2 | bad usage: an unknown option, suite or setting; a metric that both sides of a check define otherwise |
| 3 | bad data or predictions |
| 4 | the environment: a disk that is full, a run in use, a missing extra, no PDF under `--pdf require` |
| 5 | the primary metric is INCONCLUSIVE or NOT CHECKED (`--strict`: any is); nothing could be verified |
| 6 | some trainings failed: the report is of the others |
| 70 | a defect of milkreport |
| 130, 143 | stopped by Ctrl-C or SIGTERM; what is done is kept |
"""


def leaves(command: Any, words: tuple[str, ...] = ("milkreport",)) -> Iterator[tuple[str, Any]]:
    """Every command with the words that call it, in the order of the help."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(words), command
        return
    for name, below in inner.items():
        yield from leaves(below, (*words, name))


def page() -> str:
    """The whole page."""
    found = list(leaves(typer.main.get_command(app)))
    listed = [
        "| command | what |",
        "|---|---|",
        *(f"| [`{call}`](#{_anchor(call)}) | {_first(command.help)} |" for call, command in found),
    ]
    return (
        "\n\n".join([HEAD.rstrip(), "\n".join(listed), *(_section(*one) for one in found)]) + "\n"
    )


def _section(call: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    usage = " ".join([call, *(["[OPTIONS]"] if options else []), *map(_usage, arguments)])
    text = f"## {call}\n\n`{usage}`\n\n{_with_examples(command.help)}"
    rows = [
        f"| {_code(_named(p))} | {_cell(p.help)}{_default(p)} |" for p in (*arguments, *options)
    ]
    return text + ("\n\n" + "\n".join(["| option | what |", "|---|---|", *rows]) if rows else "")


def _with_examples(text: str) -> str:
    """Examples of the help, a list there, as a block of commands."""
    told, found, examples = text.strip().partition("Examples:")
    if not found:
        told, found, examples = text.strip().partition("Example:")
    lines = [line.removeprefix("- ") for line in examples.splitlines() if line]
    return told.strip() + ("\n\n```\n" + "\n".join(lines) + "\n```" if found else "")


def _usage(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return name if argument.required else f"[{name}]"


def _named(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    flag = ", ".join([*parameter.opts, *parameter.secondary_opts])
    return flag if parameter.is_flag else f"{flag} {parameter.metavar or _kind(parameter)}"


def _kind(parameter: Any) -> str:
    kinds = {"Path": "PATH", "int": "INTEGER", "float": "NUMBER"}
    annotation = parameter.type_descriptor.annotation
    return kinds.get(getattr(annotation, "__name__", ""), "TEXT")


def _default(parameter: Any) -> str:
    """The default where it says something that the help does not."""
    told = parameter.default
    if (
        told is None
        or told == ""
        or isinstance(told, bool)
        or parameter.required
        or "(default:" in (parameter.help or "")
    ):
        told = None
    said = [f"default: {_code(str(told))}"] if told is not None else []
    said += [f"or {_code('$' + parameter.envvar)}"] if parameter.envvar else []
    said += ["needed"] if parameter.required and parameter.param_type_name == "option" else []
    return f" ({'; '.join(said)})" if said else ""


def _first(text: str) -> str:
    return _cell(text.strip().partition("\n\n")[0].partition(". ")[0].rstrip("."))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _code(text: str) -> str:
    return "`" + text.replace("|", r"\|") + "`"


def _anchor(call: str) -> str:
    return call.replace(" ", "-")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
