"""The audit profile of a stage, as the tables that its gate judges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
from pyarrow import BufferReader

from goldmill.errors import GoldmillError
from goldmill.storage import read_bytes

if TYPE_CHECKING:
    import pandas as pd

    from goldmill.gates.suite import TableName
    from goldmill.recipe import Recipe

# The row of the metrics that counts all sources together.
ALL_SOURCES = "*"


class AuditMissing(GoldmillError):
    """There is no audit profile where one should be, or it cannot be read."""


def read_audit(audit_uri: str, recipe: Recipe) -> dict[TableName, pd.DataFrame]:
    """Read ``metrics.parquet`` and ``sample.parquet`` under ``audit_uri``.

    Returns:
        ``totals``, the row of all sources; ``sources``, one row a source with its ``loss_budget`` and
        ``failure_budget`` from the recipe; ``sample``, the sampled documents or sequences.

    Raises:
        AuditMissing: a file is missing or is no Parquet file, or the metrics have not one row of totals.
    """
    metrics = _read(f"{audit_uri}/metrics.parquet")
    sample = _read(f"{audit_uri}/sample.parquet")
    if "source" not in metrics or (metrics["source"] == ALL_SOURCES).sum() != 1:
        raise AuditMissing(
            f"{audit_uri}/metrics.parquet has not exactly one row with source {ALL_SOURCES!r}; run the stage again"
        )
    # A count that is missing in every row comes as objects, which do not compare with numbers.
    unknown = [column for column in metrics if metrics[column].isna().all()]
    metrics = metrics.astype(dict.fromkeys(unknown, "float64"))
    is_total = metrics["source"] == ALL_SOURCES
    sources = metrics[~is_total].reset_index(drop=True)
    rules = [recipe.source(source) for source in sources["source"]]
    sources = sources.assign(
        loss_budget=np.array([rule.loss_budget for rule in rules], dtype=np.float64),
        failure_budget=np.array([rule.failure_budget for rule in rules], dtype=np.float64),
    )
    if "nearest_jaccard" in sample:
        # A document without a neighbour is similar to none. Left null it would not count among the sampled documents,
        # and the share of near duplicates would be one of the documents that have a neighbour.
        sample["nearest_jaccard"] = sample["nearest_jaccard"].astype("float64").fillna(0.0)
    return {"totals": metrics[is_total].reset_index(drop=True), "sources": sources, "sample": sample}


def _read(uri: str) -> pd.DataFrame:
    try:
        frame: pd.DataFrame = pq.read_table(BufferReader(read_bytes(uri))).to_pandas()
    except FileNotFoundError:
        raise AuditMissing(f"{uri} does not exist; run the stage before its gate") from None
    except (OSError, ValueError) as error:  # Arrow's errors are of these two
        raise AuditMissing(f"{uri} is no Parquet file ({error}); run the stage again") from error
    return frame
