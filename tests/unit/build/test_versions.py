"""Versions on a real catalog, without Spark: publish, crash, repeat, roll back, explain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog import load_catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table.update.snapshot import ManageSnapshots

from goldmill.lake.tables import CORPUS_TABLES, DOCUMENTS, REMOVALS, SEQUENCES, Table
from goldmill.lake.versions import PublishRefused, UnknownVersion, VersionManifest, Versions

ARROW = {
    "string": pa.string(),
    "double": pa.float64(),
    "bigint": pa.int64(),
    "int": pa.int32(),
    "map<string,int>": pa.map_(pa.string(), pa.int32()),
    "array<bigint>": pa.list_(pa.int64()),
    "array<int>": pa.list_(pa.int32()),
    "array<string>": pa.list_(pa.string()),
}


class Lake:
    """A lake with the corpus tables, written to by PyIceberg."""

    def __init__(self, directory: Path) -> None:
        self.catalog = load_catalog(
            "lake", type="sql", uri=f"sqlite:///{directory}/catalog.db", warehouse=f"file://{directory}/warehouse"
        )
        assert isinstance(self.catalog, SqlCatalog)
        self.catalog.create_namespace("corpus")
        for table in CORPUS_TABLES:
            iceberg = self.catalog.create_table(("corpus", table.name), schema=schema(table))
            iceberg.append(schema(table).empty_table())
        self.versions = Versions(self.catalog, "corpus", f"{directory}/versions")

    def build(
        self, build_id: str, documents: list[dict[str, Any]], removals: list[dict[str, Any]] | None = None
    ) -> dict[str, int]:
        """Write a build to its branch, from the present ``main``: one commit to each table."""
        given = {DOCUMENTS: documents, REMOVALS: removals or []}
        for table in CORPUS_TABLES:
            rows = [{**dict.fromkeys(table.column_names), **row, "build_id": build_id} for row in given.get(table, [])]
            iceberg = self.catalog.load_table(("corpus", table.name))
            iceberg.manage_snapshots().create_branch(iceberg.refs()["main"].snapshot_id, f"build_{build_id}").commit()
            iceberg = self.catalog.load_table(("corpus", table.name))
            iceberg.append(pa.Table.from_pylist(rows, schema=schema(table)), branch=f"build_{build_id}")
        return self.versions.heads(f"build_{build_id}")

    def publish(self, build_id: str, version: str, parent: str | None = None) -> str:
        """Publish the branch of a build."""
        heads = self.versions.heads(f"build_{build_id}")
        return self.versions.publish(manifest(build_id, version, heads, parent), f"build_{build_id}")


def schema(table: Table) -> pa.Schema:
    """Arrow schema of a table."""
    return pa.schema([pa.field(column.name, ARROW[column.type]) for column in table.columns])


def manifest(build_id: str, version: str, snapshots: dict[str, int], parent: str | None = None) -> VersionManifest:
    """A manifest with nothing in it but names."""
    return VersionManifest(
        version=version, digest=version * 2, corpus="corpus", parent=parent, build_id=build_id, created_at="2026-01-01",
        recipe={"seed": len(build_id)}, recipe_digest="r", tokenizer={}, snapshots=snapshots, reports={}, gates={},
        objects=[], quarantined=[], exports=[], lineage=None,
    )  # fmt: skip


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake."""
    return Lake(tmp_path)


def rows_on_main(lake: Lake, table: Table = DOCUMENTS) -> list[str]:
    """Ids that a reader of ``main`` sees."""
    return sorted(lake.catalog.load_table(("corpus", table.name)).scan().to_arrow()["document_id"].to_pylist())


def document(name: str, **values: Any) -> dict[str, Any]:
    """A document row."""
    return {"document_id": name, "source": "s", "object_key": f"s/{name}.txt", "record_path": "", **values}


def test_a_published_version_is_main_and_a_tag_and_the_branch_is_gone(lake: Lake) -> None:
    lake.build("b1", [document("a")])
    assert rows_on_main(lake) == []

    assert lake.publish("b1", "corpus-1") == "corpus-1"

    assert rows_on_main(lake) == ["a"]
    assert lake.versions.tags() == ["corpus-1"]
    assert lake.versions.current() == "corpus-1"
    assert lake.versions.heads("build_b1") == {}


@pytest.mark.parametrize("survived", range(len(CORPUS_TABLES)))
def test_publishing_that_dies_between_two_tables_is_finished_by_the_next_try(
    lake: Lake, survived: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After any number of tables a reader sees no version yet; the repetition completes it."""
    lake.build("b1", [document("a")])
    lake.publish("b1", "corpus-1")
    lake.build("b2", [document("b")])
    heads = lake.versions.heads("build_b2")
    real, calls = ManageSnapshots.create_tag, 0

    def dying(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > survived:
            raise RuntimeError("killed")
        return real(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(ManageSnapshots, "create_tag", dying)
        with pytest.raises(RuntimeError, match="killed"):
            lake.publish("b2", "corpus-2", "corpus-1")
    assert lake.versions.tags() == ["corpus-1"]
    assert lake.versions.current() == "corpus-1"

    lake.versions.publish(manifest("b2", "corpus-2", heads, "corpus-1"), "build_b2")

    assert lake.versions.current() == "corpus-2"
    assert rows_on_main(lake) == ["a", "b"]


def test_a_branch_that_was_written_to_after_its_audit_is_refused(lake: Lake) -> None:
    audited = lake.build("b1", [document("a")])
    iceberg = lake.catalog.load_table(("corpus", "documents"))
    iceberg.append(schema(DOCUMENTS).empty_table(), branch="build_b1")

    with pytest.raises(PublishRefused, match=r"corpus\.documents.*audited"):
        lake.versions.publish(manifest("b1", "corpus-1", audited), "build_b1")
    assert rows_on_main(lake) == []


def test_a_branch_that_main_has_left_behind_is_refused(lake: Lake) -> None:
    lake.build("b1", [document("a")])
    lake.build("b2", [document("b")])
    lake.publish("b1", "corpus-1")

    with pytest.raises(PublishRefused, match="not an ancestor"):
        lake.publish("b2", "corpus-2")
    assert rows_on_main(lake) == ["a"]


def test_rolling_back_and_forward_deletes_nothing(lake: Lake) -> None:
    lake.build("b1", [document("a")])
    lake.publish("b1", "corpus-1")
    lake.build("b2", [document("b")])
    lake.publish("b2", "corpus-2", "corpus-1")

    assert lake.versions.rollback("corpus-1") == ["corpus-2"]
    assert rows_on_main(lake) == ["a"]
    assert lake.versions.current() == "corpus-1"
    assert lake.versions.rollback("corpus-2") == []
    assert rows_on_main(lake) == ["a", "b"]
    with pytest.raises(UnknownVersion, match="corpus-1, corpus-2"):
        lake.versions.rollback("corpus-3")


def test_versions_are_compared_by_source_and_recipe(lake: Lake) -> None:
    lake.build("b1", [document("a")])
    lake.publish("b1", "corpus-1")
    lake.build("b22", [document("b"), document("c", source="t")])
    lake.publish("b22", "corpus-2", "corpus-1")

    found = lake.versions.diff("corpus-1", "corpus-2")

    assert found.sources == {
        "s": {"added": 1, "removed": 0, "kept": 1},
        "t": {"added": 1, "removed": 0, "kept": 0},
    }
    assert found.recipe == {"seed": (2, 3)}


def test_why_finds_a_row_by_id_url_and_object_and_what_it_matched(lake: Lake) -> None:
    removal = document(
        "b", url="http://x/b", stage="deduplicate", disposition="removed", rule="minhash", score=0.9, threshold=0.8,
        matched_document_id="a",
    )  # fmt: skip
    lake.build("b1", [document("a")], [removal])
    lake.publish("b1", "corpus-1")

    for wanted in ("b", "http://x/b", "s/b.txt"):
        (row,) = lake.versions.why(wanted)
        assert (row["status"], row["rule"], row["score"]) == ("removed", "minhash", 0.9)
        assert row["matched"]["object_key"] == "s/a.txt"
    (kept,) = lake.versions.why("a")
    assert kept["status"] == "kept"
    assert "text" not in kept
    assert lake.versions.why("z") == []


def test_the_tag_of_sequences_is_set_last() -> None:
    """It makes the version exist, so it must not come before the others."""
    assert CORPUS_TABLES[-1] is SEQUENCES
