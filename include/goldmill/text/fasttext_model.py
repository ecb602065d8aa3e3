"""Read a quantised fastText classifier (``.ftz``) into the arrays that compiled code works on.

Formats and formulas: fastText's source, model version 12 (Joulin et al., arXiv 1607.01759, 1612.03651). Only what the
language models use is read: hierarchical softmax, one-word features with character n-grams, a product-quantised input
matrix, a dense output matrix.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from goldmill.text.hashing import Hashes

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int32]

_MAGIC: Final = 793_712_314
_VERSION: Final = 12
_HIERARCHICAL_SOFTMAX: Final = 1
_CENTROIDS: Final = 256
_LABEL_PREFIX: Final = "__label__"
_END_OF_LINE: Final = "</s>"
_MASK: Final = (1 << 64) - 1


class ModelError(ValueError):
    """A file is no fastText model, or one of a kind that is not read here."""


@dataclass(frozen=True)
class FastTextModel:
    """A classifier.

    Attributes:
        labels: names, without fastText's prefix.
        vectors: input vectors, shape (words + kept n-grams, dimensions).
        word_slots: hash table of words (FNV-1a in 64 bits), 0 where free; its length is a power of two.
        word_rows: row of ``vectors`` by slot.
        ngram_rows: row of ``vectors`` by bucket, -1 where pruning dropped the n-gram.
        kept: bitmap over the buckets: those that are in ``ngram_rows``.
        end_row: row of the end of a line, -1 where there is none.
        shortest: least characters of an n-gram; ``longest``: most.
        longest: see ``shortest``.
        nodes: output vectors of the inner nodes of the tree, shape (labels - 1, dimensions).
        left: left child by inner node; inner node ``i`` is numbered ``labels + i``, leaves are labels.
        right: right child.
    """

    labels: tuple[str, ...]
    vectors: Floats
    word_slots: Hashes
    word_rows: Numbers
    ngram_rows: Numbers
    kept: npt.NDArray[np.uint8]
    end_row: int
    shortest: int
    longest: int
    nodes: Floats
    left: Numbers
    right: Numbers


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def values(self, form: str) -> tuple[int, ...]:
        found = struct.unpack_from(f"<{form}", self._content, self._at)
        self._at += struct.calcsize(f"<{form}")
        return found

    def array(self, kind: str, count: int) -> npt.NDArray[np.generic]:
        found = np.frombuffer(self._content, kind, count, self._at)
        self._at += found.nbytes
        return found

    def word(self) -> str:
        end = self._content.index(b"\0", self._at)
        found = self._content[self._at : end].decode("utf-8", "surrogateescape")
        self._at = end + 1
        return found


def read_model(path: Path) -> FastTextModel:
    """Read a model.

    Raises:
        ModelError: the file is damaged, or the model is of a kind that is not read here.
    """
    reader = _Reader(path.read_bytes())
    try:
        return _read(reader)
    except (struct.error, ValueError) as error:
        raise ModelError(f"{path} is no quantised fastText model that can be read here: {error}") from error


def _read(reader: _Reader) -> FastTextModel:
    magic, version = reader.values("ii")
    dimensions, _, _, _, _, word_ngrams, loss, _, buckets, shortest, longest, _ = reader.values("12i")
    reader.values("d")
    if (magic, version, loss, word_ngrams) != (_MAGIC, _VERSION, _HIERARCHICAL_SOFTMAX, 1):
        raise ValueError(f"magic {magic}, version {version}, loss {loss}, word n-grams {word_ngrams}")
    size, word_count, label_count = reader.values("iii")
    _, pruned = reader.values("qq")
    entries = []
    for _ in range(size):
        word = reader.word()
        count, _ = reader.values("qb")
        entries.append((word, count))
    pairs = reader.array("<i4", 2 * max(pruned, 0)).reshape(-1, 2)
    (is_quantised,) = reader.values("?")
    if not is_quantised:
        raise ValueError("the input matrix is not quantised")
    vectors = _read_quantised(reader, dimensions)
    (is_output_quantised,) = reader.values("?")
    if is_output_quantised:
        raise ValueError("the output matrix is quantised")
    rows, columns = reader.values("qq")
    nodes = reader.array("<f4", rows * columns).reshape(rows, columns).astype(np.float32)
    ngram_rows = np.full(buckets, -1, np.int32)
    ngram_rows[pairs[:, 0].astype(np.int64)] = pairs[:, 1].astype(np.int32) + word_count
    left, right = _tree([count for _, count in entries[word_count:]])
    slots, word_rows = _word_table([word for word, _ in entries[:word_count]])
    words = {word: row for row, (word, _) in enumerate(entries[:word_count])}
    return FastTextModel(
        labels=tuple(word.removeprefix(_LABEL_PREFIX) for word, _ in entries[word_count : word_count + label_count]),
        vectors=vectors,
        word_slots=slots,
        word_rows=word_rows,
        ngram_rows=ngram_rows,
        kept=np.packbits(ngram_rows >= 0, bitorder="little"),
        end_row=words.get(_END_OF_LINE, -1),
        shortest=shortest,
        longest=longest,
        nodes=nodes,
        left=left,
        right=right,
    )


def _read_quantised(reader: _Reader, dimensions: int) -> Floats:
    """Rows of a product-quantised matrix, as numbers."""
    (has_norms,) = reader.values("?")
    rows, _ = reader.values("qq")
    (code_count,) = reader.values("i")
    codes = reader.array("<u1", code_count).reshape(rows, -1)
    vectors = np.empty((rows, dimensions), np.float32)
    at = 0
    for part, centroids in enumerate(_read_centroids(reader)):
        width = centroids.shape[1]
        vectors[:, at : at + width] = centroids[codes[:, part].astype(np.int64)]
        at += width
    if has_norms:
        norm_codes = reader.array("<u1", rows)
        (norms,) = _read_centroids(reader)
        vectors *= norms[norm_codes.astype(np.int64)]
    return vectors


def _read_centroids(reader: _Reader) -> list[Floats]:
    """Of each part of a vector the 256 values that it may have, shape (256, width of the part)."""
    dimensions, parts, width, last_width = reader.values("iiii")
    numbers = reader.array("<f4", dimensions * _CENTROIDS)
    found, at = [], 0
    for part in range(parts):
        columns = last_width if part == parts - 1 else width
        found.append(numbers[at : at + _CENTROIDS * columns].reshape(_CENTROIDS, columns).astype(np.float32))
        at += _CENTROIDS * columns
    return found


def _tree(counts: list[int]) -> tuple[Numbers, Numbers]:
    """Children of the inner nodes of the Huffman tree over the labels, which come by falling count."""
    labels = len(counts)
    weights = [*counts, *([10**15] * (labels - 1))]
    left, right = np.empty(labels - 1, np.int32), np.empty(labels - 1, np.int32)
    leaf, node = labels - 1, labels
    for inner in range(labels - 1):
        chosen = []
        for _ in range(2):
            if leaf >= 0 and weights[leaf] < weights[node]:
                chosen.append(leaf)
                leaf -= 1
            else:
                chosen.append(node)
                node += 1
        left[inner], right[inner] = chosen
        weights[labels + inner] = weights[chosen[0]] + weights[chosen[1]]
    return left, right


def _word_table(words: list[str]) -> tuple[Hashes, Numbers]:
    size = 1 << max(4, (2 * len(words)).bit_length())
    slots, rows = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    for row, word in enumerate(words):
        key = 0xCBF29CE484222325
        for byte in word.encode("utf-8", "surrogateescape"):
            key = ((key ^ byte) * 0x100000001B3) & _MASK
        slot = key & (size - 1)
        while slots[slot]:
            slot = (slot + 1) & (size - 1)
        slots[slot], rows[slot] = key, row
    return slots, rows
