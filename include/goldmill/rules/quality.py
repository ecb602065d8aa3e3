"""Which prose is worth training on: the published heuristics, each with its published threshold.

Every limit may be null, which switches that one rule off; ``enabled: false`` switches the family off. A document that
is exactly on a limit passes. What is measured, to the letter, stands in docs/rules.md.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


def _share(default: float, what: str) -> float | None:
    return Field(default=default, ge=0, le=1, description=f"{what} Null switches the rule off.")


class GopherQualityRules(BaseModel):
    """Document quality rules of Gopher (arXiv 2112.11446, appendix A.1.1)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(default=True, description="Apply this family to prose.")
    variant: Literal["datatrove", "dolma"] = Field(
        default="datatrove", description="Whose reading of the rules: datatrove's, or that of dolma's tagger gopher_v2."
    )
    min_words: int | None = Field(
        default=50, ge=0, description="Least number of words, symbols not counted. Null switches the rule off."
    )
    max_words: int | None = Field(
        default=100_000, ge=1, description="Largest number of words, symbols not counted. Null switches the rule off."
    )
    min_mean_word_length: float | None = Field(
        default=3.0,
        ge=0,
        description="Least mean (dolma: median) length of a word, in characters. Null switches the rule off.",
    )
    max_mean_word_length: float | None = Field(
        default=10.0,
        gt=0,
        description="Largest mean (dolma: median) length of a word, in characters. Null switches the rule off.",
    )
    max_hash_ratio: float | None = Field(
        default=0.1,
        ge=0,
        description="Largest number of '#' characters a word (dolma: share of words with '#' or '…'). "
        "Null switches the rule off.",
    )
    max_ellipsis_ratio: float | None = Field(
        default=0.1, ge=0, description="Largest number of ellipses ('...' or '…') a word. Null switches the rule off."
    )
    max_bullet_line_share: float | None = _share(0.9, "Largest share of lines that start with a bullet ('•' or '-').")
    max_ellipsis_line_share: float | None = _share(0.3, "Largest share of lines that end in an ellipsis.")
    min_alphabetic_word_share: float | None = _share(0.8, "Least share of words that have an alphabetic character.")
    min_stop_words: int | None = Field(
        default=2,
        ge=0,
        le=8,
        description="Least number of different ones (dolma: of all) among the, be, to, of, and, that, have, with; "
        "English only. Null switches the rule off.",
    )

    @model_validator(mode="after")
    def _ranges_are_not_empty(self) -> Self:
        for low, high in (("min_words", "max_words"), ("min_mean_word_length", "max_mean_word_length")):
            least, largest = getattr(self, low), getattr(self, high)
            if least is not None and largest is not None and least > largest:
                raise ValueError(
                    f"gopher_quality.{low} is above gopher_quality.{high}: no text could pass; lower the first"
                )
        return self


class GopherRepetitionRules(BaseModel):
    """Repetition rules of Gopher (arXiv 2112.11446, table A1)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(default=True, description="Apply this family to prose.")
    variant: Literal["datatrove", "dolma"] = Field(
        default="datatrove", description="Whose reading of the rules: datatrove's, or that of dolma's tagger gopher_v2."
    )
    max_duplicate_line_fraction: float | None = _share(0.30, "Largest share of lines that repeat an earlier line.")
    max_duplicate_paragraph_fraction: float | None = _share(
        0.30, "Largest share of paragraphs that repeat an earlier paragraph."
    )
    max_duplicate_line_character_fraction: float | None = _share(
        0.20, "Largest share of characters that lie in lines which repeat an earlier line."
    )
    max_duplicate_paragraph_character_fraction: float | None = _share(
        0.20, "Largest share of characters that lie in paragraphs which repeat an earlier paragraph."
    )
    max_top_2_gram_fraction: float | None = _share(0.20, "Largest share of characters in the commonest pair of words.")
    max_top_3_gram_fraction: float | None = _share(0.18, "Largest share of characters in the commonest 3 words.")
    max_top_4_gram_fraction: float | None = _share(0.16, "Largest share of characters in the commonest 4 words.")
    max_duplicate_5_gram_fraction: float | None = _share(0.15, "Largest share of characters in repeated 5-grams.")
    max_duplicate_6_gram_fraction: float | None = _share(0.14, "Largest share of characters in repeated 6-grams.")
    max_duplicate_7_gram_fraction: float | None = _share(0.13, "Largest share of characters in repeated 7-grams.")
    max_duplicate_8_gram_fraction: float | None = _share(0.12, "Largest share of characters in repeated 8-grams.")
    max_duplicate_9_gram_fraction: float | None = _share(0.11, "Largest share of characters in repeated 9-grams.")
    max_duplicate_10_gram_fraction: float | None = _share(0.10, "Largest share of characters in repeated 10-grams.")


class C4Rules(BaseModel):
    """Rules of C4 (JMLR 21-074, section 2.2), with the additions of its published code.

    The line rules drop lines from a text, the document rules then remove whole documents. Defaults are those of the
    FineWeb order, which leaves the terminal punctuation rule off (arXiv 2406.17557, section 3.4).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(default=True, description="Apply this family to prose.")
    variant: Literal["datatrove", "dolma"] = Field(
        default="datatrove", description="Whose reading of the rules: datatrove's, or that of dolma's tagger c4_v2."
    )
    require_terminal_punctuation: bool = Field(
        default=False, description="Drop lines that do not end in . ? ! \" or ', and those that end in '...'."
    )
    min_words_per_line: int | None = Field(
        default=3, ge=1, description="Drop lines of fewer words, cut at white space. Null switches the rule off."
    )
    max_word_length: int | None = Field(
        default=1000, ge=1, description="Drop lines with a longer word, in characters. Null switches the rule off."
    )
    remove_citations: bool = Field(
        default=True, description='Delete "[1]", "[]", "[edit]" and "[citation needed]" from the text.'
    )
    drop_javascript_lines: bool = Field(
        default=True, description='Drop lines (dolma: documents) that mention "javascript", in any case.'
    )
    drop_policy_lines: bool = Field(
        default=True, description="Drop lines that speak of terms of use, privacy policies or cookies."
    )
    refuse_lorem_ipsum: bool = Field(default=True, description='Remove documents that hold "lorem ipsum".')
    refuse_curly_bracket: bool = Field(default=True, description='Remove documents that hold "{".')
    min_sentences: int | None = Field(
        default=5, ge=1, description="Least number of sentences in the lines that are left. Null switches the rule off."
    )


class FineWebRules(BaseModel):
    """The rules that FineWeb adds (arXiv 2406.17557, section 3.6)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(default=True, description="Apply this family to prose.")
    variant: Literal["datatrove"] = Field(default="datatrove", description="Whose reading of the rules.")
    min_terminal_line_share: float | None = _share(0.12, "Least share of lines that end in terminal punctuation.")
    max_short_line_share: float | None = _share(0.67, "Largest share of lines of at most 30 characters.")
    max_duplicate_line_character_share: float | None = _share(
        0.01, "Largest share of characters that lie in lines which repeat an earlier line."
    )
    max_newline_ratio: float | None = Field(
        default=0.3, ge=0, description="Largest number of line ends a word. Null switches the rule off."
    )
