"""How text becomes tokens, and tokens become sequences of one length."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class TokenizerRules(BaseModel):
    """Which tokenizer encodes the corpus; without a path one is trained on a sample of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str | None = Field(
        default=None,
        description="Path or URI of a Hugging Face tokenizer.json; null trains a byte-level BPE on a sample.",
    )
    vocab_size: int = Field(
        default=32_768,
        ge=300,
        le=1_000_000,
        description="Entries of a trained vocabulary: 256 bytes, the control tokens, merges. Not used with a path.",
    )
    min_pair_count: int = Field(
        default=2, ge=1, description="Times a pair must occur in the sample to be merged. Not used with a path."
    )
    sample_bytes: int = Field(
        default=16 * 2**20, ge=1, description="UTF-8 bytes of the hash-keyed sample to train on. Not used with a path."
    )
    end_of_text_token: str = Field(
        default="<|endoftext|>", min_length=1, description="Control token that ends every document."
    )
    padding_token: str | None = Field(
        default="<|padding|>",
        min_length=1,
        description="Control token that fills a sequence up; null fills with the end-of-text token.",
    )

    @model_validator(mode="after")
    def _control_tokens_differ(self) -> Self:
        if self.end_of_text_token == self.padding_token:
            raise ValueError(
                "tokenizer.padding_token equals tokenizer.end_of_text_token; name another one, "
                "or null to fill with the end-of-text token"
            )
        return self


class PackingRules(BaseModel):
    """How documents are dealt to splits and shards and packed into sequences."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sequence_length: int = Field(default=2048, ge=8, le=2**24, description="Tokens in a sequence, padding included.")
    validation_fraction: float = Field(
        default=0.01,
        ge=0,
        lt=1,
        description="Share of documents held out for validation, chosen by hash of the document id.",
    )
    shard_bytes: int = Field(
        default=64 * 2**20,
        ge=2**10,
        description="Text in a shard, in UTF-8 bytes, on average: what one task holds in memory and packs together.",
    )

    def shard_count(self, text_bytes: int) -> int:
        """Number of shards for a corpus of ``text_bytes`` UTF-8 bytes; a function of the corpus, not of the machine."""
        return max(1, -(-text_bytes // self.shard_bytes))
