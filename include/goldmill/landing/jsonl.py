"""JSON Lines: one document a line."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import Any

from goldmill.landing.context import Place
from goldmill.landing.records import Fault, Record, Unreadable
from goldmill.landing.streams import CHUNK_BYTES, ByteStream
from goldmill.text.decode import DecodeError, clean, decode

_WIDE_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_jsonl(stream: ByteStream, name: str, place: Place) -> Iterator[Record | Fault]:
    """Records of a JSON Lines file, by the fields that the limits name; blank lines are no records.

    A line that is too long is passed over without being held in memory.
    """
    head = stream.peek(4)
    for bom, encoding in _WIDE_BOMS:
        if head.startswith(bom):
            stream = ByteStream(_as_utf8(stream, encoding))
            break
    for number, line in enumerate(_bounded_lines(stream, place.limits.max_record_bytes), start=1):
        here = place.inside(f"line:{number}")
        if isinstance(line, int):
            yield here.oversized(line)
        elif line and not line.isspace():
            yield _record(line.removeprefix(codecs.BOM_UTF8) if number == 1 else line, name, here)


def _record(line: bytes, name: str, here: Place) -> Record | Fault:
    encoding = "utf-8"
    try:
        text = line.decode()
    except UnicodeDecodeError:
        try:
            decoded = decode(line, None, "application/json")
            text, encoding = decoded.text, decoded.encoding
        except DecodeError as error:
            return here.fault(error.code, error.problem, "write the line as JSON in UTF-8")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        return here.fault("invalid_json", f"is no JSON ({error})", "write one JSON object a line")
    if not isinstance(document, dict):
        return here.fault(
            "invalid_json", f"is a JSON {type(document).__name__}, not an object", "write one JSON object a line"
        )
    return _document(document, encoding, name, here)


def _document(document: dict[str, Any], encoding: str, name: str, here: Place) -> Record | Fault:
    limits = here.limits
    found, media_type = _first_text(document, limits.text_fields), "text/plain"
    if found is None:
        found, media_type = _first_text(document, limits.html_fields), "text/html"
    if found is None:
        fields = ", ".join((*limits.text_fields, *limits.html_fields))
        return here.fault(
            "missing_text",
            f"has text in none of the fields {fields}",
            "name the field that holds it in read.text_fields, or leave the record out",
        )
    field, text = found
    address = _first_text(document, limits.url_fields)
    url = address[1] if address else None
    for value, of_field in ((text, field), (url or "", "url")):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            return here.fault(
                "lone_surrogate",
                f"field {of_field} holds half of a surrogate pair ({value[error.start]!a}) at character {error.start}",
                "write characters beyond U+FFFF as pairs or in UTF-8",
            )
    try:
        text, _ = clean(text)
    except DecodeError as error:
        return here.fault(error.code, error.problem, error.remedy)
    return Record(here.record_path, media_type, text, url, encoding, name)


def _first_text(document: dict[str, Any], fields: tuple[str, ...]) -> tuple[str, str] | None:
    for field in fields:
        value = document.get(field)
        if isinstance(value, str) and value and not value.isspace():
            return field, value
    return None


def _bounded_lines(stream: ByteStream, max_bytes: int) -> Iterator[bytes | int]:
    """Lines without their line feed; a line longer than ``max_bytes`` comes as its length instead."""
    pending = bytearray()
    dropped = 0
    for chunk in stream.chunks():
        *complete, rest = chunk.split(b"\n")
        for part in complete:
            if dropped:
                yield dropped + len(part)
                dropped = 0
            elif len(pending) + len(part) > max_bytes:
                yield len(pending) + len(part)
            else:
                yield bytes(pending) + part
            pending.clear()
        if dropped:
            dropped += len(rest)
        else:
            pending += rest
            if len(pending) > max_bytes:
                dropped = len(pending)
                pending.clear()
    if dropped:
        yield dropped
    elif pending:
        yield bytes(pending)


def _as_utf8(stream: ByteStream, encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while chunk := stream.read(CHUNK_BYTES):
            yield decoder.decode(chunk).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise Unreadable("undecodable", f"is no valid {encoding} ({error})", "write it in UTF-8") from error
