"""Zip and tar archives: one or more documents a member, nothing ever written to disk under a member's name."""

from __future__ import annotations

import re
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from typing import IO, cast

from goldmill.landing.context import PARSER_ERRORS, Place
from goldmill.landing.formats import format_of
from goldmill.landing.records import Fault, LimitExceeded, Record, Unreadable
from goldmill.landing.streams import CHUNK_BYTES, ByteStream, file_chunks

ReadMember = Callable[[ByteStream, str, Place], Iterator[Record | Fault]]
"""Reads the content of one member, given its stream, name and place."""

# Headers that carry a long name or extended attributes: the tar module reads them whole.
_EXTENSION_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_MAX_EXTENSION_BYTES = 1024 * 1024
_TAR_BUFFER_BYTES = 64 * 1024
_DRIVE = re.compile(r"[A-Za-z]:")

# Zip: end of central directory (APPNOTE 4.3.16) and its 64-bit form (4.3.14, 4.3.15).
_END = struct.Struct("<4s4H2LH")
_END_MAGIC = b"PK\x05\x06"
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_MAX_COMMENT_BYTES = 65535
_DIRECTORY_BYTES_A_MEMBER = 512
_ENCRYPTED = 0x1
# Without the 64-bit form the count has 16 bits; some writers let it wrap.
_ENTRIES_MODULUS = 65536


def read_tar(stream: ByteStream, place: Place, read_member: ReadMember) -> Iterator[Record | Fault]:
    """Records of the members of a tar archive, in their order, in one pass.

    Raises:
        Unreadable: where the archive is damaged; what lies behind that cannot be found.
    """
    names: dict[str, int] = {}
    try:
        # In this mode the module does nothing but read, forwards.
        archive = _Tar.open(fileobj=cast("IO[bytes]", stream), mode="r|", bufsize=_TAR_BUFFER_BYTES)
    except PARSER_ERRORS as error:
        raise _corrupt("tar", error) from error
    with archive:
        while True:
            try:
                member = archive.next()
            except PARSER_ERRORS as error:
                raise _corrupt("tar", error) from error
            if member is None:
                break
            # The module remembers every member for random access, which a stream has no use for.
            archive.members.clear()
            if member.isdir():
                continue
            here, refusal = _enter(member.name, names, place)
            if refusal is not None:
                yield refusal
            elif member.issym() or member.islnk():
                # The file that it points at is a member itself, or lies outside and is none of ours.
                continue
            elif not member.isreg() or member.issparse():
                yield here.fault("unsupported_type", "is no regular file", "archive plain files only")
            else:
                content = archive.extractfile(member)
                if content is not None:
                    yield from _read(_tar_chunks(content), member.name, member.size, here, read_member)
            if place.budget.exhausted:
                return
        _check_end(archive)


def read_zip(file: IO[bytes], place: Place, read_member: ReadMember) -> Iterator[Record | Fault]:
    """Records of the members of a zip archive, in the order of its directory.

    Raises:
        Unreadable: if the directory cannot be read.
        LimitExceeded: if it lists too many members.
    """
    entries = _check_directory(file, place)
    try:
        archive = zipfile.ZipFile(file)
    except PARSER_ERRORS as error:
        raise _corrupt("zip", error) from error
    names: dict[str, int] = {}
    with archive:
        if len(archive.infolist()) % _ENTRIES_MODULUS != entries % _ENTRIES_MODULUS:
            yield place.fault(
                "corrupt_zip",
                f"the zip directory lists {len(archive.infolist())} members instead of {entries}",
                "fetch the object again",
            )
        for member in archive.infolist():
            if member.is_dir():
                continue
            here, refusal = _enter(member.filename, names, place)
            if refusal is not None:
                yield refusal
            elif stat.S_ISLNK(member.external_attr >> 16):
                continue
            elif member.flag_bits & _ENCRYPTED:
                yield here.fault("encrypted_member", "is encrypted", "decrypt it before landing it")
            else:
                chunks = _zip_chunks(archive, member, place)
                yield from _read(chunks, member.filename, member.file_size, here, read_member)
            if place.budget.exhausted:
                return


class _TarInfo(tarfile.TarInfo):
    """A header that cannot make the tar module read a gigabyte of attributes, and that tells how the archive ends."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _TarInfo:
        header = super().frombuf(buf, encoding, errors)
        if header.type in _EXTENSION_HEADERS and header.size > _MAX_EXTENSION_BYTES:
            raise tarfile.ReadError(f"an extension header claims {header.size} bytes")
        return header

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> _TarInfo:  # named so by the base class
        try:
            return super().fromtarfile(tarfile)
        except Exception as error:
            # The module takes a damaged header behind the first member for the end of the archive.
            if isinstance(tarfile, _Tar):
                tarfile.end = type(error).__name__
            raise


class _Tar(tarfile.TarFile):
    """A tar archive that remembers what ended it: "EOFHeaderError" if that was its end mark."""

    tarinfo = _TarInfo
    members: list[tarfile.TarInfo]
    end = ""


def _enter(name: str, names: dict[str, int], place: Place) -> tuple[Place, Fault | None]:
    """The place of the member ``name``, and why it must not be read if so."""
    place.budget.charge_entry()
    # Names are bytes in a tar; those that are no UTF-8 come as lone surrogates, which no table takes.
    name = name.encode("utf-8", "backslashreplace").decode()
    # An archive may hold a name twice, but no two records of an object may share a path.
    seen = names.get(name, 0) + 1
    unique = name
    while unique in names:
        unique = f"{name}#{seen}"
        seen += unique in names
    names[name] = seen
    names.setdefault(unique, 1)
    here = place.inside(f"member:{unique}")
    parts = name.replace("\\", "/").split("/")
    if parts[0] == "" or ".." in parts or _DRIVE.match(name):
        return here, here.fault(
            "archive_path_escape", "has a name that leads out of the archive", "archive it again with relative names"
        )
    return here, None


def _read(
    chunks: Iterator[bytes], name: str, size_bytes: int, here: Place, read_member: ReadMember
) -> Iterator[Record | Fault]:
    kind = format_of(name)
    is_single_record = kind.compression is None and kind.data_type in ("html", "markdown", "text", "code")
    if size_bytes == 0:
        yield here.fault("empty_object", "is empty", "leave it out")
    elif is_single_record and size_bytes > here.limits.max_record_bytes:
        yield here.oversized(size_bytes)
    else:
        yield from read_member(ByteStream(chunks), name, here)


def _tar_chunks(content: IO[bytes]) -> Iterator[bytes]:
    try:
        yield from file_chunks(content)
    except tarfile.TarError as error:
        raise Unreadable(
            "truncated_tar", f"the tar archive ends within it ({error})", "fetch the object again in full"
        ) from error


def _check_end(archive: _Tar) -> None:
    """Refuse to take an archive for whole if its end mark is missing or followed by more than padding."""
    if archive.end == "EmptyHeaderError":
        raise Unreadable(
            "truncated_tar", "the tar archive has no end mark: members may be missing", "fetch the object again in full"
        )
    if archive.end != "EOFHeaderError":
        raise _corrupt("tar", "a member's header is not valid; what follows it cannot be found")
    if archive.fileobj is not None and any(chunk.strip(b"\0") for chunk in file_chunks(archive.fileobj)):
        raise _corrupt("tar", "there is data behind its end mark; if archives were joined, land them one by one")


def _zip_chunks(archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: Place) -> Iterator[bytes]:
    try:
        with archive.open(member) as content:
            for chunk in file_chunks(content, CHUNK_BYTES):
                place.budget.charge_bytes(len(chunk))
                yield chunk
    except LimitExceeded:
        raise
    except PARSER_ERRORS as error:
        raise _corrupt("zip", error) from error


def _check_directory(file: IO[bytes], place: Place) -> int:
    """Look at what the archive says of its directory before the zip module reads it into memory.

    Returns:
        The number of members that it claims to list.
    """
    size = file.seek(0, 2)
    file.seek(max(size - _END.size - _MAX_COMMENT_BYTES - _END64_LOCATOR.size, 0))
    tail = file.read(_END.size + _MAX_COMMENT_BYTES + _END64_LOCATOR.size)
    found = tail.rfind(_END_MAGIC)
    if found < 0 or len(tail) - found < _END.size:
        raise Unreadable("truncated_zip", "has no zip directory at its end", "fetch the object again in full")
    *_, entries, directory_bytes, _offset, _comment = _END.unpack_from(tail, found)
    if found >= _END64_LOCATOR.size:
        magic, _disk, position, _disks = _END64_LOCATOR.unpack_from(tail, found - _END64_LOCATOR.size)
        if magic == b"PK\x06\x07" and position < size:
            file.seek(position)
            record = file.read(_END64.size)
            if len(record) == _END64.size:
                *_, entries, directory_bytes, _offset = _END64.unpack(record)
    # The count may lie; the size cannot, for the module reads just that much.
    place.budget.check_entries(max(entries, directory_bytes // _DIRECTORY_BYTES_A_MEMBER))
    file.seek(0)
    return int(entries)


def _corrupt(kind: str, error: Exception | str) -> Unreadable:
    return Unreadable(f"corrupt_{kind}", f"the {kind} archive is damaged ({error})", "fetch the object again")
