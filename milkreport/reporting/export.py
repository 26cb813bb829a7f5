"""What other documents take from a report: its tables as LaTeX and Markdown, its figures, a summary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path

from milkreport.atomic import write_bytes, write_text
from milkreport.errors import printable
from milkreport.inside import within
from milkreport.markdown import head, line, plain
from milkreport.reporting.blocks import Cell, Table
from milkreport.reporting.figures.svg import for_paper
from milkreport.reporting.view import ReportView

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
    "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$", "±": r"$\pm$",
    "–": "--", "≈": r"$\approx$", "×": r"$\times$", "†": r"\dag{}", "‡": r"\ddag{}", "\u00a0": "~",
    "✓": r"$\surd$", "✗": r"$\times$", "○": r"$\circ$", "<": r"\textless{}", ">": r"\textgreater{}",
    "*": r"\textasteriskcentered{}", "…": r"\ldots{}", "’": "'", "“": "``", "”": "''", "—": "---",
}  # fmt: skip


def write_export(view: ReportView, pictures: Mapping[str, bytes], out: Path) -> list[Path]:
    """Write ``tables/*.tex`` and ``*.md``, ``figures/*.svg`` and ``*.png``, and ``summary.md`` into *out*.

    Args:
        pictures: PNG bytes by figure, see :func:`milkreport.reporting.figures.svg.keeping_pictures`.

    Returns:
        the folders and the summary.

    Raises:
        EnvironmentProblem: nothing can be written there. DataError: one of the folders is a link.
    """
    tables, figures = within(out, "tables"), within(out, "figures")
    for table in find_tables(view):
        write_text(tables / f"{table.key}.tex", as_latex(table))
        write_text(tables / f"{table.key}.md", as_markdown(table))
    for figure in view.figures:
        write_text(figures / f"{figure.key}.svg", for_paper(figure.svg) + "\n")
    for key, picture in pictures.items():
        write_bytes(figures / f"{key}.png", picture)
    write_text(out / "summary.md", summarise(view))
    return [out / "summary.md", tables, figures]


def find_tables(part: object) -> Iterator[Table]:
    """Every table of a view, in reading order."""
    if isinstance(part, Table):
        yield part
    elif is_dataclass(part):
        for field in fields(part):
            yield from find_tables(getattr(part, field.name))
    elif isinstance(part, tuple):
        for item in part:
            yield from find_tables(item)


def as_latex(table: Table) -> str:
    """The table for ``booktabs``: a float with caption and label, notes below it."""
    columns = "".join("l" if i == 0 or c.text else "r" for i, c in enumerate(table.columns))
    rows = []
    for group in table.groups:
        if group.title:
            rows.append(
                rf"\multicolumn{{{table.width}}}{{l}}{{\textit{{{_latex(group.title)}}}}} \\"
            )
        for row in group.rows:
            cells = " & ".join(_latex(_text(cell)) for cell in row.cells)
            rows.append((r"\midrule" + "\n" if row.kind == "total" else "") + cells + r" \\")
    notes = [rf"\textit{{{_latex(n.mark)}}} {_latex(n.text)}" for n in table.footnotes]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_latex(table.caption)}}}",
        rf"\label{{tab:{table.key}}}",
        r"\small",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(_latex(column.title) for column in table.columns) + r" \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        *([r"\par\smallskip\footnotesize " + r" \quad ".join(notes)] if notes else []),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def as_markdown(table: Table) -> str:
    """The table as Markdown, its caption above, notes below."""
    lines = [f"**{plain(table.caption)}**", "", head([column.title for column in table.columns])]
    for group in table.groups:
        if group.title:
            lines.append(line([group.title] + [""] * (table.width - 1)))
        lines += [line([_text(cell) for cell in row.cells]) for row in group.rows]
    notes = [f"{plain(n.mark)} {plain(n.text)}" for n in table.footnotes]
    return "\n".join([*lines, *(["", *notes] if notes else [])]) + "\n"


def summarise(view: ReportView) -> str:
    """The first page for a pull request: question, result, verdict, the table."""
    s = view.summary
    parts = [f"### {plain(view.title)}", ""]
    if view.banner:
        parts += [f"> **{plain(view.banner)}**", ""]
    if view.partial:
        parts += [f"> {plain(view.partial)}", ""]
    parts += [
        f"{plain(s.question)} {plain(s.data)}",
        "",
        f"**{plain(s.result)}** {plain(s.reach)}",
        "",
    ]
    if s.badge:
        parts += [f"{s.badge.symbol} **{s.badge.word}** {plain(s.badge.text)}".strip(), ""]
    for asked in view.review.worst:
        parts += [
            f"{asked.badge.symbol} **{asked.code} {asked.badge.word}** {plain(asked.text)}",
            "",
        ]
    for table in (s.binary, s.pairs, s.table):
        if table is not None:
            parts += [as_markdown(table)]
    return "\n".join(parts)


def _text(cell: Cell) -> str:
    mark = f" {cell.mark}" if cell.mark else ""
    return f"{cell.text}{mark} ({cell.note})" if cell.note else f"{cell.text}{mark}"


def _latex(text: str) -> str:
    # A no-break space is meant; any other odd character is not typeset.
    kept = "\u00a0".join(printable(part) for part in text.split("\u00a0"))
    return "".join(_LATEX.get(c, c) for c in kept)
