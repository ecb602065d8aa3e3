"""What the demo made, as a file for programs (``.goldmill/summary.json``) and as a table for people.

Every number comes from what the build left behind: the reports of its stages, the results of its gates, the manifest
of the version. Nothing is counted here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from goldmill.gates.result import GateResult
from goldmill.report import StageReport
from goldmill.spec import STAGES
from goldmill.storage import exists, write_text

if TYPE_CHECKING:
    from goldmill.lake.versions import VersionManifest
    from goldmill.settings import Settings

_LOG_RECORDS = 400
_REASONS = 6
_REASON_LENGTH = 2000


def build_summary(settings: Settings, build_id: str) -> dict[str, Any]:
    """Stages and gates of one build, published or not.

    Returns:
        ``build_id``; ``stages`` and ``gates`` by stage, for those that have ended; ``rows`` (in, out, removed,
        quarantined) over the whole build; ``documents``, ``tokens``, ``sequences`` (None before they are known);
        ``seconds_by_stage``; ``peak_rss_bytes`` (largest of the Spark jobs).
    """
    stages, gates = {}, {}
    for stage in STAGES:
        work = settings.places.stage_uri(build_id, stage)
        if exists(f"{work}/report.json"):
            stages[stage] = StageReport.read(f"{work}/report.json")
        if exists(f"{work}/gate.json"):
            gates[stage] = GateResult.read(f"{work}/gate.json")
    refine, deduplicate, tokenize = (stages.get(stage) for stage in STAGES)
    last = deduplicate or refine
    return {
        "build_id": build_id,
        "stages": {
            stage: report.model_dump(
                mode="json", exclude={"stage", "build_id", "spec_hash", "snapshots", "code_revision"}
            )
            for stage, report in stages.items()
        },
        "gates": {
            stage: {
                "passed": gate.passed,
                "expectations": len(gate.expectations),
                "failed": [outcome.model_dump(mode="json") for outcome in gate.failures],
                "docs": gate.docs_uri,
            }
            for stage, gate in gates.items()
        },
        "rows": {
            "in": refine.rows_in if refine else None,
            "out": last.rows_out if last else None,
            "removed": sum(report.removed for report in stages.values()),
            "quarantined": sum(report.quarantined for report in stages.values()),
        },
        "documents": last.rows_out if last else None,
        "tokens": tokenize.metrics.get("tokens") if tokenize else None,
        "sequences": tokenize.metrics.get("sequences") if tokenize else None,
        "seconds_by_stage": {stage: report.seconds for stage, report in stages.items()},
        "peak_rss_bytes": max((report.peak_rss_bytes for report in stages.values()), default=0),
    }


def version_summary(manifest: VersionManifest | None) -> dict[str, Any]:
    """Name, digest and quarantined objects of a version; all None or empty where there is none."""
    return {
        "version": manifest.version if manifest else None,
        "digest": manifest.digest if manifest else None,
        "parent": manifest.parent if manifest else None,
        "quarantined_objects": manifest.quarantined if manifest else [],
        "exports": manifest.exports if manifest else [],
    }


def write_summary(path: Path, summary: dict[str, Any]) -> None:
    """Write the summary, whole or not at all."""
    write_text(str(path), json.dumps(summary, indent=2, sort_keys=True) + "\n")


def build_table(build: dict[str, Any]) -> Table:
    """Rows in, out, removed and quarantined, seconds, memory and gate by stage; then the removals by rule."""
    table = Table(title=f"build {build['build_id']}", title_justify="left")
    table.add_column("stage")
    for column in ("rows in", "out", "removed", "quarantined", "seconds", "peak memory"):
        table.add_column(column, justify="right")
    table.add_column("gate")
    for stage, report in build["stages"].items():
        gate = build["gates"].get(stage)
        verdict = "not judged" if gate is None else f"{gate['expectations']} expectations"
        if gate is not None:
            verdict += " passed" if gate["passed"] else f", {len(gate['failed'])} FAILED"
        table.add_row(
            stage,
            f"{report['rows_in']:,}",
            f"{report['rows_out']:,}",
            f"{sum(report['removed_by_rule'].values()):,}",
            f"{sum(report['quarantined_by_code'].values()):,}",
            f"{report['seconds']:.1f}",
            f"{report['peak_rss_bytes'] / 2**20:,.0f} MiB",
            verdict,
        )
    return table


def removals_table(build: dict[str, Any]) -> Table | None:
    """What removed or quarantined rows, most first; None where nothing did."""
    reasons = [
        (count, stage, rule, kind)
        for stage, report in build["stages"].items()
        for kind, counts in (("removed", report["removed_by_rule"]), ("quarantined", report["quarantined_by_code"]))
        for rule, count in counts.items()
        if count
    ]
    if not reasons:
        return None
    table = Table(title="why rows left", title_justify="left")
    for column in ("stage", "rule", ""):
        table.add_column(column)
    table.add_column("rows", justify="right")
    for count, stage, rule, kind in sorted(reasons, reverse=True):
        table.add_row(stage, rule, kind, f"{count:,}")
    return table


def failure_reasons(log: Path) -> list[str]:
    """The last errors in a task's log, newest last: messages, and exceptions as ``Type: text``.

    A job that Spark runs tells its error in its own output, which the log holds as plain information: its last lines
    come first.

    The log is Airflow's: one JSON object a line, here and there a line of plain text.
    """
    try:
        lines = log.read_text(errors="replace").splitlines()[-_LOG_RECORDS:]
    except OSError:
        return []
    reasons: list[str] = []
    output: list[str] = []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if not isinstance(record, dict):
            continue
        if str(record.get("logger", "")).endswith("SparkSubmitHook") and record.get("level") == "info":
            output.append(str(record.get("event", "")))
        if record.get("level") not in {"error", "critical"}:
            continue
        details = record.get("error_detail") or []
        raised = [f"{detail.get('exc_type')}: {str(detail.get('exc_value'))[:_REASON_LENGTH]}" for detail in details]
        reasons += raised or [str(record.get("event", ""))]
    # The same error is often told by several layers.
    told = list(dict.fromkeys(reason for reason in reasons if reason))[-_REASONS:]
    return [*(line for line in output[-_REASONS:] if not line.startswith("Spark-Submit cmd")), *told]
