"""The named readings of the published prose rules, in one table.

Toolkits give different rules the same name. A variant says for each rule of a family which counts it compares and which
of the recipe's limits holds; the order is the order of judgement. Counts are columns of ``goldmill.text.counters``,
``goldmill.text.spaced`` and ``goldmill.text.c4``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

TOP_GRAMS: Final = (2, 3, 4)
DUPLICATE_GRAMS: Final = (5, 6, 7, 8, 9, 10)


@dataclass(frozen=True)
class Rule:
    """One comparison.

    Attributes:
        name: as the ``removals`` table has it, behind the family and a colon.
        limit: field of the family's rules; null or false switches the rule off, true forbids any.
        side: whether the limit is the least or the most that passes.
        part: the count that is compared.
        whole: the count that it is divided by; None compares the count itself. Nothing divided by nothing is 0.
        peer: reason or attribute of the toolkit that has the same rule.
        languages: which texts are judged: all, English ones, those in languages that set spaces between words.
    """

    name: str
    limit: str
    side: Literal["least", "most"]
    part: str
    whole: str | None
    peer: str
    languages: Literal["all", "english", "spaced"] = "all"


_DATATROVE_QUALITY = (
    Rule("word_count", "min_words", "least", "non_symbol_words", None, "gopher_short_doc"),
    Rule("word_count", "max_words", "most", "non_symbol_words", None, "gopher_long_doc"),
    Rule(
        "mean_word_length",
        "min_mean_word_length",
        "least",
        "non_symbol_word_chars",
        "non_symbol_words",
        "gopher_below_avg_threshold",
        "spaced",
    ),
    Rule(
        "mean_word_length",
        "max_mean_word_length",
        "most",
        "non_symbol_word_chars",
        "non_symbol_words",
        "gopher_above_avg_threshold",
        "spaced",
    ),
    Rule("hash_ratio", "max_hash_ratio", "most", "hashes", "words", "gopher_too_many_hashes"),
    Rule("ellipsis_ratio", "max_ellipsis_ratio", "most", "ellipses", "words", "gopher_too_many_ellipsis"),
    Rule("bullet_line_share", "max_bullet_line_share", "most", "bullet_lines", "lines", "gopher_too_many_bullets"),
    Rule(
        "ellipsis_line_share",
        "max_ellipsis_line_share",
        "most",
        "ellipsis_lines",
        "lines",
        "gopher_too_many_end_ellipsis",
    ),
    Rule(
        "alphabetic_word_share",
        "min_alphabetic_word_share",
        "least",
        "alphabetic_words",
        "words",
        "gopher_below_alpha_threshold",
    ),
    Rule("stop_words", "min_stop_words", "least", "stop_words", None, "gopher_enough_stop_words", "english"),
)

_DOLMA_QUALITY = (
    Rule("word_count", "min_words", "least", "spaced_words", None, "word_count"),
    Rule("word_count", "max_words", "most", "spaced_words", None, "word_count"),
    Rule(
        "median_word_length",
        "min_mean_word_length",
        "least",
        "spaced_median_word_length",
        None,
        "median_word_length",
        "spaced",
    ),
    Rule(
        "median_word_length",
        "max_mean_word_length",
        "most",
        "spaced_median_word_length",
        None,
        "median_word_length",
        "spaced",
    ),
    Rule("symbol_word_ratio", "max_hash_ratio", "most", "spaced_symbol_words", "spaced_words", "symbol_to_word_ratio"),
    Rule(
        "bullet_line_share",
        "max_bullet_line_share",
        "most",
        "spaced_bullet_lines",
        "spaced_lines",
        "fraction_of_lines_starting_with_bullet_point",
    ),
    Rule(
        "ellipsis_line_share",
        "max_ellipsis_line_share",
        "most",
        "spaced_ellipsis_lines",
        "spaced_lines",
        "fraction_of_lines_ending_with_ellipsis",
    ),
    Rule(
        "alphabetic_word_share",
        "min_alphabetic_word_share",
        "least",
        "spaced_alphabetic_words",
        "spaced_words",
        "fraction_of_words_with_alpha_character",
    ),
    Rule("stop_words", "min_stop_words", "least", "spaced_stop_words", None, "required_word_count", "english"),
)

_DATATROVE_REPETITION = (
    Rule(
        "duplicate_paragraph_fraction",
        "max_duplicate_paragraph_fraction",
        "most",
        "duplicate_paragraphs",
        "paragraphs",
        "dup_para_frac",
    ),
    Rule(
        "duplicate_paragraph_character_fraction",
        "max_duplicate_paragraph_character_fraction",
        "most",
        "duplicate_paragraph_chars",
        "chars",
        "dup_para_char_frac",
    ),
    Rule(
        "duplicate_line_fraction",
        "max_duplicate_line_fraction",
        "most",
        "duplicate_lines",
        "runs_of_lines",
        "dup_line_frac",
    ),
    Rule(
        "duplicate_line_character_fraction",
        "max_duplicate_line_character_fraction",
        "most",
        "duplicate_line_chars",
        "chars",
        "dup_line_char_frac",
    ),
    *(
        Rule(
            f"top_{n}_gram_fraction",
            f"max_top_{n}_gram_fraction",
            "most",
            f"top_{n}_gram_chars",
            "compared_chars",
            f"top_{n}_gram",
        )
        for n in TOP_GRAMS
    ),
    *(
        Rule(
            f"duplicate_{n}_gram_fraction",
            f"max_duplicate_{n}_gram_fraction",
            "most",
            f"duplicate_{n}_gram_chars",
            "compared_chars",
            f"duplicated_{n}_n_grams",
        )
        for n in DUPLICATE_GRAMS
    ),
)

_DOLMA_REPETITION = (
    Rule(
        "duplicate_line_fraction",
        "max_duplicate_line_fraction",
        "most",
        "spaced_repeated_lines",
        "spaced_lines",
        "fraction_of_duplicate_lines",
    ),
    Rule(
        "duplicate_line_character_fraction",
        "max_duplicate_line_character_fraction",
        "most",
        "spaced_repeated_line_chars",
        "spaced_word_chars",
        "fraction_of_characters_in_duplicate_lines",
    ),
    *(
        Rule(
            f"top_{n}_gram_fraction",
            f"max_top_{n}_gram_fraction",
            "most",
            f"spaced_top_{n}_gram_chars",
            "spaced_word_chars",
            f"fraction_of_characters_in_most_common_{n}grams",
        )
        for n in TOP_GRAMS
    ),
    *(
        Rule(
            f"duplicate_{n}_gram_fraction",
            f"max_duplicate_{n}_gram_fraction",
            "most",
            f"spaced_repeated_{n}_gram_chars",
            f"spaced_{n}_gram_chars",
            f"fraction_of_characters_in_duplicate_{n}grams",
        )
        for n in DUPLICATE_GRAMS
    ),
)

_DATATROVE_C4 = (
    Rule("lorem_ipsum", "refuse_lorem_ipsum", "most", "c4_lorem_ipsums", None, "lorem_ipsum"),
    Rule("curly_bracket", "refuse_curly_bracket", "most", "c4_curly_brackets", None, "curly_bracket"),
    Rule("sentence_count", "min_sentences", "least", "c4_sentences", None, "too_few_sentences"),
)

_DOLMA_C4 = (
    Rule("lorem_ipsum", "refuse_lorem_ipsum", "most", "c4_lorem_ipsums", None, "has_lorem_ipsum"),
    Rule("curly_bracket", "refuse_curly_bracket", "most", "c4_curly_brackets", None, "has_curly_brace"),
    Rule("javascript", "drop_javascript_lines", "most", "c4_javascripts", None, "has_javascript"),
)

_DATATROVE_FINEWEB = (
    Rule(
        "terminal_line_ratio",
        "min_terminal_line_share",
        "least",
        "terminal_lines",
        "non_blank_lines",
        "line_punct_ratio",
    ),
    Rule("short_line_ratio", "max_short_line_share", "most", "short_lines", "non_blank_lines", "short_line_ratio"),
    Rule(
        "duplicate_line_character_ratio",
        "max_duplicate_line_character_share",
        "most",
        "duplicate_non_blank_line_chars",
        "line_chars",
        "char_dup_ratio",
    ),
    Rule("newline_ratio", "max_newline_ratio", "most", "newlines", "words", "list_ratio"),
)

VARIANTS: Final[dict[str, dict[str, tuple[Rule, ...]]]] = {
    "gopher_repetition": {"datatrove": _DATATROVE_REPETITION, "dolma": _DOLMA_REPETITION},
    "gopher_quality": {"datatrove": _DATATROVE_QUALITY, "dolma": _DOLMA_QUALITY},
    "c4": {"datatrove": _DATATROVE_C4, "dolma": _DOLMA_C4},
    "fineweb": {"datatrove": _DATATROVE_FINEWEB},
}
"""Family, variant: its rules."""
