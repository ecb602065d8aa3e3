"""Makes the files that tests land: archives, captures, and what to say about the records in them."""

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Iterable, Sequence

from goldmill.landing.readers import Fault, Record


def jsonl(documents: Iterable[object]) -> bytes:
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


def tar(members: Iterable[tuple[str, bytes]], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


def zipped(members: Iterable[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def http(body: bytes, content_type: str = "text/html; charset=utf-8", status: str = "200 OK", extra: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{extra}\r\n".encode() + body


def warc_record(
    number: int,
    block: bytes,
    kind: str = "response",
    content_type: str = "application/http; msgtype=response",
    length: str | None = None,
) -> bytes:
    header = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{number}>\r\nWARC-Date: 2026-01-01T00:00:00Z\r\n"
        f"WARC-Target-URI: http://example.org/{number}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {length or len(block)}\r\n\r\n"
    )
    return header.encode() + block + b"\r\n\r\n"


def gzipped_one_by_one(parts: Sequence[bytes]) -> bytes:
    return b"".join(gzip.compress(part, mtime=0) for part in parts)


def records(items: Iterable[Record | Fault]) -> dict[str, bytes | str]:
    """Payloads by record path; fails on a fault or on a path that occurs twice."""
    found: dict[str, bytes | str] = {}
    for item in items:
        assert isinstance(item, Record), item
        assert item.record_path not in found
        found[item.record_path] = item.payload
    return found


def faults(items: Iterable[Record | Fault]) -> list[tuple[str, str]]:
    """Path and code of the faults, each of which must name its object, its record and a remedy."""
    found = []
    for item in items:
        if isinstance(item, Fault):
            subject, _, remedy = item.message.rpartition("; ")
            assert subject.startswith("object source/")
            assert item.record_path in subject
            assert remedy
            found.append((item.record_path, item.code))
    return found


def paths(items: Iterable[Record | Fault]) -> list[str]:
    return [item.record_path for item in items if isinstance(item, Record)]
