"""The words of a text, as the prose rules count them.

The reading of public filters is followed, which let spaCy's English rules cut words; docs/rules.md gives the
definition. A text is cut at white space into *groups*, most of which are one word of ASCII letters and digits; those
are found eight bytes at a time. Only the other groups are taken apart character by character.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldmill.text.bits import (
    HIGH,
    count_bits,
    digits,
    first_bit,
    hash_bytes,
    hash_end,
    keep_first,
    letters,
    load,
)
from goldmill.text.characters import (
    AFFIX,
    ALONE,
    ALPHABETIC,
    CLASS,
    DIGIT,
    LETTER,
    LOWER,
    MARK,
    PREFIX,
    PUNCTUATION,
    QUOTE,
    SPACE,
    SYMBOL,
    UPPER,
    Entries,
    character,
    character_table,
)
from goldmill.text.compiled import compiled
from goldmill.text.utf8 import Bytes, decode, string_buffers

Counts = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int32]

STOP_WORDS: Final = ("the", "be", "to", "of", "and", "that", "have", "with")
_STOP_WORDS = np.array([int.from_bytes(word.encode(), "little") for word in STOP_WORDS], np.uint64)

_ZERO = np.uint64(0)


def split_words(texts: pa.Array | pa.ChunkedArray) -> pa.LargeListArray:
    """The words of each text, in their order: what the word counts of ``count_texts`` are made of.

    Args:
        texts: string or large_string array without nulls, one document a row.

    Returns:
        large_list of large_string, one row a text.

    Raises:
        TypeError: if the array holds no strings.
        ValueError: if a text is null.
    """
    data, offsets = string_buffers(texts, "texts")
    table = character_table()
    spans = np.empty(2 * int(offsets[-1] - offsets[0]) + 2, np.int64)
    rows = np.zeros(len(offsets), np.int64)
    total = _find_all(data, offsets, table, spans, rows)
    starts, stops = spans[: 2 * total : 2], spans[1 : 2 * total : 2]
    content_offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(stops - starts)])
    content = np.empty(int(content_offsets[-1]), np.uint8)
    _gather(data, spans, content_offsets, content)
    values = pa.LargeStringArray.from_buffers(total, pa.py_buffer(content_offsets), pa.py_buffer(content))
    return pa.LargeListArray.from_arrays(pa.array(rows), values)


@compiled
def _find_all(data: Bytes, offsets: Counts, table: Entries, spans: Counts, rows: Counts) -> int:
    total = 0
    for row in range(len(offsets) - 1):
        total += find_words(data, offsets[row], offsets[row + 1], table, spans[2 * total :])
        rows[row + 1] = total
    return total


@compiled
def _gather(data: Bytes, spans: Counts, offsets: Counts, out: Bytes) -> None:
    for word in range(len(offsets) - 1):
        out[offsets[word] : offsets[word + 1]] = data[spans[2 * word] : spans[2 * word + 1]]


@compiled
def measure_words(
    data: Bytes, spans: Counts, words: int, table: Entries, hashes: Hashes, ends: Positions, counts: Counts
) -> None:
    """Count the words of one text, and leave the first of them for the n-grams.

    Args:
        data: UTF-8.
        spans: first byte of each word and byte behind it, from ``find_words``.
        words: how many there are.
        table: ``character_table()``.
        hashes: gets the hash of each word, as many as there is room for.
        ends: gets the summed lengths of the words, in characters, from 0 on; one longer than ``hashes``.
        counts: gets words, non-symbol words, their characters, words with a letter, different stop words.
    """
    proper, proper_chars, alphabetic, met = 0, 0, 0, 0
    for word in range(words):
        start, end = spans[2 * word], spans[2 * word + 1]
        size = end - start
        content = keep_first(load(data, start), size)
        lettered = letters(content)
        if size <= 8 and content & HIGH == _ZERO:
            length = size
            has_letter = lettered != _ZERO
            is_proper = (lettered | digits(content)) != _ZERO or _is_proper(data, start, end, table)
            key = hash_end(_ZERO, content)
            if 2 <= size <= 4:
                for index in range(len(_STOP_WORDS)):
                    met |= int(content == _STOP_WORDS[index]) << index
        else:
            key = hash_bytes(data, start, end)
            length, has_letter = _describe(data, start, end, table)
            is_proper = lettered != _ZERO or _is_proper(data, start, end, table)
        if word < len(hashes):
            hashes[word] = key
            ends[word + 1] = ends[word] + length
        alphabetic += has_letter
        if is_proper:
            proper += 1
            proper_chars += length
    counts[0], counts[1], counts[2], counts[3] = words, proper, proper_chars, alphabetic
    counts[4] = count_bits(np.uint64(met))


@compiled
def _describe(data: Bytes, start: int, end: int, table: Entries) -> tuple[int, bool]:
    """Characters of a word, and whether one of them is a letter."""
    length = 0
    alphabetic = False
    while start < end:
        if data[start] < 0x80:
            alphabetic |= 97 <= data[start] | 0x20 <= 122
            start += 1
        else:
            code, start = decode(data, start)
            alphabetic |= (character(code, table) & ALPHABETIC) != 0
        length += 1
    return length, alphabetic


@compiled
def _is_proper(data: Bytes, start: int, end: int, table: Entries) -> bool:
    """Whether a word holds anything but punctuation."""
    while start < end:
        code, start = decode(data, start)
        if not character(code, table) & PUNCTUATION:
            return True
    return False


@compiled
def find_words(data: Bytes, start: int, end: int, table: Entries, spans: Counts) -> int:
    """Find the words of one text.

    Args:
        data: UTF-8.
        start: first byte of the text.
        end: byte behind the text.
        table: ``character_table()``.
        spans: gets the first byte of each word and the byte behind it; room for two a byte of the text.

    Returns:
        How many there are.
    """
    words = 0
    at = start
    while at < end:
        byte = data[at]
        if byte == 32 or 9 <= byte <= 13 or 28 <= byte <= 31:
            at += 1
            continue
        behind = at
        while True:
            group = load(data, behind)
            run = min(first_bit(HIGH & ~(letters(group) | digits(group))) >> 3, end - behind)
            behind += run
            if run < 8:
                break
        following = data[behind] if behind < end else 32
        if behind > at and (following == 32 or 9 <= following <= 13):
            words = _add(spans, words, at, behind)
            at = behind
        elif behind > at and following == 44 and (behind + 1 == end or data[behind + 1] == 32):
            words = _add(spans, words, at, behind)
            words = _add(spans, words, behind, behind + 1)
            at = behind + 1
        else:
            at, words = _split_group(data, at, end, table, spans, words)
    return words


@compiled
def _add(spans: Counts, words: int, start: int, end: int) -> int:
    """Put down one word, unless it is empty; returns how many there are."""
    spans[2 * words] = start
    spans[2 * words + 1] = end
    return words + (end > start)


@compiled
def _split_group(
    data: Bytes,
    start: int,
    end: int,
    table: Entries,
    spans: Counts,
    words: int,
) -> tuple[int, int]:
    """Find the words of the group that begins here; returns a place behind it, and how many words there are."""
    at = start
    first = start
    while at < end:
        code, behind = decode(data, at)
        kind = character(code, table) & CLASS
        if kind == SPACE:
            if at == start:
                return behind, words
            break
        if kind == ALONE:
            while behind < end:
                code, further = decode(data, behind)
                if character(code, table) & CLASS != MARK:
                    break
                behind = further
            words = _take_apart(data, first, at, table, spans, words)
            words = _add(spans, words, at, behind)
            first = behind
        at = behind
    return at, _take_apart(data, first, at, table, spans, words)


@compiled
def _before(data: Bytes, at: int) -> int:
    """First byte of the character that ends before a position."""
    at -= 1
    while data[at] & 0xC0 == 0x80:
        at -= 1
    return at


@compiled
def _take_apart(
    data: Bytes,
    start: int,
    end: int,
    table: Entries,
    spans: Counts,
    words: int,
) -> int:
    """Count the words of a group: affixes at its ends, then what joins its parts, then the parts."""
    # Affixes at the beginning.
    while start < end:
        code, behind = decode(data, start)
        if code == 46 and behind < end and data[behind] == 46:
            while behind < end and data[behind] == 46:
                behind += 1
        elif not character(code, table) & (AFFIX | PREFIX) or (
            code == 43 and behind < end and 48 <= data[behind] <= 57
        ):
            break
        words = _add(spans, words, start, behind)
        start = behind
    # Where those at the end begin.
    stop = end
    while stop > start:
        shorter = _without_suffix(data, start, stop, table)
        if shorter == stop:
            break
        stop = shorter
    words = _split_inner(data, start, stop, table, spans, words)
    while stop < end:
        code, behind = decode(data, stop)
        if code == 46:
            while behind < end and data[behind] == 46:
                behind += 1
        elif code == 39 or code == 0x2019:
            while behind < end and (65 <= data[behind] <= 90 or 97 <= data[behind] <= 122):
                behind += 1
        elif code == 110 or code == 78:  # n't
            while behind < end and data[behind] != 116 and data[behind] != 84:
                behind += 1
            behind += 1
        words = _add(spans, words, stop, behind)
        stop = behind
    return words


@compiled
def _without_suffix(data: Bytes, start: int, end: int, table: Entries) -> int:
    """Where the last affix of a group begins; its end if there is none."""
    at = _before(data, end)
    if at < start:
        return end
    code, _ = decode(data, at)
    entry = character(code, table)
    if entry & AFFIX:
        return at
    if at == start:
        return end
    before = _before(data, at)
    previous, _ = decode(data, before)
    kind = character(previous, table)
    if code == 46:
        if previous == 46:
            while at > start and data[at - 1] == 46:
                at -= 1
            return at
        if kind & CLASS in (LOWER, LETTER, DIGIT):
            # An initial, or letters with a full stop each, as in "e.g."
            single = before == start or (data[before - 1] == 46 and before - 2 == start)
            return end if single and kind & CLASS != DIGIT else at
        if kind & (QUOTE | AFFIX) or previous in (37, 45, 43, 0xB2):
            return at
        if kind & CLASS == UPPER and before > start:
            second, _ = decode(data, _before(data, before))
            return at if character(second, table) & CLASS in (UPPER, LETTER) else end
        return end
    if code == 37 or code == 43:
        return at if kind & CLASS == DIGIT else end
    # 's, 'm, 'd, n't, 'll, 're, 've
    low = code | 0x20
    if previous == 39 or previous == 0x2019:
        if low == 115 or low == 109 or low == 100:
            return before
        if low == 116 and before > start:
            third = data[before - 1] | 0x20
            return before - 1 if third == 110 and before - 1 > start else end
        return end
    if before > start:
        mark = _before(data, before)
        apostrophe, _ = decode(data, mark)
        if apostrophe == 39 or apostrophe == 0x2019:
            first = previous | 0x20
            if (first == 108 and low == 108) or (low == 101 and (first == 114 or first == 118)):
                return mark
    return end


@compiled
def _split_inner(
    data: Bytes,
    start: int,
    end: int,
    table: Entries,
    spans: Counts,
    words: int,
) -> int:
    """Count the parts of a group without affixes, and the marks that join them."""
    first = start
    at = start
    before = 0  # entry of the character before
    unknown = True  # whether the group is an address is found out when it matters
    while at < end:
        code, behind = decode(data, at)
        entry = character(code, table)
        kind = entry & CLASS
        if at > first and kind == SYMBOL:
            joint = _joint(data, at, end, before, table)
            if joint > at:
                if unknown:
                    if _is_address(data, start, end):
                        break
                    unknown = False
                words = _add(spans, words, first, at)
                words = _add(spans, words, at, joint)
                first = joint
                behind = joint
        before = entry
        at = behind
    return _add(spans, words, first, end)


@compiled
def _joint(data: Bytes, at: int, end: int, before: int, table: Entries) -> int:
    """End of the mark that joins two parts of a group; its beginning if it joins none."""
    code, behind = decode(data, at)
    kind = before & CLASS
    lettered = LOWER <= kind <= LETTER
    if code == 46 and behind < end and data[behind] == 46:
        while behind < end and data[behind] == 46:
            behind += 1
        return behind
    if code == 0x2026:
        return behind
    entry = character(code, table)
    if code >= 0x80 and entry & AFFIX and not entry & PUNCTUATION:  # icons
        return behind
    if code == 45:
        while behind < end and data[behind] == 45 and behind - at < 3:
            behind += 1
    if behind >= end:
        return at
    following, _ = decode(data, behind)
    next_kind = character(following, table) & CLASS
    next_lettered = LOWER <= next_kind <= LETTER
    dash = code == 45 or code == 0x2013 or code == 0x2014 or code == 126
    if dash and (lettered or kind == DIGIT) and next_lettered:
        return behind
    if code == 44 and lettered and next_lettered:
        return behind
    if code == 46:
        lower = kind in (LOWER, LETTER) or before & QUOTE
        upper = next_kind in (UPPER, LETTER) or character(following, table) & QUOTE
        return behind if lower and upper else at
    if code == 58 or code == 60 or code == 61 or code == 62 or code == 47:
        return behind if (lettered or kind == DIGIT) and next_lettered else at
    operator = code == 42 or code == 43 or code == 45 or code == 94
    computed = kind == DIGIT and (next_kind == DIGIT or following == 45) and behind - at == 1
    return behind if operator and computed else at


@compiled
def _is_address(data: Bytes, start: int, end: int) -> bool:
    """Whether a group is the address of a host, with or without scheme, user, port and path."""
    at = start
    while at < end and (_is_name(data[at]) or data[at] == 43 or data[at] == 46):
        at += 1
    if at + 2 < end and data[at] == 58 and data[at + 1] == 47 and data[at + 2] == 47:
        start = at + 3
    at = start
    while at < end and (_is_name(data[at]) or data[at] == 46):
        at += 1
    if at < end and data[at] == 64:
        start = at + 1
        at = start
        while at < end and (_is_name(data[at]) or data[at] == 46):
            at += 1
    # The last label is two lower-case letters or more, and behind a full stop.
    label = at
    while label > start and 97 <= data[label - 1] <= 122:
        label -= 1
    if at - label < 2 or label - 1 <= start or data[label - 1] != 46:
        return False
    if at == end:
        return True
    if data[at] == 58:
        at += 1
        port = at
        while at < end and 48 <= data[at] <= 57:
            at += 1
        if not 2 <= at - port <= 5:
            return False
        if at == end:
            return True
    return bool(data[at] == 47 or data[at] == 63 or data[at] == 35)


@compiled
def _is_name(byte: int) -> bool:
    return 97 <= byte <= 122 or 65 <= byte <= 90 or 48 <= byte <= 57 or byte == 45 or byte == 95 or byte >= 0x80
