"""Whatever bytes arrive: reading them ends, raises nothing, and gives the same records every time."""

import bz2
import gzip
import io
import json
import lzma
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from landed import gzipped_one_by_one, http, jsonl, tar, warc_record, zipped

from goldmill.landing.objects import list_objects
from goldmill.landing.readers import Fault, ReadLimits, Record, read_records

LIMITS = ReadLimits(max_record_bytes=100_000, max_archive_entries=100, expansion_grace_bytes=1_000_000)


def _parquet() -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": [f"text {row}" for row in range(50)]}), buffer, row_group_size=20)
    return buffer.getvalue()


LINES = jsonl({"text": f"text {number}", "url": f"http://example.org/{number}"} for number in range(20))
PAGES = [warc_record(number, http(f"<p>page {number}</p>".encode())) for number in range(5)]
MEMBERS = [("a/b.txt", b"text"), ("c.jsonl", LINES), ("d.jsonl.gz", gzip.compress(LINES, mtime=0)), ("e.py", b"e = 1")]
SEEDS = {
    "a.jsonl": LINES,
    "a.jsonl.gz": gzip.compress(LINES, mtime=0),
    "a.jsonl.bz2": bz2.compress(LINES),
    "a.jsonl.xz": lzma.compress(LINES),
    "a.jsonl.zst": zstandard.compress(LINES),
    "a.parquet": _parquet(),
    "a.warc": b"".join(PAGES),
    "a.warc.gz": gzipped_one_by_one(PAGES),
    "a.tar": tar(MEMBERS),
    "a.tar.gz": gzip.compress(tar(MEMBERS), mtime=0),
    "a.zip": zipped([*MEMBERS, ("f.tar", tar(MEMBERS)), ("g.parquet", _parquet())]),
    "a.html": "<meta charset=utf-8><p>Grüße</p>".encode(),
    "unknown": zipped(MEMBERS),
}


def _read(name: str, content: bytes) -> list[Record | Fault]:
    with tempfile.TemporaryDirectory() as landing:
        # Without land_file, which waits for the disk each time.
        path = Path(landing, "source", name)
        path.parent.mkdir()
        path.write_bytes(content)
        (landed,) = list_objects(landing)
        return list(read_records(landed, LIMITS))


@st.composite
def mutations(draw: st.DrawFn, size: int) -> list[tuple[str, int, bytes]]:
    kind = st.sampled_from(["overwrite", "insert", "delete", "cut"])
    position = st.integers(0, max(size - 1, 0))
    return draw(
        st.lists(
            st.tuples(kind, position, st.binary(min_size=1, max_size=8)),
            min_size=1,
            max_size=4,
        )
    )


def _mutate(content: bytes, changes: list[tuple[str, int, bytes]]) -> bytes:
    mutated = bytearray(content)
    for kind, position, data in changes:
        if kind == "overwrite":
            mutated[position : position + len(data)] = data
        elif kind == "insert":
            mutated[position:position] = data
        elif kind == "delete":
            del mutated[position : position + len(data)]
        else:
            del mutated[position:]
    return bytes(mutated)


@pytest.mark.parametrize("name", SEEDS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_reading_damaged_bytes_never_raises_and_always_gives_the_same(name: str, data: st.DataObject) -> None:
    content = _mutate(SEEDS[name], data.draw(mutations(len(SEEDS[name]))))
    items = _read(name, content)
    assert items == _read(name, content)
    assert items, "an object must never vanish"
    found = [item.record_path for item in items if isinstance(item, Record)]
    assert len(found) == len(set(found))
    json.dumps([str(item) for item in items]).encode()
    for item in items:
        item.record_path.encode()
        if isinstance(item, Fault):
            assert item.message.startswith("object source/")
            item.message.encode()


@given(st.binary(max_size=2000), st.sampled_from([*SEEDS, "a.txt", "a.json", "a.bin"]))
@settings(max_examples=200, deadline=None)
def test_reading_any_bytes_never_raises(content: bytes, name: str) -> None:
    assert _read(name, content)


@given(
    st.lists(st.dictionaries(st.sampled_from(["text", "title", "url"]), st.text() | st.none() | st.integers())),
    st.sampled_from(["", ".gz", ".zst"]),
)
@settings(max_examples=100, deadline=None)
def test_every_line_ends_as_a_record_or_a_fault_of_its_own(documents: list[object], extension: str) -> None:
    compress = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}[extension]
    items = _read(f"a.jsonl{extension}", compress(jsonl(documents)))
    if documents:
        assert [item.record_path for item in items] == [f"line:{number + 1}" for number in range(len(documents))]
    else:
        assert [(item.record_path, item.code) for item in items if isinstance(item, Fault)] == [("", "empty_object")]


@given(st.lists(st.tuples(st.text(min_size=1, max_size=20), st.binary(max_size=50)), min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_every_member_ends_as_a_record_or_a_fault(members: list[tuple[str, bytes]]) -> None:
    members = [(f"{name.encode('ascii', 'xmlcharrefreplace').decode()}.txt", content) for name, content in members]
    members = [(name.replace("\0", "0"), content) for name, content in members]
    items = _read("a.tar", tar(members))
    assert len(items) == len(members)
    assert len({item.record_path for item in items}) == len(members)


@pytest.mark.parametrize("name", SEEDS)
def test_the_seeds_are_sound(name: str) -> None:
    items = _read(name, SEEDS[name])
    assert items
    assert all(isinstance(item, Record) for item in items)
