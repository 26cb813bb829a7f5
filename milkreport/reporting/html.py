"""View to markup. Everything is escaped, and what is missing from a view is an error, never a blank."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from milkreport.reporting.blocks import Figure, in_columns
from milkreport.reporting.figures.svg import for_page, for_paper
from milkreport.reporting.view import ReportView
from milkreport.resources import resource_folder

# Faces of the one bundled family: file, weight, style.
_FACES = (
    ("Inter-Regular", 400, "normal"),
    ("Inter-Italic", 400, "italic"),
    ("Inter-SemiBold", 600, "normal"),
    ("Inter-Bold", 700, "normal"),
)


def render_html(view: ReportView) -> str:
    """The report as one page that needs no network and, to be read, no script."""
    scripts = ("report.js", "cases.js") if view.cases else ("report.js",)
    return render_page("report.html.j2", view, scripts=scripts)


def render_print(view: ReportView) -> str:
    """The same report laid out for :func:`milkreport.reporting.pdf.write_pdf`."""
    return render_page("report.html.j2", view, paper=True)


def render_page(
    template: str, view: object, paper: bool = False, scripts: Sequence[str] = ("report.js",)
) -> str:
    """*template*, which extends ``page.html.j2``, filled from *view*; *scripts* run on a page."""
    environment = Environment(
        loader=FileSystemLoader(resource_folder("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def drawing(figure: Figure) -> Markup:
        # The only markup that does not come from a template: our own SVG, whose text is escaped.
        return Markup(for_paper(figure.svg) if paper else for_page(figure.svg))

    environment.globals["drawing"] = drawing
    environment.globals["in_columns"] = in_columns
    script = "" if paper else "".join(map(_asset, scripts))
    page = environment.get_template(template).render(
        view=view,
        paper=paper,
        fonts=Markup(_font_faces()),
        style=Markup(_asset("report.css") + (_asset("print.css") if paper else "")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    return page + "\n"


def _asset(name: str) -> str:
    return (resource_folder("templates") / name).read_text(encoding="utf-8")


@cache
def _font_faces() -> str:
    """The bundled font as ``data:`` URIs: the page looks the same everywhere, offline too."""
    faces = []
    for name, weight, style in _FACES:
        data = (resource_folder("templates") / "fonts" / f"{name}.woff2").read_bytes()
        faces.append(
            f"@font-face{{font-family:Inter;font-weight:{weight};font-style:{style};"
            f"src:url(data:font/woff2;base64,{base64.b64encode(data).decode()}) format('woff2')}}"
        )
    return "\n".join(faces)
