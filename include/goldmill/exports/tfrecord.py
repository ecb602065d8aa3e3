"""Sequences as TFRecord files of ``tf.train.Example`` messages.

A TFRecord file is a row of frames: length (64 bits), masked CRC-32C of the length, data, masked CRC-32C of the data,
all little endian (tensorflow/core/lib/io/record_writer.h). An Example is a protocol buffer
(tensorflow/core/example/example.proto); the few fields that are used are written here, so that no TensorFlow is needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldmill.text.compiled import compiled, signed

# The features of an Example, all lists of 64-bit integers; in this order in the file.
FEATURES = ("document_offsets", "token_count", "token_ids")

# Castagnoli's polynomial, bit-reversed (RFC 3720, appendix B.4).
_POLYNOMIAL = 0x82F63B78
_MASK_DELTA = 0xA282EAD8
# Sequences encoded at once: what is in memory besides the caller's batch.
_ROWS = 256

Bytes = npt.NDArray[np.uint8]


def write_tfrecord(file: BinaryIO, sequences: Iterable[pa.RecordBatch]) -> int:
    """Write one Example a sequence, in the order given, and return how many.

    The features are ``token_ids`` (padded), ``token_count`` (ids without padding) and ``document_offsets``. Memory does
    not grow with the number of sequences.

    Args:
        file: open for writing bytes, e.g. by ``fsspec.open(uri, "wb")``; it is not closed.
        sequences: batches with the columns ``token_ids``, ``token_count`` and ``document_offsets``.

    Raises:
        ValueError: if a batch lacks a column or has a null in one.
    """
    written = 0
    for batch in sequences:
        for start in range(0, batch.num_rows, _ROWS):
            columns = [_int64_lists(batch.slice(start, _ROWS), name) for name in FEATURES]
            file.write(_frames(*_flatten(columns), _names(), _crc_tables()).tobytes())
        written += batch.num_rows
    return written


def _int64_lists(batch: pa.RecordBatch, name: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Offsets (rows + 1, from 0) and values of a column, a scalar column as lists of one."""
    if name not in batch.schema.names:
        raise ValueError(f"tfrecord: column {name} is missing; select {', '.join(FEATURES)} from the sequences table")
    column = batch.column(name)
    if column.null_count:
        raise ValueError(f"tfrecord: column {name} has {column.null_count} nulls; filter those sequences out")
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        return np.arange(len(column) + 1), column.to_numpy().astype(np.int64)
    offsets = column.offsets.to_numpy().astype(np.int64)
    return offsets - offsets[0], column.flatten().to_numpy().astype(np.int64)


def _flatten(
    columns: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Values of all features one behind the other, and where each row of each feature begins, (features, rows + 1)."""
    bases = np.cumsum([0, *(len(values) for _, values in columns[:-1])])
    offsets = np.stack([offsets + base for (offsets, _), base in zip(columns, bases, strict=True)])
    return offsets, np.concatenate([values for _, values in columns])


@lru_cache(maxsize=1)
def _names() -> Bytes:
    """Names of the features, padded with zeros to rows of equal length."""
    width = max(map(len, FEATURES)) + 1
    return np.frombuffer(b"".join(name.encode().ljust(width, b"\0") for name in FEATURES), np.uint8).reshape(-1, width)


@lru_cache(maxsize=1)
def _crc_tables() -> npt.NDArray[np.uint32]:
    """Tables to take eight bytes a step ("slicing by 8", Kounavis and Berry 2005), shape (8, 256)."""
    tables = np.zeros((8, 256), np.uint32)
    for byte in range(256):
        remainder = byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (_POLYNOMIAL if remainder & 1 else 0)
        tables[0, byte] = remainder
    for step in range(1, 8):
        tables[step] = tables[step - 1] >> 8 ^ tables[0, tables[step - 1] & 0xFF]
    return tables


@compiled
def _masked_crc(data: Bytes, start: int, stop: int, tables: npt.NDArray[np.uint32]) -> int:
    """CRC-32C, rotated and shifted as TFRecord wants it, so that a CRC of data with CRCs in it stays sound."""
    crc, at = 0xFFFFFFFF, start
    while at + 8 <= stop:
        crc = (
            signed(tables[7, crc & 0xFF ^ signed(data[at])])
            ^ signed(tables[6, crc >> 8 & 0xFF ^ signed(data[at + 1])])
            ^ signed(tables[5, crc >> 16 & 0xFF ^ signed(data[at + 2])])
            ^ signed(tables[4, crc >> 24 ^ signed(data[at + 3])])
            ^ signed(tables[3, data[at + 4]])
            ^ signed(tables[2, data[at + 5]])
            ^ signed(tables[1, data[at + 6]])
            ^ signed(tables[0, data[at + 7]])
        )
        at += 8
    while at < stop:
        crc = crc >> 8 ^ signed(tables[0, (crc ^ signed(data[at])) & 0xFF])
        at += 1
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) & 0xFFFFFFFF) + _MASK_DELTA & 0xFFFFFFFF


@compiled
def _put_little_endian(value: int, width: int, out: Bytes, at: int) -> int:
    for index in range(width):
        out[at + index] = value >> 8 * index & 0xFF
    return at + width


@compiled
def _varint_size(value: int) -> int:
    # Negative numbers are written as 64 bits of two's complement.
    if value < 0:
        return 10
    size = 1
    while value > 0x7F:
        value >>= 7
        size += 1
    return size


@compiled
def _put_varint(value: int, out: Bytes, at: int) -> int:
    rest = np.uint64(value)
    while rest > np.uint64(0x7F):
        out[at] = np.uint8(rest & np.uint64(0x7F)) | np.uint8(0x80)
        rest >>= np.uint64(7)
        at += 1
    out[at] = np.uint8(rest)
    return at + 1


@compiled
def _put_header(field: int, size: int, out: Bytes, at: int) -> int:
    """Tag of a length-delimited field below 16, and its length."""
    out[at] = field << 3 | 2
    return _put_varint(size, out, at + 1)


@compiled
def _nested(size: int) -> int:
    """Bytes of a length-delimited field with ``size`` bytes of content."""
    return 1 + _varint_size(size) + size


@compiled
def _frames(
    offsets: npt.NDArray[np.int64],
    values: npt.NDArray[np.int64],
    names: Bytes,
    tables: npt.NDArray[np.uint32],
) -> Bytes:
    features, rows = offsets.shape[0], offsets.shape[1] - 1
    # A frame has 16 bytes; a feature its name and at most 7 headers of 11 bytes; a value at most 10.
    out = np.empty(rows * (40 + features * (names.shape[1] + 80)) + 10 * len(values), np.uint8)
    packed = np.empty(features, np.int64)
    entries = np.empty(features, np.int64)
    name_sizes = np.empty(features, np.int64)
    for feature in range(features):
        name_sizes[feature] = np.count_nonzero(names[feature])
    at = 0
    for row in range(rows):
        # Sizes from the inside out: packed values < Int64List < Feature < map entry < Features < Example.
        all_entries = 0
        for feature in range(features):
            size = 0
            for index in range(offsets[feature, row], offsets[feature, row + 1]):
                size += _varint_size(values[index])
            packed[feature] = size
            entries[feature] = _nested(name_sizes[feature]) + _nested(_nested(_nested(size)))
            all_entries += _nested(entries[feature])
        size = _nested(all_entries)
        start = at
        at = _put_little_endian(size, 8, out, at)
        at = _put_little_endian(_masked_crc(out, start, at, tables), 4, out, at)
        data = at
        at = _put_header(1, all_entries, out, at)  # Example.features
        for feature in range(features):
            at = _put_header(1, entries[feature], out, at)  # Features.feature, a map
            at = _put_header(1, name_sizes[feature], out, at)  # its key
            for index in range(name_sizes[feature]):
                out[at + index] = names[feature, index]
            at += name_sizes[feature]
            at = _put_header(2, _nested(_nested(packed[feature])), out, at)  # its value, a Feature
            at = _put_header(3, _nested(packed[feature]), out, at)  # Feature.int64_list
            at = _put_header(1, packed[feature], out, at)  # Int64List.value, packed
            for index in range(offsets[feature, row], offsets[feature, row + 1]):
                at = _put_varint(values[index], out, at)
        at = _put_little_endian(_masked_crc(out, data, at, tables), 4, out, at)
    return out[:at]
