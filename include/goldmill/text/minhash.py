"""Content ids, MinHash-LSH signatures and exact Jaccard similarity of documents.

All of them look at a document as a row of *words*, so that copies which differ in case, punctuation, spacing or accents
agree. ``normalize_for_hash`` shows the words and states what a word is. Everything is compiled and works on the UTF-8
buffers of the Arrow arrays; it holds no lock, so that threads run side by side.

Character classes come from the frozen Unicode 3.2 database that every Python carries (``unicodedata.ucd_3_2_0``), so
that hashes do not change with the Python version. Characters that are younger than it count as letters.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Final
from unicodedata import ucd_3_2_0
from urllib.parse import urlsplit, urlunsplit

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from goldmill.rules.deduplication import MinHashConfig
from goldmill.text.compiled import compiled, inlined, signed
from goldmill.text.hashing import GOLDEN, Hashes, load64, mix
from goldmill.text.utf8 import Bytes, Offsets, decode, string_buffers

SIGNATURE_TYPE: Final = pa.struct([("bands", pa.list_(pa.int64())), ("shingle_count", pa.int32())])

# Character classes.
_SEPARATOR, _WORD, _IGNORED, _ALONE = 0, 1, 2, 3
# The tables cover planes 0 and 1; planes 2 and 3 are ideographs, the rest is private use and counts as letters.
_TABLE_SIZE = 0x20000
# Scripts written without spaces: each of their characters is a word.
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # radicals
    (0x3005, 0x3007),
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9D),  # half-width Katakana
)
_COMBINING_MARKS = range(0x0300, 0x0370)

_SPACE: Final = 0x20
_LARGEST = np.uint64(0xFFFFFFFFFFFFFFFF)
# A minimum: the round in 13 bits, enough for twice the 4096 that a recipe may ask for, and a hash in the others.
_ROUND_SHIFT = np.uint64(51)
_VALUE_BITS = np.uint64((1 << 51) - 1)


def normalize_for_hash(texts: pa.Array) -> pa.LargeStringArray:
    """The words of each text, joined by one space; what ``content_hashes`` hashes and shingles are cut from.

    A word is a run of characters that are neither white space, control, punctuation nor symbol (Unicode categories
    Z, C, P and S); these end a word and are dropped. Letters are lower-cased, their accents removed, so composed
    and decomposed forms agree. In scripts written without spaces (Han, Kana, Thai, Lao, Khmer, Myanmar) each character
    is a word. A text without any word, such as a row of dashes, is returned as it is, so that it equals only itself.

    Args:
        texts: string array without nulls, one document a row.

    Raises:
        ValueError: if a text is null.
    """
    data, offsets = string_buffers(texts, "text")
    out, out_offsets = _normalize(data, offsets, *_character_tables())
    return pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(out_offsets), pa.py_buffer(out))


def content_hashes(texts: pa.Array) -> pa.StringArray:
    """First 128 bits of SHA-256 over each normalised text (``normalize_for_hash``), as 32 hex digits.

    Raises:
        ValueError: if a text is null.
    """
    return pa.array((hashlib.sha256(text).hexdigest()[:32] for text in _slices(normalize_for_hash(texts))), pa.string())


def document_ids(source: pa.Array, object_key: pa.Array, record_path: pa.Array, texts: pa.Array) -> pa.StringArray:
    """First 128 bits of SHA-256 over where a document came from and what it says, as 32 hex digits.

    Each of the four fields goes in as its length in bytes (64 bits, little endian) and its UTF-8 bytes, so that no two
    different rows give the same input.

    Raises:
        ValueError: if a field is null or the arrays differ in length.
    """
    if len({len(source), len(object_key), len(record_path), len(texts)}) != 1:
        raise ValueError(
            f"document ids: source, object_key, record_path and text have {len(source)}, {len(object_key)}, "
            f"{len(record_path)} and {len(texts)} rows; give one value of each for every document"
        )
    ids = []
    for fields in zip(*map(_slices, (source, object_key, record_path, texts)), strict=True):
        digest = hashlib.sha256()
        for field in fields:
            digest.update(struct.pack("<Q", len(field)))
            digest.update(field)
        ids.append(digest.hexdigest()[:32])
    return pa.array(ids, pa.string())


def url_hashes(urls: pa.Array) -> pa.StringArray:
    """First 128 bits of SHA-256 over each normalised address (``normalize_url``); null where there is none."""
    return pa.array(
        (
            None if url is None else hashlib.sha256(normalize_url(url).encode()).hexdigest()[:32]
            for url in urls.to_pylist()
        ),
        pa.string(),
    )


def normalize_url(url: str) -> str:
    """An address in the form in which equal ones compare equal.

    Scheme and host in lower case, the scheme's default port, the fragment and ``utm_*`` query parameters (campaign
    tags) dropped, an empty path written as ``/`` (RFC 3986, section 6.2.2.1 and 6.2.3). Everything else is kept, in its
    order, since servers may tell it apart. What does not parse as an address is only stripped of white space.
    """
    url = url.strip()
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return url
    if not parts.scheme or not parts.hostname:
        return url
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if port is not None and port != {"http": 80, "https": 443, "ftp": 21}.get(parts.scheme):
        host = f"{host}:{port}"
    login, at, _ = parts.netloc.rpartition("@")
    query = "&".join(pair for pair in parts.query.split("&") if not pair.lower().startswith("utm_"))
    return urlunsplit((parts.scheme, f"{login}{at}{host}", parts.path or "/", query, ""))


def signatures(texts: pa.Array, config: MinHashConfig) -> pa.StructArray:
    """MinHash-LSH signatures: one 64-bit hash a band, and the number of distinct shingles.

    A shingle is ``config.shingle_words`` words in a row; a document with fewer words is one shingle, and one without
    words is one shingle of its raw text. The sketch of the shingles has ``config.permutations`` minima and is that of
    Dahlgaard, Knudsen and Thorup, "Fast Similarity Sketching" (FOCS 2017, arXiv 1704.04370): in each round every
    shingle is hashed once, to one of the minima and a value; rounds go on until no minimum is empty, and values of
    earlier rounds are smaller. Two sketches agree at a place with the Jaccard similarity as probability, as those of
    as many permutations do, and the share of agreeing places varies less. Round keys come from SplitMix64 started at
    ``config.seed``. A band's hash covers its number and its ``config.rows`` minima. The result depends on text and
    config alone, not on batch, thread or machine.

    Args:
        texts: string array without nulls, one document a row.
        config: shingle size, bands, rows and seed.

    Returns:
        struct array (``SIGNATURE_TYPE``): ``bands`` with ``config.bands`` values a document, and ``shingle_count``.

    Raises:
        ValueError: if a text is null.
    """
    data, offsets = string_buffers(texts, "text")
    bands, counts = _signatures(
        data,
        offsets,
        *_character_tables(),
        config.shingle_words,
        _round_keys(config.permutations, config.seed),
        config.bands,
    )
    ends = pa.array(np.arange(0, bands.size + 1, config.bands, dtype=np.int32))
    lists = pa.ListArray.from_arrays(ends, pa.array(bands.reshape(-1).view(np.int64)))
    return pa.StructArray.from_arrays([lists, pa.array(counts)], fields=list(SIGNATURE_TYPE))


def jaccard(texts_a: pa.Array, texts_b: pa.Array, config: MinHashConfig) -> pa.DoubleArray:
    """True Jaccard similarity of each pair of texts: shared distinct shingles over all distinct shingles.

    Exact over the 64-bit shingle hashes of ``signatures``, of which one pair in about 10**19 agrees by chance.

    Args:
        texts_a: string array without nulls, one document a row.
        texts_b: the other document of each pair, as long as ``texts_a``.
        config: shingle size.

    Returns:
        one similarity a pair, 0 to 1; 1 for equal texts.

    Raises:
        ValueError: if a text is null or the arrays differ in length.
    """
    if len(texts_a) != len(texts_b):
        raise ValueError(f"jaccard: {len(texts_a)} texts against {len(texts_b)}; give both documents of every pair")
    data_a, offsets_a = string_buffers(texts_a, "text")
    data_b, offsets_b = string_buffers(texts_b, "text")
    tables = _character_tables()
    return pa.array(_jaccard(data_a, offsets_a, data_b, offsets_b, *tables, config.shingle_words))


def _slices(texts: pa.Array) -> Iterator[memoryview]:
    """The UTF-8 bytes of each row, without a copy."""
    data, offsets = string_buffers(texts, "field")
    view = data.data
    return (view[start:end] for start, end in pairwise(offsets.tolist()))


@lru_cache(maxsize=1)
def _character_tables() -> tuple[Bytes, npt.NDArray[np.uint32], Bytes]:
    """Class and lower-case base letter of each code point in planes 0 and 1; the letter, or a space, of each in ASCII.

    ASCII holds letters, digits and separators only, no character that is ignored or stands alone.
    """
    classes = np.full(_TABLE_SIZE, _WORD, np.uint8)
    folds = np.arange(_TABLE_SIZE, dtype=np.uint32)
    for code in range(_TABLE_SIZE):
        character = chr(code)
        category = ucd_3_2_0.category(character)
        if category in ("Cn", "Co", "Cs"):
            continue
        if category == "Cf":  # soft hyphens, joiners, marks of direction: inside words
            classes[code] = _IGNORED
        elif category[0] in "ZCPS":
            classes[code] = _SEPARATOR
        elif (category[0] in "LM" and code >= 0xC0) or category == "Lu":
            decomposed = ucd_3_2_0.normalize("NFD", character)
            if all(ord(mark) in _COMBINING_MARKS for mark in decomposed[1:]):
                # One letter each: the lower case of U+0130 is "i" with a dot above, which is a mark as well.
                folds[code] = ord(decomposed[0].lower()[0])
    classes[_COMBINING_MARKS.start : _COMBINING_MARKS.stop] = _IGNORED
    for first, last in _UNSPACED:
        block = classes[first : last + 1]
        block[block == _WORD] = _ALONE
    ascii_folds = np.where(classes[:0x80] == _WORD, folds[:0x80], _SPACE).astype(np.uint8)
    return classes, folds, ascii_folds


@lru_cache(maxsize=16)
def _round_keys(minima: int, seed: int) -> Hashes:
    """Keys of the rounds of a sketch, two a minimum at most; from SplitMix64 (Steele, Lea, Flood, OOPSLA 2014)."""
    mask = (1 << 64) - 1
    state, drawn = seed, []
    for _ in range(2 * minima):
        state = (state + 0x9E3779B97F4A7C15) & mask
        mixed = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & mask
        mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) & mask
        drawn.append(mixed ^ mixed >> 31)
    return np.array(drawn, np.uint64)


@inlined
def _class_of(code: int, classes: Bytes) -> int:
    if code < _TABLE_SIZE:
        return signed(classes[code])
    return _ALONE if code < 0x40000 else _WORD


@compiled
def _encode(code: int, out: Bytes, at: int) -> int:
    """Write a code point as UTF-8; returns the position behind it."""
    if code < 0x80:
        out[at] = code
        return at + 1
    if code < 0x800:
        out[at] = 0xC0 | code >> 6
        out[at + 1] = 0x80 | code & 0x3F
        return at + 2
    if code < 0x10000:
        out[at] = 0xE0 | code >> 12
        out[at + 1] = 0x80 | code >> 6 & 0x3F
        out[at + 2] = 0x80 | code & 0x3F
        return at + 3
    out[at] = 0xF0 | code >> 18
    out[at + 1] = 0x80 | code >> 12 & 0x3F
    out[at + 2] = 0x80 | code >> 6 & 0x3F
    out[at + 3] = 0x80 | code & 0x3F
    return at + 4


@compiled
def _normalize_row(
    data: Bytes,
    start: int,
    stop: int,
    classes: Bytes,
    folds: npt.NDArray[np.uint32],
    ascii_folds: Bytes,
    out: Bytes,
    begin: int,
) -> int:
    """Write the words in ``data[start:stop]``, joined by one space, from ``out[begin]`` on; returns where they end.

    Each character is written with at most one space on either side, and lower case adds one byte to two at most:
    ``out`` needs twice the input, and two more bytes.
    """
    at, end = start, begin
    after_space = True
    while at < stop:
        if data[at] < 0x80:
            # No branch: a space behind a space is overwritten by what follows.
            letter = ascii_folds[data[at]]
            at += 1
            is_space = letter == _SPACE
            out[end] = letter
            end += 0 if is_space and after_space else 1
            after_space = is_space
            continue
        code, at = decode(data, at)
        kind = _class_of(code, classes)
        if kind == _IGNORED:
            continue
        if kind != _WORD and not after_space:
            out[end] = _SPACE
            end += 1
        if kind != _SEPARATOR:
            end = _encode(signed(folds[code]) if code < _TABLE_SIZE else code, out, end)
        if kind == _ALONE:
            out[end] = _SPACE
            end += 1
        after_space = kind != _WORD
    return end - 1 if after_space and end > begin else end


@compiled
def _normalize(
    data: Bytes, offsets: Offsets, classes: Bytes, folds: npt.NDArray[np.uint32], ascii_folds: Bytes
) -> tuple[Bytes, Offsets]:
    rows = len(offsets) - 1
    out = np.empty(2 * (offsets[rows] - offsets[0]) + 2, np.uint8)
    out_offsets = np.zeros(rows + 1, np.int64)
    end = 0
    for row in range(rows):
        begin = end
        end = _normalize_row(data, offsets[row], offsets[row + 1], classes, folds, ascii_folds, out, begin)
        if end == begin:
            for raw in range(offsets[row], offsets[row + 1]):
                out[end] = data[raw]
                end += 1
        out_offsets[row + 1] = end
    return out[:end].copy(), out_offsets


@inlined
def _hash_bytes(data: Bytes, start: int, stop: int, seed: np.uint64) -> np.uint64:
    """Hash of ``data[start:stop]``, at least one byte, by eight at a time; reads up to seven bytes beyond.

    ``mix`` is a bijection, so no two texts of up to eight bytes that hold no NUL agree.
    """
    at = start
    running = seed
    while stop - at > 8:
        running = mix(running ^ load64(data, at))
        at += 8
    return mix(running ^ load64(data, at) & _LARGEST >> np.uint64(64 - 8 * (stop - at)))


@compiled
def _hash_words(text: Bytes, size: int, ends: Offsets, hashes: Hashes) -> int:
    """Hashes of the words in the normalised ``text[:size]``, in order; returns how many. ``ends`` is scratch space."""
    words = 0
    for at in range(size):
        ends[words] = at
        words += 1 if text[at] == _SPACE else 0
    ends[words] = size
    words += 1
    start = 0
    for word in range(words):
        hashes[word] = _hash_bytes(text, start, ends[word], GOLDEN)
        start = ends[word] + 1
    return words


@compiled
def _hash_shingles(
    data: Bytes,
    start: int,
    stop: int,
    classes: Bytes,
    folds: npt.NDArray[np.uint32],
    ascii_folds: Bytes,
    shingle_words: int,
    text: Bytes,
    ends: Offsets,
    hashes: Hashes,
) -> int:
    """Write hashes of the shingles in ``data[start:stop]``, in order, with repeats; returns how many, at least one.

    ``text``, ``ends`` and ``hashes`` are those of ``_scratch``.
    """
    size = _normalize_row(data, start, stop, classes, folds, ascii_folds, text, 0)
    if size == 0:
        text[: stop - start] = data[start:stop]
        # Another seed than words have, so that raw bytes do not pass for a word.
        hashes[0] = _hash_bytes(text, 0, stop - start, ~GOLDEN) if stop > start else ~GOLDEN
        return 1
    words = _hash_words(text, size, ends, hashes)
    width = min(words, shingle_words)
    # A polynomial of the words in a window that moves on word by word.
    outgoing = np.uint64(1)
    window = np.uint64(0)
    for word in range(width):
        outgoing *= GOLDEN
        window = window * GOLDEN + hashes[word]
    shingles = words - width + 1
    for first in range(shingles):
        oldest = hashes[first]
        hashes[first] = mix(window + np.uint64(width))
        if first + width < words:
            window = window * GOLDEN + hashes[first + width] - oldest * outgoing
    return shingles


@inlined
def _scratch(longest: int) -> tuple[Bytes, Offsets, Hashes]:
    """Room for the normalised text of a document of so many bytes, the ends of its words and their hashes."""
    # Behind the text, what is read beyond its last word.
    text = np.zeros(2 * longest + 2 + 8, np.uint8)
    # A word has at least one byte of the document, the last of them has the end of the text as its end.
    return text, np.empty(longest + 2, np.int64), np.empty(longest + 2, np.uint64)


@inlined
def _capacity(count: int) -> int:
    """Slots of a hash set for ``count`` values: a power of two that it fills by half at most."""
    slots = 16
    while slots < 2 * count:
        slots *= 2
    return slots


@inlined
def _slot_of(value: np.uint64, table: Hashes, slots: int) -> int:
    """Where ``value`` is in the set or would go (linear probing; 0 marks a free slot)."""
    slot = signed(value >> np.uint64(1)) & (slots - 1)
    while table[slot] != np.uint64(0) and table[slot] != value:
        slot = (slot + 1) & (slots - 1)
    return slot


@compiled
def _keep_distinct(hashes: Hashes, count: int, table: Hashes) -> int:
    """Move the first of each value in ``hashes[:count]`` to the front; returns how many. ``table`` is cleared first."""
    slots = _capacity(count)
    table[:slots] = 0
    kept = 0
    for index in range(count):
        # 0 is the mark of a free slot; that 0 and 1 are taken for the same costs nothing measurable.
        value = max(hashes[index], np.uint64(1))
        slot = _slot_of(value, table, slots)
        if table[slot] == 0:
            table[slot] = value
            hashes[kept] = value
            kept += 1
    return kept


@compiled
def _longest(offsets: Offsets) -> int:
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    return longest


@compiled
def _sketch(shingles: Hashes, count: int, keys: Hashes, minima: Hashes) -> None:
    """The sketch of ``shingles[:count]``: round in the leading 13 bits of each minimum, hash in the others."""
    size = len(minima)
    minima[:] = _LARGEST
    empty = size
    turn = 0
    while empty > 0:
        first = np.uint64(turn) << _ROUND_SHIFT
        key = keys[turn]
        for index in range(count):
            hashed = mix(shingles[index] ^ key)
            # Dealt to all of them, and in the later rounds to one after the other, so that none can stay empty.
            place = signed((hashed >> np.uint64(32)) * np.uint64(size) >> np.uint64(32)) if turn < size else turn - size
            value = first | hashed & _VALUE_BITS
            if value < minima[place]:
                if minima[place] == _LARGEST:
                    empty -= 1
                minima[place] = value
        turn += 1


@compiled
def _signatures(
    data: Bytes,
    offsets: Offsets,
    classes: Bytes,
    folds: npt.NDArray[np.uint32],
    ascii_folds: Bytes,
    shingle_words: int,
    keys: Hashes,
    bands: int,
) -> tuple[Hashes, npt.NDArray[np.int32]]:
    rows = len(offsets) - 1
    band_rows = len(keys) // 2 // bands
    text, ends, hashes = _scratch(_longest(offsets))
    table = np.empty(16, np.uint64)
    minima = np.empty(bands * band_rows, np.uint64)
    out = np.empty((rows, bands), np.uint64)
    counts = np.empty(rows, np.int32)
    for row in range(rows):
        shingles = _hash_shingles(
            data, offsets[row], offsets[row + 1], classes, folds, ascii_folds, shingle_words, text, ends, hashes
        )
        if _capacity(shingles) > len(table):
            table = np.empty(_capacity(shingles), np.uint64)
        distinct = _keep_distinct(hashes, shingles, table)
        counts[row] = distinct
        _sketch(hashes, distinct, keys, minima)
        for band in range(bands):
            combined = np.uint64(band + 1)
            for index in range(band * band_rows, (band + 1) * band_rows):
                combined = mix(combined * GOLDEN + minima[index])
            out[row, band] = combined
    return out, counts


@compiled
def _jaccard(
    data_a: Bytes,
    offsets_a: Offsets,
    data_b: Bytes,
    offsets_b: Offsets,
    classes: Bytes,
    folds: npt.NDArray[np.uint32],
    ascii_folds: Bytes,
    shingle_words: int,
) -> npt.NDArray[np.float64]:
    pairs = len(offsets_a) - 1
    text, ends, hashes_a = _scratch(max(_longest(offsets_a), _longest(offsets_b)))
    hashes_b = np.empty_like(hashes_a)
    table, other = np.empty(16, np.uint64), np.empty(16, np.uint64)
    out = np.empty(pairs, np.float64)
    for pair in range(pairs):
        count_a = _hash_shingles(
            data_a,
            offsets_a[pair],
            offsets_a[pair + 1],
            classes,
            folds,
            ascii_folds,
            shingle_words,
            text,
            ends,
            hashes_a,
        )
        count_b = _hash_shingles(
            data_b,
            offsets_b[pair],
            offsets_b[pair + 1],
            classes,
            folds,
            ascii_folds,
            shingle_words,
            text,
            ends,
            hashes_b,
        )
        needed = _capacity(max(count_a, count_b))
        if needed > len(table):
            table, other = np.empty(needed, np.uint64), np.empty(needed, np.uint64)
        distinct_b = _keep_distinct(hashes_b, count_b, other)
        distinct_a = _keep_distinct(hashes_a, count_a, table)
        slots = _capacity(count_a)
        shared = 0
        for index in range(distinct_b):
            if table[_slot_of(hashes_b[index], table, slots)] != 0:
                shared += 1
        out[pair] = shared / (distinct_a + distinct_b - shared)
    return out
