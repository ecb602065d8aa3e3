"""Digests of tables that do not depend on the order, the partitions or the files of the rows."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pyspark.sql import Column

# SHA-256 is cut into eight words of 32 bits, each summed by itself: a sum of 32-bit words stays inside a
# 64-bit integer for two billion rows a partition sum and far beyond what one build holds.
_WORDS = 8
_PREFIX = "digest_"


def row_hash_sums(*columns: str) -> list[Column]:
    """Aggregates of a group of rows over ``columns`` (strings and integers), of which :func:`digest_of` makes a digest.

    Row hashes are added up word by word, as in the additive multiset hashes of Clarke et al. (ASIACRYPT 2003):
    order cannot matter, and a row that stands twice counts twice, which an exclusive or would cancel.
    """
    # A separator that text cannot forge is not needed: callers pass ids, hashes, names and numbers.
    row = F.sha2(F.concat_ws("\x1f", *[F.coalesce(F.col(c).cast("string"), F.lit("")) for c in columns]), 256)
    words = [
        F.sum(F.conv(F.substring(row, 1 + 8 * word, 8), 16, 10).cast("bigint")).alias(f"{_PREFIX}{word}")
        for word in range(_WORDS)
    ]
    return [F.count("*").alias(f"{_PREFIX}rows"), *words]


def digest_of(groups: Iterable[Mapping[str, Any]]) -> str:
    """SHA-256 (hex) of the multiset of all rows, from the sums of each group; how it was grouped does not matter."""
    names = [f"{_PREFIX}rows", *[f"{_PREFIX}{word}" for word in range(_WORDS)]]
    sums = dict.fromkeys(names, 0)
    for group in groups:
        for name in names:
            sums[name] += group[name] or 0
    return hashlib.sha256(":".join(str(sums[name]) for name in names).encode()).hexdigest()
