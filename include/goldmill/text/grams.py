"""Repeated words in a row: characters in the commonest and in the duplicate n-grams of a text.

An n-gram can only occur twice where both (n-1)-grams in it do, so each n looks at the few places that are left from
the one before. Pairs of words are found by hash, in a table of the size of the text whose entries hold a place and
some bits of the hash, so that a probe costs one access to memory; the hash is then compared in full. Longer n-grams
are named by the places where their halves occur first, so that equal names are equal n-grams.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from goldmill.text.compiled import compiled
from goldmill.text.words import Counts, Hashes, Positions

TOP_GRAMS: Final = (2, 3, 4)
DUPLICATE_GRAMS: Final = (5, 6, 7, 8, 9, 10)

# An entry of a table: the place, plus one, in the low bits, bits of the hash above.
_PLACE = np.uint64(0xFFFFFF)
MOST_WORDS: Final = 1 << 22
_MIXER = np.uint64(0x9E3779B97F4A7C15)
_PAIR = np.uint64(0xC2B2AE3D27D4EB4F)
_ZERO = np.uint64(0)
_TURN, _BACK = np.uint64(23), np.uint64(41)


@compiled
def clear(table: Hashes, items: int) -> int:
    """Empty a table for so many items; returns the shift that leaves an address in it."""
    size_bits = 3
    while (1 << size_bits) < 2 * items:
        size_bits += 1
    table[: 1 << size_bits] = 0
    return 64 - size_bits


@compiled
def seen(table: Hashes, shift: int, key: np.uint64, full: bool) -> bool:
    """Whether a table of keys (never 0) holds one; adds it, unless the table is full."""
    mask = (1 << (64 - shift)) - 1
    slot = np.int64((key * _MIXER) >> np.uint64(shift))
    while table[slot] != _ZERO:
        if table[slot] == key:
            return True
        slot = (slot + 1) & mask
    if not full:
        table[slot] = key
    return False


@compiled
def measure_grams(
    hashes: Hashes,
    ends: Positions,
    words: int,
    table: Hashes,
    names: Hashes,
    groups: Positions,
    members: Positions,
    places: Positions,
    levels: npt.NDArray[np.uint8],
    top: Counts,
    tops: Counts,
    duplicate: Counts,
    copies: Counts,
) -> None:
    """Characters in the commonest and in the repeated n-grams of the first words of a text.

    Args:
        hashes: of the words.
        ends: summed lengths of the words, in characters, from 0 on.
        words: how many there are.
        table: room for the next power of two above twice the words.
        names: room for one a word, as in all that follow; the hash or name of the n-gram at a place.
        groups: the first place where the n-gram at a place occurs.
        members: how often the n-gram occurs, at its first place.
        places: where an n-gram was repeated.
        levels: the largest n that is repeated at a place.
        top: gets the characters of the commonest n-gram, without spaces, times its number, for ``TOP_GRAMS``.
        tops: gets its number.
        duplicate: gets the characters of n-grams that were met before, without spaces, for ``DUPLICATE_GRAMS``; the
            search goes on behind each.
        copies: gets the characters of all n-grams that occur more than once, each with all its characters.
    """
    left = words - 1
    for n in range(2, 11):
        if left <= 0:
            break
        shift = clear(table, left)
        mask = (1 << (64 - shift)) - 1
        tried = 0
        most = 1
        for index in range(left):
            if n == 2:
                place = index
                first = hashes[place]
                key = (((first << _TURN) | (first >> _BACK)) ^ hashes[place + 1]) * _MIXER
            else:
                place = int(places[index])
                if place + n > words or levels[place + 1] < n - 1:
                    continue
                key = (np.uint64(groups[place]) << np.uint64(32) | np.uint64(groups[place + 1])) * _PAIR
            names[place] = key
            slot = int(np.int64(key >> np.uint64(shift)))
            entry = table[slot]
            group = place
            while entry != _ZERO:
                if (entry ^ key) <= _PLACE:
                    met = int(np.int64(entry & _PLACE)) - 1
                    if names[met] == key:
                        group = met
                        break
                slot = (slot + 1) & mask
                entry = table[slot]
            if group == place:
                table[slot] = (key & ~_PLACE) | np.uint64(place + 1)
                members[place] = 1
            else:
                count = members[group] + 1
                members[group] = count
                most = max(most, count)
            # Of the groups of the level before, only those ahead of this place are still needed.
            groups[place] = group
            places[tried] = place
            tried += 1
        left = 0
        commonest = -1  # the first of the commonest
        for index in range(tried):
            place = int(places[index])
            count = members[groups[place]]
            if count > 1:
                levels[place] = n
                places[left] = place
                left += 1
                if count == most and commonest < 0:
                    commonest = place
            elif n == 2:
                levels[place] = 1
        if n == 2:
            levels[words - 1] = 1
        commonest = max(commonest, 0)  # where none is repeated, the first stands for all
        if n <= 4:
            if n > words:
                break
            top[n - 2] = (ends[commonest + n] - ends[commonest]) * most
            tops[n - 2] = most
        elif left > 0:
            for index in range(left):
                copies[n - 5] += ends[places[index] + n] - ends[places[index]]
            duplicate[n - 5] = _duplicate_chars(ends, n, groups, members, places, left)
    # The same where no place was left to look at.
    for n in range(2, 5):
        if n <= words and tops[n - 2] == 0:
            top[n - 2] = ends[n] - ends[0]
            tops[n - 2] = 1


@compiled
def _duplicate_chars(
    ends: Positions, n: int, groups: Positions, members: Positions, places: Positions, left: int
) -> int:
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
