"""What the prose rules measure, for a whole array of texts at once.

Each text is read while it is in the processor's cache: once for its lines and paragraphs, once for its words; the word
n-grams are then found without looking at the text again. Everything is compiled, holds no lock and depends on the texts
alone. docs/rules.md says for each rule which counts it compares, and what words, lines and paragraphs are.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np
import pyarrow as pa

from goldmill.text.bits import (
    HIGH,
    continuations,
    controls,
    count_bits,
    equal,
    first_bit,
    hash_bytes,
    hash_end,
    hash_step,
    keep_first,
    load,
)
from goldmill.text.characters import CLASS, SPACE, TERMINAL, Entries, character, character_table
from goldmill.text.compiled import compiled
from goldmill.text.grams import DUPLICATE_GRAMS, MOST_WORDS, TOP_GRAMS, clear, measure_grams, seen
from goldmill.text.utf8 import Bytes, Offsets, decode, string_buffers
from goldmill.text.words import Counts, Hashes, Positions, find_words, measure_words

_LINE_COUNTERS: Final = (
    "chars",  # code points
    "line_chars",  # the same without line feeds
    "newlines",
    "lines",  # as Python's str.splitlines has them
    "bullet_lines",  # first visible character is a bullet (U+2022) or "-"
    "ellipsis_lines",  # last visible characters are "..." or U+2026
    "runs_of_lines",  # parts between one or more line feeds, empty ones at the ends of the text included
    "duplicate_lines",  # parts that equal an earlier one
    "duplicate_line_chars",
    "non_blank_lines",  # parts that are not white space only
    "duplicate_non_blank_line_chars",
    "terminal_lines",  # not blank, the last character is terminal punctuation
    "short_lines",  # not blank, at most 30 characters
    "hashes",  # "#"
    "ellipses",  # "..." (not overlapping) and U+2026
    "paragraphs",
    "duplicate_paragraphs",
    "duplicate_paragraph_chars",
)
_WORD_COUNTERS: Final = (
    "words",  # with symbol words
    "non_symbol_words",
    "non_symbol_word_chars",
    "alphabetic_words",  # words with a letter
    "stop_words",  # different ones among the, be, to, of, and, that, have, with
)
_GRAM_COUNTERS: Final = (
    "compared_chars",  # characters up to the end of the last word that n-grams were searched in
    *(f"top_{n}_gram_chars" for n in TOP_GRAMS),  # commonest n words, joined by spaces, times their number
    *(f"duplicate_{n}_gram_chars" for n in DUPLICATE_GRAMS),  # n words met before; the search goes on behind them
)
COUNTERS: Final = (*_LINE_COUNTERS, *_WORD_COUNTERS, *_GRAM_COUNTERS)
"""Columns of ``count_texts``, all int64."""

SHORT_LINE_CHARS: Final = 30
# Bounds the memory a text may cost, whatever its length: n-grams are searched in the first four million words, forty
# times what Gopher lets pass; as many lines and paragraphs are compared with each other.
COMPARED: Final = MOST_WORDS

_WORD_COLUMNS = len(_LINE_COUNTERS)
_GRAM_COLUMNS = _WORD_COLUMNS + len(_WORD_COUNTERS)
_TOP_COLUMNS = _GRAM_COLUMNS + 1
_DUPLICATE_COLUMNS = _TOP_COLUMNS + len(TOP_GRAMS)
_COLUMN_COUNT = len(COUNTERS)

_LINE_FEED, _TAB, _HASH, _STOP, _E2, _C2 = (np.uint64(code) for code in (10, 9, 35, 46, 0xE2, 0xC2))
_ZERO = np.uint64(0)


def count_texts(texts: pa.Array | pa.ChunkedArray, counters: Collection[str] = COUNTERS) -> pa.RecordBatch:
    """Count in each text what the prose rules compare.

    Args:
        texts: string or large_string array without nulls, one document a row.
        counters: those that are wanted; what none of them needs is not looked for.

    Returns:
        One row a text, one int64 column for each of ``counters``, in the order of ``COUNTERS``.

    Raises:
        TypeError: if the array holds no strings.
        ValueError: if a text is null.
    """
    data, offsets = string_buffers(texts, "texts")
    counts = np.zeros((len(texts), _COLUMN_COUNT), np.int64)
    grams = any(name in counters for name in _GRAM_COUNTERS)
    words = grams or any(name in counters for name in _WORD_COUNTERS)
    _count(data, offsets, character_table(), words, grams, counts)
    wanted = [index for index, name in enumerate(COUNTERS) if name in counters]
    columns = [pa.array(np.ascontiguousarray(counts[:, index])) for index in wanted]
    return pa.RecordBatch.from_arrays(columns, names=[COUNTERS[index] for index in wanted])


@compiled
def _count(data: Bytes, offsets: Offsets, table: Entries, words: bool, grams: bool, counts: Counts) -> None:
    """Fill ``counts``, shape (texts, counters)."""
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    # Reserved, not touched: a page costs memory only once a text needs it.
    capacity = min(longest, COMPARED) + 2
    size = 8
    while size < 2 * capacity:
        size *= 2
    keys = np.empty(size, np.uint64)
    hashes = np.empty(capacity, np.uint64)
    names = np.empty(capacity, np.uint64)
    ends = np.zeros(capacity + 1, np.int32)
    groups = np.empty(capacity, np.int32)
    members = np.empty(capacity, np.int32)
    places = np.empty(capacity, np.int32)
    levels = np.empty(capacity, np.uint8)
    tops = np.empty(3, np.int64)
    copies = np.zeros(6, np.int64)
    spans = np.empty(2 * longest + 2, np.int64)
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        if start == end:
            continue
        out = counts[row]
        _measure_lines(data, start, end, table, keys, hashes, names, places, members, out)
        if not words:
            continue
        found = find_words(data, start, end, table, spans)
        room = hashes[: capacity if grams else 0]
        measure_words(data, spans, found, table, room, ends, out[_WORD_COLUMNS:])
        if not grams:
            continue
        compared = min(found, COMPARED)
        out[_GRAM_COLUMNS] = out[0] if compared == found else _length(data, start, spans[2 * compared - 1])
        tops[:] = 0
        measure_grams(
            hashes,
            ends,
            compared,
            keys,
            names,
            groups,
            members,
            places,
            levels,
            out[_TOP_COLUMNS:],
            tops,
            out[_DUPLICATE_COLUMNS:],
            copies,
        )
        for n in range(2, 5):
            out[_TOP_COLUMNS + n - 2] += (n - 1) * tops[n - 2]


@compiled
def _measure_lines(
    data: Bytes,
    start: int,
    end: int,
    table: Entries,
    keys: Hashes,
    line_keys: Hashes,
    paragraph_keys: Hashes,
    line_chars: Positions,
    paragraph_chars: Positions,
    out: Counts,
) -> None:
    """Lines and paragraphs; hashes and lengths of both are left in the arrays on the way."""
    visible, visible_end = strip(data, start, end, table)
    chars, newlines, bullets, ellipsis_lines, filled, terminal, short = 0, 0, 0, 0, 0, 0, 0
    hash_signs, ellipses = 0, 0
    lines = 0  # those not empty, which are left in the arrays
    paragraphs = 0
    open_paragraph = False
    other_breaks = False  # whether there are line ends beside the line feed
    at = start
    dots_behind = start  # full stops before this place are counted
    while True:
        begin = at
        key = _ZERO
        continued = 0
        while True:
            word = load(data, at)
            size = min(8, end - at)
            feed = first_bit(equal(word, _LINE_FEED)) >> 3
            length = min(size, feed)
            word = keep_first(word, length)
            high = word & HIGH
            continued += count_bits(continuations(word))
            hash_signs += count_bits(equal(word, _HASH))
            dots = equal(word, _STOP)
            while dots != _ZERO:
                dot = at + (first_bit(dots) >> 3)
                dots &= dots - np.uint64(1)
                if dot >= dots_behind and dot + 2 < end and data[dot + 1] == 46 and data[dot + 2] == 46:
                    ellipses += 1
                    dots_behind = dot + 3
            low = keep_first(controls(word), length) & ~equal(word, _TAB)
            other_breaks |= low != _ZERO
            if high != _ZERO:
                leads = equal(word, _E2)
                while leads != _ZERO:
                    lead = at + (first_bit(leads) >> 3)
                    leads &= leads - np.uint64(1)
                    if data[lead + 1] == 0x80:
                        ellipses += data[lead + 2] == 0xA6
                        other_breaks |= data[lead + 2] == 0xA8 or data[lead + 2] == 0xA9
                leads = equal(word, _C2)
                while leads != _ZERO:
                    lead = at + (first_bit(leads) >> 3)
                    leads &= leads - np.uint64(1)
                    other_breaks |= data[lead + 1] == 0x85
            at += length
            if length < 8 or at == end or data[at] == 10:
                key = hash_end(key, word)
                break
            key = hash_step(key, word)
        length = at - begin - continued
        chars += length
        # A paragraph is the same with the white space at the ends of the text left out.
        if at > begin and at > visible and begin < visible_end:
            part_key, part_chars = key, length
            if begin < visible or at > visible_end:
                part_begin, part_end = max(begin, visible), min(at, visible_end)
                part_key = hash_bytes(data, part_begin, part_end)
                part_chars = _length(data, part_begin, part_end)
            if open_paragraph:
                paragraph_keys[paragraphs] = hash_step(paragraph_keys[paragraphs], part_key)
                paragraph_chars[paragraphs] += part_chars + 1
            elif paragraphs < len(paragraph_keys) - 1:
                paragraph_keys[paragraphs] = hash_step(_ZERO, part_key)
                paragraph_chars[paragraphs] = part_chars
                open_paragraph = True
        elif open_paragraph:
            paragraphs += 1
            open_paragraph = False
        if at > begin:
            first, last, dotted = _ends(data, begin, at, table)
            blank = first == 0
            if not blank:
                filled += 1
                bullets += first == 0x2022 or first == 45
                ellipsis_lines += dotted
                short += length <= SHORT_LINE_CHARS
                terminal += (character(last, table) & TERMINAL) != 0
            if lines < len(line_keys):
                line_keys[lines] = key
                line_chars[lines] = -length if blank else length
            lines += 1
        if at == end:
            break
        newlines += 1
        at += 1
    if open_paragraph:
        paragraphs += 1
    edges = (data[start] == 10) + (data[end - 1] == 10)
    compared = min(lines, len(line_keys))
    shift = clear(keys, compared)
    # A text that begins and ends with line feeds has an empty part at each end: the second repeats the first.
    duplicates, duplicate_chars, duplicate_filled_chars = int(edges == 2), 0, 0
    for line in range(compared):
        if seen(keys, shift, line_keys[line], False):
            duplicates += 1
            duplicate_chars += abs(line_chars[line])
            duplicate_filled_chars += max(0, line_chars[line])
    out[0], out[1], out[2] = chars + newlines, chars, newlines
    out[3], out[4], out[5] = newlines + (data[end - 1] != 10), bullets, ellipsis_lines
    if other_breaks:
        out[3], out[4], out[5] = _split_lines(data, start, end, table)
    out[6], out[7], out[8], out[9], out[10] = lines + edges, duplicates, duplicate_chars, filled, duplicate_filled_chars
    out[11], out[12], out[13], out[14], out[15] = terminal, short, hash_signs, ellipses, paragraphs
    shift = clear(keys, paragraphs)
    for paragraph in range(paragraphs):
        if seen(keys, shift, max(paragraph_keys[paragraph], np.uint64(1)), False):
            out[16] += 1
            out[17] += paragraph_chars[paragraph]


@compiled
def _length(data: Bytes, start: int, end: int) -> int:
    """Characters between two positions."""
    chars = 0
    for at in range(start, end):
        chars += data[at] & 0xC0 != 0x80
    return chars


@compiled
def strip(data: Bytes, start: int, end: int, table: Entries) -> tuple[int, int]:
    """First byte of the first visible character and byte behind the last; both the end if there is none."""
    while start < end:
        code, behind = decode(data, start)
        if character(code, table) & CLASS != SPACE:
            break
        start = behind
    while end > start:
        at = end - 1
        while data[at] & 0xC0 == 0x80:
            at -= 1
        code, _ = decode(data, at)
        if character(code, table) & CLASS != SPACE:
            break
        end = at
    return start, end


@compiled
def _ends(data: Bytes, start: int, end: int, table: Entries) -> tuple[int, int, bool]:
    """First visible character (0 if there is none), last character, and whether an ellipsis ends what is visible."""
    at = end - 1
    while data[at] & 0xC0 == 0x80:
        at -= 1
    last, _ = decode(data, at)
    visible, visible_end = strip(data, start, end, table)
    if visible == visible_end:
        return 0, last, False
    first, _ = decode(data, visible)
    return max(first, 1), last, _is_dotted(data, visible, visible_end)


@compiled
def _is_dotted(data: Bytes, start: int, end: int) -> bool:
    """Whether a text ends in "..." or U+2026."""
    if end - start < 3:
        return False
    one, two, three = data[end - 3], data[end - 2], data[end - 1]
    return bool((one == 46 and two == 46 and three == 46) or (one == 0xE2 and two == 0x80 and three == 0xA6))


@compiled
def _split_lines(data: Bytes, start: int, end: int, table: Entries) -> tuple[int, int, int]:
    """Lines, bullet lines and lines that end in an ellipsis, where lines end at any of Unicode's line ends."""
    lines, bullets, ellipsis_lines = 0, 0, 0
    at = start
    while at < end:
        begin = at
        stop, at = next_line(data, at, end)
        lines += 1
        if stop > begin:
            first, _, dotted = _ends(data, begin, stop, table)
            bullets += first == 0x2022 or first == 45
            ellipsis_lines += dotted
    return lines, bullets, ellipsis_lines


@compiled
def next_line(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """End of the line that begins here, and beginning of the next, as Python's str.splitlines has them."""
    while at < end:
        byte = data[at]
        if byte < 32:
            if byte == 13 and at + 1 < end and data[at + 1] == 10:
                return at, at + 2
            if 10 <= byte <= 13 or 28 <= byte <= 30:
                return at, at + 1
        elif byte == 0xC2:
            if data[at + 1] == 0x85:
                return at, at + 2
        elif byte == 0xE2 and data[at + 1] == 0x80 and (data[at + 2] == 0xA8 or data[at + 2] == 0xA9):
            return at, at + 3
        at += 1
    return end, end
