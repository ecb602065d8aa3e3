"""What the demo mills: real text and code that every machine has, or the reader's own data.

| source | objects | from |
|---|---|---|
| `stdlib` | loose `.py` files | the standard library |
| `packages` | `.tar.gz`, one a package | source and Markdown of the installed packages |
| `descriptions` | `.jsonl.gz`, `.jsonl.zst` | long descriptions of packages, one file an environment |
| `licenses` | loose `.txt` files | their licence texts |
| `web` | `.warc.gz` | the other descriptions as project pages, the library's documentation, HTML files of packages |

The same machine always gives the same bytes: everything is sorted, and no file carries a time.
"""

from __future__ import annotations

import email.message
import gzip
import hashlib
import html
import io
import json
import posixpath
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import uuid
from email.parser import BytesParser
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import fsspec
import zstandard
from markdown_it import MarkdownIt

from goldmill.demo.processes import DemoError
from goldmill.landing.objects import land_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_Name = TypeVar("_Name", str, Path)

DEFAULT_MEGABYTES = 60
# Share of each source in the raw bytes; together 1.
SHARES = {"stdlib": 0.25, "packages": 0.47, "web": 0.2, "descriptions": 0.05, "licenses": 0.03}
# No package may crowd out the others.
_PACKAGE_BYTES = 2_000_000
_PAGES_PER_WARC = 150
_PROJECT_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{name} {version}</title></head>
<body>
<nav><ul><li><a href="/">Home</a></li><li><a href="/help/">Help</a></li><li><a href="/login/">Log in</a></li></ul></nav>
<main><article><h1>{name} {version}</h1>
{body}
</article></main>
<footer><a href="/terms/">Terms of use</a> <a href="/privacy/">Privacy</a> <a href="/status/">Status</a></footer>
</body></html>
"""
_WARC_DATE = "2026-01-01T00:00:00Z"


def land_default_input(landing_uri: str, environments: list[Path], stamp: Path, megabytes: float) -> int:
    """Land the default input and return the number of objects that were new.

    Args:
        landing_uri: the landing area.
        environments: roots of the virtual environments whose packages are taken.
        stamp: file that remembers what was landed; nothing is collected again while that still holds.
        megabytes: raw size of all sources together, in 10**6 bytes.
    """
    packages = [_site_packages(environment) for environment in environments]
    key = _stamp_key(packages, megabytes)
    if stamp.exists():
        landed = json.loads(stamp.read_text())
        filesystem, root = fsspec.core.url_to_fs(landing_uri)
        if landed["key"] == key and all(filesystem.exists(posixpath.join(root, name)) for name in landed["objects"]):
            return 0
    collectors: dict[str, Callable[[int], Iterator[tuple[str, bytes]]]] = {
        "stdlib": lambda budget: _stdlib(budget),
        "packages": lambda budget: _packages(packages, budget),
        "descriptions": lambda budget: _descriptions(packages, budget),
        "licenses": lambda budget: _licenses(packages, budget),
        "web": lambda budget: _web(packages, budget),
    }
    names, news = [], 0
    for source, collect in collectors.items():
        for name, content in collect(int(megabytes * 1e6 * SHARES[source])):
            names.append(f"{source}/{name}")
            news += _land(content, landing_uri, names[-1])
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(json.dumps({"key": key, "objects": names}))
    return news


def land_own_input(uri: str, landing_uri: str) -> int:
    """Land a directory, file or URI of the reader under a source of its base name; returns the new objects.

    Raises:
        DemoError: there is nothing at ``uri``, it cannot be read, or it holds no visible file.
    """
    try:
        filesystem, root = fsspec.core.url_to_fs(str(Path(uri).expanduser()) if "://" not in uri else uri)
        root = root.rstrip("/")
        if not filesystem.exists(root):
            raise DemoError(
                f"INPUT={uri}: there is no such file or directory; check the path, relative to {Path.cwd()}"
            )
        is_file = filesystem.isfile(root)
        paths = [root] if is_file else sorted(filesystem.find(root))
    except (OSError, ImportError, ValueError) as error:
        raise DemoError(f"INPUT={uri}: cannot be opened ({error}); check the address and its credentials") from error
    base = posixpath.basename(root)
    # The source of one file is its name without endings.
    source = base.split(".")[0] if is_file else base
    news = visible = 0
    for path in paths:
        relative = posixpath.basename(path) if is_file else path[len(root) :].lstrip("/")
        if any(part.startswith(".") or part.endswith((".part", ".tmp", "~")) for part in relative.split("/")):
            continue
        visible += 1
        with tempfile.TemporaryDirectory() as directory:
            local = Path(directory) / "object"
            filesystem.get_file(path, str(local))
            news += _land(local, landing_uri, f"{source.lstrip('.') or 'input'}/{relative}")
    if not visible:
        raise DemoError(
            f"INPUT={uri}: it holds no file (hidden and unfinished ones are passed over); name another place"
        )
    return news


def _land(content: bytes | Path, landing_uri: str, key: str) -> bool:
    """Land an object unless the same bytes are there; whether it was landed."""
    filesystem, root = fsspec.core.url_to_fs(landing_uri)
    target = posixpath.join(root, key)
    if filesystem.exists(target):
        with filesystem.open(target, "rb") as there, _opened(content) as here:
            if hashlib.file_digest(there, "sha256").digest() == hashlib.file_digest(here, "sha256").digest():
                return False
    land_file(content, landing_uri, key)
    return True


def _opened(content: bytes | Path) -> io.BytesIO | io.BufferedReader:
    return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")


def _site_packages(environment: Path) -> Path:
    found = sorted(environment.glob("lib/python3.*/site-packages"))
    if not found:
        raise DemoError(f"{environment} is no virtual environment; run `make setup`")
    return found[0]


def _stamp_key(packages: list[Path], megabytes: float) -> str:
    installed = [sorted(path.name for path in site.glob("*.dist-info")) for site in packages]
    state = json.dumps(
        [sys.version, installed, megabytes, SHARES, hashlib.sha256(Path(__file__).read_bytes()).hexdigest()]
    )
    return hashlib.sha256(state.encode()).hexdigest()


def _within(files: Iterable[tuple[_Name, bytes]], budget: int) -> Iterator[tuple[_Name, bytes]]:
    """The first files, as many as fit into ``budget`` bytes."""
    used = 0
    for name, content in files:
        used += len(content)
        if used > budget:
            return
        yield name, content


def _stdlib(budget: int) -> Iterator[tuple[str, bytes]]:
    root = Path(sysconfig.get_path("stdlib"))
    left_out = {"site-packages", "test", "tests", "idle_test", "__pycache__"}
    paths = (path for path in sorted(root.rglob("*.py")) if not left_out & set(path.relative_to(root).parts))
    yield from _within(((str(path.relative_to(root)), path.read_bytes()) for path in paths), budget)


def _packages(sites: list[Path], budget: int) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    for site in sites:
        for package in sorted(path for path in site.iterdir() if (path / "__init__.py").is_file()):
            # What both environments have is taken once.
            if package.name in seen or package.name.startswith((".", "_")):
                continue
            seen.add(package.name)
            paths = (path for path in sorted(package.rglob("*")) if path.suffix in {".py", ".md"} and path.is_file())
            files = [
                (str(path.relative_to(site)), content)
                for path, content in _within(((p, p.read_bytes()) for p in paths), min(_PACKAGE_BYTES, budget))
            ]
            budget -= sum(len(content) for _, content in files)
            if files:
                yield f"{package.name}.tar.gz", _tar(files)
            if budget <= 0:
                return


def _tar(files: list[tuple[str, bytes]]) -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as stream, tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _descriptions(sites: list[Path], budget: int) -> Iterator[tuple[str, bytes]]:
    compress: list[tuple[str, Callable[[bytes], bytes]]] = [
        ("gz", lambda content: gzip.compress(content, mtime=0)),
        ("zst", zstandard.ZstdCompressor().compress),
    ]
    for site, (suffix, compressed) in zip(sites, compress, strict=False):
        lines = (
            (name, _description(metadata))
            for name in _distributions(site)
            if not _has_page(name, metadata := _metadata(site / name))
        )
        described = ((name, line) for name, line in lines if line is not None)
        content = b"".join(line for _, line in _within(described, budget // len(sites)))
        yield f"{site.parents[2].name.lstrip('.')}.jsonl.{suffix}", compressed(content)


def _distributions(site: Path) -> list[str]:
    return sorted(path.name for path in site.glob("*.dist-info") if (path / "METADATA").is_file())


def _metadata(distribution: Path) -> email.message.Message:
    return BytesParser().parsebytes((distribution / "METADATA").read_bytes())


def _has_page(distribution: str, metadata: email.message.Message) -> bool:
    """Whether the description goes to the web archive: half of those in Markdown, chosen by the package's name."""
    package = distribution.partition("-")[0].lower()
    is_markdown = str(metadata.get("Description-Content-Type", "")).startswith("text/markdown")
    return is_markdown and hashlib.sha256(package.encode()).digest()[0] % 2 == 0


def _description(metadata: email.message.Message) -> bytes | None:
    body = metadata.get_payload(decode=True)
    text = body.decode("utf-8", errors="replace").strip() if isinstance(body, bytes) else ""
    if not text:
        return None
    record = {
        "text": text,
        "url": metadata.get("Home-page") or _project_url(metadata),
        "name": metadata["Name"],
        "license": metadata.get("License-Expression"),
    }
    return json.dumps({key: value for key, value in record.items() if value}).encode() + b"\n"


def _project_url(metadata: email.message.Message) -> str | None:
    # "Homepage, <address>"; a name in the address tells packages of one home apart.
    for entry in metadata.get_all("Project-URL", []):
        label, _, address = str(entry).partition(",")
        if label.strip().lower() in {"homepage", "home", "documentation"}:
            return str(address.strip())
    return None


def _licenses(sites: list[Path], budget: int) -> Iterator[tuple[str, bytes]]:
    def files() -> Iterator[tuple[str, bytes]]:
        seen: set[str] = set()
        for site in sites:
            for name in _distributions(site):
                for path in sorted((site / name).rglob("*")):
                    key = f"{name.removesuffix('.dist-info')}/{path.name.lstrip('.').removesuffix('.txt')}.txt"
                    if (
                        path.name.upper().startswith(("LICEN", "COPYING", "NOTICE"))
                        and path.is_file()
                        and key not in seen
                    ):
                        seen.add(key)
                        yield key, path.read_bytes()

    yield from _within(files(), budget)


def _web(sites: list[Path], budget: int) -> Iterator[tuple[str, bytes]]:
    pages = list(_within(_pages(sites), budget))
    for first in range(0, len(pages), _PAGES_PER_WARC):
        content = b"".join(_warc_record(address, page) for address, page in pages[first : first + _PAGES_PER_WARC])
        yield f"pages-{first // _PAGES_PER_WARC:03}.warc.gz", content


def _pages(sites: list[Path]) -> Iterator[tuple[str, bytes]]:
    yield from _project_pages(sites)
    with subprocess.Popen(
        [sys.executable, "-I", "-m", "goldmill.demo.pages"],
        # Empty but for the hash seed, which orders the sets that pydoc prints.
        env={"PYTHONHASHSEED": "0", "PYTHONIOENCODING": "utf-8"},
        cwd=tempfile.gettempdir(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as renderer:
        try:
            for line in renderer.stdout or ():
                page = json.loads(line)
                yield f"http://localhost/library/{page['name']}.html", page["html"].encode()
        finally:  # the budget may be spent before all is rendered
            renderer.kill()
    for site in sites:
        for path in sorted(site.rglob("*.htm*")):
            if path.is_file():
                yield f"http://localhost/packages/{path.relative_to(site)}", path.read_bytes()


def _project_pages(sites: list[Path]) -> Iterator[tuple[str, bytes]]:
    """The pages that a package index would make of the descriptions: what is to be read, between menus and footers."""
    render = MarkdownIt("commonmark").enable("table").render
    seen: set[str] = set()
    for site in sites:
        for distribution in _distributions(site):
            metadata = _metadata(site / distribution)
            if distribution in seen or not _has_page(distribution, metadata):
                continue
            seen.add(distribution)
            body = metadata.get_payload(decode=True)
            text = body.decode("utf-8", errors="replace") if isinstance(body, bytes) else ""
            name, version = html.escape(str(metadata["Name"])), html.escape(str(metadata["Version"]))
            page = _PROJECT_PAGE.format(name=name, version=version, body=render(text))
            yield f"http://localhost/project/{name}/", page.encode()


def _warc_record(address: str, page: bytes) -> bytes:
    """One response record, compressed by itself (ISO 28500:2017, WARC 1.1)."""
    body = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + page
    headers = {
        "WARC-Type": "response",
        "WARC-Record-ID": f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, address)}>",
        "WARC-Target-URI": address,
        "WARC-Date": _WARC_DATE,
        "Content-Type": "application/http; msgtype=response",
        "Content-Length": str(len(body)),
    }
    head = "WARC/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
    return gzip.compress(head.encode() + body + b"\r\n\r\n", mtime=0)
