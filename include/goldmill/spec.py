"""What a stage is asked to do: the ``StageSpec``, a JSON document that a Spark job reads."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from goldmill.errors import GoldmillError
from goldmill.recipe import Recipe
from goldmill.settings import CatalogSettings, LineageSettings
from goldmill.storage import read_text, write_text
from goldmill.validation import explain

Stage = Literal["refine", "deduplicate", "tokenize"]
STAGES: tuple[Stage, ...] = get_args(Stage)
"""The stages of a build, in their order."""

# What the hash is made of. Left out is what names a build or a place, or sets the pace: two specs that differ in
# these only ask for the same rows. The manifest counts by its content and not by its address.
_DECIDES_OUTPUT = (
    "stage", "recipe", "manifest_digest", "evaluation_sets", "parent_version", "rebuild", "code_revision"
)  # fmt: skip


class SpecError(GoldmillError):
    """A spec is missing or is not one that this code understands."""


class StageSpec(BaseModel):
    """One stage of one build. The job is a function of it: run twice, it does nothing the second time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: Stage = Field(description="Which stage.")
    build_id: str = Field(pattern=r"^[A-Za-z0-9_.:+-]+$", description="The build; goes into every row that it writes.")
    branch: str = Field(pattern=r"^[A-Za-z0-9_]+$", description="Iceberg branch that the build writes to.")
    recipe: Recipe = Field(description="The recipe, with all defaults.")
    catalog: CatalogSettings = Field(
        description="Name and type of the catalog. Its properties stay out: they may hold a password, and a spec is "
        "a file that many can read; the session that runs the job has them."
    )
    landing_uri: str = Field(description="The landing area, as lineage names the input.")
    manifest_uri: str = Field(description="The objects that the build has claimed, JSON Lines.")
    manifest_digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 over that list.")
    evaluation_sets: dict[str, str] = Field(
        default_factory=dict, description="SHA-256 over the file of each evaluation set of the recipe, by name."
    )
    input_bytes: int = Field(ge=0, description="Size of the claimed objects, for the progress display.")
    parent_version: str | None = Field(default=None, description="Version on top of which the build publishes.")
    rebuild: bool = Field(default=False, description="Whether the build replaces what the corpus holds.")
    work_uri: str = Field(description="Work area of the stage: spec, progress, report, audit, intermediate results.")
    tokenizers_uri: str = Field(description="Where the tokenizers of the corpus lie.")
    exports_uri: str = Field(description="Where the build's files for trainers go.")
    lineage: LineageSettings = Field(description="Where OpenLineage events go. The parent run is in Spark's settings.")
    partitions: int = Field(default=16, ge=1, description="Partitions of a shuffle; the rows do not depend on it.")
    code_revision: str = Field(description="Revision of the code that asks; another revision is another spec.")

    @field_validator("catalog", mode="after")
    @classmethod
    def _without_properties(cls, catalog: CatalogSettings) -> CatalogSettings:
        return CatalogSettings(name=catalog.name, type=catalog.type)

    @property
    def spec_hash(self) -> str:
        """SHA-256, hex, over what decides the rows that the stage writes, apart from their ``build_id``.

        It is the key of the stage's commits and intermediate results: an attempt with the same hash goes on where
        the last one stopped, one with another hash (a new recipe, other objects, new code) starts over.
        """
        document = self.model_dump(mode="json", include=set(_DECIDES_OUTPUT))
        return _digest(document)

    @property
    def spec_uri(self) -> str:
        """Where the spec itself lies."""
        return f"{self.work_uri}/spec.json"

    @property
    def staging_uri(self) -> str:
        """Directory of the stage's intermediate results, below one directory a spec hash."""
        return f"{self.work_uri}/staging"

    @property
    def report_uri(self) -> str:
        """Where the stage's report goes."""
        return f"{self.work_uri}/report.json"

    @property
    def progress_uri(self) -> str:
        """Where the stage says how far it is."""
        return f"{self.work_uri}/progress.json"

    @property
    def audit_uri(self) -> str:
        """Directory of the audit profile that the gate judges."""
        return f"{self.work_uri}/audit"

    def write(self) -> str:
        """Write the spec to its place and return the URI."""
        write_text(self.spec_uri, self.model_dump_json(indent=2))
        return self.spec_uri

    @classmethod
    def read(cls, uri: str) -> Self:
        """Read a spec.

        Raises:
            SpecError: the file is missing, or not a spec of this release; names the field.
        """
        try:
            return cls.model_validate_json(read_text(uri))
        except FileNotFoundError as error:
            raise SpecError(
                f"spec {uri} does not exist; clear the task that claims the objects, it writes it"
            ) from error
        except ValidationError as error:
            raise SpecError(
                f"{explain(cls, error, f'spec {uri}')}\nIt was written by another release: claim again."
            ) from error


def manifest_digest(objects: list[dict[str, Any]]) -> str:
    """SHA-256, hex, over a list of claimed objects, whatever their order."""
    return _digest(sorted(objects, key=lambda landed: json.dumps(landed, sort_keys=True)))


def _digest(document: Any) -> str:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
