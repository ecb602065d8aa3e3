"""Fingerprints of licence texts: the hashes of their word pairs, without the words.

The fingerprint of a licence holds the pairs that all sample texts of it share, so that names, years and the formatting
of one project drop out. Make the data file again, or with more licences, from text files you have::

    python -m goldmill.text.license_fingerprints MIT=a/LICENSE,b/LICENSE.txt Apache-2.0=c/LICENSE ...

Licences that are not named keep the fingerprint they have.
"""

from __future__ import annotations

import re
import sys
import zlib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

_DATA = files("goldmill.text").joinpath("data", "license_fingerprints.npz")
# Licences end well before this; what follows them in a file is not looked at.
WINDOW_CHARACTERS = 65_536

# Share of a licence's pairs after which it counts as complete, and how far apart ends of one text may be.
_COMPLETE_SHARE = 0.9
_SAME_END = 1.25

_WORD = re.compile(r"[a-z0-9]+")
_COPYRIGHT_LINE = re.compile(r"^[\s#*/;.-]*(?:copyright|\(c\)|all rights reserved).*$", re.IGNORECASE | re.MULTILINE)


class Likeness(NamedTuple):
    """A licence text found in a file.

    Attributes:
        spdx_id: the licence.
        containment: share of the licence's word pairs that the file holds, 0..1.
    """

    spdx_id: str
    containment: float


def normalized_words(text: str) -> list[str]:
    """Words of a text in lower case, without punctuation and without lines that state a copyright."""
    return _WORD.findall(_COPYRIGHT_LINE.sub(" ", text[:WINDOW_CHARACTERS]).lower())


def word_pair_hashes(words: list[str]) -> list[int]:
    """CRC-32 of each pair of neighbouring words, in order."""
    return [zlib.crc32(f"{first} {second}".encode()) for first, second in pairwise(words)]


def closest_license(words: list[str], min_containment: float) -> Likeness | None:
    """The licence whose text a file holds; the first one where there are several.

    Licences of which one contains the other (BSD-2-Clause, BSD-3-Clause) end at about the same place; there the one
    with the larger Soerensen-Dice coefficient is meant.

    Args:
        words: normalised words of the file.
        min_containment: share of a licence's word pairs that must be there.
    """
    place: dict[int, int] = {}
    for position, pair in enumerate(word_pair_hashes(words)):
        place.setdefault(pair, position)
    found: list[tuple[int, float, Likeness]] = []
    for spdx_id, fingerprint in load_fingerprints().items():
        shared = sorted(place[pair] for pair in place.keys() & fingerprint)
        if len(shared) >= min_containment * len(fingerprint):
            # Some of its pairs may turn up much later again in place of one changed here.
            end = shared[int(_COMPLETE_SHARE * (len(shared) - 1))]
            dice = 2 * len(shared) / (len(place) + len(fingerprint))
            found.append((end, dice, Likeness(spdx_id, len(shared) / len(fingerprint))))
    if not found:
        return None
    first_end = min(end for end, _, _ in found)
    return max((dice, likeness) for end, dice, likeness in found if end <= _SAME_END * first_end)[1]


@cache
def load_fingerprints() -> dict[str, frozenset[int]]:
    """The shipped fingerprints by SPDX identifier."""
    return read_fingerprints(_DATA)


def read_fingerprints(source: Traversable) -> dict[str, frozenset[int]]:
    """The fingerprints in a data file by SPDX identifier."""
    with source.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
        return {spdx_id: frozenset(stored[spdx_id].tolist()) for spdx_id in sorted(stored.files)}


def main(arguments: list[str], target: Path = Path(str(_DATA))) -> None:
    """Write the licences given as ``SPDX-ID=FILE,FILE...`` into the data file ``target``.

    Raises:
        ValueError: if an argument names no files, or the samples of a licence share almost nothing.
    """
    fingerprints = read_fingerprints(target) if target.exists() else {}
    for argument in arguments:
        spdx_id, _, paths = argument.partition("=")
        if not paths:
            raise ValueError(f"{argument!r}: write SPDX-ID=FILE,FILE...")
        texts = [Path(path).read_text("utf-8", "replace") for path in paths.split(",")]
        shared = frozenset[int].intersection(*(frozenset(word_pair_hashes(normalized_words(text))) for text in texts))
        if len(shared) < 50:
            raise ValueError(f"{spdx_id}: its samples share only {len(shared)} word pairs; are they the same licence?")
        fingerprints[spdx_id] = shared
    np.savez_compressed(
        target,
        allow_pickle=False,
        **{spdx_id: np.array(sorted(pairs), np.uint32) for spdx_id, pairs in sorted(fingerprints.items())},
    )


if __name__ == "__main__":
    main(sys.argv[1:])
