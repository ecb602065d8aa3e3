"""Replace what a finder finds in a batch of texts, until it finds nothing more."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import pyarrow as pa

COUNTS_TYPE = pa.map_(pa.string(), pa.int32())

# Between the texts of a batch. Finders run over the joined batch in one pass; no pattern may match a NUL, and a line
# break ends every context window, so nothing is found across two texts.
SEPARATOR = b"\n\0\n"


class Hit(NamedTuple):
    """A find in the joined batch: byte offsets, and the type that is counted."""

    start: int
    end: int
    type: str


class Span(NamedTuple):
    """A find in one text: ``start`` and ``end`` are offsets into its UTF-8 bytes."""

    row: int
    start: int
    end: int
    type: str


@dataclass(frozen=True)
class Scrubbed:
    """Texts after scrubbing, and what was found.

    Attributes:
        texts: one text a row, of the type that came in.
        counts: map<string, int32> with one map a row, keys in alphabetical order; empty where nothing was found.
    """

    texts: pa.Array
    counts: pa.MapArray


Finder = Callable[[bytes], list[Hit]]


def spans(texts: pa.Array, find: Finder) -> list[Span]:
    """Where ``find`` finds something in ``texts``, in order of row and offset.

    Raises:
        ValueError: if a text is null.
    """
    rows = _rows(texts)
    return [
        Span(row, hit.start - start, hit.end - start, hit.type)
        for row, start, hit in _locate(rows, find(SEPARATOR.join(rows)))
    ]


def replace(texts: pa.Array, find: Finder, placeholders: Mapping[str, bytes]) -> Scrubbed:
    """Put the placeholder of its type in place of every find, and count; a type without one is only counted.

    A replacement changes what stands beside the text around it (boundaries, context words), so changed texts are read
    again until nothing is left to replace. This is what makes scrubbing twice the same as scrubbing once.

    Raises:
        ValueError: if a text is null.
    """
    rows = _rows(texts)
    replaced: dict[int, Counter[str]] = {}
    kept: dict[int, Counter[str]] = {}
    pending: Sequence[int] = range(len(rows))
    is_changed = False
    while pending:
        batch = [rows[row] for row in pending]
        pieces: dict[int, list[tuple[int, int, bytes]]] = {}
        for index in pending:
            kept.pop(index, None)
        for position, start, hit in _locate(batch, find(SEPARATOR.join(batch))):
            row = pending[position]
            placeholder = placeholders.get(hit.type)
            if placeholder is None:
                kept.setdefault(row, Counter())[hit.type] += 1
            else:
                replaced.setdefault(row, Counter())[hit.type] += 1
                pieces.setdefault(row, []).append((hit.start - start, hit.end - start, placeholder))
        for row, cuts in pieces.items():
            rows[row] = _cut(rows[row], cuts)
        pending = sorted(pieces)
        is_changed = is_changed or bool(pieces)
    counts: list[list[tuple[str, int]]] = [[] for _ in rows]
    for row in replaced.keys() | kept.keys():
        counts[row] = sorted((replaced.get(row, Counter()) + kept.get(row, Counter())).items())
    scrubbed = pa.array(rows, pa.large_binary()).cast(pa.large_string()).cast(texts.type) if is_changed else texts
    return Scrubbed(scrubbed, pa.array(counts, COUNTS_TYPE))


def without_overlaps(ranked: Iterable[Iterable[Hit]]) -> list[Hit]:
    """Merge hits of several finders, most trusted first: a hit that overlaps a more trusted one is dropped."""
    chosen: list[Hit] = []
    for hits in ranked:
        for hit in hits:
            place = bisect_right(chosen, hit)
            is_free_before = place == 0 or chosen[place - 1].end <= hit.start
            is_free_after = place == len(chosen) or chosen[place].start >= hit.end
            if is_free_before and is_free_after:
                insort(chosen, hit)
    return chosen


def _rows(texts: pa.Array) -> list[bytes]:
    if texts.null_count:
        row = texts.is_null().to_pylist().index(True)
        raise ValueError(f"texts: row {row} is null; fill or drop rows without text before scrubbing")
    rows: list[bytes] = texts.cast(pa.large_string()).cast(pa.large_binary()).to_pylist()
    return rows


def _locate(rows: Sequence[bytes], hits: list[Hit]) -> Iterable[tuple[int, int, Hit]]:
    """Row and start of the text each hit lies in."""
    starts = list(accumulate((len(row) + len(SEPARATOR) for row in rows), initial=0))
    for hit in hits:
        row = bisect_right(starts, hit.start) - 1
        yield row, starts[row], hit


def _cut(text: bytes, cuts: list[tuple[int, int, bytes]]) -> bytes:
    pieces: list[bytes] = []
    position = 0
    for start, end, placeholder in cuts:
        pieces += (text[position:start], placeholder)
        position = end
    pieces.append(text[position:])
    return b"".join(pieces)
