"""The documentation site: builds strictly, without the network; every page is on it and asks for nothing."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import pytest
import typer

import milkreport
from milkreport.cli import app
from tests.reporting.test_browser import CHROMIUM, Opened, browser  # noqa: F401

#: True once the search has its index, and says so instead of that it is starting.
READY = """() => {
    const said = document.querySelector(".md-search-result__meta")
    return said && !said.textContent.includes("Initializing")
}"""
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
from commands import PAGE, leaves, page  # noqa: E402

sys.path.pop(0)

#: Replaces the socket, so that a build that asks for anything fails with it.
NO_NETWORK = (
    "import socket, sys\n"
    "def refuse(*_, **__): raise AssertionError('the build opens a connection')\n"
    "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
    "from mkdocs.__main__ import cli\n"
    "cli(sys.argv[1:])\n"
)


def build(folder: Path, target: Path) -> subprocess.CompletedProcess[str]:
    words = ["build", "--strict", "--config-file", "mkdocs.yml", "--site-dir", str(target)]
    return subprocess.run(
        [sys.executable, "-c", NO_NETWORK, *words],
        cwd=folder,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="the extra docs is not installed")
    target = tmp_path_factory.mktemp("docs") / "site"
    done = build(ROOT, target)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


@pytest.mark.slow
def test_every_page_is_on_the_site(site: Path) -> None:
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert {path.stem for path in site.glob("*.html")} == pages | {"404"}
    index = (site / "index.html").read_text(encoding="utf-8")
    linked = set(re.findall(r'href="(\w+)\.html"', index))
    assert linked >= pages - {"index"}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What the site is built from, to be spoilt."""
    for name in ("docs", "experiments", "examples", "scripts", "milkreport"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / "copy" / name, ignore=ignored)
    for name in ("mkdocs.yml", "CITATION.cff", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / "copy" / name)
    return tmp_path / "copy"


#: What is wrong, where, how, and what the build says of it.
SPOILT = {
    "no page": ("docs/faq.md", "\n[x](nowhere.md)\n", "nowhere.md"),
    "no heading": (
        "docs/faq.md",
        "\n[x](metrics.md#nowhere)\n",
        "no such anchor|not contain an anchor",
    ),
    "no file": ("docs/faq.md", "\n[x](../experiments/nowhere.toml)\n", "nowhere.toml"),
    "no navigation": ("docs/new.md", "# New\n", "not included in the .nav.*\\s+- new.md"),
    "no such name": ("docs/api.md", "\n::: milkreport.nothing\n", "milkreport.nothing"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", SPOILT)
def test_a_page_that_is_wrong_fails_the_build(what: str, copy: Path, tmp_path: Path) -> None:
    """Negative controls."""
    pytest.importorskip("material", reason="the extra docs is not installed")
    name, text, told = SPOILT[what]
    with (copy / name).open("a", encoding="utf-8") as file:
        file.write(text)
    done = build(copy, tmp_path / "site")
    assert done.returncode != 0
    assert re.search(told, done.stdout + done.stderr), done.stderr


class InferenceInputs(HTMLParser):
    """What a browser fetches for a page: never what only a click would."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "link" and given.get("rel") not in ("canonical", "next", "prev"):
            self.urls.append(given.get("href") or "")
        if tag in ("script", "img", "iframe", "source", "embed", "video", "audio"):
            self.urls.append(given.get("src") or "")
        self.urls += re.findall(r"url\(([^)]+)\)", given.get("style") or "")


def asked(html: str) -> list[str]:
    parser = InferenceInputs()
    parser.feed(html)
    return [url for url in parser.urls if url]


def elsewhere(urls: list[str]) -> list[str]:
    return [url for url in urls if re.match(r"['\"]?(?:\w+:)?//", url)]


def test_no_page_asks_for_anything_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        urls = asked(path.read_text(encoding="utf-8"))
        assert len(urls) > 3, path
        assert elsewhere(urls) == [], path
        for url in urls:
            if path.name != "404.html":  # its links begin at the server's root
                local = urljoin(path.as_uri(), url.partition("?")[0].partition("#")[0])
                assert Path(local.removeprefix("file://")).is_file(), f"{path.name}: {url}"
    for path in site.rglob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        urls = re.findall(r"url\(([^)]+)\)|@import\s+([^;]+)", text)
        assert elsewhere([one or other for one, other in urls]) == [], path


@pytest.mark.parametrize(
    "html",
    [
        '<link rel="stylesheet" href="https://fonts.example.org/css">',
        '<link rel="preconnect" href="//fonts.example.org">',
        '<script src="https://cdn.example.org/x.js"></script>',
        '<img src="http://example.org/x.png">',
        '<p style="background: url(https://example.org/x.png)">',
    ],
)
def test_what_is_fetched_from_elsewhere_is_seen(html: str) -> None:
    """Negative controls."""
    assert len(elsewhere(asked(html))) == 1
    assert elsewhere(asked('<a href="https://example.org">a link</a><img src="x.png">')) == []


def test_the_search_index_holds_every_page(site: Path) -> None:
    text = (site / "search" / "search_index.js").read_text(encoding="utf-8")
    docs = json.loads(text.removeprefix("var __index = "))["docs"]
    assert {doc["location"].partition("#")[0].partition(".")[0] for doc in docs} >= {
        path.stem for path in (ROOT / "docs").glob("*.md")
    } - {"index"}
    assert any("INCONCLUSIVE" in doc["title"] for doc in docs)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_search_finds_a_page_that_is_opened_from_disk(browser, site: Path) -> None:  # noqa: F811
    opened = Opened(browser, site / "index.html")
    # The page says when its index is ready. It listens for keys, which fill() does not press.
    opened.page.click("input.md-search__input")
    opened.page.wait_for_function(READY, timeout=90_000)
    opened.page.locator("input.md-search__input").press_sequentially("inconclusive")
    opened.page.wait_for_selector(".md-search-result__item a", timeout=90_000)
    first = opened.page.get_attribute(".md-search-result__item a", "href")
    assert first is not None
    assert re.search(r"(faq|checking|gating|reproducing|reading_the_report)\.html", first)
    assert [url for url in opened.asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert opened.said == []
    opened.context.close()


def test_the_command_page_is_what_the_help_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python scripts/commands.py"


def test_every_command_and_option_is_on_the_command_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    found = dict(leaves(typer.main.get_command(app.app)))
    assert len(found) > 15
    assert "milkreport data cache list" in found
    for call, command in found.items():
        section = text.partition(f"\n## {call}\n")[2].partition("\n## ")[0]
        assert section, call
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert all(f"`{opt}" in section for opt in parameter.opts), (call, parameter.name)


def named_on(text: str) -> Iterator[str]:
    """Names that the page of the Python functions documents."""
    for path in re.findall(r"^::: (\S+)$", text, re.MULTILINE):
        yield path.rpartition(".")[2]


def test_every_public_name_is_on_the_page_of_python() -> None:
    named = set(named_on((ROOT / "docs" / "api.md").read_text(encoding="utf-8")))
    assert set(milkreport.__all__) - {"__version__"} <= named
    for name in milkreport.__all__:
        assert hasattr(milkreport, name)


def test_the_python_of_the_pages_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.test_doc_commands import write_tables

    write_tables(tmp_path / "tables")
    monkeypatch.chdir(tmp_path / "tables")
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(ast.parse(code), "docs/api.md", "exec"), names)
    assert names["suite"].training.epochs == 10  # type: ignore[attr-defined]
    assert 0 < names["part"].metrics["macro_f1"].value < 1  # type: ignore[attr-defined]
