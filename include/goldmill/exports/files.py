"""The files of one shard for trainers, written whole and with their checksums."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.dataset as ds
from fsspec.core import url_to_fs

from goldmill.exports.megatron import write_megatron
from goldmill.exports.tfrecord import write_tfrecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsspec import AbstractFileSystem

_BATCH_ROWS = 256

EXPORT_SCHEMA = pa.schema(
    [
        ("split", pa.string()),
        ("shard", pa.int32()),
        ("format", pa.string()),
        ("uri", pa.string()),
        ("size_bytes", pa.int64()),
        ("sha256", pa.string()),
        ("sequences", pa.int64()),
    ]
)
"""Columns of :class:`ExportedFile`."""


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file that a trainer reads."""

    split: str
    shard: int
    format: str
    uri: str
    size_bytes: int
    sha256: str
    sequences: int

    def as_row(self) -> dict[str, Any]:
        """As a row of a table."""
        return asdict(self)


def export_shard(sequences_uri: str, exports_uri: str, split: str, shard: int, vocab_size: int) -> list[ExportedFile]:
    """Write the sequences of one shard as TFRecord and as a Megatron pair of files.

    The content of the files depends on the sequences alone, so writing them again replaces them by the same bytes.

    Args:
        sequences_uri: directory of Parquet files below ``split=<split>/shard=<shard>``, in training order.
        exports_uri: directory to write to.
        split: the split.
        shard: the shard.
        vocab_size: one more than the largest token id; decides the width of Megatron's ids.
    """
    stem = f"{split}-{shard:05d}"
    with _Draft(exports_uri, f"{stem}.tfrecord") as records:
        count = write_tfrecord(records.file, _batches(sequences_uri, split, shard))
    with _Draft(exports_uri, f"{stem}.bin") as tokens, _Draft(exports_uri, f"{stem}.idx") as index:
        write_megatron(tokens.file, index.file, _batches(sequences_uri, split, shard), vocab_size=vocab_size)
    return [
        ExportedFile(split, shard, kind, draft.uri, draft.file.size_bytes, draft.file.sha256, count)
        for kind, draft in (("tfrecord", records), ("megatron_bin", tokens), ("megatron_idx", index))
    ]


def _batches(sequences_uri: str, split: str, shard: int) -> Iterator[pa.RecordBatch]:
    filesystem, path = url_to_fs(f"{sequences_uri}/split={split}/shard={shard}")
    files = sorted(name for name in filesystem.ls(path, detail=False) if name.endswith(".parquet"))
    for file in files:
        yield from ds.dataset(file, filesystem=filesystem, format="parquet").to_batches(
            batch_size=_BATCH_ROWS, use_threads=False
        )


class _HashingFile:
    """A file being written, hashed on the way."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self.size_bytes += len(data)
        return self._file.write(data)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


class _Draft:
    """A file that has its name only when it is complete."""

    def __init__(self, directory: str, name: str) -> None:
        self._filesystem: AbstractFileSystem
        self._filesystem, path = url_to_fs(directory)
        self._filesystem.makedirs(path, exist_ok=True)
        self._path = f"{path}/{name}"
        self._draft = f"{path}/.{name}.part"
        self.uri = f"{directory}/{name}"

    @property
    def file(self) -> Any:
        """The file to write to; has the size and the hash afterwards."""
        return self._hashing

    def __enter__(self) -> _Draft:
        self._file = cast("BinaryIO", self._filesystem.open(self._draft, "wb"))
        self._hashing = _HashingFile(self._file)
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._file.close()
        if error is None:
            self._filesystem.mv(self._draft, self._path)
        else:
            self._filesystem.rm(self._draft)
