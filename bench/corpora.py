"""Makes the corpora of the contests, in .goldmill/bench: text, HTML and pages labelled by language.

The documents are the documentation that Debian 12 ships in its packages: manuals, guides, books, help pages and
references, in English and 50 other languages. The packages are fetched with apt-get and opened in memory; nothing is
installed.

  text.jsonl       230 MB of text: what resiliparse's main-content rules leave of the pages, DocBook and Mallard without
                   their tags, a dictionary; four fifths English
  html.jsonl       220 MB of pages as they are shipped
  labelled.jsonl   pages whose language is known from where they are shipped; those that are untranslated to more than a
                   tenth are left out
  tokenizer.json   a byte-level BPE of 32,768 entries, trained on the first 16 MiB of the text
  manifest.json    packages, versions, sizes, and the SHA-256 of each corpus

A document is {"id", "text" or "html", "language", "source"}. No document appears twice in a corpus. Every source gives
as much as it has, up to the same cap. The order is drawn by hash, so that the first megabytes are a sample of all.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections import defaultdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import ROOT, SPARK_ENVIRONMENT, table, use_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SEED = 20261124
HOME = Path(os.environ.get("GOLDMILL_HOME", ROOT / ".goldmill")) / "bench"
TOKENIZER = HOME / "tokenizer.json"
# The field of a document that holds what a corpus is about.
CONTENT = {"text": "text", "html": "html", "labelled": "text"}
MEGABYTES = {"text": 230.0, "html": 220.0}

# English packages, and those whose files say their language; the packages of a family are translations of each other.
_ENGLISH = """
abs-guide anarchism bind9-doc debmake-doc dict-gcide docbook-xsl-doc-html erlang-doc exim4-doc-html fp-docs-3.2.2
ghc-doc git-doc lazarus-doc-2.2 libboost1.81-doc libglib2.0-doc libgtk-3-doc libstdc++-12-doc linux-doc-6.12
maxima-doc octave-doc openjdk-17-doc png-definitive-guide postgresql-doc-15 python-astropy-doc python-django-doc
python-pandas-doc python-scipy-doc python-sqlalchemy-doc python-sympy-doc python3.11-doc qtbase5-doc-html
qtdeclarative5-doc-html racket-doc sqlite3-doc vim-doc zsh-doc
""".split()
_LOCALES = (
    "en-us de fr es it pt pt-br nl pl cs hu ru el tr fi sv da ja ko zh-cn zh-tw hi vi ca eu sl et id gl km".split()
)
_TRANSLATED = [
    *(f"libreoffice-help-{locale}" for locale in _LOCALES),
    *(f"debian-reference-{locale}" for locale in "en de fr es it ja pt pt-br zh-cn zh-tw id".split()),
    *("developers-reference", *(f"developers-reference-{locale}" for locale in "fr de ja ru".split())),
    *(f"aptitude-doc-{locale}" for locale in "en fr cs es fi it ja".split()),
    *("debian-faq", *(f"debian-faq-{locale}" for locale in "de fr it ja zh-cn ru nl pt".split())),
    *("lilypond-doc-html", *(f"lilypond-doc-html-{locale}" for locale in "fr es de it ja ca".split())),
    *"apache2-doc debian-handbook gnome-user-docs harden-doc installation-guide-amd64 mate-user-guide".split(),
]
_FAMILIES = re.compile(
    r"libreoffice-help|debian-reference|developers-reference|aptitude-doc|debian-faq|lilypond-doc-html"
)
# ISO 639-1, where it differs from the name of the locale.
_CODES = {"nb": "no", "nn": "no", "C": "en"}
_LANGUAGES = frozenset(
    "af ar as ast be bg bn br bs ca cs da de el en eo es et eu fa fi fr ga gl gu he hi hr hu hy id is it ja ka kk km kn"
    " ko ky lt lv mk ml mr ms nb ne nl nn no oc or pa pl pt ro ru si sk sl sq sr sv ta te th tr uk uz vi zh C".split()
)
_IN_PATH = re.compile(
    r"(?:/(?P<folder>[A-Za-z]{1,3})(?:[-_@][A-Za-z]+)?(?=/)|\.(?P<suffix>[a-z]{2})(?:[-_][A-Za-z]+)?\.html(?:\.gz)?$)"
)
_PAGES = re.compile(r"\.(?:x?html?|page|xml)(?:\.gz)?$")
# Listings, indices, copies of all pages in one, and source code as pages: no documents.
_NO_PAGES = re.compile(
    r"/(?:_sources|_modules|_static|src|src-html|class-use|index-files|search)/|big-page|genindex|-members\.html|-source\.html"
    r"|/(?:allclasses|allpackages|overview-tree|package-tree|package-use|search|toc|doc-index)[^/]*\.html|-use\.html|/Common_Content/"
)
_META_CHARSET = re.compile(rb"<meta[^>]{0,80}charset=[\"']?([A-Za-z0-9_-]+)", re.IGNORECASE)
_LEAST_BYTES, _MOST_BYTES = 400, 2_000_000
_LEAST_TEXT = 200
# What is read of one package; enough for each corpus.
_PACKAGE_BYTES = {"en": 60_000_000, "other": 16_000_000}
_ENGLISH_SHARE = 0.8
_LABELLED_PAGES, _LABELLED_FEWEST = 400, 100


class CorpusError(SystemExit):
    """The corpora cannot be made here; the message says what is needed."""


def main() -> int:
    """Parse the command line, make what is missing, show what there is."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--again", action="store_true", help="make the corpora again from the fetched packages")
    given = made.parse_args()
    use_environment(SPARK_ENVIRONMENT)
    if given.again:
        (HOME / "manifest.json").unlink(missing_ok=True)
    build()
    manifest = json.loads((HOME / "manifest.json").read_text())
    rows = [
        (name, c["documents"], c["bytes"] / 1e6, len(c["languages"]), c["sha256"][:12])
        for name, c in manifest["corpora"].items()
    ]
    print(table(("corpus", "documents", "MB", "languages", "sha256"), rows))
    return 0


def read(corpus: str, megabytes: float | None = None) -> list[dict[str, Any]]:
    """The documents of a corpus, or the first of them that have ``megabytes`` of content.

    Where that is more than there is, variations follow: a document of which every second line is that of another
    document of the same source, each time of a further one. They look like the corpus and share a third of their
    shingles with a document of it, so that near duplicates stay as rare as they are. They are for measuring how cost
    grows, not for measuring quality.
    """
    documents: list[dict[str, Any]] = []
    left = float("inf") if megabytes is None else megabytes * 1e6
    content = CONTENT[corpus]
    with path(corpus).open(encoding="utf-8") as lines:
        for document in chain(map(json.loads, lines), _variations(documents, content) if megabytes else ()):
            documents.append(document)
            left -= len(document[content].encode())
            if left <= 0:
                break
    return documents


def _variations(documents: list[dict[str, Any]], content: str) -> Iterator[dict[str, Any]]:
    # The caller adds the variations to the list: none are made of those.
    originals: list[dict[str, Any]] = list(documents)
    by_source: dict[str, list[list[str]]] = defaultdict(list)
    places = []
    for document in originals:
        places.append(len(by_source[document["source"]]))
        by_source[document["source"]].append(document[content].split("\n"))
    for turn in range(1, max(map(len, by_source.values()), default=0)):
        for document, place in zip(originals, places, strict=True):
            siblings = by_source[document["source"]]
            lines = list(siblings[place])
            other = siblings[(place + turn) % len(siblings)]
            lines[1::2] = (other[at] if at < len(other) else lines[at] for at in range(1, len(lines), 2))
            if turn < len(siblings) and lines != siblings[place]:
                yield document | {"id": f"{document['id']}#{turn}", content: "\n".join(lines)}


def path(corpus: str) -> Path:
    """Where a corpus lies."""
    return HOME / f"{corpus}.jsonl"


def build() -> None:
    """Make the corpora, unless they are there; to be called in the Spark environment.

    Raises:
        CorpusError: this machine has no apt-get, or its Debian lacks a package.
    """
    manifest = HOME / "manifest.json"
    if manifest.exists():
        return
    (HOME / "debs").mkdir(parents=True, exist_ok=True)
    packages = [*_ENGLISH, *_TRANSLATED]
    _fetch(packages)
    pools = {}
    for package in packages:
        print(f"corpora: {package}", file=sys.stderr)
        pools[package] = list(_documents(package))
    corpora = {"text": _text(pools), "html": _html(pools), "labelled": _labelled(pools)}
    described = {name: _write(name, documents) for name, documents in corpora.items()}
    _train_tokenizer()
    versions = {package: _deb(package).name.split("_")[1].replace("%3a", ":") for package in packages}
    manifest.write_text(json.dumps({"seed": SEED, "corpora": described, "packages": versions}, indent=1) + "\n")


def _fetch(packages: list[str]) -> None:
    missing = [package for package in packages if not list((HOME / "debs").glob(f"{package}_*.deb"))]
    if not missing:
        return
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise CorpusError(
            "bench/corpora.py: the corpora are made of packages of Debian 12; this machine has no apt-get"
        )
    # The sandbox user of apt may not write here; nothing is installed.
    command = ["apt-get", "download", "-o", f"APT::Sandbox::User={os.environ.get('USER', 'root')}", *missing]
    done = subprocess.run(
        command, cwd=HOME / "debs", stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, check=False
    )
    if done.returncode:
        raise CorpusError(
            f"bench/corpora.py: {done.stderr.strip()}\nThe corpora are made of packages of Debian 12 (main); run "
            "`apt-get update`, or make them on such a machine and copy .goldmill/bench"
        )


def _deb(package: str) -> Path:
    return sorted((HOME / "debs").glob(f"{package}_*.deb"))[-1]


def _key(*parts: str) -> bytes:
    return hashlib.blake2b("\0".join((str(SEED), *parts)).encode(), digest_size=8).digest()


def _documents(package: str) -> Iterator[dict[str, Any]]:
    """The documents of a package in an order drawn by hash: html where it is HTML, text, language, source."""
    from resiliparse.extract.html2text import extract_plain_text

    if package == "dict-gcide":
        yield from _dictionary(package)
        return
    files = sorted(_files(package), key=lambda file: _key(package, file[0]))
    left = _PACKAGE_BYTES["en" if package in _ENGLISH else "other"]
    if package in {"gnome-user-docs", "installation-guide-amd64", "debian-handbook", "apache2-doc", "harden-doc"}:
        left *= 4
    seen: set[bytes] = set()
    for name, content in files:
        digest = hashlib.blake2b(content, digest_size=16).digest()
        page = None if digest in seen else _decoded(content)
        seen.add(digest)
        if page is None:
            continue
        left -= len(content)
        if left < 0:
            return
        document = {"id": f"{package}/{name}", "language": _language(package, name), "source": package}
        if name.removesuffix(".gz").endswith((".page", ".xml")):
            yield document | {"text": _without_tags(page)}
        else:
            text = extract_plain_text(page, main_content=True, alt_texts=False, preserve_formatting=True)
            yield document | {"html": page, "text": text.strip()}


def _files(package: str) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the pages in a package."""
    command = ["dpkg-deb", "--fsys-tarfile", _deb(package)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as archive,
    ):
        for entry in archive:
            name = entry.name.removeprefix("./usr/share/")
            if not entry.isfile() or not _PAGES.search(name) or _NO_PAGES.search(f"/{name}"):
                continue
            file = archive.extractfile(entry)
            content = file.read() if file else b""
            if name.endswith(".gz"):
                content = gzip.decompress(content)
            if _LEAST_BYTES <= len(content) <= _MOST_BYTES:
                yield name, content


def _decoded(content: bytes) -> str | None:
    declared = _META_CHARSET.search(content[:2048])
    for encoding in ("utf-8", declared[1].decode() if declared else "ascii"):
        try:
            return content.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    return None


def _without_tags(markup: str) -> str:
    """The text of DocBook or Mallard; a block of it is a line."""
    markup = re.sub(r"<!--.*?-->|<\?.*?\?>|<!DOCTYPE.*?\]?>|<info>.*?</info>", "", markup, flags=re.DOTALL)
    markup = re.sub(r"\s+", " ", markup)
    markup = re.sub(r"</(?:p|title|para|item|section|listitem|cite|page|screen|code|td|tr)>", "\n", markup)
    lines = (line.strip() for line in html.unescape(re.sub(r"<[^>]*>", "", markup)).split("\n"))
    return "\n".join(line for line in lines if line)


def _dictionary(package: str) -> Iterator[dict[str, Any]]:
    """Entries of a dictionary, about 4 kB in a document."""
    process = subprocess.run(["dpkg-deb", "--fsys-tarfile", _deb(package)], stdout=subprocess.PIPE, check=True)
    with tarfile.open(fileobj=io.BytesIO(process.stdout)) as archive:
        entry = next(entry for entry in archive if entry.name.endswith(".dict.dz"))
        file = archive.extractfile(entry)
        assert file is not None
        lines = gzip.decompress(file.read()).decode("utf-8", "replace").splitlines()
    held: list[str] = []
    size = number = 0
    for line in lines:
        # An entry begins at the margin.
        if size > 4000 and line[:1].strip():
            yield {"id": f"{package}/{number}", "language": "en", "source": package, "text": "\n".join(held).strip()}
            held, size, number = [], 0, number + 1
        held.append(line.strip())
        size += len(line)


def _language(package: str, name: str) -> str | None:
    """ISO 639-1 code of the language that a file is shipped as; None where its place does not say."""
    if package in _ENGLISH:
        return "en"
    family = _FAMILIES.match(package)
    if family:
        locale = package[family.end() :].strip("-").split("-")[0]
        code = locale or "en"
        # Packages without a locale in their name are English, but may hold other pages.
        found = _IN_PATH.findall(f"/{name}")
        suffix = next((suffix for _, suffix in found if suffix), code)
        return code if suffix == code else None
    for match in _IN_PATH.finditer(f"/{name}"):
        code = match["suffix"] or match["folder"]
        if code in _LANGUAGES:
            return _CODES.get(code, code)
    return "en" if package == "lilypond-doc-html" else None


def _capped(sources: dict[str, list[dict[str, Any]]], field: str, megabytes: float) -> Iterator[dict[str, Any]]:
    """The first documents of each source, up to the one cap that makes the whole as large as asked."""
    sizes = {name: sum(len(d[field].encode()) for d in documents) for name, documents in sources.items()}
    left, cap = megabytes * 1e6, 0.0
    waiting = sorted(sizes.values())
    while waiting:
        cap = left / len(waiting)
        if waiting[0] > cap:
            break
        left -= waiting.pop(0)
    for documents in sources.values():
        used = 0
        for document in documents:
            if used >= cap:
                break
            used += len(document[field].encode())
            yield document


def _text(pools: dict[str, list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    sources: dict[bool, dict[str, list[dict[str, Any]]]] = {True: defaultdict(list), False: defaultdict(list)}
    seen: set[bytes] = set()
    for package, documents in pools.items():
        for document in documents:
            digest = hashlib.blake2b(document["text"].encode(), digest_size=16).digest()
            if len(document["text"]) >= _LEAST_TEXT and digest not in seen:
                seen.add(digest)
                sources[document["language"] == "en"][package].append(document)
    for english, share in ((True, _ENGLISH_SHARE), (False, 1 - _ENGLISH_SHARE)):
        for document in _capped(sources[english], "text", MEGABYTES["text"] * share):
            yield {key: document[key] for key in ("id", "text", "language", "source")}


def _html(pools: dict[str, list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    pages = {package: [d for d in documents if "html" in d] for package, documents in pools.items()}
    for document in _capped(pages, "html", MEGABYTES["html"]):
        yield {key: document[key] for key in ("id", "html", "language", "source")}


def _labelled(pools: dict[str, list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Pages in many languages, English ones among them; equally many of a language from each family that has it."""
    families: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for package in _TRANSLATED:
        family = _FAMILIES.match(package)
        families[family[0] if family else package] += pools[package]
    by_language: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for family, documents in families.items():
        english = {line for d in documents if d["language"] == "en" for line in _lines(d["text"])}
        seen: set[str] = set()
        for document in documents:
            text, language = document["text"], document["language"]
            if language is None or len(text) < _LEAST_TEXT or text in seen:
                continue
            seen.add(text)
            untranslated = sum(len(line) for line in _lines(text) if line in english)
            if language == "en" or untranslated <= 0.1 * len(text):
                by_language[language][family].append(document)
    for language in sorted(by_language):
        chosen = list(_dealt(by_language[language].values(), _LABELLED_PAGES))
        if len(chosen) >= _LABELLED_FEWEST:
            for document in chosen:
                yield {key: document[key] for key in ("id", "text", "html", "language", "source") if key in document}


def _lines(text: str) -> list[str]:
    # Shorter ones (names, commands, menu entries) may be equal in both languages.
    return [line.strip() for line in text.splitlines() if len(line.strip()) >= 20]


def _dealt(sources: Iterable[list[dict[str, Any]]], count: int) -> Iterator[dict[str, Any]]:
    """``count`` documents, one of each source in turn."""
    queues = [iter(documents) for documents in sources]
    while queues and count:
        for queue in list(queues):
            document = next(queue, None)
            if document is None:
                queues.remove(queue)
            elif count:
                count -= 1
                yield document


def _train_tokenizer() -> None:
    from goldmill.rules.packing import TokenizerRules
    from goldmill.text.tokens import train_tokenizer

    rules = TokenizerRules()
    texts = (document["text"] for document in read("text", rules.sample_bytes / 1e6))
    TOKENIZER.write_bytes(train_tokenizer(texts, rules))


def _write(name: str, documents: Iterator[dict[str, Any]]) -> dict[str, Any]:
    """Write a corpus in an order drawn by hash; what the manifest says about it."""
    digest, size, count = hashlib.sha256(), 0, 0
    languages: dict[str, int] = defaultdict(int)
    sources: dict[str, int] = defaultdict(int)
    unfinished = path(name).with_suffix(".part")
    with unfinished.open("wb") as file:
        for document in sorted(documents, key=lambda document: _key(name, document["id"])):
            line = json.dumps(document, ensure_ascii=False).encode() + b"\n"
            file.write(line)
            digest.update(line)
            length = len(document[CONTENT[name]].encode())
            size, count = size + length, count + 1
            languages[document["language"] or "unknown"] += length
            sources[document["source"]] += length
    unfinished.rename(path(name))
    return {
        "documents": count,
        "bytes": size,
        "sha256": digest.hexdigest(),
        "languages": dict(sorted(languages.items())),
        "sources": dict(sorted(sources.items())),
    }


if __name__ == "__main__":
    sys.exit(main())
