"""How a Spark job of Goldmill runs: read the spec, do the stage, measure, account, report.

``spark_jobs/<verb_object>.py --spec URI`` calls :func:`run_stage`. The stage functions get a
:class:`StageContext` and know nothing of command lines, reports or progress.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import psutil
from pyspark.sql import SparkSession

from goldmill.lake.spark import Lake
from goldmill.lineage.events import emit_stage, parent_from_conf
from goldmill.spec import StageSpec
from goldmill.stages.account import account_for
from goldmill.storage import write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyspark.sql import DataFrame

    from goldmill.lake.tables import Table
    from goldmill.report import StageReport

log = logging.getLogger("goldmill")

_PROGRESS_SECONDS = 1.0
_RSS_SECONDS = 0.25


@dataclass
class StageContext:
    """What a stage works with: its spec, the lake, a work area, and counters for the progress display."""

    spec: StageSpec
    lake: Lake
    spark: SparkSession
    progress: Progress
    # What the stage found out for its report, beyond what stands in the tables.
    facts: dict[str, Any] = field(default_factory=dict)
    _staged: dict[str, DataFrame] = field(default_factory=dict)

    @property
    def commit(self) -> str:
        """Key of this stage's commits: the same spec commits once, however often it runs."""
        return f"{self.spec.stage}:{self.spec.spec_hash}"

    @property
    def count(self) -> Callable[[int, int], None]:
        """Adds (documents, bytes) to the progress; may be called inside Spark tasks."""
        documents, size = self.progress.documents, self.progress.bytes

        def count(more_documents: int, more_bytes: int) -> None:
            documents.add(more_documents)
            size.add(more_bytes)

        return count

    def step(self, name: str) -> None:
        """Name what the stage does now, for the log and the progress display."""
        log.info("%s: %s", self.spec.stage, name)
        self.progress.step = name

    def staged_uri(self, name: str) -> str:
        """Where an intermediate result of this spec lies."""
        return f"{self.spec.staging_uri}/{self.spec.spec_hash[:16]}/{name}"

    def is_staged(self, name: str) -> bool:
        """Whether an earlier attempt has finished writing the intermediate result."""
        path = self.spark._jvm.org.apache.hadoop.fs.Path(f"{self.staged_uri(name)}/_SUCCESS")
        return bool(path.getFileSystem(self.spark._jsc.hadoopConfiguration()).exists(path))

    def stage(self, name: str, frame: DataFrame, partition_by: Sequence[str] = ()) -> DataFrame:
        """Write ``frame`` as Parquet in the work area and return what was written.

        Intermediate results go to storage and not to Spark's cache: they outlive a killed driver, and memory does
        not grow with them.
        """
        frame.write.mode("overwrite").partitionBy(*partition_by).parquet(self.staged_uri(name))
        # Read with the schema that was written: partition values would otherwise be guessed, empty results fail.
        self._staged[name] = self.spark.read.schema(frame.schema).parquet(self.staged_uri(name))
        return self._staged[name]

    def staged(self, name: str) -> DataFrame:
        """An intermediate result that is complete."""
        if name not in self._staged:
            self._staged[name] = self.spark.read.parquet(self.staged_uri(name))
        return self._staged[name]

    def empty(self, table: Table) -> DataFrame:
        """No rows, with the columns of ``table``."""
        return self.spark.createDataFrame([], table.ddl)


class _Repeated:
    """Calls :meth:`tick` from a thread of its own while the ``with`` block runs."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._tick_until_done, daemon=True)

    def tick(self) -> None:
        """What is repeated."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _tick_until_done(self) -> None:
        while not self._done.wait(self._seconds):
            self.tick()


class Progress(_Repeated):
    """Documents and bytes done so far, written once a second to ``progress.json`` next to the report."""

    def __init__(self, spark: SparkSession, spec: StageSpec) -> None:
        super().__init__(_PROGRESS_SECONDS)
        self.documents = spark.sparkContext.accumulator(0)
        self.bytes = spark.sparkContext.accumulator(0)
        self.step = "start"
        self._spec = spec

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self.tick()

    def tick(self) -> None:
        """Write how far the stage is."""
        document = {
            "stage": self._spec.stage,
            "step": self.step,
            "rows": self.documents.value,
            "bytes": self.bytes.value,
            "total_bytes": self._spec.input_bytes,
            "updated_at": time.time(),
        }
        try:
            write_text(self._spec.progress_uri, json.dumps(document))
        except OSError as error:  # progress is for the eye: losing it must not fail the work
            log.warning("progress not written to %s: %s", self._spec.progress_uri, error)


class PeakMemory(_Repeated):
    """Largest resident memory of all processes of the job together: the driver, the JVM, the Python workers."""

    def __init__(self) -> None:
        super().__init__(_RSS_SECONDS)
        self.peak_bytes = 0
        # In client mode the JVM of spark-submit is the parent of this process, and the workers are its children.
        parent = psutil.Process(os.getppid())
        self._root = parent if "java" in parent.name() else psutil.Process()

    def tick(self) -> None:
        """Take one sample."""
        total = 0
        for process in [self._root, *self._root.children(recursive=True)]:
            try:
                total += _resident_bytes(process)
            except psutil.NoSuchProcess:
                continue
        self.peak_bytes = max(self.peak_bytes, total)


def _resident_bytes(process: psutil.Process) -> int:
    """Resident memory; on Linux pages that forked workers share count once among them and not once in each."""
    if psutil.LINUX:
        return int(process.memory_full_info().pss)
    return int(process.memory_info().rss)


def execute(spark: SparkSession, spec: StageSpec, stage: Callable[[StageContext], None]) -> StageReport:
    """Run one stage in a session that is open already and write its report.

    Raises:
        UnbalancedRows: rows went missing: in is not out plus removed plus quarantined.
    """
    started = time.monotonic()
    lake = Lake.open(spark, spec.catalog.name, spec.recipe.corpus)
    with PeakMemory() as memory, Progress(spark, spec) as progress:
        context = StageContext(spec, lake, spark, progress)
        stage(context)
        context.step("audit")
        report = account_for(context)
    report = report.model_copy(
        update={"seconds": time.monotonic() - started, "peak_rss_bytes": memory.peak_bytes},
    )
    report.write(spec.report_uri)
    emit_stage(spec, report, lake.locations(), parent_from_conf(dict(spark.sparkContext.getConf().getAll())))
    return report


def run_stage(stage: Callable[[StageContext], None], arguments: Sequence[str] | None = None) -> None:
    """Entry point of a Spark job: ``--spec URI``."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--spec", required=True, help="URI of the stage's spec, a JSON file")
    uri: str = parser.parse_args(arguments).spec
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    spec = StageSpec.read(uri)
    builder: Any = SparkSession.builder
    spark = builder.appName(f"{spec.recipe.corpus}.{spec.stage}").getOrCreate()
    try:
        report = execute(spark, spec, stage)
    finally:
        spark.stop()
    log.info("%s: report at %s", spec.stage, spec.report_uri)
    print(report.summary())
