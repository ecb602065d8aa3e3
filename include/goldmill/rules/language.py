"""Which languages a corpus takes, and how sure the identifier must be."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

ANY_LANGUAGE = "*"


class LanguageRules(BaseModel):
    """Language rules for prose.

    Source of the default score: FineWeb (arXiv 2406.17557) keeps a page when fastText lid.176 names English with at
    least 0.65.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(True, description="Remove by language; off keeps all and still records the language.")
    allowed: tuple[str, ...] = Field(
        ("en",), description='ISO 639-1 codes that are kept, e.g. ["en", "de"]; ["*"] keeps every identified language.'
    )
    min_score: float = Field(0.65, ge=0.0, le=1.0, description="Least probability of that language (FineWeb: 0.65).")
    max_sample_chars: int = Field(
        20_000,
        ge=100,
        description="Characters of a document that the identifier reads: start, middle and end in equal parts.",
    )

    @field_validator("allowed")
    @classmethod
    def _codes_are_lower_case(cls, allowed: tuple[str, ...]) -> tuple[str, ...]:
        if not allowed:
            raise ValueError('language.allowed is empty: name at least one ISO 639-1 code, or ["*"] for any language')
        wrong = [code for code in allowed if code != ANY_LANGUAGE and not (code.isalpha() and code.islower())]
        if wrong:
            raise ValueError(f"language.allowed holds {wrong}: write lower-case ISO 639-1 codes such as 'en'")
        return allowed
