"""A proposed description as TOML: every value beside the reason why it was guessed."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import tomli_w

from milkreport.data.adapters.spec import FeatureSpec, FolderSpec, TableSpec, ViewSpec
from milkreport.data.init.features import FeatureGuess

WIDTH = 110
FEW_CASES = 10
_HEAD = """\
Guessed by milkreport data init from what lies in the folder. Each guess says why: look through them, then
milkreport data check. Every key is explained in docs/your_own_data.md."""
_GROUP = """\
No {column} says which cases stem from one patient, or from one of whatever was photographed. Without it
every {case} is a group of its own: if several stem from one patient, the test part holds relatives of
training cases, and all figures come out too high. If you can tell, give it here:"""
_POSITIVE = "The classes that count as disease, of those below."
_RARE = """\
Some classes are rare: each part of a split needs cases of every class. drop = ["a"] leaves classes out,
merge = { other = ["a", "b"] } makes one class of several, and rare = { below = 20, into = "other" } folds
all classes of fewer than 20 cases into one."""
_UNSURE = "Uncertain, neither yes nor no: such cases are left out."
_BANNED = """\
Columns that may never be inputs. If one was known before the label, put it among the features instead, and
into allow_leaky = []."""
_FEATURES = """\
What the network reads besides images. Was each known before the label was? If in doubt, delete the line."""


@dataclass(frozen=True)
class Proposal:
    """What was guessed. ``why``: dotted key to reason. ``counts``: cases by class.

    ``settings``: of the table, or of class folders. ``n_incomplete``: cases that lack a feature.
    ``drop``: labels that say neither yes nor no.
    """

    settings: TableSpec | FolderSpec
    why: Mapping[str, str]
    counts: Mapping[str, int]
    n_cases: int
    n_incomplete: int = 0
    drop: tuple[str, ...] = ()
    views: Mapping[str, ViewSpec] = field(default_factory=dict)
    features: list[FeatureSpec] = field(default_factory=list)
    guessed: FeatureGuess = field(default_factory=FeatureGuess)


def render(proposal: Proposal, name: str, root: str) -> str:
    """The text of a ``milkreport.toml``."""
    is_table = isinstance(proposal.settings, TableSpec)
    unit = ("case", "cases") if is_table else ("image", "images")
    lines = [
        *_comment(_HEAD),
        "",
        _entry("adapter", "table" if is_table else "folder"),
        _entry("root", root),
        _entry("name", name) + "  # what a report calls these data",
        _entry("licence", "not stated"),
        _entry("attribution", "not stated"),
        _entry("unit", unit[0]) + "  # what a case is, in a report's sentences",
        _entry("units", unit[1]),
        "synthetic = false  # true, if a program drew them: a report then says that it is not a result",
        "",
        *_comment(_POSITIVE),
        "positive = []",
        *(_comment(_RARE) if min(proposal.counts.values(), default=FEW_CASES) < FEW_CASES else ()),
        *(_drop(proposal.drop) if proposal.drop else ()),
        "",
        *(_inputs(proposal) if is_table else ()),
        *_classes(proposal.counts),
        *_settings(proposal),
    ]
    return "\n".join(lines) + "\n"


def _drop(labels: Sequence[str]) -> Iterator[str]:
    yield from _comment(_UNSURE)
    yield f"drop = [{', '.join(map(_value, labels))}]"


def _inputs(proposal: Proposal) -> Iterator[str]:
    guessed = proposal.guessed
    yield from _comment(_BANNED)
    for column, reason in guessed.banned.items():
        yield from _comment(f"{_short(column)}: {reason}")
    yield _entry("banned", list(guessed.banned))
    yield ""
    yield from _comment(_FEATURES)
    if proposal.n_incomplete:
        yield from _comment(
            f"{proposal.n_incomplete:,} of {proposal.n_cases:,} cases lack one or more of these. Suites with "
            'cleaning = "paper", such as quick, leave them out; --set data.cleaning=impute keeps them.'
        )
    yield "features = ["
    for feature in proposal.features:
        values = {"column": feature.column, "kind": feature.kind}
        if feature.view != "case":
            values["view"] = feature.view
        inline = ", ".join(f"{key} = {_value(value)}" for key, value in values.items())
        yield f"    {{ {inline} }},  # {_plain(guessed.remarks[feature.column])}"
    yield "]"
    if guessed.left_out:
        yield from _comment("Left out:")
    for column, reason in guessed.left_out.items():
        yield from _comment(f"  {_short(column)}: {reason}")
    yield ""


def _classes(counts: Mapping[str, int]) -> Iterator[str]:
    yield from _comment(
        'The classes in the order of the report: name = "title"; a title may stay empty.'
    )
    yield "[classes]"
    for name, n in counts.items():
        rare = f", fewer than {FEW_CASES}: too rare to be estimated" if n < FEW_CASES else ""
        yield f'{_key(name)} = ""  # {n:,}{rare}'
    yield ""


def _settings(proposal: Proposal) -> Iterator[str]:
    settings, why = proposal.settings, proposal.why
    if isinstance(settings, FolderSpec):
        yield "[folder]"
        if not settings.labelled:
            yield from _comment(why["folder.labelled"])
            yield "labelled = false"
        group = "group = '([A-Za-z]+[0-9]+)_'  # a regular expression with one bracketed part"
        yield from _group(settings.group, why["folder.group"], "folder", "image", group)
        return
    yield "[table]"
    for key, value in settings.model_dump().items():
        if key == "group" and not (settings.group_pattern or settings.group_path):
            yield from _group(value, why["table.group"], "column", settings.case, 'group = "..."')
        elif value or (key == "label" and not settings.one_hot):
            yield from _comment(why.get(f"table.{key}", ""))
            yield _entry(key, value) if value else '# label = "..."'
    for name, view in proposal.views.items():
        yield ""
        yield f"[views.{_key(name)}]"
        yield from _comment(why.get(f"views.{name}", ""))
        for key, value in view.model_dump().items():
            if value not in ("", "{}"):
                yield _entry(key, value)


def _group(value: str, why: str, column: str, case: str, example: str) -> Iterator[str]:
    if value:
        yield from _comment(why)
        yield _entry("group", value)
    else:
        yield from _comment(why or _GROUP.format(column=column, case=_short(case)))
        yield f"# {example}"


def _comment(text: str) -> list[str]:
    """Text of any origin as comment lines: TOML allows no control characters there."""
    lines = textwrap.wrap(_plain(text), WIDTH - 2, subsequent_indent="  " * text.startswith("  "))
    return [f"# {line}" for line in lines]


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "�" for c in text.replace("\n", " "))


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:79] + "…"


def _entry(key: str, value: Any) -> str:
    return tomli_w.dumps({key: value}).rstrip()


def _value(value: str) -> str:
    return _entry("x", value).removeprefix("x = ")


def _key(name: str) -> str:
    return _entry(name, 0).removesuffix(" = 0")
