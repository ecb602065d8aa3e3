"""The bytes behind an Arrow string array, for compiled code."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldmill.text.compiled import compiled, signed

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


def string_buffers(texts: pa.Array | pa.ChunkedArray, name: str) -> tuple[Bytes, Offsets]:
    """UTF-8 bytes and offsets (rows + 1, in bytes) of a string array; the bytes are copied only where it is chunked.

    Raises:
        TypeError: if the array holds no strings.
        ValueError: if a value is null.
    """
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    if texts.type not in (pa.string(), pa.large_string()):
        raise TypeError(f"{name}: values are of type {texts.type}; give a string or large_string array")
    if texts.null_count:
        raise ValueError(f"{name}: {texts.null_count} of {len(texts)} values are null; filter them out first")
    _, offsets, data = texts.buffers()
    if offsets is None or not len(texts):
        view = np.zeros(len(texts) + 1, np.int64)
    else:
        width = np.int32 if texts.type == pa.string() else np.int64
        view = np.frombuffer(offsets, width)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    content = np.frombuffer(data or b"", np.uint8)
    # Compiled functions exist once a kind of argument, and writable is a kind: make it always the same.
    content.flags.writeable = view.flags.writeable = False
    return content, view


@compiled
def decode(data: Bytes, at: int) -> tuple[int, int]:
    """Code point at a byte position and the position behind it; Arrow strings are well-formed UTF-8."""
    first = signed(data[at])
    if first < 0x80:
        return first, at + 1
    if first < 0xE0:
        return (first & 0x1F) << 6 | signed(data[at + 1]) & 0x3F, at + 2
    second = signed(data[at + 1]) & 0x3F
    third = signed(data[at + 2]) & 0x3F
    if first < 0xF0:
        return (first & 0x0F) << 12 | second << 6 | third, at + 3
    return (first & 0x07) << 18 | second << 12 | third << 6 | signed(data[at + 3]) & 0x3F, at + 4
