"""How kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar, cast

import numba
import numpy as np

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile to machine code on first use, to run without the interpreter's lock, with its type kept for checkers.

    Machine code is cached beside the source file, or in the user's cache directory where the installation is
    read-only; ``NUMBA_CACHE_DIR`` names another place.
    """
    return _compile(function, "never")


def inlined(function: Function) -> Function:
    """As ``compiled``, for a small function that is copied into every compiled one that calls it."""
    return _compile(function, "always")


def _compile(function: Function, inline: Literal["never", "always"]) -> Function:
    return cast("Function", numba.njit(function, nogil=True, cache=True, inline=inline))


@inlined
def signed(value: np.integer[Any]) -> int:
    """A number as a signed 64-bit integer; compiled code makes floats of sums of signed and unsigned ones."""
    return int(np.int64(value))
