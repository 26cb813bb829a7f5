"""Which cases belong together, by a pattern over their ids, a column or the paths of their images."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from milkreport.data.adapters.spec import TableSpec
from milkreport.data.cases import IMAGE_PREFIX
from milkreport.data.patterns import compile_pattern
from milkreport.errors import DataProblems, Problem


def pattern_groups(table: pd.DataFrame, spec: TableSpec, root: Path) -> pd.Series[Any]:
    """The groups of *table* (by case id), after the pattern that *spec* may have.

    Args:
        table: with ``group_id`` (cells of the group column, or the ids) and the views' paths.

    Raises:
        DataProblems: every case of which the pattern does not match.
    """
    groups = table["group_id"]
    if spec.group_path:
        images = [column for column in map(str, table.columns) if column.startswith(IMAGE_PREFIX)]
        first = table[images].bfill(axis=1).iloc[:, 0]
        groups = first.map(lambda path: os.path.relpath(path, root), na_action="ignore")
    pattern = spec.group_pattern or spec.group_path
    if not pattern:
        return groups
    known = groups.dropna().str.replace(os.sep, "/")
    key = "table.group_pattern" if spec.group_pattern else "table.group_path"
    found = match_groups(pattern, dict(zip(known.index, known, strict=True)), key)
    return groups.index.to_series().map(found)


def match_groups(
    pattern: str, texts: Mapping[str, str], key: str, *, of_files: bool = False
) -> dict[str, str]:
    """The bracketed part of *pattern* in each text, by case.

    Args:
        key: the setting that holds the pattern, for errors.
        of_files: the cases are files, and stand in errors instead of the texts.

    Raises:
        DataProblems: every case in whose text it finds nothing.
    """
    compiled = compile_pattern(pattern)
    found = {case: compiled.search(text) for case, text in texts.items()}
    bad = [case for case, match in found.items() if not (match and match[1])]
    if bad:
        what, do = f"{key} {pattern!r} does not match", "mend the pattern in milkreport.toml"
        places = {case: case if of_files else texts[case] for case in bad}
        raise DataProblems([Problem("no group", places[case], what, do, case) for case in bad])
    return {case: match[1] for case, match in found.items()}
