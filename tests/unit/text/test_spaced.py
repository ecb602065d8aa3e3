"""The compiled counters of dolma's variant against a plain reading of its definitions."""

from __future__ import annotations

import re
from collections import Counter
from statistics import median
from typing import Any

import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from goldmill.rules.quality import C4Rules
from goldmill.text.c4 import clean_c4_lines
from goldmill.text.spaced import SPACED_COUNTERS, count_spaced

STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}
texts = st.lists(
    st.sampled_from(
        [*"ab#…*-.é字 \n\n", "the", " of ", "\u2003", "one two three ", "javascript", "{", "Lorem ipsum", "?\n"]
    ),
    max_size=60,
).map("".join)


def expected(text: str) -> dict[str, Any]:
    if not text:
        return dict.fromkeys(SPACED_COUNTERS, 0)
    words = text.split()
    lines = re.split("\n+", text)
    copies = {line: count for line, count in Counter(lines).items() if count > 1}
    counts: dict[str, Any] = {
        "spaced_words": len(words),
        "spaced_word_chars": sum(map(len, words)),
        "spaced_median_word_length": median(map(len, words)) if words else 0,
        "spaced_symbol_words": sum("#" in word or "…" in word for word in words),
        "spaced_alphabetic_words": sum(any(character.isalpha() for character in word) for word in words),
        "spaced_stop_words": sum(word in STOP_WORDS for word in words),
        "spaced_lines": len(lines),
        "spaced_bullet_lines": sum(line.startswith(("*", "-")) for line in lines),
        "spaced_ellipsis_lines": sum(line.endswith("…") for line in lines),
        "spaced_repeated_lines": sum(copies.values()),
        "spaced_repeated_line_chars": sum(len(line) * count for line, count in copies.items()),
    }
    for n in range(2, 11):
        grams = Counter(tuple(words[at : at + n]) for at in range(len(words) - n + 1))
        chars = {gram: count * len("".join(gram)) for gram, count in grams.items()}
        if n < 5:
            counts[f"spaced_top_{n}_gram_chars"] = chars[grams.most_common(1)[0][0]] if grams else 0
        else:
            counts[f"spaced_repeated_{n}_gram_chars"] = sum(chars[gram] for gram in grams if grams[gram] > 1)
            counts[f"spaced_{n}_gram_chars"] = sum(chars.values())
    return counts


@settings(deadline=None, max_examples=200)
@given(st.lists(texts, max_size=4))
@example(["\n", "\na\n", "a b " * 9, ""])
def test_counts_equal_the_oracle(batch: list[str]) -> None:
    assert count_spaced(pa.array(batch, pa.string())).to_pylist() == [expected(text) for text in batch]
    assert count_spaced(pa.array(["x", *batch], pa.large_string()).slice(1)).to_pylist() == [
        expected(text) for text in batch
    ]


@settings(deadline=None, max_examples=200)
@given(texts)
def test_c4_as_dolma_tags_it(text: str) -> None:
    cleaned = clean_c4_lines(pa.array([text]), C4Rules(variant="dolma", require_terminal_punctuation=True))
    lines = [*re.findall(r"[^\n]*\n", text), text.rpartition("\n")[2]]
    kept = [line for line in lines if line.strip().endswith((".", "?", "!", '"')) and len(line.split()) >= 3]
    assert cleaned.texts[0].as_py() == "".join(kept)
    low = text.lower()
    assert cleaned.counters.to_pylist() == [
        {
            "c4_sentences": 0,
            "c4_lorem_ipsums": "lorem ipsum" in low,
            "c4_curly_brackets": "{" in low,
            "c4_javascripts": "javascript" in low,
        }
    ]
