"""The same Iceberg catalog that Spark writes, opened without Spark: for publishing, the command line and gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import NoSuchTableError

from goldmill.lake.tables import CORPUS_TABLES, Table

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table as IcebergTable

    from goldmill.settings import CatalogSettings


def open_catalog(settings: CatalogSettings) -> Catalog:
    """Open the catalog named in the settings.

    Raises:
        ValueError: the catalog's type or address is not one that PyIceberg knows; the message names the field.
    """
    return load_catalog(settings.name, type=settings.type, **settings.properties)


def load_table(catalog: Catalog, corpus: str, table: Table) -> IcebergTable | None:
    """One table of a corpus, None before the first build."""
    try:
        return catalog.load_table((corpus, table.name))
    except NoSuchTableError:
        return None


def load_tables(catalog: Catalog, corpus: str) -> dict[Table, IcebergTable]:
    """The tables of a corpus that exist, in the order of their definition; none before the first build."""
    found = {table: load_table(catalog, corpus, table) for table in CORPUS_TABLES}
    return {table: iceberg for table, iceberg in found.items() if iceberg is not None}
