"""What history costs: ten equal daily batches, each deduplicated against all days before it, and the ten in one batch.

A day is a tenth of the real documents, with copies and edited copies of documents of this day and of days before. Its
documents are put on a branch as refining would leave them; the clock runs for the deduplicate stage alone, without its
account. Afterwards the ten days are one batch in the order of arrival, in a rebuild, which has to keep the same ones.

  read MB      what Spark's tasks read from tables and staged results
  shuffle MB   what they handed on to each other

Fails when the kept documents differ, or the median of the last three days takes more than 1.3 times that of the first
three (the first of all starts workers and is left out).
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import corpora
from common import ROOT, SPARK_ENVIRONMENT, machine, parser, show, table, temporary_home, use_environment
from duplicates_truth import edited

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_DAYS = 10
_MOST = 1.3


def main() -> int:
    """Parse the command line, deduplicate day by day and at once, compare."""
    made = parser(__doc__, megabytes=100)
    given = made.parse_args()
    use_environment(SPARK_ENVIRONMENT)
    corpora.build()
    facts = machine()
    with temporary_home() as home:
        spark = _session(home)
        try:
            days, same = _measure(spark, home, given.megabytes)
        finally:
            spark.stop()
    timed = [day["seconds"] for day in days]
    ratio = statistics.median(timed[-3:]) / statistics.median(timed[1:4])
    results = {"machine": facts, "days": days, "ratio": ratio, "bar": _MOST, "same_documents": same}
    outcome = f"days 8 to 10 by days 2 to 4: {ratio:.2f} (bar {_MOST}); the same documents as in one batch: {same}"
    show(results, [table(list(days[0]), [list(day.values()) for day in days]), outcome], as_json=given.json)
    return 0 if same and ratio <= _MOST else 1


def _session(home: Path) -> SparkSession:
    """A session on all cores, with the settings that a job gets."""
    from pyspark.sql import SparkSession

    from goldmill.lake.conf import catalog_conf
    from goldmill.runtime.java import find_java
    from goldmill.settings import Settings

    os.environ["JAVA_HOME"] = str(find_java().home)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    catalog = Settings(home=str(home)).catalog
    jars = (ROOT / ".goldmill" / "jars").glob("*.jar")
    builder: Any = SparkSession.builder.master("local[2]").appName("incremental")
    conf = catalog_conf(catalog.name, catalog.type, catalog.spark_properties()) | {
        "spark.driver.extraClassPath": os.pathsep.join(map(str, jars)),
        "spark.driver.memory": "2g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "512",
        "spark.log.level": "ERROR",
    }
    for key, value in conf.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def _measure(spark: SparkSession, home: Path, megabytes: float) -> tuple[list[dict[str, Any]], bool]:
    from pyspark.sql import functions as F

    from goldmill.lake.spark import Lake
    from goldmill.lake.tables import CORPUS_TABLES, DOCUMENTS
    from goldmill.recipe import Recipe

    sources = {f"day{day}": {"priority": day} for day in range(_DAYS)}
    recipe = Recipe.model_validate({"name": "incremental", "corpus": "incremental", "sources": sources})
    lake = Lake.open(spark, "lake", recipe.corpus)
    days = _days(megabytes)
    figures = []
    for day, rows in enumerate(days):
        figures.append({"day": day + 1, **_deduplicate(lake, home, recipe, f"d{day}", rows)})
        for corpus_table in CORPUS_TABLES:
            spark.sql(f"CALL lake.system.fast_forward('{recipe.corpus}.{corpus_table.name}', 'main', 'build_d{day}')")
        print(figures[-1], file=sys.stderr)
    _deduplicate(lake, home, recipe, "once", [row for rows in days for row in rows], rebuild=True)
    kept = [lake.read(DOCUMENTS, f"build_{build}").select("document_id") for build in (f"d{_DAYS - 1}", "once")]
    differing = kept[0].exceptAll(kept[1]).unionByName(kept[1].exceptAll(kept[0])).agg(F.count("*")).first()
    return figures, differing is not None and differing[0] == 0


def _days(megabytes: float) -> list[list[dict[str, Any]]]:
    """Rows of ``documents``, day by day: new ones, 2 % copies and 3 % edited copies of others."""
    import pyarrow as pa

    from goldmill.lake.tables import DOCUMENTS
    from goldmill.text.minhash import content_hashes

    rng = random.Random(1)  # noqa: S311
    empty = {column.name: {"string": "", "map<string,int>": {}}.get(column.type) for column in DOCUMENTS.columns}
    texts = [document["text"] for document in corpora.read("text", megabytes)]
    days = []
    for day in range(_DAYS):
        fresh = texts[day::_DAYS]
        before = [text for earlier in range(day + 1) for text in texts[earlier::_DAYS]]
        copies = rng.sample(before, len(fresh) // 50)
        edits = [edited(text, rng, 0.01) for text in rng.sample(before, len(fresh) * 3 // 100)]
        batch = [*fresh, *copies, *edits]
        hashes = content_hashes(pa.array(batch, pa.large_string())).to_pylist()
        days.append(
            [
                empty
                | {
                    "document_id": f"{rng.getrandbits(128):032x}",
                    "source": f"day{day}",
                    "text": text,
                    "content_hash": key,
                }
                | {"url": None}
                for text, key in zip(batch, hashes, strict=True)
            ]
        )
    return days


def _deduplicate(
    lake: Any, home: Path, recipe: Any, build_id: str, rows: list[dict[str, Any]], *, rebuild: bool = False
) -> dict[str, Any]:
    import pyarrow as pa

    from goldmill.lake.tables import DOCUMENTS, SIGNATURES
    from goldmill.settings import LineageSettings, Settings
    from goldmill.spec import StageSpec, manifest_digest
    from goldmill.stages.deduplicate import deduplicate_documents
    from goldmill.stages.job import Progress, StageContext

    work = home / "work" / build_id
    work.mkdir(parents=True)
    spec = StageSpec(
        stage="deduplicate",
        build_id=build_id,
        branch=f"build_{build_id}",
        recipe=recipe,
        catalog=Settings(home=str(home)).catalog,
        landing_uri=str(home),
        manifest_uri=str(work / "objects.jsonl"),
        manifest_digest=manifest_digest([]),
        input_bytes=0,
        work_uri=str(work),
        tokenizers_uri=str(home),
        exports_uri=str(home),
        lineage=LineageSettings(events_path=str(work / "lineage.jsonl")),
        code_revision="bench",
        partitions=4,
        rebuild=rebuild,
    )
    lake.start_branch(spec.branch, build_id, "refine", empty=rebuild)
    schema = lake.spark.createDataFrame([], DOCUMENTS.ddl).schema
    columns = pa.table({c: [row[c] if c != "build_id" else build_id for row in rows] for c in DOCUMENTS.column_names})
    frame = lake.spark.createDataFrame(columns.select([c for c in columns.column_names if c != "pii_counts"]))
    for field in schema.fields:
        value = frame[field.name] if field.name in frame.columns else _null()
        frame = frame.withColumn(field.name, value.cast(field.dataType))
    lake.append_once(frame, DOCUMENTS, spec.branch, build_id, "refine")
    before, started = _moved(lake.spark), time.monotonic()
    deduplicate_documents(StageContext(spec, lake, lake.spark, Progress(lake.spark, spec)))
    seconds = time.monotonic() - started
    read, shuffled = (after - at_first for after, at_first in zip(_moved(lake.spark), before, strict=True))
    kept = lake.read(SIGNATURES, spec.branch).where(f"build_id = '{build_id}'").count()
    if not kept:
        raise SystemExit(f"{build_id}: nothing was kept")
    return {"documents": len(rows), "kept": kept, "seconds": seconds, "read MB": read, "shuffle MB": shuffled}


def _null() -> Any:
    from pyspark.sql import functions as F

    return F.lit(None)


def _moved(spark: SparkSession) -> tuple[float, float]:
    """MB read and shuffled since the session began."""
    summary = spark._jsc.sc().statusStore().executorSummary("driver")
    return summary.totalInputBytes() / 1e6, summary.totalShuffleRead() / 1e6


if __name__ == "__main__":
    sys.exit(main())
