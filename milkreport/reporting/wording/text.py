"""Numbers and names to text: the one named step between records and markup."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from unicodedata import east_asian_width

MISSING = "—"
MINUS = "−"
_PEOPLE = ("Brier", "Cohen", "Matthews")
REPLACED = "\N{REPLACEMENT CHARACTER}"

_PATHS = re.compile(
    r"(?<![\w.:/<])(?:/[^\s/:;,'\"<>()]+){2,}/?|\b[A-Za-z]:\\[^\s'\"<>]+|~/[^\s'\"<>]+"
)


def decimal(value: float | None, digits: int = 3) -> str:
    """*value* with *digits* decimals and a true minus sign; undefined is a dash."""
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{abs(value):,.{digits}f}"
    negative = value < 0 and any(c in "123456789" for c in text)
    return MINUS + text if negative else text


def signed(value: float | None, digits: int = 3) -> str:
    """Like :func:`decimal`, with a plus before what is above zero."""
    text = decimal(value, digits)
    positive = value is not None and value > 0 and any(c in "123456789" for c in text)
    return f"+{text}" if positive else text


def interval(low: float | None, high: float | None, digits: int = 3) -> str:
    """Bounds of values that are never negative: ``0.113–0.140``; empty if there are none."""
    if low is None or high is None:
        return ""
    return f"{decimal(low, digits)}–{decimal(high, digits)}"


def signed_interval(low: float | None, high: float | None, digits: int = 3) -> str:
    """Bounds of a difference: ``−0.010 to +0.040``; a dash if there are none."""
    if low is None or high is None:
        return MISSING
    return f"{signed(low, digits)} to {signed(high, digits)}"


def digits_of(values: Iterable[float]) -> int:
    """Decimals that *values* of one column need to be told apart, the same for all of them."""
    known = [v for v in values if math.isfinite(v)]
    largest = max(map(abs, known), default=0.0)
    if all(float(v).is_integer() for v in known) or largest >= 100:
        return 0
    return next((n for n, least in ((1, 10), (2, 0.1), (3, 0.01)) if largest >= least), 4)


def measure(value: float | None, digits: int) -> str:
    """A measured value with *digits* decimals; what is too large or too small for that as ``1.2e5``."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value and (abs(value) >= 100_000 or abs(value) < 0.5 * 10**-digits <= 0.00005):
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa}e{int(exponent)}".replace("-", MINUS)
    return decimal(value, digits)


def whole(value: float | None) -> str:
    """A count, thousands separated; means over seeds that are not whole get one decimal."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def several(counts: Iterable[int]) -> str:
    """Counts that differ: one, two, or from the least to the most."""
    known = sorted(set(counts))
    if len(known) > 2:
        return f"{whole(known[0])} to {whole(known[-1])}"
    return listing(whole(n) for n in known)


def percent(value: float | None, digits: int = 0) -> str:
    """A fraction as per cent."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{100 * value:.{digits}f}%"


def p_value(value: float | None) -> str:
    """A p with its sign: ``= 0.031``, or ``< 0.001``."""
    if value is None or not math.isfinite(value):
        return MISSING
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def p_cell(value: float | None) -> str:
    """A p for a table."""
    return p_value(value).removeprefix("= ")


def duration(seconds: float | None) -> str:
    """Seconds as a person says them."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def day(stamp: str) -> str:
    """``2026-11-22T...`` as ``22 November 2026``; what is no date stays as it is."""
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return stamp
    return f"{moment.day} {moment:%B %Y}"


def clock(stamp: str) -> str:
    """A moment as ``22 November 2026, 14:05 UTC``."""
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return stamp
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def shorten(name: str, most: int = 40) -> str:
    """*name* on one line of at most *most* characters, control characters made visible."""
    line = "".join(c if c.isprintable() else REPLACED for c in name)
    return line if len(line) <= most else line[: most - 1] + "…"


def shorten_apart(names: Sequence[str], most: int) -> list[str]:
    """*names* as by :func:`shorten`, and none like another: names that begin alike are cut in the middle.

    Of a long name that shares its beginning with others, the middle is left out and what follows the shared
    part is kept; names that are still alike get a number. Equal names stay equal but for that number.

    Args:
        most: characters, at least 6 or so; fewer leave room for the number alone.
    """
    lines = [shorten(name, len(name) + 1) for name in names]
    short = [shorten(name, most) for name in names]
    alike = _alike(short)
    for group in alike.values():
        begin = _shared([lines[i] for i in group])
        for i in group:
            short[i] = _cut_middle(lines[i], begin, most)
    taken: set[str] = set()
    number = 0
    for group in _alike(short).values():
        for i in group:
            cut = short[i]
            while short[i] in taken or short.count(short[i]) > 1:
                number += 1
                short[i] = shorten(f"{number} {cut}", most)
            taken.add(short[i])
    return short


def _alike(names: Sequence[str]) -> dict[str, list[int]]:
    """Names that occur more than once, with their positions."""
    places: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        places.setdefault(name, []).append(i)
    return {name: found for name, found in places.items() if len(found) > 1}


def _shared(lines: Sequence[str]) -> int:
    """Letters that all *lines* begin with."""
    least, most = min(lines), max(lines)
    return next(
        (i for i, (a, b) in enumerate(zip(least, most, strict=False)) if a != b), len(least)
    )


def _cut_middle(line: str, begin: int, most: int) -> str:
    """*line* in *most* characters: a third of them its beginning, the others from *begin* on, or its end."""
    if len(line) <= most:
        return line
    head = most // 3
    tail = most - head - 1
    start = max(head, min(begin, len(line) - tail))
    return f"{line[:head]}…{shorten(line[start:], tail)}"


def span(text: str) -> int:
    """Widths of a letter that *text* takes in a drawing; some scripts and signs take two each."""
    return sum(2 if east_asian_width(c) in "WF" or c == REPLACED else 1 for c in text)


def fit(name: str, most: int) -> str:
    """Like :func:`shorten`, for drawings: at most *most* widths of a letter."""
    line = shorten(name, most)
    if span(line) <= most:
        return line
    while span(line) >= most:
        line = line[:-1]
    return line + "…"


def without_paths(text: str) -> str:
    """*text* with every path of the machine cut to its last part: a report travels."""
    return _PATHS.sub(lambda m: "…/" + re.split(r"[\\/]", m[0].rstrip("\\/"))[-1], text)


def mid_sentence(title: str) -> str:
    """A title as it stands inside a sentence: ``Macro F1`` as ``macro F1``; a person keeps the capital."""
    if title.startswith(_PEOPLE):
        return title
    return title[:1].lower() + title[1:] if title[1:2].islower() else title


def listing(items: Iterable[str], last: str = "and") -> str:
    """``a, b and c``."""
    words = list(items)
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def numeral(n: int) -> str:
    """Small numbers as words, as a sentence wants them."""
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    return words[n] if 0 <= n < len(words) else whole(n)


def capital(text: str) -> str:
    """*text* with a capital first letter."""
    return text[:1].upper() + text[1:]


def sentence(text: str) -> str:
    """*text* with a capital first letter and a full stop."""
    text = capital(text.strip())
    return text if not text or text[-1] in ".?!" else f"{text}."
