"""`make demo`: start Airflow, land input, watch the DAGs build a version, show what came out.

Exit codes: 0 where a version was published, or nothing was new and one exists; 1 on a failure; 130 when interrupted
before that.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from rich.console import Console

from goldmill.demo.input import DEFAULT_MEGABYTES, land_default_input, land_own_input
from goldmill.demo.processes import Airflow, DemoError
from goldmill.demo.progress import BUILD_DAG, AirflowApi, BuildProgress, ProgressView, Watcher
from goldmill.demo.summary import (
    build_summary,
    build_table,
    failure_reasons,
    removals_table,
    version_summary,
    write_summary,
)
from goldmill.errors import GoldmillError
from goldmill.landing.objects import LandingError
from goldmill.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_POLL_SECONDS = 1.0
# Arrivals are noticed within seconds. Objects that a failed build gave back arrive no more: after this time without
# a run the demo starts one for them.
_TRIGGER_SECONDS = 20.0
BUNDLE = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Outcome:
    """How watching ended: the builds that ended since the start, of which the last one counts."""

    ended: list[BuildProgress]

    @property
    def failed(self) -> BuildProgress | None:
        """The last build, where it failed."""
        return self.ended[-1] if self.ended and self.ended[-1].has_failed else None


class Demo:
    """One run of the demo in one home."""

    def __init__(self, console: Console, settings: Settings) -> None:
        self._console = console
        self._settings = settings
        self._home = Path(settings.home)
        self._started = time.monotonic()
        self._facts: dict[str, Any] = {}

    def run(self, own_input: str | None, megabytes: float, *, leave: bool) -> int:
        """Run it and return the exit code; ``leave`` ends after the build instead of waiting for Ctrl-C."""
        say = self._console.print
        with Airflow(self._home, BUNDLE / "dags", BUNDLE / "plugins", service_environment(self._settings)) as airflow:
            airflow.start("api-server", "dag-processor", "triggerer")
            # Input first, then the scheduler: what is landed together is built together.
            say(f"[dim]Airflow starts (logs in {airflow.logs}); meanwhile input is landed ...[/dim]", highlight=False)
            began = time.monotonic()
            landed = self._land(own_input, megabytes)
            say(
                f"Landed {landed:,} new objects in {self._settings.places.landing_uri} "
                f"({time.monotonic() - began:.1f} s)",
                highlight=False,
            )
            airflow.start("scheduler")
            airflow.wait_until_ready()
            self._facts["ready_seconds"] = round(time.monotonic() - self._started, 1)
            say(f"Airflow is ready after {self._facts['ready_seconds']} s: {airflow.url}", highlight=False)
            api = AirflowApi(airflow.url)
            try:
                return self._watch(airflow, api, leave=leave)
            finally:
                api.close()

    def _watch(self, airflow: Airflow, api: AirflowApi, *, leave: bool) -> int:
        watcher = Watcher(api, self._settings.places.work_uri)
        code = 0
        known = -1
        with ProgressView(self._console) as view:
            while True:
                outcome = self._until_idle(airflow, api, watcher, view)
                if len(outcome.ended) != known:
                    known = len(outcome.ended)
                    code = self._report(outcome, airflow)
                    if leave:
                        return code
                    self._console.print("Drop files into the landing area to build more. Ctrl-C stops everything.")
                # Idle now: look again for arrivals, less often.
                time.sleep(2 * _POLL_SECONDS)

    def _until_idle(self, airflow: Airflow, api: AirflowApi, watcher: Watcher, view: ProgressView) -> Outcome:
        """Watch until no build is active and nothing waits to be built, or a build has failed."""
        since, triggered = time.monotonic(), False
        while True:
            airflow.check()
            builds = self._poll(watcher)
            if builds is None:
                time.sleep(_POLL_SECONDS)
                continue
            ended = [build for build in builds if not build.is_active and not build.had_nothing_to_build]
            active = [build for build in builds if build.is_active]
            unknown, recorded = self._waiting() if not active else (0, 0)
            view.show(builds, f"{unknown} objects have arrived, {recorded} wait for a build")
            if not active and ((unknown, recorded) == (0, 0) or Outcome(ended).failed):
                return Outcome(ended)
            if active or unknown:
                since = time.monotonic()
            elif recorded and not triggered and time.monotonic() - since > _TRIGGER_SECONDS:
                api.post(f"/dags/{BUILD_DAG}/dagRuns", {"logical_date": None})
                triggered = True
            self._check_dags(watcher, bool(builds))
            time.sleep(_POLL_SECONDS)

    def _poll(self, watcher: Watcher) -> list[BuildProgress] | None:
        """The builds; None where Airflow is too busy to answer, or has not read the DAG yet."""
        try:
            return watcher.poll()
        except httpx.TransportError:
            return None
        except DemoError:
            self._check_dags(watcher, known=False)
            if time.monotonic() - self._started > 600:
                raise
            return None

    def _check_dags(self, watcher: Watcher, known: bool) -> None:
        if not known:
            errors = watcher.import_errors()
            if errors:
                raise DemoError("DAG files cannot be read:\n" + "\n".join(errors))

    def _waiting(self) -> tuple[int, int]:
        """Objects in the landing area that the ledger does not know, and those that no build has taken."""
        from goldmill.arrivals import unknown_objects
        from goldmill.ledger import open_ledger
        from goldmill.ledger.protocol import State
        from goldmill.recipe import load_recipe

        sources = load_recipe("default").claimed_sources
        recorded = sum(
            count.objects
            for count in open_ledger(self._settings).summary()
            if count.state == State.RECORDED and (sources is None or count.source in sources)
        )
        return len(unknown_objects()), recorded

    def _report(self, outcome: Outcome, airflow: Airflow) -> int:
        """Write the summary, show it, and return the exit code."""
        from goldmill.build import versions
        from goldmill.recipe import load_recipe

        known = versions(self._settings, load_recipe("default").corpus)
        current = known.current()
        manifest = known.get(current) if current else None
        builds = [build_summary(self._settings, build.build_id) for build in outcome.ended]
        published = any(not build.has_failed for build in outcome.ended)
        failed = outcome.failed
        failures = self._failures(failed, airflow) if failed else []
        links = {
            "airflow": airflow.url,
            "data_docs": (Path(self._settings.places.data_docs_uri.removeprefix("file://")) / "index.html").as_uri(),
            "lineage": self._settings.lineage.events_path,
        }
        latest = builds[-1] if builds else build_summary(self._settings, manifest.build_id) if manifest else None
        summary = {
            **self._facts,
            **(latest or {}),
            **version_summary(manifest),
            "published": published,
            "builds": builds,
            "failures": failures,
            "links": links,
            "seconds": round(time.monotonic() - self._started, 1),
        }
        write_summary(self._home / "summary.json", summary)
        self._show(summary, builds or ([latest] if latest else []), nothing_new=not outcome.ended)
        return 0 if not failed and manifest is not None else 1

    def _failures(self, build: BuildProgress, airflow: Airflow) -> list[dict[str, Any]]:
        failures = []
        for task in build.tasks:
            if task.state == "failed":
                log = (
                    airflow.task_logs
                    / f"dag_id={BUILD_DAG}"
                    / f"run_id={build.run_id}"
                    / f"task_id={task.task}"
                    / f"attempt={task.attempt}.log"
                )
                failures.append({"task": task.task, "reasons": failure_reasons(log), "log": str(log)})
        return failures

    def _show(self, summary: dict[str, Any], builds: list[dict[str, Any]], *, nothing_new: bool) -> None:
        say: Callable[..., None] = self._console.print
        for build in builds:
            say(build_table(build))
            removals = removals_table(build)
            if removals is not None:
                say(removals)
        for failure in summary["failures"]:
            say(f"[red]Task {failure['task']} failed.[/red] Its log: {failure['log']}", highlight=False)
            for reason in failure["reasons"]:
                say(f"    {reason}", highlight=False, markup=False)
        if summary["failures"]:
            say("[red]No version was published by the last build.[/red]")
        elif summary["version"]:
            state = "Nothing new to build; the published version is" if nothing_new else "Published version"
            say(f"[green]{state} {summary['version']}[/green] (digest {summary['digest']})", highlight=False)
            if summary["documents"] is not None:
                say(
                    f"  {summary['documents']:,} documents, {summary['tokens'] or 0:,} tokens, "
                    f"{summary['sequences'] or 0:,} sequences, "
                    f"{len(summary['quarantined_objects'])} objects in quarantine",
                    highlight=False,
                )
        else:
            say("[red]No version was published: nothing was built.[/red]")
        for name, link in summary["links"].items():
            say(f"  {name:<10} {link}", highlight=False, soft_wrap=True)
        say(f"  {'summary':<10} {self._home / 'summary.json'}", highlight=False, soft_wrap=True)

    def _land(self, own_input: str | None, megabytes: float) -> int:
        landing = self._settings.places.landing_uri
        if own_input is not None:
            return land_own_input(own_input, landing)
        environments = [BUNDLE / ".venv", BUNDLE / ".venv-spark"]
        return land_default_input(landing, environments, self._home / "demo_input.json", megabytes)


def service_environment(settings: Settings) -> dict[str, str]:
    """What Airflow's services inherit: where Goldmill's home is, and where lineage goes."""
    lineage = settings.lineage
    environment = {**os.environ, "GOLDMILL_HOME": settings.home, "GOLDMILL_PROFILE": settings.profile}
    environment["AIRFLOW__OPENLINEAGE__NAMESPACE"] = lineage.namespace
    if lineage.events_path is not None:
        Path(lineage.events_path).parent.mkdir(parents=True, exist_ok=True)
        transport = {"type": "file", "log_file_path": lineage.events_path, "append": True}
        environment["AIRFLOW__OPENLINEAGE__TRANSPORT"] = json.dumps(transport)
    return environment


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # A second signal must not cut the clean-up short.
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description="Start Airflow here, land input, build a corpus version.")
    parser.add_argument("--input", help="directory, file or URI to build instead of the default input")
    parser.add_argument("--exit", action="store_true", help="end after the build; 0 only if a version is published")
    parser.add_argument(
        "--megabytes", type=float, default=DEFAULT_MEGABYTES, help="raw size of the default input (default %(default)s)"
    )
    arguments = parser.parse_args()
    console = Console()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, _interrupt)
    code = 1
    try:
        code = Demo(console, Settings.load()).run(arguments.input, arguments.megabytes, leave=arguments.exit)
    except KeyboardInterrupt:
        console.print("Everything is stopped.")
        code = 130
    except (GoldmillError, LandingError) as error:
        console.print(f"[red]The demo cannot go on:[/red] {type(error).__name__}", highlight=False)
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
