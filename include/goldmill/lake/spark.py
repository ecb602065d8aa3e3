"""The lake as Spark sees it: branches, commits that happen once, and moving a branch onto a newer ``main``.

Every build writes to an Iceberg branch of its own (write-audit-publish). A stage may be killed at any
point and run again, so each of its commits carries a key in the snapshot summary, and a commit whose key
is already on the branch is not made twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from goldmill.errors import GoldmillError
from goldmill.lake.tables import CORPUS_TABLES, MAIN, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import DataFrame, SparkSession

# Keys in the snapshot summary. Spark adds the prefix `snapshot-property.` to write options.
COMMIT_KEY = "goldmill.commit"
BUILD_KEY = "goldmill.build"
_SESSION_PROPERTY = "spark.sql.iceberg.snapshot-property."


class BranchMoved(GoldmillError):
    """``main`` holds versions that the branch of a rebuild does not know."""


@dataclass(frozen=True)
class Lake:
    """The tables of one corpus in one catalog, through one Spark session."""

    spark: SparkSession
    catalog: str
    namespace: str

    @classmethod
    def open(cls, spark: SparkSession, catalog: str, namespace: str) -> Lake:
        """Open the corpus, creating its namespace and tables where they are missing."""
        lake = cls(spark, catalog, namespace)
        spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {catalog}.{namespace}")
        # The OpenLineage listener (1.53) knows no JDBC catalog, takes it for a Hive metastore and drops the
        # dataset from its events (OpenLineage issue 4677). It reads the setting at each query, Iceberg only
        # when it opens the catalog, which the statement above has done: from here on the listener names
        # tables by their location, as it does for a catalog in a file system.
        if (spark.conf.get(f"spark.sql.catalog.{catalog}.catalog-impl", None) or "").endswith("JdbcCatalog"):
            spark.conf.set(f"spark.sql.catalog.{catalog}.type", "hadoop")
        present = {row["tableName"] for row in spark.sql(f"SHOW TABLES IN {catalog}.{namespace}").collect()}
        for table in CORPUS_TABLES:
            if table.name in present:
                continue  # each statement costs a second with the listener
            spark.sql(
                f"CREATE TABLE IF NOT EXISTS {lake.name(table)} ({table.ddl}) USING iceberg TBLPROPERTIES ("
                # Merge-on-read: a duplicate costs one line in a delete file, not a rewritten data file.
                "'format-version'='2', 'write.delete.mode'='merge-on-read', "
                "'write.parquet.compression-codec'='zstd', "
                # A commit may race another build's: the loser retries on the new metadata.
                "'commit.retry.num-retries'='20')"
            )
            # A corpus of an earlier release lacks the columns that came later; all of those may be null.
            present = set(spark.table(lake.name(table)).columns)
            for column in table.columns:
                if column.name not in present:
                    spark.sql(f"ALTER TABLE {lake.name(table)} ADD COLUMN {column.ddl}")
        return lake

    def name(self, table: Table) -> str:
        """The table's full name: ``catalog.namespace.table``."""
        return f"{self.catalog}.{self.namespace}.{table.name}"

    def read(self, table: Table, branch: str) -> DataFrame:
        """The rows of ``table`` on ``branch`` (or under a tag)."""
        return self.spark.read.option("branch", branch).table(self.name(table))

    def head(self, table: Table, branch: str) -> int | None:
        """Snapshot id at the head of ``branch``, or None where the branch does not exist."""
        reference = self._iceberg(table).refs().get(branch)
        return None if reference is None else int(reference.snapshotId())

    def heads(self, branch: str) -> dict[str, int]:
        """Snapshot id by table name, for the tables that have the branch."""
        found = {table.name: self.head(table, branch) for table in CORPUS_TABLES}
        return {name: snapshot for name, snapshot in found.items() if snapshot is not None}

    def locations(self) -> dict[str, str]:
        """Where each table lies, by name."""
        return {table.name: str(self._iceberg(table).location()) for table in CORPUS_TABLES}

    def start_branch(self, branch: str, build_id: str, first_commit: str, *, empty: bool) -> None:
        """Make ``branch`` on every table at the head of ``main``.

        A branch left by an earlier attempt stays when it holds ``first_commit`` or nothing of the build yet;
        one that holds commits made under another spec is dropped first. ``empty`` starts the branch without
        any row of ``main`` (a rebuild).
        """
        for table in CORPUS_TABLES:
            commits = [s.get(COMMIT_KEY, "") for s in self._own_summaries(table, branch, build_id)]
            if any(c not in (first_commit, "truncate") for c in commits):
                self.spark.sql(f"ALTER TABLE {self.name(table)} DROP BRANCH IF EXISTS `{branch}`")
                commits = []
            self.spark.sql(f"ALTER TABLE {self.name(table)} CREATE BRANCH IF NOT EXISTS `{branch}`")
            if empty and not commits:
                self.delete_once(table, branch, build_id, "truncate", "true")

    def append_once(
        self,
        frame: DataFrame,
        table: Table,
        branch: str,
        build_id: str,
        commit: str,
        properties: dict[str, str] | None = None,
    ) -> None:
        """Append ``frame`` (columns by name) to ``table`` on ``branch``, unless ``commit`` is there already.

        ``properties`` go into the snapshot's summary.
        """
        if self.has_commit(table, branch, build_id, commit):
            return
        writer = frame.select(*table.column_names).writeTo(f"{self.name(table)}.`branch_{branch}`")
        for key, value in {**(properties or {}), COMMIT_KEY: commit, BUILD_KEY: build_id}.items():
            writer = writer.option(f"snapshot-property.{key}", value)
        writer.append()

    def delete_once(self, table: Table, branch: str, build_id: str, commit: str, condition: str) -> None:
        """Delete the rows that meet the SQL ``condition`` on ``branch``, unless ``commit`` is there already."""
        if self.has_commit(table, branch, build_id, commit):
            return
        conf = self.spark.conf
        conf.set(_SESSION_PROPERTY + COMMIT_KEY, commit)
        conf.set(_SESSION_PROPERTY + BUILD_KEY, build_id)
        try:
            self.spark.sql(f"DELETE FROM {self.name(table)}.`branch_{branch}` WHERE {condition}")
        finally:
            conf.unset(_SESSION_PROPERTY + COMMIT_KEY)
            conf.unset(_SESSION_PROPERTY + BUILD_KEY)

    def has_commit(self, table: Table, branch: str, build_id: str, commit: str) -> bool:
        """Whether the build has made ``commit`` on the branch."""
        return any(s.get(COMMIT_KEY) == commit for s in self._own_summaries(table, branch, build_id))

    def inherited_property(self, table: Table, branch: str, build_id: str, key: str) -> str | None:
        """Value of ``key`` in the newest snapshot below the build's own that has one; None where none has."""
        iceberg = self._iceberg(table)
        for snapshot in self._snapshots(iceberg, branch):
            summary = snapshot.summary()
            if summary.get(BUILD_KEY) != build_id and summary.get(key) is not None:
                return str(summary.get(key))
        return None

    def rebase(self, branch: str, build_id: str, *, rebuild: bool) -> None:
        """Move ``branch`` onto the present ``main``, so that publishing stays one fast-forward.

        Only metadata moves: the data files that the build has appended are appended again on top of the
        version published meanwhile. The branch is replaced in one commit a table; a crash before it leaves
        the old branch, and the next attempt starts over.

        Raises:
            BranchMoved: a rebuild replaces all of ``main``, so it may not step over a newer version.
        """
        for table in CORPUS_TABLES:
            iceberg = self._iceberg(table)
            main = iceberg.refs().get(MAIN)
            if main is None or self._is_ancestor(iceberg, main.snapshotId(), iceberg.refs().get(branch).snapshotId()):
                continue
            if rebuild:
                raise BranchMoved(
                    f"build {build_id}: a version was published to {self.name(table)} after this rebuild began; "
                    "publishing would drop its documents. Trigger the rebuild again, from the newest version."
                )
            own = list(self._own_snapshots(iceberg, branch, build_id))
            onto = f"{branch}_rebase"
            manage = iceberg.manageSnapshots()
            if iceberg.refs().get(onto) is not None:
                manage.removeBranch(onto)
            manage.createBranch(onto, main.snapshotId()).commit()
            for snapshot in reversed(own):
                append = iceberg.newAppend().toBranch(onto)
                for key in (COMMIT_KEY, BUILD_KEY):
                    append.set(key, snapshot.summary().get(key))
                for file in snapshot.addedDataFiles(iceberg.io()):
                    append.appendFile(file)
                append.commit()
            iceberg.refresh()
            iceberg.manageSnapshots().replaceBranch(branch, onto).removeBranch(onto).commit()

    def _own_summaries(self, table: Table, branch: str, build_id: str) -> list[dict[str, str]]:
        return [dict(s.summary()) for s in self._own_snapshots(self._iceberg(table), branch, build_id)]

    def _own_snapshots(self, iceberg: Any, branch: str, build_id: str) -> Iterator[Any]:
        """The build's snapshots on the branch, newest first."""
        for snapshot in self._snapshots(iceberg, branch):
            if snapshot.summary().get(BUILD_KEY) != build_id:
                return
            yield snapshot

    def _snapshots(self, iceberg: Any, branch: str) -> Iterator[Any]:
        """The snapshots that lead to the head of the branch, newest first."""
        reference = iceberg.refs().get(branch)
        snapshot = None if reference is None else iceberg.snapshot(reference.snapshotId())
        while snapshot is not None:
            yield snapshot
            parent = snapshot.parentId()
            snapshot = None if parent is None else iceberg.snapshot(parent)

    def _is_ancestor(self, iceberg: Any, ancestor: int, head: int) -> bool:
        jvm: Any = self.spark._jvm
        return bool(jvm.org.apache.iceberg.util.SnapshotUtil.isAncestorOf(iceberg, head, ancestor))

    def _iceberg(self, table: Table) -> Any:
        """The Iceberg table behind a Spark table (Java object); always fresh, since caching is off."""
        jvm: Any = self.spark._jvm
        return jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(
            self.spark._jsparkSession,
            self.name(table),
        )
