import codecs
import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from goldmill.text.decode import Decoded, DecodeError, clean, decode

GERMAN = "Die Straße führt über die Brücke zu den schönen Häusern, in denen die Bäcker früh am Morgen Brötchen backen. "
RUSSIAN = "Съешь же ещё этих мягких французских булок, да выпей чаю: всё равно дождь идёт, и спешить нам некуда. "
JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所で泣いていた。"
CHINESE = "天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。寒来暑往，秋收冬藏。闰余成岁，律吕调阳。"
PLAIN = "text/plain"


@pytest.mark.parametrize("text", [GERMAN, RUSSIAN, JAPANESE, "plain ASCII", "", "emoji 👩‍👩‍👧 and combining e\u0301"])
def test_utf_8(text: str) -> None:
    assert decode(text.encode(), None, PLAIN) == Decoded(text, "utf-8", 0)
    assert decode(codecs.BOM_UTF8 + text.encode(), "latin-1", PLAIN) == Decoded(text, "utf-8", 0)


@pytest.mark.parametrize("order", ["le", "be"])
@pytest.mark.parametrize("width", ["utf-16", "utf-32"])
@pytest.mark.parametrize("text", [GERMAN, RUSSIAN, JAPANESE])
def test_a_byte_order_mark_beats_what_is_declared(width: str, order: str, text: str) -> None:
    encoding = f"{width}-{order}"
    payload = "\ufeff".encode(encoding) + text.encode(encoding)
    for declared in (None, "utf-8", "latin-1"):
        assert decode(payload, declared, PLAIN) == Decoded(text, encoding, 0)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", [GERMAN, RUSSIAN, "short"])
def test_wide_encodings_without_a_mark(encoding: str, text: str) -> None:
    for declared in (None, "utf-8", "latin-1"):
        assert decode(text.encode(encoding), declared, PLAIN) == Decoded(text, encoding, 0)


def test_a_declared_wide_encoding_is_little_endian_without_a_mark() -> None:
    assert decode(JAPANESE.encode("utf-16-le"), "UTF-16", PLAIN) == Decoded(JAPANESE, "utf-16-le", 0)
    assert decode(b"ASCII text", "utf-16", PLAIN) == Decoded("ASCII text", "utf-8", 0)


@pytest.mark.parametrize(
    ("text", "encoding", "declared"),
    [
        (GERMAN, "utf-8", "iso-8859-1"),
        (RUSSIAN, "utf-8", "windows-1251"),
        (JAPANESE, "utf-8", "shift_jis"),
        (GERMAN, "cp1252", "utf-8"),
        (RUSSIAN * 3, "cp1251", "utf-8"),
        (RUSSIAN * 3, "koi8-r", "utf-8"),
        (JAPANESE, "shift_jis", "utf-8"),
        (JAPANESE, "euc_jp", "utf-8"),
        (CHINESE, "gb18030", "utf-8"),
        (CHINESE, "gb18030", "no-such-encoding"),
        (CHINESE, "gb18030", "unicode_escape"),
        (CHINESE, "gb18030", "base64"),
        (JAPANESE, "shift_jis", "ascii"),
    ],
)
def test_a_wrong_declaration_is_found_out(text: str, encoding: str, declared: str) -> None:
    decoded = decode(text.encode(encoding), declared, PLAIN)
    assert decoded.text == text
    assert decoded.replaced == 0
    assert text.encode(decoded.encoding) == text.encode(encoding)


def test_latin_1_with_characters_of_windows_is_windows() -> None:
    text = "“Smart quotes” cost 5 €…"
    assert decode(text.encode("cp1252"), "iso-8859-1", PLAIN) == Decoded(text, "cp1252", 0)
    assert decode(b"caf\xe9", "iso-8859-1", PLAIN) == Decoded("café", "iso8859-1", 0)


@pytest.mark.parametrize(
    ("media_type", "head"),
    [
        ("text/html", '<html><head><meta charset="windows-1251"><p>'),
        ("text/html", "<meta http-equiv=Content-Type content='text/html; charset=windows-1251'>"),
        ("application/xhtml+xml", '<?xml version="1.0" encoding="windows-1251"?>'),
        ("text/x-xml", "<?xml version='1.0' encoding='windows-1251'?>"),
        ("text/x-python", "#!/usr/bin/python\n# -*- coding: windows-1251 -*-\n"),
        ("text/x-python", "# vim: set fileencoding=windows-1251 :\n"),
    ],
)
def test_declarations_inside_the_payload(media_type: str, head: str) -> None:
    payload = f"{head}{RUSSIAN[:5]}".encode("cp1251")
    assert decode(payload, None, media_type) == Decoded(head + RUSSIAN[:5], "cp1251", 0)
    assert decode(payload, "utf-8", media_type).encoding == "cp1251"


def test_a_declaration_inside_that_cannot_be_true_is_ignored() -> None:
    page = '<meta charset="utf-16"><p>Grüße'
    assert decode(page.encode(), None, "text/html") == Decoded(page, "utf-8", 0)


def test_seven_bit_encodings_are_taken_at_their_word() -> None:
    payload = JAPANESE.encode("iso2022_jp")
    assert payload.isascii()
    assert decode(payload, "ISO-2022-JP", PLAIN) == Decoded(JAPANESE, "iso2022_jp", 0)


def test_utf_8_with_a_few_flaws_stays_utf_8() -> None:
    payload = (RUSSIAN * 5).encode()
    decoded = decode(payload[:-3] + b"\xff", "utf-8", PLAIN)
    assert (decoded.encoding, decoded.replaced) == ("utf-8", 2)
    assert decoded.text.startswith(RUSSIAN * 4)
    decoded = decode(b"an old \xef\xbf\xbd and " + payload[:-1], None, PLAIN)
    assert (decoded.encoding, decoded.replaced) == ("utf-8", 1) or payload.endswith(b" ")


def test_characters_are_kept_as_written() -> None:
    text = "e\u0301 \ufb01 \u00a0 \u200b \u2028 \t\x0b\x0c ＡＢＣ"
    assert decode(text.encode(), None, PLAIN).text == text


def test_line_ends_and_nuls() -> None:
    assert decode(b"a\r\nb\rc\n\rd\0e, and a tail", None, PLAIN) == Decoded("a\nb\nc\n\nde, and a tail", "utf-8", 0, 1)
    assert decode("a\0b\0 and a longer tail".encode("utf-16"), None, PLAIN).nuls_removed == 2
    assert clean("a\r\nb\0 and a tail") == ("a\nb and a tail", 1)


@pytest.mark.parametrize(
    "payload",
    [
        b"\x7fELF\x02\x01\x01" + bytes(200),
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + random.Random(1).randbytes(500),
        random.Random(2).randbytes(5000),
        bytes(100),
        bytes(range(32)) * 10,
    ],
)
def test_binary_payloads_are_refused(payload: bytes) -> None:
    for declared in (None, "utf-8", "latin-1"):
        with pytest.raises(DecodeError, match=r"is binary: .*; convert it to text"):
            decode(payload, declared, PLAIN)


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1", "cp1251", "shift_jis", "gb18030", "koi8-r"])
@given(data=st.data())
def test_declared_text_comes_back(encoding: str, data: st.DataObject) -> None:
    # Shift-JIS writes yen and overline with the codes of backslash and tilde.
    ambiguous = "\\~¥‾" if encoding == "shift_jis" else ""
    alphabet = st.characters(codec=encoding, exclude_categories=["Cs", "Cc"], exclude_characters=ambiguous)
    text = data.draw(st.text(alphabet))
    payload = text.encode(encoding)
    if encoding not in ("utf-8", "utf-16"):
        # Text that happens to be UTF-8, or starts with a byte order mark, is taken for what it looks like.
        assume(payload.isascii() or not _is_utf_8(payload))
        assume(not payload.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF8)))
    decoded = decode(payload, encoding, PLAIN)
    assert decoded.text == text.removeprefix("\ufeff")
    assert decoded.replaced == 0


def _is_utf_8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


@given(TEXTS)
def test_any_text_in_utf_8_comes_back_undeclared(text: str) -> None:
    assert decode(text.encode(), None, PLAIN).text == text.removeprefix("\ufeff")


@given(
    st.binary(max_size=300) | TEXTS.map(lambda text: text.encode("utf-16-le")),
    st.sampled_from([None, "utf-8", "utf-16", "latin-1", "shift_jis", "hz", "utf-7", "rot13", "x\0y", "idna", ""]),
    st.sampled_from(["text/html", "text/plain", "text/x-python"]),
)
def test_any_bytes_decode_to_clean_text_or_are_refused(payload: bytes, declared: str | None, media_type: str) -> None:
    try:
        decoded = decode(payload, declared, media_type)
    except DecodeError:
        return
    assert "\0" not in decoded.text
    assert "\r" not in decoded.text
    assert decoded.text.encode().decode() == decoded.text
    assert codecs.lookup(decoded.encoding).name == decoded.encoding
    assert decode(payload, declared, media_type) == decoded


def test_one_accent_late_in_a_long_text_is_enough() -> None:
    text = "Only plain words here. " * 20_000 + GERMAN
    assert decode(text.encode("cp1252"), None, PLAIN).text == text
    flawed = (text + RUSSIAN).encode() + b"\xff"
    assert decode(flawed, None, PLAIN) == Decoded(text + RUSSIAN + "\ufffd", "utf-8", 1)


def test_detection_does_not_depend_on_size() -> None:
    payload = (GERMAN * 5000).encode("cp1252")
    assert decode(payload, None, PLAIN).text == GERMAN * 5000
