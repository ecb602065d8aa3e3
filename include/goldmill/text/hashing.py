"""What the hashing kernels share: a mixing function, reading eight bytes at once, keyed hashes of ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from goldmill.text.compiled import compiled, inlined
from goldmill.text.utf8 import Bytes, Offsets, string_buffers

Hashes = npt.NDArray[np.uint64]

if TYPE_CHECKING:

    def load64(data: Bytes, at: int) -> np.uint64:
        """Eight bytes from any position on as one number, the first one lowest (little endian); compiled code only."""

else:

    @intrinsic
    def load64(context: Any, data: Any, at: Any) -> Any:
        """Eight bytes from any position on as one number, the first one lowest (little endian); compiled code only."""

        def load(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array = target.make_array(signature.args[0])(target, builder, arguments[0])
            place = builder.bitcast(builder.gep(array.data, [arguments[1]]), ir.IntType(64).as_pointer())
            return builder.load(place, align=1)

        return types.uint64(data, types.intp), load


# Odd multipliers: the golden ratio in 64 bits (also the step of SplitMix64), and the two of MurmurHash3's finaliser.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xFF51AFD7ED558CCD)
_MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
# FNV-1a in 64 bits (Fowler, Noll, Vo).
FNV_OFFSET = np.uint64(0xCBF29CE484222325)
FNV_PRIME = np.uint64(0x100000001B3)


@inlined
def mix(value: np.uint64) -> np.uint64:
    """MurmurHash3's 64-bit finaliser (Appleby): every bit of the input reaches every bit of the output."""
    value ^= value >> np.uint64(33)
    value *= _MIX_1
    value ^= value >> np.uint64(33)
    value *= _MIX_2
    return value ^ value >> np.uint64(33)


def keyed_hashes(values: pa.Array, seed: int, purpose: str) -> Hashes:
    """64-bit hashes of strings, one function for each seed and purpose; not for secrets.

    Args:
        values: string array without nulls.
        seed: 0 to 2**64 - 1.
        purpose: keeps choices that use the same seed independent of each other, e.g. ``"split"``.

    Raises:
        ValueError: if a value is null.
    """
    key = int(_keyed(*string_buffers(pa.array([f"{seed}:{purpose}"]), "purpose"), FNV_OFFSET)[0])
    return _keyed(*string_buffers(values, purpose), np.uint64(key))


@compiled
def _keyed(data: Bytes, offsets: Offsets, key: np.uint64) -> Hashes:
    out = np.empty(len(offsets) - 1, np.uint64)
    for row in range(len(out)):
        running = key
        for at in range(offsets[row], offsets[row + 1]):
            running = (running ^ np.uint64(data[at])) * FNV_PRIME
        out[row] = mix(running)
    return out
