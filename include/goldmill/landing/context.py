"""Where a reader stands inside an object, and how it speaks about that place."""

from __future__ import annotations

import lzma
import struct
import tarfile
import zipfile
import zlib
from dataclasses import dataclass, replace

import pyarrow as pa

from goldmill.landing.records import Fault, Unreadable
from goldmill.landing.streams import Budget
from goldmill.rules.reading import ReadLimits

# What the standard library's and Arrow's parsers are known to raise on hostile bytes. StorageError is none of them.
PARSER_ERRORS = (
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
    lzma.LZMAError,
    pa.ArrowException,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class Place:
    """A place inside an object.

    Attributes:
        object_key: key of the object.
        record_path: path of the place inside the object; "" for the object itself.
        depth: layers of archives and compressed files around the place.
        budget: what reading the object has cost; shared by all its places.
    """

    object_key: str
    record_path: str
    depth: int
    budget: Budget

    @property
    def limits(self) -> ReadLimits:
        """The limits of the object."""
        return self.budget.limits

    def inside(self, step: str) -> Place:
        """The place that ``step`` ("line:3", "member:a.txt") leads to from here."""
        return replace(self, record_path=f"{self.record_path}/{step}" if self.record_path else step)

    def deeper(self) -> Place:
        """This place, one layer further in.

        Raises:
            Unreadable: if that is too deep.
        """
        if self.depth >= self.limits.max_nesting:
            raise Unreadable(
                "archive_bomb",
                f"is more than {self.limits.max_nesting} archives or compressed files deep",
                "unpack it before landing it, or raise read.max_nesting",
            )
        return replace(self, depth=self.depth + 1)

    def fault(self, code: str, problem: str, remedy: str) -> Fault:
        """Say that what is here cannot be read: ``problem`` goes on from the name of the place ("is empty")."""
        record = f", record {self.record_path}" if self.record_path else ""
        return Fault(self.record_path, code, f"object {self.object_key}{record}: {problem}; {remedy}")

    def oversized(self, size_bytes: int | None = None) -> Fault:
        """Say that the record here is too large; ``size_bytes`` where its size is known."""
        size = "holds" if size_bytes is None else f"holds {size_bytes} bytes,"
        return self.fault(
            "oversized_record",
            f"{size} more than the {self.limits.max_record_bytes} bytes of a record",
            "split it, or raise read.max_record_bytes",
        )
