"""Audit profiles as the Spark jobs write them, and the reports beside them: good ones, to be spoilt by a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from goldmill.report import StageReport

Rows = list[dict[str, Any]]

BUILD = "a1b2c3d4e5f6"
SNAPSHOTS = {"documents": 11, "removals": 12, "signatures": 13, "sequences": 14}
_COUNTED = {"removed": 1, "quarantined": 1, "unbalanced_rows": 0, "loss_share": 0.1, "quarantined_share": 0.1}


def _source(name: str, **more: Any) -> dict[str, Any]:
    return {"source": name, "rows_in": 10, "rows_out": 8, **_COUNTED, **more}


GOOD_METRICS: dict[str, Rows] = {
    "refine": [
        _source("books", duplicate_document_ids=0, null_texts=0, contaminated_share=0.0),
        # Nothing was kept of this source, so nothing is known of its documents.
        _source("web", rows_out=0, removed=10, quarantined=0, contaminated_share=0.0),
        _source("*", rows_in=20, duplicate_document_ids=0, null_texts=0, contaminated_share=0.0),
    ],
    "deduplicate": [
        _source(
            name,
            duplicate_document_ids=0,
            residual_exact_duplicates=0,
            dangling_matches=0,
            residual_duplicate_pairs=0,
        )
        for name in ("books", "web", "*")
    ],
    "tokenize": [
        _source("books"),
        _source("web"),
        _source(
            "*",
            sequences=20,
            tokens=40_000,
            padding_tokens=960,
            waste_share=0.02,
            waste_allowed=0.06,
            min_token_id=0,
            max_token_id=299,
            vocab_size=300,
            wrong_length_sequences=0,
            duplicate_sequence_ids=0,
            documents_in_both_splits=0,
        ),
    ],
}


def _document(number: int, **more: Any) -> dict[str, Any]:
    prose = number % 2 == 0
    return {
        "document_id": f"{number:032x}",
        "source": "books",
        "kind": "prose" if prose else "code",
        "language": "en" if prose else "python",
        "language_score": 0.9 if prose else 0.0,
        "text_bytes": 1000 + number,
        "word_count": 200,
        "residual_pii": 0,
        "residual_secrets": 0,
        "residual_evaluation_ngrams": 0,
        **more,
    }


GOOD_SAMPLES: dict[str, Rows] = {
    "refine": [_document(number) for number in range(10)],
    "deduplicate": [
        {
            "document_id": f"{number:032x}",
            "source": "books",
            "nearest_document_id": f"{number + 1:032x}" if number == 0 else None,
            "nearest_jaccard": 0.5 if number == 0 else None,
        }
        for number in range(10)
    ],
    "tokenize": [
        {
            "sequence_id": f"{number:032x}",
            "split": "validation" if number == 0 else "train",
            "token_count": 2048,
            "document_count": 3,
        }
        for number in range(10)
    ],
}


def write_audit(directory: Path, metrics: Rows, sample: Rows) -> str:
    """Write an audit profile into ``directory`` and return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, rows in (("metrics", metrics), ("sample", sample)):
        schema = pa.unify_schemas([pa.Table.from_pylist([row]).schema for row in rows], promote_options="permissive")
        pq.write_table(pa.Table.from_pylist(rows, schema), directory / f"{name}.parquet")
    return str(directory)


def stage_report(stage: str, build_id: str = BUILD) -> StageReport:
    """A report of ``stage``, as far as a gate reads it."""
    return StageReport(
        stage=stage,
        build_id=build_id,
        spec_hash="0" * 64,
        rows_in=20,
        rows_out=16,
        removed_by_rule={"c4:curly_bracket": 2},
        quarantined_by_code={"truncated": 2},
        by_source={},
        digest="0" * 64,
        snapshots=SNAPSHOTS,
        code_revision="0",
        metrics={},
    )
