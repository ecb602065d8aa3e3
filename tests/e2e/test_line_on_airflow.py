"""The line as a user runs it: Airflow notices, builds, gates and publishes; and what happens when things die.

The tests run in order on one Airflow: each builds on the versions that the one before has published.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from airflow_line import STAGES, Line

from goldmill.demo.progress import BUILD_DAG
from goldmill.lake.tables import DOCUMENTS, REMOVALS
from goldmill.ledger.protocol import State

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def first_run(line: Line) -> str:
    """The run that the first arrivals have started."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        for run in line.runs():
            if line.tasks(run["dag_run_id"])["claim_objects"]["state"] in {"running", "success"}:
                return str(run["dag_run_id"])
        time.sleep(1)
    pytest.fail("no build has started two minutes after objects arrived")


def test_what_arrives_is_built_audited_and_published(line: Line) -> None:
    """From the landing area to a version, without anybody doing anything."""
    run_id = first_run(line)

    assert line.wait(run_id) == "success", line.states(run_id)

    manifest = line.versions.get(str(line.versions.current()))
    assert manifest.build_id == line.build_id(run_id)
    assert manifest.parent is None
    assert all(gate["passed"] for gate in manifest.gates.values())
    refine = line.report(run_id, "refine")
    assert refine.rows_in >= 46
    assert refine.quarantined >= 1
    assert refine.rows_in == refine.rows_out + refine.removed + refine.quarantined
    assert [item["object_key"] for item in manifest.quarantined] == ["stdlib/cut.jsonl.gz"]
    assert line.report(run_id, "deduplicate").removed_by_rule.get("exact", 0) >= 3
    for export in manifest.exports:
        assert Path(export["uri"]).stat().st_size == export["size_bytes"]
    states = {(count.source, count.state): count.objects for count in line.ledger.summary()}
    assert states == {
        ("stdlib", State.SETTLED): 40,
        ("vendored", State.SETTLED): 5,
        ("stdlib", State.QUARANTINED): 1,
    }
    assert line.ledger.claims() == []
    assert line.ledger.turn_holder("corpus") is None
    assert line.versions.heads(f"build_{manifest.build_id}") == {}, "the branch is gone once it is published"
    assert Path(line.settings.places.data_docs_uri, "index.html").exists()


def test_every_removed_row_can_be_explained(line: Line) -> None:
    """``why`` names the rule, the score and the document that was kept."""
    rows = line.versions.why("vendored/argparse.py") + line.versions.why("stdlib/argparse.py")

    (removed,) = [row for row in rows if row["status"] == "removed"]
    (kept,) = [row for row in rows if row["status"] == "kept"]
    assert removed["rule"] == "exact"
    assert removed["matched"]["document_id"] == kept["document_id"]
    assert removed["matched"]["object_key"] == kept["object_key"]


def test_lineage_joins_airflow_and_spark_and_names_columns(line: Line) -> None:
    """Runs of Spark have the Airflow task as parent; columns are followed from the landing area to the tokens."""
    events = line.events()
    task_runs = {
        event["run"]["runId"] for event in events if event["job"]["name"] == f"{BUILD_DAG}.deduplicate_documents"
    }
    applications = [
        event["run"]["facets"]["parent"]
        for event in events
        if event["job"]["name"].endswith(".deduplicate.kernels") and "parent" in event["run"]["facets"]
    ]
    assert applications
    assert {parent["run"]["runId"] for parent in applications} <= task_runs
    listener_parents = {
        event["run"]["facets"]["parent"]["root"]["job"]["name"]
        for event in events
        if event["job"]["name"].startswith("corpus_deduplicate")
        and event["run"]["facets"].get("parent", {}).get("root")
    }
    assert BUILD_DAG in listener_parents

    fields: dict[tuple[str, str], set[str]] = {}
    for event in events:
        for output in event["outputs"]:
            table = output["name"].rsplit("/", 1)[-1]
            for column, lineage in output["facets"].get("columnLineage", {}).get("fields", {}).items():
                inputs = {f"{i['name'].rsplit('/', 1)[-1]}.{i['field']}" for i in lineage["inputFields"]}
                fields.setdefault((table, column), set()).update(inputs)
    assert "landing.payload" in fields["documents", "text"]
    assert "documents.text" in fields["signatures", "bands"]
    assert "documents.text" in fields["sequences", "token_ids"]
    # What is a plain projection the Spark listener follows by itself.
    assert any(field.endswith(".object_key") for field in fields["removals", "object_key"])
    versions = [
        output["outputFacets"]["goldmill_version"]["version"]
        for event in events
        for output in event["outputs"]
        if "goldmill_version" in output.get("outputFacets", {})
    ]
    assert set(versions) == {line.versions.current()}


def test_a_driver_killed_in_each_stage_changes_nothing(line: Line) -> None:
    """SIGKILL of the Spark driver in every stage: the retries end with the digest of the undisturbed build."""
    undisturbed = str(line.versions.current())
    killed: dict[str, float] = {}

    def kill_once_in_each_stage() -> None:
        for job in STAGES.values():
            if job in killed:
                continue
            for driver in line.spark_drivers(job):
                # Late enough to be in the middle of the work: the session alone takes seconds.
                if time.time() - driver.create_time() > 8:
                    _kill(driver)
                    killed[job] = time.time()

    run_id = line.trigger(rebuild_from=undisturbed)
    state = line.wait(run_id, meanwhile=kill_once_in_each_stage)

    assert set(killed) == set(STAGES.values()), f"only {killed} were killed"
    assert state == "success", line.states(run_id)
    tries = {job: line.tasks(run_id)[job]["try_number"] for job in STAGES.values()}
    assert all(number >= 2 for number in tries.values()), tries
    assert line.versions.tags() == [undisturbed], "the same content is the same version"
    for stage in STAGES:
        again = line.report(run_id, stage)
        assert again.digest == line.versions.get(undisturbed).reports[stage]["digest"]
    _assert_no_row_twice(line)
    assert line.ledger.claims() == []
    assert line.versions.heads(f"build_{line.build_id(run_id)}") == {}


def test_two_builds_at_once_take_different_objects_and_both_publish(line: Line) -> None:
    """Disjoint claims; the one that comes second sees what the first has published."""
    line.api.patch(f"/dags/{BUILD_DAG}", {"is_paused": True})
    x, y, z = (
        Path(json.__file__).parents[1].joinpath(f"{name}.py").read_text() for name in ("pathlib", "tarfile", "uuid")
    )
    line.land({"left/x.py": x, "left/z.py": z, "right/y.py": y, "right/z.py": z})
    _wait_until_recorded(line, 4)
    runs = [line.trigger(sources=["left"]), line.trigger(sources=["right"])]
    line.api.patch(f"/dags/{BUILD_DAG}", {"is_paused": False})

    states = {run_id: line.wait(run_id) for run_id in runs}

    assert set(states.values()) == {"success"}, {run_id: line.states(run_id) for run_id in runs}
    refined = [line.report(run_id, "refine").by_source for run_id in runs]
    assert [set(sources) for sources in refined] == [{"left"}, {"right"}]
    started = sorted(
        (line.tasks(r)["refine_documents"]["start_date"], line.tasks(r)["refine_documents"]["end_date"]) for r in runs
    )
    assert started[1][0] < started[0][1], "the two builds did not run at the same time"
    newest = line.versions.history(str(line.versions.current()))
    assert {manifest.build_id for manifest in newest[:2]} == {line.build_id(run_id) for run_id in runs}
    assert newest[0].parent == newest[1].version
    removed = sum(line.report(run_id, "deduplicate").removed for run_id in runs)
    assert removed == 1, "z.py arrived in both builds: it stays once, whichever build came first"
    _assert_no_row_twice(line)
    assert line.ledger.claims() == []


def test_a_failed_gate_makes_the_run_red_and_leaves_nothing_behind(line: Line) -> None:
    """A gate that cannot be satisfied: the run fails, nothing is published, branch and claim are returned."""
    before = line.versions.current()
    recipe = Path(line.settings.home) / "strict.yaml"
    recipe.write_text("name: strict\ngates:\n  min_text_bytes: 10000000\n")
    line.api.patch(f"/dags/{BUILD_DAG}", {"is_paused": True})
    line.land({"late/a.py": Path(line.settings.places.landing_uri, "stdlib/ast.py").read_text() + "\n# later\n"})
    _wait_until_recorded(line, 1)
    run_id = line.trigger(recipe=str(recipe), sources=["late"])
    line.api.patch(f"/dags/{BUILD_DAG}", {"is_paused": False})

    assert line.wait(run_id) == "failed"

    states = line.states(run_id)
    assert states["refine_documents"] == "success"
    assert states["gate_refine"] == "failed"
    assert states["publish_version"] == "upstream_failed"
    assert states["abandon_build"] == "success"
    assert line.versions.current() == before
    assert line.versions.heads(f"build_{line.build_id(run_id)}") == {}
    logs = [path.read_text() for path in line.airflow.task_logs.rglob("*.log") if run_id in str(path)]
    assert any("min_text_bytes" in log or "10000000" in log for log in logs), "the log must say what was required"
    assert line.ledger.claims() == []


def test_a_recipe_that_names_no_tokenizer_file_is_refused_before_anything_is_claimed(line: Line) -> None:
    """The error names the field and the path; there is no retry."""
    recipe = Path(line.settings.home) / "missing.yaml"
    recipe.write_text("name: missing\ntokenizer:\n  path: /nowhere/tokenizer.json\n")

    run_id = line.trigger(recipe=str(recipe))

    assert line.wait(run_id) == "failed"
    claim = line.tasks(run_id)["claim_objects"]
    assert (claim["state"], claim["try_number"]) == ("failed", 1)
    logs = [path.read_text() for path in line.airflow.task_logs.rglob("*claim_objects*/*.log") if run_id in str(path)]
    assert any("tokenizer.path" in log and "/nowhere/tokenizer.json" in log for log in logs)
    assert line.ledger.claims() == []


def _kill(driver: psutil.Process) -> None:
    driver.kill()
    driver.wait(10)


def _wait_until_recorded(line: Line, objects: int) -> None:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        if sum(count.objects for count in line.ledger.summary() if count.state == State.RECORDED) == objects:
            return
        time.sleep(1)
    pytest.fail(f"{objects} objects were not recorded: {line.ledger.summary()}")


def _assert_no_row_twice(line: Line) -> None:
    from goldmill.lake.catalog import load_tables, open_catalog

    tables = load_tables(open_catalog(line.settings.catalog), "corpus")
    for table, columns in ((DOCUMENTS, ("document_id",)), (REMOVALS, ("document_id", "stage", "rule"))):
        rows: list[Any] = tables[table].scan(selected_fields=columns).to_arrow().to_pylist()
        keys = [tuple(row.values()) for row in rows]
        assert len(keys) == len(set(keys)), f"{table.name} has a row twice"
