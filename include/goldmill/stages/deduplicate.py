"""Remove duplicates: of the same text, of the same URL, and near duplicates, against all history.

History is the ``signatures`` table: one row for each document that an earlier version kept. New documents are
compared with it and with each other, and only a new document is ever removed. A removal names the kept document
that it duplicates. Near duplicates are found by MinHash-LSH and then *verified*: the pair's true Jaccard similarity
decides, never the sketch. A document is removed only when it is similar to a document that stays, so the removals
are stars around kept documents; a chain a~b~c does not remove c on account of a.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from goldmill.lake.tables import DOCUMENTS, REMOVALS, SIGNATURES
from goldmill.rules.deduplication import BUCKET_LEADERS
from goldmill.text.minhash import jaccard, signatures, url_hashes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyspark.sql import Column, DataFrame

    from goldmill.rules.deduplication import MinHashConfig
    from goldmill.stages.job import StageContext

# Rank of a document among its duplicates: whichever comes first is kept. History is never removed.
_HISTORY_RANK = -1
_PAIR_TEXTS = "earlier_text string, later_text string"


def deduplicate_documents(context: StageContext) -> None:
    """Fill ``removals`` and ``signatures`` on the build's branch and delete the duplicates from ``documents``.

    Every step is keyed: run again after a crash, it finds what is already there.
    """
    lake, spec = context.lake, context.spec
    lake.rebase(spec.branch, spec.build_id, rebuild=spec.rebuild)
    if not context.is_staged("removals"):
        _find_duplicates(context)
    removals, kept = context.staged("removals"), context.staged("signatures")
    lake.append_once(removals, REMOVALS, spec.branch, spec.build_id, context.commit)
    lake.append_once(kept, SIGNATURES, spec.branch, spec.build_id, context.commit)
    removed_ids = f"SELECT document_id FROM {lake.name(REMOVALS)}.`branch_{spec.branch}`"
    lake.delete_once(
        DOCUMENTS,
        spec.branch,
        spec.build_id,
        context.commit,
        # Only rows of this build: a document that is delivered again has the id of the one that history keeps.
        f"build_id = '{spec.build_id}' AND document_id IN "
        f"({removed_ids} WHERE build_id = '{spec.build_id}' AND stage = 'deduplicate')",
    )


def _find_duplicates(context: StageContext) -> None:
    """Stage the removals and the signatures of what is kept as Parquet files in the work area."""
    lake, spec = context.lake, context.spec
    rules = spec.recipe.deduplicate
    documents = lake.read(DOCUMENTS, spec.branch)
    batch = documents.where(F.col("build_id") == spec.build_id)

    context.step("signatures")
    batch_signatures = context.stage(
        "batch_signatures",
        batch.select("document_id", "source", "content_hash", "url", "text")
        .mapInArrow(_signer(rules.minhash), "document_id string, source string, content_hash string, "
                    "url_hash string, bands array<bigint>, shingle_count int")
        .withColumn("rank", _source_priority(spec.recipe.source_priorities)),
    )  # fmt: skip
    history = (
        lake.read(SIGNATURES, spec.branch)
        .where(F.col("build_id") != spec.build_id)
        .withColumn("rank", F.lit(_HISTORY_RANK))
    )
    columns = ("document_id", "content_hash", "url_hash", "bands", "rank")
    remaining = batch_signatures
    found: list[DataFrame] = []

    context.step("equal texts and addresses")
    for enabled, rule, key in ((rules.exact, "exact", "content_hash"), (rules.url, "url", "url_hash")):
        if not enabled:
            continue
        pool = remaining.select(*columns).unionByName(history.select(*columns))
        hits = context.stage(f"hits_{rule}", _equal_key(pool, key, rule))
        found.append(hits)
        remaining = remaining.join(hits, "document_id", "left_anti")

    if rules.minhash.enabled:
        context.step("candidate pairs")
        pool = remaining.select(*columns).unionByName(history.select(*columns))
        pairs = context.stage("pairs", _candidate_pairs(pool))
        context.step("verification")
        edges = context.stage("edges_0", _verified_edges(pairs, documents.select("document_id", "text"), rules.minhash))
        stars = _stars(context, edges)
        threshold = F.lit(rules.minhash.jaccard_threshold)
        found.extend(star.withColumn("rule", F.lit("minhash")).withColumn("threshold", threshold) for star in stars)

    context.step("removals")
    removed = reduce(lambda left, right: left.unionByName(right), found) if found else None
    context.stage("signatures", _kept(context, batch_signatures, removed))
    context.stage("removals", _removal_rows(context, batch, removed))


def _signer(config: MinHashConfig) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def sign(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            sketch = signatures(batch["text"], config)
            yield pa.RecordBatch.from_arrays(
                [
                    batch["document_id"],
                    batch["source"],
                    batch["content_hash"],
                    url_hashes(batch["url"]),
                    sketch.field("bands"),
                    sketch.field("shingle_count"),
                ],
                names=["document_id", "source", "content_hash", "url_hash", "bands", "shingle_count"],
            )

    return sign


def _source_priority(priorities: dict[str, int]) -> Column:
    """Priority of the row's source; sources that the recipe does not name come last."""
    rank = F.lit(max(priorities.values(), default=0) + 1)
    for source, priority in sorted(priorities.items()):
        rank = F.when(F.col("source") == source, F.lit(priority)).otherwise(rank)
    return rank


def _equal_key(pool: DataFrame, key: str, rule: str) -> DataFrame:
    """Documents of the batch whose ``key`` an earlier document has: one row each, with the document it matches."""
    keyed = pool.where(F.col(key).isNotNull())
    first = keyed.groupBy(key).agg(F.min(F.struct("rank", "document_id")).alias("first"))
    return (
        keyed.where(F.col("rank") > _HISTORY_RANK)
        .join(first, key)
        .where((F.col("first.document_id") != F.col("document_id")) | (F.col("first.rank") == _HISTORY_RANK))
        .select(
            "document_id",
            F.col("first.document_id").alias("matched_document_id"),
            F.lit(1.0).alias("score"),
            F.lit(rule).alias("rule"),
            F.lit(1.0).alias("threshold"),
        )
    )


def _candidate_pairs(pool: DataFrame) -> DataFrame:
    """Pairs (earlier, later) that share a band, the later one of this batch; each pair once."""
    entries = pool.select("document_id", "rank", F.posexplode("bands").alias("band", "hash"))
    # Buckets without a new document can be dropped before anything is sorted: history is the larger side.
    live = entries.where(F.col("rank") > _HISTORY_RANK).select("band", "hash").distinct()
    order = Window.partitionBy("band", "hash").orderBy("rank", "document_id")
    placed = entries.join(live, ["band", "hash"], "left_semi").withColumn("place", F.row_number().over(order))
    leaders = placed.where(F.col("place") <= BUCKET_LEADERS).select(
        "band",
        "hash",
        F.col("document_id").alias("earlier"),
        F.col("rank").alias("earlier_rank"),
        F.col("place").alias("earlier_place"),
    )
    return (
        placed.where((F.col("rank") > _HISTORY_RANK) & (F.col("place") > 1))
        .join(leaders, ["band", "hash"])
        .where(F.col("earlier_place") < F.col("place"))
        .select("earlier", "earlier_rank", F.col("document_id").alias("later"))
        .distinct()
    )


def _verified_edges(pairs: DataFrame, texts: DataFrame, config: MinHashConfig) -> DataFrame:
    """The pairs whose true Jaccard similarity reaches the threshold, with it as ``score``."""

    def verify(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            score = jaccard(batch["earlier_text"], batch["later_text"], config)
            yield pa.RecordBatch.from_arrays(
                [batch["earlier"], batch["earlier_rank"], batch["later"], score],
                names=["earlier", "earlier_rank", "later", "score"],
            )

    needed = pairs.select(F.explode(F.array("earlier", "later")).alias("document_id")).distinct()
    # A document may have been taken down since its signature was written: then it is no reason to remove another.
    texts = texts.join(needed, "document_id", "left_semi").dropDuplicates(["document_id"])
    return (
        pairs.join(texts.select(F.col("document_id").alias("earlier"), F.col("text").alias("earlier_text")), "earlier")
        .join(texts.select(F.col("document_id").alias("later"), F.col("text").alias("later_text")), "later")
        .select("earlier", "earlier_rank", "later", "earlier_text", "later_text")
        .mapInArrow(verify, "earlier string, earlier_rank int, later string, score double")
        .where(F.col("score") >= config.jaccard_threshold)
    )


def _stars(context: StageContext, edges: DataFrame) -> list[DataFrame]:
    """Decide the verified edges in rounds; each round's removals as (document_id, matched_document_id, score).

    A document that no undecided edge points at stays: nothing earlier is similar to it. What it is similar to goes,
    with all of its own edges. That is the greedy choice in keeping order (the lexicographically first maximal
    independent set), found without looking at the documents one by one. Each round decides at least the earliest
    undecided document, and in practice most of them: real chains are short.
    """
    stars: list[DataFrame] = []
    while not edges.isEmpty():
        staying = edges.select(F.col("earlier").alias("id")).distinct().join(
            edges.select(F.col("later").alias("id")).distinct(), "id", "left_anti"
        )  # fmt: skip
        star = context.stage(
            f"stars_{len(stars)}",
            edges.join(staying, edges["earlier"] == staying["id"], "left_semi")
            .groupBy(F.col("later").alias("document_id"))
            # The most similar of the staying documents; among equals the one that is kept first.
            .agg(F.min(F.struct((-F.col("score")).alias("minus_score"), "earlier_rank", "earlier")).alias("best"))
            .select("document_id", F.col("best.earlier").alias("matched_document_id"),
                    (-F.col("best.minus_score")).alias("score")),
        )  # fmt: skip
        stars.append(star)
        gone = star.select(F.col("document_id").alias("id"))
        edges = context.stage(
            f"edges_{len(stars)}",
            edges.join(gone, edges["later"] == gone["id"], "left_anti").join(
                gone, edges["earlier"] == gone["id"], "left_anti"
            ),
        )
    return stars


def _kept(context: StageContext, batch_signatures: DataFrame, removed: DataFrame | None) -> DataFrame:
    kept = batch_signatures if removed is None else batch_signatures.join(removed, "document_id", "left_anti")
    return kept.withColumn("priority", F.col("rank")).withColumn("build_id", F.lit(context.spec.build_id))


def _removal_rows(context: StageContext, batch: DataFrame, removed: DataFrame | None) -> DataFrame:
    if removed is None:
        return context.empty(REMOVALS)
    return (
        batch.select("document_id", "source", "object_key", "record_path", "url")
        .join(removed, "document_id")
        .withColumn("stage", F.lit("deduplicate"))
        .withColumn("disposition", F.lit("removed"))
        .withColumn("detail", F.lit(None).cast("string"))
        .withColumn("build_id", F.lit(context.spec.build_id))
        .select(*REMOVALS.column_names)
    )
