"""Megatron indexed data sets, read back by a reader written from the format's description."""

from __future__ import annotations

import io
import struct
import tracemalloc
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldmill.exports.megatron import write_megatron


def batch_of(rows: list[list[int]]) -> pa.RecordBatch:
    return pa.record_batch({"token_ids": pa.array(rows, pa.list_(pa.int32()))})


def read_back(bin_content: bytes, idx_content: bytes) -> tuple[list[list[int]], list[int], np.dtype[Any]]:
    """Sequences, document boundaries and type of ids."""
    assert idx_content[:9] == b"MMIDIDX\x00\x00"
    version, code, sequences, boundaries = struct.unpack_from("<QBQQ", idx_content, 9)
    assert version == 1
    dtype = np.dtype({4: "<i4", 8: "<u2"}[code])
    at = 9 + 8 + 1 + 8 + 8
    lengths = np.frombuffer(idx_content, "<i4", sequences, at)
    at += 4 * sequences
    pointers = np.frombuffer(idx_content, "<i8", sequences, at)
    at += 8 * sequences
    documents = np.frombuffer(idx_content, "<i8", boundaries, at)
    assert at + 8 * boundaries == len(idx_content)
    rows = [
        np.frombuffer(bin_content, dtype, length, pointer).tolist()
        for length, pointer in zip(lengths.tolist(), pointers.tolist(), strict=True)
    ]
    assert int(lengths.sum()) * dtype.itemsize == len(bin_content)
    return rows, documents.tolist(), dtype


def write(batches: list[pa.RecordBatch], vocab_size: int) -> tuple[int, bytes, bytes]:
    bin_file, idx_file = io.BytesIO(), io.BytesIO()
    written = write_megatron(bin_file, idx_file, iter(batches), vocab_size=vocab_size)
    return written, bin_file.getvalue(), idx_file.getvalue()


@pytest.mark.parametrize(("vocab_size", "dtype"), [(65_499, "<u2"), (65_500, "<i4"), (200_000, "<i4")])
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_what_is_written_is_read_back(vocab_size: int, dtype: str, data: st.DataObject) -> None:
    length = data.draw(st.integers(1, 9))
    ids = st.one_of(st.integers(0, vocab_size - 1), st.just(vocab_size - 1))
    rows = data.draw(st.lists(st.lists(ids, min_size=length, max_size=length), max_size=8))
    cut = data.draw(st.integers(0, len(rows)))
    written, bin_content, idx_content = write([batch_of(rows)[:cut], batch_of(rows)[cut:]], vocab_size)
    assert written == len(rows)
    assert read_back(bin_content, idx_content) == (rows, list(range(len(rows) + 1)), np.dtype(dtype))


def test_large_indices_are_whole() -> None:
    rows = np.arange(150_000, dtype=np.int32).reshape(-1, 1) % 100
    batch = pa.record_batch(
        {"token_ids": pa.ListArray.from_arrays(pa.array(np.arange(150_001, dtype=np.int32)), pa.array(rows.ravel()))}
    )
    _, bin_content, idx_content = write([batch], 100)
    read, documents, _ = read_back(bin_content, idx_content)
    assert read == rows.tolist()
    assert documents == list(range(150_001))


def test_memory_does_not_grow_with_the_number_of_sequences() -> None:
    class Sink(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            return len(memoryview(data))  # type: ignore[arg-type]

    batch = batch_of([[1] * 512] * 256)
    peaks = []
    for count in (50, 800):
        tracemalloc.start()
        write_megatron(Sink(), Sink(), (batch for _ in range(count)), vocab_size=10)  # type: ignore[arg-type]
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 2**20


def test_bad_batches_are_named() -> None:
    with pytest.raises(ValueError, match="column token_ids is missing"):
        write([pa.record_batch({"ids": pa.array([[1]])})], 10)
    with pytest.raises(ValueError, match="sequences of 1 to 2 tokens and 0 nulls, the first has 2"):
        write([batch_of([[1, 2], [3]])], 10)
    with pytest.raises(ValueError, match="sequences of 3 to 3 tokens and 0 nulls, the first has 2"):
        write([batch_of([[1, 2]]), batch_of([[1, 2, 3]])], 10)
    with pytest.raises(ValueError, match="ids from 1 to 10, the vocabulary 10 entries"):
        write([batch_of([[1, 10]])], 10)
