"""Emit Goldmill's own OpenLineage events, next to those of the Airflow provider and the Spark listener."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.generated.column_lineage_dataset import (
    ColumnLineageDatasetFacet,
    Fields,
    InputField,
    Transformation,
)
from openlineage.client.generated.parent_run import Job as ParentJob
from openlineage.client.generated.parent_run import ParentRunFacet, Root, RootJob, RootRun
from openlineage.client.generated.parent_run import Run as ParentRun
from openlineage.client.transport.file import FileConfig, FileTransport

from goldmill.lineage.columns import LANDING, STAGE_COLUMNS, Derived
from goldmill.lineage.facets import PRODUCER, StageRunFacet, VersionOutputDatasetFacet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openlineage.client.facet_v2 import RunFacet

    from goldmill.lake.versions import VersionManifest
    from goldmill.report import StageReport
    from goldmill.spec import StageSpec

# Run ids are made from what ran, so that a stage that is reported twice is one run and not two.
_RUNS = uuid.UUID("7b0c9a3e-6a55-4f0f-9d53-0b5a3f6d8e21")


@dataclass(frozen=True, slots=True)
class DatasetName:
    """A dataset as OpenLineage names it."""

    namespace: str
    name: str

    @classmethod
    def of_location(cls, location: str) -> DatasetName:
        """Name of what lies at a path or URI, as the Spark listener names it: ``file`` + path, ``s3://b`` + key."""
        parts = urlsplit(location)
        if parts.scheme in ("", "file"):
            return cls("file", parts.path.rstrip("/"))
        return cls(f"{parts.scheme}://{parts.netloc}", parts.path.strip("/"))


@dataclass(frozen=True, slots=True)
class ParentOfRun:
    """The Airflow task that started the run, and the DAG run above it."""

    namespace: str
    job: str
    run_id: str
    root_namespace: str
    root_job: str
    root_run_id: str

    def facet(self) -> ParentRunFacet:
        """As a facet."""
        return ParentRunFacet(
            run=ParentRun(self.run_id),
            job=ParentJob(self.namespace, self.job),
            root=Root(run=RootRun(self.root_run_id), job=RootJob(self.root_namespace, self.root_job)),
        )


def parent_from_conf(conf: Mapping[str, str]) -> ParentOfRun | None:
    """The parent that the Airflow provider put into the Spark settings of the job."""
    prefix = "spark.openlineage."
    if f"{prefix}parentRunId" not in conf:
        return None
    namespace, job, run_id = (conf[f"{prefix}parent{part}"] for part in ("JobNamespace", "JobName", "RunId"))
    return ParentOfRun(
        namespace,
        job,
        run_id,
        conf.get(f"{prefix}rootParentJobNamespace", namespace),
        conf.get(f"{prefix}rootParentJobName", job),
        conf.get(f"{prefix}rootParentRunId", run_id),
    )


def client_for(events_path: str | None) -> OpenLineageClient:
    """A client that appends to ``events_path``; without one, the client that its own settings describe."""
    if events_path is None:
        return OpenLineageClient()
    Path(events_path).parent.mkdir(parents=True, exist_ok=True)
    return OpenLineageClient(transport=FileTransport(FileConfig(log_file_path=events_path, append=True)))


def emit_stage(spec: StageSpec, report: StageReport, locations: Mapping[str, str], parent: ParentOfRun | None) -> None:
    """Say what a stage did: row counts by rule, and the columns that its kernels derive.

    Args:
        spec: the stage's spec.
        report: its report.
        locations: location of each table, by name.
        parent: the Airflow task that ran it.
    """
    recipe = spec.recipe
    names = {table: DatasetName.of_location(location) for table, location in locations.items()}
    names[LANDING] = DatasetName.of_location(spec.landing_uri)
    derived = STAGE_COLUMNS[spec.stage]
    facets: dict[str, RunFacet] = {
        "goldmill_stage": StageRunFacet(
            build_id=spec.build_id,
            stage=spec.stage,
            spec_hash=spec.spec_hash,
            recipe_digest=recipe.digest,
            rows_in=report.rows_in,
            rows_out=report.rows_out,
            removed_by_rule=report.removed_by_rule,
            quarantined_by_code=report.quarantined_by_code,
            digest=report.digest,
            deduplication=recipe.deduplicate.model_dump(mode="json") if spec.stage == "deduplicate" else {},
        )
    }
    if parent is not None:
        facets["parent"] = parent.facet()
    read = sorted({table for columns in derived.values() for d in columns.values() for table, _ in d.inputs})
    event = RunEvent(
        eventType=RunState.COMPLETE,
        eventTime=datetime.now(UTC).isoformat(),
        run=Run(str(uuid.uuid5(_RUNS, f"{spec.build_id}/{spec.stage}/{spec.spec_hash}")), facets=facets),
        job=Job(spec.lineage.namespace, f"{recipe.corpus}.{spec.stage}.kernels"),
        inputs=[InputDataset(names[table].namespace, names[table].name) for table in read],
        outputs=[
            OutputDataset(
                names[table].namespace, names[table].name, facets={"columnLineage": _column_lineage(columns, names)}
            )
            for table, columns in derived.items()
        ],
        producer=PRODUCER,
    )
    client_for(spec.lineage.events_path).emit(event)


def emit_version(
    manifest: VersionManifest, manifest_uri: str, locations: Mapping[str, str], namespace: str, events_path: str | None,
    parent: ParentOfRun | None,
) -> None:  # fmt: skip
    """Say that a version was published, on each of its tables."""
    outputs = []
    for table, location in locations.items():
        name = DatasetName.of_location(location)
        facet = VersionOutputDatasetFacet(
            version=manifest.version,
            digest=manifest.digest,
            parent=manifest.parent,
            build_id=manifest.build_id,
            recipe_digest=manifest.recipe_digest,
            snapshot_id=str(manifest.snapshots[table]),
            manifest_uri=manifest_uri,
        )
        outputs.append(OutputDataset(name.namespace, name.name, outputFacets={"goldmill_version": facet}))
    event = RunEvent(
        eventType=RunState.COMPLETE,
        eventTime=datetime.now(UTC).isoformat(),
        run=Run(
            str(uuid.uuid5(_RUNS, f"{manifest.build_id}/publish/{manifest.version}")),
            facets={} if parent is None else {"parent": parent.facet()},
        ),
        job=Job(namespace, f"{manifest.corpus}.publish"),
        inputs=[InputDataset(o.namespace, o.name) for o in outputs],
        outputs=outputs,
        producer=PRODUCER,
    )
    client_for(events_path).emit(event)


def _column_lineage(columns: Mapping[str, Derived], names: Mapping[str, DatasetName]) -> ColumnLineageDatasetFacet:
    return ColumnLineageDatasetFacet(
        fields={
            column: Fields(
                inputFields=[
                    InputField(
                        names[table].namespace,
                        names[table].name,
                        field,
                        transformations=[
                            Transformation(
                                type="INDIRECT" if derived.indirect else "DIRECT",
                                subtype="CONDITIONAL" if derived.indirect else "TRANSFORMATION",
                                description=derived.description,
                                masking=derived.masking,
                            )
                        ],
                    )
                    for table, field in derived.inputs
                ]
            )
            for column, derived in columns.items()
        }
    )
