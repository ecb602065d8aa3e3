"""What the prose rules measure, for a whole array of texts at once.

Each text is read while it is in the processor's cache: once for its lines, once for its paragraphs, once for its words;
the word n-grams are then found without looking at the text again. Everything is compiled, holds no lock and depends on
the texts alone. docs/rules.md says for each rule which counts it compares.

**Word.** A run of letters, digits and combining marks; apostrophes, hyphens, ``.``, ``_`` and ``·`` belong to it
between two letters or digits, a comma between two digits (compare Unicode Standard Annex 29, rules WB6 to WB13, which
part words at hyphens). Han and Kana characters are one word each. What is left is *symbol words*: one for each run of
the same symbol. Case counts. Invisible format characters are nothing by themselves.

**Line.** What lies between line feeds; a text that ends in one has no empty line behind it. A line is *blank* if it is
white space only. **Paragraph.** What lies between two or more line feeds in a row, in the text without white space
at its ends. **Repeated** lines and paragraphs equal an earlier one character by character; the first is not counted.

**Sentence.** Every line that is not blank is at least one. Another begins behind ``. ! ? …`` (or the like of other
scripts) and closing quotes or brackets, if white space and then anything but a lower-case letter or an end mark
follows; a full stop behind a single letter, as in "J. Smith", ends none. Behind an end mark of Han script no
space is needed.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldmill.text.characters import (
    CLASS,
    CLOSER,
    COMMA,
    DIGIT,
    FORMAT,
    IDEOGRAPH,
    INNER,
    LETTER,
    LINE_END,
    LOWER,
    MARK,
    SENTENCE_END,
    SPACE,
    character,
    character_table,
)
from goldmill.text.compiled import compiled
from goldmill.text.utf8 import Bytes, Offsets, decode, string_buffers

TOP_GRAMS: Final = (2, 3, 4)
DUPLICATE_GRAMS: Final = (5, 6, 7, 8, 9, 10)

COUNTERS: Final = (
    "chars",  # code points
    "newlines",
    "lines",
    "bullet_lines",  # first visible character is a bullet (U+2022) or "-"
    "ellipsis_lines",  # last visible characters are "..." or U+2026
    "non_blank_lines",
    "terminal_lines",  # not blank, last visible character ends a sentence or a quotation
    "short_lines",  # not blank, at most 30 characters
    "duplicate_lines",  # not blank, repeated
    "duplicate_line_chars",
    "sentences",
    "hashes",  # "#"
    "ellipses",  # "..." (not overlapping) and U+2026
    "curly_brackets",  # "{"
    "lorem_ipsums",  # "lorem ipsum" in any case
    "paragraphs",
    "duplicate_paragraphs",
    "duplicate_paragraph_chars",
    "words",  # with symbol words
    "non_symbol_words",
    "non_symbol_word_chars",
    "alphabetic_words",  # words with a letter
    "stop_words",  # different ones among the, be, to, of, and, that, have, with
    "compared_chars",  # characters up to the end of the last word that n-grams were searched in
    *(f"top_{n}_gram_chars" for n in TOP_GRAMS),  # commonest n words, joined by spaces, times their number
    *(f"duplicate_{n}_gram_chars" for n in DUPLICATE_GRAMS),  # n words met before; the search goes on behind them
)
"""Columns of ``count_texts``, all int64."""

SHORT_LINE_CHARS: Final = 30
# Bounds the memory a text may cost, whatever its length (64 bytes a word): n-grams are searched in the first million
# words, ten times what Gopher lets pass; lines and paragraphs are compared with the first million different ones.
COMPARED: Final = 1 << 20

_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ZERO, _ONE = np.uint64(0), np.uint64(1)

# Positions in ``COUNTERS``, for compiled code.
_LINE_COLUMNS = 0
_PARAGRAPH_COLUMNS = COUNTERS.index("paragraphs")
_WORD_COLUMNS = COUNTERS.index("words")
_TOP_COLUMNS = COUNTERS.index("top_2_gram_chars")
_DUPLICATE_COLUMNS = COUNTERS.index("duplicate_5_gram_chars")
_COLUMN_COUNT = len(COUNTERS)

_STOP_WORDS = np.array(
    [int.from_bytes(word.encode(), "little") for word in ("the", "be", "to", "of", "and", "that", "have", "with")]
)

Counts = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int32]


def count_texts(texts: pa.Array | pa.ChunkedArray) -> pa.RecordBatch:
    """Count in each text what the prose rules compare.

    Args:
        texts: string or large_string array without nulls, one document a row.

    Returns:
        One row a text, one int64 column for each of ``COUNTERS``.

    Raises:
        TypeError: if the array holds no strings.
        ValueError: if a text is null.
    """
    data, offsets = string_buffers(texts, "texts")
    counts = np.zeros((len(texts), _COLUMN_COUNT), np.int64)
    _count(data, offsets, character_table(), _STOP_WORDS, counts)
    return pa.RecordBatch.from_arrays([pa.array(column) for column in counts.T.copy()], names=list(COUNTERS))


@compiled
def _count(data: Bytes, offsets: Offsets, table: Bytes, stop_words: Counts, counts: Counts) -> None:
    """Fill ``counts``, shape (texts, counters)."""
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    # Reserved, not touched: a page costs memory only once a text needs it.
    capacity = min(longest, COMPARED) + 1
    size = 4
    while size < 2 * capacity:
        size *= 2
    keys = np.empty(size, np.uint64)
    firsts = np.empty(size, np.int32)
    hashes = np.empty(capacity, np.uint64)
    ends = np.zeros(capacity + 1, np.int64)
    groups = np.empty(capacity, np.int32)
    members = np.empty(capacity, np.int32)
    places = np.empty(capacity, np.int32)
    levels = np.empty(capacity, np.uint8)
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        if start == end:
            continue
        out = counts[row]
        _measure_lines(data, start, end, table, keys, out[_LINE_COLUMNS:])
        _measure_paragraphs(data, start, end, table, keys, out[_PARAGRAPH_COLUMNS:])
        compared = _measure_words(data, start, end, table, stop_words, hashes, ends, out[_WORD_COLUMNS:])
        _measure_grams(hashes, ends, compared, keys, firsts, groups, members, places, levels, out)


@compiled
def _clear(keys: Hashes, items: int) -> int:
    """Empty a hash table for so many items; returns the shift that leaves an address in it."""
    bits = 2
    while (1 << bits) < 2 * items:
        bits += 1
    keys[: 1 << bits] = 0
    return 64 - bits


@compiled
def _seen(keys: Hashes, shift: int, key: np.uint64, full: bool) -> bool:
    """Whether the table holds the key; adds it, unless the table is full."""
    key = max(key, _ONE)
    mask = (1 << (64 - shift)) - 1
    slot = np.int64((key * _GOLDEN) >> np.uint64(shift))
    while keys[slot] != _ZERO:
        if keys[slot] == key:
            return True
        slot = (slot + 1) & mask
    if not full:
        keys[slot] = key
    return False


@compiled
def _first(keys: Hashes, firsts: Positions, shift: int, key: np.uint64, position: int) -> int:
    """Where the key was met first; ``position`` if it is new."""
    mask = (1 << (64 - shift)) - 1
    slot = np.int64((key * _GOLDEN) >> np.uint64(shift))
    while keys[slot] != _ZERO:
        if keys[slot] == key:
            return int(firsts[slot])
        slot = (slot + 1) & mask
    keys[slot] = key
    firsts[slot] = position
    return position


@compiled
def _measure_lines(data: Bytes, start: int, end: int, table: Bytes, keys: Hashes, out: Counts) -> None:
    newlines = 0
    for at in range(start, end):
        newlines += data[at] == 10
    shift = _clear(keys, min(newlines + 1, COMPARED))
    chars, lines, bullets, ellipsis_lines, filled, terminal, short = newlines, 0, 0, 0, 0, 0, 0
    duplicates, duplicate_chars, sentences, hash_signs, ellipses, brackets, lorems = 0, 0, 0, 0, 0, 0, 0
    at = start
    while at < end:
        key = _FNV_OFFSET
        length = 0  # characters
        first, last, last_entry, last_dots = 0, 0, 0, 0  # about visible characters
        dots = 0  # full stops in a row up to here
        letters = 0  # letters and digits in a row up to here
        # 1: behind the end mark of a sentence, 2: and behind a space, 3: behind a mark that needs no space
        ended = 0
        while at < end:
            code, behind = decode(data, at)
            if code == 10:
                break
            entry = character(code, table)
            kind = entry & CLASS
            key = (key ^ np.uint64(code)) * _FNV_PRIME
            length += 1
            if kind == SPACE:
                dots = 0
                letters = 0
                if ended:
                    ended = 2
            else:
                if entry & SENTENCE_END:
                    if ended or code != 46 or letters != 1:
                        ended = 3 if code >= 0x3000 else 1
                elif ended == 2 or not entry & CLOSER:
                    sentences += ended >= 2 and kind != LOWER
                    ended = 0
                if LOWER <= kind <= DIGIT:
                    letters += 1
                    if kind == DIGIT:
                        letters += 1  # a number is no initial
                elif kind != MARK:
                    letters = 0
                if code == 46:
                    dots += 1
                    if dots % 3 == 0:
                        ellipses += 1
                else:
                    dots = 0
                    ellipses += code == 0x2026
                hash_signs += code == 35
                brackets += code == 123
                if code | 0x20 == 108 and _lorem(data, at, end):
                    lorems += 1
                if first == 0:
                    first = code
                last, last_entry, last_dots = code, entry, dots
            at = behind
        at += 1  # the line feed
        lines += 1
        chars += length
        if first != 0:
            filled += 1
            sentences += 1
            bullets += first == 0x2022 or first == 45
            ellipsis_lines += last_dots >= 3 or last == 0x2026
            terminal += (last_entry & LINE_END) != 0
            short += length <= SHORT_LINE_CHARS
            if _seen(keys, shift, key, filled - duplicates > COMPARED):
                duplicates += 1
                duplicate_chars += length
    out[0], out[1], out[2], out[3], out[4], out[5] = chars, newlines, lines, bullets, ellipsis_lines, filled
    out[6], out[7], out[8], out[9], out[10] = terminal, short, duplicates, duplicate_chars, sentences
    out[11], out[12], out[13], out[14] = hash_signs, ellipses, brackets, lorems


@compiled
def _lorem(data: Bytes, at: int, end: int) -> bool:
    """Whether "lorem ipsum" stands here, in any case."""
    phrase = b"lorem ipsum"
    if end - at < len(phrase):
        return False
    for index in range(len(phrase)):
        byte = data[at + index]
        if byte != phrase[index] and (phrase[index] == 32 or byte | 0x20 != phrase[index]):
            return False
    return True


@compiled
def _measure_paragraphs(data: Bytes, start: int, end: int, table: Bytes, keys: Hashes, out: Counts) -> None:
    # Without white space at the ends.
    breaks = 0
    visible = end
    after = start
    at = start
    while at < end:
        code, behind = decode(data, at)
        if character(code, table) & CLASS != SPACE:
            visible = min(visible, at)
            after = behind
        elif code == 10 and behind < end and data[behind] == 10:
            breaks += 1
        at = behind
    shift = _clear(keys, min(breaks + 1, COMPARED))
    paragraphs, duplicates, duplicate_chars = 0, 0, 0
    at = visible
    while at < after:
        key = _FNV_OFFSET
        length = 0
        while at < after:
            code, behind = decode(data, at)
            if code == 10 and data[behind] == 10:  # there is one: the text ends in a visible character
                break
            key = (key ^ np.uint64(code)) * _FNV_PRIME
            length += 1
            at = behind
        while at < after and data[at] == 10:
            at += 1
        paragraphs += 1
        if _seen(keys, shift, key, paragraphs - duplicates > COMPARED):
            duplicates += 1
            duplicate_chars += length
    out[0], out[1], out[2] = paragraphs, duplicates, duplicate_chars


@compiled
def _measure_words(
    data: Bytes, start: int, end: int, table: Bytes, stop_words: Counts, hashes: Hashes, ends: Counts, out: Counts
) -> int:
    """Counts words; leaves the hash of each and the summed lengths up to its end; returns how many it left."""
    words, proper, proper_chars, alphabetic, compared_chars = 0, 0, 0, 0, 0
    met = 0  # stop words, one bit each
    chars = 0
    at = start
    while at < end:
        code, behind = decode(data, at)
        kind = character(code, table) & CLASS
        chars += 1
        if kind in (SPACE, FORMAT):
            at = behind
            continue
        key = (_FNV_OFFSET ^ np.uint64(code)) * _FNV_PRIME
        length = 1
        has_letter = LOWER <= kind <= LETTER or kind == IDEOGRAPH
        is_proper = kind >= LOWER
        while behind < end:
            next_code, further = decode(data, behind)
            next_kind = character(next_code, table) & CLASS
            if next_kind == MARK:
                pass
            elif kind < LOWER:
                if next_code != code:
                    break
            elif kind == IDEOGRAPH:
                break
            elif next_kind in (INNER, FORMAT, COMMA):
                if further == end:
                    break
                follower, _ = decode(data, further)
                follower_kind = character(follower, table) & CLASS
                if not LOWER <= follower_kind <= DIGIT:
                    break
                if next_kind == COMMA and (kind != DIGIT or follower_kind != DIGIT):
                    break
            elif next_kind < LOWER or next_kind == IDEOGRAPH:
                break
            else:
                kind = next_kind
                has_letter |= kind != DIGIT
            key = (key ^ np.uint64(next_code)) * _FNV_PRIME
            length += 1
            behind = further
        chars += length - 1
        if is_proper:
            proper += 1
            proper_chars += length
            alphabetic += has_letter
            if 2 <= length <= 4 and behind - at == length:
                packed = 0
                for index in range(length):
                    packed |= int(data[at + index]) << (8 * index)
                for index in range(len(stop_words)):
                    if packed == stop_words[index]:
                        met |= 1 << index
        if words < COMPARED:
            hashes[words] = max(key, _ONE)
            ends[words + 1] = ends[words] + length
            compared_chars = chars
        words += 1
        at = behind
    stops = 0
    while met:
        stops += met & 1
        met >>= 1
    if words <= COMPARED:
        compared_chars = chars
    out[0], out[1], out[2], out[3], out[4], out[5] = words, proper, proper_chars, alphabetic, stops, compared_chars
    return min(words, COMPARED)


@compiled
def _measure_grams(
    hashes: Hashes,
    ends: Counts,
    words: int,
    keys: Hashes,
    firsts: Positions,
    groups: Positions,
    members: Positions,
    places: Positions,
    levels: Bytes,
    out: Counts,
) -> None:
    """Characters in the commonest and in the repeated n-grams of ``words`` words.

    An n-gram can only occur twice where both (n-1)-grams in it do, so each n looks at few places that are left from
    the one before. ``groups`` names an n-gram by the first place where it occurs, ``members`` counts its places;
    ``levels`` is the largest n that is repeated at a place.
    """
    shift = _clear(keys, words)
    for place in range(words):
        group = _first(keys, firsts, shift, hashes[place], place)
        groups[place] = group
        if group == place:
            members[place] = 0
        members[group] += 1
    left = 0
    for place in range(words):
        repeated = members[groups[place]] > 1
        levels[place] = repeated
        if repeated:
            places[left] = place
            left += 1
    for n in range(2, 11):
        shift = _clear(keys, left)
        tried = 0
        for index in range(left):
            place = places[index]
            if place + n > words or levels[place + 1] < n - 1:
                continue
            key = np.uint64(groups[place] + 1) << np.uint64(32) | np.uint64(groups[place + 1])
            group = _first(keys, firsts, shift, key, place)
            groups[place] = group
            if group == place:
                members[place] = 0
            members[group] += 1
            places[tried] = place
            tried += 1
        left = 0
        most, commonest = 1, 0  # where none is repeated, all are the commonest, and the first is taken
        for index in range(tried):
            place = places[index]
            count = members[groups[place]]
            if count > 1:
                levels[place] = n
                places[left] = place
                left += 1
                if count > most:
                    most, commonest = count, place
        if n <= 4:
            if n <= words:
                out[_TOP_COLUMNS + n - 2] = (ends[commonest + n] - ends[commonest] + n - 1) * most
        elif left > 0:
            out[_DUPLICATE_COLUMNS + n - 5] = _duplicate_chars(ends, n, groups, members, places, left)


@compiled
def _duplicate_chars(ends: Counts, n: int, groups: Positions, members: Positions, places: Positions, left: int) -> int:
    """Characters in n-grams met before; what lies inside one that was counted is not looked at again."""
    chars = 0
    resume = 0
    for index in range(left):
        place = places[index]
        if place < resume:
            continue
        group = groups[place]
        if members[group] < 0:
            chars += ends[place + n] - ends[place]
            resume = place + n
        else:
            members[group] = -1  # met; the count is not needed any more
    return chars
