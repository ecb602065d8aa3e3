"""Seconds, speed and memory of each stage of one build, Spark's overhead apart from the kernels.

Claims the input, runs the three Spark jobs by spark-submit as the local platform does, judges the gates and publishes,
all in a temporary home and without Airflow. Exit code 1 if no version was published.

  wall        from starting spark-submit to its end
  start       of that, before and after the job: the Java process, the Spark session, the imports
  job         of that, the job itself: reading, kernels, shuffles, writing, accounting
  kernels     of that, the kernels: their time in all tasks, divided by the cores (the refine stage measures it)
  MB          bytes that the stage got, in 10**6: of the unpacked records, then of the text that is left
  MB/s/core   of these, by seconds of the job and core
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import (
    AIRFLOW_ENVIRONMENT,
    land_default_input,
    machine,
    mebibytes,
    parser,
    show,
    size_of,
    table,
    temporary_home,
    use_environment,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

JOBS = {"refine": "refine_documents", "deduplicate": "deduplicate_documents", "tokenize": "tokenize_corpus"}


def main() -> int:
    """Parse the command line, build, show."""
    arguments = parser(__doc__, megabytes=60)
    arguments.add_argument("--landing", type=Path, help="build this landing area instead of the demo's input")
    arguments.add_argument("--master", help="Spark master, e.g. local[1] (the profile's)")
    arguments.add_argument("--partitions", type=int, help="shuffle partitions (the profile's)")
    arguments.add_argument("--recipe", default="default", help="name or path of the recipe (%(default)s)")
    given = arguments.parse_args()
    use_environment(AIRFLOW_ENVIRONMENT)
    with temporary_home() as home:
        if given.master:
            os.environ["GOLDMILL_SPARK__MASTER"] = given.master
        if given.partitions:
            os.environ["GOLDMILL_SPARK__PARTITIONS"] = str(given.partitions)
        # Airflow's operators are used, its services and its database are not.
        os.environ["AIRFLOW_HOME"] = str(home / "airflow")
        landing = (given.landing or home / "landing").resolve()
        os.environ["GOLDMILL_PLACES__LANDING_URI"] = str(landing)
        # The listener asks for a parent run, which is Airflow's task elsewhere.
        os.environ["GOLDMILL_SPARK__CONF"] = json.dumps({**_parent_run(), **json.loads(os.environ.get("XCONF","{}"))})
        facts = machine()
        input_bytes = size_of(landing) if given.landing else land_default_input(landing, given.megabytes)
        with _log_to(home / "build.log"):
            results = {"machine": facts, "input_bytes": input_bytes, **build(given.recipe)}
    show(results, [_stage_table(results), _outcome(results)], as_json=given.json)
    return 0 if results["version"] else 1


def _parent_run() -> dict[str, str]:
    run_id = str(uuid.uuid4())
    parent = {"JobNamespace": "goldmill", "JobName": "bench.stages", "RunId": run_id}
    return {
        f"spark.openlineage.{prefix}{name}": value
        for prefix in ("parent", "rootParent")
        for name, value in parent.items()
    }


@contextlib.contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """Keep what the operators and Spark say out of the results; the end of it is shown when the build fails."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with path.open("wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            logging.basicConfig(level=logging.INFO, stream=sys.stderr)
            yield
        except BaseException:
            sys.stderr.flush()
            os.dup2(saved[1], 2)
            print(*path.read_text(errors="replace").splitlines()[-60:], sep="\n", file=sys.stderr)
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(saved[0], 1)
            os.dup2(saved[1], 2)


def build(recipe: str) -> dict[str, Any]:
    """One build of what lies in the landing area; figures by stage, and the version where all gates passed."""
    from goldmill.arrivals import record_unknown_objects
    from goldmill.build import claim, publish, settle, take_turn, versions
    from goldmill.recipe import load_recipe
    from goldmill.settings import Settings

    settings = Settings.load()
    record_unknown_objects()
    work_uri = claim("bench/build", recipe)
    if work_uri is None:
        raise SystemExit(f"there is nothing to build in {settings.places.landing_uri}")
    take_turn(work_uri)
    cores = _cores(settings.spark.master)
    stages = {stage: _run(stage, work_uri, cores) for stage in JOBS}
    # The bytes that a stage gets: what is in the records, then what refining left of it.
    stages["deduplicate"]["bytes"] = stages["refine"]["bytes_out"]
    version = digest = publish_seconds = None
    if not any(figures["gate_failures"] for figures in stages.values()):
        started = time.monotonic()
        version = publish(work_uri)
        settle(work_uri, version)
        publish_seconds = time.monotonic() - started
        digest = versions(settings, load_recipe(recipe).corpus).get(version).digest
    return {
        "master": settings.spark.master,
        "cores_used": cores,
        "partitions": settings.spark.partitions,
        "stages": stages,
        "publish_seconds": publish_seconds,
        "version": version,
        "digest": digest,
    }


def _cores(master: str) -> int:
    """Tasks that run at a time."""
    given = re.fullmatch(r"local\[(\d+)\]", master)
    return int(given[1]) if given else int(machine()["cores"])


def _run(stage: str, work_uri: str, cores: int) -> dict[str, Any]:
    from goldmill.gates.operator import GateOperator
    from goldmill.gates.result import GateFailed
    from goldmill.platforms import platform
    from goldmill.report import StageReport
    from goldmill.storage import read_text

    work = f"{work_uri}/{stage}"
    operator = platform().spark_job(JOBS[stage], f"{work}/spec.json", f"{work_uri}/lineage/{stage}.spark.jsonl")
    started = time.monotonic()
    try:
        operator.execute({})
    except BaseException:
        operator.on_kill()
        raise
    wall = time.monotonic() - started
    report = StageReport.read(f"{work}/report.json")
    failures: list[str] = []
    started = time.monotonic()
    try:
        GateOperator(task_id=f"gate_{stage}", stage=stage, work_uri=work).execute({})
    except GateFailed as error:
        failures = str(error).splitlines()
    kernel_seconds = report.metrics.get("kernel_seconds")
    return {
        "rows_in": report.rows_in,
        "rows_out": report.rows_out,
        "bytes": json.loads(read_text(f"{work}/progress.json"))["bytes"],
        "bytes_out": report.metrics.get("bytes_out"),
        "wall_seconds": wall,
        "start_seconds": wall - report.seconds,
        "job_seconds": report.seconds,
        "kernel_seconds": None if kernel_seconds is None else kernel_seconds / cores,
        "gate_seconds": time.monotonic() - started,
        "gate_failures": failures,
        "peak_rss_bytes": report.peak_rss_bytes,
        "digest": report.digest,
    }


def _stage_table(results: dict[str, Any]) -> str:
    rows = []
    for stage, figures in results["stages"].items():
        megabytes = figures["bytes"] / 1e6
        rows.append(
            (
                stage,
                figures["rows_in"],
                figures["rows_out"],
                megabytes,
                figures["wall_seconds"],
                figures["start_seconds"],
                figures["job_seconds"],
                figures["kernel_seconds"],
                megabytes / figures["job_seconds"] / results["cores_used"],
                mebibytes(figures["peak_rss_bytes"]),
                figures["gate_seconds"],
            )
        )
    columns = (
        "stage",
        "rows in",
        "out",
        "MB",
        "wall s",
        "start s",
        "job s",
        "kernels s",
        "MB/s/core",
        "peak MiB",
        "gate s",
    )
    return table(columns, rows)


def _outcome(results: dict[str, Any]) -> str:
    failures = [line for figures in results["stages"].values() for line in figures["gate_failures"]]
    size = f"{results['input_bytes'] / 1e6:,.1f} MB landed"
    used = f"{results['cores_used']} cores used, {results['partitions']} partitions"
    verdict = f"digest {results['digest']}" if results["version"] else "no version was published"
    lines = [f"{size}; {used}", *failures, verdict]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
