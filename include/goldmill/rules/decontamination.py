"""Which evaluation sets a corpus must not hold, and what is done with a document that does."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class EvaluationSet(BaseModel):
    """One evaluation set: a file, what of it is an item, and what happens to a document that holds one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(
        min_length=1,
        description="Path or URI of one file, compressed or not: JSON Lines, Parquet (`.parquet`), or text (`.txt`), "
        "an item a line. Relative to the recipe's file.",
    )
    fields: tuple[str, ...] = Field(
        default=("question", "prompt", "text"),
        description="Fields or columns whose text must not be trained on, alone or in lists; those that an item lacks "
        "are passed over, one must be there.",
    )
    id_field: str | None = Field(
        default=None, description="Field or column that names an item; null names it by its line or row."
    )
    action: Literal["remove", "keep"] = Field(
        default="remove",
        description="`remove` takes the document out, `keep` leaves it and names the item in "
        "`documents.evaluation_item`.",
    )

    @field_validator("fields")
    @classmethod
    def _something_is_read(cls, fields: tuple[str, ...]) -> tuple[str, ...]:
        if not fields:
            raise ValueError("fields is empty: name at least one field of the items")
        return fields


class DecontaminationRules(BaseModel):
    """When a document counts as contaminated by an evaluation item.

    An n-gram is that many words in a row, case, accents and punctuation aside. 13 words: GPT-3 (arXiv 2005.14165,
    appendix C), which also drops n-grams that more than ten texts share.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sets: dict[str, EvaluationSet] = Field(
        default_factory=dict, description="Evaluation sets by name; with none nothing is looked for."
    )
    ngram_words: int = Field(default=13, ge=2, le=64, description="Words of an n-gram.")
    min_item_words: int = Field(
        default=8,
        ge=2,
        description="Texts of at least so many words, but fewer than an n-gram, are looked for as a whole anywhere in "
        "a document; still shorter ones only count where they are the whole document.",
    )
    max_items_per_ngram: int = Field(
        default=10,
        ge=1,
        description="N-grams that more items of a set share are its template, and are not looked for.",
    )
    min_item_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Least share of an item's n-grams that a document must hold; at 0 one n-gram is enough.",
    )

    @model_validator(mode="after")
    def _names_and_lengths_fit(self) -> Self:
        if self.min_item_words > self.ngram_words:
            raise ValueError(
                f"decontaminate.min_item_words {self.min_item_words} is over decontaminate.ngram_words "
                f"{self.ngram_words}; lower the one or raise the other"
            )
        for name in self.sets:
            if not name or "/" in name or name != name.strip():
                raise ValueError(f"decontaminate.sets: {name!r} can be no name of a set; leave out slashes and spaces")
        return self

    @property
    def removing(self) -> frozenset[str]:
        """Names of the sets whose items no document may hold."""
        return frozenset(name for name, rules in self.sets.items() if rules.action == "remove")
