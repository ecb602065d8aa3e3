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
from pathlib import Path
from typing import NamedTuple

import numpy as np

_DATA = files("goldmill.text").joinpath("data", "license_fingerprints.npz")
# Licences end well before this; what follows them in a file is not looked at.
WINDOW_CHARACTERS = 65_536

_WORD = re.compile(r"[a-z0-9]+")
_COPYRIGHT_LINE = re.compile(r"^[\s#*/;.-]*(?:copyright|\(c\)|all rights reserved).*$", re.IGNORECASE | re.MULTILINE)


class Likeness(NamedTuple):
    """How much of a licence a text holds.

    Attributes:
        spdx_id: the licence.
        containment: share of the licence's word pairs that the text holds, 0..1.
        dice: Soerensen-Dice coefficient of the two sets of word pairs, 0..1; it tells apart licences of which one
            contains the other (BSD-2-Clause, BSD-3-Clause).
    """

    spdx_id: str
    containment: float
    dice: float


def normalized_words(text: str) -> list[str]:
    """Words of a text in lower case, without punctuation and without lines that state a copyright."""
    return _WORD.findall(_COPYRIGHT_LINE.sub(" ", text[:WINDOW_CHARACTERS]).lower())


def word_pair_hashes(words: list[str]) -> frozenset[int]:
    """CRC-32 of each pair of neighbouring words."""
    return frozenset(zlib.crc32(f"{first} {second}".encode()) for first, second in zip(words, words[1:], strict=False))


def likenesses(words: list[str]) -> list[Likeness]:
    """Likeness of a text, given as its normalised words, to each known licence, best Dice coefficient first."""
    pairs = word_pair_hashes(words)
    found = []
    for spdx_id, fingerprint in load_fingerprints().items():
        shared = len(pairs & fingerprint)
        found.append(Likeness(spdx_id, shared / len(fingerprint), 2 * shared / (len(pairs) + len(fingerprint))))
    return sorted(found, key=lambda likeness: (-likeness.dice, likeness.spdx_id))


@cache
def load_fingerprints() -> dict[str, frozenset[int]]:
    """The shipped fingerprints by SPDX identifier."""
    with _DATA.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
        return {spdx_id: frozenset(stored[spdx_id].tolist()) for spdx_id in sorted(stored.files)}


def main(arguments: list[str]) -> None:
    """Write the data file with the licences given as ``SPDX-ID=FILE,FILE...``.

    Raises:
        ValueError: if an argument names no files, or the samples of a licence share almost nothing.
    """
    target = Path(str(_DATA))
    fingerprints = dict(load_fingerprints()) if target.exists() else {}
    for argument in arguments:
        spdx_id, _, paths = argument.partition("=")
        if not paths:
            raise ValueError(f"{argument!r}: write SPDX-ID=FILE,FILE...")
        samples = [
            word_pair_hashes(normalized_words(Path(path).read_text("utf-8", "replace"))) for path in paths.split(",")
        ]
        shared = frozenset.intersection(*samples)
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
