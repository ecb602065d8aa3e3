"""What a gate found, as it is written to ``gate_<stage>.json``, and the check that publishing rests on.

Imports neither Great Expectations nor pandas: publishing and the summary read results, they evaluate nothing.
"""

from __future__ import annotations

import textwrap
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from goldmill.errors import GoldmillError
from goldmill.spec import STAGES
from goldmill.storage import read_text, write_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Every stage has a gate; the last one has seen the branch as it is published.
GATED_STAGES = STAGES


class GateFailed(GoldmillError):
    """What a stage left does not satisfy the expectations."""


class NotGated(GoldmillError):
    """A branch was to be published that its gates have not passed, or have not seen as it is."""


class ExpectationOutcome(BaseModel):
    """One expectation, and what was found."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the expectation in the suite.")
    table: str = Field(description="`totals`, `sources` or `sample`.")
    column: str = Field(description="Column, or columns, that it is about; empty for the whole table.")
    type: str = Field(description="Type of the expectation in Great Expectations.")
    description: str = Field(description="What is expected, in words.")
    passed: bool = Field(description="Whether it holds.")
    required: str = Field(description="What is required, in numbers.")
    observed: str = Field(description="What was observed, in numbers.")
    examples: list[dict[str, Any]] = Field(description="Rows that break it, each with its ids; a few of them.")
    remedy: str = Field(description="What to do when it fails.")

    def explain(self) -> str:
        """One paragraph: which expectation, required and observed, examples, remedy."""
        subject = f"{self.table}.{self.column}" if self.column else self.table
        examples = "".join(f"\n    e.g. {_row_text(example)}" for example in self.examples)
        return (
            f"{self.name} ({subject}): {self.description}\n"
            f"    required: {self.required}; observed: {self.observed}{examples}\n"
            f"    remedy: {self.remedy}"
        )


class GateResult(BaseModel):
    """What the gate of one stage of one build found."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: str = Field(description="The stage that was judged.")
    build_id: str = Field(description="The build.")
    passed: bool = Field(description="Whether every expectation holds.")
    snapshots: dict[str, int] = Field(description="Iceberg snapshot id on the branch that was audited, by table.")
    recipe_digest: str = Field(description="Digest of the recipe that the thresholds come from.")
    suite_digest: str = Field(description="SHA-256 of the suite file.")
    evaluated_at: datetime = Field(description="When, UTC.")
    seconds: float = Field(ge=0, description="Seconds that evaluating took.")
    docs_uri: str | None = Field(description="Page of the Data Docs for this gate; null where none was built.")
    rows: dict[str, int] = Field(description="Rows looked at, by table of the audit profile.")
    totals: dict[str, int | float | str] = Field(description="The audited counts of all sources together.")
    expectations: list[ExpectationOutcome] = Field(description="Every expectation, in the order of the suite.")

    @property
    def failures(self) -> list[ExpectationOutcome]:
        """The expectations that do not hold."""
        return [outcome for outcome in self.expectations if not outcome.passed]

    def check(self) -> None:
        """Return if the gate is passed.

        Raises:
            GateFailed: it is not; the message has each failed expectation with numbers, example ids and the remedy.
        """
        if self.passed:
            return
        explained = "\n  ".join(outcome.explain() for outcome in self.failures)
        raise GateFailed(
            f"gate {self.stage} of build {self.build_id}: {len(self.failures)} of {len(self.expectations)} "
            f"expectations failed, so the build is not published.\n  {explained}\n"
            f"  All results: {self.docs_uri or 'gate.json beside the report'}"
        )

    def as_table(self) -> str:
        """All outcomes as a table of plain text, for a log."""
        rows = [
            ["", "expectation", "table", "required", "observed"],
            *(
                ["pass" if o.passed else "FAIL", o.name, o.table, _short(o.required), _short(o.observed)]
                for o in self.expectations
            ),
        ]
        widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
        lines = (zip(row, widths, strict=True) for row in rows)
        return "\n".join("  ".join(cell.ljust(width) for cell, width in line).rstrip() for line in lines)

    def write(self, uri: str) -> None:
        """Write the result as JSON."""
        write_text(uri, self.model_dump_json(indent=2))

    @classmethod
    def read(cls, uri: str) -> Self:
        """Read a result.

        Raises:
            FileNotFoundError: there is none at ``uri``: the gate has not run.
            pydantic.ValidationError: the file is no gate result of this release.
        """
        return cls.model_validate_json(read_text(uri))


def assert_gates_passed(results: Iterable[GateResult], build_id: str, snapshots: Mapping[str, int]) -> None:
    """Return if a branch may be published: every gate passed, and the last one saw exactly these snapshots.

    Only the last gate's snapshots are compared: stages after a gate change the branch on purpose, and the gate of
    each of them judges what it changed.

    Args:
        results: one result for each stage of :data:`GATED_STAGES`.
        build_id: the build that is to be published.
        snapshots: heads of the build's branch now, read from the catalog, by table.

    Raises:
        NotGated: a result is missing or of another build, or the branch moved after the last gate.
        GateFailed: a gate failed.
    """
    given = list(results)
    for result in given:
        if result.build_id != build_id:
            raise NotGated(
                f"publish of build {build_id}: the result of gate {result.stage} is of build {result.build_id}; "
                "run the gates of this build"
            )
    by_stage = {result.stage: result for result in given}
    if len(given) != len(GATED_STAGES) or set(by_stage) != set(GATED_STAGES):
        raise NotGated(
            f"publish of build {build_id}: there must be one result of each gate ({', '.join(GATED_STAGES)}), "
            f"and there are results of {', '.join(result.stage for result in given) or 'none'}; run the missing gates"
        )
    for stage in GATED_STAGES:
        by_stage[stage].check()
    audited = by_stage[GATED_STAGES[-1]].snapshots
    for table in sorted(audited.keys() | snapshots.keys()):
        if audited.get(table) != snapshots.get(table):
            raise NotGated(
                f"publish of build {build_id}: table {table} of the branch is at snapshot {snapshots.get(table)}, but "
                f"gate {GATED_STAGES[-1]} audited {audited.get(table)}: the branch was written to after its audit; "
                "clear the build's last stage and its gate, and run them again"
            )


def _row_text(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{column} {value}" for column, value in row.items())


def _short(text: str) -> str:
    return textwrap.shorten(text, 60, placeholder=" ...")
