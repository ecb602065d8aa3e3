"""Account for a stage from what is in the tables: its report, and the audit profile that the gate judges.

Nothing here trusts what the stage believes it did: the counts are read back from the branch that was committed.
Only what went *in* comes from elsewhere (the readers' own count, or the rows that the stage before left).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import functions as F

from goldmill.lake.digest import digest_of, row_hash_sums
from goldmill.lake.tables import DOCUMENTS, REMOVALS, SEQUENCES, SIGNATURES, Table
from goldmill.report import StageReport
from goldmill.rules.deduplication import MinHashConfig
from goldmill.stages.refine import evaluation_index
from goldmill.storage import write_bytes
from goldmill.text.decontamination import decontaminate_documents
from goldmill.text.minhash import jaccard, signatures
from goldmill.text.pii import find as find_pii
from goldmill.text.secrets import find_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pyspark.sql import DataFrame

    from goldmill.spec import StageSpec
    from goldmill.stages.job import StageContext
    from goldmill.text.scrubbing import Span

ALL = "*"

# The audit samples by a sketch that the stage does not use, so that it does not repeat the stage's own misses:
# one minimum of another family of hashes. Two documents of similarity s have the same minimum with probability s.
_AUDIT_SEED = 0x601D


@dataclass(frozen=True)
class Profile:
    """What a stage left behind: rows in and out by source, what the gate looks at, and the digest."""

    rows_in: Counter[str]
    rows_out: Counter[str]
    digest: str
    # Columns that the gate judges, by source (or split); the row counts are added for every stage alike.
    metrics: dict[str, dict[str, Any]]
    # Sampled rows that the gate judges one by one.
    sample: pa.Table
    # Facts for the report that are no counts of rows.
    facts: dict[str, Any]


def account_for(context: StageContext) -> StageReport:
    """Read the branch back, write the audit profile next to the report, and return the report.

    Raises:
        UnbalancedRows: in is not out plus removed plus quarantined.
    """
    spec = context.spec
    profile = _PROFILES[spec.stage](context)
    removals = _removals(context)
    removed, quarantined = removals["removed"], removals["quarantined"]
    sources = sorted(profile.rows_in.keys() | profile.rows_out.keys() | removed.keys() | quarantined.keys())
    by_source = {
        source: {
            "rows_in": profile.rows_in[source],
            "rows_out": profile.rows_out[source],
            "removed": removed[source].total(),
            "quarantined": quarantined[source].total(),
        }
        for source in sources
    }
    totals = {key: sum(counts[key] for counts in by_source.values()) for key in _COUNTS}
    rows = []
    for source, counts in [*by_source.items(), (ALL, totals)]:
        unbalanced = counts["rows_in"] - counts["rows_out"] - counts["removed"] - counts["quarantined"]
        seen = max(1, counts["rows_in"])
        shares = {"loss_share": counts["removed"] / seen, "quarantined_share": counts["quarantined"] / seen}
        rows.append(
            {"source": source, **counts, "unbalanced_rows": unbalanced, **shares, **profile.metrics.get(source, {})}
        )
    _write_parquet(f"{spec.audit_uri}/metrics.parquet", pa.Table.from_pylist(rows, _schema_of(rows)))
    _write_parquet(f"{spec.audit_uri}/sample.parquet", profile.sample)
    report = StageReport(
        stage=spec.stage,
        build_id=spec.build_id,
        spec_hash=spec.spec_hash,
        rows_in=totals["rows_in"],
        rows_out=totals["rows_out"],
        removed_by_rule=dict(sorted(sum(removed.values(), Counter()).items())),
        quarantined_by_code=dict(sorted(sum(quarantined.values(), Counter()).items())),
        by_source=by_source,
        digest=profile.digest,
        snapshots=context.lake.heads(spec.branch),
        code_revision=spec.code_revision,
        metrics=profile.facts,
    )
    report.check_balance()
    return report


_SMALL_BUILD_SEQUENCES = 1000

_COUNTS = ("rows_in", "rows_out", "removed", "quarantined")


def _removals(context: StageContext) -> dict[str, dict[str, Counter[str]]]:
    """Rows of this stage in ``removals`` by disposition, source and rule."""
    found: dict[str, dict[str, Counter[str]]] = {name: defaultdict(Counter) for name in ("removed", "quarantined")}
    rows = _own(context, REMOVALS).where(F.col("stage") == context.spec.stage)
    for row in rows.groupBy("disposition", "source", "rule").count().collect():
        found[row["disposition"]][row["source"]][row["rule"]] = row["count"]
    return found


def _profile_refine(context: StageContext) -> Profile:
    rules = context.spec.recipe.gates
    objects = context.staged("outcomes").where("outcome = 'object'")
    documents = _own(context, DOCUMENTS)
    totals = documents.groupBy("source").agg(
        F.count("*").alias("rows"),
        (F.count("*") - F.countDistinct("document_id")).alias("duplicate_document_ids"),
        F.count_if(F.col("text").isNull() | (F.trim("text") == "")).alias("null_texts"),
        F.sum("text_bytes").alias("text_bytes"),
        F.count("evaluation_item").alias("contaminated"),
        *row_hash_sums("document_id", "content_hash", "language", "license"),
    )
    by_source = {row["source"]: row.asDict() for row in totals.collect()}
    sample = _sample(documents, rules.sample_documents).select(
        "document_id", "source", "kind", "language", "language_score", "text_bytes", "word_count", "text"
    ).toArrow()  # fmt: skip
    texts = sample["text"].combine_chunks()
    sample = sample.drop_columns(["text"])
    sample = sample.append_column("residual_evaluation_ngrams", _evaluation_ngrams(context.spec, texts))
    sample = sample.append_column("residual_pii", _found(find_pii(texts, context.spec.recipe.pii), len(texts)))
    sample = sample.append_column(
        "residual_secrets", _found(find_secrets(texts, context.spec.recipe.secrets), len(texts))
    )
    read = objects.groupBy("source").agg(
        F.count("*").alias("objects"),
        F.sum("size_bytes").alias("bytes_in"),
        F.sum("records_read").alias("n"),
        F.sum("kernel_seconds").alias("kernel_seconds"),
    )
    read_by_source = [row.asDict() for row in read.collect()]
    metrics = {
        source: {"duplicate_document_ids": row["duplicate_document_ids"], "null_texts": row["null_texts"]}
        for source, row in by_source.items()
    }
    metrics = _with_total(metrics, ("duplicate_document_ids", "null_texts"))
    rows_in = Counter({row["source"]: row["n"] for row in read_by_source})
    contaminated = Counter({source: row["contaminated"] for source, row in by_source.items()})
    if context.spec.evaluation_sets:
        for source, rules_broken in _removals(context)["removed"].items():
            contaminated[source] += sum(n for rule, n in rules_broken.items() if rule.startswith("decontamination:"))
    for source, rows, held in [*((s, n, contaminated[s]) for s, n in rows_in.items()),
                               (ALL, rows_in.total(), contaminated.total())]:  # fmt: skip
        metrics.setdefault(source, {})["contaminated_share"] = held / max(1, rows)
    text_bytes = sum(row["text_bytes"] for row in by_source.values())
    # An object is quarantined when nothing in it could be read; one with some broken records is not.
    broken = (
        context.staged("outcomes")
        .where("outcome != 'object'")
        .groupBy("source", "object_key")
        .agg(F.every(F.coalesce(F.col("disposition"), F.lit("")) == "quarantined").alias("all"),
             F.min("detail").alias("error"))
        .where("all")
        .orderBy("object_key")
    )  # fmt: skip
    return Profile(
        rows_in=rows_in,
        rows_out=Counter({source: row["rows"] for source, row in by_source.items()}),
        digest=digest_of(by_source.values()),
        metrics=metrics,
        sample=sample,
        facts={
            "bytes_out": text_bytes,
            **{key: sum(row[key] for row in read_by_source) for key in ("objects", "bytes_in", "kernel_seconds")},
            "evaluation_sets": context.spec.evaluation_sets,
            "quarantined_objects": [row.asDict() for row in broken.select("source", "object_key", "error").collect()],
        },
    )


def _evaluation_ngrams(spec: StageSpec, texts: pa.Array) -> pa.Array:
    """N-grams that each text shares with an item whose documents are to be removed."""
    evaluation = evaluation_index(spec)
    if evaluation is None:
        return pa.array(np.zeros(len(texts), np.int32))
    matches = decontaminate_documents(texts, evaluation, spec.recipe.decontaminate.removing)
    return matches.field("ngrams").fill_null(0)


def _profile_deduplicate(context: StageContext) -> Profile:
    recipe = context.spec.recipe
    lake, branch = context.lake, context.spec.branch
    removals = _own(context, REMOVALS).where(F.col("stage") == "deduplicate")
    # The digest covers what became of each document: its rule, and the document that it matches.
    outcome = ("document_id", "rule", "matched_document_id")
    documents = _own(context, DOCUMENTS).withColumns({"rule": F.lit("kept"), "matched_document_id": F.lit("")})
    totals = documents.groupBy("source").agg(
        F.count("*").alias("rows"),
        (F.count("*") - F.countDistinct("document_id")).alias("duplicate_document_ids"),
        (F.count("*") - F.countDistinct("content_hash")).alias("residual_exact_duplicates"),
        *row_hash_sums(*outcome),
    )
    by_source = {row["source"]: row.asDict() for row in totals.collect()}
    # A removal must point at a document that the version holds, whichever build it came from.
    kept = lake.read(DOCUMENTS, branch).select(F.col("document_id").alias("matched_document_id"))
    dangling = _counts(removals.join(kept, "matched_document_id", "left_anti").groupBy("source").agg(_rows_n()))
    sample = _residual_duplicates(documents, recipe.deduplicate.minhash, recipe.gates.sample_documents)
    rows_in = _counts(context.staged("batch_signatures").groupBy("source").agg(_rows_n()))
    duplicates = Counter(
        source
        for source, score in zip(sample["source"].to_pylist(), sample["nearest_jaccard"].to_pylist(), strict=True)
        if score is not None and score >= recipe.deduplicate.minhash.jaccard_threshold
    )
    metrics = {
        source: {
            "duplicate_document_ids": by_source.get(source, {}).get("duplicate_document_ids", 0),
            "residual_exact_duplicates": by_source.get(source, {}).get("residual_exact_duplicates", 0),
            "dangling_matches": dangling[source],
            "residual_duplicate_pairs": duplicates[source],
            "loss_budget": recipe.source(source).loss_budget,
        }
        for source in rows_in
    }
    return Profile(
        rows_in=rows_in,
        rows_out=Counter({source: row["rows"] for source, row in by_source.items()}),
        digest=digest_of(
            [*by_source.values(), *[row.asDict() for row in removals.agg(*row_hash_sums(*outcome)).collect()]]
        ),
        metrics=_with_total(
            metrics,
            ("duplicate_document_ids", "residual_exact_duplicates", "dangling_matches", "residual_duplicate_pairs"),
        ),
        sample=sample,
        facts={"signatures": _own(context, SIGNATURES).count()},
    )


def _profile_tokenize(context: StageContext) -> Profile:
    recipe = context.spec.recipe
    sequences = _own(context, SEQUENCES)
    documents = _own(context, DOCUMENTS)
    pieces = sequences.select("split", F.explode("document_ids").alias("document_id"))
    splits = pieces.groupBy("document_id").agg(F.countDistinct("split").alias("splits"))
    placed = documents.select("document_id", "source").join(splits, "document_id", "left").groupBy("source").agg(
        F.count("*").alias("rows_in"),
        F.count("splits").alias("rows_out"),
        F.count_if(F.col("splits") > 1).alias("documents_in_both_splits"),
    )  # fmt: skip
    by_source = {row["source"]: row.asDict() for row in placed.collect()}
    length = recipe.packing.sequence_length
    totals = sequences.groupBy("split").agg(
        F.count("*").alias("sequences"),
        F.sum("token_count").alias("tokens"),
        F.sum(F.lit(length) - F.col("token_count")).alias("padding_tokens"),
        F.countDistinct("shard").alias("shards"),
        F.min(F.array_min("token_ids")).alias("min_token_id"),
        F.max(F.array_max("token_ids")).alias("max_token_id"),
        F.count_if(F.size("token_ids") != length).alias("wrong_length_sequences"),
        (F.count("*") - F.countDistinct("sequence_id")).alias("duplicate_sequence_ids"),
        *row_hash_sums("sequence_id", "split", "shard", "position"),
    )
    by_split = {row["split"]: row.asDict() for row in totals.collect()}
    summed = ("sequences", "tokens", "padding_tokens", "shards", "wrong_length_sequences", "duplicate_sequence_ids")
    total = {key: sum(row[key] for row in by_split.values()) for key in summed}
    slots = max(1, total["sequences"] * length)
    tokenizer = context.facts["tokenizer"]
    total |= {
        "waste_share": total["padding_tokens"] / slots,
        "waste_allowed": recipe.gates.max_waste_share
        + _unavoidable_waste(total["sequences"], total["shards"], sum(row["rows_in"] for row in by_source.values())),
        "min_token_id": min((row["min_token_id"] for row in by_split.values()), default=0),
        "max_token_id": max((row["max_token_id"] for row in by_split.values()), default=0),
        "vocab_size": tokenizer["vocab_size"],
        "documents_in_both_splits": sum(row["documents_in_both_splits"] for row in by_source.values()),
    }
    sample = _sample(sequences, recipe.gates.sample_documents, "sequence_id").select(
        "sequence_id", "split", "token_count", F.size(F.array_distinct("document_ids")).alias("document_count")
    ).toArrow()  # fmt: skip
    return Profile(
        rows_in=Counter({source: row["rows_in"] for source, row in by_source.items()}),
        rows_out=Counter({source: row["rows_out"] for source, row in by_source.items()}),
        digest=digest_of(by_split.values()),
        metrics={ALL: total},
        sample=sample,
        facts={
            **context.facts,
            **{key: total[key] for key in ("sequences", "tokens", "padding_tokens", "waste_share")},
            "splits": {split: {key: row[key] for key in ("sequences", "tokens")} for split, row in by_split.items()},
            "exports": [row.asDict() for row in context.staged("exports").orderBy("uri").collect()],
        },
    )


_PROFILES: dict[str, Callable[[StageContext], Profile]] = {
    "refine": _profile_refine,
    "deduplicate": _profile_deduplicate,
    "tokenize": _profile_tokenize,
}


def _residual_duplicates(documents: DataFrame, config: MinHashConfig, sample_documents: int) -> pa.Table:
    """A sample in which near duplicates come together, each document with its most similar neighbour in it.

    Documents are chosen by the value of one minimum over their shingles, so a pair that should have been removed is
    in the sample with nearly the probability of one document, and shares its minimum.
    """
    audit = MinHashConfig(shingle_words=config.shingle_words, bands=1, rows=1, seed=_AUDIT_SEED)

    def sketch(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            minimum = signatures(batch["text"], audit).field("bands").flatten()
            yield pa.RecordBatch.from_arrays(
                [batch["document_id"], batch["source"], minimum], names=["document_id", "source", "minimum"]
            )

    chosen = (
        documents.select("document_id", "source", "text")
        .mapInArrow(sketch, "document_id string, source string, minimum bigint")
        # The band hash is no uniform number that could be cut by size, so it is hashed once more.
        .orderBy(F.xxhash64("minimum"), "document_id")
        .limit(sample_documents)
    )
    rows = chosen.join(documents.select("document_id", "text"), "document_id").orderBy("document_id").toArrow()
    groups: dict[int, list[int]] = defaultdict(list)
    for index, minimum in enumerate(rows["minimum"].to_pylist()):
        groups[minimum].append(index)
    pairs = [(a, b) for members in groups.values() for i, a in enumerate(members) for b in members[i + 1 :]]
    texts = rows["text"].combine_chunks()
    left, right = pa.array([a for a, _ in pairs], pa.int64()), pa.array([b for _, b in pairs], pa.int64())
    scores = jaccard(texts.take(left), texts.take(right), config).to_pylist()
    ids = rows["document_id"].to_pylist()
    nearest: dict[int, tuple[float, str]] = {}
    for (a, b), score in zip(pairs, scores, strict=True):
        for one, other in ((a, b), (b, a)):
            nearest[one] = max(nearest.get(one, (-1.0, "")), (score, ids[other]))
    best = [nearest.get(index) for index in range(len(ids))]
    return pa.table(
        {
            "document_id": rows["document_id"],
            "source": rows["source"],
            "nearest_document_id": pa.array([None if b is None else b[1] for b in best], pa.string()),
            "nearest_jaccard": pa.array([None if b is None else b[0] for b in best], pa.float64()),
        }
    )


def _unavoidable_waste(sequences: int, shards: int, documents: int) -> float:
    """Share of padding that packing cannot avoid, beside what the recipe allows.

    The last sequence of each shard stays open. And best-fit decreasing wastes about as many sequences as the square
    root of the number of pieces (Lueker 1982; Coffman and Lueker 1991, for uniform sizes): nothing to a corpus of
    size, but what a build of some dozen documents loses.
    """
    open_sequences = shards + (documents**0.5 if sequences < _SMALL_BUILD_SEQUENCES else 0.0)
    return open_sequences / max(1, sequences)


def _own(context: StageContext, table: Table) -> DataFrame:
    """The build's own rows of a table, on its branch."""
    return context.lake.read(table, context.spec.branch).where(F.col("build_id") == context.spec.build_id)


def _sample(frame: DataFrame, rows: int, key: str = "document_id") -> DataFrame:
    """The first rows by id. Ids are hashes, so this is an even sample, and the same one every time."""
    return frame.orderBy(key).limit(rows)


def _found(spans: Sequence[Span], rows: int) -> pa.Array:
    """Finds in each of ``rows`` texts."""
    return pa.array(np.bincount(np.array([span.row for span in spans], np.int64), minlength=rows).astype(np.int64))


def _rows_n() -> Any:
    return F.count("*").alias("n")


def _counts(frame: DataFrame) -> Counter[str]:
    return Counter({row["source"]: row["n"] for row in frame.collect()})


def _with_total(metrics: dict[str, dict[str, Any]], summed: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    return {**metrics, ALL: {key: sum(row[key] for row in metrics.values()) for key in summed}}


def _schema_of(rows: list[dict[str, Any]]) -> pa.Schema:
    """Columns of all rows: the total has others than the sources, and ``from_pylist`` looks at the first only."""
    return pa.unify_schemas([pa.Table.from_pylist([row]).schema for row in rows])


def _write_parquet(uri: str, table: pa.Table) -> None:
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer)
    write_bytes(uri, buffer.getvalue().to_pybytes())
