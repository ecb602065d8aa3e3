"""Airflow on this machine: its four services as child processes that never outlive the demo.

Not `airflow standalone`: it gives no log file a service, migrates the database on every start, says nothing of which
service failed, and leaves the task processes behind when it is killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
import psutil

from goldmill.errors import GoldmillError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import IO

# Every process that the demo starts inherits this variable, however it detaches itself: by it they are found again.
MARK = "GOLDMILL_DEMO_HOME"
HOST = "127.0.0.1"
DEFAULT_PORT = 8080
SERVICES = ("api-server", "dag-processor", "triggerer", "scheduler")
_READY_SECONDS = 240.0
_STOP_SECONDS = 8.0
_LOG_LINES = 25


class DemoError(GoldmillError):
    """The demo cannot go on."""


class Airflow:
    """Airflow's services, started one by one and stopped together; use it as a context manager."""

    def __init__(self, home: Path, dags: Path, plugins: Path, environment: Mapping[str, str]) -> None:
        """Prepare, without starting anything.

        Args:
            home: Goldmill's home; the database, configuration and logs of Airflow go below it.
            dags: the DAG folder.
            plugins: the plugins folder.
            environment: what the services inherit, besides Airflow's own settings.
        """
        self._home = home
        self._root = home / "airflow"
        self.logs = home / "logs"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._sessions: dict[str, float] = {}
        self._lock: IO[str] | None = None
        self.port = DEFAULT_PORT
        self._base = {**environment, MARK: str(home)}
        self._dags, self._plugins = dags, plugins

    @property
    def url(self) -> str:
        """Address of the user interface and the API."""
        return f"http://{HOST}:{self.port}"

    @property
    def task_logs(self) -> Path:
        """Directory of the tasks' logs."""
        return self._root / "logs"

    def __enter__(self) -> Self:
        """Take the home for this demo, end what a killed demo left, bring the database up to date.

        Raises:
            DemoError: another demo runs in this home, or the database cannot be migrated.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(parents=True, exist_ok=True)
        self._take_home()
        stop_processes(self._home)
        self.port = free_port(DEFAULT_PORT)
        self._environment = self._base | self._settings()
        self._migrate()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._lock is not None:
            self._lock.close()

    def start(self, *services: str) -> None:
        """Start services; each writes to ``<home>/logs/<service>.log``."""
        for service in services:
            command = [service]
            if service == "api-server":
                command += ["--host", HOST, "--port", str(self.port), "--workers", "1"]
            with (self.logs / f"{service}.log").open("wb") as log:
                self._processes[service] = self._run(command, log)
            self._sessions[str(self._processes[service].pid)] = time.time()
            _session_file(self._home).write_text(json.dumps(self._sessions))

    def wait_until_ready(self) -> None:
        """Return when every service has reported itself healthy since it was started.

        Raises:
            DemoError: a service ended or did not become healthy in time; shows the end of its log.
        """
        started = time.time()
        names = {"scheduler": "scheduler", "triggerer": "triggerer", "dag-processor": "dag_processor"}
        waiting = set(self._processes)
        while waiting:
            self.check()
            health = self._health()
            if health:
                waiting -= {"api-server"}
            for service in list(waiting & set(names)):
                state = health.get(names[service]) or {}
                # The row of an earlier run stays healthy for half a minute: only a fresh heartbeat counts.
                beat = state.get(f"latest_{names[service]}_heartbeat")
                if state.get("status") == "healthy" and beat and _timestamp(beat) >= started - 5:
                    waiting.discard(service)
            if waiting and time.time() - started > _READY_SECONDS:
                raise DemoError(
                    f"{', '.join(sorted(waiting))} not healthy after {_READY_SECONDS:.0f} s. "
                    f"{self._log_tail(sorted(waiting)[0])}"
                )
            time.sleep(0.3)

    def check(self) -> None:
        """Return if all services run.

        Raises:
            DemoError: one has ended; shows the end of its log.
        """
        for service, process in self._processes.items():
            if process.poll() is not None:
                raise DemoError(f"Airflow's {service} ended with code {process.returncode}. {self._log_tail(service)}")

    def stop(self) -> None:
        """Stop everything that was started, tasks and their Java processes included; may be called twice."""
        stop_processes(self._home, _STOP_SECONDS)
        for process in self._processes.values():
            process.wait()
        self._processes.clear()
        self._sessions.clear()

    def _run(self, arguments: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "airflow", *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=self._home,
            # A group of its own: Ctrl-C reaches the demo alone, which then stops the services in order.
            start_new_session=True,
        )

    def _take_home(self) -> None:
        self._lock = (self._root / "demo.lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DemoError(
                f"another demo runs in {self._home}. Stop it with Ctrl-C in its terminal, "
                "or give this one a home of its own: GOLDMILL_HOME=/somewhere make demo"
            ) from error

    def _settings(self) -> dict[str, str]:
        keys = self._keys()
        cores = os.cpu_count() or 2
        # Airflow's default is 32 workers of 135 MB. Two builds side by side need one task each, besides arrivals.
        parallelism = max(4, min(8, cores))
        return {
            "AIRFLOW_HOME": str(self._root),
            # No passwords: the services listen on this machine only.
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self._dags),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(self._plugins),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__FERNET_KEY": keys["fernet"],
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": str(parallelism),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__SECRET_KEY": keys["session"],
            "AIRFLOW__API_AUTH__JWT_SECRET": keys["token"],
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self._database}",
            "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.task_logs),
            # A demo that was stopped in a build goes on with it: its tasks are found dead soon, not after 5 minutes.
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "PYTHONUNBUFFERED": "1",
        }

    @property
    def _database(self) -> Path:
        return self._root / "airflow.db"

    def _keys(self) -> dict[str, str]:
        """Keys that the services share; made once, so that a session in the browser outlives a restart."""
        path = self._root / "keys.json"
        if not path.exists():
            from cryptography.fernet import Fernet

            keys = {
                "fernet": Fernet.generate_key().decode(),
                "session": secrets.token_urlsafe(32),
                "token": secrets.token_urlsafe(64),
            }
            path.touch(mode=0o600)
            path.write_text(json.dumps(keys))
        keys = json.loads(path.read_text())
        return dict(keys)

    def _migrate(self) -> None:
        """Bring the database to this release; costs half the start, so it is left out where it was done before."""
        from importlib.metadata import version

        stamp = self._root / "migrated"
        release = version("apache-airflow-core")
        if self._database.exists() and stamp.exists() and stamp.read_text() == release:
            return
        stamp.unlink(missing_ok=True)
        log_path = self.logs / "migrate.log"
        with log_path.open("wb") as log:
            code = self._run(["db", "migrate"], log).wait()
        if code:
            raise DemoError(f"Airflow's database {self._database} cannot be migrated. {self._log_tail('migrate')}")
        with contextlib.closing(sqlite3.connect(self._database)) as connection:
            # Readers do not wait for the writer: five processes share the file.
            connection.execute("PRAGMA journal_mode=WAL")
        stamp.write_text(release)

    def _health(self) -> dict[str, Any]:
        try:
            answer = httpx.get(f"{self.url}/api/v2/monitor/health", timeout=10)
            return dict(answer.json()) if answer.status_code == 200 else {}
        except (httpx.HTTPError, ValueError):
            return {}

    def _log_tail(self, name: str) -> str:
        path = self.logs / f"{name}.log"
        lines = path.read_text(errors="replace").splitlines()[-_LOG_LINES:] if path.exists() else []
        return f"The end of {path}:\n" + "\n".join(f"    {line}" for line in lines)


def free_port(wanted: int) -> int:
    """``wanted`` where it is free, else a port that the system picks."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            # A port that a demo before has just left counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoError(f"no free port on {HOST}; close programs that listen there")


def processes_of(home: Path) -> list[psutil.Process]:
    """Processes, other than this one, that a demo in ``home`` has started, at any depth.

    Found by the variable that they inherit and by the session of the service that started them: a process that names
    itself (Airflow's workers do) may write over the former, one that detaches itself leaves the latter.
    """
    sessions = _sessions(home)
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with contextlib.suppress(psutil.Error, OSError):  # it ended, or belongs to someone else
            started = sessions.get(os.getsid(process.pid))
            # Numbers are used again: a session that is older than the service is another one.
            in_session = started is not None and process.create_time() >= started - 1
            if (in_session or process.environ().get(MARK) == str(home)) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def stop_processes(home: Path, patience_seconds: float = 2.0) -> None:
    """End the processes of a demo in ``home``: first asked, after ``patience_seconds`` forced."""
    alive = processes_of(home)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    psutil.wait_procs(alive, timeout=patience_seconds)
    # Looked for again: a process may have started another meanwhile.
    for _ in range(5):
        alive = processes_of(home)
        for process in alive:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if not alive:
            _session_file(home).unlink(missing_ok=True)
            return
        psutil.wait_procs(alive, timeout=2)


def _session_file(home: Path) -> Path:
    return home / "airflow" / "sessions.json"


def _sessions(home: Path) -> dict[int, float]:
    """Session id and start time of each service, as the demo noted them."""
    path = _session_file(home)
    return {int(key): float(value) for key, value in json.loads(path.read_text()).items()} if path.exists() else {}


def _timestamp(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()
