"""What a task may ask Airflow about runs, over the task's own API; never the metadata database."""

from __future__ import annotations

import logging

from airflow.sdk import get_current_context
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from goldmill.lineage.events import ParentOfRun

log = logging.getLogger(__name__)

_OVER = {"success", "failed"}


def is_run_alive(run: str) -> bool:
    """Whether the run ``dag_id/run_id`` is not over. A run that Airflow does not know is over."""
    dag_id, _, run_id = run.partition("/")
    own = get_current_context()["dag_run"]
    if (own.dag_id, own.run_id) == (dag_id, run_id):
        return True
    try:
        state = RuntimeTaskInstance.get_dagrun_state(dag_id, run_id)
    # The API has no error of its own for a run that was deleted.
    except Exception as error:  # noqa: BLE001
        log.warning("run %s of %s is not known to Airflow (%s): taken as over", run_id, dag_id, error)
        return False
    # The state comes as an enum or as its value, by version of Airflow.
    return str(getattr(state, "value", state)) not in _OVER


def parent_of_current_task() -> ParentOfRun | None:
    """The running task as the parent of a lineage run; None where the OpenLineage provider is off."""
    from airflow.providers.openlineage.plugins import macros

    task_instance = get_current_context()["ti"]
    return ParentOfRun(
        namespace=macros.lineage_job_namespace(),  # type: ignore[no-untyped-call]
        job=macros.lineage_job_name(task_instance),
        run_id=macros.lineage_run_id(task_instance),
        root_namespace=macros.lineage_root_job_namespace(task_instance),
        root_job=macros.lineage_root_job_name(task_instance),
        root_run_id=macros.lineage_root_run_id(task_instance),
    )
