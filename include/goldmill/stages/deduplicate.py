"""Remove duplicates: of the same text, of the same URL, and near duplicates, against all history.

History is the ``signatures`` table: one row for each document that an earlier version kept. New documents are
compared with it and with each other, and only a new document is ever removed. A removal names the kept document
that it duplicates. Near duplicates are found by MinHash-LSH and then *verified*: the pair's true Jaccard similarity
decides, never the sketch. A document is removed only when it is equal or similar to a document that stays, so the
removals are stars around kept documents; a chain a~b~c does not remove c on account of a. Because of that, batches one
after the other leave what one batch in the same order leaves.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from goldmill.errors import GoldmillError
from goldmill.lake.spark import BUILD_KEY
from goldmill.lake.tables import DOCUMENTS, REMOVALS, SIGNATURES
from goldmill.rules.deduplication import BUCKET_LEADERS
from goldmill.text.minhash import jaccard, signatures, url_hashes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pyspark.sql import Column, DataFrame

    from goldmill.rules.deduplication import MinHashConfig
    from goldmill.stages.job import StageContext

# In the snapshot summary of each commit of signatures: what they were made with.
SKETCH_KEY = "goldmill.sketch"

# Up to so many keys of the batch are sent to every task that scans history, which is then never shuffled; one takes
# about 40 bytes there. A larger batch is shuffled with its history.
_BROADCAST_KEYS = 4_000_000

# Up to so many documents of history are looked up by id, so that only the row groups that may hold them are read.
_LOOKED_UP_IDS = 10_000

# Rank of a document among its duplicates: whichever comes first is kept. History is never removed.
_HISTORY_RANK = -1
_RANKED = ("document_id", "rank")
# What a removal is put down to, where there is more than one reason.
_RULES = ("exact", "url", "minhash")


class SketchChanged(GoldmillError):
    """History was signed in another way, so that nothing new would ever match it."""


def deduplicate_documents(context: StageContext) -> None:
    """Fill ``removals`` and ``signatures`` on the build's branch and delete the duplicates from ``documents``.

    Every step is keyed: run again after a crash, it finds what is already there.

    Raises:
        SketchChanged: the signatures of history do not compare with those of this recipe and release.
    """
    lake, spec = context.lake, context.spec
    lake.rebase(spec.branch, spec.build_id, rebuild=spec.rebuild)
    if not spec.rebuild:
        _check_history(context)
    if not context.is_staged("removals"):
        _find_duplicates(context)
    removals, kept = context.staged("removals"), context.staged("signatures")
    lake.append_once(removals, REMOVALS, spec.branch, spec.build_id, context.commit)
    sketch = {SKETCH_KEY: spec.recipe.deduplicate.minhash.sketch}
    lake.append_once(kept, SIGNATURES, spec.branch, spec.build_id, context.commit, sketch)
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


def _check_history(context: StageContext) -> None:
    spec, minhash = context.spec, context.spec.recipe.deduplicate.minhash
    place = (SIGNATURES, spec.branch, spec.build_id)
    if context.lake.inherited_property(*place, BUILD_KEY) is None:
        return  # there is no history
    kept = context.lake.inherited_property(*place, SKETCH_KEY)
    if kept != minhash.sketch:
        raise SketchChanged(
            f"deduplicate.minhash: the documents of the corpus {spec.recipe.corpus!r} were signed as {kept or 'v1'}, "
            f"this recipe and release sign as {minhash.sketch}: no duplicate of an older document would be found. "
            "Set shingle_words, bands, rows and seed as they were, or rebuild the corpus from a version "
            "(parameter rebuild_from)."
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
    history = lake.read(SIGNATURES, spec.branch).where(F.col("build_id") != spec.build_id)
    sent = batch_signatures.count() * rules.minhash.bands <= _BROADCAST_KEYS
    keys = [key for enabled, key in ((rules.exact, "content_hash"), (rules.url, "url_hash")) if enabled]

    context.step("equal texts and addresses")
    seen = {
        key: context.stage(f"history_{key}", _matching(history, batch_signatures, key, sent, *_RANKED)) for key in keys
    }
    copies = context.stage("copies", _certain_copies(batch_signatures, seen))
    remaining = context.stage("remaining", batch_signatures.join(copies, "document_id", "left_anti"))
    edges = [_equal(_pool(remaining, seen[key], key, *_RANKED), key) for key in keys]

    if rules.minhash.enabled:
        context.step("candidate pairs")
        # The hash of a band covers its number.
        banded, history = (frame.withColumn("band", F.explode("bands")) for frame in (remaining, history))
        columns = (*_RANKED, "shingle_count")
        old = _matching(history, banded, "band", sent, *columns)
        candidates = _pairs(_pool(banded, old, "band", *columns), "band", _may_be_similar(rules.minhash))
        pairs = context.stage("pairs", candidates)
        context.step("verification")
        edges.append(_verified(pairs, _texts(pairs, documents, spec.build_id), rules.minhash))

    context.step("removals")
    stars = _stars(context, context.stage("edges_0", _union(edges))) if edges else []
    if stars:
        copies = _attributed(copies, _union(stars))
    removed = _union([copies, *stars])
    context.stage("signatures", _kept(context, batch_signatures, removed))
    context.stage("removals", _removal_rows(context, batch, removed))


def _union(frames: Sequence[DataFrame]) -> DataFrame:
    return reduce(lambda left, right: left.unionByName(right), frames)


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


def _matching(history: DataFrame, batch: DataFrame, key: str, sent: bool, *columns: str) -> DataFrame:
    """Columns of those rows of history that have a ``key`` which the batch has, with the rank of history.

    History is the larger side: of it only the columns named are read, and only the rows that match are moved.
    """
    keys = batch.where(F.col(key).isNotNull()).select(key).distinct()
    return (
        history.withColumn("rank", F.lit(_HISTORY_RANK))
        .select(key, *columns)
        .join(F.broadcast(keys) if sent else keys, key, "left_semi")
    )


def _pool(batch: DataFrame, history: DataFrame, key: str, *columns: str) -> DataFrame:
    """What is compared by ``key``: rows of the batch that have one, and the rows of history that match."""
    return batch.where(F.col(key).isNotNull()).select(key, *columns).unionByName(history)


def _certain_copies(batch: DataFrame, history: dict[str, DataFrame]) -> DataFrame:
    """Documents of the batch that cannot stay since their text has been there before, with the first that has it.

    The first goes only if it resembles a document that stays, which then all of its copies do. One that may go for the
    sake of its address is left to the stars: then the next copy may stay.
    """

    def placed(key: str) -> DataFrame:
        order = Window.partitionBy(key).orderBy(*reversed(_RANKED))
        pool = _pool(batch, history[key], key, *_RANKED).withColumn("first", F.first(F.struct(*_RANKED)).over(order))
        behind = (F.row_number().over(order) > 1) & (F.col("rank") > _HISTORY_RANK)
        return pool.withColumn("behind", behind).where("behind")

    if "content_hash" not in history:
        return batch.limit(0).select("document_id", *_match("document_id", 1.0, "exact"))
    copies = placed("content_hash").withColumn("first_id", F.col("first.document_id"))
    if "url_hash" in history:
        unsure = placed("url_hash").select(F.col("document_id").alias("first_id")).distinct()
        # A document of history stays, even where one that is delivered again has its id.
        copies = copies.join(unsure.withColumn("unsure", F.lit(True)), "first_id", "left").where(
            (F.col("first.rank") == _HISTORY_RANK) | F.col("unsure").isNull()
        )
    return copies.select("document_id", *_match("first_id", 1.0, "exact"))


def _match(matched: str, score: float, rule: str) -> tuple[Column, ...]:
    return F.col(matched).alias("matched_document_id"), F.lit(score).alias("score"), F.lit(rule).alias("rule")


def _attributed(copies: DataFrame, stars: DataFrame) -> DataFrame:
    """The copies, each with the document that stays: where the first has gone, that for whose sake it went."""
    first = stars.select(
        F.col("document_id").alias("matched_document_id"),
        F.struct("matched_document_id", "score", "rule").alias("instead"),
    )
    own = F.struct("matched_document_id", "score", "rule")
    return (
        copies.join(first, "matched_document_id", "left")
        .withColumn("match", F.coalesce("instead", own))
        .select("document_id", "match.matched_document_id", "match.score", "match.rule")
    )


def _equal(pool: DataFrame, key: str) -> DataFrame:
    """Edges between documents that share the key."""
    rule = {"content_hash": "exact", "url_hash": "url"}[key]
    return _pairs(pool, key).withColumn("score", F.lit(1.0)).withColumn("rule", F.lit(rule))


def _may_be_similar(config: MinHashConfig) -> Column:
    """Condition on a pair of candidates: no more shingles can be shared than the smaller document has."""
    counts = (F.col("shingle_count"), F.col("earlier_shingle_count"))
    return F.least(*counts) / F.greatest(*counts) >= config.jaccard_threshold


def _pairs(pool: DataFrame, key: str, condition: Column | None = None) -> DataFrame:
    """Pairs (earlier, earlier_rank, later) that share the key, the later one of this batch; each pair once.

    ``condition`` may use the columns of the later document, and those of the earlier one with ``earlier_`` before them.
    """
    order = Window.partitionBy(key).orderBy("rank", "document_id")
    placed = pool.withColumn("place", F.row_number().over(order))
    others = [column for column in placed.columns if column != key]
    leaders = placed.where(F.col("place") <= BUCKET_LEADERS).select(
        key, *(F.col(column).alias(f"earlier_{column}") for column in others)
    )
    pairs = (
        placed.where((F.col("rank") > _HISTORY_RANK) & (F.col("place") > 1))
        .join(leaders, key)
        .where(F.col("earlier_place") < F.col("place"))
    )
    return (
        (pairs if condition is None else pairs.where(condition))
        .select(F.col("earlier_document_id").alias("earlier"), "earlier_rank", F.col("document_id").alias("later"))
        .distinct()
    )


def _texts(pairs: DataFrame, documents: DataFrame, build_id: str) -> DataFrame:
    """Id and text of each document in ``pairs``, as far as they are still there: some may have been taken down."""
    own = F.col("build_id") == build_id
    needed = pairs.select(F.explode(F.array("earlier", "later")).alias("document_id")).distinct()
    old = pairs.where(F.col("earlier_rank") == _HISTORY_RANK).select("earlier").distinct()
    looked_up = [row["earlier"] for row in old.limit(_LOOKED_UP_IDS + 1).collect()]
    if len(looked_up) <= _LOOKED_UP_IDS:
        documents = documents.where(own).unionByName(documents.where(~own & F.col("document_id").isin(looked_up)))
    # A document that is delivered again has the id of the one in history, and its text.
    return (
        documents.join(needed, "document_id", "left_semi").select("document_id", "text").dropDuplicates(["document_id"])
    )


def _verified(pairs: DataFrame, texts: DataFrame, config: MinHashConfig) -> DataFrame:
    """The pairs whose true Jaccard similarity reaches the threshold, with it as ``score``."""

    def verify(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            score = jaccard(batch["earlier_text"], batch["later_text"], config)
            yield pa.RecordBatch.from_arrays(
                [batch["earlier"], batch["earlier_rank"], batch["later"], score],
                names=["earlier", "earlier_rank", "later", "score"],
            )

    # A document may have been taken down since its signature was written: then it is no reason to remove another.
    return (
        pairs.join(texts.select(F.col("document_id").alias("earlier"), F.col("text").alias("earlier_text")), "earlier")
        .join(texts.select(F.col("document_id").alias("later"), F.col("text").alias("later_text")), "later")
        .select("earlier", "earlier_rank", "later", "earlier_text", "later_text")
        .mapInArrow(verify, "earlier string, earlier_rank int, later string, score double")
        .where(F.col("score") >= config.jaccard_threshold)
        .withColumn("rule", F.lit("minhash"))
    )


def _stars(context: StageContext, edges: DataFrame) -> list[DataFrame]:
    """Decide the edges in rounds; each round's removals as (document_id, matched_document_id, score, rule).

    A document that no undecided edge points at stays: nothing earlier is like it. What it is like goes, with all of
    its own edges. That is the greedy choice in keeping order (the lexicographically first maximal independent set),
    found without looking at the documents one by one. Each round decides at least the earliest undecided document, and
    in practice most of them: real chains are short.
    """
    stars: list[DataFrame] = []
    # A document of history stays, even where one that is delivered again, and so has its id, goes.
    old = F.col("earlier_rank") == _HISTORY_RANK
    order = F.array_position(F.array(*map(F.lit, _RULES)), F.col("rule"))
    while not edges.isEmpty():
        pointed_at = edges.select(F.col("later").alias("earlier")).distinct().withColumn("pointed_at", F.lit(True))
        star = context.stage(
            f"stars_{len(stars)}",
            edges.join(pointed_at, "earlier", "left")
            .where(old | F.col("pointed_at").isNull())
            .groupBy(F.col("later").alias("document_id"))
            # For the first rule, the most similar document, and among equals the one that is kept first.
            .agg(F.min(F.struct(order.alias("order"), (-F.col("score")).alias("minus_score"),
                                "earlier_rank", "earlier", "rule")).alias("best"))
            .select("document_id", F.col("best.earlier").alias("matched_document_id"),
                    (-F.col("best.minus_score")).alias("score"), "best.rule"),
        )  # fmt: skip
        stars.append(star)
        gone = star.select(F.col("document_id").alias("later"))
        edges = edges.join(gone, "later", "left_anti")
        gone_earlier = gone.select(F.col("later").alias("earlier")).withColumn("gone", F.lit(True))
        edges = context.stage(
            f"edges_{len(stars)}",
            edges.join(gone_earlier, "earlier", "left").where(old | F.col("gone").isNull()).drop("gone"),
        )
    return stars


def _kept(context: StageContext, batch_signatures: DataFrame, removed: DataFrame) -> DataFrame:
    kept = batch_signatures.join(removed, "document_id", "left_anti")
    return kept.withColumn("priority", F.col("rank")).withColumn("build_id", F.lit(context.spec.build_id))


def _removal_rows(context: StageContext, batch: DataFrame, removed: DataFrame) -> DataFrame:
    similar = F.lit(context.spec.recipe.deduplicate.minhash.jaccard_threshold)
    return (
        batch.select("document_id", "source", "object_key", "record_path", "url")
        .join(removed, "document_id")
        .withColumn("stage", F.lit("deduplicate"))
        .withColumn("disposition", F.lit("removed"))
        .withColumn("threshold", F.when(F.col("rule") == "minhash", similar).otherwise(1.0))
        .withColumn("detail", F.lit(None).cast("string"))
        .withColumn("build_id", F.lit(context.spec.build_id))
        .select(*REMOVALS.column_names)
    )
