"""Seconds to parse each DAG file, and seconds from starting Airflow to a ready UI, the first and the second time.

  import      reading the file in a process that has Airflow loaded, as the DAG processor does; at most 1 s
  process     the same with starting Python and loading Airflow
  ready       all four services healthy, in a home of their own without input; the second start at most 60 s

Exit code 1 if a file or the second start takes longer.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from common import AIRFLOW_ENVIRONMENT, ROOT, machine, parser, show, table, temporary_home, use_environment

ALLOWED_IMPORT_SECONDS = 1.0
ALLOWED_READY_SECONDS = 60.0
# Airflow is loaded first, as in the DAG processor; then the file is read by what reads it there.
_PARSE = """
import sys, time
import airflow.sdk
from airflow.dag_processing.dagbag import DagBag
started = time.perf_counter()
bag = DagBag(sys.argv[1])
assert bag.dags and not bag.import_errors, bag.import_errors
print(time.perf_counter() - started, file=sys.stderr)
"""


def main() -> int:
    """Parse the command line, measure, show."""
    arguments = parser(__doc__)
    arguments.add_argument("--repeat", type=int, default=5, help="processes a file; the median counts (5)")
    arguments.add_argument("--skip-services", action="store_true", help="measure the parsing only")
    given = arguments.parse_args()
    use_environment(AIRFLOW_ENVIRONMENT)
    facts = machine()
    with temporary_home() as home:
        os.environ["AIRFLOW_HOME"] = str(home / "airflow")
        os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
        subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)
        files = {
            str(path.relative_to(ROOT)): parse_seconds(path, given.repeat)
            for path in sorted((ROOT / "dags").rglob("*_dag.py"))
        }
    starts: list[float] = []
    if not given.skip_services:
        with temporary_home() as home:
            starts = [ready_seconds(home) for _ in range(2)]
    results = {"machine": facts, "files": files, "ready_seconds": starts}
    tables = [
        table(
            ("DAG file", "import s", "process s"),
            [(name, figures["import_seconds"], figures["process_seconds"]) for name, figures in files.items()],
        )
    ]
    if starts:
        tables.append(table(("start", "ready s"), [("first", starts[0]), ("second", starts[1])]))
    show(results, tables, as_json=given.json)
    within = all(figures["import_seconds"] <= ALLOWED_IMPORT_SECONDS for figures in files.values())
    return 0 if within and (not starts or starts[1] <= ALLOWED_READY_SECONDS) else 1


def parse_seconds(path: Path, repeat: int) -> dict[str, float]:
    """Median seconds of reading one DAG file, each time in a fresh process."""
    imports, processes = [], []
    for _ in range(repeat):
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", _PARSE, str(path)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        processes.append(time.perf_counter() - started)
        if done.returncode:
            raise SystemExit(f"{path} cannot be read:\n{done.stderr}")
        imports.append(float(done.stderr.splitlines()[-1]))
    return {"import_seconds": statistics.median(imports), "process_seconds": statistics.median(processes)}


def ready_seconds(home: Path) -> float:
    """Seconds until the services of the demo are healthy; they are stopped again."""
    from goldmill.demo.processes import SERVICES, Airflow

    environment: dict[str, Any] = {**os.environ, "GOLDMILL_HOME": str(home)}
    started = time.monotonic()
    with Airflow(home, ROOT / "dags", ROOT / "plugins", environment) as airflow:
        airflow.start(*SERVICES)
        airflow.wait_until_ready()
        return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
