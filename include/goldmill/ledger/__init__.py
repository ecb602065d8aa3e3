"""The ledger: one row for each version of an object that arrived, and who builds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldmill.ledger.protocol import Ledger

if TYPE_CHECKING:
    from goldmill.settings import Settings

__all__ = ["Ledger", "open_ledger"]


def open_ledger(settings: Settings) -> Ledger:
    """The ledger that the settings name, its tables created where they are missing.

    Raises:
        LedgerError: names the address and what is wrong with it.
    """
    from goldmill.ledger.sql import SqlLedger  # late: SQLAlchemy is not wanted while a DAG file is parsed

    return SqlLedger(settings.ledger.url)
