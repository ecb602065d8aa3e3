"""One Spark session for all Spark tests; each test has a lake of its own in it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import SparkSession

from goldmill.lake.conf import catalog_conf
from goldmill.lake.spark import Lake
from goldmill.runtime.jars import install_jars
from goldmill.runtime.java import find_java
from goldmill.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builds import Corpus


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A session as spark-submit would make it, with Iceberg.

    Without the OpenLineage listener: it doubles the time of small jobs, and tests/e2e looks at its events.
    """
    home = tmp_path_factory.mktemp("spark")
    os.environ["JAVA_HOME"] = str(find_java().home)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    jars = install_jars(home / "jars")
    settings = Settings(home=str(home))
    conf = {
        **catalog_conf(settings.catalog.name, settings.catalog.type, settings.catalog.spark_properties()),
        "spark.driver.extraClassPath": os.pathsep.join(str(jar) for jar in jars),
        "spark.driver.memory": "2g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "512",
        "spark.python.daemon.module": "goldmill.runtime.worker_daemon",
        "spark.executorEnv.GOLDMILL_JOB": "refine_documents",
        "spark.log.level": "ERROR",
        # Tests run hundreds of tiny queries: compiling and replanning them costs more than running them.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.adaptive.enabled": "false",
    }
    builder: Any = SparkSession.builder.master("local[2]").appName("tests")
    for key, value in conf.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.conf.set("goldmill.test.home", str(home))
    yield session
    session.stop()


@pytest.fixture(scope="session")
def spark_home(spark: SparkSession) -> Path:
    """Where the session's catalog and event file lie."""
    return Path(str(spark.conf.get("goldmill.test.home")))


@pytest.fixture
def corpus(spark: SparkSession, spark_home: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Corpus:
    """An empty corpus of the test's own."""
    from builds import Corpus

    name = f"t_{abs(hash(request.node.nodeid)) % 10**9}"
    return Corpus(spark, Lake.open(spark, "lake", name), spark_home, tmp_path, name)
