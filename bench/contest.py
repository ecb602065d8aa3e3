"""Ours against the public toolkits, stage by stage: the same documents, the same cores, the same run.

Each contestant gets two worker processes (or one that uses two cores itself). Their documents are in memory, models are
loaded and one batch is done before the clock starts; it ends with the last worker. The contestants take turns, and the
median of the turns counts. A contestant that ends without a row is an error, not a figure.

A run over the whole corpus is recorded: in bench/results.json, and from there in docs/benchmarks.md. One with
--megabytes or --against is not.

  MB/s/core    UTF-8 bytes of the documents, in 10**6, by wall seconds and core
  CPU          the same by processor seconds, which other load on the machine does not change as much
  peak MiB     largest resident memory of all processes of the contestant together, while it is on the clock
  ratio        ours by the peer's, of the wall
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import corpora
from common import ROOT, SPARK_ENVIRONMENT, machine, mebibytes, show, table, use_environment
from contests import CORES, contest, stages

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

RESULTS = ROOT / "bench" / "results.json"
PAGE = ROOT / "docs" / "benchmarks.md"
_BEGIN, _END = "<!-- contests: written by `make bench` -->", "<!-- end of contests -->"
_THREAD_LIMITS = ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


class ContestError(RuntimeError):
    """A contestant failed or had nothing to show; the message ends with what it said."""


@dataclass
class Turns:
    """All turns of one contestant."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak_bytes: list[int] = field(default_factory=list)
    # Of the last turn.
    workers: list[dict[str, Any]] = field(default_factory=list)


def main() -> int:
    """Parse the command line, hold the contests, show and record."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", action="store_true", help="print the results as JSON instead of a table")
    made.add_argument("--only", metavar="STAGE", action="append", choices=stages(), help=f"of {', '.join(stages())}")
    made.add_argument("--against", metavar="PEER", action="append", help="hold the contest with these peers alone")
    made.add_argument("--megabytes", type=float, help="the first documents of the corpus, in 10**6 bytes (all)")
    made.add_argument("--repeat", type=int, default=3, help="turns of each contestant (%(default)s)")
    given = made.parse_args()
    use_environment(SPARK_ENVIRONMENT)
    facts = machine()
    results, failed = [], False
    for stage in given.only or stages():
        module = contest(stage)
        corpora.build()
        for megabytes in [given.megabytes] if given.megabytes else getattr(module, "SIZES", [None]):
            try:
                held = _results(module, hold(module, megabytes, given.repeat, given.against), megabytes, facts)
            except ContestError as error:
                print(error, file=sys.stderr)
                failed = True
                continue
            results += held
            if not given.megabytes and not given.against:
                _record(held)
    show({"machine": facts, "results": results}, [_table(results)], as_json=given.json)
    return 1 if failed else 0


def hold(
    module: ModuleType, megabytes: float | None, repeat: int, against: Sequence[str] | None = None
) -> dict[str, Turns]:
    """The turns of each contestant, ours first."""
    ours, *peers = module.CONTESTANTS
    turns = {name: Turns() for name in [ours, *(peer for peer in peers if not against or peer in against)]}
    for _ in range(repeat):
        for name, done in turns.items():
            _take_turn(module, name, megabytes, done)
            print(f"{module.STAGE}: {name} {done.wall[-1]:.1f} s", file=sys.stderr)
    return turns


def _take_turn(module: ModuleType, name: str, megabytes: float | None, turns: Turns) -> None:
    contestant = module.CONTESTANTS[name]
    python = ROOT / contestant.environment / "bin" / "python"
    if not python.exists():
        raise ContestError(f"{python} does not exist; run `make setup` and `scripts/bootstrap --peers`")
    script = ROOT / "bench" / "contest_worker.py"
    threads = str(CORES // contestant.workers)
    environment = os.environ | dict.fromkeys(_THREAD_LIMITS, threads)
    with tempfile.TemporaryFile() as log:
        processes = [
            subprocess.Popen(
                [python, script, module.STAGE, name, str(worker), str(megabytes or "")],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
            for worker in range(contestant.workers)
        ]
        try:
            ready = [_line(process) for process in processes]
            if ready == ["ready\n"] * len(processes):
                with _Watch([process.pid for process in processes]) as watch:
                    started = time.monotonic()
                    for process in processes:
                        _go(process)
                    lines = [_line(process) for process in processes]
            if ready != ["ready\n"] * len(processes) or not all(lines):
                log.seek(0)
                said = log.read().decode(errors="replace").splitlines()[-40:]
                raise ContestError("\n".join([f"{module.STAGE}: {name} failed:", *said]))
        finally:
            for process in processes:
                process.terminate()
                process.communicate()
    turns.workers = [json.loads(line) for line in lines]
    if not all(worker["result"].get("rows") for worker in turns.workers):
        raise ContestError(f"{module.STAGE}: a worker of {name} ended without a row: {turns.workers}")
    turns.wall.append(max(worker["ended"] for worker in turns.workers) - started)
    turns.cpu.append(sum(worker["cpu_seconds"] for worker in turns.workers) + watch.cpu_of_children)
    turns.peak_bytes.append(watch.peak)


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def _go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


class _Watch:
    """Samples the resident memory of processes and all that they start, and the processor seconds of the latter."""

    def __init__(self, pids: Sequence[int]) -> None:
        self.peak = 0
        self._cpu: dict[tuple[int, float], float] = {}
        self._pids = pids
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def cpu_of_children(self) -> float:
        """Processor seconds of every process that was seen below the watched ones, as last seen."""
        return sum(self._cpu.values())

    def _watch(self) -> None:
        import psutil

        over = False
        while not over:
            used = 0
            for pid in self._pids:
                try:
                    root = psutil.Process(pid)
                    tree = [root, *root.children(recursive=True)]
                except psutil.NoSuchProcess:
                    continue
                for process in tree:
                    try:
                        used += process.memory_info().rss
                        if process.pid != pid:
                            times = process.cpu_times()
                            self._cpu[process.pid, process.create_time()] = times.user + times.system
                    except psutil.NoSuchProcess:
                        continue
            self.peak = max(self.peak, used)
            over = self._over.wait(0.2)


def _results(
    module: ModuleType, turns: dict[str, Turns], megabytes: float | None, facts: dict[str, Any]
) -> list[dict[str, Any]]:
    """One entry a peer, as bench/results.json has them."""
    judge = getattr(module, "judge", None)
    quality = judge({n: [w["result"] for w in t.workers] for n, t in turns.items()}) if judge else {}
    figures = {name: _figures(done) | {"quality": quality.get(name, {})} for name, done in turns.items()}
    ours, *peers = turns
    entries = []
    for peer in peers or [None]:
        entry: dict[str, Any] = {"stage": module.STAGE, "corpus": module.CORPUS, "unit": module.UNIT, "ours": ours}
        entry |= {f"ours_{key}": value for key, value in figures[ours].items()}
        if peer is not None:
            bar = module.BARS.get(f"{peer}@{megabytes:g}" if megabytes else peer, module.BARS.get(peer))
            ratio = figures[peer]["mb_s"] and figures[ours]["mb_s"] / figures[peer]["mb_s"]
            entry |= {"peer": peer, **{f"peer_{key}": value for key, value in figures[peer].items()}}
            entry |= {"ratio": ratio, "ratio_cpu": figures[ours]["cpu_mb_s"] / figures[peer]["cpu_mb_s"]}
            entry |= {"bar": bar, "met": None if bar is None else ratio >= bar}
        size = sum(worker["bytes"] for worker in turns[ours].workers)
        entry |= {
            "megabytes": round(size / 1e6, 1),
            "asked_megabytes": megabytes,
            "seed": corpora.SEED,
            "machine": facts,
        }
        entries.append(entry)
    return entries


def _figures(turns: Turns) -> dict[str, Any]:
    size = sum(worker["bytes"] for worker in turns.workers) / 1e6
    documents = sum(worker["documents"] for worker in turns.workers)
    wall, cpu = statistics.median(turns.wall), statistics.median(turns.cpu)
    return {
        "mb_s": size / wall / CORES,
        "cpu_mb_s": size / cpu,
        "docs_s": documents / wall / CORES,
        "seconds": turns.wall,
        "peak_mib": round(mebibytes(statistics.median(turns.peak_bytes))),
        "versions": turns.workers[0]["versions"],
    }


def _record(results: list[dict[str, Any]]) -> None:
    """Put the results in the place of those of the same contests, and the table of all into the page."""
    held = {(entry["stage"], entry["asked_megabytes"]) for entry in results}
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    kept = [entry for entry in kept if (entry["stage"], entry["asked_megabytes"]) not in held]
    every = sorted([*kept, *results], key=lambda entry: (entry["stage"], entry["megabytes"]))
    RESULTS.write_text(json.dumps(every, indent=1) + "\n")
    before, begin, rest = PAGE.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise SystemExit(f"{PAGE} lacks the lines {_BEGIN!r} and {_END!r}, between which the table belongs")
    PAGE.write_text(f"{before}{_BEGIN}\n\n{_page(every)}\n\n{_END}{after}")


def _page(results: list[dict[str, Any]]) -> str:
    versions: dict[str, str] = {}
    for entry in results:
        versions |= entry["ours_versions"] | entry.get("peer_versions", {})
    facts = sorted(
        {f"{m['processor']}, {m['cores']} cores, {m['memory_gib']} GiB, {m['system']}" for m in _machines(results)}
    )
    loads = sorted(m["load_before"] for m in _machines(results))
    listed = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return "\n".join(
        [
            _table(results),
            "",
            f"Machine: {'; '.join(facts)}; load before {loads[0]} to {loads[-1]}.",
            f"Versions: {listed}.",
            f"Corpora: `bench/corpora.py`, seed {corpora.SEED}.",
        ]
    )


def _machines(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry["machine"] for entry in results]


def _table(results: list[dict[str, Any]]) -> str:
    columns = (
        "stage",
        "MB",
        "contestant",
        "MB/s/core",
        "CPU",
        "docs/s/core",
        "peak MiB",
        "ratio",
        "bar",
        "met",
        "quality",
    )
    rows: list[tuple[Any, ...]] = []
    shown: set[tuple[str, float]] = set()
    for entry in results:
        if (entry["stage"], entry["megabytes"]) not in shown:
            shown.add((entry["stage"], entry["megabytes"]))
            rows.append((*_row(entry, "ours"), None, None, "", _quality(entry["ours_quality"])))
        if "peer" in entry:
            met = {None: "", True: "yes", False: "no"}[entry["met"]]
            rows.append((*_row(entry, "peer"), entry["ratio"], entry["bar"], met, _quality(entry["peer_quality"])))
    return table(columns, rows)


def _row(entry: dict[str, Any], who: str) -> tuple[Any, ...]:
    figures = (entry[f"{who}_{key}"] for key in ("mb_s", "cpu_mb_s", "docs_s", "peak_mib"))
    return (entry["stage"], entry["megabytes"], entry[who], *figures)


def _quality(figures: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in figures.items()
    )


if __name__ == "__main__":
    sys.exit(main())
