"""Documents that share word n-grams with items of evaluation sets.

Words are those of ``normalize_for_hash``: case, accents and punctuation aside. A text of an item gives all its n-grams;
one that is shorter than an n-gram, but not very short, gives one of its own length; a very short one ("Paris") only
matches a document that consists of it. N-grams are compared by 64-bit hashes: with a million of them in the index, one
document in about 10**10 of a thousand words matches by chance.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldmill.rules.decontamination import DecontaminationRules
from goldmill.text.compiled import compiled, inlined, signed
from goldmill.text.hashing import FNV_OFFSET, FNV_PRIME, GOLDEN, Hashes, mix
from goldmill.text.minhash import normalize_for_hash
from goldmill.text.utf8 import Bytes, Offsets, string_buffers

MATCH_TYPE: Final = pa.struct(
    [("set", pa.string()), ("item", pa.string()), ("ngrams", pa.int32()), ("share", pa.float64())]
)
"""The item of which a document holds the largest share: its set, its name, distinct n-grams shared, their share."""

# Bits of the filter for each n-gram: one position in sixteen passes by chance.
_FILTER_BITS = 16
# In a key beside the number of words: the text is the whole document.
_WHOLE = 1 << 16

Numbers = npt.NDArray[np.int32]
Positions = npt.NDArray[np.int64]
_Ngrams = tuple[Hashes, Hashes, Positions]
_NO_HASHES = np.empty(0, np.uint64)


class Item(NamedTuple):
    """One evaluation item: its name in its set, and the texts of it that must not be trained on."""

    name: str
    texts: tuple[str, ...]


@dataclass(frozen=True)
class EvaluationIndex:
    """What is looked for. Small enough to be sent to every task: some 30 bytes an n-gram.

    Attributes:
        sets: names of the sets.
        item_names: name by item; items are numbered over all sets.
        item_sets: position in ``sets`` by item.
        item_ngrams: distinct n-grams by item; 0 for one that cannot be found, since all it has is template.
        filter: bitmap over the first words of all n-grams; its length is a power of two.
        slots: hash table of the n-grams, 0 where free; its length is a power of two.
        groups: position in ``starts`` by slot.
        starts: where an n-gram's items begin in ``items``; one longer than there are n-grams.
        items: items by n-gram.
        ngram_words: words of an n-gram.
        min_item_words: least words of a text that is looked for inside documents.
        min_item_share: least share of an item's n-grams that counts.
    """

    sets: tuple[str, ...]
    item_names: tuple[str, ...]
    item_sets: Numbers
    item_ngrams: Numbers
    filter: Bytes
    slots: Hashes
    groups: Numbers
    starts: Numbers
    items: Numbers
    ngram_words: int
    min_item_words: int
    min_item_share: float

    @property
    def unfindable(self) -> int:
        """Items of which nothing is looked for: no words, or all of them template."""
        return int((self.item_ngrams == 0).sum())


def build_index(sets: Iterable[tuple[str, Sequence[Item]]], rules: DecontaminationRules) -> EvaluationIndex:
    """Index the items of evaluation sets.

    Args:
        sets: name and items of each set. Of items of a set with the same words the first is taken.
        rules: lengths, and when an n-gram is a template.
    """
    names: list[str] = []
    item_names: list[str] = []
    sizes: list[int] = []
    parts = [(_NO_HASHES, _NO_HASHES, np.empty(0, np.int64))]
    for name, items in sets:
        ngrams = _without_templates(*_ngrams_of(items, rules), rules.max_items_per_ngram)
        parts.append((*ngrams[:2], ngrams[2] + len(item_names)))
        names.append(name)
        sizes.append(len(items))
        item_names += [item.name for item in items]
    keys, heads, owners = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((owners, keys))
    keys, owners = keys[order], owners[order]
    firsts = np.flatnonzero(_changes(keys))
    slots = np.zeros(_power_of_two(2 * len(firsts)), np.uint64)
    groups = np.zeros(len(slots), np.int32)
    _fill(keys[firsts], slots, groups)
    bitmap = np.zeros(_power_of_two(_FILTER_BITS * len(firsts)) // 8, np.uint8)
    _mark(heads, bitmap)
    return EvaluationIndex(
        sets=tuple(names),
        item_names=tuple(item_names),
        item_sets=np.repeat(np.arange(len(names)), sizes).astype(np.int32),
        item_ngrams=np.bincount(owners, minlength=len(item_names)).astype(np.int32),
        filter=bitmap,
        slots=slots,
        groups=groups,
        starts=np.append(firsts, len(owners)).astype(np.int32),
        items=owners.astype(np.int32),
        ngram_words=rules.ngram_words,
        min_item_words=rules.min_item_words,
        min_item_share=rules.min_item_share,
    )


def decontaminate_documents(texts: pa.Array, index: EvaluationIndex, sets: frozenset[str]) -> pa.StructArray:
    """Say for each document which evaluation item of ``sets`` it holds.

    Args:
        texts: string or large_string array without nulls, one document a row.
        index: what :func:`build_index` made.
        sets: names of the sets that are looked at; others are passed over.

    Returns:
        One row a document of :data:`MATCH_TYPE`: of the items that it shares an n-gram with the one whose share is
        largest, of equal ones the first; null where it shares none, or less than the least share.

    Raises:
        TypeError: if the array holds no strings.
        ValueError: if a text is null.
    """
    wanted = np.array([name in sets for name in index.sets], bool)[index.item_sets]
    data, offsets = string_buffers(normalize_for_hash(texts), "texts")
    best = np.full(len(texts), -1, np.int32)
    shared = np.zeros(len(texts), np.int32)
    if wanted.any():
        _scan(
            data, offsets, index.filter, index.slots, index.groups, index.starts, index.items, wanted,
            index.item_ngrams, index.ngram_words, index.min_item_words, best, shared,
        )  # fmt: skip
    found = best >= 0
    share = np.zeros(len(texts))
    share[found] = shared[found] / index.item_ngrams[best[found]]
    found &= share >= index.min_item_share
    items = pa.array(best, mask=~found)
    columns = [
        pa.array(index.sets, pa.string()).take(pa.array(index.item_sets).take(items)),
        pa.array(index.item_names, pa.string()).take(items),
        pa.array(shared, mask=~found),
        pa.array(share, mask=~found),
    ]
    return pa.StructArray.from_arrays(columns, fields=list(MATCH_TYPE), mask=pa.array(~found))


def _ngrams_of(items: Sequence[Item], rules: DecontaminationRules) -> _Ngrams:
    """Key, hash of the first words and item of each n-gram; items that repeat an earlier one have none."""
    normal = normalize_for_hash(pa.array([text for item in items for text in item.texts], pa.large_string()))
    owners = np.repeat(np.arange(len(items)), [len(item.texts) for item in items]).astype(np.int64)
    keys, heads, texts = _keys(*string_buffers(normal, "texts"), rules.ngram_words, rules.min_item_words)
    owners = owners[texts]
    bounds = np.searchsorted(owners, np.arange(len(items) + 1))
    seen: set[bytes] = set()
    kept = np.zeros(len(keys), bool)
    for start, end in itertools.pairwise(bounds.tolist()):
        content = keys[start:end].tobytes()
        kept[start:end] = content not in seen
        seen.add(content)
    return keys[kept], heads[kept], owners[kept]


def _without_templates(keys: Hashes, heads: Hashes, owners: Positions, most_items: int) -> _Ngrams:
    """Each n-gram of an item once, without those that more than ``most_items`` items share."""
    order = np.lexsort((owners, keys))
    keys, heads, owners = keys[order], heads[order], owners[order]
    once = _changes(keys) | _changes(owners)
    keys, heads, owners = keys[once], heads[once], owners[once]
    firsts = np.flatnonzero(_changes(keys))
    sharing = np.diff(np.append(firsts, len(keys)))
    own = np.repeat(sharing <= most_items, sharing)
    return keys[own], heads[own], owners[own]


def _changes(values: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    """Where a value differs from the one before it; the first does."""
    changed = np.ones(len(values), bool)
    changed[1:] = values[1:] != values[:-1]
    return changed


def _power_of_two(least: int) -> int:
    return 1 << max(6, (least - 1).bit_length())


@inlined
def _key(window: np.uint64, words: int) -> np.uint64:
    """Key of an n-gram; never 0, which marks a free slot."""
    return max(mix(window + np.uint64(words) * GOLDEN), np.uint64(1))


@inlined
def _bit(window: np.uint64, bitmap: Bytes) -> int:
    """Place of an n-gram's first words in the filter."""
    return signed(mix(window)) & (8 * len(bitmap) - 1)


@inlined
def _slot(key: np.uint64, slots: Hashes) -> int:
    """Where the key is in the table or would go (linear probing)."""
    slot = signed(key) & (len(slots) - 1)
    while slots[slot] != np.uint64(0) and slots[slot] != key:
        slot = (slot + 1) & (len(slots) - 1)
    return slot


@compiled
def _fill(keys: Hashes, slots: Hashes, groups: Numbers) -> None:
    for group in range(len(keys)):
        slot = _slot(keys[group], slots)
        slots[slot] = keys[group]
        groups[slot] = group


@compiled
def _mark(heads: Hashes, bitmap: Bytes) -> None:
    for index in range(len(heads)):
        bit = _bit(heads[index], bitmap)
        bitmap[bit >> 3] |= np.uint8(1 << (bit & 7))


@compiled
def _hash_words(data: Bytes, start: int, end: int, out: Hashes) -> int:
    """Hashes of the words between spaces, in order; returns how many."""
    words = 0
    inside = False
    running = FNV_OFFSET
    for at in range(start, end):
        if data[at] != 32:
            running = (running ^ np.uint64(data[at])) * FNV_PRIME
            inside = True
        elif inside:
            out[words] = mix(running)
            words += 1
            running = FNV_OFFSET
            inside = False
    if inside:
        out[words] = mix(running)
        words += 1
    return words


@inlined
def _append(window: np.uint64, word: np.uint64) -> np.uint64:
    """The hash of some words in a row and the next word: a polynomial modulo 2**64, of hashes that are mixed."""
    return window * GOLDEN + word


@compiled
def _keys(data: Bytes, offsets: Offsets, ngram_words: int, min_item_words: int) -> tuple[Hashes, Hashes, Positions]:
    """Key, hash of the first ``min_item_words`` words and text of each n-gram of normalised texts, in order."""
    most = 0
    for row in range(len(offsets) - 1):
        most += (offsets[row + 1] - offsets[row]) // 2 + 1
    keys = np.empty(most, np.uint64)
    heads = np.empty(most, np.uint64)
    texts = np.empty(most, np.int64)
    hashes = np.empty(most, np.uint64)
    count = 0
    for row in range(len(offsets) - 1):
        words = _hash_words(data, offsets[row], offsets[row + 1], hashes)
        if words == 0:
            continue
        length = min(words, ngram_words)
        for first in range(words - length + 1):
            window = np.uint64(0)
            head = np.uint64(0)
            for place in range(length):
                window = _append(window, hashes[first + place])
                if place < min_item_words:
                    head = window
            keys[count] = _key(window, length if words >= min_item_words else length | _WHOLE)
            heads[count] = head
            texts[count] = row
            count += 1
    return keys[:count], heads[:count], texts[:count]


@compiled
def _scan(
    data: Bytes,
    offsets: Offsets,
    bitmap: Bytes,
    slots: Hashes,
    groups: Numbers,
    starts: Numbers,
    items: Numbers,
    wanted: npt.NDArray[np.bool_],
    item_ngrams: Numbers,
    ngram_words: int,
    min_item_words: int,
    best: Numbers,
    shared: Numbers,
) -> None:
    """Fill ``best``, the item of the largest share by document, and ``shared``, distinct n-grams that both have."""
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    hashes = np.empty(longest // 2 + 1, np.uint64)
    counted = np.full(len(starts) - 1, -1, np.int32)  # the row in which an n-gram was counted last
    counts = np.zeros(len(item_ngrams), np.int32)
    touched = np.empty(len(item_ngrams), np.int32)
    power = np.uint64(1)
    for _ in range(min_item_words):
        power *= GOLDEN
    for row in range(len(offsets) - 1):
        words = _hash_words(data, offsets[row], offsets[row + 1], hashes)
        found = 0
        head = np.uint64(0)
        for place in range(words):
            head = _append(head, hashes[place])
            first = place - min_item_words + 1
            if first < 0:
                if place < words - 1:
                    continue
                # Too short a text to be looked for in others: it matches as a whole.
                found = _count(
                    _key(head, words | _WHOLE),
                    row,
                    slots,
                    groups,
                    starts,
                    items,
                    wanted,
                    counted,
                    counts,
                    touched,
                    found,
                )
                continue
            if first > 0:
                head -= hashes[first - 1] * power
            bit = _bit(head, bitmap)
            if not bitmap[bit >> 3] >> (bit & 7) & 1:
                continue
            window = head
            length = min_item_words
            while True:
                found = _count(
                    _key(window, length), row, slots, groups, starts, items, wanted, counted, counts, touched, found
                )
                if length == ngram_words or first + length == words:
                    break
                window = _append(window, hashes[first + length])
                length += 1
        for index in range(found):
            item = touched[index]
            if best[row] < 0:
                is_better = True
            else:
                left = signed(counts[item]) * item_ngrams[best[row]]
                right = signed(shared[row]) * item_ngrams[item]
                is_better = left > right or (left == right and item < best[row])
            if is_better:
                best[row] = item
                shared[row] = counts[item]
        for index in range(found):
            counts[touched[index]] = 0


@compiled
def _count(
    key: np.uint64,
    row: int,
    slots: Hashes,
    groups: Numbers,
    starts: Numbers,
    items: Numbers,
    wanted: npt.NDArray[np.bool_],
    counted: Numbers,
    counts: Numbers,
    touched: Numbers,
    found: int,
) -> int:
    """Count an n-gram for each item that has it, once a document; returns how many items have been touched."""
    slot = _slot(key, slots)
    if slots[slot] == np.uint64(0) or counted[groups[slot]] == row:
        return found
    group = groups[slot]
    counted[group] = row
    for place in range(starts[group], starts[group + 1]):
        item = items[place]
        if wanted[item]:
            if counts[item] == 0:
                touched[found] = item
                found += 1
            counts[item] += 1
    return found
