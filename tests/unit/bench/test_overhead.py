"""The overhead benchmark reads what a demo has left."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from goldmill.build import build_id_of
from goldmill.report import StageReport

ROOT = Path(__file__).parents[3]
RUN = "manual__2026-01-01T00:00:00+00:00"
TASKS = [
    ("claim_objects", "2026-01-01 00:00:02.000000", "2026-01-01 00:00:03.500000", "success"),
    ("refine_documents", "2026-01-01 00:00:04.000000", "2026-01-01 00:00:54.000000", "success"),
    ("abandon_build", "2026-01-01 00:00:54.000000", "2026-01-01 00:00:54.000000", "skipped"),
    ("settle_objects", "2026-01-01 00:00:56.000000", "2026-01-01 00:00:57.000000", "success"),
]


def run(home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "bench" / "overhead.py", "--json"],
        env={**os.environ, "GOLDMILL_HOME": str(home)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "airflow").mkdir()
    with sqlite3.connect(tmp_path / "airflow" / "airflow.db") as database:
        database.execute("create table dag_run (dag_id, run_id, state, start_date)")
        database.execute("create table task_instance (dag_id, run_id, task_id, start_date, end_date, state)")
        database.execute(
            "insert into dag_run values ('corpus_build', ?, 'success', '2026-01-01 00:00:01.000000')", [RUN]
        )
        # A later run that had nothing to build is not the one.
        database.execute("insert into dag_run values ('corpus_build', 'later', 'success', '2026-01-02 00:00:00')")
        database.executemany(
            "insert into task_instance values ('corpus_build', ?, ?, ?, ?, ?)", [(RUN, *t) for t in TASKS]
        )
    database.close()
    StageReport(
        stage="refine",
        build_id="b",
        spec_hash="0",
        rows_in=1,
        rows_out=1,
        removed_by_rule={},
        quarantined_by_code={},
        by_source={},
        digest="0",
        snapshots={},
        seconds=40.0,
        code_revision="0",
        metrics={"kernel_seconds": 12.0},
    ).write(str(tmp_path / "work" / build_id_of(f"corpus_build/{RUN}") / "refine" / "report.json"))
    return tmp_path


def test_seconds_are_told_apart_by_task(home: Path) -> None:
    done = run(home)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    tasks = {task["task"]: task for task in results["tasks"]}
    assert list(tasks) == ["claim_objects", "refine_documents", "settle_objects"]
    assert (tasks["claim_objects"]["waiting_seconds"], tasks["claim_objects"]["running_seconds"]) == (1.0, 1.5)
    refine = tasks["refine_documents"]
    assert (refine["running_seconds"], refine["spark_seconds"], refine["job_seconds"]) == (50.0, 10.0, 40.0)
    assert refine["kernel_seconds"] == 12.0 / results["machine"]["cores"]
    assert results["total"]["waiting_seconds"] == 1.0 + 0.5 + 2.0


def test_without_a_build_it_says_what_to_do(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 1
    assert "make demo EXIT=1" in done.stderr
