"""Parquet: one document a row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from goldmill.landing.context import PARSER_ERRORS, Place
from goldmill.landing.records import Fault, Record, Unreadable

_BATCH_BYTES = 8 * 1024 * 1024
_MAX_BATCH_ROWS = 1024
# A footer that claims more than this is damaged: Thrift would allocate what it claims.
_MAX_FOOTER_ITEMS = 10_000_000
_MAX_FOOTER_STRING_BYTES = 100_000_000


def read_parquet(file: IO[bytes], name: str, place: Place) -> Iterator[Record | Fault]:
    """Records of a Parquet file, by the columns that the limits name, one row group after the other.

    A row group that cannot be read costs its own rows only. Rows count from 0.

    Raises:
        Unreadable: if there is no readable footer, or no column of text.
    """
    try:
        parquet = pq.ParquetFile(
            pa.PythonFile(file, mode="r"),
            buffer_size=1024 * 1024,
            pre_buffer=False,
            page_checksum_verification=True,
            thrift_container_size_limit=_MAX_FOOTER_ITEMS,
            thrift_string_size_limit=_MAX_FOOTER_STRING_BYTES,
        )
        schema = parquet.schema_arrow
    except PARSER_ERRORS as error:
        raise Unreadable(
            "corrupt_parquet", f"has no readable Parquet footer ({error})", "write the file again"
        ) from error
    columns = _Columns(schema, place)
    first_row = 0
    for group in range(parquet.metadata.num_row_groups):
        metadata = parquet.metadata.row_group(group)
        rows = metadata.num_rows
        read = 0
        try:
            for batch in parquet.iter_batches(
                batch_size=_batch_rows(metadata), row_groups=[group], columns=columns.names, use_threads=False
            ):
                yield from columns.records(batch, first_row + read, name)
                read += batch.num_rows
        except PARSER_ERRORS as error:
            yield place.inside(f"row:{first_row + read}").fault(
                "corrupt_parquet",
                f"rows {first_row + read} to {first_row + rows - 1} cannot be read ({error})",
                "write the file again",
            )
        first_row += rows


class _Columns:
    """The columns of a file that make up its records."""

    def __init__(self, schema: pa.Schema, place: Place) -> None:
        limits = place.limits
        texts = [(field, "text/plain") for field in limits.text_fields if _is_text(schema, field)]
        pages = [(field, "text/html") for field in limits.html_fields if _is_text(schema, field)]
        self._contents = texts + pages
        self._urls = [field for field in limits.url_fields if _is_text(schema, field)]
        self._place = place
        self.names = [field for field, _ in self._contents] + self._urls
        if not self._contents:
            wanted = ", ".join((*limits.text_fields, *limits.html_fields))
            raise Unreadable(
                "missing_text",
                f"has a text column named neither of {wanted}; its columns are {', '.join(schema.names)}",
                "name the column that holds the text in read.text_fields",
            )

    def records(self, batch: pa.RecordBatch, first_row: int, name: str) -> Iterator[Record | Fault]:
        # As bytes: Parquet promises UTF-8 in strings but nothing keeps that promise.
        columns = {field: batch.column(field).cast(pa.large_binary()) for field in self.names}
        for column in columns.values():
            column.validate(full=True)
        for row in range(batch.num_rows):
            yield self._record(columns, row, self._place.inside(f"row:{first_row + row}"), name)

    def _record(self, columns: dict[str, Any], row: int, here: Place, name: str) -> Record | Fault:
        for field, media_type in self._contents:
            value = columns[field][row]
            if not value.is_valid:
                continue
            size_bytes = value.as_buffer().size
            if size_bytes > here.limits.max_record_bytes:
                return here.oversized(size_bytes)
            payload = value.as_py()
            if payload and not payload.isspace():
                return Record(here.record_path, media_type, payload, self._url(columns, row), "utf-8", name)
        return here.fault(
            "missing_text",
            f"has text in none of the columns {', '.join(field for field, _ in self._contents)}",
            "leave the row out",
        )

    def _url(self, columns: dict[str, Any], row: int) -> str | None:
        for field in self._urls:
            url = columns[field][row].as_py()
            if url:
                return str(url.decode("utf-8", "replace"))
        return None


def _is_text(schema: pa.Schema, field: str) -> bool:
    if len(schema.get_all_field_indices(field)) != 1:
        return False
    kind = schema.field(field).type
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def _batch_rows(metadata: Any) -> int:
    bytes_a_row = metadata.total_byte_size / max(metadata.num_rows, 1)
    return int(min(max(_BATCH_BYTES / max(bytes_a_row, 1), 1), _MAX_BATCH_ROWS))
