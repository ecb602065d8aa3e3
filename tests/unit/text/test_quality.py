"""Each prose rule by name, on a text just inside and one just outside its published threshold."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from goldmill.rules.quality import C4Rules, FineWebRules, GopherQualityRules, GopherRepetitionRules
from goldmill.text.c4 import clean_c4_lines
from goldmill.text.quality import count_for, joined, judge_prose
from goldmill.text.sentences import count_sentences

FAMILIES: dict[str, type[BaseModel]] = {
    "gopher_repetition": GopherRepetitionRules,
    "gopher_quality": GopherQualityRules,
    "c4": C4Rules,
    "fineweb": FineWebRules,
}


def different(count: int, length: int = 5) -> list[str]:
    """Words of letters that are all different."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    return ["".join(letters[n // 26**place % 26] for place in range(length)) for n in range(count)]


def prose(count: int = 100, length: int = 5) -> str:
    """A text without fault of as many words of one length, and two stop words."""
    return " ".join(["the", "of", *different(count - 2, length)])


def with_symbols(words: int, symbol: str, count: int) -> str:
    """As many words, of which some are the symbol, each apart from the next."""
    texts = prose(words - count).split(" ")
    for index in range(count):
        texts.insert(2 * index + 1, symbol)
    return " ".join(texts)


def lines(count: int, changed: int, change: str) -> str:
    """Lines of 10 different words, of which the first few are changed by a pattern with one {}."""
    words = different(10 * count)
    rows = [" ".join(words[10 * row : 10 * row + 10]) for row in range(count)]
    return "\n".join(change.format(row) if index < changed else row for index, row in enumerate(rows))


def repeating(n: int, times: int, words: int) -> str:
    """So many words of 4 letters, in which the first ``n`` stand several times, at equal distances."""
    fillers = iter(different(words + n, 4)[n:])
    gap = (words - n * times) // times
    texts: list[str] = []
    for _ in range(times):
        texts += [*different(n, 4), *islice(fillers, gap)]
    return " ".join([*texts, *islice(fillers, words - len(texts))])


# rule, its field, a text that passes, a text that breaks it, what is measured there, the threshold
GOLDEN: list[tuple[str, str, str, str, float, float]] = [
    ("gopher_quality:word_count", "min_words", prose(50), prose(49), 49, 50),
    ("gopher_quality:word_count", "max_words", prose(100_000), prose(100_001), 100_001, 100_000),
    ("gopher_quality:mean_word_length", "min_mean_word_length", "abc " * 100, "abc " * 99 + "ab", 2.99, 3),
    (
        "gopher_quality:mean_word_length",
        "max_mean_word_length",
        " ".join(different(100, 10)),
        " ".join([*different(99, 10), "elevenlette"]),
        10.01,
        10,
    ),
    ("gopher_quality:hash_ratio", "max_hash_ratio", with_symbols(100, "#", 10), with_symbols(100, "#", 11), 0.11, 0.1),
    (
        "gopher_quality:ellipsis_ratio",
        "max_ellipsis_ratio",
        with_symbols(100, "...", 10),
        with_symbols(100, "…", 11),
        0.11,
        0.1,
    ),
    (
        "gopher_quality:bullet_line_share",
        "max_bullet_line_share",
        lines(20, 18, " - {}"),
        lines(20, 19, "•{}"),
        0.95,
        0.9,
    ),
    (
        "gopher_quality:ellipsis_line_share",
        "max_ellipsis_line_share",
        lines(20, 6, "{}... "),
        lines(20, 7, "{}…"),
        0.35,
        0.3,
    ),
    (
        "gopher_quality:alphabetic_word_share",
        "min_alphabetic_word_share",
        with_symbols(100, "12345", 20),
        with_symbols(100, "12345", 21),
        0.79,
        0.8,
    ),
    ("gopher_quality:stop_words", "min_stop_words", "be with you", "The be be, OF you", 1, 2),
    (
        "gopher_repetition:duplicate_line_fraction",
        "max_duplicate_line_fraction",
        "\n".join("aaaabcdefg"),
        "\n".join("aaaabbcdef"),
        0.4,
        0.3,
    ),
    (
        "gopher_repetition:duplicate_paragraph_fraction",
        "max_duplicate_paragraph_fraction",
        "\n\n".join("aaaabcdefg"),
        "\n\n".join("aaaabbcdef"),
        0.4,
        0.3,
    ),
    (
        "gopher_repetition:duplicate_line_character_fraction",
        "max_duplicate_line_character_fraction",
        "\n".join(["a" * 20, "a" * 20, "b" * 58]),
        "\n".join(["a" * 21, "a" * 21, "b" * 56]),
        0.21,
        0.2,
    ),
    (
        "gopher_repetition:duplicate_paragraph_character_fraction",
        "max_duplicate_paragraph_character_fraction",
        "\n\n".join(["a" * 20, "a" * 20, "b" * 56]),
        "\n\n".join(["a" * 21, "a" * 21, "b" * 54]),
        0.21,
        0.2,
    ),
    ("c4:lorem_ipsum", "refuse_lorem_ipsum", "lorem, ipsum", "Lorem Ipsum", 1, 0),
    ("c4:curly_bracket", "refuse_curly_bracket", "a }", "a {", 1, 0),
    ("c4:sentence_count", "min_sentences", "One. Two! Three?\nFour. Five", "One. Two! Three?\nFour.", 4, 5),
    ("fineweb:terminal_line_ratio", "min_terminal_line_share", lines(25, 3, "{}."), lines(25, 2, "{}?"), 0.08, 0.12),
    (
        "fineweb:short_line_ratio",
        "max_short_line_share",
        "\n".join([*different(67, 30), *different(33, 31)]),
        "\n".join([*different(68, 30), *different(32, 31)]),
        0.68,
        0.67,
    ),
    (
        "fineweb:duplicate_line_character_ratio",
        "max_duplicate_line_character_share",
        "\n".join(["a" * 10, "a" * 10, "b" * 980]),
        "\n".join(["a" * 11, "a" * 11, "b" * 978]),
        0.011,
        0.01,
    ),
    ("fineweb:newline_ratio", "max_newline_ratio", "a b c\nd e f\ng h\ni j", "a b c\nd e\nf\ng h\ni j", 0.4, 0.3),
]
# A text of 200 words of 4 letters has 999 characters. The commonest n words with their spaces have 5n - 1 ...
for _n, _limit in ((2, 0.20), (3, 0.18), (4, 0.16)):
    _most = int(_limit * 999 / (5 * _n - 1))
    GOLDEN.append(
        (
            f"gopher_repetition:top_{_n}_gram_fraction",
            f"max_top_{_n}_gram_fraction",
            repeating(_n, _most, 200),
            repeating(_n, _most + 1, 200),
            (_most + 1) * (5 * _n - 1) / 999,
            _limit,
        )
    )
# ... and n repeated ones, without their spaces and the first time, 4n.
for _n, _limit in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)):
    _most = int(_limit * 999 / (4 * _n))
    GOLDEN.append(
        (
            f"gopher_repetition:duplicate_{_n}_gram_fraction",
            f"max_duplicate_{_n}_gram_fraction",
            repeating(_n, _most + 1, 200),
            repeating(_n, _most + 2, 200),
            (_most + 1) * 4 * _n / 999,
            _limit,
        )
    )


def only(rules: type[BaseModel], *fields: str) -> Any:
    """Published rules with every limit switched off but some."""
    nullable = {"refuse_lorem_ipsum": False, "refuse_curly_bracket": False}
    for name, field in rules.model_fields.items():
        if "None" in str(field.annotation):
            nullable[name] = None  # type: ignore[assignment]
    return rules(
        **{name: value for name, value in nullable.items() if name in rules.model_fields and name not in fields}
    )


def verdict(text: str, *families: Any, languages: list[str | None] | None = None) -> tuple[str | None, Any, Any]:
    """Rule, score and threshold; C4 judges without dropping lines."""
    texts = pa.array([text])
    rules = [family for family in families if isinstance(family, C4Rules)]
    whole = (rules[0] if rules else C4Rules()).model_copy(update={"min_words_per_line": None})
    counters = joined(count_for(texts, *families), clean_c4_lines(texts, whole).counters)
    codes = None if languages is None else pa.array(languages, pa.string())
    verdicts = judge_prose(counters, *families, languages=codes)
    return verdicts.rule[0].as_py(), verdicts.score[0].as_py(), verdicts.threshold[0].as_py()


@pytest.mark.parametrize(
    ("rule", "field", "passing", "breaking", "score", "threshold"), GOLDEN, ids=[golden[1] for golden in GOLDEN]
)
def test_each_rule_at_its_threshold(
    rule: str, field: str, passing: str, breaking: str, score: float, threshold: float
) -> None:
    family = rule.partition(":")[0]
    alone = only(FAMILIES[family], field)
    assert verdict(passing, alone) == (None, None, None)
    assert verdict(breaking, alone) == (rule, pytest.approx(score), threshold)
    # Neither the text that passes nor the one that breaks it is noticed without the rule.
    assert verdict(breaking, only(FAMILIES[family]))[0] is None


def test_every_limit_has_a_golden_text() -> None:
    limits = {
        f"{family}.{name}"
        for family, rules in FAMILIES.items()
        for name, field in rules.model_fields.items()
        if "None" in str(field.annotation) or name.startswith("refuse_")
    }
    lines_only = {"c4.min_words_per_line", "c4.max_word_length"}
    assert {f"{golden[0].partition(':')[0]}.{golden[1]}" for golden in GOLDEN} == limits - lines_only


ARTICLE = """The mill stands where two rivers meet, and it has ground grain for three hundred years. Its wheel was \
rebuilt after the flood of 1784, when ice carried the old one away.

Visitors climb to the loft to see how the stones are dressed. A guide explains that each furrow must be cut by hand! \
Who would have thought that flour depends on such patience?

In winter the sluice is closed to protect the beams from frost. The miller then repairs belts, sorts sacks and writes \
letters to other mills in the valley."""


def test_good_prose_passes_all_published_rules() -> None:
    repetition, quality, c4, fineweb = (rules() for rules in FAMILIES.values())
    texts = pa.array([ARTICLE])
    counters = count_for(texts, repetition, quality)
    assert judge_prose(counters, repetition, quality, languages=pa.array(["en"])).passed[0].as_py()
    cleaned = clean_c4_lines(texts, c4)
    assert cleaned.texts.to_pylist() == [ARTICLE.replace("\n\n", "\n")]
    assert judge_prose(cleaned.counters, c4).passed[0].as_py()
    assert judge_prose(count_for(cleaned.texts, fineweb), fineweb).passed[0].as_py()


def test_the_first_rule_in_the_order_is_reported() -> None:
    rules = {family: rules() for family, rules in FAMILIES.items()}
    text = "# {\n" * 40  # breaks rules of all families
    first = {family: verdict(text, rule)[0] for family, rule in rules.items()}
    assert first == {
        "gopher_repetition": "gopher_repetition:duplicate_line_fraction",
        "gopher_quality": "gopher_quality:word_count",
        "c4": "c4:curly_bracket",
        "fineweb": "fineweb:terminal_line_ratio",
    }
    while rules:
        assert verdict(text, *rules.values())[0] == first[next(iter(rules))]
        rules.pop(next(iter(rules)))
    assert verdict(text) == (None, None, None)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_can_be_switched_off(family: str) -> None:
    assert verdict("# {\n" * 40, FAMILIES[family](enabled=False))[0] is None


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("variant", ["datatrove", "dolma"])
def test_texts_without_words_are_judged(family: str, variant: str) -> None:
    if (family, variant) == ("fineweb", "dolma"):
        return
    for text in ("", "\n", " "):
        assert verdict(text, FAMILIES[family](variant=variant))[1] in (None, 0, 0.5, 1)


def test_stop_words_are_asked_of_english_only() -> None:
    rules = GopherQualityRules(min_words=None)
    text = "wer reitet so spät durch nacht und wind"
    assert verdict(text, rules, languages=["de"])[0] is None
    assert verdict(text, rules, languages=[None])[0] is None
    assert verdict(text, rules, languages=["en"])[0] == "gopher_quality:stop_words"
    assert verdict(text, rules)[0] == "gopher_quality:stop_words"


def test_word_length_is_not_asked_of_scripts_without_spaces() -> None:
    rules = GopherQualityRules(min_words=None)
    assert verdict("我来我见我征服", rules, languages=["zh"])[0] is None
    assert verdict("我来我见我征服", rules, languages=["de"])[0] == "gopher_quality:mean_word_length"


def test_one_language_a_text() -> None:
    with pytest.raises(ValueError, match="languages: 2 for 1 texts"):
        verdict("a", GopherQualityRules(), languages=["en", "en"])


def clean(text: str, **changes: Any) -> str:
    cleaned: str = clean_c4_lines(pa.array([text]), C4Rules(**changes)).texts[0].as_py()
    return cleaned


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("two words", None),
        ("  three words \u00a0now \t", "three words \u00a0now"),
        (f"a long {'w' * 1000}", f"a long {'w' * 1000}"),
        (f"a long {'w' * 1001}", None),
        (f"a long {'é' * 1000}", f"a long {'é' * 1000}"),
        ("as shown[12] by[] him[edit]", "as shown by him"),
        ("as he said[citation needed][3]", "as he said"),
        ("so[1] and [ 2] or [x]", "so and [ 2] or [x]"),
        ("please enable JavaScript now", None),
        ("by our Terms of Use here", None),
        ("our PRIVACY policy is here", None),
        ("our cookie policy is here", None),
        ("this site uses cookies too", None),
        ("the use of cookies is", None),
        ("we use cookies for this", None),
        ("terms of useful things here", None),
        ("terms-of-use are not meant", "terms-of-use are not meant"),
        ("javascript and { of ours", None),
    ],
)
def test_c4_line_rules(line: str, kept: str | None) -> None:
    frame = "this line stays\n{}\nand this one too"
    assert clean(frame.format(line)) == frame.format("@@").replace("@@\n" if kept is None else "@@", kept or "")
    assert clean(line) == (kept or "")


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("it ends here.", True),
        ("it ends here...", False),
        ("it ends here…", False),
        ('"it ends here"', True),
        ("does it end?", True),
        ("it ends here!", True),
        ("it ends here", False),
        ("it ends here.[1]", True),
        ("it ends here. [1]", False),  # what a citation leaves at the end is not trimmed
    ],
)
def test_terminal_punctuation_can_be_required(line: str, kept: bool) -> None:
    assert clean(line) != ""
    assert (clean(line, require_terminal_punctuation=True) != "") == kept


def test_line_rules_can_be_switched_off() -> None:
    text = "short\n\njavascript [1] is here\n we use cookies here"
    rules = {"min_words_per_line": None, "max_word_length": None}
    switches = {"remove_citations": False, "drop_javascript_lines": False, "drop_policy_lines": False}
    assert clean(text + "\n\n", **rules, **switches) == text.replace("\n ", "\n")
    assert clean(text, enabled=False) == text


def oracle_lines(text: str, rules: C4Rules) -> tuple[str, dict[str, int]]:
    """As datatrove's filter goes about it: what is left, and what is counted until the document is given up."""
    kept: list[str] = []
    counts = dict.fromkeys(("c4_sentences", "c4_lorem_ipsums", "c4_curly_brackets", "c4_javascripts"), 0)
    for whole in text.splitlines():
        line = whole.strip()
        words = line.split()
        if rules.max_word_length is not None and any(len(word) > rules.max_word_length for word in words):
            continue
        if rules.remove_citations:
            line = re.sub(r"\[\d*]|\[edit]|\[citation needed]", "", line)
        if rules.require_terminal_punctuation and (
            not line.endswith((".", "?", "!", '"', "'")) or line.endswith("...")
        ):
            continue
        if len(words) < (rules.min_words_per_line or 0):
            continue
        if rules.refuse_lorem_ipsum and re.search("(?ai:lorem ipsum)", line):
            counts["c4_lorem_ipsums"] = 1
            break
        if rules.drop_javascript_lines and re.search("(?ai:javascript)", line):
            continue
        if rules.refuse_curly_bracket and "{" in line:
            counts["c4_curly_brackets"] = 1
            break
        policies = "(?ai:terms of use|privacy policy|cookie policy|uses cookies|use of cookies|use cookies)"
        if rules.drop_policy_lines and re.search(policies, line):
            continue
        kept.append(line)
        counts["c4_sentences"] += count_sentences(pa.array([line]))[0].as_py()
    return "\n".join(kept).strip(), counts


pieces = st.sampled_from(
    [
        *(
            "one",
            "two ",
            "three ",
            " ",
            "\n",
            "\n",
            ".",
            "...",
            '"',
            "[1]",
            "[",
            "]",
            "[edit]",
            "[citation needed]",
            "1",
        ),
        *(
            "JavaScript",
            "lorem ipsum",
            "{",
            "terms of use",
            "use ",
            "cookies",
            "privacy Policy",
            "é ",
            "\u2003",
            "字",
            "\u200b",
        ),
    ]
)


@settings(deadline=None, max_examples=400)
@given(
    st.lists(st.lists(pieces, max_size=40).map("".join), max_size=5),
    st.builds(
        C4Rules,
        enabled=st.just(True),
        require_terminal_punctuation=st.booleans(),
        min_words_per_line=st.sampled_from([None, 1, 3]),
        max_word_length=st.sampled_from([None, 5, 1000]),
        remove_citations=st.booleans(),
        drop_javascript_lines=st.booleans(),
        drop_policy_lines=st.booleans(),
        refuse_lorem_ipsum=st.booleans(),
        refuse_curly_bracket=st.booleans(),
    ),
)
def test_cleaned_lines_equal_the_oracle(batch: list[str], rules: C4Rules) -> None:
    cleaned = clean_c4_lines(pa.array(["before", *batch, "behind"], pa.string()).slice(1, len(batch)), rules)
    assert list(zip(cleaned.texts.to_pylist(), cleaned.counters.to_pylist(), strict=True)) == [
        oracle_lines(text, rules) for text in batch
    ]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=80), min_size=2, max_size=5))
def test_cleaning_any_text(batch: list[str]) -> None:
    expected = [oracle_lines(text, C4Rules())[0] for text in batch]
    cleaned = clean_c4_lines(pa.array(batch, pa.large_string()), C4Rules()).texts
    cleaned.validate(full=True)
    assert cleaned.to_pylist() == expected
    assert clean_c4_lines(pa.chunked_array([batch[:1], batch[1:]]), C4Rules()).texts.to_pylist() == expected


def test_thresholds_that_nothing_can_pass_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"gopher_quality\.min_words is above gopher_quality\.max_words"):
        GopherQualityRules(min_words=10, max_words=9)
    with pytest.raises(ValidationError, match="max_hash_ration"):
        GopherQualityRules(max_hash_ration=1)  # type: ignore[call-arg]


def test_families_that_are_switched_off_pass_every_text() -> None:
    """Nothing is counted then, but each text still has its verdict."""
    families = (GopherRepetitionRules(enabled=False), GopherQualityRules(enabled=False))
    texts = pa.array(["one", "", "two"])

    verdicts = judge_prose(count_for(texts, *families), *families, languages=pa.array(["en", "en", "de"]))

    assert verdicts.passed.to_pylist() == [True, True, True]
