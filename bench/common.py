"""Shared by the benchmarks; no command of its own."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[1]
AIRFLOW_ENVIRONMENT, SPARK_ENVIRONMENT = ".venv", ".venv-spark"
_MEBIBYTE = 2**20


def use_environment(name: str) -> None:
    """Go on in the interpreter of the environment ``name``, whichever Python the benchmark was started with."""
    python = ROOT / name / "bin" / "python"
    if not python.exists():
        raise SystemExit(f"{python} does not exist; run `make setup`")
    if Path(sys.prefix) != ROOT / name:
        os.execv(python, [str(python), *sys.argv])
    # Asked to end, a benchmark ends what it started and removes its home, as after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def parser(description: str | None, *, megabytes: float | None = None) -> argparse.ArgumentParser:
    """A command line with the options that benchmarks have in common."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    if megabytes is not None:
        made.add_argument(
            "--megabytes", type=float, default=megabytes, help="raw size of the input, in 10**6 bytes (%(default)s)"
        )
    return made


def machine() -> dict[str, Any]:
    """What the figures were measured on; cores are those that this process may use."""
    import psutil

    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "processor": _processor(),
        "cores": len(affinity(0)) if affinity else os.cpu_count() or 1,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
        # Figures taken while others use the machine are no figures: the reader may judge.
        "load_before": round(os.getloadavg()[0], 1),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if platform.system() == "Darwin":
        asked = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False
        )
        return asked.stdout.strip() or platform.machine()
    return platform.machine()


def show(results: Mapping[str, Any], tables: Sequence[str], *, as_json: bool) -> None:
    """Print results: as JSON, or the machine and the tables."""
    if as_json:
        print(json.dumps(results, indent=2))
        return
    facts = results["machine"]
    print(
        f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gib']} GiB, {facts['system']}, "
        f"Python {facts['python']}, load before {facts['load_before']}\n"
    )
    print("\n\n".join(tables))


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table whose source is aligned too: texts to the left, numbers to the right, ``-`` for None."""
    shown = [[_cell(value) for value in row] for row in rows]
    numeric = [all(isinstance(row[i], int | float | None) for row in rows) for i in range(len(columns))]
    widths = [max(3, len(name), *(len(row[i]) for row in shown)) for i, name in enumerate(columns)]

    def line(cells: Sequence[str]) -> str:
        fitted = (c.rjust(w) if right else c.ljust(w) for c, w, right in zip(cells, widths, numeric, strict=True))
        return f"| {' | '.join(fitted)} |"

    ruler = "|".join("-" * (w + 1) + (":" if right else "-") for w, right in zip(widths, numeric, strict=True))
    return "\n".join([line(columns), f"|{ruler}|", *(line(row) for row in shown)])


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) < 10 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def write_between(page: Path, begin: str, end: str, content: str) -> None:
    """Put ``content`` between two marks of a page, each a line of its own."""
    before, found, rest = page.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"{page} lacks the lines {begin!r} and {end!r}, between which the results belong")
    page.write_text(f"{before}{begin}\n\n{content}\n\n{end}{after}")


def mebibytes(size: float) -> float:
    """Bytes as MiB."""
    return size / _MEBIBYTE


@contextlib.contextmanager
def temporary_home() -> Iterator[Path]:
    """An empty home that is removed afterwards; for the whole process, before settings are first read.

    The pinned jars are those of the checkout's own home.
    """
    jars = Path(os.environ.get("GOLDMILL_HOME", ROOT / ".goldmill")) / "jars"
    with tempfile.TemporaryDirectory(prefix="goldmill-bench-") as directory:
        os.environ["GOLDMILL_HOME"] = directory
        os.environ["GOLDMILL_SPARK__JARS_DIR"] = str(jars)
        yield Path(directory)


def land_default_input(landing: Path, megabytes: float) -> int:
    """Land the input of the demo; returns its size in bytes as it lies there, compressed where it is."""
    from goldmill.demo.input import land_default_input as land

    environments = [ROOT / AIRFLOW_ENVIRONMENT, ROOT / SPARK_ENVIRONMENT]
    land(str(landing), environments, landing.parent / f"{landing.name}.json", megabytes)
    return size_of(landing)


def size_of(landing: Path) -> int:
    """Bytes of all files below a directory."""
    return sum(path.stat().st_size for path in landing.rglob("*") if path.is_file())


def run_stages(landing: Path, *, master: str | None = None, partitions: int | None = None) -> dict[str, Any]:
    """Results of ``bench/stages.py`` over a landing area, in a process and a home of its own.

    Raises:
        SystemExit: the build has failed before its end; says why.
    """
    command = [sys.executable, str(ROOT / "bench" / "stages.py"), "--json", "--landing", str(landing)]
    if master is not None:
        command += ["--master", master]
    if partitions is not None:
        command += ["--partitions", str(partitions)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            output, _ = process.communicate()
        except BaseException:
            process.terminate()
            raise
    try:
        return dict(json.loads(output))
    except ValueError:
        raise SystemExit(f"{' '.join(command)} ended with code {process.returncode} and without results") from None
