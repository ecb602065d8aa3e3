"""Builds in tests: land files, run the stages in the shared session, publish, without Airflow."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from goldmill.lake.spark import Lake
from goldmill.lake.tables import DOCUMENTS, Table
from goldmill.landing.objects import LandedObject, land_file, list_objects
from goldmill.recipe import Recipe
from goldmill.report import StageReport
from goldmill.settings import LineageSettings, Settings
from goldmill.spec import Stage, StageSpec, manifest_digest
from goldmill.stages.deduplicate import deduplicate_documents
from goldmill.stages.job import execute
from goldmill.stages.refine import refine_documents
from goldmill.stages.tokenize import tokenize_corpus

STAGES: dict[Stage, Any] = {
    "refine": refine_documents,
    "deduplicate": deduplicate_documents,
    "tokenize": tokenize_corpus,
}

# Small texts in tests: what the rules think of them is tested elsewhere.
LENIENT: dict[str, Any] = {
    "language": {"enabled": False},
    "gopher_quality": {"enabled": False},
    "gopher_repetition": {"enabled": False},
    "c4": {"enabled": False},
    "fineweb": {"enabled": False},
    "code": {"enabled": False},
    "tokenizer": {"vocab_size": 400},
    "packing": {"sequence_length": 64},
}


@dataclass
class Corpus:
    """A corpus and its landing area."""

    spark: SparkSession
    lake: Lake
    home: Path
    directory: Path
    name: str
    seen: set[tuple[str, str]] = field(default_factory=set)

    @property
    def landing(self) -> str:
        """Root of the landing area."""
        return str(self.directory / "landing")

    def land(self, files: dict[str, str | bytes]) -> None:
        """Put files into the landing area."""
        for key, content in files.items():
            land_file(content.encode() if isinstance(content, str) else content, self.landing, key)

    def recipe(self, **values: Any) -> Recipe:
        """A lenient recipe with other values."""
        return Recipe.model_validate({"name": "test", "corpus": self.name, **LENIENT, **values})

    def claim(self) -> list[LandedObject]:
        """What has arrived since the last claim."""
        fresh = [o for o in list_objects(self.landing) if (o.uri, o.etag) not in self.seen]
        self.seen |= {(o.uri, o.etag) for o in fresh}
        return fresh

    def spec(
        self, build_id: str, stage: Stage, objects: list[LandedObject], recipe: Recipe, **values: Any
    ) -> StageSpec:
        """The spec of one stage of a build."""
        work = self.directory / "work" / build_id
        work.mkdir(parents=True, exist_ok=True)
        rows = [asdict(item) for item in objects]
        manifest = work / "objects.jsonl"
        manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return StageSpec(
            stage=stage,
            build_id=build_id,
            branch=f"build_{build_id}",
            recipe=recipe,
            catalog=Settings(home=str(self.home)).catalog,
            landing_uri=self.landing,
            manifest_uri=str(manifest),
            manifest_digest=manifest_digest(rows),
            input_bytes=sum(o.size_bytes for o in objects),
            work_uri=str(work / stage),
            tokenizers_uri=str(self.directory / "tokenizers"),
            exports_uri=str(self.directory / "exports" / build_id),
            lineage=LineageSettings(events_path=str(work / f"{stage}.jsonl")),
            code_revision="test",
            **{"partitions": 2, **values},
        )

    def run(self, spec: StageSpec) -> StageReport:
        """Run one stage."""
        return execute(self.spark, spec, STAGES[spec.stage])

    def build(
        self, build_id: str, recipe: Recipe | None = None, *, until: Stage = "tokenize", **values: Any
    ) -> dict[str, StageReport]:
        """Run the stages over what has arrived, up to and with ``until``."""
        recipe = recipe or self.recipe()
        objects = self.claim()
        stages = list(STAGES)[: list(STAGES).index(until) + 1]
        return {stage: self.run(self.spec(build_id, stage, objects, recipe, **values)) for stage in stages}

    def publish(self, build_id: str) -> None:
        """Fast-forward ``main`` to the build's branch."""
        for table in self.lake.heads(f"build_{build_id}"):
            self.spark.sql(
                f"CALL {self.lake.catalog}.system.fast_forward('{self.name}.{table}', 'main', 'build_{build_id}')"
            )

    def rows(self, table: Table, build_id: str) -> list[dict[str, Any]]:
        """The rows of a table on a build's branch, by their first column."""
        frame: DataFrame = self.lake.read(table, f"build_{build_id}")
        return [row.asDict(recursive=True) for row in frame.orderBy(frame.columns[0]).collect()]

    def texts(self, build_id: str) -> dict[str, str]:
        """Text by object key of the documents on a build's branch."""
        return {row["object_key"]: row["text"] for row in self.rows(DOCUMENTS, build_id)}
