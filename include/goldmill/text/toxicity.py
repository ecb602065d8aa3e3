"""Score documents for toxicity: by a word list, and by a classifier that the recipe names."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import lru_cache
from importlib import import_module
from itertools import accumulate
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import re2

from goldmill.rules.safety import ToxicityRules
from goldmill.text import word_lists
from goldmill.text.scrubbing import SEPARATOR
from goldmill.text.verdicts import Check, Verdicts

_WORDS = sorted(word_lists.read("toxic_words.txt"), key=lambda word: (-len(word), word))
_LISTED = re2.compile(rf"(?i:{'|'.join(_WORDS)})".encode())
_ANY_WORD = re.compile(r"\w+")


class ToxicityClassifier(Protocol):
    """What ``toxicity.classifier`` names: texts in, one score from 0 (harmless) to 1 (toxic) a text out."""

    def __call__(self, texts: pa.Array) -> pa.DoubleArray:
        """Score ``texts`` (string or large_string, no nulls); the result has their length and no nulls."""


def judge_toxicity(texts: pa.Array, rules: ToxicityRules) -> tuple[pa.DoubleArray, Verdicts]:
    """Score each text and say which break the rules.

    The score is that of the classifier if one is named, else the share of listed words among all words. Rules in the
    verdicts: ``toxicity:word_share`` and ``toxicity:classifier``.

    Raises:
        ValueError: if a text is null, if the classifier cannot be imported, or if what it returns is no score from 0
            to 1 for each text.
    """
    length = len(texts)
    if not rules.enabled:
        return pa.array(np.zeros(length)), Verdicts.passing(length)
    shares, matches = word_shares(texts)
    failed = (shares > rules.max_word_share) & (matches >= rules.min_matches)
    checks = [Check("toxicity:word_share", shares, failed, rules.max_word_share)]
    scores = shares
    if rules.classifier is not None:
        scores = _classify(texts, rules.classifier)
        checks.append(Check("toxicity:classifier", scores, scores > rules.max_score, rules.max_score))
    return pa.array(scores), Verdicts.first(checks, length)


def word_shares(texts: pa.Array) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Share of listed words among all words, and their number, both of shape (texts,).

    Words are compared without regard to case and only as whole words. A text without words has the share 0.

    Raises:
        ValueError: if a text is null.
    """
    if texts.null_count:
        row = texts.is_null().to_pylist().index(True)
        raise ValueError(f"texts: row {row} is null; fill or drop rows without text before judging toxicity")
    rows: list[bytes] = texts.cast(pa.large_string()).cast(pa.large_binary()).to_pylist()
    starts = list(accumulate((len(row) + len(SEPARATOR) for row in rows), initial=0))
    buffer = SEPARATOR.join(rows)
    matches = np.zeros(len(rows), dtype=np.int64)
    for match in _LISTED.finditer(buffer):
        start, end = match.span()
        if not _ends_in_letter(buffer[max(0, start - 4) : start]) and not _starts_with_letter(buffer[end : end + 4]):
            matches[bisect_right(starts, start) - 1] += 1
    shares = np.zeros(len(rows))
    # Words are counted only where the list hit: most texts are never looked at again.
    for row in np.flatnonzero(matches):
        shares[row] = matches[row] / len(_ANY_WORD.findall(rows[row].decode()))
    return shares, matches


def _ends_in_letter(before: bytes) -> bool:
    character = before.decode("utf-8", "ignore")[-1:]
    return character.isalnum() or character == "_"


def _starts_with_letter(after: bytes) -> bool:
    character = after.decode("utf-8", "ignore")[:1]
    return character.isalnum() or character == "_"


def _classify(texts: pa.Array, path: str) -> npt.NDArray[np.float64]:
    scores = np.asarray(load_classifier(path)(texts), dtype=np.float64)
    if scores.shape != (len(texts),) or not bool(np.all((scores >= 0) & (scores <= 1))):
        raise ValueError(
            f"toxicity.classifier {path}: returned shape {scores.shape} for {len(texts)} texts, or values outside 0 to "
            "1; return one score from 0 to 1 a text"
        )
    return scores


@lru_cache(maxsize=4)
def load_classifier(path: str) -> ToxicityClassifier:
    """Import ``package.module:callable``.

    Raises:
        ValueError: if the module or the callable does not exist.
    """
    module, _, name = path.partition(":")
    try:
        found: object = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"toxicity.classifier: {path} cannot be imported ({error}); install its package in the Spark environment "
            "or correct the path"
        ) from error
    if not callable(found):
        raise ValueError(f"toxicity.classifier: {path} is not callable; name a function or an instance with __call__")
    return found
