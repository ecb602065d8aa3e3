import pytest

from goldmill.landing.formats import data_type_of, format_of, language_of, sniff

FIELDS = ("text", "content")


@pytest.mark.parametrize(
    ("name", "data_type", "compression", "inner"),
    [
        ("a/b.jsonl", "jsonl", None, "b.jsonl"),
        ("b.JSONL.GZ", "jsonl", "gzip", "b.JSONL"),
        ("b.ndjson.zst", "jsonl", "zstd", "b.ndjson"),
        ("part-0.parquet", "parquet", None, "part-0.parquet"),
        ("CC-MAIN.warc.gz", "warc", "gzip", "CC-MAIN.warc"),
        ("CC-MAIN.warc.wet.gz", "warc", "gzip", "CC-MAIN.warc.wet"),
        ("index.htm", "html", None, "index.htm"),
        ("README.md", "markdown", None, "README.md"),
        ("index.rst", "markdown", None, "index.rst"),
        ("a.txt.bz2", "text", "bzip2", "a.txt"),
        ("a.tar.xz", "archive", "xz", "a.tar"),
        ("a.tgz", "archive", "gzip", "a.tar"),
        ("a.whl", "archive", None, "a.whl"),
        ("libc.so.6", "binary", None, "libc.so.6"),
        ("photo.JPEG", "binary", None, "photo.JPEG"),
        ("CMakeLists.txt", "code", None, "CMakeLists.txt"),
        ("LICENSE", "unknown", None, "LICENSE"),
        ("data.json", "unknown", None, "data.json"),
        ("dump.gz", "unknown", "gzip", "dump"),
    ],
)
def test_names_tell_types(name: str, data_type: str, compression: str | None, inner: str) -> None:
    kind = format_of(name)
    assert (kind.data_type, kind.compression, kind.name) == (data_type, compression, inner)
    assert data_type_of(name) == data_type


@pytest.mark.parametrize(
    ("name", "language"),
    [("a.py", "python"), ("a.cpp", "c++"), ("a.cs", "c#"), ("Makefile", "makefile"), ("a.rst", None), ("a.txt", None)],
)
def test_media_types_of_source_files_name_the_language(name: str, language: str | None) -> None:
    assert language_of(format_of(name).media_type) == language


@pytest.mark.parametrize(
    ("name", "head", "data_type", "media_type"),
    [
        ("README", b"Hello\n", "text", "text/plain"),
        ("page", b"\n<!-- x -->\n<!DOCTYPE html><p>", "html", "text/html"),
        ("page", b"<html lang=en>", "html", "text/html"),
        ("c4.json", b'{"text": "a b", "url": "u"}\n{"text": "c"}\n', "jsonl", "application/jsonl"),
        ("one.json", b'{"url": "u", "content":"a long line that is cut', "jsonl", "application/jsonl"),
        ("package.json", b'{\n  "text": "a"\n}\n', "code", "text/x-json"),
        ("list.json", b'["text"]\n', "code", "text/x-json"),
        ("object.json", b'{"name": "x"}\n', "code", "text/x-json"),
        ("run", b"#!/usr/bin/env -S python3.11 -u\n", "code", "text/x-python"),
        ("run", b"#!/bin/sh\n", "code", "text/x-shell"),
        ("run", b"#!/opt/unknown\n", "text", "text/plain"),
        ("run", b"#!\n", "text", "text/plain"),
        ("blob", b"PAR1....", "parquet", "application/vnd.apache.parquet"),
        ("blob", b"WARC/1.1\r\n", "warc", "application/warc"),
        ("blob", b"\x7fELF\x02", "binary", "application/octet-stream"),
        ("blob", b"%PDF-1.7", "binary", "application/octet-stream"),
        ("blob", b"PK\x03\x04", "archive", "application/zip"),
    ],
)
def test_first_bytes_tell_what_names_do_not(name: str, head: bytes, data_type: str, media_type: str) -> None:
    kind = sniff(name, head, FIELDS)
    assert (kind.data_type, kind.media_type) == (data_type, media_type)
