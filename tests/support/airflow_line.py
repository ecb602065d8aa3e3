"""A running line in tests: Airflow, its API, the lake and the ledger."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from goldmill.build import build_id_of, versions
from goldmill.demo.processes import Airflow, processes_of
from goldmill.demo.progress import BUILD_DAG, AirflowApi
from goldmill.lake.versions import Versions
from goldmill.landing.objects import land_file
from goldmill.ledger import open_ledger
from goldmill.ledger.protocol import Ledger
from goldmill.report import StageReport
from goldmill.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

STAGES = {"refine": "refine_documents", "deduplicate": "deduplicate_documents", "tokenize": "tokenize_corpus"}
_RUN_SECONDS = 420
_OVER = {"success", "failed"}


@dataclass(frozen=True)
class Line:
    """A running line: its Airflow and its lake."""

    airflow: Airflow
    api: AirflowApi
    settings: Settings

    @property
    def ledger(self) -> Ledger:
        """The ledger."""
        return open_ledger(self.settings)

    @property
    def versions(self) -> Versions:
        """The versions of the corpus."""
        return versions(self.settings, "corpus")

    def land(self, files: dict[str, str | bytes]) -> None:
        """Put files into the landing area."""
        for key, content in files.items():
            land_file(content.encode() if isinstance(content, str) else content, self.settings.places.landing_uri, key)

    def runs(self) -> list[dict[str, Any]]:
        """All runs of the build DAG, oldest first."""
        return list(self.api.get(f"/dags/{BUILD_DAG}/dagRuns", order_by="run_after", limit=100)["dag_runs"])

    def trigger(self, **parameters: Any) -> str:
        """Start a build by hand, as from the user interface; returns the run id."""
        document = {"logical_date": None, "conf": parameters}
        return str(self.api.post(f"/dags/{BUILD_DAG}/dagRuns", document)["dag_run_id"])

    def tasks(self, run_id: str) -> dict[str, dict[str, Any]]:
        """The task instances of a run by task id."""
        rows = self.api.get(f"/dags/{BUILD_DAG}/dagRuns/{run_id}/taskInstances", limit=100)["task_instances"]
        return {row["task_id"]: row for row in rows}

    def wait(self, run_id: str, meanwhile: Callable[[], None] = lambda: None) -> str:
        """Wait until a run is over and return its state."""
        end = time.monotonic() + _RUN_SECONDS
        while time.monotonic() < end:
            self.airflow.check()
            state = self.api.get(f"/dags/{BUILD_DAG}/dagRuns/{run_id}")["state"]
            if state in _OVER:
                return str(state)
            meanwhile()
            time.sleep(0.2)
        pytest.fail(f"run {run_id} is not over after {_RUN_SECONDS} s: {self.states(run_id)}")

    def states(self, run_id: str) -> dict[str, str]:
        """State by task of a run."""
        return {name: row["state"] for name, row in self.tasks(run_id).items()}

    def report(self, run_id: str, stage: str) -> StageReport:
        """A stage's report of the build that a run made."""
        return StageReport.read(f"{self.settings.places.stage_uri(self.build_id(run_id), stage)}/report.json")

    @staticmethod
    def build_id(run_id: str) -> str:
        """The build that a run makes."""
        return build_id_of(f"{BUILD_DAG}/{run_id}")

    def spark_drivers(self, job: str) -> list[psutil.Process]:
        """The Java processes that run a Spark job now."""
        found = []
        for process in processes_of(Path(self.settings.home)):
            try:
                command = process.cmdline()
            except psutil.Error:
                continue
            if command and Path(command[0]).name == "java" and any(part.endswith(f"/{job}.py") for part in command):
                found.append(process)
        return found

    def events(self) -> list[dict[str, Any]]:
        """All OpenLineage events so far."""
        path = Path(str(self.settings.lineage.events_path))
        return [json.loads(line) for line in path.read_text().splitlines()]
