"""What a file is, told by its name and, where the name says nothing, by its first bytes."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

DataType = Literal["jsonl", "parquet", "warc", "html", "markdown", "text", "code", "archive", "binary", "unknown"]
Compression = Literal["gzip", "bzip2", "xz", "zstd"]
Container = Literal["tar", "zip"]

HEAD_BYTES = 64 * 1024
"""How much of a file :func:`sniff` wants to see."""

COMPRESSIONS: dict[str, Compression] = {
    ".gz": "gzip",
    ".gzip": "gzip",
    ".bz2": "bzip2",
    ".xz": "xz",
    ".zst": "zstd",
    ".zstd": "zstd",
}
_COMPRESSED_TARS: dict[str, Compression] = {".tgz": "gzip", ".tbz2": "bzip2", ".txz": "xz", ".tzst": "zstd"}
_ZIPS = frozenset({".zip", ".whl", ".jar", ".egg", ".epub"})

_LANGUAGE_EXTENSIONS = {
    "ada": "adb ads",
    "assembly": "asm s",
    "awk": "awk",
    "batchfile": "bat cmd",
    "c": "c h",
    "c#": "cs",
    "c++": "cc cpp cxx c++ hh hpp hxx h++ inl ipp",
    "clojure": "clj cljs cljc edn",
    "cmake": "cmake",
    "cobol": "cob cbl",
    "coffeescript": "coffee",
    "common-lisp": "lisp lsp",
    "crystal": "cr",
    "css": "css",
    "cuda": "cu cuh",
    "cython": "pyx pxd pxi",
    "d": "d",
    "dart": "dart",
    "elixir": "ex exs",
    "elm": "elm",
    "emacs-lisp": "el",
    "erlang": "erl hrl",
    "f#": "fs fsx fsi",
    "fortran": "f for f77 f90 f95 f03 f08",
    "glsl": "glsl vert frag geom",
    "go": "go",
    "graphql": "graphql gql",
    "groovy": "groovy gradle",
    "haskell": "hs lhs",
    "hcl": "tf hcl",
    "ini": "ini cfg conf properties",
    "java": "java",
    "javascript": "js mjs cjs jsx",
    "json": "ipynb geojson json5",
    "julia": "jl",
    "kotlin": "kt kts",
    "less": "less",
    "lua": "lua",
    "makefile": "mk mak",
    "matlab": "m",
    "nim": "nim",
    "nix": "nix",
    "objective-c": "mm",
    "ocaml": "ml mli",
    "pascal": "pas pp",
    "perl": "pl pm",
    "php": "php",
    "powershell": "ps1 psm1 psd1",
    "prolog": "pro",
    "protocol-buffer": "proto",
    "python": "py pyi pyw",
    "r": "r",
    "racket": "rkt",
    "ruby": "rb rake gemspec",
    "rust": "rs",
    "sass": "sass scss",
    "scala": "scala sc",
    "scheme": "scm ss",
    "shell": "sh bash zsh ksh",
    "solidity": "sol",
    "sql": "sql",
    "swift": "swift",
    "systemverilog": "sv svh",
    "tcl": "tcl",
    "tex": "tex sty cls bib",
    "thrift": "thrift",
    "toml": "toml",
    "typescript": "ts tsx mts cts",
    "verilog": "v vh",
    "vhdl": "vhd vhdl",
    "viml": "vim",
    "visual-basic": "vb bas",
    "vue": "vue",
    "xml": "xml xsl xslt xsd svg plist",
    "yaml": "yaml yml",
    "zig": "zig",
}
LANGUAGES_BY_EXTENSION = {
    f".{extension}": language
    for language, extensions in _LANGUAGE_EXTENSIONS.items()
    for extension in extensions.split()
}
LANGUAGES_BY_NAME = {
    "makefile": "makefile",
    "gnumakefile": "makefile",
    "dockerfile": "dockerfile",
    "containerfile": "dockerfile",
    "cmakelists.txt": "cmake",
    "rakefile": "ruby",
    "gemfile": "ruby",
    "vagrantfile": "ruby",
    "jenkinsfile": "groovy",
    "build": "starlark",
    "build.bazel": "starlark",
    "workspace": "starlark",
}
_INTERPRETERS = {
    "python": "python",
    "pypy": "python",
    "sh": "shell",
    "bash": "shell",
    "zsh": "shell",
    "ksh": "shell",
    "dash": "shell",
    "perl": "perl",
    "ruby": "ruby",
    "node": "javascript",
    "php": "php",
    "lua": "lua",
    "awk": "awk",
    "gawk": "awk",
    "tclsh": "tcl",
    "rscript": "r",
}

_DOCUMENT_EXTENSIONS: dict[str, tuple[DataType, str]] = {
    ".jsonl": ("jsonl", "application/jsonl"),
    ".ndjson": ("jsonl", "application/jsonl"),
    ".parquet": ("parquet", "application/vnd.apache.parquet"),
    ".parq": ("parquet", "application/vnd.apache.parquet"),
    ".warc": ("warc", "application/warc"),
    ".wet": ("warc", "application/warc"),
    ".html": ("html", "text/html"),
    ".htm": ("html", "text/html"),
    ".xhtml": ("html", "application/xhtml+xml"),
    ".md": ("markdown", "text/markdown"),
    ".markdown": ("markdown", "text/markdown"),
    ".mdx": ("markdown", "text/markdown"),
    ".rst": ("markdown", "text/x-rst"),
    ".txt": ("text", "text/plain"),
    ".text": ("text", "text/plain"),
    ".log": ("text", "text/plain"),
    ".csv": ("text", "text/csv"),
    ".tsv": ("text", "text/tab-separated-values"),
    ".srt": ("text", "text/plain"),
}

_BINARY_EXTENSIONS = frozenset(
    f".{extension}"
    for extension in (
        "7z a aac accdb arc arrow avi avro bin bmp class dat db dcm dll dmg doc docx dylib eot exe feather flac flv "
        "gif h5 hdf5 icns ico img iso jpeg jpg lib lz4 m4a mat mkv mo mov mp3 mp4 mpeg mpg msi npy npz o obj odp ods "
        "odt ogg onnx orc otf pb pcap pdf pickle pkl png ppt pptx psd pt pth pyc pyd pyo rar rlib rpm safetensors "
        "snappy so sqlite sqlite3 swf tif tiff ttf wasm wav webm webp wmv woff woff2 xls xlsx zarr"
    ).split()
)
_SHARED_LIBRARY = re.compile(r"\.so(\.\d+)+$")

_BINARY_MAGIC = (
    b"\x7fELF",
    b"\x89PNG\r\n",
    b"GIF87a",
    b"GIF89a",
    b"\xff\xd8\xff",
    b"%PDF-",
    b"\xca\xfe\xba\xbe",
    b"\xcf\xfa\xed\xfe",
    b"OggS\0",
    b"SQLite format 3\0",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\x07",
    b"\0asm",
    b"ARROW1",
    b"Obj\x01",
)
_COMPRESSION_MAGIC: tuple[tuple[bytes, Compression], ...] = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
_HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.I | re.S
)


@dataclass(frozen=True)
class Format:
    """What to do with a file.

    Attributes:
        data_type: which reader takes it; "unknown" asks for :func:`sniff`.
        media_type: of the content, e.g. "text/markdown", "text/x-python".
        compression: the layer around it, None if there is none.
        container: "tar" or "zip" where ``data_type`` is "archive".
        name: the file name without the extension of the compression.
    """

    data_type: DataType
    media_type: str
    name: str
    compression: Compression | None = None
    container: Container | None = None


def format_of(name: str) -> Format:
    """Tell what a file is by its ``name``, which may be a path; the content is not looked at."""
    base = posixpath.basename(name)
    stem, extension = posixpath.splitext(base)
    extension = extension.lower()
    if extension in _COMPRESSED_TARS:
        return Format("archive", "application/x-tar", f"{stem}.tar", _COMPRESSED_TARS[extension], "tar")
    compression = COMPRESSIONS.get(extension)
    if compression is not None:
        base = stem
        extension = posixpath.splitext(base)[1].lower()
    data_type, media_type, container = _by_name(base, extension)
    return Format(data_type, media_type, base, compression, container)


def data_type_of(name: str) -> DataType:
    """The kind of content a file name promises: "jsonl", "parquet", ..., "unknown" where it promises nothing."""
    return format_of(name).data_type


def language_of(media_type: str) -> str | None:
    """The programming language in the media type of a source file ("text/x-python" -> "python"), None for others."""
    language = media_type.removeprefix("text/x-")
    return language if language != media_type and language in _LANGUAGES else None


def sniff(name: str, head: bytes, text_fields: Sequence[str]) -> Format:
    """Tell what a file with an uninformative ``name`` is by its first bytes.

    Args:
        name: file name, without the extension of any compression already undone.
        head: the first bytes, up to ``HEAD_BYTES`` of them.
        text_fields: keys that make a line of JSON a document.
    """
    for magic, compression in _COMPRESSION_MAGIC:
        if head.startswith(magic):
            return Format("unknown", "application/octet-stream", name, compression)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return Format("archive", "application/zip", name, container="zip")
    if head[257:262] == b"ustar":
        return Format("archive", "application/x-tar", name, container="tar")
    if head.startswith(b"PAR1"):
        return Format("parquet", "application/vnd.apache.parquet", name)
    if head.startswith((b"WARC/1.", b"WARC/0.")):
        return Format("warc", "application/warc", name)
    if head.startswith(_BINARY_MAGIC):
        return Format("binary", "application/octet-stream", name)
    if _HTML_START.match(head):
        return Format("html", "text/html", name)
    if _starts_with_json_document(head, text_fields):
        return Format("jsonl", "application/jsonl", name)
    if name.lower().endswith(".json"):
        return Format("code", "text/x-json", name)
    language = _language_of_shebang(head)
    if language is not None:
        return Format("code", f"text/x-{language}", name)
    return Format("text", "text/plain", name)


_LANGUAGES = frozenset(LANGUAGES_BY_EXTENSION.values()) | frozenset(LANGUAGES_BY_NAME.values())


def _by_name(base: str, extension: str) -> tuple[DataType, str, Container | None]:
    language = LANGUAGES_BY_NAME.get(base.lower()) or LANGUAGES_BY_EXTENSION.get(extension)
    if language is not None:
        return "code", f"text/x-{language}", None
    if extension in _DOCUMENT_EXTENSIONS:
        return *_DOCUMENT_EXTENSIONS[extension], None
    if extension == ".tar":
        return "archive", "application/x-tar", "tar"
    if extension in _ZIPS:
        return "archive", "application/zip", "zip"
    if extension in _BINARY_EXTENSIONS or _SHARED_LIBRARY.search(base.lower()):
        return "binary", "application/octet-stream", None
    return "unknown", "application/octet-stream", None


def _starts_with_json_document(head: bytes, text_fields: Sequence[str]) -> bool:
    # A pretty-printed object has a first line of "{" alone; one document a line has its text on it.
    line, newline, _ = head.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")
    if not line.startswith(b"{") or (newline and not line.rstrip().endswith(b"}")):
        return False
    keys = "|".join(re.escape(field) for field in text_fields)
    return re.search(rf'"(?:{keys})"\s*:\s*"'.encode(), line) is not None


def _language_of_shebang(head: bytes) -> str | None:
    if not head.startswith(b"#!"):
        return None
    words = head[2:].partition(b"\n")[0].decode("ascii", "replace").split()
    programs = [posixpath.basename(word) for word in words if not word.startswith("-")]
    if programs and programs[0] == "env":
        programs = programs[1:]
    return _INTERPRETERS.get(programs[0].rstrip("0123456789.").lower()) if programs else None
