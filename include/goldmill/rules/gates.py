"""What a version must satisfy before it may be published."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class GateRules(BaseModel):
    """Thresholds of the gates. Which expectations use them is data: ``goldmill/gates/suites/<stage>.yaml``.

    Loss and failure budgets are not here: they belong to a source. Neither is what another section says already:
    allowed languages, the Jaccard threshold, the length of a sequence.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sample_documents: int = Field(
        default=2_000,
        ge=1,
        le=100_000,
        description="Documents, or sequences, that a gate looks at one by one; chosen by hash of the id.",
    )
    max_residual_pii: int = Field(
        default=0, ge=0, description="Items of personal data that a second scan may still find in a sampled document."
    )
    max_residual_secrets: int = Field(
        default=0, ge=0, description="Secrets that a second scan may still find in a sampled document."
    )
    max_contaminated_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Share of the records of a source that may hold an evaluation item, removed or kept; a source "
        "with more of them is a copy of the evaluation set.",
    )
    min_text_bytes: int = Field(default=1, ge=1, description="Least UTF-8 bytes of a kept document.")
    max_text_bytes: int = Field(
        default=64 * 2**20, ge=1, description="Most UTF-8 bytes of a kept document; longer ones are not one document."
    )
    min_expected_share: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Least share of sampled documents in an allowed language, and within the lengths above.",
    )
    max_residual_duplicate_share: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Share of sampled documents that may still have a near duplicate. MinHash is a sketch: at Jaccard "
        "0.8 and 14 x 8 bands it misses 7.6 % of the pairs, so none at all cannot be asked for.",
    )
    max_waste_share: float = Field(
        default=0.01, ge=0, le=1, description="Share of token positions that may be padding, beside the last sequences."
    )

    @model_validator(mode="after")
    def _lengths_are_ordered(self) -> Self:
        if self.min_text_bytes > self.max_text_bytes:
            raise ValueError(
                f"gates.min_text_bytes {self.min_text_bytes} is over gates.max_text_bytes {self.max_text_bytes}; "
                "lower the one or raise the other"
            )
        return self
