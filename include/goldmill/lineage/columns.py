"""Column lineage of the steps that Spark cannot see into.

The Spark listener follows columns through projections and joins, but a kernel called by ``mapInArrow`` is a black box
to it. What a kernel reads is known here, and said in an event of the stage.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Derived:
    """One output column: the input columns, as (table, column), and what is done with them."""

    inputs: tuple[tuple[str, str], ...]
    description: str
    masking: bool = False
    # INDIRECT: the input decides over the row, but its value does not go into the column.
    indirect: bool = False


LANDING = "landing"
"""Stands for the landed objects in an input; its only column is the raw ``payload``."""

_PAYLOAD = ((LANDING, "payload"),)
_TEXT = (("documents", "text"),)

STAGE_COLUMNS: dict[str, dict[str, dict[str, Derived]]] = {
    "refine": {
        "documents": {
            "document_id": Derived(_PAYLOAD, "SHA-256 of source, place and text", masking=True),
            "text": Derived(_PAYLOAD, "decoded, main text extracted, personal data and secrets replaced", masking=True),
            "language": Derived(_PAYLOAD, "language identification"),
            "license": Derived(_PAYLOAD, "licence detection"),
            "content_hash": Derived(_PAYLOAD, "SHA-256 of the normalised text", masking=True),
            "pii_counts": Derived(_PAYLOAD, "placeholders by type"),
            "toxicity_score": Derived(_PAYLOAD, "toxicity rule"),
            "evaluation_item": Derived(_PAYLOAD, "n-grams shared with evaluation sets"),
        },
        "removals": {
            "document_id": Derived(_PAYLOAD, "SHA-256 of source, place and text", masking=True),
            "rule": Derived(_PAYLOAD, "first rule that the record breaks"),
            "score": Derived(_PAYLOAD, "what the rule measured"),
        },
    },
    "deduplicate": {
        "signatures": {
            "bands": Derived(_TEXT, "MinHash over word shingles", masking=True),
            "shingle_count": Derived(_TEXT, "distinct word shingles"),
            "url_hash": Derived((("documents", "url"),), "hash of the normalised URL", masking=True),
        },
        "removals": {
            "matched_document_id": Derived(
                (*_TEXT, ("signatures", "bands"), ("documents", "content_hash"), ("signatures", "url_hash")),
                "kept document that it duplicates",
                indirect=True,
            ),
            "score": Derived(_TEXT, "true Jaccard similarity of the word shingles"),
        },
    },
    "tokenize": {
        "sequences": {
            "token_ids": Derived(_TEXT, "tokenized and packed"),
            "document_ids": Derived((("documents", "document_id"),), "packed"),
            "document_offsets": Derived(_TEXT, "lengths of the tokenized documents"),
            "split": Derived((("documents", "document_id"),), "keyed hash"),
        },
    },
}
