"""Where in a text personal data can be: a first look in compiled code, so that patterns read little of most texts.

Every find holds one of a few things: an ``@``, six digits close together, dots or colons between digits, the first
letters of a provider's keys. (IP addresses that are not public may hold none of them.) What lies farther from all of
them than any pattern or context reaches is not read again.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from goldmill.text.compiled import compiled
from goldmill.text.utf8 import Bytes

# Bytes around a hint that patterns and their contexts may reach: a label, some words, a number.
_REACH: Final = 144
# Beyond it a region goes on to white space, at most so many bytes: on the right a key of a provider may be long.
_MOST_LEFT: Final = 128
_MOST_RIGHT: Final = 1_100
_DIGIT_SPAN: Final = 24  # of six digits
_KEY_BYTES: Final = 15
_START_BYTES: Final = 8
# Most blocks of prose have nothing that a hint is made of. A key in capital letters has 20 of them or of digits.
_BLOCK: Final = 64
_CAPITALS: Final = 8

_NONE: Final = 0
_DIGIT: Final = 1
_LETTER: Final = 2
_OF_KEYS: Final = 3  # "-" and ".", which are part of keys but end a word
_DOT: Final = 4
_COLON: Final = 5
_AT: Final = 6

# How the keys begin that pii.py knows.
KEY_STARTS: Final = (
    "AK", "AS", "AB", "AC", "gh", "gi", "gl", "xo", "xa", "AI", "sk", "rk", "SG", "np", "hf", "py", "do", "sh", "sq",
)  # fmt: skip


def regions(buffer: bytes) -> npt.NDArray[np.int64]:
    """Start and end of the parts of UTF-8 text that may hold a find or what decides about one, shape (parts, 2).

    They are apart and in order.
    """
    return _regions(np.frombuffer(buffer, np.uint8), *_tables())


@cache
def _tables() -> tuple[Bytes, npt.NDArray[np.bool_]]:
    """Kind by byte; whether two bytes begin a key, by the first times 256 plus the second."""
    kinds = np.zeros(256, np.uint8)
    for byte in range(256):
        character = chr(byte)
        if byte < 128 and (character.isalpha() or character == "_"):
            kinds[byte] = _LETTER
        elif byte < 128 and character.isdigit():
            kinds[byte] = _DIGIT
    kinds[ord("-")] = _OF_KEYS
    kinds[ord(".")] = _DOT
    kinds[ord(":")] = _COLON
    kinds[ord("@")] = _AT
    starts = np.zeros(1 << 16, np.bool_)
    for first, second in KEY_STARTS:
        starts[ord(first) << 8 | ord(second)] = True
    return kinds, starts


@compiled
def _regions(data: Bytes, kinds: Bytes, starts: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    size = len(data)
    found = np.empty((16, 2), np.int64)
    count = 0
    first, last = -1, -1  # of hints so close that their regions touch
    # Where the last digits stood, the sixth one back first.
    a, b, c, d, e = -100, -100, -100, -100, -100
    dot, colon = -100, -100
    previous = _NONE
    done = 0
    while done < size:
        if not _holds_hints(data, done, size):
            done += _BLOCK
            previous = kinds[data[min(done, size) - 1]]
            continue
        begin, done = done, min(done + _BLOCK, size)
        for at in range(begin, done):
            kind = kinds[data[at]]
            if kind == _LETTER:
                if previous in (_LETTER, _DIGIT) or at + 1 == size:
                    previous = kind
                    continue
                previous = kind
                if not starts[np.int64(data[at]) << 8 | data[at + 1]] or not _is_key(data, kinds, at, size):
                    continue
            elif kind in (_NONE, _OF_KEYS):
                previous = kind
                continue
            elif kind == _DIGIT:
                previous = kind
                oldest = a
                a, b, c, d, e = b, c, d, e, at
                if at - oldest >= _DIGIT_SPAN:
                    continue
            elif kind == _DOT:
                is_inner = previous == _DIGIT
                previous = kind
                if not is_inner:
                    continue
                before = dot
                dot = at
                if at - before > 4:
                    continue
            elif kind == _COLON:
                previous = kind
                before = colon
                colon = at
                # A public address begins with 2 or 3, and its second colon comes nine bytes later at most.
                if at - before > 5 or at - e > 10:
                    continue
            else:
                previous = kind
            if first >= 0 and at - last > 2 * _REACH:
                count, found = _close(data, first, last, found, count)
                first = at
            elif first < 0:
                first = at
            last = at
    if first >= 0:
        count, found = _close(data, first, last, found, count)
    return found[:count]


@compiled
def _holds_hints(data: Bytes, start: int, size: int) -> bool:
    """Whether a block, or what follows at once, has what a hint is made of.

    That is a digit, an ``@``, the mark behind the beginning of a key in small letters, "AI", "SG", or many capitals.
    """
    seen = np.uint8(0)
    capitals = np.uint8(0)
    for at in range(start, min(start + _BLOCK + _START_BYTES, size - 1)):
        byte, after = data[at], data[at + 1]
        seen |= np.uint8(byte - np.uint8(48) < np.uint8(10)) | np.uint8(byte == 64)
        seen |= np.uint8(byte == 95) | np.uint8(byte == 45)
        seen |= np.uint8(byte == 65) & np.uint8(after == 73) | np.uint8(byte == 83) & np.uint8(after == 71)
        capitals += np.uint8(byte - np.uint8(65) < np.uint8(26))
    # The last byte of all has none behind it.
    return bool(seen != 0 or capitals >= _CAPITALS or start + _BLOCK + _START_BYTES >= size)


@compiled
def _close(
    data: Bytes, first: int, last: int, found: npt.NDArray[np.int64], count: int
) -> tuple[int, npt.NDArray[np.int64]]:
    """Add the region of the hints from ``first`` to ``last``; returns how many regions there are now, and where."""
    start, end = _around(data, first, last, len(data))
    if count and start <= found[count - 1, 1]:
        found[count - 1, 1] = end
        return count, found
    if count == len(found):
        more = np.empty((2 * count, 2), np.int64)
        more[:count] = found
        found = more
    found[count, 0] = start
    found[count, 1] = end
    return count + 1, found


@compiled
def _is_key(data: Bytes, kinds: Bytes, at: int, size: int) -> bool:
    """Whether as many bytes as the shortest key has could be of one."""
    if at + _KEY_BYTES > size:
        return False
    # Beginnings in small letters end in "_" or "-".
    is_marked = data[at] < 97
    for place in range(at, at + _KEY_BYTES):
        if kinds[data[place]] == _NONE or kinds[data[place]] > _DOT:
            return False
        if place < at + _START_BYTES:
            is_marked |= data[place] == 95 or data[place] == 45
    return bool(is_marked)


@compiled
def _around(data: Bytes, first: int, last: int, size: int) -> tuple[int, int]:
    """What patterns reach from hints, up to white space."""
    start = max(0, first - _REACH)
    least = max(0, start - _MOST_LEFT)
    while start > least and data[start - 1] > 32:
        start -= 1
    # Not inside a character.
    while start > 0 and data[start] & 0xC0 == 0x80:
        start -= 1
    end = min(size, last + _REACH)
    most = min(size, end + _MOST_RIGHT)
    while end < most and data[end] > 32:
        end += 1
    while end < size and data[end] & 0xC0 == 0x80:
        end += 1
    return start, end
