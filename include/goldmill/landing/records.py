"""What readers give out: records, and faults where there should have been records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Record:
    """One candidate for a document.

    Attributes:
        record_path: where it lies inside its object: "" for a plain file, else e.g. "line:12", "row:7",
            "member:a/b.py", "warc:<urn:uuid:...>", "member:x.jsonl/line:3".
        media_type: of ``payload``, e.g. "text/html", "text/plain", "text/x-python".
        payload: bytes as stored, still to be decoded, or text where the format itself fixes the encoding.
        url: address of the record, None where it has none.
        declared_encoding: what the record says its encoding is (often wrong), None where it says nothing.
        file_name: name of the file that holds the record's text alone; the object's or member's name otherwise.
    """

    record_path: str
    media_type: str
    payload: bytes | str
    url: str | None
    declared_encoding: str | None
    file_name: str


@dataclass(frozen=True)
class Fault:
    """Something in an object that cannot be read.

    Attributes:
        record_path: where, as in :class:`Record`; "" if the object as a whole is concerned.
        code: what is wrong, e.g. "truncated_gzip", "invalid_json".
        message: names the object, the record and the remedy.
    """

    record_path: str
    code: str
    message: str

    @property
    def disposition(self) -> Literal["removed", "quarantined"]:
        """Removed where the input is sound but holds no text, quarantined where it is broken or hostile."""
        return "removed" if self.code in NOT_TEXT else "quarantined"


NOT_TEXT = frozenset({"empty_object", "missing_text", "no_records", "unsupported_type"})
"""Codes of faults in sound input: nothing to repair, hence nothing that a failure budget should count."""


class Unreadable(Exception):
    """Raised inside readers; becomes a :class:`Fault` at the place in the object where it is caught."""

    def __init__(self, code: str, problem: str, remedy: str) -> None:
        super().__init__(code, problem, remedy)
        self.code = code
        self.problem = problem
        self.remedy = remedy


class LimitExceeded(Unreadable):
    """The object as a whole has passed a limit: nothing more of it is read."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__("archive_bomb", problem, remedy)


class StorageError(Exception):
    """The store failed, not the object; reading again later may well succeed, so the task should be retried."""
