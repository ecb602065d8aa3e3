"""Objects of the landing area: listing them, telling their versions apart, putting new ones there."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import posixpath
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from goldmill.landing.formats import DataType, data_type_of

ROOT_SOURCE = "root"
"""Source of objects that lie directly in the landing area, below no directory."""

_UNFINISHED_SUFFIXES = (".part", ".tmp", "~")
_STORE_ETAGS = ("ETag", "etag", "md5Hash", "content_md5", "md5", "generation", "checksum")
_STORE_TIMES = ("mtime", "LastModified", "last_modified", "updated", "created")
_COPY_BYTES = 1024 * 1024


class LandingError(Exception):
    """An object could not be put into the landing area; the message names object, need and remedy."""


@dataclass(frozen=True)
class LandedObject:
    """One version of one file in the landing area.

    Attributes:
        uri: address of the file, readable by fsspec.
        object_key: path relative to the landing root, with forward slashes.
        source: name of the source: the first component of ``object_key``.
        data_type: what the name promises: "jsonl", "parquet", "warc", "html", "markdown", "text", "code", "archive",
            "binary" or "unknown".
        size_bytes: size of the file.
        etag: changes whenever the content does; the store's own where it has one, else made of size and time.
    """

    uri: str
    object_key: str
    source: str
    data_type: DataType
    size_bytes: int
    etag: str


def list_objects(landing_uri: str) -> Iterator[LandedObject]:
    """All finished objects below ``landing_uri``, sorted by key.

    Hidden files and directories (leading dot), unfinished files (``.part``, ``.tmp``, ``~``), symbolic links to
    directories and anything that is no regular file are passed over. One directory is held in memory at a time. A
    landing area that does not exist yet is empty.
    """
    filesystem, root = fsspec.core.url_to_fs(landing_uri)
    root = root.rstrip("/")
    filesystem.invalidate_cache()
    for path, info in _walk(filesystem, root):
        landed = _landed(filesystem, path, path[len(root) :].lstrip("/"), info)
        if landed is not None:
            yield landed


def current_etag(uri: str) -> str:
    """The etag that ``list_objects`` would now report for the object at ``uri``.

    Raises:
        FileNotFoundError: if there is no such object (any more).
    """
    filesystem, path = fsspec.core.url_to_fs(uri)
    filesystem.invalidate_cache()
    return _version(filesystem, path, filesystem.info(path))[1]


def land_file(content: str | os.PathLike[str] | bytes, landing_uri: str, key: str) -> LandedObject:
    """Put a file into the landing area so that nobody ever sees a part of it.

    The bytes go to a hidden name beside the target, are flushed to the disk and then renamed.

    Args:
        content: path of a local file, or the bytes themselves.
        landing_uri: the landing root.
        key: where below the root, e.g. "books/2026/a.txt"; what is there is replaced.

    Raises:
        ValueError: if ``key`` is absolute, climbs out of the landing area or would be passed over by ``list_objects``.
        LandingError: if the store fails (for example a full disk); nothing of the file is left behind.
    """
    parts = key.split("/")
    if any(part in ("", ".", "..") or _is_passed_over(part) for part in parts):
        raise ValueError(
            f"object key {key!r}: each part must be a plain name that neither starts with a dot "
            f"nor ends in {', '.join(_UNFINISHED_SUFFIXES)}; rename it"
        )
    filesystem, root = fsspec.core.url_to_fs(landing_uri)
    target = posixpath.join(root, key)
    hidden = posixpath.join(posixpath.dirname(target), f".{parts[-1]}.part")
    needed = len(content) if isinstance(content, bytes) else None
    try:
        with io.BytesIO(content) if isinstance(content, bytes) else Path(content).open("rb") as source:
            if needed is None:
                needed = os.fstat(source.fileno()).st_size
            filesystem.makedirs(posixpath.dirname(target), exist_ok=True)
            _write(filesystem, source, hidden)
        if isinstance(filesystem, LocalFileSystem):
            Path(hidden).replace(target)
            _sync_directory(Path(target).parent)
        else:
            filesystem.mv(hidden, target)
    except OSError as error:
        with contextlib.suppress(OSError):
            filesystem.rm(hidden)
        raise LandingError(_failure(key, landing_uri, filesystem, root, needed, error)) from error
    filesystem.invalidate_cache()
    landed = _landed(filesystem, target, key, filesystem.info(target))
    if landed is None:
        raise LandingError(f"object {key}: it vanished from {landing_uri} as it was put there; land it again")
    return landed


def _is_passed_over(name: str) -> bool:
    return name.startswith(".") or name.endswith(_UNFINISHED_SUFFIXES)


def _walk(filesystem: Any, directory: str) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        entries = filesystem.ls(directory, detail=True)
    except FileNotFoundError:
        return
    named = {}
    for info in entries:
        path = info["name"].rstrip("/")
        if not path.startswith("/") and directory.startswith("/"):
            path = f"/{path}"
        # Some object stores list a zero-byte marker for the directory itself.
        if path != directory and not _is_passed_over(posixpath.basename(path)):
            # The slash makes this order the order of whole keys: "a-b" comes before "a/b".
            named[f"{path}/" if info["type"] == "directory" else path] = (path, info)
    for _, (path, info) in sorted(named.items()):
        if info["type"] == "file":
            yield path, info
        elif info["type"] == "directory" and not info.get("islink"):
            yield from _walk(filesystem, path)


def _landed(filesystem: Any, path: str, key: str, info: Mapping[str, Any]) -> LandedObject | None:
    try:
        size_bytes, etag = _version(filesystem, path, info)
    except FileNotFoundError:
        # Removed since the directory was listed, or a link that leads nowhere: not there.
        return None
    source = key.partition("/")[0] if "/" in key else ROOT_SOURCE
    uri = path if isinstance(filesystem, LocalFileSystem) else str(filesystem.unstrip_protocol(path))
    return LandedObject(uri, key, source, data_type_of(key), size_bytes, etag)


def _version(filesystem: Any, path: str, info: Mapping[str, Any]) -> tuple[int, str]:
    if isinstance(filesystem, LocalFileSystem):
        # fsspec reports times as floats, which cannot hold nanoseconds.
        status = Path(path).stat()
        return status.st_size, f"{status.st_size}-{status.st_mtime_ns}"
    size_bytes = int(info["size"])
    for field in _STORE_ETAGS:
        if info.get(field):
            return size_bytes, str(info[field]).strip('"')
    # A listing and a look at one file may write the same time differently.
    info = filesystem.info(path)
    times = [str(info[field]) for field in _STORE_TIMES if info.get(field)]
    return size_bytes, "-".join([str(size_bytes), *times])


def _write(filesystem: Any, source: IO[bytes], path: str) -> None:
    if isinstance(filesystem, LocalFileSystem):
        with Path(path).open("wb") as target:
            shutil.copyfileobj(source, target, _COPY_BYTES)
            target.flush()
            os.fsync(target.fileno())
    else:
        with filesystem.open(path, "wb") as target:
            shutil.copyfileobj(source, target, _COPY_BYTES)


def _sync_directory(path: Path) -> None:
    # Without this a crash of the machine may undo the rename.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failure(key: str, landing_uri: str, filesystem: Any, root: str, needed: int | None, error: OSError) -> str:
    problem = f"object {key}: could not be landed in {landing_uri} ({error.strerror or error})"
    if needed is not None:
        problem += f"; {needed} bytes are needed"
    if isinstance(filesystem, LocalFileSystem):
        with contextlib.suppress(OSError):
            problem += f", {shutil.disk_usage(root).free} bytes are free"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{problem}; free space there or point the landing area to a larger disk, then land the object again"
    return f"{problem}; check that the file can be read and the landing area be written, then land the object again"
