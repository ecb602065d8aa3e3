"""What all DAGs of the bundle share."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Asset

ARRIVALS = Asset(name="goldmill_arrivals", uri="goldmill://landing/arrivals", group="goldmill")
"""Something has arrived that no build has seen."""

CORPUS = Asset(name="goldmill_corpus", uri="goldmill://lake/corpus", group="goldmill")
"""A version of a corpus was published; the event's extra names it."""


def default_args() -> dict[str, Any]:
    """Owner, retries and timeout of every task that does not say otherwise."""
    return {
        "owner": "goldmill",
        "retries": 2,
        "retry_delay": timedelta(seconds=15),
        "execution_timeout": timedelta(hours=6),
    }
