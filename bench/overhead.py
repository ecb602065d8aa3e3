"""Where the seconds of the last published demo build went: Airflow, Spark, or the kernels.

Reads what `make demo` has left in its home: Airflow's database, the reports of the stages. Measures nothing itself.

  waiting     from the end of the task before to this task's start: Airflow's scheduler and executor
  running     the task itself
  Spark       of that, before and after the job: Airflow's task process, spark-submit, the Spark session
  job         of that, the Spark job: reading, shuffles, writing, accounting, and the kernels
  kernels     of that, the kernels: their time in all tasks, divided by the cores (the refine stage measures it)
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from common import AIRFLOW_ENVIRONMENT, machine, parser, show, table, use_environment

JOBS = {"refine_documents": "refine", "deduplicate_documents": "deduplicate", "tokenize_corpus": "tokenize"}
_LAST_RUN = """
    select run_id, start_date from dag_run
    where dag_id = 'corpus_build' and state = 'success' and exists (
        select 1 from task_instance t
        where t.dag_id = dag_run.dag_id and t.run_id = dag_run.run_id
          and t.task_id = 'settle_objects' and t.state = 'success')
    order by start_date desc limit 1
"""
_TASKS = """
    select task_id, start_date, end_date from task_instance
    where dag_id = 'corpus_build' and run_id = ? and state = 'success' order by start_date
"""


def main() -> int:
    """Parse the command line, read, show."""
    arguments = parser(__doc__)
    given = arguments.parse_args()
    use_environment(AIRFLOW_ENVIRONMENT)
    facts = machine()
    tasks = read_tasks(facts["cores"])
    total = {
        key: sum(task[key] or 0.0 for task in tasks)
        for key in ("waiting_seconds", "running_seconds", "spark_seconds", "job_seconds", "kernel_seconds")
    }
    rows = [tuple(task.values()) for task in [*tasks, {"task": "together", **total}]]
    shown = table(("task", "waiting s", "running s", "Spark s", "job s", "kernels s"), rows)
    show({"machine": facts, "tasks": tasks, "total": total}, [shown], as_json=given.json)
    return 0


def read_tasks(cores: int) -> list[dict[str, Any]]:
    """Seconds by task of the last run of ``corpus_build`` that published a version.

    Raises:
        SystemExit: there is no such run.
    """
    from goldmill.build import build_id_of
    from goldmill.report import StageReport
    from goldmill.settings import Settings

    settings = Settings.load()
    database = Path(settings.home) / "airflow" / "airflow.db"
    if not database.exists():
        raise SystemExit(f"{database} does not exist; run `make demo EXIT=1` first")
    with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        run = connection.execute(_LAST_RUN).fetchone()
        if run is None:
            raise SystemExit(f"{database} knows no build that published a version; run `make demo EXIT=1` first")
        rows = connection.execute(_TASKS, (run[0],)).fetchall()
    build_id = build_id_of(f"corpus_build/{run[0]}")
    tasks = []
    ended = datetime.fromisoformat(run[1])
    for name, start, end in rows:
        started, waited_since, ended = datetime.fromisoformat(start), ended, datetime.fromisoformat(end)
        running = (ended - started).total_seconds()
        job = kernels = None
        if name in JOBS:
            report = StageReport.read(f"{settings.places.stage_uri(build_id, JOBS[name])}/report.json")
            measured = report.metrics.get("kernel_seconds")
            job, kernels = report.seconds, None if measured is None else measured / cores
        tasks.append(
            {
                "task": name,
                "waiting_seconds": (started - waited_since).total_seconds(),
                "running_seconds": running,
                "spark_seconds": None if job is None else running - job,
                "job_seconds": job,
                "kernel_seconds": kernels,
            }
        )
    return tasks


if __name__ == "__main__":
    sys.exit(main())
