"""``docs/dags.md``: every DAG with its documentation, parameters and tasks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from goldmill.docs.markdown import code, page, table
from goldmill.errors import GoldmillError

if TYPE_CHECKING:
    from pathlib import Path


class DagsBroken(GoldmillError):
    """A DAG file cannot be imported."""


def load_dags(folder: Path) -> dict[str, Any]:
    """The DAGs of a folder by their id, parsed without a database.

    Raises:
        DagsBroken: names the file and the error, or says that the folder holds no DAG.
    """
    # Late: the other pages need no Airflow. In Airflow 3.1 the class still lives with the models.
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:
        from airflow.models.dagbag import DagBag  # type: ignore[no-redef]  # noqa: TID251

    bag = DagBag(dag_folder=folder, safe_mode=False, load_op_links=False)
    if bag.import_errors:
        raise DagsBroken("\n".join(f"{file}: {error}" for file, error in sorted(bag.import_errors.items())))
    if not bag.dags:
        raise DagsBroken(f"{folder} holds no DAG; look for it in the root of the bundle")
    return dict(sorted(bag.dags.items()))


def dags_page(folder: Path) -> str:
    """The page of the DAGs in ``folder``.

    Raises:
        DagsBroken: see :func:`load_dags`.
    """
    dags = load_dags(folder)
    blocks = [table(("DAG", "what", "runs"), [(code(i), d.description or "", _schedule(d)) for i, d in dags.items()])]
    for dag_id, dag in dags.items():
        blocks += [f"## {dag_id}", (dag.doc_md or "").strip(), *_parameters(dag), _tasks(dag)]
    return page("DAGs", *blocks)


def _schedule(dag: Any) -> str:
    if isinstance(dag.schedule, list):
        return "on " + ", ".join(f"asset {code(asset.name)}" for asset in dag.schedule)
    return code(str(dag.schedule)) if dag.schedule else "when it is triggered"


def _parameters(dag: Any) -> list[str]:
    rows = []
    for name in dag.params:
        parameter = dag.params.get_param(name)
        kind = parameter.schema.get("type", "")
        rows.append(
            (
                code(name),
                " or ".join(kind) if isinstance(kind, list) else str(kind),
                code(json.dumps(parameter.value)),
                parameter.description or "",
            )
        )
    return [f"Parameters:\n\n{table(('name', 'type', 'default', 'what'), rows)}"] if rows else []


def _tasks(dag: Any) -> str:
    rows = [
        (
            code(task.task_id),
            ", ".join(code(upstream) for upstream in sorted(task.upstream_task_ids)),
            str(task.trigger_rule.value).replace("_", " "),
            (task.doc_md or task.doc or "").strip().partition("\n")[0],
        )
        for task in dag.topological_sort()
    ]
    return f"Tasks:\n\n{table(('task', 'after', 'runs when', 'what'), rows)}"
