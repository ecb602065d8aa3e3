"""What a platform must provide. A DAG speaks to this protocol only, so the same DAG runs everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator


class Platform(Protocol):
    """How a place senses arrivals and runs Spark."""

    def arrivals_sensor(self, task_id: str) -> BaseOperator:
        """A deferrable task that succeeds when the landing area holds objects that the ledger does not know."""

    def spark_job(self, job: str, spec_uri: str, lineage_uri: str, **arguments: Any) -> BaseOperator:
        """A task that runs ``spark_jobs/<job>.py --spec <spec_uri>`` and fails when the job fails.

        Args:
            job: name of the job file; also the task id.
            spec_uri: URI of the stage's spec; a template.
            lineage_uri: file that the Spark listener appends its OpenLineage events to; a template.
            arguments: further arguments of the operator (retries, pool, ...).
        """
