"""From a landed object to its records, whatever it is packed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import IO, cast

import fsspec

from goldmill.landing.archives import read_tar, read_zip
from goldmill.landing.context import PARSER_ERRORS, Place
from goldmill.landing.formats import HEAD_BYTES, Format, format_of, sniff
from goldmill.landing.jsonl import read_jsonl
from goldmill.landing.objects import LandedObject, current_etag
from goldmill.landing.parquet import read_parquet
from goldmill.landing.records import Fault, LimitExceeded, Record, StorageError, Unreadable
from goldmill.landing.streams import Budget, ByteStream, StoredFile, expand, file_chunks
from goldmill.landing.warc import read_warc
from goldmill.rules.reading import ReadLimits

__all__ = ["Fault", "ReadLimits", "Record", "StorageError", "read_records"]


def read_records(landed: LandedObject, limits: ReadLimits) -> Iterator[Record | Fault]:
    """The records of one object, in an order that depends on its bytes alone.

    Memory is bounded by one record (for Parquet: one page of each column read), never by the object. Whatever is wrong
    with the object comes as faults among the records that can be read; no object is without either.

    Raises:
        StorageError: if the store fails while the object itself may be sound.
    """
    place = Place(landed.object_key, "", 0, Budget(limits, landed.size_bytes))
    changed = _changed(landed, place)
    if changed is not None:
        yield changed
        return
    try:
        opened = fsspec.open(landed.uri, "rb").open()
    except FileNotFoundError:
        yield _missing(place)
        return
    except PermissionError as error:
        yield place.fault("object_unreadable", f"may not be read ({error})", "grant the build read access to it")
        return
    except OSError as error:
        raise StorageError(f"object {landed.object_key}: could not be opened ({error}); try again") from error
    # IO[bytes] has two dozen methods; StoredFile has those that parsers use.
    file = cast("IO[bytes]", StoredFile(opened, landed.uri))
    is_accounted_for = False
    try:
        for item in _read(ByteStream(file_chunks(file), file), landed.object_key, place):
            is_accounted_for = True
            yield item
    finally:
        file.close()
    if not is_accounted_for:
        yield place.fault("no_records", "holds no record that could be a document", "leave it out")


def _changed(landed: LandedObject, place: Place) -> Fault | None:
    try:
        etag = current_etag(landed.uri)
    except FileNotFoundError:
        return _missing(place)
    except OSError as error:
        raise StorageError(f"object {landed.object_key}: its state is unknown ({error}); try again") from error
    if etag == landed.etag:
        return None
    return place.fault(
        "etag_mismatch",
        f"was overwritten after it had arrived (etag {landed.etag} then, {etag} now)",
        "nothing to repair: the new content is an arrival of its own; land changed files under new names",
    )


def _missing(place: Place) -> Fault:
    return place.fault("object_missing", "is gone from the landing area", "land it again; never delete landed objects")


def _read(stream: ByteStream, name: str, place: Place) -> Iterator[Record | Fault]:
    """Records of ``stream``; whatever is raised below becomes a fault at ``place``."""
    kind = format_of(name)
    try:
        while True:
            head = stream.peek(HEAD_BYTES)
            if not head:
                yield place.fault("empty_object", "is empty", "leave it out")
                return
            if kind.compression is None and kind.data_type == "unknown":
                kind = sniff(kind.name, head, (*place.limits.text_fields, *place.limits.html_fields))
            if kind.compression is None:
                break
            # A .tar.gz is one layer, counted when the tar is opened.
            place = place if kind.data_type == "archive" else place.deeper()
            stream = expand(stream, kind.compression, place.budget)
            kind = format_of(kind.name)
        yield from _READERS[kind.data_type](stream, kind, place)
    except LimitExceeded as error:
        place.budget.exhausted = True
        yield place.fault(error.code, error.problem, error.remedy)
    except Unreadable as error:
        yield place.fault(error.code, error.problem, error.remedy)
    except PARSER_ERRORS as error:
        yield place.fault(
            f"corrupt_{kind.data_type}", f"cannot be read ({type(error).__name__}: {error})", "fetch the object again"
        )


def _read_archive(stream: ByteStream, kind: Format, place: Place) -> Iterator[Record | Fault]:
    place = place.deeper()
    if kind.container == "tar":
        yield from read_tar(stream, place, _read)
        return
    with closing(stream.seekable()) as file:
        yield from read_zip(file, place, _read)


def _read_parquet(stream: ByteStream, kind: Format, place: Place) -> Iterator[Record | Fault]:
    with closing(stream.seekable()) as file:
        yield from read_parquet(file, kind.name, place)


def _read_jsonl(stream: ByteStream, kind: Format, place: Place) -> Iterator[Record | Fault]:
    return read_jsonl(stream, kind.name, place)


def _read_warc(stream: ByteStream, kind: Format, place: Place) -> Iterator[Record | Fault]:
    return read_warc(stream, kind.name, place)


def _read_binary(stream: ByteStream, kind: Format, place: Place) -> Iterator[Record | Fault]:
    yield place.fault(
        "unsupported_type", f"is no text ({kind.name})", "convert it to text, HTML, JSON Lines, Parquet or WARC"
    )


def _read_whole(stream: ByteStream, kind: Format, place: Place) -> Iterator[Record | Fault]:
    parts = []
    size_bytes = 0
    for chunk in stream.chunks():
        size_bytes += len(chunk)
        if size_bytes > place.limits.max_record_bytes:
            yield place.oversized()
            return
        parts.append(chunk)
    yield Record(place.record_path, kind.media_type, b"".join(parts), None, None, kind.name)


_READERS: dict[str, Callable[[ByteStream, Format, Place], Iterator[Record | Fault]]] = {
    "archive": _read_archive,
    "binary": _read_binary,
    "code": _read_whole,
    "html": _read_whole,
    "jsonl": _read_jsonl,
    "markdown": _read_whole,
    "parquet": _read_parquet,
    "text": _read_whole,
    "warc": _read_warc,
}
