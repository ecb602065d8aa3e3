"""Words and sentences: the definition by example, and what must hold of any text."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldmill.text.sentences import count_sentences
from goldmill.text.words import split_words

any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
pieces = st.lists(
    st.sampled_from(
        [
            *"aB1.,-'’…:/=+%*# \n\u00a0\u2003字ก()\"",
            "...",
            "n't",
            "'s",
            "http://",
            "a.b",
            ".com",
            "\u0301",
            "\U0001f600",
        ]
    ),
    max_size=40,
).map("".join)


def words_of(text: str) -> list[str]:
    words: list[str] = split_words(pa.array([text]))[0].as_py()
    return words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the mill, that is", "the|mill|,|that|is"),
        ("(see below).", "(|see|below|)|."),
        ("It's what we can't do; they'll see", "It|'s|what|we|ca|n't|do|;|they|'ll|see"),
        ("a well-known 32-bit and/or", "a|well|-|known|32|-|bit|and|/|or"),
        ("1-2 3,000.5 10% v1.2.3", "1|-|2|3,000.5|10|%|v1.2.3"),
        ("wait... what?! end…", "wait|...|what|?|!|end|…"),
        ("J. Smith e.g. U.S. 5. End.", "J.|Smith|e.g.|U.S.|5|.|End|."),
        ("https://a.org/b-c/d?e=f x_y foo.bar", "https://a.org/b-c/d?e=f|x_y|foo.bar"),
        ("me.and@a-b.org --option -- #tag", "me.and@a-b.org|--option|--|#|tag"),
        ("漢字 かな", "漢|字|か|な"),
        ("โรงสี", "โ|ร|ง|สี"),
        ("naïve e\u0301te\u0301", "naïve|e\u0301te\u0301"),
        ("a\u00a0b\u2003c\x85d", "a|b|c|d"),
        ("👍👍🏽 fine", "👍|👍|🏽|fine"),
        ("12345678abcdefgh, 1234567 12345678", "12345678abcdefgh|,|1234567|12345678"),
        ("", ""),
        (" \n\u00a0", ""),
    ],
)
def test_words(text: str, words: str) -> None:
    assert words_of(text) == [word for word in words.split("|") if word]


@settings(deadline=None, max_examples=300)
@given(st.lists(st.one_of(any_text, pieces), max_size=5))
def test_words_hold_all_that_is_visible(batch: list[str]) -> None:
    found = split_words(pa.array(batch, pa.string())).to_pylist()
    assert ["".join(words) for words in found] == ["".join(text.split()) for text in batch]
    assert all(words == [word for word in words if word] for words in found)
    # Words never span white space, so that a text has the words of its parts.
    assert found == [[word for part in text.split() for word in words_of(part)] for text in batch]


@settings(deadline=None, max_examples=50)
@given(st.lists(pieces, min_size=2, max_size=5), st.integers(0, 4))
def test_words_do_not_depend_on_the_batch(batch: list[str], start: int) -> None:
    whole = split_words(pa.array(batch, pa.string()))
    assert split_words(pa.array(batch, pa.large_string()).slice(start)).to_pylist() == whole.to_pylist()[start:]
    assert split_words(pa.chunked_array([batch[:1], batch[1:]])).equals(whole)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four", 4),
        ("He said “no.” Then left.", 2),
        ("Version 1.5 is out", 1),
        ("J. Smith wrote it. So did he.", 2),
        ("What?! No.", 2),
        ("我来。我见。「我征服。」他说", 4),
        ("Wait... what", 1),
        ("", 0),
        ("\n", 0),
        ("...", 1),
    ],
)
def test_sentences(text: str, sentences: int) -> None:
    assert count_sentences(pa.array([text])).to_pylist() == [sentences]


def test_nulls_and_other_types_are_refused() -> None:
    for function in (split_words, count_sentences):
        with pytest.raises(ValueError, match="1 of 2 values are null"):
            function(pa.array(["a", None]))
        with pytest.raises(TypeError, match="int64"):
            function(pa.array([1]))
