"""The compiled counters against a slow reading of the same definitions in plain Python."""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from unicodedata import ucd_3_2_0

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from goldmill.text import characters
from goldmill.text.characters import ALPHABETIC, CLASS, PUNCTUATION, TERMINAL, character_table
from goldmill.text.counters import COMPARED, COUNTERS, count_texts
from goldmill.text.grams import DUPLICATE_GRAMS, TOP_GRAMS
from goldmill.text.words import split_words

STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}


def repeats(items: list[str]) -> tuple[int, int]:
    seen: set[str] = set()
    again = [item for item in items if item in seen or seen.add(item)]  # type: ignore[func-returns-value]
    return len(again), sum(map(len, again))


def top_chars(words: list[str], n: int) -> int:
    grams = Counter(tuple(words[at : at + n]) for at in range(len(words) - n + 1))
    if not grams:
        return 0
    gram, count = grams.most_common(1)[0]
    return len(" ".join(gram)) * count


def duplicate_chars(words: list[str], n: int) -> int:
    seen, chars, at = set(), 0, 0
    while at + n <= len(words):
        gram = tuple(words[at : at + n])
        if gram in seen:
            chars += len("".join(gram))
            at += n
        else:
            seen.add(gram)
            at += 1
    return chars


def expected(text: str) -> dict[str, int]:
    """As datatrove's filters measure, over the words of ``split_words``."""
    lines = text.splitlines()
    parts = re.split("\n+", text) if text else []
    filled = [part for part in text.split("\n") if part.strip()]
    paragraphs = re.split("\n{2,}", text.strip()) if text.strip() else []
    words = split_words(pa.array([text]))[0].as_py()
    proper = [word for word in words if not all(flag(character, PUNCTUATION) for character in word)]
    duplicate_lines, duplicate_line_chars = repeats(parts)
    duplicate_paragraphs, duplicate_paragraph_chars = repeats(paragraphs)
    counts = {
        "chars": len(text),
        "line_chars": len(text.replace("\n", "")),
        "newlines": text.count("\n"),
        "lines": len(lines),
        "bullet_lines": sum(line.lstrip().startswith(("•", "-")) for line in lines),
        "ellipsis_lines": sum(line.rstrip().endswith(("...", "…")) for line in lines),
        "runs_of_lines": len(parts),
        "duplicate_lines": duplicate_lines,
        "duplicate_line_chars": duplicate_line_chars,
        "non_blank_lines": len(filled),
        "duplicate_non_blank_line_chars": repeats(filled)[1],
        "terminal_lines": sum(flag(line[-1], TERMINAL) for line in filled),
        "short_lines": sum(len(line) <= 30 for line in filled),
        "hashes": text.count("#"),
        "ellipses": text.count("...") + text.count("…"),
        "paragraphs": len(paragraphs),
        "duplicate_paragraphs": duplicate_paragraphs,
        "duplicate_paragraph_chars": duplicate_paragraph_chars,
        "words": len(words),
        "non_symbol_words": len(proper),
        "non_symbol_word_chars": sum(map(len, proper)),
        "alphabetic_words": sum(any(flag(character, ALPHABETIC) for character in word) for word in words),
        "stop_words": len(STOP_WORDS & set(words)),
        "compared_chars": len(text),
    }
    counts |= {f"top_{n}_gram_chars": top_chars(words, n) for n in TOP_GRAMS}
    counts |= {f"duplicate_{n}_gram_chars": duplicate_chars(words, n) for n in DUPLICATE_GRAMS}
    return counts


def flag(character: str, of: int) -> bool:
    code = ord(character)
    if code >= 0x20000:
        return of == ALPHABETIC and code < 0x40000
    return bool(character_table()[code] & of)


def counted(text: str) -> dict[str, int]:
    row: dict[str, int] = count_texts(pa.array([text])).to_pylist()[0]
    return row


any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
# Few words and marks, so that lines, paragraphs and n-grams repeat.
repetitive_text = st.lists(
    st.sampled_from(
        [
            *(
                "the",
                "a",
                "b",
                "B",
                "of",
                "1",
                "10",
                " ",
                " ",
                " ",
                "\n",
                "\n",
                "\n\n",
                "...",
                ".",
                ". ",
                "…",
                "-",
                "•",
            ),
            *(
                "{",
                "'",
                ",",
                "。",
                "字",
                "か\u3099",
                "e\u0301",
                "\u200b",
                "\u200d",
                "\u00ad",
                '"',
                ")",
                "?",
                "J",
                "\t",
                "#",
            ),
            *(
                "Lorem IPSUM",
                "lorem\u2003ipsum",
                "_",
                "\U00020000",
                "\U0001f600",
                "\ufe0f",
                "\u0301",
                "é",
                "ß",
                "that ",
            ),
        ]
    ),
    max_size=120,
).map("".join)
echoing_text = st.builds(
    lambda phrase, between, times: between.join([phrase] * times),
    st.lists(st.sampled_from(["one", "two", "three", "four", "."]), max_size=15).map(" ".join),
    st.sampled_from([" ", "\n", "\n\n", " x ", ""]),
    st.integers(1, 6),
)


@settings(deadline=None, max_examples=400)
@given(st.lists(st.one_of(any_text, repetitive_text, echoing_text), max_size=6))
@example(["\n", "\na\n", "\n \n \n", "a\x85...\u2028- b\r\n", "\u2003\n\na\n\na \n"])
def test_counts_equal_the_oracle(batch: list[str]) -> None:
    assert count_texts(pa.array(batch, pa.string())).to_pylist() == [expected(text) for text in batch]


@settings(deadline=None, max_examples=50)
@given(st.lists(repetitive_text, min_size=2, max_size=8), st.data())
def test_counts_do_not_depend_on_the_batch(batch: list[str], data: st.DataObject) -> None:
    whole = count_texts(pa.array(batch, pa.string()))
    assert count_texts(pa.array(batch, pa.large_string())).equals(whole)
    assert count_texts(pa.chunked_array([batch[:1], batch[1:]], pa.string())).equals(whole)
    start = data.draw(st.integers(0, len(batch)))
    length = data.draw(st.integers(0, len(batch) - start))
    part = pa.array(batch, pa.string()).slice(start, length)
    assert count_texts(part).equals(whole.slice(start, length))


def test_columns_are_the_documented_counters() -> None:
    counters = count_texts(pa.array([], pa.string()))
    assert counters.schema.names == list(COUNTERS)
    assert counters.num_rows == 0
    assert set(counters.schema.types) == {pa.int64()}
    assert set(expected("")) == set(COUNTERS)
    assert counted("") == dict.fromkeys(COUNTERS, 0)


def test_repeats_do_not_count_the_first() -> None:
    counts = counted("same\nsame\nother\nsame")
    assert (counts["duplicate_lines"], counts["duplicate_line_chars"]) == (2, 8)
    counts = counted("same\n\nsame\n\n\nother")
    assert (counts["duplicate_paragraphs"], counts["duplicate_paragraph_chars"]) == (1, 4)


def test_top_gram_is_the_first_of_the_commonest() -> None:
    assert counted("a b a b long words long words")["top_2_gram_chars"] == len("a b") * 2
    assert counted("some words")["top_2_gram_chars"] == len("some words")


def test_duplicate_grams_do_not_overlap() -> None:
    # 15 equal words: the first 5-gram is new, the next 10 words are two repeated ones.
    assert counted("aa " * 15)["duplicate_5_gram_chars"] == 20


def test_columns_can_be_chosen() -> None:
    texts = pa.array(["the mill of the mill of\n#"])
    chosen = count_texts(texts, ("words", "chars"))
    assert chosen.equals(count_texts(texts).select(["chars", "words"]))
    assert count_texts(texts, ("hashes",)).to_pylist() == [{"hashes": 1}]


@pytest.mark.slow
def test_a_text_beyond_the_bound_is_searched_up_to_it() -> None:
    words = [f"{number:07d}" for number in range(COMPARED)]
    counts = counted(" ".join(words) + " again" * 1000)
    assert counts["words"] == COMPARED + 1000
    assert counts["compared_chars"] == 8 * COMPARED - 1
    assert counts["duplicate_5_gram_chars"] == 0


def test_threads_agree() -> None:
    batch = pa.array([f"line {n % 7}\nof the text\n\nline {n}" * 20 for n in range(50)])
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(count_texts, [batch] * 8))
    assert all(result.equals(results[0]) for result in results)


def test_nulls_and_other_types_are_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 values are null"):
        count_texts(pa.array(["a", None]))
    with pytest.raises(TypeError, match="int64"):
        count_texts(pa.array([1]))


def test_classes_follow_unicode() -> None:
    kinds = character_table() & CLASS
    letters = (characters.LOWER, characters.UPPER, characters.LETTER, characters.ALONE)
    for code in range(0x20000):
        character = chr(code)
        category = ucd_3_2_0.category(character)
        if category in ("Cn", "Cs"):
            continue
        assert (kinds[code] == characters.SPACE) == character.isspace(), hex(code)
        if category[0] == "L":
            assert kinds[code] in letters, hex(code)
        elif category[0] in "PSC":
            assert kinds[code] not in letters, hex(code)
