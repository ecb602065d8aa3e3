"""What dolma's Gopher tagger measures: words cut at white space, and every copy of what is repeated.

Not the default variant: made to agree with dolma 1.2.1 to the letter, over the same n-gram tables as the other counts.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from goldmill.text.bits import hash_bytes
from goldmill.text.characters import ALPHABETIC, CLASS, SPACE, Entries, character, character_table
from goldmill.text.compiled import compiled
from goldmill.text.grams import DUPLICATE_GRAMS, TOP_GRAMS, measure_grams
from goldmill.text.utf8 import Bytes, Offsets, decode, string_buffers
from goldmill.text.words import STOP_WORDS, Counts, Hashes, Positions

SPACED_COUNTERS: Final = (
    "spaced_words",
    "spaced_word_chars",
    "spaced_median_word_length",  # float64
    "spaced_symbol_words",  # with "#" or U+2026
    "spaced_alphabetic_words",
    "spaced_stop_words",  # all of them, not the different ones
    "spaced_lines",  # parts between one or more line feeds, empty ones at the ends of the text included
    "spaced_bullet_lines",  # first character is "*" or "-"
    "spaced_ellipsis_lines",  # last character is U+2026
    "spaced_repeated_lines",  # that occur more than once, the first included
    "spaced_repeated_line_chars",
    *(f"spaced_top_{n}_gram_chars" for n in TOP_GRAMS),  # commonest n words, without spaces, times their number
    *(f"spaced_repeated_{n}_gram_chars" for n in DUPLICATE_GRAMS),  # n-grams that occur more than once, each in full
    *(f"spaced_{n}_gram_chars" for n in DUPLICATE_GRAMS),  # all n-grams, each in full
)
"""Columns of ``count_spaced``; int64 but for the median."""

_MEDIAN = SPACED_COUNTERS.index("spaced_median_word_length")
_LINES = SPACED_COUNTERS.index("spaced_lines")
_TOP = SPACED_COUNTERS.index("spaced_top_2_gram_chars")
_REPEATED = SPACED_COUNTERS.index("spaced_repeated_5_gram_chars")
_ALL = SPACED_COUNTERS.index("spaced_5_gram_chars")


def count_spaced(texts: pa.Array | pa.ChunkedArray) -> pa.RecordBatch:
    """Count in each text what ``SPACED_COUNTERS`` says.

    Args:
        texts: string or large_string array without nulls, one document a row.

    Raises:
        TypeError: if the array holds no strings.
        ValueError: if a text is null.
    """
    data, offsets = string_buffers(texts, "texts")
    counts = np.zeros((len(texts), len(SPACED_COUNTERS)), np.int64)
    longest = int(np.diff(offsets).max(initial=0))
    stop_words = np.frombuffer("".join(word.ljust(8, "\0") for word in STOP_WORDS).encode(), np.uint64)
    _count(data, offsets, character_table(), stop_words, longest + 2, counts)
    columns = [pa.array(np.ascontiguousarray(column)) for column in counts.T]
    columns[_MEDIAN] = pa.array(counts[:, _MEDIAN] / 2)
    return pa.RecordBatch.from_arrays(columns, names=list(SPACED_COUNTERS))


@compiled
def _count(data: Bytes, offsets: Offsets, table: Entries, stop_words: Hashes, capacity: int, counts: Counts) -> None:
    size = 8
    while size < 2 * capacity:
        size *= 2
    keys = np.empty(size, np.uint64)
    hashes, names = np.empty(capacity, np.uint64), np.empty(capacity, np.uint64)
    ends, groups = np.zeros(capacity + 1, np.int32), np.empty(capacity, np.int32)
    members, places = np.empty(capacity, np.int32), np.empty(capacity, np.int32)
    levels = np.empty(capacity, np.uint8)
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        if start == end:
            continue
        out = counts[row]
        _measure_lines(data, start, end, out[_LINES:])
        words = _measure_words(data, start, end, table, stop_words, hashes, ends, out)
        tops, duplicate = np.zeros(3, np.int64), np.zeros(6, np.int64)
        measure_grams(
            hashes,
            ends,
            words,
            keys,
            names,
            groups,
            members,
            places,
            levels,
            out[_TOP:],
            tops,
            duplicate,
            out[_REPEATED:],
        )
        for n in range(5, 11):
            for word in range(words - n + 1):
                out[_ALL + n - 5] += ends[word + n] - ends[word]


@compiled
def _measure_words(
    data: Bytes, start: int, end: int, table: Entries, stop_words: Hashes, hashes: Hashes, ends: Positions, out: Counts
) -> int:
    words, symbols, alphabetic, stops = 0, 0, 0, 0
    at = start
    while at < end:
        begin = at
        length = 0
        has_symbol, has_letter = False, False
        while at < end:
            code, behind = decode(data, at)
            entry = character(code, table)
            if entry & CLASS == SPACE:
                break
            length += 1
            has_symbol |= code == 35 or code == 0x2026
            has_letter |= (entry & ALPHABETIC) != 0
            at = behind
        if length == 0:
            at = behind
            continue
        hashes[words] = hash_bytes(data, begin, at)
        ends[words + 1] = ends[words] + length
        words += 1
        symbols += has_symbol
        alphabetic += has_letter
        if at - begin <= 4:
            packed = np.uint64(0)
            for index in range(at - begin):
                packed |= np.uint64(data[begin + index]) << np.uint64(8 * index)
            for index in range(len(stop_words)):
                stops += packed == stop_words[index]
    lengths = np.sort(ends[1 : words + 1] - ends[:words])
    if words > 0:
        out[2] = lengths[words // 2] + lengths[(words - 1) // 2]
    out[0], out[1], out[3], out[4], out[5] = words, ends[words], symbols, alphabetic, stops
    return words


@compiled
def _measure_lines(data: Bytes, start: int, end: int, out: Counts) -> None:
    count = 1
    for at in range(start, end):
        count += data[at] == 10
    keys, chars = np.empty(count, np.uint64), np.empty(count, np.int64)
    lines = 0
    at = start
    while at < end:
        begin = at
        length = 0
        while at < end and data[at] != 10:
            length += data[at] & 0xC0 != 0x80
            at += 1
        if at > begin:
            out[1] += data[begin] == 42 or data[begin] == 45
            out[2] += at - begin >= 3 and data[at - 3] == 0xE2 and data[at - 2] == 0x80 and data[at - 1] == 0xA6
            keys[lines] = hash_bytes(data, begin, at)
            chars[lines] = length
            lines += 1
        at += 1
    edges = (data[start] == 10) + (data[end - 1] == 10)
    out[0] = lines + edges
    out[3] = 2 if edges == 2 else 0
    order = np.argsort(keys[:lines])
    for index in range(lines):
        line = order[index]
        same = index > 0 and keys[order[index - 1]] == keys[line]
        same |= index + 1 < lines and keys[order[index + 1]] == keys[line]
        if same:
            out[3] += 1
            out[4] += chars[line]
