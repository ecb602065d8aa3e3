"""### Notice what arrives

Waits, without holding a worker, until the landing area holds objects that the ledger does not know, records them
(source, time, type, size, etag) and emits the asset that `corpus_build` is scheduled on. Then it waits again.

| | |
|---|---|
| reads | the landing area |
| writes | the ledger: one row an arrived object |
| emits | asset `goldmill_arrivals` |

**When it is red**: the landing area or the ledger cannot be reached; the task log names which. Nothing is lost:
the next run lists the landing area again, and recording an object twice changes nothing.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from airflow.sdk import DAG, task

from goldmill.dag_defaults import ARRIVALS, default_args
from goldmill.platforms import platform

log = logging.getLogger(__name__)

with DAG(
    dag_id="corpus_arrivals",
    description="Record what arrives in the landing area and announce it.",
    doc_md=__doc__,
    schedule="@continuous",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=default_args(),
    is_paused_upon_creation=False,
    tags=["corpus", "arrivals"],
):

    @task(outlets=[ARRIVALS])
    def record_arrivals() -> dict[str, int]:
        """Write the arrivals into the ledger; returns the number of objects by source."""
        from goldmill.arrivals import record_unknown_objects

        arrived = record_unknown_objects()
        for source, objects in sorted(arrived.items()):
            log.info("source %s: %d objects arrived", source, objects)
        return dict(arrived)

    platform().arrivals_sensor(task_id="wait_for_arrivals") >> record_arrivals()
