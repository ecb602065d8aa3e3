"""TFRecord files, read back by a reader written from the format's description."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import fsspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldmill.exports.tfrecord import write_tfrecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INT64 = st.integers(-(2**63), 2**63 - 1)


def batch_of(rows: list[tuple[list[int], list[int], int]], type_: pa.DataType | None = None) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "token_ids": pa.array([row[0] for row in rows], pa.list_(type_ or pa.int64())),
            "document_offsets": pa.array([row[1] for row in rows], pa.list_(type_ or pa.int64())),
            "token_count": pa.array([row[2] for row in rows], type_ or pa.int64()),
        }
    )


def crc32c(data: bytes) -> int:
    """Bit by bit, by the definition."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> int:
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(content: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(content):
        head = content[at : at + 8]
        (size,) = struct.unpack("<Q", head)
        assert struct.unpack("<I", content[at + 8 : at + 12]) == (masked(head),)
        data = content[at + 12 : at + 12 + size]
        assert len(data) == size
        assert struct.unpack("<I", content[at + 12 + size : at + 16 + size]) == (masked(data),)
        yield data
        at += 16 + size


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:
            return value, at


def fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of each field; all are length-delimited here."""
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        assert tag & 7 == 2
        size, at = varint(message, at)
        assert at + size <= len(message)
        yield tag >> 3, message[at : at + size]
        at += size


def only(message: bytes, number: int) -> bytes:
    ((found, content),) = fields(message)
    assert found == number
    return content


def parse_example(message: bytes) -> dict[str, list[int]]:
    parsed = {}
    for number, entry in fields(only(message, 1)):
        assert number == 1
        (key_number, key), (value_number, feature) = fields(entry)
        assert (key_number, value_number) == (1, 2)
        packed, values, at = only(only(feature, 3), 1), [], 0
        while at < len(packed):
            value, at = varint(packed, at)
            values.append(value - 2**64 if value >> 63 else value)
        parsed[key.decode()] = values
    return parsed


@given(st.lists(st.tuples(st.lists(INT64, max_size=20), st.lists(INT64, max_size=4), INT64), max_size=6))
@settings(deadline=None)  # the first example compiles the encoder
def test_what_is_written_is_read_back(rows: list[tuple[list[int], list[int], int]]) -> None:
    file = io.BytesIO()
    assert write_tfrecord(file, [batch_of(rows), batch_of(rows[:1])]) == len(rows) + len(rows[:1])
    expected = [
        {"token_ids": tokens, "document_offsets": offsets, "token_count": [count]}
        for tokens, offsets, count in [*rows, *rows[:1]]
    ]
    assert [parse_example(data) for data in records(file.getvalue())] == expected


def test_the_checksum_is_crc32c() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # the check value of the CRC catalogue


def test_long_sequences_slices_and_narrow_types(tmp_path: Path) -> None:
    rows = [([(row * 7919 + at) % 40_000 for at in range(2048)], [0, 5], 2000 + row % 48) for row in range(600)]
    batch = batch_of(rows, pa.int32())
    with fsspec.open(f"file://{tmp_path}/a.tfrecord", "wb") as file:
        assert write_tfrecord(file, iter([batch[100:150], batch.slice(150)])) == 500
    parsed = [parse_example(data) for data in records_without_checks((tmp_path / "a.tfrecord").read_bytes())]
    assert [example["token_ids"] for example in parsed] == [row[0] for row in rows[100:]]
    assert [example["token_count"] for example in parsed] == [[row[2]] for row in rows[100:]]
    content = (tmp_path / "a.tfrecord").read_bytes()
    (first,) = records(content[: 16 + struct.unpack("<Q", content[:8])[0]])
    assert parse_example(first) == parsed[0]


def records_without_checks(content: bytes) -> Iterator[bytes]:
    """The slow checksums are left to shorter files."""
    at = 0
    while at < len(content):
        (size,) = struct.unpack("<Q", content[at : at + 8])
        yield content[at + 12 : at + 12 + size]
        at += 16 + size


def test_bad_batches_are_named() -> None:
    with pytest.raises(ValueError, match="column document_offsets is missing; select document_offsets, token_count"):
        write_tfrecord(io.BytesIO(), [pa.record_batch({"token_ids": pa.array([[1]])})])
    nulls = pa.record_batch(
        {"token_ids": pa.array([[1], None]), "document_offsets": pa.array([[0], [0]]), "token_count": pa.array([1, 1])}
    )
    with pytest.raises(ValueError, match="column token_ids has 1 nulls"):
        write_tfrecord(io.BytesIO(), [nulls])
