"""What the builds are doing now: Airflow's API says which task runs, the Spark jobs say how far they are."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from goldmill.demo.processes import DemoError

if TYPE_CHECKING:
    from collections.abc import Iterable

BUILD_DAG = "corpus_build"
ARRIVALS_DAG = "corpus_arrivals"
# The order of the line; `abandon_build` shows only when it has something to do.
TASKS = (
    "claim_objects",
    "refine_documents",
    "gate_refine",
    "wait_for_turn",
    "deduplicate_documents",
    "gate_deduplicate",
    "tokenize_corpus",
    "gate_tokenize",
    "publish_version",
    "settle_objects",
)
STAGE_OF_TASK = {"refine_documents": "refine", "deduplicate_documents": "deduplicate", "tokenize_corpus": "tokenize"}
_ACTIVE = {"queued", "running"}
_COLOURS = {"success": "green", "running": "yellow", "failed": "red", "up_for_retry": "magenta"}
# Without a terminal a line is printed when something changed, and at least this often while a stage runs.
_PLAIN_SECONDS = 10.0


@dataclass(frozen=True)
class TaskProgress:
    """One task of a build; documents and bytes are None where the task does not count them."""

    task: str
    state: str
    attempt: int
    elapsed_seconds: float
    step: str = ""
    documents: int | None = None
    done_bytes: int | None = None
    total_bytes: int | None = None

    @property
    def megabytes_per_second(self) -> float | None:
        """Megabytes (10**6 bytes) of input a second, over the whole time of the task."""
        if not self.done_bytes or not self.elapsed_seconds:
            return None
        return self.done_bytes / 1e6 / self.elapsed_seconds


@dataclass(frozen=True)
class BuildProgress:
    """One run of ``corpus_build``."""

    run_id: str
    build_id: str
    state: str
    elapsed_seconds: float
    tasks: list[TaskProgress] = field(default_factory=list)

    @property
    def is_active(self) -> bool:
        """Whether the run is queued or running."""
        return self.state in _ACTIVE

    @property
    def has_failed(self) -> bool:
        """Whether a task failed. The run's state does not tell: it succeeds where the clean-up after a failure does."""
        failed = any(task.state in {"failed", "upstream_failed"} for task in self.tasks)
        return not self.is_active and (self.state == "failed" or failed)

    @property
    def had_nothing_to_build(self) -> bool:
        """Whether the run found no object to claim."""
        return any(task.task == "claim_objects" and task.state == "skipped" for task in self.tasks)


class AirflowApi:
    """Airflow's public REST API, with a token that is renewed when it is refused."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=30)
        self._token: str | None = None

    def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        """GET below ``/api/v2``.

        Raises:
            DemoError: Airflow answers with an error.
            httpx.TransportError: Airflow does not answer.
        """
        return self._request("GET", path, params=parameters)

    def post(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        """POST below ``/api/v2``; raises as :meth:`get` does."""
        return self._request("POST", path, json=document)

    def patch(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        """PATCH below ``/api/v2``; raises as :meth:`get` does."""
        return self._request("PATCH", path, json=document)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _request(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        for attempt in (1, 2):
            if self._token is None:
                self._token = str(self._client.get("/auth/token").raise_for_status().json()["access_token"])
            headers = {"Authorization": f"Bearer {self._token}"}
            answer = self._client.request(method, f"/api/v2{path}", headers=headers, **arguments)
            if answer.status_code != 401 or attempt == 2:
                break
            self._token = None
        if answer.is_error:
            raise DemoError(f"Airflow's API, {method} {path}: {answer.status_code} {answer.text[:400]}")
        return dict(answer.json())


class Watcher:
    """Reads the state of builds that are active or have ended since the watcher was made."""

    def __init__(self, api: AirflowApi, work_uri: str) -> None:
        self._api = api
        self._work = Path(work_uri.removeprefix("file://"))
        self._since = time.time()
        self._ended: dict[str, BuildProgress] = {}

    def poll(self) -> list[BuildProgress]:
        """All of them, oldest first."""
        runs = self._api.get(f"/dags/{BUILD_DAG}/dagRuns", order_by="-run_after", limit=20)["dag_runs"]
        found = []
        for run in reversed(runs):
            active = run["state"] in _ACTIVE
            if not active and (_timestamp(run["end_date"]) or 0.0) < self._since:
                continue
            if run["dag_run_id"] not in self._ended:
                build = self._build(run)
                if not active:  # an ended run does not change any more
                    self._ended[build.run_id] = build
                found.append(build)
            else:
                found.append(self._ended[run["dag_run_id"]])
        return found

    def import_errors(self) -> list[str]:
        """Why DAG files cannot be read, one text a file."""
        errors = self._api.get("/importErrors")["import_errors"]
        return [f"{error['filename']}:\n{error['stack_trace']}" for error in errors]

    def _build(self, run: dict[str, Any]) -> BuildProgress:
        from goldmill.build import build_id_of  # late: the lake is not needed before there is a build

        run_id = run["dag_run_id"]
        build_id = build_id_of(f"{BUILD_DAG}/{run_id}")
        rows = self._api.get(f"/dags/{BUILD_DAG}/dagRuns/{run_id}/taskInstances", limit=100)["task_instances"]
        by_task = {row["task_id"]: row for row in rows}
        tasks = [self._task(by_task[name], build_id) for name in TASKS if name in by_task]
        tasks += [self._task(row, build_id) for name, row in sorted(by_task.items()) if name not in TASKS]
        return BuildProgress(run_id, build_id, run["state"], _elapsed(run), tasks)

    def _task(self, row: dict[str, Any], build_id: str) -> TaskProgress:
        told: dict[str, Any] = {}
        stage = STAGE_OF_TASK.get(row["task_id"])
        if stage and row["state"] is not None:
            told = self._progress_file(build_id, stage, _timestamp(row["start_date"]) or 0.0)
        return TaskProgress(
            task=row["task_id"],
            state=row["state"] or "waiting",
            attempt=row["try_number"],
            elapsed_seconds=_elapsed(row),
            step=str(told.get("step", "")),
            documents=told.get("rows"),
            done_bytes=told.get("bytes"),
            total_bytes=told.get("total_bytes"),
        )

    def _progress_file(self, build_id: str, stage: str, started: float) -> dict[str, Any]:
        try:
            document = json.loads((self._work / build_id / stage / "progress.json").read_text())
        except (OSError, ValueError):  # not there yet, or half written
            return {}
        # What an attempt before this one left says nothing about this one.
        return document if isinstance(document, dict) and document.get("updated_at", 0) >= started else {}


class ProgressView:
    """Shows builds: a live table in a terminal, lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self._printed: dict[tuple[str, str], tuple[str, int]] = {}
        self._last_line = 0.0
        self._waiting = ""

    def __enter__(self) -> ProgressView:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, builds: Iterable[BuildProgress], waiting_for: str) -> None:
        """Show the state; ``waiting_for`` says what happens while no build is active."""
        active = [build for build in builds if build.is_active]
        if self._live is not None:
            self._live.update(Group(*[_table(build) for build in active]) if active else Text(f"{waiting_for} ..."))
            return
        if not active and waiting_for != self._waiting:
            self._console.print(f"{waiting_for} ...", highlight=False)
            self._waiting = waiting_for
        for build in builds:
            self._print_changes(build)

    def _print_changes(self, build: BuildProgress) -> None:
        for task in build.tasks:
            seen = (task.state, task.attempt)
            changed = self._printed.get((build.run_id, task.task)) != seen
            counts = task.state == "running" and task.documents is not None
            overdue = counts and time.monotonic() - self._last_line > _PLAIN_SECONDS
            if task.state in {"waiting", "scheduled", "queued"} or not (changed or overdue):
                continue
            self._printed[build.run_id, task.task] = seen
            self._last_line = time.monotonic()
            self._console.print(f"  {build.build_id} {plain_line(task)}", highlight=False)


def plain_line(task: TaskProgress) -> str:
    """One line: task, state, step, documents, megabytes, speed, elapsed time."""
    parts = [f"{task.task:<22} {task.state:<12}"]
    if task.attempt > 1:
        parts.append(f"attempt {task.attempt}")
    if task.step and task.state == "running":
        parts.append(task.step)
    if task.documents is not None:
        parts.append(f"{task.documents:,} documents")
    if task.done_bytes:
        parts.append(_size(task))
    if task.megabytes_per_second is not None:
        parts.append(f"{task.megabytes_per_second:.1f} MB/s")
    parts.append(f"{task.elapsed_seconds:.0f} s")
    return "  ".join(parts)


def _size(task: TaskProgress) -> str:
    done = f"{(task.done_bytes or 0) / 1e6:.1f}"
    # Archives grow as they are read, so that more may be done than there was.
    total = task.total_bytes or 0
    return f"{done} of {total / 1e6:.1f} MB" if total >= (task.done_bytes or 0) else f"{done} MB"


def _table(build: BuildProgress) -> Table:
    table = Table(title=f"build {build.build_id}, {build.elapsed_seconds:.0f} s", title_justify="left", expand=False)
    for column in ("task", "state", "step"):
        table.add_column(column)
    for column in ("documents", "size", "MB/s", "elapsed"):
        table.add_column(column, justify="right")
    for task in build.tasks:
        if task.task not in TASKS and task.state in {"waiting", "skipped"}:
            continue
        speed = task.megabytes_per_second
        state = task.state if task.attempt < 2 else f"{task.state} ({task.attempt})"
        table.add_row(
            task.task,
            Text(state, style=_COLOURS.get(task.state, "dim")),
            task.step if task.state == "running" else "",
            "" if task.documents is None else f"{task.documents:,}",
            _size(task) if task.done_bytes else "",
            "" if speed is None else f"{speed:.1f}",
            f"{task.elapsed_seconds:.0f} s" if task.elapsed_seconds else "",
        )
    return table


def _timestamp(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()


def _elapsed(row: dict[str, Any]) -> float:
    started = _timestamp(row["start_date"])
    if started is None:
        return 0.0
    return max(0.0, (_timestamp(row["end_date"]) or time.time()) - started)
