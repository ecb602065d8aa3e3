"""How kernels are compiled."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import numba
import numpy as np


def cache_directory(sources: Path, root: Path) -> Path:
    """Below ``root``, the directory of the machine code that the modules in ``sources`` compile to as they are now.

    By itself numba asks only whether the file of a function has changed. A kernel has those that it calls compiled into
    it, from other files too: after an edit or an upgrade it would go on with the old ones.
    """
    digest = hashlib.sha256()
    for module in sorted(sources.glob("*.py")):
        digest.update(module.read_bytes())
    return root / f"kernels-{digest.hexdigest()[:16]}"


def _set_cache_directory() -> None:
    sources = Path(__file__).parent
    roots = [Path(numba.config.CACHE_DIR)] if numba.config.CACHE_DIR else []
    # The user's own directory is for installations that are read-only.
    for root in [*roots, sources / "__pycache__", Path.home() / ".cache" / "goldmill"]:
        directory = cache_directory(sources, root)
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        numba.config.CACHE_DIR = str(directory)
        return


_set_cache_directory()

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile to machine code on first use, to run without the interpreter's lock, with its type kept for checkers.

    Machine code is cached beside the source files, or in the user's cache directory where the installation is
    read-only; ``NUMBA_CACHE_DIR`` names another place. Any change to a module of this package compiles anew.
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
