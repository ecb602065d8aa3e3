"""The line rules of C4 (JMLR 21-074, section 2.2, and its published code). docs/rules.md defines them to the letter."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from goldmill.rules.quality import C4Rules
from goldmill.text.characters import CLASS, DECIMAL, SPACE, Entries, character, character_table
from goldmill.text.compiled import compiled
from goldmill.text.counters import next_line, strip
from goldmill.text.sentences import sentences_between
from goldmill.text.utf8 import Bytes, Offsets, decode, string_buffers
from goldmill.text.words import Counts

C4_COUNTERS = ("c4_sentences", "c4_lorem_ipsums", "c4_curly_brackets", "c4_javascripts")
_SENTENCES, _LOREM_IPSUMS, _CURLY_BRACKETS, _JAVASCRIPTS = range(4)

_NO_LIMIT = np.iinfo(np.int64).max
# What a line may hold, one bit each.
_LOREM, _JAVASCRIPT, _POLICY, _BRACKET = 1, 2, 4, 8


class Cleaned(NamedTuple):
    """Texts after the line rules.

    Attributes:
        texts: large_string; a text that holds what costs the whole document ends before that line.
        counters: one int64 column for each of ``C4_COUNTERS``: the sentences in the lines that are left, and what costs
            the whole document: the first that was met alone, as C4 looks no further.
    """

    texts: pa.LargeStringArray
    counters: pa.RecordBatch


def clean_c4_lines(texts: pa.Array | pa.ChunkedArray, rules: C4Rules) -> Cleaned:
    """Drop the lines that C4 drops, trim the others and join them again; nothing is changed if C4 is switched off.

    Args:
        texts: string or large_string array without nulls, one document a row.
        rules: which lines to drop, and which variant of the rules.

    Raises:
        TypeError: if the array holds no strings.
        ValueError: if a text is null.
    """
    data, offsets = string_buffers(texts, "texts")
    counts = np.zeros((len(offsets) - 1, len(C4_COUNTERS)), np.int64)
    if rules.enabled:
        out = np.empty(int(offsets[-1] - offsets[0]) + 1, np.uint8)
        out_offsets = np.zeros(len(offsets), np.int64)
        longest = int(np.diff(offsets).max(initial=0))
        size = _clean(
            data,
            offsets,
            character_table(),
            rules.variant == "dolma",
            rules.require_terminal_punctuation,
            rules.min_words_per_line or 0,
            _NO_LIMIT if rules.max_word_length is None else rules.max_word_length,
            rules.remove_citations,
            rules.drop_javascript_lines,
            rules.drop_policy_lines,
            rules.refuse_lorem_ipsum,
            rules.refuse_curly_bracket,
            np.empty(2 * longest + 2, np.int64),
            out,
            out_offsets,
            counts,
        )
        buffers = (pa.py_buffer(out_offsets), pa.py_buffer(out[:size]))
        cleaned = pa.LargeStringArray.from_buffers(len(offsets) - 1, *buffers)
    else:
        whole = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
        cleaned = whole.cast(pa.large_string())
    columns = [pa.array(np.ascontiguousarray(counts[:, index])) for index in range(len(C4_COUNTERS))]
    return Cleaned(cleaned, pa.RecordBatch.from_arrays(columns, names=list(C4_COUNTERS)))


@compiled
def _clean(
    data: Bytes,
    offsets: Offsets,
    table: Entries,
    dolma: bool,
    require_terminal: bool,
    min_words: int,
    max_word_length: int,
    remove_citations: bool,
    drop_javascript: bool,
    drop_policies: bool,
    refuse_lorem: bool,
    refuse_bracket: bool,
    spans: Counts,
    out: Bytes,
    out_offsets: Offsets,
    counts: Counts,
) -> int:
    """Write the lines that stay to ``out``; returns its length in bytes."""
    written = 0
    for row in range(len(offsets) - 1):
        end = offsets[row + 1]
        first = written
        at = offsets[row]
        kept = 0
        while at < end:
            line = at
            if dolma:
                stop = at
                while stop < end and data[stop] != 10:
                    stop += 1
                at = min(stop + 1, end)
            else:
                stop, at = next_line(data, at, end)
            words, longest, visible, visible_end, brackets = _survey(data, line, stop, table)
            if dolma:
                # Judged without the white space at its ends, kept with it, and with its line feed.
                found = _phrases(data, line, stop)
                counts[row, _LOREM_IPSUMS] |= refuse_lorem and found & _LOREM != 0
                counts[row, _JAVASCRIPTS] |= drop_javascript and found & _JAVASCRIPT != 0
                counts[row, _CURLY_BRACKETS] |= refuse_bracket and found & _BRACKET != 0
                if words < min_words or (require_terminal and not _is_terminated(data, visible, visible_end, True)):
                    continue
                out[written : written + at - line] = data[line:at]
                written += at - line
                continue
            if longest > max_word_length:
                continue
            begin = written + (kept > 0)
            if brackets and remove_citations:
                ended = _copy_without_citations(data, visible, visible_end, table, out, begin)
            else:
                ended = begin + visible_end - visible
                out[begin:ended] = data[visible:visible_end]
            if require_terminal and not _is_terminated(out, begin, ended, False):
                continue
            if words < min_words:
                continue
            found = _phrases(out, begin, ended)
            if refuse_lorem and found & _LOREM:
                counts[row, _LOREM_IPSUMS] = 1
                break
            if drop_javascript and found & _JAVASCRIPT:
                continue
            if refuse_bracket and found & _BRACKET:
                counts[row, _CURLY_BRACKETS] = 1
                break
            if drop_policies and found & _POLICY:
                continue
            if kept:
                out[written] = 10
            counts[row, _SENTENCES] += sentences_between(out, begin, ended, table, spans)
            written = ended
            kept += 1
        if not dolma:
            written = _trim(out, first, written, table)
        out_offsets[row + 1] = written
    return written


@compiled
def _survey(data: Bytes, start: int, end: int, table: Entries) -> tuple[int, int, int, int, bool]:
    """Words cut at white space, length of the longest, visible part, whether there is a square bracket."""
    words, length, longest = 0, 0, 0
    visible, visible_end = start, start
    brackets = False
    at = start
    while at < end:
        byte = data[at]
        if byte < 0x80:
            behind = at + 1
            space = byte == 32 or 9 <= byte <= 13 or 28 <= byte <= 31
        else:
            code, behind = decode(data, at)
            space = character(code, table) & CLASS == SPACE
        if space:
            length = 0
        else:
            if words == 0:
                visible = at
            words += length == 0
            length += 1
            longest = max(longest, length)
            visible_end = behind
            brackets |= byte == 91
        at = behind
    return words, longest, visible, visible_end, brackets


@compiled
def _trim(out: Bytes, start: int, end: int, table: Entries) -> int:
    """Take the white space from the ends of what was written; returns its new end."""
    first, end = strip(out, start, end, table)
    if first > start:
        for at in range(first, end):
            out[start + at - first] = out[at]
    return start + end - first


@compiled
def _copy_without_citations(data: Bytes, start: int, end: int, table: Entries, out: Bytes, at: int) -> int:
    """Copy a line without citations; returns the end of the copy."""
    while start < end:
        if data[start] == 91:
            cited = _citation(data, start, end, table)
            if cited > start:
                start = cited
                continue
        out[at] = data[start]
        at += 1
        start += 1
    return at


@compiled
def _citation(data: Bytes, start: int, end: int, table: Entries) -> int:
    """End of the citation that starts here with a bracket, else its start."""
    at = start + 1
    while at < end:
        code, behind = decode(data, at)
        if not character(code, table) & DECIMAL:
            break
        at = behind
    if at < end and data[at] == 93:
        return at + 1
    for phrase in (b"[edit]", b"[citation needed]"):
        if end - start >= len(phrase):
            same = True
            for index in range(len(phrase)):
                same = same and data[start + index] == phrase[index]
            if same:
                return start + len(phrase)
    return start


@compiled
def _is_terminated(line: Bytes, start: int, end: int, dolma: bool) -> bool:
    """Whether a line ends in a full stop, ``?``, ``!`` or a straight quotation mark.

    For datatrove the apostrophe is one, and ``...`` is no end.
    """
    if start == end:
        return False
    last = line[end - 1]
    if last == 46:
        return dolma or end - start < 3 or line[end - 2] != 46 or line[end - 3] != 46
    return bool(last == 63 or last == 33 or last == 34 or (last == 39 and not dolma))


@compiled
def _phrases(line: Bytes, start: int, end: int) -> int:
    """Which of the phrases that C4 looks for a line holds, in any case."""
    found = 0
    for at in range(start, end):
        byte = line[at] | 0x20
        if byte == 108:
            if _stands(line, at, end, b"lorem ipsum"):
                found |= _LOREM
        elif byte == 106:
            if _stands(line, at, end, b"javascript"):
                found |= _JAVASCRIPT
        elif byte == 116:
            if _stands(line, at, end, b"terms of use"):
                found |= _POLICY
        elif byte == 112:
            if _stands(line, at, end, b"privacy policy"):
                found |= _POLICY
        elif byte == 99:
            if _stands(line, at, end, b"cookie policy"):
                found |= _POLICY
        elif byte == 117:
            for phrase in (b"uses cookies", b"use of cookies", b"use cookies"):
                if _stands(line, at, end, phrase):
                    found |= _POLICY
        elif line[at] == 123:
            found |= _BRACKET
    return found


@compiled
def _stands(data: Bytes, at: int, end: int, phrase: bytes) -> bool:
    """Whether a phrase of ASCII letters and spaces, given in lower case, stands here in any case."""
    if end - at < len(phrase):
        return False
    for index in range(len(phrase)):
        byte = data[at + index]
        if byte != phrase[index] and not (65 <= byte <= 90 and byte | 0x20 == phrase[index]):
            return False
    return True
