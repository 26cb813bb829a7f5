"""Hooks of the documentation site (``mkdocs.yml``): the files beside ``docs/`` that pages link to.

A page links to ``../experiments/paper.toml``, which is right in the repository. The site holds a copy of
every shipped suite and reference under ``files/``, and its links lead there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
FOLDER = "files"
#: What the site holds a copy of.
COPIED = ("experiments/*.toml", "experiments/*/*.toml", "examples/*", "CITATION.cff", "LICENSE")

_LINK = re.compile(r"\]\(\.\./(?=[\w])")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the copies."""
    for pattern in COPIED:
        for path in sorted(p for p in ROOT.glob(pattern) if p.is_file()):
            name = f"{FOLDER}/{path.relative_to(ROOT).as_posix()}"
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Lead links that leave ``docs/`` to the copies; one without a copy is then reported by mkdocs."""
    return _LINK.sub(f"]({FOLDER}/", markdown)
