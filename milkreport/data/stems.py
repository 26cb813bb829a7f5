"""Ids and file names that say who an image is of: ``10_left`` and ``10_right`` are eyes of one patient."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from milkreport.data.cases import Cases
from milkreport.data.init.columns import OWNERS

_SUFFIX = r"(?:\.[A-Za-z]{3,4})?$"
_OWNER = rf"(?i)((?:{'|'.join(sorted(OWNERS, key=len, reverse=True))})[-_ ]?\d+)"
# A view or a number may follow the side: 12_left_2, 12_LCC.
_MORE = r"(?:[-_. ]?(?:[0-9]{1,3}|(?i:cc|mlo|eye)))?" + _SUFFIX
_SIDE = r"^(.+?)(?:[-_. ]?(?i:left|right)|[-_. ](?i:l|r|os|od))" + _MORE
_SIDE_JOINED = r"^(.*[0-9])(?i:l|r|os|od)" + _MORE
_SIDE_FIRST = r"^(?i:left|right|l|r|os|od)[-_. ]+(.+?)" + _SUFFIX
_NUMBER = r"^(.*[^-_. ])[-_. ](?:[A-Za-z]{0,4}[0-9]{1,3}|\([0-9]{1,3}\)|[A-Za-z])" + _SUFFIX
PATTERNS = (_OWNER, _SIDE, _SIDE_JOINED, _SIDE_FIRST, _NUMBER)

FEWEST_STEMS = 5
MOST_A_STEM = 10  # on average; more is a name of the series, not of who was photographed


@dataclass(frozen=True)
class Stem:
    """A regular expression whose bracket is shared by several names. ``alike``: two such names."""

    pattern: str
    n: int
    alike: tuple[str, str]


def shared_stem(names: Sequence[str], n_classes: int) -> Stem | None:
    """What nearly all *names* begin with and several share, if it seems to be a patient; else None."""
    for pattern in PATTERNS:
        found = [match[1] if (match := re.search(pattern, name)) else "" for name in names]
        stems = Counter(stem for stem in found if stem)
        known = sum(stems.values())
        if known < 0.9 * len(names) or len(stems) > 0.9 * known:
            continue
        # Of few, long series the name says the class or the camera.
        if len(stems) < max(FEWEST_STEMS, 2 * n_classes + 1) or known > MOST_A_STEM * len(stems):
            continue
        first = stems.most_common(1)[0][0]
        one, other = [n for n, stem in zip(names, found, strict=True) if stem == first][:2]
        return Stem(pattern, len(stems), (one, other))
    return None


def file_names(paths: Sequence[str], root: Path) -> list[str]:
    """Paths from the data's folder, as a ``group_path`` is matched against them."""
    return [Path(path).relative_to(root).as_posix() for path in paths]


def with_stem_remark(cases: Cases, keys: Sequence[str]) -> Cases:
    """*cases*, whose remarks say so if nothing keeps names that share a stem together.

    Args:
        keys: settings that take a pattern: of ids, and, where there is one, of paths.
    """
    table = cases.table
    if len(table) == 0 or not (table["group_id"] == table["case_id"]).all():
        return cases
    names = [table["case_id"].astype(str).tolist()]
    if len(keys) > 1:
        column = f"image:{cases.views[0]}"
        here = [p for p in table[column].dropna() if Path(p).is_relative_to(cases.root)]
        names.append(file_names(here, cases.root) if here else [])
    else:
        # The ids of class folders begin with the class.
        names = [[name.partition("/")[2] for name in names[0]]]
    for key, some in zip(keys, names, strict=True):
        if some and (stem := shared_stem(some, len(cases.classes))):
            one, other = stem.alike
            line = (
                f"{one} and {other} may stem from one patient ({len(some):,} names have {stem.n:,} "
            )
            line += (
                f"stems), and a split may part them: {key} = '{stem.pattern}' keeps them together"
            )
            return replace(cases, remarks=(*cases.remarks, line))
    return cases
