"""Main text of HTML pages and Markdown front matter."""

from __future__ import annotations

import time

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldmill.text.extract import Extracted, drop_front_matter, extract_main_text, extract_main_texts

PAGE = """<!doctype html>
<html><head><title> How a mill
 works &amp; why </title><style>p { color: red }</style></head>
<body>
<nav><ul><li><a href="/">Home</a></li><li><a href="/about">About us</a></li></ul></nav>
<main><article>
<h1>How a mill works</h1>
<p>Grain goes in at the&nbsp;<b>top</b>, flour comes out.<br>Bran, too.</p>
<ul><li>wheat is the usual grain</li><li>rye <a href="/rye">grows</a> further north<ul><li>and oats</li></ul></li></ul>
<ol><li>clean</li><li>grind</li></ol>
<pre><code>def grind(grain):
    if grain:
        return "flour"
</code></pre>
<table><tr><th>grain</th><th>price</th></tr><tr><td>rye</td><td>3</td></tr></table>
<h2>Stones</h2>
<p>They turn slowly.   </p>
<p hidden>Nobody sees this.</p>
</article></main>
<div class="cookie-banner">We use cookies.</div>
<footer>Copyright of nobody</footer>
<script>var tracked = "<p>not text</p>";</script>
</body></html>"""

TEXT = """How a mill works

Grain goes in at the top, flour comes out.
Bran, too.

  • wheat is the usual grain
  • rye grows further north
    • and oats
  1. clean
  2. grind
def grind(grain):
    if grain:
        return "flour"
grain\t\tprice
rye\t\t3

Stones

They turn slowly."""


def test_a_page_gives_its_readable_text_and_title() -> None:
    assert extract_main_text(PAGE) == Extracted(TEXT, "How a mill works & why")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_bytes_in_a_named_encoding(encoding: str) -> None:
    html = "<title>Müller</title><p>Mühle und Körner</p>"
    assert extract_main_text(html.encode(encoding), encoding) == Extracted("Mühle und Körner", "Müller")


def test_bytes_in_the_encoding_of_the_meta_element_even_if_the_given_one_is_unknown() -> None:
    html = '<meta charset="windows-1252"><p>Mühle – für 3 €</p>'.encode("cp1252")
    assert extract_main_text(html).text == "Mühle – für 3 €"
    assert extract_main_text(html, "no-such-encoding").text == "Mühle – für 3 €"


@pytest.mark.parametrize(
    "html",
    [
        "",
        " \n ",
        "<script>" + "var x = 1;" * 1000,
        "<!-- " + "words " * 1000,
        "<html><frameset><frame src=x></frameset></html>",
        "<svg>" * 5000,
        "<a b='" * 20_000,
        "<nav><ul><li><a href=x>Home</a></ul></nav>",
    ],
)
def test_a_page_without_text_gives_none(html: str) -> None:
    assert extract_main_text(html).text == ""


def test_a_title_alone_is_no_text() -> None:
    assert extract_main_text("<title>only this</title>") == Extracted("", "only this")


def test_a_menu_is_dropped_where_a_list_in_the_text_is_kept() -> None:
    menu = "<ul><li><a href=1>First page</a><li><a href=2>Second page</a></ul>"
    content = "<ul><li>a fact without links<li>another fact</ul>"
    for depth in range(7):
        opened, closed = "<div>" * depth, "</div>" * depth
        assert extract_main_text(f"{opened}{content}{closed}").text == "  • a fact without links\n  • another fact"
    assert extract_main_text(f"<p>Text.</p>{menu}").text == "Text."
    assert extract_main_text(f"<aside>{content}</aside><p>Text.</p>").text == "Text."


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>fish &amp chips &#x110000; &nope; &#0; &lt", "fish & chips \ufffd &nope; \ufffd <"),
        ("<p>a\ud800b \ud83d\ude00", "a\ufffdb \U0001f600"),
        ("<div>" * 50_000 + "deep", "deep"),
        ("<ul><li>x" * 3_000, " ".join("x" * 3_000)),
        ("<p " + " ".join(f"a{n}='>'" for n in range(60_000)) + ">many attributes</p>", "many attributes"),
        ("<b><p>" * 5_000 + "mended", "mended"),
        ("<table><tr><td>" * 3_000 + "nested", "nested"),
        ("<p>" + "x" * 10_000_000, "x" * 10_000_000),
        ("plain words, no markup", "plain words, no markup"),
    ],
    ids=["entities", "surrogates", "depth", "lists", "attributes", "formatting", "tables", "10MB", "plain"],
)
def test_hostile_markup_is_read_in_bounded_time(html: str, expected: str) -> None:
    begin = time.perf_counter()
    assert extract_main_text(html).text == expected
    assert time.perf_counter() - begin < 20


def test_ten_megabytes_of_many_small_lists_are_read_in_bounded_time() -> None:
    begin = time.perf_counter()
    text = extract_main_text("<ul><li>item</li></ul>" * 450_000).text
    assert time.perf_counter() - begin < 20
    assert text.startswith("  • item\n")


def test_a_tag_within_the_limit_keeps_its_attributes() -> None:
    padding = "<p>" + "words " * 8_000 + "</p>"
    attributes = " ".join(f"data-a{n}=1" for n in range(200))
    assert "secret" not in extract_main_text(f"{padding}<p {attributes} hidden>secret</p>").text
    assert (
        "secret" in extract_main_text(f"{padding}<p {attributes} {attributes.replace('a', 'b')} hidden>secret</p>").text
    )


TAGS = """<p> </p> <ul> <li> <div> </div> <table> <td> <pre> <a <a href=' " > <!-- --> <script> </script> <svg> &amp &#x
    <title> <body> <main> <nav> <math> <template> <select> <option> <h1> <br> </br> <![CDATA[ ]]> <? <"""
MARKUP = st.lists(st.one_of(st.sampled_from(TAGS.split()), st.text(max_size=8), st.just(" ")), max_size=40).map("".join)


@settings(max_examples=300, deadline=None)
@given(MARKUP)
def test_any_markup_gives_clean_text(html: str) -> None:
    text, title = extract_main_text(html)
    text.encode("utf-8")
    assert text == text.strip("\n")
    assert "\xa0" not in text
    assert all(line == line.rstrip() for line in text.split("\n"))
    assert title == " ".join(title.split())


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_give_text(html: bytes) -> None:
    extract_main_text(html).text.encode("utf-8")


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_a_column_of_pages(kind: pa.DataType) -> None:
    pages = pa.array(["<title>skipped</title>", PAGE, None, ""], kind).slice(1)
    texts, titles = extract_main_texts(pages)
    assert texts == pa.array([TEXT, None, ""], kind)
    assert titles == pa.array(["How a mill works & why", None, ""], kind)


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("---\ntitle: Mill\ntags: [a]\n---\n# Mill\n", "# Mill\n"),
        ("\ufeff---\r\ntitle: Mill\r\n---\r\n# Mill\r\n", "# Mill\r\n"),
        ("---\n# a comment\ntitle: Mill\n...\nText", "Text"),
        ("+++\ntitle = 'Mill'\n+++\nText", "Text"),
        ("---\ntitle: Mill\n---", ""),
        ("---\n\nA rule, then text: here\n\n---\nMore", None),
        ("---\nNo key here\n---\nMore", None),
        ("---\ntitle: never closed\n# Mill\n", None),
        ("# Mill\n---\ntitle: not at the top\n---\n", None),
        ("", None),
        (None, None),
    ],
)
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_front_matter_goes_and_nothing_else(markdown: str | None, expected: str | None, kind: pa.DataType) -> None:
    kept = markdown if expected is None else expected
    assert drop_front_matter(pa.array([markdown], kind)) == pa.array([kept], kind)
