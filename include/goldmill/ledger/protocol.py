"""What a ledger can do, whatever it is kept in.

The life of an arrival: ``recorded`` -> ``claimed`` by a build -> ``settled`` in a version, or ``quarantined`` when it
could not be read. A build that fails gives back what it held, as if it had not been. An object that is overwritten
is a new arrival; the old one, unless a build has it, is ``superseded``: its bytes are gone.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from goldmill.errors import GoldmillError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from goldmill.landing.objects import LandedObject


class LedgerError(GoldmillError):
    """The ledger cannot be reached, or cannot be what was asked for."""


class ClaimLost(LedgerError):
    """The build does not hold what it says it has built."""


class ObjectsHeld(LedgerError):
    """Another build holds objects that were asked for."""


class UnknownVersion(LedgerError):
    """No object was settled into this version."""


class State(StrEnum):
    """Where an arrival is in its life."""

    RECORDED = "recorded"
    CLAIMED = "claimed"
    SETTLED = "settled"
    QUARANTINED = "quarantined"
    SUPERSEDED = "superseded"


class Count(NamedTuple):
    """Arrivals of one source in one state."""

    source: str
    state: State
    objects: int
    size_bytes: int


class Claim(NamedTuple):
    """What one unfinished build holds."""

    build_id: str
    objects: int
    size_bytes: int
    claimed_at: str


class Quarantined(NamedTuple):
    """An object that could not be read, and why."""

    uri: str
    object_key: str
    source: str
    etag: str
    error: str
    version: str | None


class Ledger(Protocol):
    """Arrivals and their state. Every call is one transaction: it happens as a whole or not at all."""

    def record(self, objects: Iterable[LandedObject]) -> int:
        """Note what has arrived and return how many of them were news; twice the same changes nothing."""

    def unknown(self, objects: Iterable[LandedObject]) -> Iterator[LandedObject]:
        """Those of ``objects`` that :meth:`record` would find new, in the order given."""

    def claim(
        self, build_id: str, max_bytes: int | None = None, sources: Collection[str] | None = None
    ) -> list[LandedObject]:
        """Take recorded objects for a build, in order of arrival, then of key.

        Asked again, a build gets what it holds already, and no more: a retry builds the same objects.

        Args:
            build_id: the build.
            max_bytes: stop before the first object with which the sum would be over it; one object is always taken.
            sources: sources to take from; None for all.
        """

    def reclaim(self, build_id: str, versions: Collection[str]) -> list[LandedObject]:
        """Take all objects again that were built into ``versions``, those in quarantine included.

        Raises:
            UnknownVersion: nothing was built into one of them.
            ObjectsHeld: another build holds one of the objects; nothing is taken.
        """

    def objects_of(self, build_id: str) -> list[LandedObject]:
        """What an unfinished build holds, in the order of :meth:`claim`."""

    def claims(self) -> list[Claim]:
        """What unfinished builds hold, by build."""

    def quarantine(self, build_id: str, uri: str, etag: str, error: str) -> None:
        """Say that an object which the build holds could not be read; settling the build makes it final.

        Nothing changes where the build has settled the object already.

        Raises:
            ClaimLost: the build does not hold the object, nor has it settled it.
        """

    def quarantined(self, build_id: str | None = None) -> list[Quarantined]:
        """Objects in quarantine: all, or those that an unfinished build has put there."""

    def settle(self, build_id: str, version: str) -> int:
        """End a build that was published: what it holds belongs to ``version``. Returns the number of objects.

        Settling twice changes nothing and returns the same.

        Raises:
            ClaimLost: the build holds nothing and has settled nothing into ``version``.
        """

    def requeue(self, versions: Collection[str]) -> int:
        """Let the objects of versions that were rolled back be claimed again; returns their number.

        An object that has been overwritten since, or that a build holds, stays as it is. Twice changes nothing.
        """

    def release(self, build_id: str) -> int:
        """End a build that failed: what it holds is as it was before, its turns are over. Returns the objects."""

    def release_stale(self, is_alive: Callable[[str], bool]) -> list[str]:
        """Release every build that holds objects or a turn and is not alive; returns their ids."""

    def summary(self) -> list[Count]:
        """Arrivals by source and state."""

    def take_turn(self, corpus: str, build_id: str) -> bool:
        """Whether the build may now deduplicate and publish: one build of a corpus at a time may.

        A build that has the turn keeps it until :meth:`end_turn` or :meth:`release`.
        """

    def end_turn(self, corpus: str, build_id: str) -> None:
        """Give the turn back; nothing happens where the build does not have it."""

    def turn_holder(self, corpus: str) -> str | None:
        """The build whose turn it is."""
