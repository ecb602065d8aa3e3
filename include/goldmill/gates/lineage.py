"""The outcome of a gate as OpenLineage data-quality facets, on the Iceberg table that was judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openlineage.client.event_v2 import InputDataset
from openlineage.client.generated.data_quality_assertions_dataset import Assertion, DataQualityAssertionsDatasetFacet
from openlineage.client.generated.data_quality_metrics_input_dataset import (
    ColumnMetrics,
    DataQualityMetricsInputDatasetFacet,
)

from goldmill.lineage.events import DatasetName

if TYPE_CHECKING:
    from goldmill.gates.result import ExpectationOutcome, GateResult


def judged_dataset(result: GateResult, location: str) -> InputDataset:
    """The table at ``location`` with the outcome of every expectation and the counts that were audited.

    Facets: ``DataQualityAssertionsDatasetFacet`` 1-1-0 and ``DataQualityMetricsInputDatasetFacet`` of the OpenLineage
    specification.
    """
    name = DatasetName.of_location(location)
    return InputDataset(
        name.namespace,
        name.name,
        inputFacets={
            "dataQualityAssertions": DataQualityAssertionsDatasetFacet([_assertion(o) for o in result.expectations]),
            "dataQualityMetrics": _metrics(result),
        },
    )


def _assertion(outcome: ExpectationOutcome) -> Assertion:
    return Assertion(
        assertion=outcome.type,
        success=outcome.passed,
        column=outcome.column or None,
        severity="error",
        name=outcome.name,
        description=outcome.description,
        expected=outcome.required,
        actual=outcome.observed,
        params={"table": outcome.table},
    )


def _metrics(result: GateResult) -> DataQualityMetricsInputDatasetFacet:
    totals: dict[str, Any] = result.totals
    if result.stage == "tokenize":
        rows = totals.get("sequences", 0)
        columns = {
            "sequence_id": ColumnMetrics(count=rows, distinctCount=rows - totals.get("duplicate_sequence_ids", 0)),
            "token_ids": ColumnMetrics(min=totals.get("min_token_id"), max=totals.get("max_token_id")),
        }
    else:
        rows = totals["rows_out"]
        columns = {
            "document_id": ColumnMetrics(count=rows, distinctCount=rows - totals.get("duplicate_document_ids", 0)),
            "text": ColumnMetrics(count=rows, nullCount=totals.get("null_texts")),
        }
    return DataQualityMetricsInputDatasetFacet(columnMetrics=columns, rowCount=rows)
