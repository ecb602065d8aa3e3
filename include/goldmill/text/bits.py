"""Eight bytes of text at a time, in 64-bit words whose lowest bits are the first byte.

A *mask* has the highest bit of a byte set for each byte that has a property. numba lacks the operations on bits that
make masks useful; those here are single instructions of the machine. For the method see Hacker's Delight, second
edition, chapter 6 (finding bytes) and 5 (counting bits).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import extending
from numba.core import types

from goldmill.text.compiled import compiled

# Every byte of a 64-bit word alike.
HIGH: Final = np.uint64(0x8080808080808080)
_LOW = np.uint64(0x7F7F7F7F7F7F7F7F)
_ONES = np.uint64(0x0101010101010101)
_CASE = np.uint64(0x2020202020202020)
# Added to seven bits, these leave the eighth set from a character on: "a", behind "z", "0", behind "9", " ".
_FROM_A, _BEHIND_Z = np.uint64(0x1F1F1F1F1F1F1F1F), np.uint64(0x0505050505050505)
_FROM_0, _BEHIND_9 = np.uint64(0x5050505050505050), np.uint64(0x4646464646464646)
_FROM_SPACE = np.uint64(0x6060606060606060)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_MIXER = np.uint64(0x9E3779B97F4A7C15)

intrinsic: Callable[[Callable[..., Any]], Callable[..., Any]] = extending.intrinsic


@intrinsic
def _load(_: Any, data: Any, at: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(array.data, [arguments[1]])
        value = builder.load(builder.bitcast(place, ir.IntType(64).as_pointer()))
        value.align = 1
        return value

    return types.uint64(data, types.intp), generate


@intrinsic
def first_bit(_: Any, word: Any) -> Any:
    """Position of the lowest bit that is set, as a signed integer; 64 if there is none."""

    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@intrinsic
def count_bits(_: Any, word: Any) -> Any:
    """How many bits are set, as a signed integer."""

    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@compiled
def _load_end(data: npt.NDArray[np.uint8], at: int) -> np.uint64:
    word = np.uint64(0)
    for index in range(len(data) - at):
        word |= np.uint64(data[at + index]) << np.uint64(8 * index)
    return word


@compiled
def load(data: npt.NDArray[np.uint8], at: int) -> np.uint64:
    """The eight bytes from a position on; zeros behind the end of the array."""
    return _load(data, at) if at + 8 <= len(data) else _load_end(data, at)


@compiled
def letters(word: np.uint64) -> np.uint64:
    """Mask of ASCII letters."""
    low = (word & _LOW) | _CASE
    return ((low + _FROM_A) ^ (low + _BEHIND_Z)) & HIGH & ~word


@compiled
def digits(word: np.uint64) -> np.uint64:
    """Mask of ASCII digits."""
    low = word & _LOW
    return ((low + _FROM_0) ^ (low + _BEHIND_9)) & HIGH & ~word


@compiled
def controls(word: np.uint64) -> np.uint64:
    """Mask of bytes below the space."""
    return ~((word & _LOW) + _FROM_SPACE) & HIGH & ~word


@compiled
def equal(word: np.uint64, byte: np.uint64) -> np.uint64:
    """Mask of bytes that equal one."""
    other = word ^ (byte * _ONES)
    return ~(((other & _LOW) + _LOW) | other) & HIGH


@compiled
def continuations(word: np.uint64) -> np.uint64:
    """Mask of UTF-8 continuation bytes."""
    return word & ~(word << np.uint64(1)) & HIGH


@compiled
def keep_first(word: np.uint64, count: int) -> np.uint64:
    """The first ``count`` bytes (0 to 8); zeros behind them."""
    # Two shifts, as one by 64 does nothing.
    return word & ~((_ALL << np.uint64(4 * count)) << np.uint64(4 * count))


@compiled
def hash_bytes(data: npt.NDArray[np.uint8], start: int, end: int) -> np.uint64:
    """A 64-bit hash, never 0, of the bytes between two positions.

    Strings of up to eight bytes without NUL never share one. Not fit to be kept: it may change with any version.
    """
    key = np.uint64(0)
    at = start
    while at + 8 < end:
        key = hash_step(key, load(data, at))
        at += 8
    return hash_end(key, keep_first(load(data, at), end - at))


@compiled
def hash_step(key: np.uint64, word: np.uint64) -> np.uint64:
    """Hash of eight more bytes, behind which there are others."""
    mixed = (key ^ word) * _MIXER
    return mixed ^ (mixed >> np.uint64(29)) ^ np.uint64(0x5555555555555555)


@compiled
def hash_end(key: np.uint64, word: np.uint64) -> np.uint64:
    """``hash_bytes`` with its last one to eight bytes."""
    mixed = (key ^ word) * _MIXER
    return max(mixed ^ (mixed >> np.uint64(32)), np.uint64(1))
