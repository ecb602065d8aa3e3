"""WARC: one document a captured page (ISO 28500)."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from fastwarc.warc import WarcRecord

from goldmill.landing.context import PARSER_ERRORS, Place
from goldmill.landing.records import Fault, Record
from goldmill.landing.streams import CHUNK_BYTES, ByteStream

_PAGE_TYPES = frozenset({"text/html", "application/xhtml+xml", "text/plain", "text/markdown"})
_DOCUMENT_RECORDS = frozenset({"response", "resource", "conversion"})
_VERSION_LINE = re.compile(rb"WARC/\d\.\d\r?\n")
_VERSION_BYTES = len(b"WARC/1.0\r\n")
_MAX_LINE_BYTES = 64 * 1024
_MAX_HEADER_BYTES = 256 * 1024
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
_HTML = re.compile(rb"\s*<(?:!doctype|html|head|body|!--)", re.I)


def read_warc(stream: ByteStream, name: str, place: Place) -> Iterator[Record | Fault]:
    """Pages of a WARC file: HTML and plain text that servers answered with success, and texts made of them (WET).

    Requests, metadata, revisits, other media types and other answers are no documents and are passed over. Records are
    framed here rather than by fastwarc, which stops at the first broken one and takes a cut one for whole; fastwarc
    parses those that are complete. After a broken record reading goes on at the next line that starts a record.
    """
    if _skip_to_record(stream):
        yield _broken(place, "does not start with a WARC record")
    number = 0
    seen: set[str] = set()
    while stream.peek(1):
        number += 1
        raw, fields = _read_header(stream)
        record_id = fields.get("warc-record-id", "")
        # Ids should be unique; files that were joined twice break that, and record paths must not.
        here = place.inside(
            f"warc:{record_id}" if record_id and record_id not in seen else f"warc:{record_id}#{number}"
        )
        seen.add(record_id)
        wanted = fields.get("warc-type", "").lower() in _DOCUMENT_RECORDS
        length = fields.get("content-length", "")
        if not _LENGTH.fullmatch(length):
            yield _broken(here, f"has no valid Content-Length ({length!r})")
        elif int(length) > place.limits.max_record_bytes:
            missing = _skip(stream, int(length))
            if missing:
                yield _broken(here, f"lacks the last {missing} of its {length} bytes")
            elif wanted:
                yield here.oversized(int(length))
        else:
            block = stream.read(int(length))
            if len(block) == int(length) and _at_end_of_record(stream):
                if wanted:
                    yield from _page(raw, block, fields, name, here)
            else:
                yield _broken(here, f"does not end after the {length} bytes that its Content-Length says")
                swallowed = _VERSION_LINE.search(block)
                if swallowed:
                    stream.unread(block[swallowed.start() :])
        _skip_to_record(stream)


def _broken(here: Place, problem: str) -> Fault:
    return here.fault("broken_warc_record", problem, "capture it again, or repair the file")


def _starts_record(stream: ByteStream) -> bool:
    return _VERSION_LINE.match(stream.peek(_VERSION_BYTES)) is not None


def _skip_to_record(stream: ByteStream) -> bool:
    """Move to the next record or the end; whether anything but blank lines was passed over."""
    passed = False
    while stream.peek(1) and not _starts_record(stream):
        passed |= not stream.readline(_MAX_LINE_BYTES).isspace()
    return passed


def _at_end_of_record(stream: ByteStream) -> bool:
    """Whether blank lines and then a record or the end follow; the blank lines are consumed if so."""
    blank = b""
    while stream.peek(2).startswith((b"\r\n", b"\n")):
        blank += stream.readline(2)
    if not stream.peek(1) or (blank and _starts_record(stream)):
        return True
    stream.unread(blank)
    return False


def _read_header(stream: ByteStream) -> tuple[bytes, dict[str, str]]:
    """The header block as stored, and its fields by lower-case name; continuation lines belong to the field above."""
    raw = bytearray()
    fields: dict[str, str] = {}
    last = ""
    while len(raw) < _MAX_HEADER_BYTES:
        line = stream.readline(_MAX_LINE_BYTES)
        raw += line
        if not line.strip():
            break
        text = line.decode("utf-8", "replace")
        if text[0] in " \t" and last:
            fields[last] += f" {text.strip()}"
        elif ":" in text:
            field, _, value = text.partition(":")
            last = field.strip().lower()
            fields[last] = value.strip()
    return bytes(raw), fields


def _skip(stream: ByteStream, length: int) -> int:
    """Pass over ``length`` bytes; how many of them are missing."""
    while length and (chunk := stream.read(min(length, CHUNK_BYTES))):
        length -= len(chunk)
    return length


def _page(raw: bytes, block: bytes, fields: dict[str, str], name: str, here: Place) -> Iterator[Record | Fault]:
    content_type = fields.get("content-type", "")
    declared: str | None
    if content_type.lower().startswith("application/http"):
        max_bytes = here.limits.max_record_bytes
        try:
            record = WarcRecord.from_reader(io.BytesIO(raw + block))
            record.parse_http(auto_decode="all")
            status = record.http_headers.status_code if record.http_headers else None
            media_type = (record.http_content_type or "").lower()
            declared = record.http_charset
            payload = record.reader.read(max_bytes + 1)
        except PARSER_ERRORS as error:
            yield _broken(here, f"holds no HTTP answer that can be parsed ({error})")
            return
        if status is None:
            yield _broken(here, "holds no HTTP answer that can be parsed")
            return
        if not 200 <= status < 300:
            return
        if len(payload) > max_bytes:
            yield here.oversized()
            return
    else:
        media_type = content_type.partition(";")[0].strip().lower()
        charset = re.search(r"charset=[\"']?([\w.:-]+)", content_type, re.I)
        declared = charset[1] if charset else None
        payload = block
    if not media_type and _HTML.match(payload):
        media_type = "text/html"
    if media_type not in _PAGE_TYPES:
        return
    if not payload or payload.isspace():
        yield here.fault("missing_text", "is an empty page", "leave it out")
        return
    yield Record(here.record_path, media_type, payload, fields.get("warc-target-uri"), declared, name)
