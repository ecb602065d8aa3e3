"""Main text of HTML pages (resiliparse), and Markdown without its front matter.

HTML goes through resiliparse's main-content rules, which drop navigation, side bars, footers, banners, dialogs, scripts
and hidden elements, and keep headings, paragraphs, lists (bullets and numbers), code blocks with their indentation, and
table rows (cells apart by tabs). Three things are added here:

- A bulleted list within three levels of ``<body>`` is taken for a menu by resiliparse. It is kept when less than half
  of its text is links, else every simply written page would lose its lists.
- Its main-content rules walk from each node up to ``<body>``, and it indents each list item by its depth. A page with
  more than 512 levels, or with so many elements and levels that the walk would take seconds, is read without rules and
  layout: all visible text, boilerplate included, as one line.
- Its parser compares each attribute with all earlier ones of the tag. A tag with more than 256 loses its attributes.

So the time for a page is bounded by its size. Markdown stays as it is written: it is readable text, and models should
learn it. Only the front matter, which is metadata of a publishing tool, goes.
"""

from __future__ import annotations

import contextlib
import re
from functools import cache
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import bytes_to_str, detect_encoding
from resiliparse.parse.html import DocumentNode, HTMLTree


class Extracted(NamedTuple):
    """Text and title of one page; both ``""`` when there is none."""

    text: str
    title: str


# Steps from nodes towards <body>, about 40 ns each: two seconds for the worst page that is read by the rules.
_MAX_STEPS = 50_000_000
_MAX_DEPTH = 512
# Attributes a tag may have before they are dropped; a shorter page cannot hold enough of them to matter.
_MAX_ATTRIBUTES = 256
_MIN_SIZE_FOR_MANY_ATTRIBUTES = 40_000
_MENU_DEPTH = 3
# Lists looked at on each level; 60 us each.
_MAX_LISTS = 2000
_MAX_LINK_SHARE = 0.5

_ATTRIBUTE = r"""[\s/]++[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+"?+|'[^']*+'?+|[^\s>]*+))?+"""
_TAG = re.compile(
    r"<!--.*?(?:-->|\Z)"
    r"|<(?:script|style)\b.*?(?:</(?:script|style)|\Z)"
    rf"|<(?P<name>[a-z][^\s/>]*+)(?P<attributes>(?:{_ATTRIBUTE})*+)",
    re.IGNORECASE | re.DOTALL,
)
_ATTRIBUTES = re.compile(_ATTRIBUTE)
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
    if not html or html.isspace():
        return Extracted("", "")
    tree = HTMLTree.parse(_drop_endless_attributes(html))
    title = " ".join((tree.title or "").split())
    document, body = tree.document, tree.body
    if document is None or body is None:
        return Extracted("", title)
    if _is_too_deep(document, html.count("<")):
        text = extract_plain_text(tree, main_content=False, preserve_formatting=False, alt_texts=False)
    else:
        _shelter_lists(document)
        text = extract_plain_text(tree, main_content=True, alt_texts=False)
    lines = (line.rstrip() for line in text.replace("\xa0", " ").split("\n"))
    return Extracted("\n".join(lines).strip("\n"), title)


def extract_main_texts(html: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Apply :func:`extract_main_text` to a column of pages.

    Args:
        html: string or large_string, shape (pages,); nulls allowed.

    Returns:
        texts and titles, both of the type of ``html``; null where the page is null.
    """
    pages = [None if page is None else extract_main_text(page) for page in html.to_pylist()]
    texts = pa.array([None if page is None else page.text for page in pages], html.type)
    return texts, pa.array([None if page is None else page.title for page in pages], html.type)


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


def _drop_endless_attributes(html: str) -> str:
    if len(html) < _MIN_SIZE_FOR_MANY_ATTRIBUTES:
        return html

    def bounded(tag: re.Match[str]) -> str:
        attributes = tag["attributes"]
        if attributes is None or len(attributes) <= 2 * _MAX_ATTRIBUTES:
            return tag[0]
        many = sum(1 for _ in _ATTRIBUTES.finditer(attributes)) > _MAX_ATTRIBUTES
        return f"<{tag['name']}" if many else tag[0]

    return _TAG.sub(bounded, html)


def _is_too_deep(document: DocumentNode, tags: int) -> bool:
    """Whether reading a page of at most ``tags`` elements by the rules might exceed the levels or steps allowed."""
    depth = max(16, min(_MAX_DEPTH, _MAX_STEPS // max(tags, 1)))
    return tags >= depth and document.query_selector(_chain(depth)) is not None


@cache
def _chain(depth: int) -> str:
    """A selector for any element with at least ``depth`` - 1 ancestors."""
    return " > ".join(["*"] * depth)


def _shelter_lists(document: DocumentNode) -> None:
    """Move content lists near ``<body>`` out of reach of the rule that takes them for menus.

    Node lists are sliced, never iterated: resiliparse evaluates the whole query again for each item.
    """
    for depth in range(_MENU_DEPTH):
        for menu in document.query_selector_all("body > " + "* > " * depth + "ul")[:_MAX_LISTS]:
            links = sum(len(link.text or "") for link in menu.get_elements_by_tag_name("a")[:])
            if links >= _MAX_LINK_SHARE * len(menu.text or " ") or menu.closest("nav, header, footer, aside"):
                continue
            outer = inner = document.create_element("div")
            for _ in range(_MENU_DEPTH - 1):
                wrapped = document.create_element("div")
                inner.append_child(wrapped)
                inner = wrapped
            menu.replace_with(outer)
            inner.append_child(menu)
