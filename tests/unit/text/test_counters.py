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
from goldmill.text.characters import CLASS, character_table
from goldmill.text.counters import COUNTERS, DUPLICATE_GRAMS, TOP_GRAMS, count_texts

STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}
SENTENCE_ENDS = ".!?…。！？｡؟۔।॥"
HAN_ENDS = "。！？｡"
CLOSERS = "\"')]}»”’」』"
LINE_ENDS = SENTENCE_ENDS + "\"'”’»」』"

# A letter a class, in the order of the constants: space, Symbol, format, inner, comma, mark, lower, Letter, digit, Han.
SHAPES = "sSficmlLdh"
WORD = re.compile(r"hm*|(?:dm*c(?=d)|[lLd]m*[if](?=[lLd])|[lLd]m*)+|[Sicm]")
INITIAL = re.compile(r"(?:^|[^lLdm])m*[lL]m*$")


def shape_of(text: str) -> str:
    return "".join(shape(character) for character in text)


def shape(character: str) -> str:
    code = ord(character)
    if code < 0x20000:
        return SHAPES[int(character_table()[code]) & CLASS]
    if code < 0x40000:
        return "h"
    return "m" if 0xE0100 <= code <= 0xE01EF else "S"


def words_of(text: str) -> list[str]:
    shapes, found, at = shape_of(text), [], 0
    while match := WORD.search(shapes, at):
        start, at = match.span()
        if match.group() in "Sicm":
            while at < len(text) and (text[at] == text[start] or shapes[at] == "m"):
                at += 1
        found.append(text[start:at])
    return found


def sentences_of(line: str) -> int:
    """Sentences of a line that is not blank."""
    shapes, count = shape_of(line), 1
    for at, character in enumerate(line):
        if character not in SENTENCE_ENDS:
            continue
        behind = at + 1
        while behind < len(line) and line[behind] in CLOSERS:
            behind += 1
        if line[behind : behind + 1] and line[behind] in SENTENCE_ENDS:
            continue  # a later mark ends the sentence
        if character == "." and INITIAL.search(shapes[:at]) and not _follows_end(line, at):
            continue
        following = behind
        while following < len(line) and shapes[following] == "s":
            following += 1
        if following == len(line) or (following == behind and character not in HAN_ENDS):
            continue
        count += shapes[following] != "l" and line[following] not in SENTENCE_ENDS
    return count


def _follows_end(line: str, at: int) -> bool:
    before = line[:at].rstrip(CLOSERS)
    return before[-1:] != "" and before[-1] in SENTENCE_ENDS


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


def is_blank(line: str) -> bool:
    return all(shape(character) == "s" for character in line)


def expected(text: str) -> dict[str, int]:
    lines = text.removesuffix("\n").split("\n") if text else []
    filled = [line for line in lines if not is_blank(line)]
    stripped = text.strip()
    paragraphs = re.split("\n{2,}", stripped) if stripped else []
    words = words_of(text)
    proper = [word for word in words if set(shape_of(word)) & set("lLdh")]
    duplicate_lines, duplicate_line_chars = repeats(filled)
    duplicate_paragraphs, duplicate_paragraph_chars = repeats(paragraphs)
    counts = {
        "chars": len(text),
        "newlines": text.count("\n"),
        "lines": len(lines),
        "bullet_lines": sum(line.lstrip().startswith(("•", "-")) for line in lines),
        "ellipsis_lines": sum(line.rstrip().endswith(("...", "…")) for line in lines),
        "non_blank_lines": len(filled),
        "terminal_lines": sum(line.rstrip().endswith(tuple(LINE_ENDS)) for line in filled),
        "short_lines": sum(len(line) <= 30 for line in filled),
        "duplicate_lines": duplicate_lines,
        "duplicate_line_chars": duplicate_line_chars,
        "sentences": sum(map(sentences_of, filled)),
        "hashes": text.count("#"),
        "ellipses": text.count("...") + text.count("…"),
        "curly_brackets": text.count("{"),
        "lorem_ipsums": len(re.findall("(?ai:lorem ipsum)", text)),
        "paragraphs": len(paragraphs),
        "duplicate_paragraphs": duplicate_paragraphs,
        "duplicate_paragraph_chars": duplicate_paragraph_chars,
        "words": len(words),
        "non_symbol_words": len(proper),
        "non_symbol_word_chars": sum(map(len, proper)),
        "alphabetic_words": sum(bool(set(shape_of(word)) & set("lLh")) for word in words),
        "stop_words": len(STOP_WORDS & set(words)),
        "compared_chars": len(text),
    }
    counts |= {f"top_{n}_gram_chars": top_chars(words, n) for n in TOP_GRAMS}
    counts |= {f"duplicate_{n}_gram_chars": duplicate_chars(words, n) for n in DUPLICATE_GRAMS}
    return counts


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
@example(["0\u0300A. 0"])  # a mark belongs to the digit before it, so that this A is no initial
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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's a well-known fact", ["It's", "a", "well-known", "fact"]),
        ("rock 'n' roll - yes", ["rock", "'", "n", "'", "roll", "-", "yes"]),
        ("3,000.5 a,b e.g. x_y", ["3,000.5", "a", ",", "b", "e.g", ".", "x_y"]),
        ("wait... what?!", ["wait", "...", "what", "?", "!"]),
        ("漢字かな", ["漢", "字", "か", "な"]),
        ("naïve e\u0301t\u00ade", ["naïve", "e\u0301t\u00ade"]),
        ("\u200b \ufeff", []),
        ("👍👍🏽 ❤️", ["👍👍", "🏽", "❤️"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words
    assert counted(text)["words"] == len(words)
    assert counted(text)["chars"] == len(text)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four", 4),
        ("He said “no.” Then left.", 2),
        ("Version 1.5 is out", 1),
        ("J. Smith wrote it. So did A. Jones.", 2),
        ("see e.g. this", 1),
        ("One line\nanother line\n\n", 2),
        ("我来。我见。「我征服。」他说", 4),
        ("Wait . . . What", 2),
    ],
)
def test_sentences(text: str, sentences: int) -> None:
    assert counted(text)["sentences"] == sentences


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


def test_a_text_beyond_the_bound_is_searched_up_to_it() -> None:
    bound = 1 << 20
    words = [f"{number:07d}" for number in range(bound)]
    counts = counted(" ".join(words) + " again" * 1000 + "\nx" * 1000)
    assert counts["words"] == bound + 2000
    assert counts["compared_chars"] == 8 * bound - 1
    assert counts["duplicate_5_gram_chars"] == 0
    assert counts["duplicate_lines"] == 999


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
    letters = (characters.LOWER, characters.LETTER, characters.IDEOGRAPH)
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
