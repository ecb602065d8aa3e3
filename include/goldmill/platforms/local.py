"""One machine: the landing area is a directory (or anything fsspec can list), Spark runs by ``spark-submit``."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import BaseSensorOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent

from goldmill.arrivals import unknown_objects
from goldmill.errors import GoldmillError
from goldmill.lake.conf import catalog_conf
from goldmill.runtime.java import find_java

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
    from airflow.sdk import BaseOperator, Context

    from goldmill.settings import Settings

_POLL_SECONDS = 3.0
# Objects that keep arriving are announced together, but not later than this.
_MAX_WAIT_SECONDS = 60.0


class SparkMissing(GoldmillError):
    """The Spark environment is not there."""


class LocalPlatform:
    """The ``local`` platform."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def arrivals_sensor(self, task_id: str) -> BaseOperator:
        """Poll the landing area from the triggerer."""
        return LandingSensor(
            task_id=task_id, doc_md="Succeeds when objects have arrived that the ledger does not know."
        )

    def spark_job(self, job: str, spec_uri: str, lineage_uri: str, **arguments: Any) -> BaseOperator:
        """Run the job with the Spark of the Spark environment, in client mode on this machine."""
        spark = self._settings.spark
        return LocalSparkOperator(
            task_id=job,
            name=job,
            application=f"{spark.jobs_dir}/{job}.py",
            application_args=["--spec", spec_uri],
            driver_memory=spark.driver_memory,
            conf=self._conf(job, lineage_uri),
            env_vars=self._environment(),
            master=spark.master,
            jars_dir=spark.jars_dir,
            java_home=spark.java_home,
            openlineage_inject_parent_job_info=True,
            **arguments,
        )

    def _conf(self, job: str, lineage_uri: str) -> dict[str, str]:
        spark, catalog = self._settings.spark, self._settings.catalog
        return {
            **catalog_conf(catalog.name, catalog.type, catalog.spark_properties()),
            "spark.extraListeners": "io.openlineage.spark.agent.OpenLineageSparkListener",
            "spark.openlineage.transport.type": "file",
            "spark.openlineage.transport.location": lineage_uri,
            "spark.openlineage.namespace": "goldmill",
            "spark.sql.shuffle.partitions": str(spark.partitions),
            # Text is wide: a batch of Spark's default 10 000 rows could be hundreds of megabytes.
            "spark.sql.execution.arrow.maxRecordsPerBatch": "512",
            "spark.ui.enabled": "false",
            "spark.log.level": "WARN",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            # Not on macOS, whose system libraries do not survive a fork once they are loaded.
            **({} if sys.platform == "darwin" else {"spark.python.daemon.module": "goldmill.runtime.worker_daemon"}),
            "spark.executorEnv.GOLDMILL_JOB": job,
            **spark.conf,
        }

    def _environment(self) -> dict[str, str]:
        """Environment of spark-submit: its own Python first on the path, and nothing of Airflow's."""
        spark = self._settings.spark
        binaries = str(Path(spark.python_executable).parent)
        return {
            "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYSPARK_PYTHON": spark.python_executable,
            "PYSPARK_DRIVER_PYTHON": spark.python_executable,
            # One thread a worker: Spark already runs one worker a core.
            "TOKENIZERS_PARALLELISM": "false",
            "OMP_NUM_THREADS": "1",
        }


class LocalSparkOperator(SparkSubmitOperator):
    """``spark-submit`` on this machine, without a connection in Airflow: the settings say all there is to say."""

    def __init__(self, *, master: str, jars_dir: str, java_home: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._master = master
        self._jars_dir = jars_dir
        self._java_home = java_home

    def _get_hook(self) -> SparkSubmitHook:
        hook = super()._get_hook()
        hook._connection["master"] = self._master
        return hook

    def execute(self, context: Context) -> None:
        """Look for Java and the jars when the task runs, not when the DAG is parsed."""
        jars = sorted(str(path) for path in Path(self._jars_dir).glob("*.jar"))
        # The class path and not --jars: the listener and Iceberg must share one class loader.
        self.driver_class_path = os.pathsep.join(jars)
        environment = dict(self.env_vars or {})
        # A SPARK_HOME of the machine's would win over the Spark that belongs to the launcher.
        launcher = Path(environment["PYSPARK_PYTHON"]).parent
        spark_home = next(iter(sorted(launcher.parent.glob("lib/python*/site-packages/pyspark"))), None)
        if spark_home is None:
            raise SparkMissing(
                f"setting spark.python_executable is {environment['PYSPARK_PYTHON']}: its environment has no pyspark; "
                "run `make setup`, or name the Python of an environment made from spark_jobs/requirements.txt"
            )
        self.env_vars = {
            **environment,
            "JAVA_HOME": self._java_home or str(find_java().home),
            "SPARK_HOME": str(spark_home),
        }
        super().execute(context)


class LandingSensor(BaseSensorOperator):
    """Waits in the triggerer for objects that the ledger does not know."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"timeout": timedelta(days=365).total_seconds(), **kwargs})

    def execute(self, context: Context) -> None:
        """Hand over to the trigger at once: the first look is the trigger's as well."""
        self.defer(
            trigger=LandingTrigger(),  # type: ignore[no-untyped-call]
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout),
        )

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> None:
        """Say what the trigger saw.

        Raises:
            ValueError: the event is none of this trigger's.
        """
        if not event or event.get("status") != "arrived":
            raise ValueError(f"unexpected event {event!r} from the landing trigger")
        self.log.info("%d objects have arrived that the ledger does not know", event["objects"])


class LandingTrigger(BaseTrigger):
    """Fires when the landing area holds unknown objects and has come to rest, or after a minute of arrivals."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The trigger has no arguments: the settings of the triggerer say where the landing area is."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until something has arrived."""
        before: set[tuple[str, str]] = set()
        waited = 0.0
        while True:
            now = {(item.uri, item.etag) for item in await asyncio.to_thread(unknown_objects)}
            if now and (now == before or waited >= _MAX_WAIT_SECONDS):
                yield TriggerEvent({"status": "arrived", "objects": len(now)})  # type: ignore[no-untyped-call]
                return
            waited = waited + _POLL_SECONDS if now else 0.0
            before = now
            await asyncio.sleep(_POLL_SECONDS)
