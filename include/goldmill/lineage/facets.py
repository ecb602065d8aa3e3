"""Goldmill's own OpenLineage facets; each has a JSON schema in ``schemas/``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attr
from openlineage.client.generated.base import OutputDatasetFacet, RunFacet

from goldmill import __version__

SCHEMAS = Path(__file__).parent / "schemas"
PRODUCER = f"urn:goldmill:{__version__}"
_SCHEMA_ROOT = "urn:goldmill:facets"


@attr.define
class StageRunFacet(RunFacet):
    """What a stage did: recipe, row counts by rule, parameters, digest."""

    build_id: str
    stage: str
    spec_hash: str
    recipe_digest: str
    rows_in: int
    rows_out: int
    removed_by_rule: dict[str, int]
    quarantined_by_code: dict[str, int]
    digest: str
    deduplication: dict[str, Any] = attr.field(factory=dict)

    @staticmethod
    def _get_schema() -> str:
        return f"{_SCHEMA_ROOT}:GoldmillStageRunFacet"


@attr.define
class VersionOutputDatasetFacet(OutputDatasetFacet):
    """Which version of a corpus a run published, and what proves it."""

    version: str
    digest: str
    parent: str | None
    build_id: str
    recipe_digest: str
    snapshot_id: str
    manifest_uri: str

    @staticmethod
    def _get_schema() -> str:
        return f"{_SCHEMA_ROOT}:GoldmillVersionOutputDatasetFacet"
