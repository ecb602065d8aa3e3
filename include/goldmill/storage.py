"""Small files by URI: specs, reports, manifests. One place, so that all of them are written whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fsspec
from fsspec.core import url_to_fs

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


def read_bytes(uri: str) -> bytes:
    """The content of a file.

    Raises:
        FileNotFoundError: there is no such file.
    """
    with fsspec.open(uri, "rb") as file:
        content: bytes = file.read()
    return content


def read_text(uri: str) -> str:
    """The content of a UTF-8 file.

    Raises:
        FileNotFoundError: there is no such file.
    """
    return read_bytes(uri).decode()


def write_bytes(uri: str, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    Object stores do that by themselves; in a file system the new content is written beside and moved over.
    """
    filesystem, path = url_to_fs(uri)
    filesystem.makedirs(_parent(filesystem, path), exist_ok=True)
    if "file" not in filesystem.protocol:
        filesystem.pipe_file(path, content)
        return
    beside = f"{path}.part"
    filesystem.pipe_file(beside, content)
    filesystem.mv(beside, path)


def write_text(uri: str, content: str) -> None:
    """Write a UTF-8 file whole."""
    write_bytes(uri, content.encode())


def exists(uri: str) -> bool:
    """Whether there is a file or a directory."""
    filesystem, path = url_to_fs(uri)
    return bool(filesystem.exists(path))


def list_files(uri: str) -> list[str]:
    """The files in a directory, sorted; none where there is no such directory."""
    filesystem, path = url_to_fs(uri)
    if not filesystem.exists(path):
        return []
    return sorted(str(filesystem.unstrip_protocol(name)) for name in filesystem.ls(path, detail=False))


def delete(uri: str) -> None:
    """Remove a file, or a directory with all that is in it; nothing happens where there is none."""
    filesystem, path = url_to_fs(uri)
    if filesystem.exists(path):
        filesystem.rm(path, recursive=True)


def _parent(filesystem: AbstractFileSystem, path: str) -> str:
    parent: str = filesystem._parent(path)
    return parent
