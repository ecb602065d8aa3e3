"""Which source files are worth training on."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class CodeRules(BaseModel):
    """Rules for source code; they replace the prose rules where ``kind`` is "code".

    Sources: The Stack / StarCoder (arXiv 2305.06161, section 3.1 and the SantaCoder report arXiv 2301.03988, section
    4.3) for line lengths, alphanumeric share, XML and comment share; StarCoder 2 (arXiv 2402.19173, section 2.1) for
    long lines, encoded data and generated files; RedPajama for the same line rules; NeMo Curator's code filters
    for the comment share 1 %..85 % and the upper number of lines.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(default=True, description="Judge source code; off keeps all of it.")
    max_line_length: int = Field(
        default=1000, ge=1, description="Longest line, in characters (StarCoder, SantaCoder, RedPajama: 1000)."
    )
    max_mean_line_length: float = Field(
        default=100.0,
        gt=0,
        description="Mean line length, in characters without line ends (StarCoder, RedPajama: 100).",
    )
    min_alphanumeric_share: float = Field(
        default=0.25, ge=0, le=1, description="Letters and digits among all characters (StarCoder, RedPajama: 0.25)."
    )
    min_lines: int = Field(
        default=10, ge=0, description="Lines that are not blank. NeMo Curator asks for 10 lines, blank ones included."
    )
    max_lines: int = Field(default=20_000, ge=1, description="Lines, blank ones included (NeMo Curator: 20000).")
    min_comment_share: float = Field(
        default=0.01, ge=0, le=1, description="Characters in comments among all; only where comments can be told (1 %)."
    )
    max_comment_share: float = Field(
        default=0.85,
        ge=0,
        le=1,
        description="Characters in comments among all; only where comments can be told (85 %).",
    )
    max_encoded_run: int = Field(
        default=1024, ge=64, description="Longest run of base64 or hexadecimal characters (StarCoder 2: 1024)."
    )
    max_encoded_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Characters in runs of at least 64 base64 or hex characters (StarCoder 2: 50 %).",
    )
    max_data_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Characters in numeric literals: files that are tables of numbers, not code.",
    )
    remove_generated: bool = Field(
        default=True, description="Remove files that say near the top that a tool wrote them, and lock files."
    )
    generated_head_lines: int = Field(
        default=5,
        ge=1,
        description="Lines from the top searched for a generated-file marker (StarCoder 2: the first 5).",
    )
    remove_minified: bool = Field(
        default=True, description="Remove minified files: named so, or dense long lines almost without white space."
    )
    min_minified_line_length: int = Field(
        default=200,
        ge=1,
        description="Mean length of non-blank lines from which a file can be minified, in characters.",
    )
    max_minified_whitespace_share: float = Field(
        default=0.08, ge=0, le=1, description="White space among all characters below which such a file is minified."
    )
    remove_xml: bool = Field(
        default=True,
        description="Remove files with an XML declaration in the first 100 characters (StarCoder); XSLT is kept.",
    )

    @model_validator(mode="after")
    def _ranges_are_not_empty(self) -> Self:
        for low, high in (("min_lines", "max_lines"), ("min_comment_share", "max_comment_share")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"code.{low} is above code.{high}: no file could pass; lower the first")
        return self
