"""Main text of HTML pages, and Markdown without its front matter.

A page is parsed into flat arrays (:mod:`goldmill.text.markup`), rules say which of its texts are main content
(:mod:`goldmill.text.main_content`), and these are laid out as lines (:mod:`goldmill.text.layout`): navigation, side
bars, footers, banners, dialogs, comments, scripts and hidden elements go; headings, paragraphs, lists (bullets and
numbers), code blocks with their indentation, and table rows (cells apart by tabs) stay. All of it is compiled and
linear in the size of the page, for any markup. docs/decisions/0013-extraction.md says why it is no library.

Markdown stays as it is written: it is readable text, and models should learn it. Only the front matter, which is
metadata of a publishing tool, goes.
"""

from __future__ import annotations

import contextlib
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from resiliparse.parse.encoding import bytes_to_str, detect_encoding

from goldmill.text.compiled import compiled
from goldmill.text.layout import MARKER_BYTES, plain, render
from goldmill.text.main_content import main_content
from goldmill.text.markup import Codes, parse
from goldmill.text.utf8 import Bytes, Offsets, string_buffers


class Extracted(NamedTuple):
    """Text and title of one page; both ``""`` when there is none."""

    text: str
    title: str


# Keys of front matter follow its opening fence at once; a Markdown rule is followed by a blank line or prose.
_YAML_FRONT_MATTER = (
    r"\A\x{FEFF}?---[ \t]*\r?\n(?:#[^\n]*\n)*[A-Za-z_][\w.-]*[ \t]*:"
    r"(?:[^\n]*\n){1,400}?(?:---|\.\.\.)[ \t]*(?:\r?\n|\z)"
)
_TOML_FRONT_MATTER = (
    r"\A\x{FEFF}?\+\+\+[ \t]*\r?\n(?:#[^\n]*\n)*[A-Za-z_][\w.-]*[ \t]*="
    r"(?:[^\n]*\n){1,400}?\+\+\+[ \t]*(?:\r?\n|\z)"
)


def extract_main_text(html: str | bytes, encoding: str | None = None) -> Extracted:
    """Extract what a reader of the page would read.

    Args:
        html: a page, well-formed or not. Lone surrogates become U+FFFD.
        encoding: of ``html`` when it is bytes; when not given, from the byte order mark, the ``<meta>`` element or the
            bytes themselves. An unknown name falls back to that detection.

    Returns:
        Text in lines without trailing white space, non-breaking spaces as spaces; paragraphs apart by a blank line.
        Never raises on malformed markup.
    """
    if isinstance(html, bytes):
        html = _decode(html, encoding)
    # Pairs of surrogates become the character they stand for, lone ones U+FFFD.
    html = html.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    texts, titles = extract_main_texts(pa.array([html], pa.large_string()))
    return Extracted(texts[0].as_py(), titles[0].as_py())


def extract_main_texts(html: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Apply :func:`extract_main_text` to a column of pages.

    Args:
        html: string or large_string, shape (pages,); nulls allowed.

    Returns:
        texts and titles, both of the type of ``html``; null where the page is null.

    Raises:
        TypeError: if ``html`` holds no strings.
    """
    texts, text_ends, titles, title_ends = _extract(*string_buffers(pc.fill_null(html, ""), "html"))
    nulls = html.is_null() if html.null_count else None
    return _strings(texts, text_ends, html.type, nulls), _strings(titles, title_ends, html.type, nulls)


def drop_front_matter(markdown: pa.Array) -> pa.Array:
    """Remove a YAML (``---``) or TOML (``+++``) block of at most 400 lines from the top of each Markdown text.

    Args:
        markdown: string or large_string, shape (documents,); nulls stay.
    """
    texts = pc.replace_substring_regex(markdown, _YAML_FRONT_MATTER, "", max_replacements=1)
    return pc.replace_substring_regex(texts, _TOML_FRONT_MATTER, "", max_replacements=1)


def _decode(html: bytes, encoding: str | None) -> str:
    if encoding is not None:
        with contextlib.suppress(LookupError):
            return str(bytes_to_str(html, encoding, errors="replace"))
    return str(bytes_to_str(html, detect_encoding(html, from_html_meta=True) or "utf-8", errors="replace"))


@compiled
def _extract(data: Bytes, offsets: Offsets) -> tuple[Codes, Offsets, Codes, Offsets]:
    """Texts and titles of pages as bytes and offsets."""
    pages = len(offsets) - 1
    texts, titles = np.empty(1 << 16, np.uint8), np.empty(1 << 10, np.uint8)
    text_ends, title_ends = np.zeros(pages + 1, np.int64), np.zeros(pages + 1, np.int64)
    for row in range(pages):
        page = data[offsets[row] : offsets[row + 1]]
        events, starts, ends, tag_of, parents, flags, count, elements, title_start, title_end = parse(page)
        kept = main_content(page, events, starts, ends, tag_of, parents, flags, count, elements)
        # A character reference is at most twice as long when it is decoded, and each item may have a marker.
        room = np.empty(2 * len(page) + MARKER_BYTES * elements, np.uint8)
        size = render(page, events, starts, ends, tag_of, kept, count, room)
        texts = _appended(texts, text_ends[row], room, size)
        text_ends[row + 1] = text_ends[row] + size
        size = plain(page, title_start, title_end, room)
        titles = _appended(titles, title_ends[row], room, size)
        title_ends[row + 1] = title_ends[row] + size
    return texts[: text_ends[pages]], text_ends, titles[: title_ends[pages]], title_ends


@compiled
def _appended(held: Codes, size: int, more: Codes, count: int) -> Codes:
    """``held[:size]`` and ``more[:count]`` in one buffer, which is a larger one if they do not fit."""
    if size + count > len(held):
        larger = np.empty(2 * (size + count), np.uint8)
        larger[:size] = held[:size]
        held = larger
    held[size : size + count] = more[:count]
    return held


def _strings(data: Codes, offsets: Offsets, kind: pa.DataType, nulls: pa.Array | None) -> pa.Array:
    # Texts are never longer than their pages times two, but a string array of pages may hold all that 32 bits count.
    array = pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))
    if nulls is not None:
        array = pc.if_else(nulls, pa.scalar(None, pa.large_string()), array)
    return array.cast(kind)
