"""Turn the documents of a build into packed token sequences, and export them for trainers.

Documents are dealt to shards by hash. The number of shards follows from the bytes of text and not from the
machine, each shard is packed by itself, and its sequences are shuffled by a keyed hash: the same documents give
the same sequences in the same order, whatever the number of partitions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from goldmill.exports.files import EXPORT_SCHEMA, export_shard
from goldmill.lake.tables import DOCUMENTS, SEQUENCES
from goldmill.stages.tokenizer import TOKENIZER_KEY, resolve_tokenizer
from goldmill.text.packing import pack, shard_of, split_of
from goldmill.text.tokens import encode, load_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from goldmill.recipe import Recipe
    from goldmill.stages.job import StageContext
    from goldmill.stages.tokenizer import TokenizerFile

_TOKENS = "document_id string, split string, shard int, token_ids array<int>"
_SEQUENCES = ", ".join(column.ddl for column in SEQUENCES.columns if column.name != "build_id")


def tokenize_corpus(context: StageContext) -> None:
    """Fill ``sequences`` on the build's branch and write the TFRecord and Megatron files of this build."""
    lake, spec = context.lake, context.spec
    documents = lake.read(DOCUMENTS, spec.branch).where(F.col("build_id") == spec.build_id)
    context.step("tokenizer")
    tokenizer = resolve_tokenizer(context, documents.select("document_id", "text"))
    if not context.is_staged("sequences"):
        context.step("sequences")
        text_bytes = documents.agg(F.sum("text_bytes")).first()[0] or 0  # type: ignore[index]
        shards = spec.recipe.packing.shard_count(text_bytes)
        tokens = documents.select("document_id", "text").mapInArrow(
            _encoder(spec.recipe, tokenizer, shards, context.count), _TOKENS
        )
        # One task packs whole shards, one at a time: the sort brings each shard together, and only it is in memory.
        sequences = (
            tokens.repartition(min(shards * 2, spec.partitions), "split", "shard")
            .sortWithinPartitions("split", "shard")
            .mapInArrow(_packer(spec.recipe, tokenizer), _SEQUENCES)
            .withColumn("build_id", F.lit(spec.build_id))
        )
        context.stage("sequences", sequences, partition_by=("split", "shard"))
    sequences = context.staged("sequences")
    lake.append_once(sequences, SEQUENCES, spec.branch, spec.build_id, context.commit, {TOKENIZER_KEY: tokenizer.uri})
    context.step("exports")
    if not context.is_staged("exports"):
        shards_found = [(row["split"], row["shard"]) for row in sequences.select("split", "shard").distinct().collect()]
        tasks = context.spark.createDataFrame(sorted(shards_found), "split string, shard int")
        context.stage(
            "exports",
            tasks.repartition(max(1, len(shards_found))).mapInArrow(
                _exporter(context.staged_uri("sequences"), spec.exports_uri, tokenizer.vocab_size),
                from_arrow_schema(EXPORT_SCHEMA),
            ),
        )


def _encoder(
    recipe: Recipe, tokenizer: TokenizerFile, shards: int, count: Callable[[int, int], None]
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    seed, fraction = recipe.seed, recipe.packing.validation_fraction

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        encoder = load_tokenizer(tokenizer.content, recipe.tokenizer)
        for batch in batches:
            ids, texts = batch["document_id"], batch["text"]
            token_ids = encode(texts, encoder)
            yield pa.RecordBatch.from_arrays(
                [ids, split_of(ids, seed, fraction), shard_of(ids, seed, shards), token_ids],
                names=["document_id", "split", "shard", "token_ids"],
            )
            count(batch.num_rows, texts.nbytes)

    return run


def _packer(recipe: Recipe, tokenizer: TokenizerFile) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for split, shard, rows in _shards(batches):
            yield pack(
                rows["document_id"].combine_chunks(),
                rows["token_ids"].combine_chunks(),
                recipe.packing,
                end_of_text_id=tokenizer.end_of_text_id,
                padding_id=tokenizer.padding_id,
                seed=recipe.seed,
                split=split,
                shard=shard,
            )

    return run


def _shards(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[str, int, pa.Table]]:
    """Cut a stream that is sorted by (split, shard) into one table a shard."""
    waiting: list[pa.RecordBatch] = []
    current: tuple[str, int] | None = None
    for batch in batches:
        keys = list(zip(batch["split"].to_pylist(), batch["shard"].to_pylist(), strict=True))
        start = 0
        for row in range(1, len(keys) + 1):
            if row < len(keys) and keys[row] == keys[start]:
                continue
            if current is not None and keys[start] != current:
                yield (*current, pa.Table.from_batches(waiting))
                waiting = []
            current = keys[start]
            waiting.append(batch.slice(start, row - start))
            start = row
    if current is not None:
        yield (*current, pa.Table.from_batches(waiting))


def _exporter(
    sequences_uri: str, exports_uri: str, vocab_size: int
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for split, shard in zip(batch["split"].to_pylist(), batch["shard"].to_pylist(), strict=True):
                files = export_shard(sequences_uri, exports_uri, split, shard, vocab_size)
                yield pa.RecordBatch.from_pylist([file.as_row() for file in files], EXPORT_SCHEMA)

    return run
