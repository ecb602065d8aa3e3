"""From bytes to text, with the encoding that they really have."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from resiliparse.parse.encoding import detect_encoding

_BOMS = (
    # UTF-32 first: its little-endian mark starts with that of UTF-16.
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WIDE_ORDERS = {"utf-16": "utf-16-le", "utf-32": "utf-32-le"}
"""Byte order without a mark is little-endian (WHATWG Encoding, 4.2), whatever machine this runs on."""
_WIDE = frozenset({"utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"})
_SEVEN_BIT = frozenset(
    {
        "hz",
        "iso2022_jp",
        "iso2022_jp_1",
        "iso2022_jp_2",
        "iso2022_jp_2004",
        "iso2022_jp_3",
        "iso2022_jp_ext",
        "iso2022_kr",
    }
)
_NO_TEXT_ENCODINGS = frozenset(
    {"charmap", "idna", "mbcs", "oem", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}
)
"""Python codecs that interpret escapes or are refused on the web for safety (WHATWG Encoding, 4.3, on UTF-7)."""
_SUPERSETS = {
    "ascii": "cp1252",
    "big5": "big5hkscs",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "shift_jis": "cp932",
}
"""What text in such an encoding often really is (labels of the WHATWG Encoding standard)."""

_META_BYTES = 1024
_META_CHARSET = re.compile(rb"<meta[^>]{0,512}?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.I)
_XML_ENCODING = re.compile(rb"\s*<\?xml[^>]{0,256}?encoding\s*=\s*[\"']([\w.:-]+)[\"']")
_PYTHON_CODING = re.compile(rb"(?:[^\n]*\n)?[ \t\f]*#[^\n]*?coding[:=][ \t]*([-\w.]+)")

_C1_BYTES = bytes(range(0x80, 0xA0))
_CONTROLS = re.compile("[\x01-\x08\x0e-\x1a\x1c-\x1f\x7f\ufffd]")
_NUL_SHARE_OF_BINARY = 0.3
_CONTROL_SHARE_OF_BINARY = 0.05
_SAMPLE_CHARACTERS = 20_000
_DETECTION_BYTES = 16 * 1024
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
# U+FFFD itself takes two bytes more than a character of ASCII; a sound sequence takes one to three more.
_EXTRA_BYTES_A_FLAW = 12


class DecodeError(ValueError):
    """The bytes are no text in any encoding; the message goes on from the name of the record ("is binary...")."""

    code = "undecodable"
    remedy = "convert it to text, or leave it out"

    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem}; {self.remedy}")
        self.problem = problem


@dataclass(frozen=True)
class Decoded:
    """Text and how it was come by.

    Attributes:
        text: without byte order mark and NUL, lines ended by a line feed; otherwise the characters as written: no
            Unicode normalisation, so that the text of one encoding stays equal to that of another.
        encoding: the codec used, by its name in Python, e.g. "utf-8", "cp1252", "utf-16-le".
        replaced: sequences of bytes that are wrong in that encoding, each now U+FFFD.
        nuls_removed: NUL characters that were taken out.
    """

    text: str
    encoding: str
    replaced: int
    nuls_removed: int = 0


def decode(payload: bytes, declared: str | None, media_type: str) -> Decoded:
    """Decode ``payload``; what is declared is a hint, what the bytes say is the law.

    In this order, each step strict: a byte order mark; a declared 7-bit or wide encoding; UTF-8, which text in other
    encodings almost never satisfies by chance, hence also against a declared 8-bit encoding; the declared encoding, or
    what a web page or Python source declares in itself (HTML ``meta``, XML declaration, PEP 263); UTF-16 or UTF-32
    without a mark; UTF-8 with a few flaws; statistical detection (uchardet); last Windows-1252 with replacement.

    Args:
        payload: the bytes.
        declared: encoding named by a header around the payload, None if there is none; unknown names are ignored.
        media_type: such as "text/html"; decides where the payload may declare its own encoding.

    Raises:
        DecodeError: if the payload is binary.
    """
    text, encoding, replaced = _decode(payload, declared, media_type)
    text, nuls = clean(text)
    return Decoded(text, encoding, replaced, nuls)


def clean(text: str) -> tuple[str, int]:
    """Take out NULs and end lines by a line feed; returns the text and the number of NULs.

    :func:`decode` does this; it is for text that came decoded, such as the strings of JSON.

    Raises:
        DecodeError: if the characters show that the text is binary data.
    """
    nuls = text.count("\0")
    if nuls > _NUL_SHARE_OF_BINARY * len(text):
        raise DecodeError(f"is binary: {nuls} of {len(text)} characters are NUL")
    if nuls:
        text = text.replace("\0", "")
    sample = text[:_SAMPLE_CHARACTERS]
    controls = len(_CONTROLS.findall(sample))
    if controls > _CONTROL_SHARE_OF_BINARY * len(sample):
        raise DecodeError(
            f"is binary: {controls} of its first {len(sample)} characters are control characters or stand for bytes "
            "that no encoding explains"
        )
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text, nuls


def _decode(payload: bytes, declared: str | None, media_type: str) -> tuple[str, str, int]:
    for bom, encoding in _BOMS:
        if payload.startswith(bom):
            marked = _strictly(payload[len(bom) :], encoding)
            if marked is not None:
                return marked, encoding, 0
    candidates = [
        codec for name in (declared, _declared_inside(payload, media_type)) if name and (codec := _codec(name))
    ]
    for codec in candidates:
        if codec in _SEVEN_BIT or (codec in _WIDE and (b"\0" in payload or not payload.isascii())):
            text = _strictly(payload, codec)
            if text is not None and (codec in _SEVEN_BIT or _is_plausible(text)):
                return text.removeprefix("\ufeff"), codec, 0
    text = _strictly(payload, "utf-8")
    if text is not None and b"\0" not in payload:
        return text, "utf-8", 0
    for codec in candidates:
        if codec in _WIDE:
            continue
        superset = _SUPERSETS.get(codec)
        # Latin-1 takes any byte, but 0x80 to 0x9F are control characters that nobody writes.
        if superset and codec == "iso8859-1" and payload.translate(None, _C1_BYTES) != payload:
            codecs_to_try = [superset]
        else:
            codecs_to_try = [codec, *([superset] if superset else [])]
        for attempt in codecs_to_try:
            declared_text = _strictly(payload, attempt)
            if declared_text is not None and b"\0" not in payload:
                return declared_text, attempt, 0
    return _decode_undeclared(payload, text, candidates)


def _decode_undeclared(payload: bytes, as_utf8: str | None, candidates: list[str]) -> tuple[str, str, int]:
    wide = _unmarked_wide(payload)
    if wide is not None:
        return wide[0], wide[1], 0
    if as_utf8 is not None:
        return as_utf8, "utf-8", 0
    flawed = _flawed_utf_8(payload)
    if flawed is not None:
        return flawed[0], "utf-8", flawed[1]
    for codec in candidates:
        text = None if codec in _WIDE else _strictly(payload, codec)
        if text is not None:
            return text, codec, 0
    detected = detect_encoding(_telling_part(payload), html5_compatible=False, from_html_meta=False)
    found = _codec(detected) if detected else None
    if found is not None and found not in _WIDE and found != "utf-8":
        for attempt in (found, _SUPERSETS.get(found)):
            text = _strictly(payload, attempt) if attempt else None
            if attempt and text is not None:
                return text, attempt, 0
    guessed = payload.decode("cp1252", "replace")
    return guessed, "cp1252", guessed.count("\ufffd")


def _flawed_utf_8(payload: bytes) -> tuple[str, int] | None:
    """The text and its flaws, where the payload is UTF-8 but for a few bytes."""
    # Replacing is slow where nearly all is wrong, as it is in any other encoding: look at a part first. The incremental
    # decoder keeps a sequence that the cut leaves open.
    part = codecs.getincrementaldecoder("utf-8")("replace").decode(_telling_part(payload))
    if not _is_nearly_sound(part, part.count("\ufffd")):
        return None
    text = payload.decode("utf-8", "replace")
    flaws = text.count("\ufffd") - payload.count("\ufffd".encode())
    return (text, flaws) if _is_nearly_sound(text, flaws) else None


def _is_nearly_sound(text: str, flaws: int) -> bool:
    sequences = len(text.encode()) - len(text)
    return sequences >= _EXTRA_BYTES_A_FLAW * flaws


def _telling_part(payload: bytes) -> bytes:
    """A part from where the encoding first matters."""
    first = _NOT_ASCII.search(payload)
    start = max(first.start() - _DETECTION_BYTES // 8, 0) if first else 0
    return payload[start : start + _DETECTION_BYTES]


def _strictly(payload: bytes, codec: str) -> str | None:
    try:
        return payload.decode(codec)
    except (UnicodeError, ValueError):
        return None


def _codec(name: str) -> str | None:
    """Python's name of the text encoding ``name``, None if there is none such."""
    try:
        codec = codecs.lookup(name.strip().strip("\"'")).name
        "".encode(codec)
    except (LookupError, ValueError, UnicodeError):
        return None
    codec = _WIDE_ORDERS.get(codec, codec)
    return None if codec.replace("_", "-") in _NO_TEXT_ENCODINGS else codec


def _declared_inside(payload: bytes, media_type: str) -> str | None:
    head = payload[:_META_BYTES]
    if media_type in ("text/html", "application/xhtml+xml"):
        found = _META_CHARSET.search(head) or _XML_ENCODING.match(head)
    elif media_type == "text/x-xml":
        found = _XML_ENCODING.match(head)
    elif media_type == "text/x-python":
        found = _PYTHON_CODING.match(head)
    else:
        return None
    codec = _codec(found[1].decode("ascii", "replace")) if found else None
    # Whoever could read the declaration byte by byte knows that the encoding is no wide one.
    return None if codec in _WIDE else codec


def _unmarked_wide(payload: bytes) -> tuple[str, str] | None:
    """UTF-16 or UTF-32 without a mark: Latin letters, spaces and line ends leave NULs at fixed offsets."""
    nuls = payload.count(0)
    if not nuls:
        return None
    by_offset = [payload[offset::4].count(0) for offset in range(4)]
    units = len(payload) // 4
    if len(payload) % 4 == 0 and min(by_offset[2:]) >= 0.9 * units and by_offset[0] < 0.5 * units:
        order = "utf-32-le"
    elif len(payload) % 4 == 0 and min(by_offset[:2]) >= 0.9 * units and by_offset[3] < 0.5 * units:
        order = "utf-32-be"
    elif by_offset[1] + by_offset[3] >= 0.9 * nuls:
        order = "utf-16-le"
    elif by_offset[0] + by_offset[2] >= 0.9 * nuls:
        order = "utf-16-be"
    else:
        return None
    # A stray NUL in other text lies at some offset too.
    if nuls < 0.02 * len(payload):
        return None
    text = _strictly(payload, order)
    return (text, order) if text is not None and _is_plausible(text) else None


def _is_plausible(text: str) -> bool:
    """Whether nearly all characters are such as people write, which bytes read in a wrong width seldom are."""
    sample = text[:_SAMPLE_CHARACTERS]
    written = sum(character.isprintable() or character in "\t\n\r\f\x0b\0\ufeff" for character in sample)
    return written >= 0.95 * len(sample) and sample.count("\0") <= 0.1 * len(sample)
