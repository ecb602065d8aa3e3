"""No process outlives the demo, however it hides."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from goldmill.demo.processes import HOST, MARK, free_port, processes_of, stop_processes

if TYPE_CHECKING:
    from pathlib import Path

SLEEP = "import time; time.sleep(120)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
DETACHED = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=True)"


def test_deaf_detached_and_renamed_processes_are_stopped(tmp_path: Path) -> None:
    (tmp_path / "airflow").mkdir()
    marked = {**os.environ, MARK: str(tmp_path)}
    deaf = subprocess.Popen([sys.executable, "-c", DEAF], env=marked, start_new_session=True)
    subprocess.run([sys.executable, "-c", DETACHED], env=marked, check=True)
    # One that wrote over its environment is known by its session alone.
    unmarked = subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True)
    (tmp_path / "airflow" / "sessions.json").write_text(json.dumps({str(unmarked.pid): time.time()}))
    bystander = subprocess.Popen([sys.executable, "-c", SLEEP])
    try:
        time.sleep(0.5)
        assert len(processes_of(tmp_path)) == 3
        stop_processes(tmp_path, 1.0)
        assert processes_of(tmp_path) == []
        assert deaf.poll() is not None
        assert unmarked.poll() is not None
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_port_in_use_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port
    assert free_port(port) == port
