"""One broken file each; the batch goes on with whatever can still be read."""

import bz2
import gzip
import io
import json
import lzma
import random
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from landed import faults, gzipped_one_by_one, http, jsonl, paths, records, tar, warc_record, zipped

from goldmill.landing.objects import LandedObject, land_file
from goldmill.landing.readers import Fault, ReadLimits, StorageError, read_records

LINES = jsonl({"text": f"line {number} {'x' * (number * 7919 % 100)}"} for number in range(20_000))


@pytest.mark.parametrize(
    ("extension", "compress", "code"),
    [
        (".gz", gzip.compress, "truncated_gzip"),
        (".zst", zstandard.compress, "truncated_zstd"),
        (".bz2", bz2.compress, "truncated_bzip2"),
        (".xz", lzma.compress, "truncated_xz"),
    ],
)
def test_what_precedes_a_cut_is_read(read, extension: str, compress, code: str) -> None:
    content = compress(LINES)
    found = read(f"a.jsonl{extension}", content[: len(content) * 9 // 10])
    assert faults(found) == [("", code)]
    assert found[-1].code == code
    assert paths(found) == [f"line:{number}" for number in range(1, len(found))]
    assert extension in (".bz2",) or len(found) > 10_000


@pytest.mark.parametrize("cut", [1, 7, 8, 9])
def test_a_gzip_that_lacks_its_trailer_is_truncated(read, cut: int) -> None:
    assert faults(read("a.txt.gz", gzip.compress(b"hello")[:-cut])) == [("", "truncated_gzip")]


def test_damaged_gzip(read) -> None:
    content = bytearray(gzip.compress(LINES))
    content[-6] ^= 1  # in the checksum
    found = read("a.jsonl.gz", bytes(content))
    assert faults(found) == [("", "corrupt_gzip")]
    assert len(paths(found)) > 17_000
    assert faults(read("b.jsonl.gz", b"no gzip at all")) == [("", "corrupt_gzip")]
    assert faults(read("c.txt.gz", gzip.compress(b"text") + b"rubbish")) == [("", "corrupt_gzip")]


def test_zero_padding_behind_gzip_is_none_of_its_damage(read) -> None:
    assert records(read("a.txt.gz", gzip.compress(b"a") + gzip.compress(b"b") + bytes(1000))) == {"": b"ab"}


def _parquet() -> tuple[bytes, pq.FileMetaData]:
    buffer = io.BytesIO()
    table = pa.table({"text": [f"text {row} {hash(row)}" for row in range(4000)]})
    pq.write_table(
        table, buffer, row_group_size=1000, use_dictionary=False, compression="zstd", write_page_checksum=True
    )
    return buffer.getvalue(), pq.read_metadata(io.BytesIO(buffer.getvalue()))


def test_a_corrupt_row_group_costs_its_own_rows_only(read) -> None:
    content, metadata = _parquet()
    column = metadata.row_group(2).column(0)
    middle = column.data_page_offset + column.total_compressed_size // 2
    broken = content[:middle] + b"\xff" * 16 + content[middle + 16 :]
    found = read("a.parquet", broken)
    assert faults(found) == [("row:2000", "corrupt_parquet")]
    assert "rows 2000 to 2999" in next(item.message for item in found if isinstance(item, Fault))
    assert paths(found) == [f"row:{row}" for row in (*range(2000), *range(3000, 4000))]


@pytest.mark.parametrize("content", [_parquet()[0][:-100], b"PAR1" + b"x" * 100, b"PAR1PAR1"])
def test_corrupt_parquet(read, content: bytes) -> None:
    assert faults(read("a.parquet", content)) == [("", "corrupt_parquet")]


def test_parquet_without_text(read) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": [1, 2], "body": ["a", "b"]}), buffer)
    (fault,) = read("a.parquet", buffer.getvalue())
    assert fault.code == "missing_text"
    assert "its columns are text, body" in fault.message
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": ["a", None, " \n", "d"]}), buffer)
    found = read("b.parquet", buffer.getvalue())
    assert paths(found) == ["row:0", "row:3"]
    assert faults(found) == [("row:1", "missing_text"), ("row:2", "missing_text")]


PAGES = [warc_record(number, http(f"<p>{number}</p>".encode())) for number in range(4)]
PAGE = http(b"<p>1</p>")


@pytest.mark.parametrize("compress", [b"".join, gzipped_one_by_one])
@pytest.mark.parametrize(
    "broken",
    [
        warc_record(1, PAGE, length="9999"),
        warc_record(1, PAGE, length="100"),
        warc_record(1, PAGE, length="10"),
        warc_record(1, PAGE, length="many"),
        warc_record(1, PAGE, length="-5"),
        warc_record(1, PAGE, length="9" * 30),
        warc_record(1, b"this is no HTTP answer"),
        warc_record(1, http(b"this is no gzip", extra="Content-Encoding: gzip\r\n")),
    ],
)
def test_a_broken_warc_record_costs_only_itself(read, compress, broken: bytes) -> None:
    found = read("a.warc" if compress == b"".join else "a.warc.gz", compress([PAGES[0], broken, *PAGES[2:]]))
    assert faults(found) == [("warc:<urn:uuid:1>", "broken_warc_record")]
    assert paths(found) == [f"warc:<urn:uuid:{number}>" for number in (0, 2, 3)]


def test_a_cut_warc(read) -> None:
    found = read("a.warc", b"".join(PAGES)[:-20])
    assert faults(found) == [("warc:<urn:uuid:3>", "broken_warc_record")]
    assert len(paths(found)) == 3
    found = read("b.warc", b"rubbish\r\n" + b"".join(PAGES))
    assert faults(found) == [("", "broken_warc_record")]
    assert len(paths(found)) == 4
    assert faults(read("c.warc", b"rubbish")) == [("", "broken_warc_record")]


def test_an_oversized_or_empty_page(read) -> None:
    parts = [PAGES[0], warc_record(1, http(b"x" * 5000)), warc_record(2, http(b"")), PAGES[3]]
    found = read("a.warc", b"".join(parts), max_record_bytes=1000)
    assert faults(found) == [("warc:<urn:uuid:1>", "oversized_record"), ("warc:<urn:uuid:2>", "missing_text")]
    assert len(paths(found)) == 2
    bomb = http(gzip.compress(b"x" * 5000), extra="Content-Encoding: gzip\r\n")
    assert faults(read("b.warc", warc_record(1, bomb), max_record_bytes=1000)) == [
        ("warc:<urn:uuid:1>", "oversized_record")
    ]


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.parquet", "a.warc.gz", "a.zip", "a.tar", "unknown"])
def test_empty_object(read, name: str) -> None:
    assert faults(read(name, b"")) == [("", "empty_object")]


def test_a_compressed_nothing_is_empty_too(read) -> None:
    assert faults(read("a.txt.gz", gzip.compress(b""))) == [("", "empty_object")]
    assert faults(read("a.jsonl.zst", zstandard.compress(b""))) == [("", "empty_object")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", b"\n \n"),
        ("a.zip", zipped([])),
        ("a.tar", tar([])),
        ("a.warc", warc_record(1, b"GET / HTTP/1.1\r\n\r\n", "request", "application/http; msgtype=request")),
    ],
)
def test_an_object_without_records_is_accounted_for(read, name: str, content: bytes) -> None:
    (fault,) = read(name, content)
    assert (fault.record_path, fault.code, fault.disposition) == ("", "no_records", "removed")


_READ_HUGE_LINE = """
import resource, sys
from goldmill.landing.objects import list_objects
from goldmill.landing.readers import ReadLimits, read_records
(landed,) = list_objects(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for item in read_records(landed, ReadLimits(max_record_bytes=1024 * 1024)):
    print(item.record_path, getattr(item, "code", "record"))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_line_of_200_megabytes_is_passed_over_without_being_held(tmp_path: Path) -> None:
    original = tmp_path / "huge"
    with original.open("wb") as file:
        file.write(b'{"text": "before"}\n{"text": "')
        for _ in range(200):
            file.write(b"x" * 1_000_000)
        file.write(b'"}\n{"text": "after"}\n')
    land_file(original, str(tmp_path / "landing"), "source/a.jsonl")
    ran = subprocess.run(
        [sys.executable, "-c", _READ_HUGE_LINE, str(tmp_path / "landing")], check=True, capture_output=True, text=True
    )
    *found, growth = ran.stdout.splitlines()
    assert found == ["line:1 record", "line:2 oversized_record", "line:3 record"]
    assert int(growth) * 1024 < 20_000_000


def test_oversized_files(read) -> None:
    assert faults(read("a.txt", b"x" * 1001, max_record_bytes=1000)) == [("", "oversized_record")]
    found = read("a.tar", tar([("a.txt", b"x" * 1001), ("b.txt", b"x" * 1000)]), max_record_bytes=1000)
    assert faults(found) == [("member:a.txt", "oversized_record")]
    assert paths(found) == ["member:b.txt"]
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": ["x" * 1001, "x"]}), buffer)
    found = read("a.parquet", buffer.getvalue(), max_record_bytes=1000)
    assert faults(found) == [("row:0", "oversized_record")]
    assert paths(found) == ["row:1"]


ESCAPING = ["../a.txt", "a/../../b.txt", "/etc/passwd", "C:\\a.txt", "..\\a.txt", "\\\\host\\a.txt"]


@pytest.mark.parametrize("pack", [tar, zipped])
def test_names_that_lead_out_of_the_archive(read, pack) -> None:
    members = [(name, b"x") for name in ESCAPING]
    found = read("a.zip" if pack is zipped else "a.tar", pack([*members, ("a..b/..c.txt", b"fine")]))
    assert [code for _, code in faults(found)] == ["archive_path_escape"] * len(ESCAPING)
    assert paths(found) == ["member:a..b/..c.txt"]


def test_expansion_limits(read) -> None:
    bomb = gzip.compress(bytes(3_000_000))
    limits = {"expansion_grace_bytes": 1_000_000, "max_expansion_ratio": 100}
    for name, content, path in (
        ("a.txt.gz", bomb, ""),
        ("a.jsonl.zst", zstandard.compress(bytes(3_000_000)), ""),
        ("a.tar.gz", gzip.compress(tar([("a.txt", bytes(3_000_000))])), "member:a.txt"),
    ):
        (fault,) = read(name, content, **limits)
        assert (fault.record_path, fault.code) == (path, "archive_bomb")
        assert "more than 100 times" in fault.message
    found = read("a.zip", zipped([("ok.txt", b"ok"), ("a.txt", bytes(3_000_000)), ("never.txt", b"x")]), **limits)
    assert paths(found) == ["member:ok.txt"]
    assert faults(found) == [("member:a.txt", "archive_bomb")]
    (fault,) = read("b.txt.gz", bomb, max_expanded_bytes=2_000_000)
    assert "more than 2000000 bytes" in fault.message


def test_entry_limit(read) -> None:
    members = [(f"{number}.txt", b"x") for number in range(11)]
    found = read("a.tar", tar(members), max_archive_entries=10)
    assert len(paths(found)) == 10
    assert faults(found) == [("", "archive_bomb")]
    assert faults(read("a.zip", zipped(members), max_archive_entries=10)) == [("", "archive_bomb")]
    nested = [("a.tar", tar(members[:6])), ("b.tar", tar(members[:6]))]
    assert [code for _, code in faults(read("n.tar", tar(nested), max_archive_entries=10))] == ["archive_bomb"]


def test_nesting_limit(read) -> None:
    content = b"deep"
    for _ in range(4):
        content = zipped([("a.zip" if content != b"deep" else "a.txt", content)])
    ((path, code),) = faults(read("a.zip", content))
    assert (path, code) == ("member:a.zip/member:a.zip/member:a.zip", "archive_bomb")
    assert len(paths(read("a.zip", content, max_nesting=4))) == 1
    layers = b"x"
    for _ in range(4):
        layers = gzip.compress(layers)
    assert faults(read("a.txt.gz.gz.gz.gz", layers)) == [("", "archive_bomb")]


def test_members_that_overlap_count_as_often_as_they_are_read(read) -> None:
    one = zipped([("a.txt", b"0" * 100_000)])
    end = one.rfind(b"PK\x05\x06")
    start = one.find(b"PK\x01\x02")
    entries = one[start:end] * 50
    footer = bytearray(one[end:])
    footer[8:12] = (50).to_bytes(2, "little") * 2
    footer[12:16] = len(entries).to_bytes(4, "little")
    found = read("a.zip", one[:start] + entries + bytes(footer), expansion_grace_bytes=1_000_000)
    assert faults(found)[-1][1] == "archive_bomb"
    assert len(found) < 15


@pytest.mark.parametrize(
    "line", [b"{", b"nonsense", b"[1]", b'"text"', b'{"text": "a"', b"[" * 100_000, b'{"text": ' + b"9" * 5000 + b"}"]
)
def test_invalid_json(read, line: bytes) -> None:
    found = read("a.jsonl", b'{"text": "a"}\n' + line + b'\n{"text": "b"}\n')
    assert [path for path, _ in faults(found)] == ["line:2"]
    assert faults(found)[0][1] == "invalid_json"
    assert paths(found) == ["line:1", "line:3"]


def test_lone_surrogates(read) -> None:
    lines = [rb'{"text": "a \ud83d b"}', rb'{"text": "\ud83d\ude00"}', rb'{"text": "c", "url": "http://x/\udc00"}']
    found = read("a.jsonl", b"\n".join(lines))
    assert faults(found) == [("line:1", "lone_surrogate"), ("line:3", "lone_surrogate")]
    assert "field text holds half of a surrogate pair ('\\ud83d') at character 2" in found[0].message
    assert paths(found) == ["line:2"]


def test_records_without_text(read) -> None:
    documents = [
        {"title": "x"},
        {"text": ""},
        {"text": None},
        {"text": 5},
        {"text": " \n\t"},
        {"text": "", "html": "<p>"},
    ]
    found = read("a.jsonl", jsonl(documents))
    assert faults(found) == [(f"line:{number}", "missing_text") for number in range(1, 6)]
    assert paths(found) == ["line:6"]


def test_an_object_that_was_overwritten(tmp_path: Path) -> None:
    arrived = land_file(b"one", str(tmp_path), "source/a.txt")
    land_file(b"two", str(tmp_path), "source/a.txt")
    assert faults(read_records(arrived, ReadLimits())) == [("", "etag_mismatch")]


def test_an_object_that_is_gone(tmp_path: Path) -> None:
    arrived = land_file(b"one", str(tmp_path), "source/a.txt")
    Path(arrived.uri).unlink()
    assert faults(read_records(arrived, ReadLimits())) == [("", "object_missing")]


def test_a_store_that_fails_is_no_fault_of_the_object(tmp_path: Path) -> None:
    # A directory has a state but no content: the nearest thing to a store whose reads fail.
    status = tmp_path.stat()
    landed = LandedObject(str(tmp_path), "source/a.txt", "source", "text", 1, f"{status.st_size}-{status.st_mtime_ns}")
    with pytest.raises(StorageError, match=r"object source/a\.txt: .*; try again"):
        list(read_records(landed, ReadLimits()))


def test_undecodable_lines(read) -> None:
    noise = random.Random(3).randbytes(1000).replace(b"\n", b"")
    found = read("a.jsonl", b'{"text": "' + noise + b'"}\n{"text": "b"}\n')
    assert faults(found) == [("line:1", "undecodable")]
    assert paths(found) == ["line:2"]


def test_binary_data_in_a_json_string(read) -> None:
    assert faults(read("a.jsonl", jsonl([{"text": "\x01\x02\x03\x04"}]))) == [("line:1", "undecodable")]


def test_truncated_archives(read) -> None:
    members = [(f"{number}.txt", bytes([65 + number]) * 3000) for number in range(4)]
    whole = tar(members)
    for cut in (1000, 5000, 9000, 14_000):
        found = read("a.tar", whole[:cut])
        assert faults(found)[-1] in [("", "corrupt_tar"), ("", "truncated_tar")]
        assert paths(found) == [f"member:{number}.txt" for number in range(len(paths(found)))]
    found = read("a.tar", whole[: 4 * (512 + 3072)])
    assert len(paths(found)) == 4
    assert faults(found) == [("", "truncated_tar")]
    packed = gzip.compress(tar([(name, content) for name, content in members]))
    assert faults(read("a.tar.gz", packed[:-4]))[-1] == ("", "truncated_gzip")
    assert faults(read("a.zip", zipped(members)[:-30])) == [("", "truncated_zip")]


def test_a_damaged_header_is_not_the_end_of_a_tar(read) -> None:
    content = bytearray(tar([("a.txt", b"a"), ("b.txt", b"b"), ("c.txt", b"c")]))
    content[1024 + 150] ^= 0xFF
    found = read("a.tar", bytes(content))
    assert paths(found) == ["member:a.txt"]
    assert faults(found) == [("", "corrupt_tar")]


def test_joined_tars_are_not_taken_for_one(read) -> None:
    found = read("a.tar", tar([("a.txt", b"a")]) + tar([("b.txt", b"b")]))
    assert paths(found) == ["member:a.txt"]
    assert faults(found) == [("", "corrupt_tar")]


def test_a_tar_header_cannot_claim_gigabytes_of_attributes(read) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type = tarfile.GNUTYPE_LONGNAME
    header.size = 5_000_000_000
    found = read("a.tar", tar([("a.txt", b"a")])[:1024] + header.tobuf(tarfile.GNU_FORMAT) + b"x" * 10_240)
    assert paths(found) == ["member:a.txt"]
    assert [code for _, code in faults(found)] == ["corrupt_tar"]


def test_damaged_and_encrypted_zip_members(read) -> None:
    content = bytearray(zipped([("a.txt", b"some text"), ("b.txt", b"more text"), ("c.txt", b"end")]))
    content[content.find(b"b.txt") + 6] ^= 0xFF
    found = read("a.zip", bytes(content))
    assert paths(found) == ["member:a.txt", "member:c.txt"]
    assert faults(found) == [("member:b.txt", "corrupt_zip")]
    content = bytearray(zipped([("a.txt", b"some text"), ("b.txt", b"more text")]))
    end = content.rfind(b"PK\x05\x06")
    content[end + 10] = 3
    assert faults(read("c.zip", bytes(content))) == [("", "corrupt_zip")]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "text")
    secret = bytearray(buffer.getvalue())
    for header, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        secret[secret.find(header) + offset] |= 1
    assert faults(read("b.zip", bytes(secret))) == [("member:a.txt", "encrypted_member")]


def test_names_that_are_no_unicode_can_be_stored(read) -> None:
    (path,) = paths(read("a.tar", tar([("caf\udce9.txt", b"x")])))
    assert path == "member:caf\\udce9.txt"
    assert json.loads(json.dumps(path)).encode()
