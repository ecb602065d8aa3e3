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

grain\tprice
rye\t3

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


PROSE = "<p>This mill has stood by the river since 1720, and it still grinds.</p>" * 4
ASIDE = "<p>Buy our flour now: it is cheap, and fresh.</p>"


@pytest.mark.parametrize(
    "opened",
    [
        "nav",
        "aside",
        "footer",
        "form><button",
        "header",
        "div hidden",
        "div aria-hidden=true",
        "div style='color: red; Display: none'",
        "div role=navigation",
        "div class=cookie-banner",
        "div class='x entry-comments'",
        "div id=relatedArticles",
        "section class=share_tools",
    ],
)
def test_what_is_no_content_goes_but_not_with_most_of_the_page(opened: str) -> None:
    closed = "".join(f"</{tag.split()[0]}>" for tag in reversed(opened.split("><")))
    page = f"<main><h1>Mill</h1>{PROSE}<{opened}>{ASIDE}{closed}</main>"
    assert "flour" not in extract_main_text(page).text
    assert extract_main_text(page).text.count("river") == 4
    wrapped = f"<div class='with-sidebar related'><h1>Mill</h1>{PROSE}</div>"
    assert extract_main_text(wrapped).text.count("river") == 4


def test_what_a_class_denies_or_a_box_of_prose_stays() -> None:
    box = "<p>The stones weigh a ton, the wheel is six metres high, and both turn slowly.</p>" * 3
    for name in ("has-comments no-footer", "sidebar"):
        page = f"<div>{PROSE * 3}<div class='{name}'>{box}</div>{PROSE}</div>"
        assert extract_main_text(page).text.count("stones") == 3


def test_prose_that_is_hidden_until_a_script_shows_it_is_read() -> None:
    assert extract_main_text(f"<p>Loading</p><div style='display:none'>{PROSE}</div>").text.count("river") == 4


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>one<p>two<div>three</div>four", "one\n\ntwo\n\nthree\nfour"),
        ("<ul><li><p>a</p><p>b</p></li><li><ol><li>c<li>d</ol></ul>e", "  • a\nb\n    1. c\n    2. d\n\ne"),
        ("<dl><dt>term<dd>meaning<dt>other</dl>", "term\nmeaning\nother"),
        ("<table><tr><td><p>a</p><td><p>b</p><tr><td>c<td>d</table>", "a\tb\nc\td"),
        ("<pre>\n  a\n\n   b  \nc\n</pre>end", "  a\n\n   b\nc\n\nend"),
        ("a<br>b<br><br><br>c", "a\nb\n\nc"),
        ("x<b>y</b> <i> z</i>\xa0\xa0w", "xy z w"),
        (
            "Mühl\xadrad &shy;&notit; &NotEqualTilde; &#150; &#x1F600; &hellip; &copy",
            "Mühlrad ¬it; ≂̸ \u2013 \U0001f600 … ©",
        ),
        ("a < b <3 <!-- c > --> d <!> e </ f> g", "a < b <3 d e g"),
        ("<a href=x>y<p>z</a>w", "y\n\nzw"),
        ("<span>a<div>b</span>c</div>d", "a\nbc\nd"),
        ("<p>line\u3000\n<br>next\u2003</p>", "line\nnext"),
        ("<textarea><p>x</textarea>y<TITLE>t</TITLE>", "y"),
    ],
)
def test_the_layout_of_text(html: str, expected: str) -> None:
    assert extract_main_text(html).text == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>fish &amp chips &#x110000; &nope; &#0; &lt", "fish & chips \ufffd &nope; \ufffd <"),
        ("<p>a\ud800b \ud83d\ude00", "a\ufffdb \U0001f600"),
        ("<div>" * 50_000 + "deep", "deep"),
        ("<a href=x><div>" * 50_000 + "</b></i>" * 50_000 + "</a><p>deep", "deep"),
        ("<b>" * 50_000 + "<span>" * 50_000 + "</em></a>" * 50_000 + "spans", "spans"),
        ("<p " + " ".join(f"a{n}='>'" for n in range(60_000)) + ">many attributes</p>", "many attributes"),
        ("<b><p>" * 5_000 + "mended", "mended"),
        ("<table><tr><td>" * 3_000 + "nested", "nested"),
        ("<p>" + "x" * 10_000_000, "x" * 10_000_000),
        ("plain words, no markup", "plain words, no markup"),
    ],
    ids=["entities", "surrogates", "depth", "ends", "spans", "attributes", "formatting", "tables", "10MB", "plain"],
)
def test_hostile_markup_is_read_in_bounded_time(html: str, expected: str) -> None:
    begin = time.perf_counter()
    assert extract_main_text(html).text == expected
    assert time.perf_counter() - begin < 20


def test_lists_in_lists_are_read_in_bounded_time() -> None:
    begin = time.perf_counter()
    lines = extract_main_text("<ul><li>x" * 300_000).text.split("\n")
    assert time.perf_counter() - begin < 20
    assert [line.strip() for line in lines] == ["• x"] * 300_000


def test_ten_megabytes_of_many_small_lists_are_read_in_bounded_time() -> None:
    begin = time.perf_counter()
    text = extract_main_text("<ul><li>item</li></ul>" * 450_000).text
    assert time.perf_counter() - begin < 20
    assert text.startswith("  • item\n")


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


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.none(), MARKUP), max_size=6), st.integers(0, 3))
def test_a_page_does_not_depend_on_its_neighbours(pages: list[str | None], skipped: int) -> None:
    texts, titles = extract_main_texts(pa.array(pages, pa.string()).slice(skipped))
    alone = [None if page is None else extract_main_text(page) for page in pages[skipped:]]
    assert texts.to_pylist() == [page and page.text for page in alone]
    assert titles.to_pylist() == [page and page.title for page in alone]


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
