"""The Iceberg lake: its tables, branches, tags and versions."""
