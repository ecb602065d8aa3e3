"""Byte streams that stay small: bounded buffers, decompression in steps, and an account of what was expanded."""

from __future__ import annotations

import bz2
import errno
import lzma
import tempfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Protocol, TypeVar

import pyarrow as pa

from goldmill.landing.formats import Compression
from goldmill.landing.records import LimitExceeded, StorageError, Unreadable
from goldmill.rules.reading import ReadLimits

T = TypeVar("T")

CHUNK_BYTES = 256 * 1024
_SPOOL_BYTES = 8 * 1024 * 1024
# xz -9 needs 65 MiB to expand; a header may ask for 4 GiB.
_XZ_MEMORY_BYTES = 256 * 1024 * 1024


class Budget:
    """What reading one object has cost so far, against its limits.

    Args:
        limits: the limits.
        landed_bytes: size of the object as it lies in the landing area, in bytes.
    """

    def __init__(self, limits: ReadLimits, landed_bytes: int) -> None:
        self.limits = limits
        self.exhausted = False
        self._landed_bytes = max(landed_bytes, 1)
        self._expanded_bytes = 0
        self._entries = 0

    def charge_bytes(self, count: int) -> None:
        """Account for ``count`` bytes that came out of a compressed layer.

        Raises:
            LimitExceeded: if the object has expanded too far.
        """
        self._expanded_bytes += count
        if self._expanded_bytes > self.limits.max_expanded_bytes:
            raise LimitExceeded(
                f"expands to more than {self.limits.max_expanded_bytes} bytes",
                "split it, or raise read.max_expanded_bytes if the source is trusted",
            )
        ratio = self._expanded_bytes / self._landed_bytes
        if self._expanded_bytes > self.limits.expansion_grace_bytes and ratio > self.limits.max_expansion_ratio:
            raise LimitExceeded(
                f"expands to more than {self.limits.max_expansion_ratio:g} times its {self._landed_bytes} bytes",
                "remove it, or raise read.max_expansion_ratio if the source is trusted",
            )

    def charge_entry(self) -> None:
        """Account for one member of an archive.

        Raises:
            LimitExceeded: if the object holds too many.
        """
        self._entries += 1
        self.check_entries(self._entries)

    def check_entries(self, count: int) -> None:
        """Refuse an archive that says it holds ``count`` members if they are too many.

        Raises:
            LimitExceeded: if they are.
        """
        if count > self.limits.max_archive_entries:
            raise LimitExceeded(
                f"holds more than {self.limits.max_archive_entries} archive members",
                "split it, or raise read.max_archive_entries if the source is trusted",
            )


class ByteStream:
    """A forward-only stream over an iterator of byte chunks.

    An error raised by the iterator is held back until all bytes before it were read, and is raised again on every
    further read: what precedes the damage stays readable, and nobody takes damage for an end.

    Args:
        chunks: the bytes, in chunks of any size.
        file: the seekable file whose content the stream is, if there is one.
    """

    def __init__(self, chunks: Iterator[bytes], file: IO[bytes] | None = None) -> None:
        self._chunks = chunks
        self._file = file
        self._buffer = bytearray()
        self._failure: Exception | None = None
        self._ended = False

    @property
    def closed(self) -> bool:
        """False: the stream needs no closing, but file-like consumers ask."""
        return False

    def close(self) -> None:
        """Do nothing; whoever made the chunks owns what they come from."""

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes, fewer only before the end or before damage; b"" at the end."""
        if size < 0:
            while self._fill():
                pass
        while len(self._buffer) < size and self._fill():
            pass
        if not self._buffer and size != 0:
            self._raise_failure()
        if size < 0 or size >= len(self._buffer):
            taken = bytes(self._buffer)
            self._buffer.clear()
        else:
            taken = bytes(memoryview(self._buffer)[:size])
            del self._buffer[:size]
        return taken

    def peek(self, size: int) -> bytes:
        """The next ``size`` bytes, or fewer at the end, without consuming them."""
        while len(self._buffer) < size and self._fill():
            pass
        if not self._buffer:
            self._raise_failure()
        return bytes(memoryview(self._buffer)[:size])

    def readline(self, limit: int) -> bytes:
        """The next line with its line feed, cut after ``limit`` bytes; b"" at the end."""
        searched = 0
        while True:
            found = self._buffer.find(b"\n", searched, limit)
            if found >= 0:
                return self.read(found + 1)
            searched = len(self._buffer)
            if searched >= limit or not self._fill():
                return self.read(limit)

    def unread(self, data: bytes) -> None:
        """Put ``data`` back in front of what is still to be read."""
        self._buffer[:0] = data

    def chunks(self) -> Iterator[bytes]:
        """What is left, in chunks of any size."""
        while self._buffer or self._fill():
            chunk = bytes(self._buffer)
            self._buffer.clear()
            yield chunk
        self._raise_failure()

    def seekable(self) -> IO[bytes]:
        """The content as a seekable file: the underlying file where there is one, else a copy (on disk if large).

        The stream is used up. The caller closes the file.
        """
        if self._file is not None:
            self._file.seek(0)
            return self._file
        copy: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115 (the caller closes it)
        try:
            for chunk in self.chunks():
                copy.write(chunk)
        except BaseException:
            copy.close()
            raise
        copy.seek(0)
        return copy

    def _fill(self) -> bool:
        if self._ended:
            return False
        try:
            self._buffer += next(self._chunks)
        except StopIteration:
            self._ended = True
        except Exception as error:  # noqa: BLE001 (whatever it is, it is raised again when reading gets there)
            self._ended = True
            self._failure = error
        return not self._ended

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def file_chunks(file: _Readable, size: int = CHUNK_BYTES) -> Iterator[bytes]:
    """The content of ``file`` from where it stands, in chunks of up to ``size`` bytes."""
    while chunk := file.read(size):
        yield chunk


class StoredFile:
    """A seekable file of the landing area whose failures are told apart from those of parsers above it.

    Raises:
        StorageError: from any method, if the store fails.
    """

    def __init__(self, file: IO[bytes], uri: str) -> None:
        self._file = file
        self._uri = uri

    @property
    def closed(self) -> bool:
        """Whether the file was closed."""
        return bool(self._file.closed)

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes, all of the rest if negative."""
        return self._guard(lambda: self._file.read(size))

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to ``offset`` bytes; returns the new position.

        Raises:
            OSError: (EINVAL) if that is before the start, where damaged files send their parsers.
        """
        try:
            return self._file.seek(offset, whence)
        except ValueError as error:
            raise OSError(errno.EINVAL, str(error)) from error
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise
            raise self._failure(error) from error

    def tell(self) -> int:
        """The position in bytes."""
        return self._guard(self._file.tell)

    def seekable(self) -> bool:
        """True."""
        return True

    def readable(self) -> bool:
        """True."""
        return True

    def flush(self) -> None:
        """Do nothing: the file is only read."""

    def close(self) -> None:
        """Close the file; closing again does nothing."""
        self._file.close()

    def _guard(self, operation: Callable[[], T]) -> T:
        try:
            return operation()
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> StorageError:
        return StorageError(f"object {self._uri}: the store failed ({error}); try again")


def expand(source: ByteStream, compression: Compression, budget: Budget) -> ByteStream:
    """Undo one layer of ``compression``; the stream given back raises ``Unreadable`` where the layer is damaged."""
    return ByteStream(_charged(_EXPANDERS[compression](source), budget))


def _charged(chunks: Iterator[bytes], budget: Budget) -> Iterator[bytes]:
    for chunk in chunks:
        budget.charge_bytes(len(chunk))
        yield chunk


def _truncated(layer: str) -> Unreadable:
    return Unreadable(f"truncated_{layer}", f"the {layer} data ends too early", "fetch the object again in full")


def _corrupt(layer: str, error: Exception | str) -> Unreadable:
    return Unreadable(f"corrupt_{layer}", f"the {layer} data is damaged ({error})", "fetch the object again")


def _expand_gzip(source: ByteStream) -> Iterator[bytes]:
    pending = source.read(CHUNK_BYTES)
    while pending:
        engine = zlib.decompressobj(wbits=31)
        while not engine.eof:
            pending = pending or source.read(CHUNK_BYTES)
            at_end = not pending
            try:
                expanded = engine.decompress(pending, CHUNK_BYTES)
            except zlib.error as error:
                raise _corrupt("gzip", error) from error
            pending = engine.unconsumed_tail
            if expanded:
                yield expanded
            elif at_end and not engine.eof:
                raise _truncated("gzip")
        # Members may follow each other (RFC 1952, section 2.2); zero padding after the last is common on tapes.
        pending = _skip_padding(engine.unused_data, source)


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def _expand_by(layer: str, start: Callable[[], _Decompressor], source: ByteStream) -> Iterator[bytes]:
    pending = source.read(CHUNK_BYTES)
    while pending:
        engine = start()
        while not engine.eof:
            if engine.needs_input and not pending:
                pending = source.read(CHUNK_BYTES)
                if not pending:
                    raise _truncated(layer)
            try:
                expanded = engine.decompress(pending, CHUNK_BYTES)
            except (OSError, ValueError, EOFError, lzma.LZMAError) as error:
                raise _corrupt(layer, error) from error
            pending = b""
            if expanded:
                yield expanded
        pending = _skip_padding(engine.unused_data, source)


def _skip_padding(data: bytes, source: ByteStream) -> bytes:
    data = data.lstrip(b"\0")
    while not data:
        more = source.read(CHUNK_BYTES)
        if not more:
            break
        data = more.lstrip(b"\0")
    return data


def _expand_bzip2(source: ByteStream) -> Iterator[bytes]:
    return _expand_by("bzip2", bz2.BZ2Decompressor, source)


def _expand_xz(source: ByteStream) -> Iterator[bytes]:
    return _expand_by("xz", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES), source)


def _expand_zstd(source: ByteStream) -> Iterator[bytes]:
    # Arrow tells a cut frame from an end, which the zstandard package does not, and takes frame after frame.
    stream = pa.CompressedInputStream(pa.PythonFile(source, mode="r"), "zstd")
    while True:
        try:
            expanded = stream.read(CHUNK_BYTES)
        except OSError as error:
            raise (_truncated("zstd") if "runcated" in str(error) else _corrupt("zstd", error)) from error
        if not expanded:
            return
        yield expanded


_EXPANDERS: dict[Compression, Callable[[ByteStream], Iterator[bytes]]] = {
    "gzip": _expand_gzip,
    "bzip2": _expand_bzip2,
    "xz": _expand_xz,
    "zstd": _expand_zstd,
}
