"""Suites as data: the expectations of a stage in YAML, with thresholds filled in from the recipe."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from goldmill.errors import GoldmillError
from goldmill.rules.language import ANY_LANGUAGE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from goldmill.recipe import Recipe

TableName = Literal["totals", "sources", "sample"]
TABLES: tuple[TableName, ...] = ("totals", "sources", "sample")

_SUITES = Path(__file__).parent / "suites"
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class SuiteError(GoldmillError):
    """A suite file is malformed, or asks for a threshold that no recipe has."""


class ExpectationEntry(BaseModel):
    """One expectation of a suite file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="What holds when it passes.")
    description: str = Field(min_length=1, description="What is expected, in a sentence.")
    remedy: str = Field(min_length=1, description="What to do when it fails.")
    type: str = Field(pattern=r"^expect_", description="Type of the expectation in Great Expectations.")
    kwargs: dict[str, Any] = Field(description="Its arguments; a text `{threshold}` stands for the threshold's value.")
    applies_if: str | None = Field(default=None, description="Threshold that must be true, or it is left out.")


class TableEntry(BaseModel):
    """The expectations on one table of the audit profile."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ids: list[str] = Field(default_factory=list, description="Columns that name a row, shown with rows that fail.")
    expectations: list[ExpectationEntry] = Field(min_length=1, description="The expectations, in the order of reports.")


@dataclass(frozen=True)
class Suite:
    """The expectations of one stage, with all thresholds filled in."""

    stage: str
    digest: str
    tables: dict[TableName, TableEntry]


def load_suite(stage: str, thresholds: Mapping[str, Any]) -> Suite:
    """Read the suite of ``stage`` and fill in the thresholds.

    Raises:
        SuiteError: there is no such suite, it is malformed, or it names a threshold that is not given.
    """
    path = _SUITES / f"{stage}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in _SUITES.glob("*.yaml")))
        raise SuiteError(f"stage {stage!r} has no suite of expectations; known: {known}")
    content = path.read_bytes()
    return Suite(stage, hashlib.sha256(content).hexdigest(), parse_suite(path.name, content, thresholds))


def parse_suite(file: str, content: bytes, thresholds: Mapping[str, Any]) -> dict[TableName, TableEntry]:
    """Parse the content of a suite file; ``file`` is its name in messages.

    Raises:
        SuiteError: it is malformed, or names a threshold that is not given.
    """
    try:
        document = yaml.safe_load(content)
        if not isinstance(document, dict) or set(document) != set(TABLES):
            raise SuiteError(f"{file}: the tables of a suite are {', '.join(TABLES)}, each once and no others")
        tables = {table: TableEntry.model_validate(document[table]) for table in TABLES}
    except (yaml.YAMLError, ValidationError) as error:
        raise SuiteError(f"{file} is no suite of expectations: {error}") from error
    return {table: _bind(file, entry, thresholds) for table, entry in tables.items()}


def thresholds(recipe: Recipe, sample_rows: int) -> dict[str, Any]:
    """What a suite may name in braces, for a recipe and the number of rows that were sampled."""
    language, deduplicate = recipe.language, recipe.deduplicate
    # A sketch misses pairs by chance. One pair in a sample says nothing about its share, however small the sample.
    residual_share = max(recipe.gates.max_residual_duplicate_share, 2 / max(2, sample_rows))
    return {
        **recipe.gates.model_dump(),
        "language_checked": language.enabled,
        "languages_limited": language.enabled and ANY_LANGUAGE not in language.allowed,
        "allowed_languages": list(language.allowed),
        "min_language_score": language.min_score,
        "evaluation_sets_named": bool(recipe.decontaminate.sets),
        "exact_duplicates_removed": deduplicate.exact,
        "near_duplicates_removed": deduplicate.minhash.enabled,
        "jaccard_threshold": deduplicate.minhash.jaccard_threshold,
        # Less a rounding error, so that 2 rows of n are allowed and not just below.
        "min_distinct_share": max(0.0, 1.0 - residual_share - 1e-9),
        "sequence_length": recipe.packing.sequence_length,
    }


def _bind(file: str, table: TableEntry, thresholds: Mapping[str, Any]) -> TableEntry:
    def look_up(name: str, entry: ExpectationEntry) -> Any:
        if name not in thresholds:
            known = ", ".join(sorted(thresholds))
            raise SuiteError(f"{file}, expectation {entry.name}: no threshold is called {name!r}; known: {known}")
        return thresholds[name]

    def fill(value: Any, entry: ExpectationEntry) -> Any:
        match = _PLACEHOLDER.fullmatch(value) if isinstance(value, str) else None
        return look_up(match[1], entry) if match else value

    bound = [
        entry.model_copy(update={"kwargs": {key: fill(value, entry) for key, value in entry.kwargs.items()}})
        for entry in table.expectations
        if entry.applies_if is None or look_up(entry.applies_if, entry)
    ]
    return table.model_copy(update={"expectations": bound})
