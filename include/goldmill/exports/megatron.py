"""Sequences as a Megatron indexed data set: ``.bin`` with the token ids, ``.idx`` that says where each one is.

Layout, version 1 (Megatron-LM, ``megatron/core/datasets/indexed_dataset.py``), little endian: magic of 9 bytes, version
(64 bits), code of the id type (8 bits), number of sequences, number of document boundaries (64 bits each), then the
length of each sequence (32 bits), the byte where it begins in the ``.bin`` (64 bits) and the boundaries (64 bits).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa

_MAGIC = b"MMIDIDX\x00\x00"
_VERSION = 1
# Megatron's codes of id types, and the vocabulary below which it takes the short one.
_INT32, _UINT16 = 4, 8
_SHORT_BELOW = 65_500
# Entries of the index computed at once.
_CHUNK = 2**16


def write_megatron(
    bin_file: BinaryIO, idx_file: BinaryIO, sequences: Iterable[pa.RecordBatch], *, vocab_size: int
) -> int:
    """Write each sequence, padding included, as a document of its own, and return how many.

    All sequences have one length, so a Megatron run with that sequence length takes one packed sequence a sample (and
    the first id of the next one as the last label), whatever order it draws. Ids have 16 bits where the vocabulary is
    below 65 500, else 32. Memory does not grow with the number of sequences.

    Args:
        bin_file: open for writing bytes, e.g. by ``fsspec.open(uri, "wb")``; it is not closed.
        idx_file: likewise, for the index.
        sequences: batches with the column ``token_ids``.
        vocab_size: one more than the largest token id.

    Raises:
        ValueError: if a batch lacks the column, a sequence is null or has another length than the first, or an id is
            outside the vocabulary.
    """
    dtype, code = ("<u2", _UINT16) if vocab_size < _SHORT_BELOW else ("<i4", _INT32)
    written = length = 0
    for batch in sequences:
        if "token_ids" not in batch.schema.names:
            raise ValueError("megatron: column token_ids is missing; select it from the sequences table")
        column = batch.column("token_ids")
        if not len(column):
            continue
        lengths = np.diff(column.offsets.to_numpy())
        length = length or int(lengths[0])
        if column.null_count or not length or (lengths != length).any():
            raise ValueError(
                f"megatron: token_ids has sequences of {lengths.min()} to {lengths.max()} tokens and "
                f"{column.null_count} nulls, the first has {length}; export sequences of one packing at a time"
            )
        ids = column.flatten().to_numpy()
        if ids.min() < 0 or ids.max() >= vocab_size:
            raise ValueError(
                f"megatron: token_ids has ids from {ids.min()} to {ids.max()}, the vocabulary {vocab_size} entries; "
                "give the vocab_size of the tokenizer that made them"
            )
        bin_file.write(ids.astype(dtype).tobytes())
        written += len(column)
    idx_file.write(_MAGIC + struct.pack("<QBQQ", _VERSION, code, written, written + 1))
    for start, stop in _chunks(written):
        idx_file.write(np.full(stop - start, length, "<i4").tobytes())
    for start, stop in _chunks(written):
        idx_file.write((np.arange(start, stop, dtype="<i8") * length * np.dtype(dtype).itemsize).tobytes())
    for start, stop in _chunks(written + 1):
        idx_file.write(np.arange(start, stop, dtype="<i8").tobytes())
    return written


def _chunks(count: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, _CHUNK):
        yield start, min(start + _CHUNK, count)
