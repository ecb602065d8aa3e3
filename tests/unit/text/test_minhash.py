"""MinHash kernels against slow oracles in plain Python, and against the theory."""

from __future__ import annotations

import hashlib
import math
import random
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from operator import eq
from unicodedata import ucd_3_2_0

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_text import pieces

from goldmill.rules.deduplication import MinHashConfig
from goldmill.text.minhash import (
    SIGNATURE_TYPE,
    content_hashes,
    document_ids,
    jaccard,
    normalize_for_hash,
    normalize_url,
    signatures,
    url_hashes,
)

# Deadlines are off where the first example compiles the kernels.
CONFIG = MinHashConfig()
MASK = (1 << 64) - 1
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003ffff]"
)

# Letters of many scripts, marks, spaces and punctuation, weighted towards what text is made of.
texts = st.text(
    st.one_of(
        st.sampled_from("abcXYZ  .,-\n\t'"),
        st.sampled_from("éÉe\u0301ßİıǅΣςЙй中文かなไทย한국\u00ad\u200d…—€😀\u0345\U00020000\U0003fff0\U000e0001"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=200,
)


def oracle_words(text: str) -> list[str]:
    words: list[str] = []
    current = ""
    for character in text:
        category = ucd_3_2_0.category(character)
        if category == "Cf" or 0x300 <= ord(character) < 0x370:
            if ord(character) < 0x20000:
                continue
            category = "Lo"
        if category in ("Cn", "Co") or ord(character) >= 0x20000:
            folded = character
        elif category[0] in "ZCPS":
            words, current = [*words, current], ""
            continue
        else:
            decomposed = ucd_3_2_0.normalize("NFD", character)
            plain = all(0x300 <= ord(mark) < 0x370 for mark in decomposed[1:])
            letter = category[0] in "LM" and plain
            folded = decomposed[0].lower()[0] if letter else character
        if UNSPACED.match(character):
            words, current = [*words, current, folded], ""
        else:
            current += folded
    return [word for word in [*words, current] if word]


def oracle_mix(value: int) -> int:
    value ^= value >> 33
    value = value * 0xFF51AFD7ED558CCD & MASK
    value ^= value >> 33
    value = value * 0xC4CEB9FE1A85EC53 & MASK
    return value ^ value >> 33


GOLDEN = 0x9E3779B97F4A7C15


def oracle_hash(content: bytes, seed: int) -> int:
    for at in range(0, max(1, len(content)), 8):
        seed = oracle_mix(seed ^ int.from_bytes(content[at : at + 8], "little"))
    return seed


def oracle_shingles(text: str, width: int) -> set[int]:
    words = [oracle_hash(word.encode(), GOLDEN) for word in oracle_words(text)]
    if not words:
        return {oracle_hash(text.encode(), GOLDEN ^ MASK) if text else GOLDEN ^ MASK}
    width = min(width, len(words))
    shingles = set()
    for first in range(len(words) - width + 1):
        combined = 0
        for word in words[first : first + width]:
            combined = (combined * GOLDEN + word) & MASK
        shingles.add(oracle_mix((combined + width) & MASK))
    return shingles


def oracle_sketch(shingles: set[int], size: int, seed: int) -> list[int]:
    minima: dict[int, int] = {}
    turn, state = 0, seed
    while len(minima) < size:
        state = (state + GOLDEN) & MASK
        key = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & MASK
        key = ((key ^ key >> 27) * 0x94D049BB133111EB) & MASK
        key ^= key >> 31
        for shingle in shingles:
            hashed = oracle_mix(shingle ^ key)
            place = (hashed >> 32) * size >> 32 if turn < size else turn - size
            value = turn << 51 | hashed & (1 << 51) - 1
            minima[place] = min(minima.get(place, value), value)
        turn += 1
    return [minima[place] for place in range(size)]


def oracle_bands(shingles: set[int], config: MinHashConfig) -> list[int]:
    minima = oracle_sketch(shingles, config.permutations, config.seed)
    bands = []
    for band in range(config.bands):
        combined = band + 1
        for minimum in minima[band * config.rows : (band + 1) * config.rows]:
            combined = oracle_mix((combined * GOLDEN + minimum) & MASK)
        bands.append(combined - (1 << 64) if combined >> 63 else combined)
    return bands


@given(st.lists(texts, max_size=5))
@settings(deadline=None)
def test_normalised_text_is_the_words_joined_by_one_space(batch: list[str]) -> None:
    expected = [" ".join(oracle_words(text)) or text for text in batch]
    assert normalize_for_hash(pa.array(batch, pa.string())).to_pylist() == expected


def test_every_character_of_the_first_two_planes_is_classed_as_documented() -> None:
    characters = [chr(code) for code in range(0x20000) if not 0xD800 <= code < 0xE000]
    batch = [f"a{character}b" for character in characters]
    assert normalize_for_hash(pa.array(batch)).to_pylist() == [" ".join(oracle_words(text)) for text in batch]


@given(st.lists(texts, min_size=1, max_size=4), st.integers(1, 6), st.integers(0, MASK))
@settings(max_examples=60, deadline=None)
def test_signatures_follow_their_definition(batch: list[str], shingle_words: int, seed: int) -> None:
    config = MinHashConfig(bands=3, rows=2, shingle_words=shingle_words, seed=seed)
    rows = signatures(pa.array(batch), config).to_pylist()
    expected = [oracle_shingles(text, shingle_words) for text in batch]
    assert [row["shingle_count"] for row in rows] == [len(shingles) for shingles in expected]
    assert [row["bands"] for row in rows] == [oracle_bands(shingles, config) for shingles in expected]


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=4), st.integers(1, 6))
@settings(deadline=None)
def test_jaccard_is_the_share_of_common_shingles(pairs: list[tuple[str, str]], shingle_words: int) -> None:
    config = MinHashConfig(shingle_words=shingle_words)
    measured = jaccard(pa.array([a for a, _ in pairs]), pa.array([b for _, b in pairs]), config).to_pylist()
    for similarity, (a, b) in zip(measured, pairs, strict=True):
        left, right = oracle_shingles(a, shingle_words), oracle_shingles(b, shingle_words)
        assert similarity == len(left & right) / len(left | right)


def test_copies_that_differ_in_case_spacing_punctuation_and_accents_agree() -> None:
    copies = pa.array(
        [
            "Café — “naïve” résumé, okay?\n",
            "cafe\u0301 NAI\u0308VE: re\u0301sume\u0301\t(okay)",
            "cafe naive resume okay",
        ]
    )
    assert len(set(content_hashes(copies).to_pylist())) == 1
    assert len({tuple(row["bands"]) for row in signatures(copies, CONFIG).to_pylist()}) == 1
    assert content_hashes(copies)[2].as_py() == hashlib.sha256(b"cafe naive resume okay").hexdigest()[:32]


def test_texts_without_words_equal_only_themselves() -> None:
    batch = pa.array(["", "---", "***", "---", "☺"])
    hashes = content_hashes(batch).to_pylist()
    assert hashes[1] == hashes[3]
    assert len(set(hashes)) == 4
    rows = signatures(batch, CONFIG).to_pylist()
    assert [row["shingle_count"] for row in rows] == [1] * 5
    assert len({row["bands"][0] for row in rows}) == 4


def test_a_text_shorter_than_a_shingle_is_one_shingle() -> None:
    short = pa.array(["three little words", "three little birds", "three little words"])
    assert [row["shingle_count"] for row in signatures(short, CONFIG).to_pylist()] == [1, 1, 1]
    assert jaccard(short, pa.array(["three little words"] * 3), CONFIG).to_pylist() == [1.0, 0.0, 1.0]


def test_repeated_shingles_count_once() -> None:
    row = signatures(pa.array(["spam " * 1000]), CONFIG)[0].as_py()
    assert row["shingle_count"] == 1
    assert row["bands"] == signatures(pa.array(["spam spam spam spam spam"]), CONFIG)[0].as_py()["bands"]


@given(st.lists(texts, min_size=1, max_size=8), st.data())
@settings(max_examples=50, deadline=None)
def test_slicing_chunking_and_order_change_nothing(batch: list[str], data: st.DataObject) -> None:
    whole = signatures(pa.array(batch), CONFIG).to_pylist()
    cut = data.draw(st.integers(0, len(batch)))
    order = data.draw(st.permutations(range(len(batch))))
    large = pa.array(["before", *batch, "after"], pa.large_string())
    assert signatures(large.slice(1 + cut, len(batch) - cut), CONFIG).to_pylist() == whole[cut:]
    chunks = pa.chunked_array([batch[:cut], batch[cut:]], pa.string())
    assert signatures(chunks, CONFIG).to_pylist() == whole
    assert signatures(pa.array([batch[row] for row in order]), CONFIG).to_pylist() == [whole[row] for row in order]
    other = pa.array(batch[::-1])
    similarities = jaccard(pa.array(batch), other, CONFIG).to_pylist()
    assert jaccard(other, pa.array(batch), CONFIG).to_pylist() == similarities
    assert jaccard(large.slice(1 + cut, len(batch) - cut), other.slice(cut), CONFIG).to_pylist() == similarities[cut:]
    assert content_hashes(chunks).to_pylist() == [content_hashes(pa.array([text]))[0].as_py() for text in batch]


def test_result_does_not_depend_on_threads() -> None:
    words = [f"w{number}" for number in range(500)]
    rng = random.Random(1)
    batch = [" ".join(rng.choices(words, k=rng.randrange(300))) for _ in range(64)]
    whole = signatures(pa.array(batch), CONFIG)
    assert whole.type == SIGNATURE_TYPE
    with ThreadPoolExecutor(4) as pool:
        singles = list(pool.map(lambda text: signatures(pa.array([text]), CONFIG).to_pylist()[0], batch))
    assert singles == whole.to_pylist()
    assert len(signatures(pa.array([], pa.string()), CONFIG)) == 0


def bands(texts: list[str], config: MinHashConfig) -> list[list[int]]:
    return [row["bands"] for row in signatures(pa.array(texts), config).to_pylist()]


def oracle_tuples(normal: str) -> set[tuple[str, ...]]:
    words = normal.split(" ")
    return {tuple(words[first : first + 5]) for first in range(max(1, len(words) - 4))}


def pairs_with_similarity(
    similarity: float, count: int, seed: int, union: int = 300
) -> tuple[list[str], list[str], float]:
    """Pairs of 1-word-shingle documents with exactly the returned Jaccard similarity."""
    shared = round(similarity * union)
    own = (union - shared) // 2
    left, right = [], []
    for pair in range(count):
        common = [f"c{seed}x{pair}x{number}" for number in range(shared)]
        left.append(" ".join([*common, *(f"l{seed}x{pair}x{number}" for number in range(own))]))
        right.append(" ".join([*common, *(f"r{seed}x{pair}x{number}" for number in range(own))]))
    return left, right, shared / (shared + 2 * own)


@pytest.mark.parametrize("similarity", [0.3, 0.5, 0.6, 0.7, 0.8, 0.9])
@pytest.mark.parametrize("config", [MinHashConfig(shingle_words=1), MinHashConfig(shingle_words=1, bands=20, rows=5)])
def test_candidate_probability_follows_the_banding_formula(similarity: float, config: MinHashConfig) -> None:
    hits = trials = 0
    for seed in range(4):
        left, right, exact = pairs_with_similarity(similarity, 500, seed)
        seeded = config.model_copy(update={"seed": seed})
        assert set(jaccard(pa.array(left), pa.array(right), seeded).to_pylist()) == {exact}
        pairs = signatures(pa.array(left), seeded).to_pylist(), signatures(pa.array(right), seeded).to_pylist()
        rows = zip(*pairs, strict=True)
        hits += sum(any(a == b for a, b in zip(x["bands"], y["bands"], strict=True)) for x, y in rows)
        trials += 500
    expected = config.candidate_probability(exact)
    assert expected == pytest.approx(1 - (1 - exact**config.rows) ** config.bands)
    # Four standard deviations of a binomial count.
    assert hits / trials == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / trials) + 0.001)


@pytest.mark.parametrize("union", [20, 120, 1200])
@pytest.mark.parametrize("similarity", [0.5, 0.75, 0.9])
def test_the_share_of_equal_minima_estimates_the_similarity(union: int, similarity: float) -> None:
    """Without bias, and no less closely than independent permutations would: their variance is the binomial one."""
    size, pairs = 128, 400
    config = MinHashConfig(shingle_words=1, bands=size, rows=1)
    left, right, exact = pairs_with_similarity(similarity, pairs, 9, union)
    rows = (bands(texts, config) for texts in (left, right))
    shares = [sum(map(eq, x, y)) / size for x, y in zip(*rows, strict=True)]
    mean = sum(shares) / pairs
    binomial = math.sqrt(exact * (1 - exact) / size)
    # Four standard errors of the mean, and of the spread.
    assert mean == pytest.approx(exact, abs=4 * binomial / math.sqrt(pairs))
    spread = math.sqrt(sum((share - exact) ** 2 for share in shares) / pairs)
    assert 0.5 * binomial < spread < binomial * (1 + 4 / math.sqrt(2 * pairs))


def test_near_duplicates_among_real_texts_share_a_band() -> None:
    """All pairs of 2 000 real pieces of text by brute force: the kernel's Jaccard is the true one, none is missed."""
    pool = pieces(2000)
    shingles = [oracle_tuples(text) for text in normalize_for_hash(pa.array(pool)).to_pylist()]
    holders: dict[tuple[str, ...], list[int]] = {}
    for row, own in enumerate(shingles):
        for shingle in own:
            holders.setdefault(shingle, []).append(row)
    shared = Counter(pair for rows in holders.values() for pair in combinations(rows, 2))
    pairs = sorted(shared)
    truth = [shared[a, b] / (len(shingles[a]) + len(shingles[b]) - shared[a, b]) for a, b in pairs]

    measured = jaccard(pa.array([pool[a] for a, _ in pairs]), pa.array([pool[b] for _, b in pairs]), CONFIG)
    assert measured.to_pylist() == truth

    sketched = bands(pool, CONFIG)
    candidate = [bool(set(sketched[a]) & set(sketched[b])) for a, b in pairs]
    for low, high in ((0.8, 0.9), (0.9, 1.01)):
        chances = [CONFIG.candidate_probability(score) for score in truth if low <= score < high]
        hits = sum(hit for hit, score in zip(candidate, truth, strict=True) if low <= score < high)
        assert len(chances) >= 50
        # Not fewer than the formula says; more are welcome.
        assert hits >= sum(chances) - 4 * math.sqrt(sum(p * (1 - p) for p in chances)) - 0.5


def test_document_ids_are_hashes_of_length_prefixed_fields() -> None:
    fields = ["web", "web/a.jsonl", "line:1", "Grüße"]
    digest = hashlib.sha256()
    for field in fields:
        digest.update(len(field.encode()).to_bytes(8, "little") + field.encode())
    assert document_ids(*(pa.array([field]) for field in fields)).to_pylist() == [digest.hexdigest()[:32]]


@given(st.lists(st.tuples(texts, texts, texts, texts), min_size=2, max_size=2, unique=True))
@settings(deadline=None)
def test_documents_that_differ_anywhere_have_other_ids(rows: list[tuple[str, str, str, str]]) -> None:
    ids = document_ids(*(pa.array(column) for column in zip(*rows, strict=True))).to_pylist()
    assert ids[0] != ids[1]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTP://Example.ORG:80/A/B?b=1&utm_source=x&a=2#top", "http://example.org/A/B?b=1&a=2"),
        ("https://example.org:443", "https://example.org/"),
        ("https://example.org:8443/", "https://example.org:8443/"),
        ("https://User:Pw@Example.org/", "https://User:Pw@example.org/"),
        ("http://[2001:DB8::1]:80/x", "http://[2001:db8::1]/x"),
        ("https://example.org/?UTM_Medium=a", "https://example.org/"),
        (" not an address ", "not an address"),
        ("http://[broken/", "http://[broken/"),
        ("https://example.org:port/", "https://example.org:port/"),
    ],
)
def test_addresses_are_normalised(url: str, expected: str) -> None:
    assert normalize_url(url) == expected
    assert normalize_url(expected) == expected
    assert url_hashes(pa.array([url, None])).to_pylist() == [hashlib.sha256(expected.encode()).hexdigest()[:32], None]


def test_a_null_text_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"text: 1 of 2 values are null"):
        signatures(pa.array(["a", None]), CONFIG)
    with pytest.raises(ValueError, match="2 texts against 1"):
        jaccard(pa.array(["a", "b"]), pa.array(["a"]), CONFIG)
    with pytest.raises(ValueError, match="1, 1, 1 and 2 rows"):
        document_ids(pa.array(["a"]), pa.array(["a"]), pa.array(["a"]), pa.array(["a", "b"]))


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9])
def test_bands_and_rows_for_a_threshold_have_the_least_error(threshold: float) -> None:
    chosen = MinHashConfig.for_threshold(threshold, 64)

    def error(bands: int, rows: int) -> float:
        steps = [(index + 0.5) / 2000 for index in range(2000)]
        return sum(1 - (1 - s**rows) ** bands if s < threshold else (1 - s**rows) ** bands for s in steps) / len(steps)

    assert chosen.jaccard_threshold == threshold
    assert chosen.permutations <= 64
    least = min(error(bands, rows) for rows in range(1, 65) for bands in range(1, 64 // rows + 1))
    assert error(chosen.bands, chosen.rows) == pytest.approx(least, abs=1e-4)
    assert abs(chosen.lsh_midpoint - threshold) < 0.1


def test_weights_move_the_choice_and_bad_arguments_are_refused() -> None:
    careful = MinHashConfig.for_threshold(0.8, false_positive_weight=0.9)
    eager = MinHashConfig.for_threshold(0.8, false_positive_weight=0.1)
    assert careful.candidate_probability(0.7) < eager.candidate_probability(0.7)
    with pytest.raises(ValueError, match=r"deduplicate\.minhash: threshold 1\.0"):
        MinHashConfig.for_threshold(1.0)
    with pytest.raises(ValueError, match=r"deduplicate\.minhash: 0 permutations"):
        MinHashConfig.for_threshold(0.8, 0)
    with pytest.raises(ValueError, match="false_positive_weight"):
        MinHashConfig.for_threshold(0.8, false_positive_weight=2.0)


def test_hashes_are_those_of_this_version() -> None:
    """Tables outlive the code: if this fails, hashes have changed, and ``_SKETCH_VERSION`` must be raised with them."""
    texts = pa.array(["The mill stands where two rivers meet, and has ground grain for three hundred years."])

    bands = signatures(texts, MinHashConfig()).field("bands").to_pylist()[0]

    assert bands[:3] == [-9117045219190568195, -900509943454796086, 881631220492238571]
    assert content_hashes(texts).to_pylist() == ["6a0410adab96a041d3cce89cfe194453"]
    assert url_hashes(pa.array(["https://Example.org/a?b=1"])).to_pylist() == ["aa8f8f8dbc8c01c454e74d52eeeb245c"]
    assert MinHashConfig().sketch == "v2-5w-14x8-seed1"
