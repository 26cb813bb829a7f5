"""Finds turns of phrase that a reader stops at, in everything that anyone reads; part of ``make lint``.

Each pattern stands beside what to write instead. It reads Markdown outside code, templates, and the comments,
docstrings and other texts of the code. Exit code 1 if there is any.

    python scripts/plain_english.py [FILE...]
"""

from __future__ import annotations

import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

_EACH = "(class|arm|seed|fold|epoch|case|row|image|training|file|lesion)"
_COUNTED = (
    "(class|arm|fold|case|image|column|threshold|probability|cells?|seconds?|times?|rows?|seeds?)"
)
_END = r"(?=[),.;:\"']|$| (was|is|not|are|and|or|could)\b)"

#: Pattern to what says it plainly. Case does not matter.
PATTERNS = {
    rf"\b{_COUNTED} an? {_EACH}\b": "per",
    rf"\b(if|where|that|which|what|who|it|one|some) lacks?\b{_END}": "is missing",
    r"\b(do|does|can|could) not tell\b": "the interval includes the margin; cannot be decided",
    r"\bunlike with unlike\b": "not comparable",
    r"\btold of\b": "reported",
    r"\bheld against\b": "compared with",
    r"\bwhat (they|it) rests? on\b": "explanation",
    r"\bin passing\b": "(say when)",
    r"\bknows of\b": "has, reads",
    r"\bgives? (the diagnosis|it) away\b": "reveals",
    r"\bof then\b": "from that time",
    r"\bas it must\b": "as required",
    r"\bspoke for\b": "raised the score of",
    r"\bsurest of\b": "most confident",
    r"\blike with like\b": "comparable",
    r"\btoo sure\b": "overconfident",
    r"\bheld to be\b": "counts as",
    r"\bturned round\b": "exchanged",
    r"\bas a hint\b": "as rough",
    r"\bcarry the value\b": "the value depends on",
    r"\bnothing to divide by\b": "the denominator is 0",
    r"\bhash to\b": "the hash of",
    r"\b(is|are) no (sample|result)\b": "is not a",
}


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Line number and text of what a reader reads in *path*."""
    raw = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        code = False
        for number, line in enumerate(raw.splitlines(), 1):
            if line.lstrip().startswith("```"):
                code = not code
            elif not code:
                yield number, re.sub(r"`[^`]*`|\{[{%].*?[%}]\}", "`x`", line)
        return
    kinds = {tokenize.COMMENT, tokenize.STRING}
    kinds |= {getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    for token in tokenize.generate_tokens(io.StringIO(raw).readline):
        if token.type in kinds:
            for offset, line in enumerate(token.string.splitlines()):
                yield token.start[0] + offset, re.sub(r"`[^`]*`|\{[^}]*\}", "`x`", line)


def find(path: Path) -> Iterator[str]:
    """A line for each pattern that is found in *path*."""
    for number, line in texts(path):
        for pattern, instead in PATTERNS.items():
            if found := re.search(pattern, line, re.IGNORECASE):
                yield f"{path.relative_to(ROOT)}:{number}: {found[0]!r}: {instead}"


def read_by_people() -> list[Path]:
    """Everything that the check is made for."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "templates").rglob("*.j2")]
    return sorted([*found, *(ROOT / "milkreport").rglob("*.py")])


def main(arguments: list[str]) -> int:
    """Print every finding; 1 if there is one."""
    found = [
        line
        for path in (map(Path, arguments) if arguments else read_by_people())
        for line in find(path.resolve())
    ]
    print("\n".join(found) if found else "plain English: nothing found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
