"""Read the claimed objects and refine their records: one row of the outcome for each record."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from goldmill.evaluation_sets import read_sets
from goldmill.lake.tables import DOCUMENTS, REMOVALS
from goldmill.landing.objects import LandedObject
from goldmill.landing.readers import Fault, Record, read_records
from goldmill.storage import read_text, write_text
from goldmill.text.decontamination import EvaluationIndex, Item, build_index
from goldmill.text.refine import OUTCOMES, refine_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from goldmill.recipe import Recipe
    from goldmill.spec import StageSpec
    from goldmill.stages.job import StageContext

# What is refined at once: enough rows to make the columnar kernels worth while, few enough bytes to hold in memory.
_CHUNK_RECORDS = 512
_CHUNK_BYTES = 4 * 2**20

# Beside documents and removals each object leaves one row with the reader's own count: what went in.
OBJECT = "object"
_STAGED = OUTCOMES
for _field in (
    pa.field("size_bytes", pa.int64()),
    pa.field("records_read", pa.int64()),
    pa.field("kernel_seconds", pa.float64()),
):
    _STAGED = _STAGED.append(_field)


def refine_documents(context: StageContext) -> None:
    """Fill ``documents`` and ``removals`` on the build's branch, which starts here."""
    lake, spec = context.lake, context.spec
    lake.start_branch(spec.branch, spec.build_id, context.commit, empty=spec.rebuild)
    if not context.is_staged("outcomes"):
        context.step("reading and judging")
        groups = balance(read_manifest(spec.manifest_uri), spec.partitions)
        for number, group in enumerate(groups):
            write_text(_group_uri(context.staged_uri("objects"), number), "".join(map(_as_line, group)))
        # One row a task, the number of its group: what the group holds each task reads for itself.
        tasks = context.spark.range(0, len(groups), 1, len(groups))
        context.stage(
            "outcomes",
            tasks.mapInArrow(
                _refiner(context.staged_uri("objects"), spec.recipe, evaluation_index(spec), context.count),
                from_arrow_schema(_STAGED),
            ),
            partition_by=("outcome",),
        )
    outcomes = context.staged("outcomes").withColumn("build_id", F.lit(spec.build_id))
    context.step("writing")
    lake.append_once(outcomes.where("outcome = 'document'"), DOCUMENTS, spec.branch, spec.build_id, context.commit)
    removals = outcomes.where("outcome = 'removal'").withColumns(
        {"stage": F.lit("refine"), "matched_document_id": F.lit(None).cast("string")}
    )
    lake.append_once(removals, REMOVALS, spec.branch, spec.build_id, context.commit)


def evaluation_index(spec: StageSpec) -> EvaluationIndex | None:
    """The items of the recipe's evaluation sets, None where it names none. A large one Spark broadcasts by itself.

    Raises:
        EvaluationSetError: a set is missing, cannot be read, or has changed since the objects were claimed.
    """
    rules = spec.recipe.decontaminate
    if not rules.sets:
        return None
    sets = read_sets(rules, spec.evaluation_sets)
    return build_index(((name, [Item(*item) for item in items]) for name, items in sets), rules)


def read_manifest(uri: str) -> list[LandedObject]:
    """The objects of a build: JSON Lines, one object a line."""
    return [LandedObject(**json.loads(line)) for line in read_text(uri).splitlines()]


def balance(objects: Iterable[LandedObject], partitions: int) -> list[list[LandedObject]]:
    """Deal objects to at most ``partitions`` groups of nearly equal size (longest processing time first).

    A group is one task. Which objects share a task changes no result.
    """
    ordered = sorted(objects, key=lambda o: (-o.size_bytes, o.object_key))
    groups: list[list[LandedObject]] = [[] for _ in range(max(1, min(partitions, len(ordered))))]
    sizes = [0] * len(groups)
    for item in ordered:
        smallest = sizes.index(min(sizes))
        groups[smallest].append(item)
        # Opening an object costs something too: without it all the empty ones would go to one task.
        sizes[smallest] += item.size_bytes + 4096
    return groups


def _as_line(item: LandedObject) -> str:
    return json.dumps(asdict(item)) + "\n"


def _group_uri(objects_uri: str, number: int) -> str:
    return f"{objects_uri}/{number:05}.jsonl"


def _refiner(
    objects_uri: str, recipe: Recipe, evaluation: EvaluationIndex | None, count: Callable[[int, int], None]
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch["id"].to_pylist():
                yield from _refine_group(read_manifest(_group_uri(objects_uri, number)), recipe, evaluation, count)

    return run


def _refine_group(
    group: list[LandedObject], recipe: Recipe, evaluation: EvaluationIndex | None, count: Callable[[int, int], None]
) -> Iterator[pa.RecordBatch]:
    records_read = dict.fromkeys(group, 0)
    kernel_seconds = 0.0
    for chunk in _chunks((item, record) for item in group for record in read_records(item, recipe.read)):
        for item, _ in chunk:
            records_read[item] += 1
        started = time.perf_counter()
        outcome = refine_records(chunk, recipe, evaluation)
        kernel_seconds += time.perf_counter() - started
        yield from _as_batches(outcome)
        count(len(chunk), sum(_size(record) for _, record in chunk))
    rows = [
        {
            "outcome": OBJECT,
            "object_key": item.object_key,
            "source": item.source,
            "size_bytes": item.size_bytes,
            "records_read": records_read[item],
            # A chunk holds records of several objects: the group's seconds stand in one row, for the sum.
            "kernel_seconds": kernel_seconds if item is group[0] else 0.0,
        }
        for item in group
    ]
    yield pa.RecordBatch.from_pylist(rows, _STAGED)


def _as_batches(outcome: pa.Table) -> Iterator[pa.RecordBatch]:
    rows = len(outcome)
    columns = {
        **{name: outcome[name] for name in OUTCOMES.names},
        "size_bytes": pa.nulls(rows, pa.int64()),
        "records_read": pa.nulls(rows, pa.int64()),
        "kernel_seconds": pa.nulls(rows, pa.float64()),
    }
    yield from pa.table(columns, schema=_STAGED).combine_chunks().to_batches()


_Read = tuple[LandedObject, Record | Fault]


def _chunks(records: Iterable[_Read]) -> Iterator[list[_Read]]:
    chunk: list[_Read] = []
    size = 0
    for item, record in records:
        chunk.append((item, record))
        size += _size(record)
        if len(chunk) >= _CHUNK_RECORDS or size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _size(record: Record | Fault) -> int:
    return 0 if isinstance(record, Fault) else len(record.payload)
