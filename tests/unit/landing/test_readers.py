import bz2
import gzip
import io
import lzma
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from landed import faults, gzipped_one_by_one, http, jsonl, paths, records, tar, warc_record, zipped

from goldmill.landing.objects import land_file
from goldmill.landing.readers import Fault, ReadLimits, Record, read_records

DOCUMENTS = [{"text": "Grüße", "url": "http://example.org/1"}, {"content": "two"}, {"html": "<p>three</p>"}]
COMPRESSORS = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
}


@pytest.mark.parametrize("extension", COMPRESSORS)
def test_json_lines(read, extension: str) -> None:
    found = read(f"a.jsonl{extension}", COMPRESSORS[extension](jsonl(DOCUMENTS)))
    assert found == [
        Record("line:1", "text/plain", "Grüße", "http://example.org/1", "utf-8", "a.jsonl"),
        Record("line:2", "text/plain", "two", None, "utf-8", "a.jsonl"),
        Record("line:3", "text/html", "<p>three</p>", None, "utf-8", "a.jsonl"),
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_json_lines_with_a_byte_order_mark(read, encoding: str) -> None:
    content = '{"text": "Grüße"}\r\n\r\n{"text": "日本"}'.encode(encoding)
    assert records(read("a.jsonl", content)) == {"line:1": "Grüße", "line:3": "日本"}


def test_json_lines_in_latin_1_tell_their_encoding(read) -> None:
    text = "Die Straße führt über die Brücke zu den schönen Häusern am Fluß, wo die Bäume blühen und Vögel singen."
    (record,) = read("a.jsonl", f'{{"text": "{text}"}}\n'.encode("latin-1"))
    assert record.payload == text
    assert record.declared_encoding in ("cp1252", "iso8859-1")


def test_fields_can_be_configured(read) -> None:
    content = jsonl([{"body": "a", "text": "b", "link": "l"}])
    (record,) = read("a.jsonl", content, text_fields=["body"], url_fields=["link"])
    assert (record.payload, record.url) == ("a", "l")


def test_nuls_and_line_ends_of_json_strings_are_settled(read) -> None:
    assert records(read("a.jsonl", jsonl([{"text": "a\r\nb\0c\rd"}]))) == {"line:1": "a\nbc\nd"}


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.string_view()])
@pytest.mark.parametrize("compression", ["zstd", "none"])
def test_parquet(read, kind: pa.DataType, compression: str) -> None:
    texts = [f"text {row}" for row in range(2500)]
    table = pa.table({"id": range(2500), "text": pa.array(texts).cast(kind), "url": texts})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, row_group_size=700, compression=compression)
    found = read("a.parquet", buffer.getvalue())
    assert records(found) == {f"row:{row}": text.encode() for row, text in enumerate(texts)}
    assert found[2] == Record("row:2", "text/plain", b"text 2", "text 2", "utf-8", "a.parquet")
    assert records(read("a.zip", zipped([("b/a.parquet", buffer.getvalue())]))) == {
        f"member:b/a.parquet/row:{row}": text.encode() for row, text in enumerate(texts)
    }


def test_warc(read) -> None:
    gzipped_page = http(gzip.compress(b"<p>packed</p>"), extra="Content-Encoding: gzip\r\n")
    chunked_page = http(b"5\r\n<p>ch\r\n7\r\nunked</\r\n2\r\np>\r\n0\r\n\r\n", extra="Transfer-Encoding: chunked\r\n")
    parts = [
        warc_record(0, b"software: test\r\n", "warcinfo", "application/warc-fields"),
        warc_record(1, http(b"<p>one</p>", "text/html; charset=ISO-8859-1")),
        warc_record(2, b"GET / HTTP/1.1\r\n\r\n", "request", "application/http; msgtype=request"),
        warc_record(3, http(b"\x89PNG", "image/png")),
        warc_record(4, http(b"<p>not found</p>", status="404 Not Found")),
        warc_record(5, gzipped_page),
        warc_record(6, chunked_page),
        warc_record(7, b"plain text", "conversion", "text/plain"),
        warc_record(8, b"WARC/1.0\r\n in the text", "resource", 'text/plain; charset="utf-8"'),
    ]
    expected = [
        Record("warc:<urn:uuid:1>", "text/html", b"<p>one</p>", "http://example.org/1", "iso-8859-1", "a.warc"),
        Record("warc:<urn:uuid:5>", "text/html", b"<p>packed</p>", "http://example.org/5", "utf-8", "a.warc"),
        Record("warc:<urn:uuid:6>", "text/html", b"<p>chunked</p>", "http://example.org/6", "utf-8", "a.warc"),
        Record("warc:<urn:uuid:7>", "text/plain", b"plain text", "http://example.org/7", None, "a.warc"),
        Record(
            "warc:<urn:uuid:8>", "text/plain", b"WARC/1.0\r\n in the text", "http://example.org/8", "utf-8", "a.warc"
        ),
    ]
    assert read("a.warc", b"".join(parts)) == expected
    assert read("a.warc.gz", gzipped_one_by_one(parts)) == expected


def test_warc_record_ids_that_occur_twice_get_paths_of_their_own(read) -> None:
    page = warc_record(1, http(b"<p>one</p>"))
    assert paths(read("a.warc", page + page)) == ["warc:<urn:uuid:1>", "warc:<urn:uuid:1>#2"]


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.html", "text/html"),
        ("a.md", "text/markdown"),
        ("a.rst", "text/x-rst"),
        ("a.txt", "text/plain"),
        ("a.py", "text/x-python"),
        ("LICENSE", "text/plain"),
    ],
)
def test_single_files(read, name: str, media_type: str) -> None:
    content = "Grüße\r\n".encode("utf-16")
    assert read(name, content) == [Record("", media_type, content, None, None, name)]
    assert read(f"{name}.gz", gzip.compress(content)) == [Record("", media_type, content, None, None, name)]


MEMBERS = [
    ("docs/a.md", b"# A"),
    ("src/b.py", b"print(1)"),
    ("c.jsonl.gz", gzip.compress(jsonl([{"text": "c"}]))),
    ("d.zip", zipped([("e/f.txt", b"f"), ("g.warc", warc_record(1, http(b"<p>g</p>")))])),
    ("docs/a.md", b"# A again"),
    ("inner.tar", tar([("h.txt", b"h")])),
]
MEMBER_RECORDS = {
    "member:docs/a.md": b"# A",
    "member:src/b.py": b"print(1)",
    "member:c.jsonl.gz/line:1": "c",
    "member:d.zip/member:e/f.txt": b"f",
    "member:d.zip/member:g.warc/warc:<urn:uuid:1>": b"<p>g</p>",
    "member:docs/a.md#2": b"# A again",
    "member:inner.tar/member:h.txt": b"h",
}


@pytest.mark.parametrize("extension", COMPRESSORS)
def test_tar_archives(read, extension: str) -> None:
    assert records(read(f"a.tar{extension}", COMPRESSORS[extension](tar(MEMBERS)))) == MEMBER_RECORDS


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zip_archives(read) -> None:
    assert records(read("a.zip", zipped(MEMBERS))) == MEMBER_RECORDS


def test_content_is_recognised_without_a_telling_name(read) -> None:
    assert records(read("blob", gzip.compress(tar(MEMBERS)))) == MEMBER_RECORDS
    assert records(read("c4.json.gz", gzip.compress(jsonl(DOCUMENTS[:1])))) == {"line:1": "Grüße"}


def test_directories_and_links_are_no_records(read, tmp_path: Path) -> None:
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    (tmp_path / "tree" / "sub" / "a.txt").write_text("a")
    (tmp_path / "tree" / "link.txt").symlink_to("sub/a.txt")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(tmp_path / "tree", "tree")
    assert records(read("a.tar", buffer.getvalue())) == {"member:tree/sub/a.txt": b"a"}


def test_binary_members_are_accounted_for_and_not_held_against_the_source(read) -> None:
    found = read("a.zip", zipped([("x.png", b"\x89PNG\r\n"), ("y.so.1", b"\x7fELF"), ("__init__.py", b"")]))
    assert faults(found) == [
        ("member:x.png", "unsupported_type"),
        ("member:y.so.1", "unsupported_type"),
        ("member:__init__.py", "empty_object"),
    ]
    assert {fault.disposition for fault in found if isinstance(fault, Fault)} == {"removed"}


def test_reads_from_stores_without_files() -> None:
    landed = land_file(tar(MEMBERS), "memory://readers-test", "source/a.tar")
    assert records(read_records(landed, ReadLimits())) == MEMBER_RECORDS
    landed = land_file(zipped(MEMBERS[:2]), "memory://readers-test", "source/a.zip")
    assert len(records(read_records(landed, ReadLimits()))) == 2
    landed = land_file(zipped([]), "memory://readers-test", "source/empty.zip")
    assert faults(read_records(landed, ReadLimits())) == [("", "no_records")]
