"""How much of one landed object is read before it is refused, and where its text is looked for."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

MEBIBYTE = 1024 * 1024
GIBIBYTE = 1024 * MEBIBYTE


class ReadLimits(BaseModel):
    """Limits that keep one hostile or broken object from filling memory or disk, and the field names of records.

    Deflate expands at most 1032 to 1 (zlib technical notes) and prose or code rarely 20 to 1, so that an object which
    as a whole passes ``max_expansion_ratio`` is either a bomb or a single repeated pattern.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_record_bytes: int = Field(
        default=32 * MEBIBYTE, ge=1, description="Longest record, in bytes: a line, a web page, a file in an archive."
    )
    max_archive_entries: int = Field(
        default=200_000, ge=1, description="Members read from the archives of one object, nested ones included."
    )
    max_expansion_ratio: float = Field(
        default=200.0, gt=1, description="Expanded bytes of an object, over all nested layers, per byte as landed."
    )
    expansion_grace_bytes: int = Field(
        default=64 * MEBIBYTE, ge=0, description="Expanded bytes up to which the expansion ratio is not judged."
    )
    max_expanded_bytes: int = Field(
        default=64 * GIBIBYTE, ge=1, description="Expanded bytes of one object, over all nested layers."
    )
    max_nesting: int = Field(
        default=3, ge=1, description="Layers of archives or compressed files inside each other; .tar.gz is one layer."
    )
    text_fields: tuple[str, ...] = Field(
        default=("text", "content", "raw_content"),
        description="Fields of JSON and columns of Parquet records that hold plain text; the first one present wins.",
    )
    html_fields: tuple[str, ...] = Field(
        default=("html",), description="Fields or columns that hold HTML, read where no text field is present."
    )
    url_fields: tuple[str, ...] = Field(
        default=("url", "uri", "source_url"), description="Fields or columns that hold the address of the record."
    )
