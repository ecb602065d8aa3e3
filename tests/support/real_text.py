"""Real text that every machine has: pieces of Python's own standard library, docstrings and all."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

# Small enough that many differ from each other by as little as an edit.
_LINES = 30


def pieces(count: int) -> list[str]:
    """Pieces of a few paragraphs, no two of them equal, each fifth an edited copy of one before."""
    rng = random.Random(count)
    found: list[str] = []
    for piece in _pieces():
        found.append(piece)
        if len(found) % 5 == 4:
            found.append(edited(rng.choice(found), rng, rng.choice((0.005, 0.02, 0.05))))
        if len(found) >= count:
            return found[:count]
    raise AssertionError(f"the standard library has no {count} pieces")


def edited(text: str, rng: random.Random, share: float) -> str:
    """``text`` with a share of its words replaced, at least one."""
    words = text.split(" ")
    for place in rng.sample(range(len(words)), max(1, int(share * len(words)))):
        words[place] = f"edit{rng.randrange(10**6)}"
    return " ".join(words)


def _pieces() -> Iterator[str]:
    seen = set()
    for path in sorted(Path(os.__file__).parent.glob("*.py")) + sorted(Path(os.__file__).parent.glob("*/*.py")):
        if "site-packages" in path.parts:
            continue
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        for first in range(0, len(lines), _LINES):
            piece = "\n".join(lines[first : first + _LINES])
            if len(piece) > 300 and piece not in seen:
                seen.add(piece)
                yield piece
