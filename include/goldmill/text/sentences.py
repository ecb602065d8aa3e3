"""Sentences, by the words between them.

A sentence begins with the first word, and with each word that is no punctuation mark and stands behind a word which is
one mark of terminal punctuation: the rule of spaCy's sentencizer, over the words of ``goldmill.text.words``.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from goldmill.text.characters import PUNCTUATION_MARK, TERMINAL, Entries, character, character_table
from goldmill.text.compiled import compiled
from goldmill.text.utf8 import Bytes, Offsets, decode, string_buffers
from goldmill.text.words import Counts, find_words


def count_sentences(texts: pa.Array | pa.ChunkedArray) -> pa.Int64Array:
    """How many sentences each text has; 0 without words.

    Args:
        texts: string or large_string array without nulls.

    Raises:
        TypeError: if the array holds no strings.
        ValueError: if a text is null.
    """
    data, offsets = string_buffers(texts, "texts")
    longest = int(np.diff(offsets).max(initial=0))
    counts = np.zeros(len(offsets) - 1, np.int64)
    _count_all(data, offsets, character_table(), np.empty(2 * longest + 2, np.int64), counts)
    return pa.array(counts)


@compiled
def _count_all(data: Bytes, offsets: Offsets, table: Entries, spans: Counts, counts: Counts) -> None:
    for row in range(len(counts)):
        counts[row] = sentences_between(data, offsets[row], offsets[row + 1], table, spans)


@compiled
def sentences_between(data: Bytes, start: int, end: int, table: Entries, spans: Counts) -> int:
    """Sentences of a text; ``spans`` is room for ``find_words``."""
    words = find_words(data, start, end, table, spans)
    sentences = min(words, 1)
    ended = False
    for word in range(words):
        code, behind = decode(data, spans[2 * word])
        entry = character(code, table)
        if behind == spans[2 * word + 1] and entry & TERMINAL:
            ended = True
        elif ended and not (entry & PUNCTUATION_MARK and _is_mark(data, behind, spans[2 * word + 1], table)):
            sentences += 1
            ended = False
    return sentences


@compiled
def _is_mark(data: Bytes, at: int, end: int, table: Entries) -> bool:
    """Whether the rest of a word is punctuation too."""
    while at < end:
        code, at = decode(data, at)
        if not character(code, table) & PUNCTUATION_MARK:
            return False
    return True
