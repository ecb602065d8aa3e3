"""What a stage reports when it is done: the ``StageReport``."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from goldmill.errors import GoldmillError
from goldmill.storage import read_text, write_text


class UnbalancedRows(GoldmillError):
    """Rows went missing in a stage."""


class StageReport(BaseModel):
    """The outcome of one stage; every number is read back from the branch that the stage committed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: str = Field(description="`refine`, `deduplicate` or `tokenize`.")
    build_id: str = Field(description="The build.")
    spec_hash: str = Field(description="Hash of the spec that the stage ran.")
    rows_in: int = Field(ge=0, description="Records read, or rows that the stage before left.")
    rows_out: int = Field(ge=0, description="Documents left.")
    removed_by_rule: dict[str, int] = Field(description="Rows removed, by rule.")
    quarantined_by_code: dict[str, int] = Field(description="Rows that could not be read, by error code.")
    by_source: dict[str, dict[str, int]] = Field(description="rows_in, rows_out, removed, quarantined, by source.")
    digest: str = Field(description="SHA-256 over the content that the stage left.")
    snapshots: dict[str, int] = Field(description="Iceberg snapshot id on the branch, by table.")
    seconds: float = Field(default=0.0, ge=0, description="Wall time of the job, without starting the session.")
    peak_rss_bytes: int = Field(default=0, ge=0, description="Peak resident memory of all processes of the job.")
    code_revision: str = Field(description="Revision of the code that ran.")
    metrics: dict[str, Any] = Field(description="Facts of this stage: bytes, tokens, tokenizer, packing waste...")

    @property
    def removed(self) -> int:
        """Rows removed by all rules."""
        return sum(self.removed_by_rule.values())

    @property
    def quarantined(self) -> int:
        """Rows quarantined for all reasons."""
        return sum(self.quarantined_by_code.values())

    def check_balance(self) -> None:
        """Assert that nothing disappeared.

        Raises:
            UnbalancedRows: ``rows_in`` is not ``rows_out + removed + quarantined``, in total or for one source.
        """
        totals = {
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "removed": self.removed,
            "quarantined": self.quarantined,
        }
        for source, counts in [("all sources", totals), *self.by_source.items()]:
            missing = counts["rows_in"] - counts["rows_out"] - counts["removed"] - counts["quarantined"]
            if missing:
                raise UnbalancedRows(
                    f"{self.stage} of build {self.build_id}, {source}: {counts['rows_in']} rows in, but "
                    f"{counts['rows_out']} out + {counts['removed']} removed + {counts['quarantined']} quarantined, "
                    f"so {missing} are unaccounted for. The branch is not published; report this as a defect."
                )

    def summary(self) -> str:
        """One line for a log."""
        return (
            f"{self.stage}: {self.rows_in} rows in, {self.rows_out} out, {self.removed} removed, "
            f"{self.quarantined} quarantined; {self.seconds:.1f} s, peak {self.peak_rss_bytes / 2**20:.0f} MiB; "
            f"digest {self.digest[:8]}"
        )

    def write(self, uri: str) -> None:
        """Write the report as JSON."""
        write_text(uri, self.model_dump_json(indent=2))

    @classmethod
    def read(cls, uri: str) -> Self:
        """Read a report."""
        return cls.model_validate_json(read_text(uri))
