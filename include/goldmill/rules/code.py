"""Which source files are worth training on."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class CodeRules(BaseModel):
    """Rules for source code; they replace the prose rules where ``kind`` is "code".

    Sources: The Stack and StarCoder (arXiv 2305.06161) after SantaCoder (arXiv 2301.03988) for line lengths,
    alphanumeric share, XML and comment share; StarCoder 2 (arXiv 2402.19173) for formats with long lines, encoded
    data and generated files; RedPajama for the same line rules; NeMo Curator's code filters for the number of lines
    and the comment share 1 %..85 %. Rules of our own say so.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(default=True, description="Judge source code; off keeps all of it.")
    remove_generated: bool = Field(
        default=True, description="Remove files that say near the top that a tool wrote them, and lock files."
    )
    generated_head_lines: int = Field(
        default=5, ge=1, description="Lines from the top searched for a generated-file phrase (StarCoder 2: 5)."
    )
    remove_minified: bool = Field(
        default=True, description="Remove files named as minified, or of long lines almost without white space (ours)."
    )
    min_minified_line_length: int = Field(
        default=200, ge=1, description="Mean length of lines that are not blank from which a file can be minified."
    )
    max_minified_space_share: float = Field(
        default=0.08, ge=0, le=1, description="White space among all characters below which such a file is minified."
    )
    remove_xml: bool = Field(
        default=True, description="Remove files with an XML declaration in the first 100 characters (StarCoder)."
    )
    min_lines: int = Field(default=10, ge=0, description="Lines, blank ones included (NeMo Curator: 10).")
    max_lines: int = Field(default=20_000, ge=1, description="Lines, blank ones included (NeMo Curator: 20000).")
    max_line_length: int = Field(
        default=1000, ge=1, description="Longest line, in characters (StarCoder, RedPajama: 1000)."
    )
    max_mean_line_length: float = Field(
        default=100.0,
        gt=0,
        description="Mean line length, in characters without line ends (StarCoder, RedPajama: 100).",
    )
    long_line_languages: tuple[str, ...] = Field(
        default=("html", "json", "markdown", "tex", "xml"),
        description="Formats whose lines may be long: no mean, and the next limit for the longest (StarCoder 2).",
    )
    max_long_line_length: int = Field(
        default=100_000, ge=1, description="Longest line in those formats, in characters (StarCoder 2: 100000)."
    )
    min_alphanumeric_share: float = Field(
        default=0.25, ge=0, le=1, description="Letters and digits among all characters (StarCoder, RedPajama: 0.25)."
    )
    max_encoded_run: int = Field(
        default=1024, ge=64, description="Longest run of base64 or hexadecimal characters (StarCoder 2: 1024)."
    )
    max_encoded_share: float = Field(
        default=0.5, ge=0, le=1, description="Characters in such runs of at least 64 (StarCoder 2: 0.5)."
    )
    max_number_share: float = Field(
        default=0.5, ge=0, le=1, description="Number literals among what is no white space: tables, not code (ours)."
    )
    min_comment_share: float = Field(
        default=0.01, ge=0, le=1, description="Characters in comments, where the syntax is known (StarCoder: 0.01)."
    )
    max_comment_share: float = Field(
        default=0.85, ge=0, le=1, description="Characters in comments, where the syntax is known (NeMo Curator: 0.85)."
    )

    @model_validator(mode="after")
    def _ranges_are_not_empty(self) -> Self:
        for low, high in (("min_lines", "max_lines"), ("min_comment_share", "max_comment_share")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"code.{low} is above code.{high}: no file could pass; lower the first")
        return self
