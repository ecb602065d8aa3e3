"""What holds for every DAG, and the few edges whose loss would publish what nobody audited."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, TriggerRule

try:
    from airflow.serialization.serialized_objects import DagSerialization
except ImportError:  # its name in Airflow 3.1
    from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization

from goldmill.docs.dags import load_dags
from goldmill.gates.operator import GateOperator

BUNDLE = Path(__file__).resolve().parents[2]
DAG_FILES = sorted((BUNDLE / "dags").rglob("*_dag.py"))

# A new DAG or task is added here on purpose: an empty bag would pass every other test.
TASKS = {
    "corpus_arrivals": {"wait_for_arrivals", "record_arrivals"},
    "corpus_build": {
        "claim_objects", "refine_documents", "gate_refine", "wait_for_turn", "deduplicate_documents",
        "gate_deduplicate", "tokenize_corpus", "gate_tokenize", "publish_version", "settle_objects", "abandon_build",
    },
}  # fmt: skip
JOB_OF_GATE = {
    "gate_refine": "refine_documents",
    "gate_deduplicate": "deduplicate_documents",
    "gate_tokenize": "tokenize_corpus",
}
# They reach the metadata database, or cost every parse a second; DAG files import them inside of tasks.
BANNED_IN_DAGS = {
    "airflow.models", "airflow.settings", "airflow.utils.session", "airflow.decorators", "airflow.operators",
    "sqlalchemy", "pandas", "pyarrow", "pyiceberg", "pyspark", "great_expectations", "boto3", "botocore",
    "google.cloud",
}  # fmt: skip
CLOUD_SDKS = {"boto3", "botocore", "aiobotocore", "google.cloud", "azure"}
# Where a cloud's SDK may be imported: everything else speaks to a protocol.
CLOUD_PLACES = ("include/goldmill/platforms/", "include/goldmill/ledger/")


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    return load_dags(BUNDLE / "dags")


def test_the_bag_holds_the_named_dags_and_tasks(dags: dict[str, Any]) -> None:
    assert set(dags) == set(TASKS), "add the new DAG to TASKS in this file, or restore the missing one"
    for dag_id, dag in dags.items():
        assert set(dag.task_ids) == TASKS[dag_id], f"{dag_id}: add the new task to TASKS, or restore the missing one"


def test_each_file_holds_one_dag_and_the_folder_nothing_else(dags: dict[str, Any]) -> None:
    assert len(DAG_FILES) == len(dags)
    others = set((BUNDLE / "dags").rglob("*.py")) - set(DAG_FILES)
    assert not others, f"{others}: dags/ holds wiring only, one DAG a `*_dag.py`; move the rest to include/goldmill/"


def required_by(dag: Any, task_id: str) -> set[str]:
    """Tasks without whose success ``task_id`` cannot run.

    A task that runs whatever became of its upstream tasks requires none of them, so nothing is looked for behind it.
    """
    task = dag.get_task(task_id)
    if task.trigger_rule != TriggerRule.ALL_SUCCESS:
        return set()
    return set(task.upstream_task_ids).union(*(required_by(dag, upstream) for upstream in task.upstream_task_ids))


def test_nothing_is_published_without_every_gate(dags: dict[str, Any]) -> None:
    dag = dags["corpus_build"]
    gates = {task.task_id for task in dag.tasks if isinstance(task, GateOperator)}
    assert gates == set(JOB_OF_GATE)
    missing = gates - required_by(dag, "publish_version")
    assert not missing, f"publish_version can run without {missing}: put the gates before it, all with all_success"


def test_each_stage_waits_for_the_gate_before_it(dags: dict[str, Any]) -> None:
    dag = dags["corpus_build"]
    for gate, job in JOB_OF_GATE.items():
        assert job in dag.get_task(gate).upstream_task_ids, f"{gate} must follow {job}: it judges what that job left"
        assert dag.get_task(gate).stage == gate.removeprefix("gate_")
    assert "gate_refine" in required_by(dag, "deduplicate_documents")
    assert "wait_for_turn" in required_by(dag, "deduplicate_documents"), "two builds would deduplicate at once"
    assert "gate_deduplicate" in required_by(dag, "tokenize_corpus")
    assert "publish_version" in required_by(dag, "settle_objects"), "objects would be settled into no version"


@pytest.mark.parametrize(
    ("edges", "rule", "expected"),
    [
        ([("claim", "gate"), ("gate", "publish")], TriggerRule.ALL_SUCCESS, {"claim", "gate"}),
        ([("claim", "gate"), ("claim", "publish")], TriggerRule.ALL_SUCCESS, {"claim"}),
        ([("claim", "gate"), ("gate", "publish")], TriggerRule.ALL_DONE, set()),
    ],
    ids=["behind", "beside", "whatever happens"],
)
def test_a_gate_that_is_not_required_is_seen(
    edges: list[tuple[str, str]], rule: TriggerRule, expected: set[str]
) -> None:
    with DAG("broken", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        tasks = {name: EmptyOperator(task_id=name) for name in ("claim", "gate")}
        tasks["publish"] = EmptyOperator(task_id="publish", trigger_rule=rule)
        for before, after in edges:
            tasks[before] >> tasks[after]
    assert required_by(dag, "publish") == expected


def test_a_failure_before_publishing_ends_in_abandon_build(dags: dict[str, Any]) -> None:
    dag = dags["corpus_build"]
    abandon = dag.get_task("abandon_build")
    assert abandon.trigger_rule == TriggerRule.ONE_FAILED
    # `one_failed` looks at direct upstream tasks only; a failure further up arrives there as upstream_failed.
    assert "publish_version" in abandon.upstream_task_ids
    covered = required_by(dag, "publish_version") | {"publish_version"}
    assert covered == set(dag.task_ids) - {"abandon_build", "settle_objects"}, "a failed build would keep its claim"
    leaves = {task.task_id for task in dag.leaves}
    assert "settle_objects" in leaves, "abandon_build would be the only leaf: its success would make a failed run green"


@pytest.mark.parametrize("dag_id", sorted(TASKS))
def test_policy_of_dags(dags: dict[str, Any], dag_id: str) -> None:
    dag = dags[dag_id]
    assert dag.description, f"{dag_id}: say in one line what it does: description=..."
    assert dag.doc_md, f"{dag_id}: doc_md=__doc__"
    assert "**When it is red**" in dag.doc_md, f"{dag_id}: the docstring must say what to do when it is red"
    assert dag_id.split("_")[0] in dag.tags, f"{dag_id}: tag it with its line, as tags=[{dag_id.split('_')[0]!r}, ...]"
    assert dag.catchup is False, f"{dag_id}: catchup=False; a build takes all that has arrived"
    assert dag.max_active_runs <= 2, f"{dag_id}: more than two builds of a corpus only wait for their turn"


@pytest.mark.parametrize("dag_id", sorted(TASKS))
def test_policy_of_tasks(dags: dict[str, Any], dag_id: str) -> None:
    for task in dags[dag_id].tasks:
        where = f"{dag_id}.{task.task_id}: default_args=default_args(), or its own"
        assert task.owner == "goldmill", f"{where} owner"
        assert task.retries >= 1, f"{where} retries: a worker may be lost at any time"
        assert isinstance(task.execution_timeout, timedelta), f"{where} execution_timeout: nothing may run for ever"
        assert task.task_id == task.task_id.lower()
        assert "_" in task.task_id, f"{dag_id}.{task.task_id}: a task is named verb_object"


def test_parsing_twice_gives_the_same_dag(dags: dict[str, Any]) -> None:
    again = load_dags(BUNDLE / "dags")
    for dag_id, dag in dags.items():
        one, other = (
            json.dumps(DagSerialization.to_dict(d), sort_keys=True, default=str) for d in (dag, again[dag_id])
        )
        assert one == other, f"{dag_id} changes from parse to parse: every parse would be a new version of it"


# Parses with nothing but a home, refusing every connection, and prints the DAG ids and what was imported on the way.
_PARSE = """
import socket, sys

def refuse(*arguments, **named):
    raise OSError(f"a DAG file opened a connection while it was parsed: {arguments}")

socket.socket.connect = socket.socket.connect_ex = refuse
socket.create_connection = socket.getaddrinfo = refuse
import json
arguments = {}
try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # Airflow 3.1 has it with the models, and loads its examples unless told not to
    from airflow.models.dagbag import DagBag
    arguments["include_examples"] = False
before = set(sys.modules)
bag = DagBag(sys.argv[1], safe_mode=False, **arguments)
seen = {"dags": sorted(bag.dags), "errors": bag.import_errors, "imported": sorted(set(sys.modules) - before)}
print(json.dumps(seen))
"""


def test_dags_parse_in_an_empty_environment_without_network(tmp_path: Path) -> None:
    parsed = subprocess.run(
        [sys.executable, "-c", _PARSE, str(BUNDLE / "dags")],
        env={"HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert parsed.returncode == 0, f"parsing needs the environment or the network:\n{parsed.stderr[-3000:]}"
    seen = json.loads(parsed.stdout.splitlines()[-1])
    assert not seen["errors"]
    assert seen["dags"] == sorted(TASKS)
    heavy = {"great_expectations", "pandas", "pyiceberg", "pyspark", "goldmill.build"} & set(seen["imported"])
    assert not heavy, f"parsing imports {heavy}: import them inside of the task"
    left = [path for path in tmp_path.rglob("*") if path.name in {".goldmill", "ledger.db", "catalog.db", "airflow.db"}]
    assert not left, f"parsing made {left}: a DAG file touches nothing"


def imported(path: Path, *, module_level: bool) -> set[str]:
    """Modules that a file imports, dotted; only those at module level where asked."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if module_level else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def banned(modules: set[str], bans: set[str]) -> set[str]:
    """Those of ``modules`` that are banned or lie below a banned one."""
    return {module for module in modules if any(module == ban or module.startswith(f"{ban}.") for ban in bans)}


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.name)
def test_dag_files_import_nothing_heavy_and_no_database(path: Path) -> None:
    found = banned(imported(path, module_level=True), BANNED_IN_DAGS)
    assert not found, f"{path.name} imports {found} at module level: author through airflow.sdk, import inside of tasks"
    reaching = banned(
        imported(path, module_level=False), {"airflow.models", "airflow.settings", "airflow.utils.session"}
    )
    assert not reaching, f"{path.name} imports {reaching}: tasks never touch the metadata database"
    assert len(path.read_text().splitlines()) <= 200, f"{path.name} is long: a DAG file is a table of contents"


def test_cloud_sdks_stay_in_platforms_and_ledger() -> None:
    files = [path for root in ("include", "dags", "plugins", "spark_jobs") for path in (BUNDLE / root).rglob("*.py")]
    assert len(files) > 50
    for path in files:
        name = path.relative_to(BUNDLE).as_posix()
        found = banned(imported(path, module_level=False), CLOUD_SDKS)
        assert not found or name.startswith(CLOUD_PLACES), (
            f"{name} imports {found}: put it behind the platform protocol"
        )


def test_banned_imports_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "some_dag.py"
    path.write_text("from airflow import models\nimport google.cloud.storage\ndef task():\n    import pandas\n")
    assert banned(imported(path, module_level=True), BANNED_IN_DAGS) == {"airflow.models", "google.cloud.storage"}
    assert "pandas" in imported(path, module_level=False)
