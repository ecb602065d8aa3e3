"""``docs/tables.md``: every table of the lake with every column."""

from __future__ import annotations

from goldmill.docs.markdown import code, page, table
from goldmill.lake.tables import CORPUS_TABLES


def tables_page() -> str:
    """The page of the Iceberg tables."""
    introduction = (
        "Iceberg tables of the corpus line; the namespace is the name of the corpus in the recipe. Types are those of "
        "Spark SQL. `main` holds what is published; a build writes to a branch of its own, a version is a tag."
    )
    blocks = [introduction]
    for item in CORPUS_TABLES:
        rows = [
            (code(column.name), code(column.type), "yes" if column.nullable else "", column.description)
            for column in item.columns
        ]
        blocks.append(f"## {item.name}\n\n{item.description}\n\n{table(('column', 'type', 'null', 'what'), rows)}")
    return page("Tables", *blocks)
