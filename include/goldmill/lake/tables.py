"""The tables of the corpus line, as typed definitions; the documentation is generated from them.

Types are Spark DDL names. ``CREATE TABLE`` statements, Arrow schemas of the stages and ``docs/tables.md``
all come from here, so a column exists in one place only.
"""

from __future__ import annotations

from dataclasses import dataclass

MAIN = "main"
"""The branch that readers see."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, its Spark SQL type and what it holds (with units)."""

    name: str
    type: str
    description: str
    nullable: bool = False

    @property
    def ddl(self) -> str:
        """``name type`` as it stands in a Spark schema string."""
        return f"{self.name} {self.type}"


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its name inside the corpus namespace, its purpose, its columns in order."""

    name: str
    description: str
    columns: tuple[Column, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def ddl(self) -> str:
        """The columns as a Spark schema string (``a string, b int``)."""
        return ", ".join(column.ddl for column in self.columns)


_BUILD = Column("build_id", "string", "The build that wrote the row; never part of a digest.")

# Where a row came from: shared by every table that speaks of one input record.
_ORIGIN = (
    Column("document_id", "string", "128-bit content id, 32 hex digits: SHA-256 over source, place and text."),
    Column("source", "string", "Name of the source: the first path component below the landing root."),
    Column("object_key", "string", "Path of the landed object, relative to the landing root."),
    Column("record_path", "string", "Where in the object: empty, `line:12`, `member:a/b.py`, `warc:<id>`, `row:7`."),
    Column("url", "string", "Address the text was fetched from, where the input names one.", nullable=True),
)

DOCUMENTS = Table(
    "documents",
    "One row a document that is in the corpus.",
    (
        *_ORIGIN,
        Column("media_type", "string", "Media type of the record as it was read, e.g. `text/html`."),
        Column("kind", "string", "`prose` or `code`: which family of rules judged it."),
        Column("language", "string", "ISO 639-1 code for prose, lower-case language name for code."),
        Column("language_score", "double", "Confidence of the language, 0 to 1."),
        Column("encoding", "string", "Encoding that the bytes were decoded with."),
        Column("license", "string", "SPDX id of the licence found in the text.", nullable=True),
        Column("text", "string", "The text, cleaned, with personal data and secrets replaced by placeholders."),
        Column("text_bytes", "bigint", "Length of `text` in UTF-8 bytes."),
        Column("content_hash", "string", "128-bit hash of the normalised text, 32 hex digits; equal for exact copies."),
        Column("char_count", "bigint", "Unicode code points in `text`."),
        Column("word_count", "bigint", "Words in `text`, as the quality rules count them."),
        Column("line_count", "bigint", "Lines in `text`."),
        Column("pii_counts", "map<string,int>", "Placeholders put into `text`, by type."),
        Column("toxicity_score", "double", "Score of the toxicity rule, 0 to 1."),
        Column(
            "evaluation_item",
            "string",
            "`set/item` that it shares n-grams with, where the recipe keeps such documents.",
            nullable=True,
        ),
        _BUILD,
    ),
)

REMOVALS = Table(
    "removals",
    "One row an input record that is not in the corpus, with the reason: nothing disappears.",
    (
        *_ORIGIN,
        Column("stage", "string", "`refine` or `deduplicate` or `tokenize`."),
        Column("disposition", "string", "`removed` by a rule, or `quarantined` because it could not be read."),
        Column("rule", "string", "The rule or the error code, e.g. `gopher_quality:word_count`, `minhash`."),
        Column("score", "double", "What the rule measured.", nullable=True),
        Column("threshold", "double", "The bound that the score broke.", nullable=True),
        Column("matched_document_id", "string", "The kept document that this one duplicates.", nullable=True),
        Column("detail", "string", "For people: object, record, remedy.", nullable=True),
        _BUILD,
    ),
)

SIGNATURES = Table(
    "signatures",
    "One row a kept document: what later builds compare new documents with.",
    (
        Column("document_id", "string", "The document."),
        Column("source", "string", "Its source."),
        Column("priority", "int", "Priority of its source when it was kept; lower is kept first."),
        Column("content_hash", "string", "As in `documents`."),
        Column("url_hash", "string", "128-bit hash of the normalised URL.", nullable=True),
        Column("bands", "array<bigint>", "One 64-bit hash a MinHash-LSH band (arXiv 2107.06499, appendix A)."),
        Column("shingle_count", "int", "Distinct word shingles in the document."),
        _BUILD,
    ),
)

SEQUENCES = Table(
    "sequences",
    "The gold: packed token sequences of one fixed length, in training order (split, shard, position).",
    (
        Column("sequence_id", "string", "128-bit hash of the tokens and boundaries, 32 hex digits."),
        Column("split", "string", "`train` or `validation`."),
        Column("shard", "int", "Shard of this build; documents are dealt to shards by hash."),
        Column("position", "bigint", "Place in the shard after the keyed shuffle."),
        Column("token_ids", "array<int>", "Token ids, padded to the sequence length."),
        Column("token_count", "int", "Tokens without padding."),
        Column("document_ids", "array<string>", "The document of each piece, in order."),
        Column("document_offsets", "array<int>", "First token of each piece; attention must not cross them."),
        _BUILD,
    ),
)

CORPUS_TABLES = (DOCUMENTS, REMOVALS, SIGNATURES, SEQUENCES)
