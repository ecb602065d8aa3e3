"""Versions of a corpus: publish, list, compare, explain, roll back.

A version is a tag on one snapshot of each table, and a *manifest*: a JSON file next to the tables that proves what
went into it (recipe, input objects, reports of the stages, gates, snapshots, exported files). The tag on
``sequences`` is set last and makes the version exist; until then a reader sees nothing of it.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field
from pyiceberg.expressions import BooleanExpression, EqualTo, Or
from pyiceberg.table.snapshots import ancestors_of

from goldmill.errors import GoldmillError
from goldmill.lake.catalog import load_table, load_tables
from goldmill.lake.tables import DOCUMENTS, MAIN, REMOVALS, SEQUENCES
from goldmill.storage import read_text, write_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table as IcebergTable


class UnknownVersion(GoldmillError):
    """No version of that name."""


class PublishRefused(GoldmillError):
    """The branch cannot become ``main``."""


class VersionManifest(BaseModel):
    """What a version is made of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = Field(description="Tag: corpus name, date of the build, first 8 digits of the digest.")
    digest: str = Field(description="SHA-256 over parent, recipe, tokenizer and the content of the tables.")
    corpus: str = Field(description="Namespace of the tables.")
    parent: str | None = Field(description="The version that this one adds to; none for a first build or a rebuild.")
    build_id: str = Field(description="The build that made it.")
    created_at: str = Field(description="UTC time of publishing, ISO 8601.")
    recipe: dict[str, Any] = Field(description="The recipe, with all defaults.")
    recipe_digest: str = Field(description="SHA-256 of the recipe.")
    tokenizer: dict[str, Any] = Field(description="Tokenizer file, its vocabulary size and control ids.")
    snapshots: dict[str, int] = Field(description="Iceberg snapshot id by table.")
    reports: dict[str, dict[str, Any]] = Field(description="StageReport by stage.")
    gates: dict[str, dict[str, Any]] = Field(description="Gate result by stage.")
    objects: list[dict[str, Any]] = Field(description="Objects that this build read: key, source, size, etag.")
    quarantined: list[dict[str, Any]] = Field(description="Objects that could not be read, with the error.")
    exports: list[dict[str, Any]] = Field(description="Files for trainers: URI, format, split, sequences, SHA-256.")
    lineage: str | None = Field(description="Event file with the OpenLineage events of the build.")


def version_digest(parent_digest: str | None, parts: dict[str, str]) -> str:
    """Digest of a version: of its parent's digest and of its own parts, by name."""
    canonical = json.dumps({"parent": parent_digest, **parts}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


class Versions:
    """The versions of one corpus."""

    def __init__(self, catalog: Catalog, corpus: str, manifests_uri: str) -> None:
        """Open the versions of ``corpus``; ``manifests_uri`` is the directory of the manifests."""
        self._catalog = catalog
        self._corpus = corpus
        self._manifests_uri = manifests_uri

    def tags(self) -> list[str]:
        """The versions that exist, oldest first."""
        sequences = load_table(self._catalog, self._corpus, SEQUENCES)
        if sequences is None:
            return []
        tags = [
            (sequences.metadata.snapshot_by_id(reference.snapshot_id), name)
            for name, reference in sequences.refs().items()
            if reference.snapshot_ref_type == "tag"
        ]
        return [name for snapshot, name in sorted(tags, key=lambda t: (t[0].timestamp_ms if t[0] else 0, t[1]))]

    def current(self) -> str | None:
        """The version that ``main`` is at, or None before the first one."""
        sequences = load_table(self._catalog, self._corpus, SEQUENCES)
        if sequences is None or MAIN not in sequences.refs():
            return None
        head = sequences.refs()[MAIN].snapshot_id
        for name, reference in sequences.refs().items():
            if reference.snapshot_ref_type == "tag" and reference.snapshot_id == head:
                return name
        return None

    def get(self, version: str) -> VersionManifest:
        """The manifest of a version.

        Raises:
            UnknownVersion: names the versions that exist.
        """
        known = self.tags()
        if version not in known:
            listed = ", ".join(known) or "none yet"
            raise UnknownVersion(f"corpus {self._corpus!r} has no version {version!r}; there are: {listed}")
        return VersionManifest.model_validate_json(read_text(self.manifest_uri(version)))

    def publish(self, manifest: VersionManifest, branch: str) -> str:
        """Make the branch ``main`` and tag it; safe to repeat after a crash at any point.

        Raises:
            PublishRefused: ``main`` has moved, or the branch is not the one that was audited.
        """
        tables = load_tables(self._catalog, self._corpus)
        if manifest.version in self.tags():
            # The same content was published before (a rebuild that changed nothing, or a repeated publish).
            self.drop_branch(branch)
            return manifest.version
        heads = {}
        for table, iceberg in tables.items():
            head = self._head_to_publish(iceberg, branch, manifest.version)
            if head != manifest.snapshots[table.name]:
                raise PublishRefused(
                    f"{self._corpus}.{table.name}: branch {branch} is at snapshot {head}, but the gates audited "
                    f"{manifest.snapshots[table.name]}. Something wrote to the branch since; clear the build and "
                    "run it again."
                )
            heads[table] = head
        write_text(self.manifest_uri(manifest.version), manifest.model_dump_json(indent=2))
        for table, iceberg in tables.items():  # `sequences` is the last table: its tag makes the version exist
            with iceberg.manage_snapshots() as change:
                if manifest.version not in iceberg.refs():
                    change.create_tag(heads[table], manifest.version)
                change.set_current_snapshot(snapshot_id=heads[table])
        self.drop_branch(branch)
        return manifest.version

    def _head_to_publish(self, iceberg: IcebergTable, branch: str, version: str) -> int:
        refs = iceberg.refs()
        if branch not in refs:
            raise PublishRefused(f"{iceberg.name()}: there is no branch {branch}; run the build again from its start")
        head = refs[branch].snapshot_id
        if MAIN in refs and version not in refs:
            snapshot = iceberg.metadata.snapshot_by_id(head)
            if refs[MAIN].snapshot_id not in {s.snapshot_id for s in ancestors_of(snapshot, iceberg.metadata)}:
                raise PublishRefused(
                    f"{iceberg.name()}: main is not an ancestor of branch {branch}: another version was published "
                    "while this build held no turn. Clear `deduplicate_documents` and what follows to build on top of "
                    "it."
                )
        return head

    def heads(self, branch: str) -> dict[str, int]:
        """Snapshot id at the head of ``branch`` by table, for the tables that have it."""
        tables = load_tables(self._catalog, self._corpus)
        return {t.name: i.refs()[branch].snapshot_id for t, i in tables.items() if branch in i.refs()}

    def locations(self) -> dict[str, str]:
        """Where each table lies, by name."""
        return {t.name: i.location() for t, i in load_tables(self._catalog, self._corpus).items()}

    def drop_branch(self, branch: str) -> None:
        """Remove a build's branch from every table that has it."""
        for iceberg in load_tables(self._catalog, self._corpus).values():
            for name in (branch, f"{branch}_rebase"):
                if name in iceberg.refs():
                    with iceberg.manage_snapshots() as change:
                        change.remove_branch(name)

    def rollback(self, version: str) -> list[str]:
        """Make ``version`` current again and return the versions that ``main`` held and holds no more, newest first.

        Their tags stay: nothing is deleted, and they can be rolled forward to.
        """
        stays = {manifest.version for manifest in self.history(version)}
        current = self.current()
        left = [m.version for m in self.history(current) if m.version not in stays] if current else []
        for iceberg in load_tables(self._catalog, self._corpus).values():
            with iceberg.manage_snapshots() as change:
                change.set_current_snapshot(ref_name=version)
        return left

    def history(self, version: str) -> list[VersionManifest]:
        """The version and all that it adds to, newest first."""
        chain: list[VersionManifest] = []
        current: str | None = version
        while current is not None:
            chain.append(self.get(current))
            current = chain[-1].parent
        return chain

    def diff(self, old: str, new: str) -> Diff:
        """What changed between two versions: documents by source, recipe values, counts."""
        first, second = self.get(old), self.get(new)
        documents = load_tables(self._catalog, self._corpus)[DOCUMENTS]
        before = self._documents_by_source(documents, first)
        after = self._documents_by_source(documents, second)
        sources = {}
        for source in sorted(before.keys() | after.keys()):
            was, now = before.get(source, set()), after.get(source, set())
            sources[source] = {"added": len(now - was), "removed": len(was - now), "kept": len(was & now)}
        return Diff(old=old, new=new, sources=sources, recipe=_changed(first.recipe, second.recipe))

    @staticmethod
    def _documents_by_source(documents: IcebergTable, manifest: VersionManifest) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        scan = documents.scan(snapshot_id=manifest.snapshots[DOCUMENTS.name], selected_fields=("source", "document_id"))
        for batch in scan.to_arrow_batch_reader():
            for source, document in zip(batch["source"].to_pylist(), batch["document_id"].to_pylist(), strict=True):
                found.setdefault(source, set()).add(document)
        return found

    def why(self, wanted: str, version: str | None = None) -> list[dict[str, Any]]:
        """What happened to a document: rows of ``documents`` and ``removals`` by id, URL or object key.

        Each row has ``status`` (``kept`` | ``removed`` | ``quarantined``); one that was removed as a duplicate has
        the row of the document that it matches under ``matched``.
        """
        tables = load_tables(self._catalog, self._corpus)
        if not tables:
            return []
        wanted_rows = Or(*[_equal(column, wanted) for column in ("document_id", "url", "object_key")])
        rows = list(self._rows(tables, wanted_rows, version))
        matched_ids = {row["matched_document_id"] for row in rows if row.get("matched_document_id")}
        matched: dict[str, dict[str, Any]] = {}
        for document_id in sorted(matched_ids):
            for row in self._rows(tables, _equal("document_id", document_id), version):
                if row["status"] == "kept":
                    matched[document_id] = row
        return [{**row, "matched": matched.get(row.get("matched_document_id") or "")} for row in rows]

    def _rows(self, tables: Any, wanted: BooleanExpression, version: str | None) -> Iterator[dict[str, Any]]:
        for table in (DOCUMENTS, REMOVALS):
            iceberg = tables[table]
            if version is None and MAIN not in iceberg.refs():
                continue
            snapshot = iceberg.refs()[version or MAIN].snapshot_id
            columns = tuple(name for name in table.column_names if name != "text")
            found: pa.Table = iceberg.scan(row_filter=wanted, snapshot_id=snapshot, selected_fields=columns).to_arrow()
            for row in found.to_pylist():
                yield {"status": row.get("disposition", "kept"), **row}

    def manifest_uri(self, version: str) -> str:
        """Where the manifest of a version lies."""
        return f"{self._manifests_uri}/{version}.json"


def _equal(column: str, value: str) -> BooleanExpression:
    # PyIceberg's stubs show the fields of the class and not its constructor.
    return EqualTo(column, value)  # type: ignore[call-arg]


class Diff(BaseModel):
    """Difference between two versions."""

    old: str
    new: str
    sources: dict[str, dict[str, int]] = Field(description="Documents added, removed and kept, by source.")
    recipe: dict[str, tuple[Any, Any]] = Field(description="Recipe values that differ, by dotted path: (old, new).")


def _changed(old: Any, new: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for key in sorted(old.keys() | new.keys()):
            found |= _changed(old.get(key), new.get(key), f"{path}.{key}" if path else key)
        return found
    return {} if old == new else {path: (old, new)}
