"""What has arrived in the landing area and is not in the ledger yet."""

from __future__ import annotations

from collections import Counter

from goldmill.landing.objects import LandedObject, list_objects
from goldmill.ledger import open_ledger
from goldmill.settings import Settings


def unknown_objects() -> list[LandedObject]:
    """Objects in the landing area that the ledger has not recorded, in the order of their keys."""
    settings = Settings.load()
    return list(open_ledger(settings).unknown(list_objects(settings.places.landing_uri)))


def record_unknown_objects() -> Counter[str]:
    """Record what has arrived and return the number of objects by source. Safe to repeat."""
    settings = Settings.load()
    arrived = unknown_objects()
    open_ledger(settings).record(arrived)
    return Counter(item.source for item in arrived)
