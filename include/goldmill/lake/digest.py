"""Digests of tables that do not depend on the order, the partitions or the files of the rows."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# SHA-256 is cut into eight words of 32 bits, each summed by itself: a sum of 32-bit words stays inside a
# 64-bit integer for two billion rows a partition sum and far beyond what one build holds.
_WORDS = 8


def multiset_digest(frame: DataFrame, *columns: str) -> str:
    """SHA-256 (hex) of the multiset of rows, over ``columns`` (strings and integers).

    Row hashes are added up word by word, as in the additive multiset hashes of Clarke et al. (ASIACRYPT 2003):
    order cannot matter, and a row that stands twice counts twice, which an exclusive or would cancel.
    """
    # A separator that text cannot forge is not needed: callers pass ids, hashes, names and numbers.
    row = F.sha2(F.concat_ws("\x1f", *[F.coalesce(F.col(c).cast("string"), F.lit("")) for c in columns]), 256)
    words = [
        F.sum(F.conv(F.substring("row_hash", 1 + 8 * word, 8), 16, 10).cast("bigint")).alias(f"w{word}")
        for word in range(_WORDS)
    ]
    sums = frame.select(row.alias("row_hash")).agg(F.count("*").alias("n"), *words).first()
    return hashlib.sha256(":".join(str(value or 0) for value in sums).encode()).hexdigest()  # type: ignore[union-attr]
